//! The other failure stories, each a file: variants under the same load and faults, a prediction that cannot see the
//! run, and what the run measures.
//!
//! * [`claim`]: prediction beside measurement.
//! * [`file`](mod@file): the format of `sims/stories/`.
//! * [`lesson`]: what a class is asked, and how an answer is judged. [`trial`]: choices that can be run.
//! * `world`: servers and clients inside the simulator. `http`, `dns`: what they speak, over hyper and hickory.
//! * `consensus`: the testbed's own systems as variants.
//! * [`evidence`]: the tables that somebody on call would have.
//!
//! To add a story: a file here that implements `Model`, a file in `sims/stories/`, a line in [`catalogue`] and one
//! in `STORIES`.

pub mod claim;
pub mod evidence;
pub mod file;
pub mod lesson;
pub mod trial;

mod consensus;
mod consistency_or_availability;
mod dns;
mod dns_failover;
mod dns_outage;
mod five_data_centres;
mod http;
mod latency_not_bandwidth;
mod pool_exhaustion;
mod retry_storm;
mod split_brain;
mod world;

use crate::fault::model::Fault;
use crate::run::RunError;
use crate::scenario::{Document, ScenarioError};
use crate::trace::digest::Digest;
use claim::{Claim, Measurement, Prediction, join};
use evidence::Table;
pub use file::{StoryFile, catalogue, find};
use lesson::Complaint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::DeValue;

/// The code of every story.
static STORIES: [&dyn Story; 8] = [
    &Typed(split_brain::SplitBrain),
    &Typed(consistency_or_availability::ConsistencyOrAvailability),
    &Typed(five_data_centres::FiveDataCentres),
    &Typed(latency_not_bandwidth::LatencyNotBandwidth),
    &Typed(retry_storm::RetryStorm),
    &Typed(pool_exhaustion::PoolExhaustion),
    &Typed(dns_failover::DnsFailover),
    &Typed(dns_outage::DnsOutage),
];

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
    /// Of which sort it is, where a story tells sorts apart.
    pub sort: u32,
}

/// What a story is told about one run.
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

/// What a run left behind.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What it measured.
    pub measured: Vec<Measurement>,
    /// What somebody on call would have seen.
    pub evidence: Vec<Table>,
    /// Of every event.
    pub trace: Digest,
    /// How long it lasted, in simulated seconds.
    pub simulated_s: f64,
    /// The simulator's step, in milliseconds.
    pub tick_ms: u64,
    /// How many hosts there were.
    pub hosts: usize,
}

/// A parameter with its value and what is allowed.
pub type Bound = (&'static str, f64, RangeInclusive<f64>);

/// A story with its parameters typed: what a file of this folder implements.
trait Model: Sync {
    /// Everything that may be changed in the story's file, in units that the names end with.
    type Parameters: Serialize + DeserializeOwned;

    /// The name that files give as `model`.
    fn name(&self) -> &'static str;
    /// The variants, the naive one first.
    fn variants(&self) -> &'static [Variant];
    /// One line about a variant, with what the parameters make of it.
    fn what(&self, _p: &Self::Parameters, variant: &Variant) -> String {
        variant.what.to_string()
    }
    /// What each parameter may be.
    fn bounds(&self, p: &Self::Parameters) -> Vec<Bound>;
    /// What must be true for the predictions to be about this run, in units.
    fn assumptions(&self, p: &Self::Parameters) -> Vec<String>;
    /// What is modelled by a constant, not run.
    fn modelled(&self) -> &'static [&'static str];
    /// What is expected, from the parameters alone.
    fn predict(&self, p: &Self::Parameters) -> Vec<Prediction>;
    /// The requests of a seed; none where a scenario's own script is drawn from it.
    fn load(&self, _p: &Self::Parameters, _seed: u64) -> Vec<Arrival> {
        Vec::new()
    }
    /// What breaks in the network.
    fn faults(&self, _p: &Self::Parameters) -> Vec<Fault> {
        Vec::new()
    }
    /// Runs one variant.
    fn run(&self, p: &Self::Parameters, setup: &Setup) -> Result<Observed, RunError>;
}

/// A story with its parameters as they stand in a file.
pub(crate) trait Story: Sync {
    /// The name that files give as `model`.
    fn name(&self) -> &'static str;
    /// The variants, the naive one first.
    fn variants(&self) -> &'static [Variant];
    /// What is modelled by a constant, not run.
    fn modelled(&self) -> &'static [&'static str];
    /// One line about a variant, with what the parameters make of it.
    fn what(&self, parameters: &toml::Table, variant: &Variant) -> String;
    /// Parameters with some replaced; what is wrong with them and what is allowed, where they make no sense.
    fn changed(&self, parameters: &toml::Table, changes: &toml::Table) -> Result<toml::Table, Complaint>;
    /// Reads and checks parameters.
    fn parameters(&self, document: Document<'_>, value: &Spanned<DeValue<'_>>) -> Result<toml::Table, ScenarioError>;
    /// What must be true for the predictions to be about a run, in units.
    fn assumptions(&self, parameters: &toml::Table) -> Vec<String>;
    /// What is expected, from the parameters alone.
    fn predict(&self, parameters: &toml::Table) -> Vec<Prediction>;
    /// The requests of a seed and the faults.
    fn materialise(&self, parameters: &toml::Table, seed: u64) -> (Vec<Arrival>, Vec<Fault>);
    /// Runs one variant.
    fn run(&self, parameters: &toml::Table, setup: &Setup) -> Result<Observed, RunError>;
}

/// Makes a [`Story`] of a [`Model`].
struct Typed<M>(M);

impl<M: Model> Typed<M> {
    /// Parameters that were checked when their file was read.
    fn typed(parameters: &toml::Table) -> M::Parameters {
        parameters.clone().try_into().expect("parameters are checked when their file is read")
    }

    /// The first parameter that is out of its bounds, what is wrong with it, and what is allowed.
    fn out_of_bounds(&self, parameters: &M::Parameters) -> Option<(&'static str, Complaint)> {
        let bounds = self.0.bounds(parameters);
        let (field, number, allowed) = bounds.into_iter().find(|(_, number, allowed)| !allowed.contains(number))?;
        let (least, most) = allowed.into_inner();
        Some((field, (format!("`{field}` is {number}"), format!("allowed: {least} to {most}"))))
    }
}

impl<M: Model> Story for Typed<M> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn variants(&self) -> &'static [Variant] {
        self.0.variants()
    }

    fn modelled(&self) -> &'static [&'static str] {
        self.0.modelled()
    }

    fn what(&self, parameters: &toml::Table, variant: &Variant) -> String {
        self.0.what(&Self::typed(parameters), variant)
    }

    fn changed(&self, parameters: &toml::Table, changes: &toml::Table) -> Result<toml::Table, Complaint> {
        let merged: toml::Table = parameters.clone().into_iter().chain(changes.clone()).collect();
        let typed: M::Parameters = merged
            .try_into()
            .map_err(|error: toml::de::Error| (error.message().to_string(), "as under `[parameters]`".to_string()))?;
        match self.out_of_bounds(&typed) {
            Some((_, complaint)) => Err(complaint),
            None => Ok(toml::Table::try_from(typed).expect("parameters are plain data")),
        }
    }

    fn parameters(&self, document: Document<'_>, value: &Spanned<DeValue<'_>>) -> Result<toml::Table, ScenarioError> {
        let parameters: M::Parameters = document.value(value)?;
        if let Some((field, (problem, help))) = self.out_of_bounds(&parameters) {
            let table = value.get_ref().as_table();
            let span = table.and_then(|table| table.get(field)).map_or(value.span(), Spanned::span);
            return Err(document.error(span, problem, help));
        }
        Ok(toml::Table::try_from(parameters).expect("parameters are plain data"))
    }

    fn assumptions(&self, parameters: &toml::Table) -> Vec<String> {
        self.0.assumptions(&Self::typed(parameters))
    }

    fn predict(&self, parameters: &toml::Table) -> Vec<Prediction> {
        self.0.predict(&Self::typed(parameters))
    }

    fn materialise(&self, parameters: &toml::Table, seed: u64) -> (Vec<Arrival>, Vec<Fault>) {
        let parameters = Self::typed(parameters);
        (self.0.load(&parameters, seed), self.0.faults(&parameters))
    }

    fn run(&self, parameters: &toml::Table, setup: &Setup) -> Result<Observed, RunError> {
        self.0.run(&Self::typed(parameters), setup)
    }
}

/// One variant's run.
#[derive(Debug, Clone)]
pub struct StoryRun {
    /// What it was told.
    pub setup: Setup,
    /// What it left behind.
    pub observed: Observed,
    /// Its digest: events, load, faults and measurements.
    pub digest: Digest,
}

/// All variants of a story under one load and the same faults.
#[derive(Debug, Clone)]
pub struct Telling {
    /// The seed.
    pub seed: u64,
    /// One run a variant.
    pub runs: Vec<StoryRun>,
    /// What was predicted beside what was measured.
    pub claims: Vec<Claim>,
}

impl Telling {
    /// Whether every claim holds. Without claims there is nothing that could.
    pub fn holds(&self) -> bool {
        !self.claims.is_empty() && self.claims.iter().all(|claim| claim.holds)
    }

    /// The digest of all runs.
    pub fn digest(&self) -> Digest {
        crate::trace::digest::of(&self.runs.iter().map(|run| run.digest).collect::<Vec<_>>())
    }
}

/// Runs variants of a story, each on a thread of its own, and compares them with what the parameters predict.
///
/// # Errors
/// As [`crate::run::run`], for the first variant that cannot be run.
///
/// # Panics
/// If code of a story panics.
pub fn tell(file: &StoryFile, variants: &[&'static Variant], seed: u64) -> Result<Telling, RunError> {
    let (load, faults) = file.materialise(seed);
    let run = |variant: &&'static Variant| {
        run_setup(file, Setup { variant: variant.name, seed, load: load.clone(), faults: faults.clone() })
    };
    let runs: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = variants.iter().map(|variant| scope.spawn(move || run(variant))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let runs = runs.into_iter().collect::<Result<Vec<_>, _>>()?;
    let predictions = file.predict();
    let claims = runs.iter().flat_map(|run| join(&predictions, run.setup.variant, &run.observed.measured)).collect();
    Ok(Telling { seed, runs, claims })
}

/// Runs one variant as it was set up.
///
/// # Errors
/// As [`crate::run::run`].
///
/// # Panics
/// If code of the story panics.
pub fn run_setup(file: &StoryFile, setup: Setup) -> Result<StoryRun, RunError> {
    let observed = file.model.run(&file.parameters, &setup)?;
    let mut hasher = crate::trace::digest::Hasher::default();
    hasher.add(setup.variant);
    hasher.add(&setup.load);
    // Through JSON: postcard cannot encode the flattened form that files have.
    hasher.add(&serde_json::to_string(&setup.faults).expect("faults are plain data"));
    hasher.add(&observed.trace);
    hasher.add(&observed.measured);
    Ok(StoryRun { setup, digest: hasher.finish(), observed })
}
