//! A test: where it is in the source, which scenario it runs, and its settings.

use super::attempts::Attempts;
use super::course::{self, REPLAY};
use super::doubts::Inconclusive;
use super::runner::{Isolation, Runner};
use super::service::{Service, subject_with};
use super::story::{self, Broken};
use crate::check::linearizability::Budget;
use crate::rng::seeds::SEED;
use crate::scenario::{self, Nemesis, Scenario};
use std::path::Path;
use std::sync::Arc;

/// Where a test is: what `#[schism::test]` knows about the function.
#[derive(Debug, Clone)]
pub struct Place {
    /// The module of the test function, its crate first: `module_path!()`.
    pub module: &'static str,
    /// The test function.
    pub function: &'static str,
    /// The package: `CARGO_PKG_NAME`.
    pub package: &'static str,
    /// The package's folder: `CARGO_MANIFEST_DIR`.
    pub folder: &'static str,
    /// The source file: `file!()`.
    pub file: &'static str,
}

/// A test, as `#[schism::test]` describes it. Each argument of the attribute is a method here.
#[derive(Debug, Clone)]
pub struct Test {
    pub(super) place: Place,
    pub(super) scenario: &'static str,
    pub(super) seeds: u64,
    pub(super) isolation: Isolation,
    pub(super) inconclusive: Inconclusive,
    pub(super) budget: Budget,
    pub(super) nemesis: &'static str,
}

/// Why a test fails.
pub(super) enum Failure {
    /// A run broke something.
    Broken(Box<Broken>),
    /// Nothing broke, but too many runs prove nothing.
    Inconclusive {
        /// The first such seed.
        seed: u64,
        /// Why.
        why: String,
        /// How many seeds there are like it.
        count: u64,
        /// Of how many.
        seeds: u64,
        /// How many the test tolerates.
        most: u64,
    },
    /// All seeds lacked something that a single seed may lack.
    Never {
        /// The first seed.
        seed: u64,
        /// What it lacked.
        why: String,
        /// How many seeds there are.
        seeds: u64,
    },
    /// The test could not be carried out, or two runs of one seed differ.
    Harness(String),
}

impl Test {
    /// A test of 20 seeds of a scenario, which is the name of one that this crate carries, or a file in the package.
    pub fn new(place: Place, scenario: &'static str) -> Test {
        let (isolation, inconclusive, budget) = Default::default();
        Test { place, scenario, seeds: 20, isolation, inconclusive, budget, nemesis: "" }
    }

    /// How many seeds are tried unless `SCHISM_SEEDS` says otherwise.
    #[must_use]
    pub fn seeds(self, seeds: u64) -> Test {
        Test { seeds, ..self }
    }

    /// How runs are kept apart.
    #[must_use]
    pub fn isolation(self, isolation: Isolation) -> Test {
        Test { isolation, ..self }
    }

    /// What happens to the test if seeds prove nothing.
    #[must_use]
    pub fn inconclusive(self, inconclusive: Inconclusive) -> Test {
        Test { inconclusive, ..self }
    }

    /// What checking one key of a run may cost.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Test {
        Test { budget, ..self }
    }

    /// Fields of [`Nemesis`] in place of the scenario's own, as TOML within braces: `faults = 4, ranges = { drift_ppm = 200 }`.
    /// Of `ranges` only what is named is replaced.
    #[must_use]
    pub fn nemesis(self, fields: &'static str) -> Test {
        Test { nemesis: fields, ..self }
    }

    /// Runs the test.
    ///
    /// # Panics
    /// When the test fails; the report is on stderr.
    pub fn check<S: Service>(&self, make: fn() -> S) {
        let is_shown = [SEED, REPLAY].iter().any(|variable| std::env::var_os(variable).is_some());
        // Only a process of its own separates what one run prints from the rest.
        let isolation = if is_shown { Isolation::Process } else { self.isolation };
        Test { isolation, ..self.clone() }.check_in(make);
    }

    fn check_in<S: Service>(&self, make: fn() -> S) {
        let scenario = match self.load() {
            Ok(scenario) => scenario,
            Err(error) => return story::fail(self, &Failure::Harness(error)),
        };
        let name = self.name();
        let make = move || {
            let attempts = Attempts::default();
            (subject_with(&name, make(), attempts.clone()), attempts)
        };
        let runner = Runner { test: self.clone(), scenario, make: Box::new(make), folder: course::target_folder() };
        let runner = Arc::new(runner);
        if runner.run_as_child() {
            return;
        }
        if let Err(failure) = self.carry_out(&runner) {
            story::fail(self, &failure);
        }
    }

    /// The scenario: one that this crate carries, or a file of the package; with the nemesis of the test.
    fn load(&self) -> Result<Scenario, String> {
        let is_carried = scenario::embedded().iter().any(|(name, _)| *name == self.scenario);
        let path = Path::new(self.place.folder).join(self.scenario).display().to_string();
        let mut scenario =
            scenario::load(if is_carried { self.scenario } else { &path }).map_err(|error| error.plain())?;
        if !self.nemesis.is_empty() {
            scenario.nemesis = Some(self.nemesis_over(scenario.nemesis.unwrap_or_default())?);
            scenario.check().map_err(|error| error.plain())?;
        }
        Ok(scenario)
    }

    /// A nemesis with the test's own fields.
    fn nemesis_over(&self, nemesis: Nemesis) -> Result<Nemesis, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("nemesis = \"{}\": {error}", self.nemesis);
        let given: toml::Table =
            toml::from_str(&format!("nemesis = {{ {} }}", self.nemesis)).map_err(|error| wrong(&error.message()))?;
        let mut fields = toml::Table::try_from(nemesis).map_err(|error| wrong(&error))?;
        let toml::Value::Table(given) = &given["nemesis"] else { unreachable!("braces make a table") };
        for (name, value) in given {
            match (fields.get_mut(name), value) {
                (Some(toml::Value::Table(ranges)), toml::Value::Table(given)) => ranges.extend(given.clone()),
                _ => drop(fields.insert(name.clone(), value.clone())),
            }
        }
        fields.try_into().map_err(|error: toml::de::Error| wrong(&error.message()))
    }

    /// The test's name, as regressions carry it.
    pub(super) fn name(&self) -> String {
        format!("{}::{}", self.place.module, self.place.function)
    }

    /// The test's name as libtest knows it: without the crate.
    pub(super) fn name_in_binary(&self) -> String {
        self.name().split_once("::").expect("a path begins with its crate").1.to_owned()
    }
}
