//! What says whether a candidate fails: a run in this process, or an oracle of the caller.

use crate::run::{Options, Run, Verdict, run};
use crate::scenario::Scenario;
use crate::systems::System;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a candidate. Shared between threads: candidates are tried in parallel.
pub trait Oracle: Sync {
    /// The result of the candidate, which is always a valid scenario in explicit form. The same candidate
    /// must always give the same result.
    fn run(&self, candidate: &Scenario) -> Trial;
}

/// The result of one candidate.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// What went wrong, the strongest first. Empty: nothing.
    pub failed: Vec<Failed>,
    /// The same in a few words, for the necessity table: `passes`, `inconclusive: ...`, `split_brain`.
    pub verdict: String,
    /// When the first violation was undeniable, in simulated nanoseconds, if that is known.
    pub at_ns: Option<u64>,
    /// What the trial cost, in simulated milliseconds, not in wall-clock time: what a shrinker finds within its
    /// budget must not depend on how fast it ran.
    pub simulated_ms: u64,
    /// The run in explicit form, with the acts and the verdict that it really had; `None` if it has none.
    pub explicit: Option<Scenario>,
}

/// One thing that went wrong in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The name of the failed check, or a made-up one such as [`PANIC`].
    pub check: String,
    /// The first evidence, in a sentence; may be empty.
    pub sentence: String,
    /// The ids of the operations that each certificate of this check rests on.
    pub operations: Vec<Vec<u32>>,
}

impl Failed {
    /// A failure without a certificate.
    pub fn named(check: &str, sentence: impl Into<String>) -> Failed {
        Failed { check: check.to_owned(), sentence: sentence.into(), operations: Vec::new() }
    }
}

/// Runs candidates in this process; a panic is caught and counts as the failure `panic`.
#[derive(Debug, Clone, Copy)]
pub struct RunOracle {
    /// The system to run.
    pub system: System,
    /// What the checks may cost.
    pub options: Options,
}

/// The name under which a panic fails.
pub const PANIC: &str = "panic";

impl Oracle for RunOracle {
    fn run(&self, candidate: &Scenario) -> Trial {
        let seed = candidate.explicit.as_ref().map_or(0, |explicit| explicit.seed);
        // A run leaves no state that a later one could see, so a panic cannot break later runs.
        let done = catch_unwind(AssertUnwindSafe(|| run(candidate, self.system, seed, &self.options)));
        match done {
            Ok(Ok(run)) => Trial::of(run),
            Ok(Err(error)) => Trial { verdict: format!("is refused: {error}"), ..Trial::default() },
            Err(_) => Trial {
                failed: vec![Failed::named(PANIC, "")],
                verdict: "panics".into(),
                simulated_ms: candidate.timing.duration_ms,
                ..Trial::default()
            },
        }
    }
}

/// The names of what failed, as people read them.
pub fn names(failed: &[Failed]) -> String {
    failed.iter().map(|failed| failed.check.as_str()).collect::<Vec<_>>().join(", ")
}

impl Trial {
    /// The failure of this name.
    pub(super) fn failure(&self, check: &str) -> Option<&Failed> {
        self.failed.iter().find(|failed| failed.check == check)
    }

    /// The ids of the operations in the certificates: the first candidates for what the violation needs.
    pub(super) fn evidence(&self) -> Vec<u32> {
        self.failed.iter().flat_map(|failed| failed.operations.iter().flatten().copied()).collect()
    }

    /// A finished run as a trial.
    pub fn of(run: Run) -> Trial {
        let (recording, outcome) = (run.recording(), run.outcome);
        let mut failed = Vec::<Failed>::new();
        for violation in &outcome.violations {
            let (name, certificate) = (violation.check.name(), &violation.certificate);
            let at = failed.iter().position(|known| known.check == name).unwrap_or_else(|| {
                failed.push(Failed::named(name, certificate.sentence.clone()));
                failed.len() - 1
            });
            failed[at].operations.push(certificate.operations.clone());
        }
        let verdict = match outcome.verdict {
            Verdict::Pass => "passes".to_owned(),
            Verdict::Violation => names(&failed),
            Verdict::Inconclusive => format!("inconclusive: {}", outcome.inconclusive.join("; ")),
        };
        let certificates = || outcome.violations.iter().map(|violation| &violation.certificate);
        Trial {
            verdict,
            at_ns: certificates().filter_map(|certificate| certificate.at_ns).min(),
            simulated_ms: (outcome.simulated_s * 1000.0) as u64,
            explicit: Some(recording),
            failed,
        }
    }
}
