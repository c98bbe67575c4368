//! `schism regressions`: do the kept runs still show what they were kept for?

use super::exit::{Exit, Failure};
use super::named::load;
use super::recordings::{self, REGRESSIONS};
use super::replay::{Went, compare};
use super::terminal::Terminal;
use clap::Args;
use schism::report::style::{Tone, WIDTH, count, hang, wrap};
use schism::report::{event, json};
use schism::run::{Options, Run, run};
use schism::scenario::{Recorded, Scenario};
use schism::systems::System;
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Arguments of `schism regressions`.
#[derive(Args)]
pub struct Regressions {
    /// The folder whose recorded runs are replayed.
    #[arg(default_value = REGRESSIONS)]
    folder: PathBuf,
    /// Write today's events over those of runs that have drifted; never over one that has rotted.
    #[arg(long)]
    refresh: bool,
    /// Budget of the search checker, in steps; when it ends the verdict is inconclusive.
    #[arg(long, value_name = "STEPS")]
    check_steps: Option<u64>,
}

/// The state of a kept run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Every event, verdict and counter is as recorded.
    Holds,
    /// The same checks fail, after other events.
    Drifted,
    /// The recorded violation does not show any more, or another does.
    Rotted,
    /// The file cannot be used.
    Unreadable,
}

#[derive(Serialize)]
struct Line {
    file: String,
    state: State,
    refreshed: bool,
    why: Option<String>,
    first_diverging_event: Option<String>,
}

#[derive(Default, Serialize)]
struct Summary {
    files: usize,
    holds: usize,
    drifted: usize,
    rotted: usize,
    unreadable: usize,
    refreshed: usize,
}

/// A kept run and its state.
struct Judged {
    state: State,
    why: Option<String>,
    run: Option<Run>,
}

impl Regressions {
    /// Replays every file and prints a line for each.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if self.refresh {
            recordings::refuse_in_ci("--refresh", "")?;
        }
        let mut summary = Summary::default();
        for file in files(&self.folder)? {
            let Judged { state, why, run } = self.judge(&file);
            let first_diverging_event =
                run.as_ref().filter(|_| state != State::Holds).and_then(|run| parts(&file, run));
            let refreshed = match run.filter(|_| state == State::Drifted && self.refresh) {
                Some(run) => recordings::write(&run, &file).map(|()| true)?,
                None => false,
            };
            summary.count(state, refreshed);
            let file = file.display().to_string();
            print(Line { file, state, refreshed, why, first_diverging_event }, terminal)?;
        }
        let good = summary.rotted + summary.unreadable == 0;
        if terminal.json {
            terminal.line(&json::line("regressions", summary))?;
        } else {
            let Summary { files, holds, drifted, rotted, unreadable, refreshed } = summary;
            let refreshed = if self.refresh { format!(", {refreshed} refreshed") } else { String::new() };
            let counts =
                format!("{holds} hold, {drifted} drifted, {rotted} rotted, {unreadable} unreadable{refreshed}");
            let files = count(files as u64, "file");
            terminal.line(&wrap(&format!("{files} in {}: {counts}", self.folder.display()), WIDTH, 2))?;
        }
        Ok(if good { Exit::Expected } else { Exit::Violation })
    }

    fn judge(&self, file: &Path) -> Judged {
        let unreadable = |why: String| Judged { state: State::Unreadable, why: Some(why), run: None };
        let (scenario, system, seed) = match read(file) {
            Ok(kept) => kept,
            Err(why) => return unreadable(why),
        };
        let recorded = &scenario.explicit.as_ref().expect("it was just read").verdict;
        let mut options = Options::default();
        options.budget.steps = self.check_steps.unwrap_or(options.budget.steps);
        // A kept run may be one that panicked, or does now: that must not hide the others.
        match catch_unwind(AssertUnwindSafe(|| run(&scenario, system, seed, &options))) {
            Ok(Ok(now)) => {
                let (state, why) = state(recorded, &now);
                Judged { state, why, run: Some(now) }
            }
            Ok(Err(error)) => unreadable(error.to_string()),
            Err(_) => Judged {
                state: State::Rotted,
                why: Some(format!("recorded was {}, now it panics", said(recorded))),
                run: None,
            },
        }
    }
}

/// Where a run parts from its recording, if the recording has a trace.
fn parts(file: &Path, now: &Run) -> Option<String> {
    match recordings::trace_beside(file) {
        Ok(recorded) => event::divergence(&recorded?.trace, &now.trace),
        // An error in a trace, which only serves to explain, must not hide the verdict.
        Err(failure) => Some(failure.into_text()),
    }
}

/// The recorded runs of a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        let folder = folder.display();
        Failure::input(format!("{folder}: {error}; name a folder of recorded runs, such as `run --save` writes"))
    })?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<(Scenario, System, u64), String> {
    let scenario = load(&file.display().to_string()).map_err(Failure::into_text)?;
    let Some(explicit) = &scenario.explicit else {
        return Err("it carries no recorded run; `schism run --save` writes one that does".into());
    };
    let system = System::named(&explicit.system)?;
    let seed = explicit.seed;
    Ok((scenario, system, seed))
}

fn said(recorded: &Recorded) -> String {
    if recorded.checks.is_empty() { recorded.verdict.clone() } else { recorded.checks.join(", ") }
}

fn state(recorded: &Recorded, now: &Run) -> (State, Option<String>) {
    let outcome = &now.outcome;
    let now =
        if outcome.violations.is_empty() { outcome.verdict.name().into() } else { outcome.failed_checks().join(", ") };
    match compare(recorded, outcome) {
        Went::Identical => (State::Holds, None),
        Went::Diverged if recorded.verdict == outcome.verdict.name() => {
            (State::Drifted, Some(format!("{now} as recorded, after other events")))
        }
        _ => (State::Rotted, Some(format!("recorded was {}, now it is {now}", said(recorded)))),
    }
}

fn print(line: Line, terminal: &mut Terminal) -> Result<(), Failure> {
    if terminal.json {
        return terminal.line(&json::line("regression", line));
    }
    let (tone, word) = match line.state {
        State::Holds => (Tone::Good, "holds"),
        State::Drifted => (Tone::Warn, "drifted"),
        State::Rotted => (Tone::Bad, "rotted"),
        State::Unreadable => (Tone::Bad, "unreadable"),
    };
    let refreshed = if line.refreshed { " (refreshed)" } else { "" };
    terminal.line(&format!("{} {}{refreshed}", terminal.style.paint(tone, &format!("{word:<10}")), line.file))?;
    for remark in line.why.iter().chain(&line.first_diverging_event) {
        terminal.line(&hang("           ", remark, 11))?;
    }
    Ok(())
}

impl Summary {
    fn count(&mut self, state: State, refreshed: bool) {
        self.files += 1;
        self.refreshed += usize::from(refreshed);
        *match state {
            State::Holds => &mut self.holds,
            State::Drifted => &mut self.drifted,
            State::Rotted => &mut self.rotted,
            State::Unreadable => &mut self.unreadable,
        } += 1;
    }
}
