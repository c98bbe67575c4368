//! `schism replay`: does a recorded run still go the same way?

use super::exit::{Exit, Failure};
use super::named::{Named, named};
use super::recordings::{build, trace_beside};
use super::terminal::Terminal;
use super::{Which, options};
use clap::Args;
use schism::report::recording::RecordedTrace;
use schism::report::style::Style;
use schism::report::{self, event, json, outcome};
use schism::run::{Outcome, Verdict, run};
use schism::scenario::{Recorded, Scenario};
use schism::stories::recording::Recording;
use schism::stories::{self, StoryFile};
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

/// A recorded run that was run again.
struct Replayed {
    /// The run, for people.
    text: String,
    /// The run, for scripts.
    json: String,
    result: Went,
    /// The meaning of `result` for people, and a possible reason.
    said: Vec<String>,
    first_diverging_event: Option<String>,
    same_build: Option<bool>,
    exit: Exit,
}

impl Replay {
    /// Runs the recording and compares.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let file = self.file.display().to_string();
        let replayed = match named(&file)? {
            Named::Story(story, _) => variant(&story, &file)?,
            Named::Scenario(scenario) => self.system(&scenario, &file, terminal.style)?,
        };
        let Replayed { result, first_diverging_event, same_build, .. } = replayed;
        if terminal.json {
            terminal.line(&replayed.json)?;
            terminal.line(&json::line("replay", Line { file, result, first_diverging_event, same_build }))?;
        } else {
            terminal.print(&replayed.text)?;
            replayed.said.iter().try_for_each(|line| terminal.line(line))?;
        }
        Ok(replayed.exit)
    }

    /// Runs a system again under the schedule and the script of a recorded run.
    fn system(&self, scenario: &Scenario, file: &str, style: Style) -> Result<Replayed, Failure> {
        let Some(explicit) = &scenario.explicit else {
            return Err(Failure::input(format!("{file} carries no recorded run; start one with: schism run {file}")));
        };
        let recorded_with: System = System::named(&explicit.system).map_err(|_| {
            Failure::input(format!("{file} was recorded with `{}`, which is no system here", explicit.system))
        })?;
        let system = self.which.named().unwrap_or(recorded_with);
        let now = run(scenario, system, explicit.seed, &options(self.check_steps))?;
        // Another system behaves differently, which says nothing about the build.
        let trace = if system == recorded_with { trace_beside(&self.file)? } else { None };
        let same_build = trace.as_ref().map(|recorded| recorded.build == build());
        let recorded = &explicit.verdict;
        let result = compare(recorded, &now.outcome);
        let differs = |recorded: RecordedTrace| event::what_differs(&recorded.trace, &now.trace);
        let first_diverging_event = trace.filter(|_| result != Went::Identical).map(differs);
        let was = if recorded.checks.is_empty() { recorded.verdict.clone() } else { recorded.checks.join(", ") };
        let mut said = vec![match result {
            Went::Identical => "identical: every event, verdict and counter is as recorded".to_string(),
            Went::Diverged => format!("diverged: the verdict is as recorded ({was}), the events are not"),
            Went::DifferentViolation => format!("different violation: recorded was {was}"),
            Went::Passes => format!("passes now: recorded was {was}"),
        }];
        if result != Went::Identical {
            let unknown = "no trace is beside the file, so the first event that differs is not known";
            said.push(first_diverging_event.clone().unwrap_or_else(|| unknown.into()));
            match same_build {
                _ if !system.repeats() => said.push("in real time no two runs are the same".into()),
                Some(true) => said.push("this very build made the recording: that is nondeterminism".into()),
                _ => {}
            }
        }
        let exit = exit(recorded, result, same_build.filter(|_| system.repeats()), now.outcome.verdict);
        let (text, json) = (outcome::outcome(&now.outcome, style), json::outcome(&now.outcome));
        Ok(Replayed { text, json, result, said, first_diverging_event, same_build, exit })
    }
}

/// Runs a recorded variant of a story again: 0 if every event and measurement is as recorded, else 1.
fn variant(story: &StoryFile, file: &str) -> Result<Replayed, Failure> {
    let Some(Recording { setup, digest }) = &story.recording else {
        let help = "record one with: schism compare NAME --out FOLDER";
        return Err(Failure::input(format!("{file} carries no recorded run; {help}")));
    };
    let now = stories::run_setup(&*story.model, setup.clone())?;
    let text = format!("{}, {}, digest {}\n", story.name, now.setup.variant, now.digest);
    let (result, said, exit) = match now.digest == *digest {
        true => (Went::Identical, "identical: every event and measurement is as recorded".into(), Exit::Expected),
        false => (Went::Diverged, format!("diverged: recorded was {digest}"), Exit::Violation),
    };
    let json = report::story::variant(story, &now);
    let (said, first_diverging_event, same_build) = (vec![said], None, None);
    Ok(Replayed { text, json, result, said, first_diverging_event, same_build, exit })
}

/// How a run went, compared with what was recorded.
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
