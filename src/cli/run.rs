//! `schism run`: one system under one seed.

use super::determinism;
use super::exit::{Exit, Failure};
use super::recordings::{self, quoted};
use super::terminal::Terminal;
use super::unwritten::{ELSEWHERE, Unwritten};
use super::{OneSeed, Subject, Which};
use clap::Args;
use schism::report::page::page;
use schism::report::{json, outcome, recording, timeline};
use schism::run::{Verdict, run};
use std::path::PathBuf;

/// Arguments of `schism run`.
#[derive(Args)]
pub struct RunOne {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    seed: OneSeed,
    /// Show the run as a picture as well.
    #[arg(long)]
    timeline: bool,
    /// Run it again after other seeds, on another thread and in a fresh process; exit 70 unless every
    /// digest is the same, and name the first event that differs.
    #[arg(long)]
    check_determinism: bool,
    /// Write the run in explicit form to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the run in explicit form into sims/regressions/.
    #[arg(long)]
    save: bool,
    /// Do not write a failing run to target/schism/.
    #[arg(long)]
    no_record: bool,
    /// Write the events to this file, in the form that replay reads.
    #[arg(long, value_name = "FILE")]
    trace_out: Option<PathBuf>,
    /// Write the run as a page to look into: one HTML file that needs no server.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl RunOne {
    /// Runs, prints, records.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = self.subject.load()?;
        let options = self.subject.options();
        let system = self.which.or_that_of(&scenario)?;
        let done = run(&scenario, system, self.seed.seed, &options)?;
        // A file that cannot be written is reported, and never in place of the verdict.
        let mut unwritten = Unwritten::default();
        let mut is_recorded = false;
        if let Some(path) = &self.trace_out {
            let written = recording::save_trace(&done.trace, recordings::build(), path);
            unwritten.attempt(written.map_err(Failure::from), "name another file with --trace-out")?;
        }
        let identical = if self.check_determinism {
            let again = determinism::Again {
                argument: &self.subject.scenario,
                scenario: &scenario,
                system,
                seed: self.seed.seed,
                options: &options,
            };
            again.check(&done, terminal)?
        } else {
            true
        };
        if !terminal.json {
            terminal.print(&outcome::outcome(&done.outcome, terminal.style))?;
            if self.timeline {
                let picture = timeline::timeline(std::slice::from_ref(&done), terminal.style);
                terminal.print(&format!("\n{picture}"))?;
            }
        }
        if let Some(path) = &self.out {
            let written = recording::save(&done, path).map_err(Failure::from);
            is_recorded = unwritten.attempt(written, "name another file with --out")?.is_some();
            if is_recorded {
                terminal.remark(&format!("recorded: {}", recordings::replay_command(path)))?;
            }
        }
        if self.save {
            let saved = recordings::save_regression(&done, &recording::file_name(&done));
            if let Some(path) = unwritten.attempt(saved, "name a file with --out instead")? {
                terminal.remark(&format!("saved: {}", recordings::replay_command(&path)))?;
            }
        }
        // If the named file cannot be written, the default one is better than none.
        let is_to_be_kept = done.outcome.verdict == Verdict::Violation && !is_recorded && !self.no_record;
        if is_to_be_kept && let Some(path) = unwritten.attempt(recordings::keep(&done), ELSEWHERE)? {
            terminal.remark(&format!("again: {}", recordings::replay_command(&path)))?;
            terminal.remark(&format!("smaller: {}", recordings::shrink_command(&path)))?;
        }
        if let Some(path) = &self.html {
            let (scenario, seed) = (recordings::portable(&self.subject.scenario), self.seed.seed);
            let command = format!("schism run {scenario} --system {} --seed {seed}", quoted(&done.outcome.system));
            let page = page(std::slice::from_ref(&done), None, &command);
            unwritten.attempt(recordings::write_page(&page, path, terminal), "name another file with --html")?;
        }
        if terminal.json {
            terminal.line(&json::outcome(&done.outcome))?;
        }
        Ok(if identical { unwritten.exit(done.outcome.verdict.into()) } else { Exit::Harness })
    }
}
