//! `--check-determinism`: the same run again, with everything different that must not matter.

use super::exit::Failure;
use super::recordings::build;
use super::terminal::Terminal;
use schism::report::style::Tone;
use schism::report::{event, json, recording};
use schism::run::{Options, Outcome, Run, repeat, run};
use schism::scenario::Scenario;
use schism::systems::System;
use schism::trace::Trace;
use schism::trace::digest::Digest;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A run that is to be repeated.
pub struct Again<'a> {
    /// The scenario as named on the command line.
    pub argument: &'a str,
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The system.
    pub system: System,
    /// The seed.
    pub seed: u64,
    /// The options.
    pub options: &'a Options,
}

#[derive(Serialize)]
struct Line<'a> {
    circumstance: &'a str,
    identical: bool,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_diverging_event: Option<String>,
}

impl Again<'_> {
    /// Repeats the run in every circumstance, prints a line for each, and says whether all were identical.
    pub fn check(&self, first: &Run, terminal: &mut Terminal) -> Result<bool, Failure> {
        let again = |seed| run(self.scenario, self.system, seed, self.options);
        let mut all = true;
        for (circumstance, run) in repeat::in_process(self.seed, again)? {
            all &= report(first, circumstance, run.outcome.digest, &run.trace, terminal)?;
        }
        let (outcome, trace) = self.in_a_fresh_process()?;
        all &= report(first, "in a fresh process", outcome.digest, &trace, terminal)?;
        Ok(all)
    }

    /// In a new process with another home, time zone, folder and with logs on.
    fn in_a_fresh_process(&self) -> Result<(Outcome, Trace), Failure> {
        let folder = Scratch::new()?;
        let trace_path = folder.0.join("again.trace");
        // A name stays a name; a path must survive the change of folder.
        let argument = match std::fs::canonicalize(self.argument) {
            Ok(path) => path.display().to_string(),
            Err(_) => self.argument.to_string(),
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["run", &argument, "--system", self.system.name(), "--format", "json", "--no-record"]);
        command.args(["--seed", &self.seed.to_string(), "--check-steps", &self.options.budget.steps.to_string()]);
        command.arg("--trace-out").arg(&trace_path);
        command.current_dir(&folder.0).env("HOME", &folder.0).env("TZ", "Pacific/Chatham").env("SCHISM_LOG", "debug");
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let outcome = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let Some(outcome) = outcome else {
            return Err(Failure::Harness(format!("the run in a fresh process ended with {}", output.status)));
        };
        Ok((outcome, recording::load_trace(&trace_path)?.trace))
    }
}

fn report(
    first: &Run,
    circumstance: &str,
    digest: Digest,
    trace: &Trace,
    terminal: &mut Terminal,
) -> Result<bool, Failure> {
    let identical = first.outcome.digest == digest;
    let divergence = (!identical).then(|| event::what_differs(&first.trace, trace));
    if terminal.json {
        let line = Line { circumstance, identical, digest, first_diverging_event: divergence };
        terminal.line(&json::line("determinism", line))?;
    } else if let Some(divergence) = divergence {
        let text = format!("NOT deterministic {circumstance} (build {}): {divergence}", build());
        terminal.line(&terminal.style.paint(Tone::Bad, &text))?;
    } else {
        terminal.line(&format!("same digest {circumstance}"))?;
    }
    Ok(identical)
}

/// A folder of one's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("schism-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of its temporary folder.
        let _ = std::fs::remove_dir_all(Path::new(&self.0));
    }
}
