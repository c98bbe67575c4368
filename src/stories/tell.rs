//! Runs of a story's variants, and predictions beside measurements.

use super::claim::{Claim, join};
use super::model::{Model, Observed, Setup, Variant};
use crate::run::RunError;
use crate::sim::SimulationError;
use crate::trace::digest::{Digest, Hasher, of};

/// One variant's run.
#[derive(Debug, Clone)]
pub struct StoryRun {
    /// Its input.
    pub setup: Setup,
    /// Its results.
    pub observed: Observed,
    /// Its digest: events, load, faults and measurements.
    pub digest: Digest,
}

/// All variants of a story under one load and the same faults.
#[derive(Debug, Clone)]
pub struct Telling {
    /// The seed.
    pub seed: u64,
    /// One run per variant.
    pub runs: Vec<StoryRun>,
    /// Predictions beside measurements.
    pub claims: Vec<Claim>,
}

impl Telling {
    /// Whether every claim holds; false without claims.
    pub fn holds(&self) -> bool {
        !self.claims.is_empty() && self.claims.iter().all(|claim| claim.holds)
    }

    /// The digest of all runs.
    pub fn digest(&self) -> Digest {
        of(&self.runs.iter().map(|run| run.digest).collect::<Vec<_>>())
    }
}

/// Runs variants of a story, each on a thread of its own, and compares them with what the parameters predict.
///
/// # Errors
/// As [`crate::run::run`], for the first variant that cannot be run.
///
/// # Panics
/// If code of a story panics.
pub fn tell(
    model: &dyn Model,
    variants: impl IntoIterator<Item = &'static Variant>,
    seed: u64,
) -> Result<Telling, RunError> {
    let runs: Vec<_> = std::thread::scope(|scope| {
        let start = |variant| scope.spawn(move || run_setup(model, model.setup(variant, seed)));
        let started: Vec<_> = variants.into_iter().map(start).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    Ok(joined(model, seed, runs.into_iter().collect::<Result<Vec<_>, _>>()?))
}

/// As [`tell`], one variant after the other, for a tab of a browser, which has no threads. `is_wanted` is asked before
/// each.
///
/// # Errors
/// As [`tell`]; and when the runs are not wanted any more.
pub fn tell_in_turn(
    model: &dyn Model,
    variants: impl IntoIterator<Item = &'static Variant>,
    seed: u64,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Telling, RunError> {
    let mut runs = Vec::new();
    for variant in variants {
        if !is_wanted() {
            return Err(SimulationError::Stopped.into());
        }
        runs.push(run_setup(model, model.setup(variant, seed))?);
    }
    Ok(joined(model, seed, runs))
}

fn joined(model: &dyn Model, seed: u64, runs: Vec<StoryRun>) -> Telling {
    let predictions = model.predict();
    let claims = runs.iter().flat_map(|run| join(&predictions, run.setup.variant, &run.observed.measured)).collect();
    Telling { seed, runs, claims }
}

/// Runs one variant as it was set up.
///
/// # Errors
/// As [`crate::run::run`].
///
/// # Panics
/// If code of the story panics.
pub fn run_setup(model: &dyn Model, setup: Setup) -> Result<StoryRun, RunError> {
    let observed = model.run(&setup)?;
    let mut hasher = Hasher::default();
    hasher.add(setup.variant);
    hasher.add(&setup.load);
    // Through JSON: postcard cannot encode the flattened form that files have.
    hasher.add(&serde_json::to_string(&setup.faults).expect("faults are plain data"));
    hasher.add(&observed.trace);
    hasher.add(&observed.measured);
    Ok(StoryRun { setup, digest: hasher.finish(), observed })
}
