//! Trying a program with the seeds of a trial, and what that is worth.

use super::{Part, Trial};
use crate::check::CheckName;
use crate::run::{Lack, Options, Run, RunError, Verdict, run_while};
use crate::scenario::Scenario;
use crate::sim::SimulationError;
use crate::systems::System;
use crate::systems::nodes::Program;
use crate::trace::digest::Digest;

/// Why a run did not pass. All but the last two are functions of program and seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A check failed, by its name.
    Check(&'static str),
    /// Nothing failed, but too little happened: not enough was acknowledged, or by one leader only.
    Inconclusive,
    /// A node answered the same events otherwise when it was asked again.
    Unrepeatable,
    /// A process did not answer an event in the time that it is given.
    NoAnswer,
    /// The run took longer than it may.
    TooSlow,
}

impl Reason {
    /// The names of those that are no checks.
    pub const OTHERS: &'static [&'static str] = &["inconclusive", "unrepeatable", "no_answer", "too_slow"];

    /// The name in files: a check's, or one of [`Reason::OTHERS`].
    pub fn name(&self) -> &'static str {
        match self {
            Reason::Check(name) => name,
            Reason::Inconclusive => "inconclusive",
            Reason::Unrepeatable => "unrepeatable",
            Reason::NoAnswer => "no_answer",
            Reason::TooSlow => "too_slow",
        }
    }

    /// Whether it says something about this machine, too, so that more seeds would only take more time.
    pub fn is_about_time(&self) -> bool {
        matches!(self, Reason::NoAnswer | Reason::TooSlow)
    }
}

/// A run that did not pass.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// Why.
    pub reason: Reason,
    /// The same in a sentence, with nodes, operations and times.
    pub sentence: String,
}

/// What one seed showed: what to be the same in every run of it, and the failure if it is one.
pub struct Tried {
    /// The run's digest; `None` if there was none.
    pub digest: Option<Digest>,
    /// Why it did not pass.
    pub failed: Option<Failed>,
}

/// What the seeds of one part of a trial showed.
#[derive(Debug, Clone)]
pub struct Graded {
    /// Which seeds.
    pub part: Part,
    /// How many seeds there are.
    pub seeds: usize,
    /// How many of them were run.
    pub run: usize,
    /// Those that did not pass, in the order of the seeds.
    pub failed: Vec<Failed>,
    /// The points earned.
    pub points: u32,
    /// The points that can be.
    pub of: u32,
}

impl Graded {
    /// The result of the seeds that were run: the points are for all of them or for none.
    pub fn new(part: Part, trial: &Trial, seeds: usize, tried: Vec<Tried>) -> Graded {
        let run = tried.len();
        let failed: Vec<Failed> = tried.into_iter().filter_map(|tried| tried.failed).collect();
        let of = trial.points;
        let points = if failed.is_empty() && run == seeds { of } else { 0 };
        Graded { part, seeds, run, failed, points, of }
    }

    /// Whether every seed passed.
    pub fn passed(&self) -> bool {
        self.failed.is_empty() && self.run == self.seeds
    }
}

/// Runs a program under one seed. `is_wanted` is asked now and then whether there is time left.
///
/// # Errors
/// When the scenario cannot be run at all.
pub fn try_seed(
    scenario: &Scenario,
    program: &'static Program,
    seed: u64,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Tried, RunError> {
    let failed = |reason, sentence| Some(Failed { seed, reason, sentence });
    match run_while(scenario, System::Nodes(program), seed, &Options::default(), is_wanted) {
        Ok(run) => Ok(Tried { digest: Some(run.outcome.digest), failed: why(&run).and_then(|(a, b)| failed(a, b)) }),
        Err(RunError::Broken(why)) => Ok(Tried { digest: None, failed: failed(Reason::NoAnswer, why) }),
        Err(RunError::Simulation(SimulationError::Stopped)) => {
            let why = "it took longer than a run may".to_owned();
            Ok(Tried { digest: None, failed: failed(Reason::TooSlow, why) })
        }
        Err(error) => Err(error),
    }
}

/// Why a run did not pass: the first check that failed, or what it lacked.
fn why(run: &Run) -> Option<(Reason, String)> {
    match run.outcome.verdict {
        Verdict::Pass => None,
        Verdict::Violation => {
            // A program that crashes fails other checks by that.
            let panic = run.outcome.violations.iter().find(|violation| violation.check == CheckName::Panic);
            let first = panic.or(run.outcome.violations.first())?;
            Some((Reason::Check(first.check.name()), first.certificate.sentence.clone()))
        }
        Verdict::Inconclusive => {
            let differs = run.doubts.iter().find(|doubt| doubt.lack == Lack::Repetition);
            let reason = if differs.is_some() { Reason::Unrepeatable } else { Reason::Inconclusive };
            Some((reason, differs.or(run.doubts.first())?.why.clone()))
        }
    }
}
