//! `schism replay`: does a recorded run still go the same way?

use super::exit::{Exit, Failure};
use super::recordings::{build, trace_beside};
use super::story;
use super::terminal::Terminal;
use super::{Which, load};
use clap::Args;
use schism::report::{event, json, outcome};
use schism::run::{Options, Outcome, Run, Verdict, run};
use schism::scenario::Recorded;
use schism::systems::System;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Arguments of `schism replay`.
#[derive(Args)]
pub struct Replay {
    /// A scenario file that carries a recorded run.
    file: PathBuf,
    /// Replay the schedule and the script with another system than the recorded one.
    #[command(flatten)]
    which: Which,
    /// Budget of the search checker, in steps; when it ends the verdict is inconclusive.
    #[arg(long, value_name = "STEPS")]
    check_steps: Option<u64>,
}

/// How a replay went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Went {
    /// Every event, verdict and counter is the same.
    Identical,
    /// The verdict is the same, the events are not.
    Diverged,
    /// Other checks fail than were recorded.
    DifferentViolation,
    /// A violation was recorded, and no check fails now.
    Passes,
}

#[derive(Serialize)]
struct Line {
    file: String,
    result: Went,
    first_diverging_event: Option<String>,
    same_build: Option<bool>,
}

impl Replay {
    /// Runs the recording and compares.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let file = self.file.display().to_string();
        if let Some(story) = story::named(&file)? {
            return story::replay(&story, &file, terminal);
        }
        let scenario = load(&file)?;
        let Some(explicit) = &scenario.explicit else {
            return Err(Failure::input(format!("{file} carries no recorded run; start one with: schism run {file}")));
        };
        let recorded_with: System = explicit.system.parse().map_err(|_| {
            Failure::input(format!("{file} was recorded with `{}`, which is no system here", explicit.system))
        })?;
        let system = self.which.named().unwrap_or(recorded_with);
        let mut options = Options::default();
        if let Some(steps) = self.check_steps {
            options.budget.steps = steps;
        }
        let now = run(&scenario, system, explicit.seed, &options)?;
        // Another system goes another way, and that says nothing about the build.
        let recorded = if system == recorded_with { trace_beside(&self.file)? } else { None };
        let same_build = recorded.as_ref().map(|recorded| recorded.build == build());
        let went = compare(&explicit.verdict, &now.outcome);
        let diverges = (went != Went::Identical)
            .then(|| recorded.map(|recorded| event::what_differs(&recorded.trace, &now.trace)));
        self.print(&explicit.verdict, went, diverges.flatten(), same_build, &now, terminal)?;
        Ok(exit(&explicit.verdict, went, same_build, now.outcome.verdict))
    }

    fn print(
        &self,
        recorded: &Recorded,
        result: Went,
        first_diverging_event: Option<String>,
        same_build: Option<bool>,
        now: &Run,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let file = self.file.display().to_string();
        if terminal.json {
            terminal.line(&json::outcome(&now.outcome))?;
            return terminal.line(&json::line("replay", Line { file, result, first_diverging_event, same_build }));
        }
        terminal.print(&outcome::outcome(&now.outcome, terminal.style))?;
        let was = if recorded.checks.is_empty() { recorded.verdict.clone() } else { recorded.checks.join(", ") };
        terminal.line(&match result {
            Went::Identical => "identical: every event, verdict and counter is as recorded".into(),
            Went::Diverged => format!("diverged: the verdict is as recorded ({was}), the events are not"),
            Went::DifferentViolation => format!("different violation: recorded was {was}"),
            Went::Passes => format!("passes now: recorded was {was}"),
        })?;
        if let Some(event) = first_diverging_event {
            terminal.line(&event)?;
        } else if result != Went::Identical {
            terminal.line("no trace lies beside the file, so the first event that differs is not known")?;
        }
        if same_build == Some(true) && result != Went::Identical {
            terminal.line("this very build made the recording: that is nondeterminism")?;
        }
        Ok(())
    }
}

/// How a run went, beside what was recorded.
pub fn compare(recorded: &Recorded, now: &Outcome) -> Went {
    if recorded.digest == now.digest {
        return Went::Identical;
    }
    let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    let found = sorted(&now.failed_checks());
    if sorted(&recorded.checks) == found {
        Went::Diverged
    } else if found.is_empty() {
        Went::Passes
    } else {
        Went::DifferentViolation
    }
}

/// 1 when the recorded violation shows again, 0 when it passes now, 70 when the build that made the
/// recording gives another verdict.
fn exit(recorded: &Recorded, went: Went, same_build: Option<bool>, now: Verdict) -> Exit {
    let other_verdict = match went {
        Went::Identical => false,
        Went::Diverged => recorded.verdict != now.name(),
        Went::DifferentViolation | Went::Passes => true,
    };
    if other_verdict && same_build == Some(true) { Exit::Harness } else { now.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schism::trace::digest::Digest;

    fn recorded(checks: &[&str]) -> Recorded {
        let verdict = if checks.is_empty() { "pass" } else { "violation" };
        Recorded {
            verdict: verdict.into(),
            checks: checks.iter().map(|check| check.to_string()).collect(),
            digest: Digest(1),
        }
    }

    #[test]
    fn the_exit_code_says_whether_the_violation_shows_again() {
        let violation = recorded(&["split_brain"]);
        let code = |went, same_build, now| exit(&violation, went, same_build, now);
        assert_eq!(code(Went::Identical, Some(true), Verdict::Violation), Exit::Violation);
        assert_eq!(code(Went::Diverged, None, Verdict::Violation), Exit::Violation);
        assert_eq!(code(Went::Passes, None, Verdict::Pass), Exit::Expected);
        assert_eq!(code(Went::Passes, Some(false), Verdict::Pass), Exit::Expected);
        assert_eq!(code(Went::Passes, Some(false), Verdict::Inconclusive), Exit::Inconclusive);
        assert_eq!(code(Went::Passes, Some(true), Verdict::Pass), Exit::Harness);
        assert_eq!(code(Went::DifferentViolation, Some(true), Verdict::Violation), Exit::Harness);
        assert_eq!(code(Went::DifferentViolation, None, Verdict::Violation), Exit::Violation);
        let pass = recorded(&[]);
        assert_eq!(exit(&pass, Went::Diverged, Some(true), Verdict::Inconclusive), Exit::Harness);
        assert_eq!(exit(&pass, Went::Identical, None, Verdict::Pass), Exit::Expected);
    }
}
