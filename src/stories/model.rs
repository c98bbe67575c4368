//! What a story's code implements: its parameters, typed, and what follows from them.

use super::claim::{Measurement, Prediction};
use super::evidence::Table;
use crate::fault::model::Fault;
use crate::run::RunError;
use crate::run::life::Life;
use crate::scenario::{Document, Scenario, ScenarioError};
use crate::trace::digest::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// An error in parameters, a lesson or an answer: the problem, and what is allowed.
pub type Complaint = (String, String);

/// One way to build the thing that the story is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Variant {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line.
    pub what: &'static str,
    /// Whether it is the one that fails.
    pub naive: bool,
}

/// A request of the load, drawn before the run; the same for every variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When it comes, in simulated microseconds since the start.
    pub at_us: u64,
    /// Its sort, if the story distinguishes sorts.
    pub sort: u32,
}

/// The input of one run of a story.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The variant.
    pub variant: &'static str,
    /// The seed.
    pub seed: u64,
    /// The requests, in order of time.
    pub load: Vec<Arrival>,
    /// What breaks in the network.
    pub faults: Vec<Fault>,
}

/// The results of a run.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What it measured.
    pub measured: Vec<Measurement>,
    /// What an engineer on call would have seen.
    pub evidence: Vec<Table>,
    /// What each request was doing at each instant.
    pub lives: Vec<Life>,
    /// Of every event.
    pub trace: Digest,
    /// How long it lasted, in simulated seconds.
    pub simulated_s: f64,
    /// The simulator's step, in milliseconds.
    pub tick_ms: u64,
    /// How many hosts there were.
    pub hosts: usize,
    /// The scenario that was run, in explicit form, if a system of the testbed was run under one.
    pub scenario: Option<Box<Scenario>>,
}

/// A parameter with its value and what is allowed.
pub type Bound = (&'static str, f64, RangeInclusive<f64>);

/// A story with its parameters: what a file of this folder implements for a struct of them, which is read once, from a file.
///
/// The struct is plain data, with serde's `deny_unknown_fields` and names that end with their units. A prediction is given
/// nothing but it, and so cannot see a run.
pub trait Model: Parameters + Send + Sync {
    /// The variants, the naive one first.
    fn variants(&self) -> &'static [Variant];
    /// One line about a variant, with what the parameters make of it.
    fn what(&self, variant: &Variant) -> String {
        variant.what.to_string()
    }
    /// What each parameter may be.
    fn bounds(&self) -> Vec<Bound>;
    /// What must be true for the predictions to be about a run, in units.
    fn assumptions(&self) -> Vec<String>;
    /// What is modelled by a constant, not run.
    fn modelled(&self) -> &'static [&'static str];
    /// What is expected, from the parameters alone.
    fn predict(&self) -> Vec<Prediction>;
    /// The requests of a seed; none where a scenario's own script is drawn from it.
    fn load(&self, _seed: u64) -> Vec<Arrival> {
        Vec::new()
    }
    /// What breaks in the network.
    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }
    /// Runs one variant.
    ///
    /// # Errors
    /// As [`crate::run::run`].
    fn run(&self, setup: &Setup) -> Result<Observed, RunError>;
}

impl dyn Model + '_ {
    /// The variant of this name.
    pub fn variant(&self, name: &str) -> Option<&'static Variant> {
        self.variants().iter().find(|variant| variant.name == name)
    }

    /// The names of the variants.
    pub fn variant_names(&self) -> Vec<&'static str> {
        self.variants().iter().map(|variant| variant.name).collect()
    }

    /// The input of a variant's run under this seed.
    pub fn setup(&self, variant: &Variant, seed: u64) -> Setup {
        Setup { variant: variant.name, seed, load: self.load(seed), faults: self.faults() }
    }
}

/// What a [`Model`] can do since it is plain data.
pub trait Parameters {
    /// The parameters as a file has them.
    fn parameters(&self) -> toml::Table;
    /// The same story with some parameters replaced.
    ///
    /// # Errors
    /// If it cannot be run with them: the problem, and what is allowed.
    fn with(&self, changes: &toml::Table) -> Result<Arc<dyn Model>, Complaint>;
}

impl<M: Model + Serialize + DeserializeOwned + 'static> Parameters for M {
    fn parameters(&self) -> toml::Table {
        toml::Table::try_from(self).expect("parameters are plain data")
    }

    fn with(&self, changes: &toml::Table) -> Result<Arc<dyn Model>, Complaint> {
        let merged: toml::Table = self.parameters().into_iter().chain(changes.clone()).collect();
        let changed: M = merged
            .try_into()
            .map_err(|error: toml::de::Error| (error.message().to_string(), "as under `[parameters]`".to_string()))?;
        match out_of_bounds(&changed) {
            Some((_, complaint)) => Err(complaint),
            None => Ok(Arc::new(changed)),
        }
    }
}

/// Reads a story's parameters from a file and checks them.
pub(super) fn read<M: Model + DeserializeOwned + 'static>(
    document: Document<'_>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Arc<dyn Model>, ScenarioError> {
    let model: M = document.value(value)?;
    if let Some((field, (problem, help))) = out_of_bounds(&model) {
        let table = value.get_ref().as_table();
        let span = table.and_then(|table| table.get(field)).map_or(value.span(), Spanned::span);
        return Err(document.error(span, problem, help));
    }
    Ok(Arc::new(model))
}

/// The first parameter that is out of its bounds, what is wrong with it, and what is allowed.
fn out_of_bounds(model: &impl Model) -> Option<(&'static str, Complaint)> {
    let (field, number, allowed) = model.bounds().into_iter().find(|(_, number, allowed)| !allowed.contains(number))?;
    let (least, most) = allowed.into_inner();
    Some((field, (format!("`{field}` is {number}"), format!("allowed: {least} to {most}"))))
}
