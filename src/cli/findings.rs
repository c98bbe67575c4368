//! What a sweep expects of its seeds, and which are not as expected.

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use clap::ValueEnum;
use schism::campaign::{Line, Pace};
use schism::report::json;
use schism::report::style::{WIDTH, wrap};
use schism::run::{Outcome, Verdict};
use schism::shrink::Symptom;
use schism::sweep::Summary;
use schism::sweep::coverage::Coverage;
use schism::sweep::log::{Entry, Log};
use serde::Serialize;

/// What a sweep expects.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Expect {
    /// No violation in any seed.
    Pass,
    /// A violation in every seed.
    Violation,
}

/// A seed that is not as expected.
#[derive(Serialize)]
pub struct Trouble {
    pub seed: u64,
    pub why: String,
    pub replay: String,
    /// Whether the harness failed, not the system.
    #[serde(skip)]
    pub is_of_the_harness: bool,
    /// What checks found, if they found a violation that is not expected.
    #[serde(skip)]
    pub symptoms: Vec<Symptom>,
}

/// What became of the seeds.
#[derive(Default)]
pub struct Found {
    /// Seeds that were as expected.
    pub fine: Vec<u64>,
    /// What is wrong with the others.
    pub troubles: Vec<Trouble>,
    /// What those of them that fail alike have in common, if that was asked for.
    pub signatures: Vec<Line>,
    /// Which situations the seeds met.
    pub coverage: Coverage,
    /// How fast the machines were, where that is known.
    pub paces: Vec<Pace>,
}

impl Trouble {
    /// What went wrong in the harness, not in the system.
    pub fn of_the_harness(seed: u64, why: String, replay: String) -> Trouble {
        Trouble { seed, why, replay, is_of_the_harness: true, symptoms: Vec::new() }
    }
}

impl Expect {
    /// What is wrong with an outcome, if anything is.
    pub fn complaint(self, outcome: &Outcome) -> Option<String> {
        match (outcome.verdict, self) {
            (Verdict::Violation, Expect::Violation) | (Verdict::Pass, Expect::Pass) => None,
            (Verdict::Pass, Expect::Violation) => Some("no violation".into()),
            (Verdict::Inconclusive, _) => Some(format!("inconclusive: {}", outcome.inconclusive.join("; "))),
            (Verdict::Violation, Expect::Pass) => Some(outcome.failed_checks().join(", ")),
        }
    }

    /// What checks found in a violation that is not expected.
    pub fn symptoms(self, outcome: &Outcome) -> Vec<Symptom> {
        if self == Expect::Pass && outcome.verdict == Verdict::Violation { Symptom::all(outcome) } else { Vec::new() }
    }

    /// An error of the harness outweighs everything: with it, no other figure can be trusted. A finding outweighs
    /// that the sweep was stopped, but seeds that did not run prove nothing.
    pub fn exit(self, summary: &Summary) -> Exit {
        let as_expected = match self {
            Expect::Pass => summary.violations == 0,
            Expect::Violation => summary.violations + summary.inconclusive == summary.seeds,
        };
        if summary.faults_of_the_harness() > 0 {
            Exit::Harness
        } else if !as_expected {
            Exit::Violation
        } else if summary.inconclusive + summary.not_run > 0 {
            Exit::Inconclusive
        } else {
            Exit::Expected
        }
    }
}

/// Prints what is wrong with a seed.
pub fn tell(trouble: &Trouble, terminal: &mut Terminal) -> Result<(), Failure> {
    if terminal.json {
        return terminal.line(&json::line("failure", trouble));
    }
    let text = format!("seed {}: {}", trouble.seed, trouble.why);
    terminal.line(&terminal.style.plain_text(&format!("{}\n  {}", wrap(&text, WIDTH, 2), trouble.replay)))
}

/// Adds what a log says to a summary, and returns which seeds are not as expected; `replay` gives the command that runs one.
pub fn recall(log: &Log, expect: Expect, summary: &mut Summary, replay: &dyn Fn(u64) -> String) -> Found {
    let mut found = Found::default();
    for (seed, entry) in &log.entries {
        let mut symptoms = Vec::new();
        let (why, is_of_the_harness) = match entry {
            Entry::Outcome(outcome) => {
                summary.add(outcome);
                found.coverage.add(outcome);
                symptoms = expect.symptoms(outcome);
                (expect.complaint(outcome), false)
            }
            Entry::NoOutcome(none) => {
                summary.add_none(none.how);
                (Some(none.why.clone()), true)
            }
        };
        match why {
            Some(why) => {
                found.troubles.push(Trouble { seed: *seed, why, replay: replay(*seed), is_of_the_harness, symptoms })
            }
            None => found.fine.push(*seed),
        }
    }
    for seed in &log.contradictions {
        summary.add_compared(*seed, false);
        let why = "not deterministic: two lines of this seed have two digests".into();
        found.troubles.push(Trouble::of_the_harness(*seed, why, replay(*seed)));
    }
    found
}
