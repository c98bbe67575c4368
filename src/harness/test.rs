//! The test as `#[schism::test]` makes it: its settings, and the check of what it tests under them.

use super::cluster::Tested;
use super::course::{Course, target_folder};
use super::failure::Failure;
use super::runner::Runner;
use super::settings::{Inconclusive, Isolation, Place, Settings};
use super::story;
use super::variables::REPLAY;
use crate::check::linearizability::Budget;
use crate::rng::seeds::SEED;
use crate::scenario::{self, Nemesis, Scenario};
use std::path::Path;
use std::sync::Arc;

/// A test, as `#[schism::test]` describes it. Each argument of the attribute is a method here.
#[derive(Debug, Clone)]
pub struct Test {
    settings: Settings,
}

impl Test {
    /// A test of 20 seeds of a scenario, which is the name of one that this crate carries, or a file in the package.
    pub fn new(place: Place, scenario: &'static str) -> Test {
        let (isolation, inconclusive, budget) = Default::default();
        let (seeds, nemesis) = (20, "");
        Test { settings: Settings { place, scenario, seeds, isolation, inconclusive, budget, nemesis } }
    }

    /// How many seeds are tried unless `SCHISM_SEEDS` says otherwise.
    #[must_use]
    pub fn seeds(self, seeds: u64) -> Test {
        Test { settings: Settings { seeds, ..self.settings } }
    }

    /// How runs are kept apart.
    #[must_use]
    pub fn isolation(self, isolation: Isolation) -> Test {
        Test { settings: Settings { isolation, ..self.settings } }
    }

    /// What happens to the test if seeds prove nothing.
    #[must_use]
    pub fn inconclusive(self, inconclusive: Inconclusive) -> Test {
        Test { settings: Settings { inconclusive, ..self.settings } }
    }

    /// What checking one key of a run may cost.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Test {
        Test { settings: Settings { budget, ..self.settings } }
    }

    /// Fields of [`Nemesis`] in place of the scenario's own, as TOML within braces: `faults = 4, ranges = { drift_ppm = 200 }`.
    /// Of `ranges` only what is named is replaced.
    #[must_use]
    pub fn nemesis(self, fields: &'static str) -> Test {
        Test { settings: Settings { nemesis: fields, ..self.settings } }
    }

    /// Runs the test.
    ///
    /// # Panics
    /// When the test fails; the report is on stderr.
    pub fn check<T: Tested>(&self, make: fn() -> T) {
        let is_shown = [SEED, REPLAY].iter().any(|variable| std::env::var_os(variable).is_some());
        // What one run prints is told apart by its process.
        let isolation = if is_shown { Isolation::Process } else { self.settings.isolation };
        Test { settings: Settings { isolation, ..self.settings.clone() } }.check_in(make);
    }

    fn check_in<T: Tested>(&self, make: fn() -> T) {
        let scenario = match self.load() {
            Ok(scenario) => scenario,
            Err(error) => return story::fail(&self.settings, &Failure::Harness(error)),
        };
        let name = self.settings.name();
        let make = move |scenario: &Scenario, seed| make().fresh(&name, scenario, seed);
        let runner =
            Runner { settings: self.settings.clone(), scenario, make: Box::new(make), folder: target_folder() };
        let runner = Arc::new(runner);
        if runner.run_as_child() {
            return;
        }
        if let Err(failure) = (Course { runner }).carry_out() {
            story::fail(&self.settings, &failure);
        }
    }

    /// The scenario: one that this crate carries, or a file of the package; with the nemesis of the test.
    fn load(&self) -> Result<Scenario, String> {
        let Settings { place, scenario: named, nemesis, .. } = &self.settings;
        let is_carried = scenario::embedded().iter().any(|(name, _)| name == named);
        let path = Path::new(place.folder).join(named).display().to_string();
        let mut scenario = scenario::load(if is_carried { named } else { &path }).map_err(|error| error.plain())?;
        if !nemesis.is_empty() {
            scenario.nemesis = Some(self.nemesis_over(scenario.nemesis.unwrap_or_default())?);
            scenario.check().map_err(|error| error.plain())?;
        }
        Ok(scenario)
    }

    /// A nemesis with the test's own fields.
    fn nemesis_over(&self, nemesis: Nemesis) -> Result<Nemesis, String> {
        let fields = self.settings.nemesis;
        let wrong = |error: &dyn std::fmt::Display| format!("nemesis = \"{fields}\": {error}");
        let given: toml::Table =
            toml::from_str(&format!("nemesis = {{ {fields} }}")).map_err(|error| wrong(&error.message()))?;
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
}
