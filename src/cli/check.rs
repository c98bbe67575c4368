//! `schism check`: is a history, of whatever system, linearizable?

use super::Jobs;
use super::exit::{Exit, Failure};
use super::histories::{self, Form};
use super::terminal::Terminal;
use clap::Args;
use schism::check::linearizability::weaker::{Staleness, Weaker, weaker};
use schism::check::linearizability::{
    Answer, Budget, Engine, Options, Report, Verdict, Witness, check_columns, explain, verify,
};
use schism::history::Columns;
use schism::report::json;
use schism::report::style::WIDTH;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `schism check`.
#[derive(Args)]
pub struct Check {
    /// Histories: JSON lines, Jepsen's EDN, etcd's Jepsen logs or porcupine's text, gzipped or not; `-` is
    /// standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The form of the files [default: each as it looks].
    #[arg(long, value_enum)]
    input: Option<Form>,
    /// Budget of the search per key, in steps; when it ends the verdict is unknown. Keys whose values are unique
    /// need none.
    #[arg(long, value_name = "STEPS")]
    check_steps: Option<u64>,
    /// Memory for situations that the search remembers, over all keys at a time, in MiB; when it is full the verdict is unknown.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    check_memory: u32,
    #[command(flatten)]
    jobs: Jobs,
    /// Confirm each verdict by its proof: replay the order of every key that passes, and refute every order of one
    /// that does not. Exit 70 if a proof does not hold.
    #[arg(long)]
    verify: bool,
    /// Draw the first violation into this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// More violated keys than this are counted, not told.
const TOLD: usize = 3;

/// Steps that may go into saying what still holds, per key.
const WEAKER_STEPS: u64 = 200_000;

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    verdict: &'static str,
    operations: usize,
    read_s: f64,
    check_s: f64,
    keys: usize,
    keys_violated: usize,
    keys_unknown: usize,
    keys_searched: usize,
    steps: u64,
    witness: Option<&'a Witness>,
    still_holds: Option<&'a Weaker>,
    verified: Option<bool>,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    violations: usize,
    unknown: usize,
    operations: usize,
}

impl Check {
    /// Checks one file after another.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let mut summary = Summary { files: self.files.len(), violations: 0, unknown: 0, operations: 0 };
        let mut proven = true;
        for file in &self.files {
            let started = Instant::now();
            let columns = histories::read(file, self.input, terminal)?;
            let read_s = started.elapsed().as_secs_f64();
            let started = Instant::now();
            let report = check_columns(&columns, self.options());
            let check_s = started.elapsed().as_secs_f64();
            let verified = self.verify.then(|| verify::confirms(&columns, &report));
            proven &= !matches!(verified, Some(Err(_)));
            summary.operations += columns.len();
            match report.verdict {
                Verdict::Linearizable => {}
                Verdict::Violation { .. } => summary.violations += 1,
                Verdict::Unknown => summary.unknown += 1,
            }
            let times = [read_s, check_s];
            if terminal.json {
                terminal.line(&line(file, &columns, &report, times, verified.as_ref()))?;
            } else {
                tell(file, &columns, &report, times, verified.as_ref(), terminal)?;
            }
            if let (Some(path), Verdict::Violation { witness }) = (&self.svg, &report.verdict) {
                std::fs::write(path, explain::svg(&columns, witness))?;
                terminal.remark(&format!("drawn: {}", path.display()))?;
            }
        }
        if terminal.json && summary.files > 1 {
            terminal.line(&json::line("checks", &summary))?;
        }
        Ok(match (proven, summary.violations, summary.unknown) {
            (false, ..) => Exit::Harness,
            (_, 0, 0) => Exit::Expected,
            (_, 0, _) => Exit::Inconclusive,
            _ => Exit::Violation,
        })
    }

    fn options(&self) -> Options {
        let jobs = self.jobs.count();
        let mut budget = Budget::default();
        budget.memory_bytes = (self.check_memory as usize).saturating_mul(1 << 20) / jobs;
        budget.steps = self.check_steps.unwrap_or(budget.steps);
        Options { budget, orders: self.verify, jobs }
    }
}

fn line(
    file: &str,
    columns: &Columns,
    report: &Report,
    [read_s, check_s]: [f64; 2],
    verified: Option<&Result<(), String>>,
) -> String {
    let (witness, verdict) = match &report.verdict {
        Verdict::Linearizable => (None, "linearizable"),
        Verdict::Violation { witness } => (Some(&**witness), "violation"),
        Verdict::Unknown => (None, "unknown"),
    };
    let still_holds = witness.map(|witness| still_holds(columns, witness));
    json::line(
        "check",
        Line {
            file,
            verdict,
            operations: columns.len(),
            read_s,
            check_s,
            keys: report.keys.len(),
            keys_violated: report.witnesses().count(),
            keys_unknown: unknown(report),
            keys_searched: report.keys.iter().filter(|key| key.engine != Engine::Zones).count(),
            steps: report.keys.iter().map(|key| key.steps).sum(),
            witness,
            still_holds: still_holds.as_ref(),
            verified: verified.map(|verified| verified.is_ok()),
        },
    )
}

fn unknown(report: &Report) -> usize {
    report.keys.iter().filter(|key| key.answer == Answer::Unknown).count()
}

fn still_holds(columns: &Columns, witness: &Witness) -> Weaker {
    weaker(columns, witness.key, Budget { steps: WEAKER_STEPS, ..Budget::default() })
}

/// Tells people.
fn tell(
    file: &str,
    columns: &Columns,
    report: &Report,
    [read_s, check_s]: [f64; 2],
    verified: Option<&Result<(), String>>,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let size = format!("{} on {}", count(columns.len(), "operation"), count(report.keys.len(), "key"));
    let times = format!("read in {}, checked in {}", duration(read_s), duration(check_s));
    let searched: u64 = report.keys.iter().map(|key| key.steps).sum();
    let steps = if searched > 0 { format!(", {searched} steps of search") } else { String::new() };
    let verdict = match report.verdict {
        Verdict::Linearizable => "linearizable".to_owned(),
        Verdict::Violation { .. } => {
            format!("NOT linearizable: no order explains {}", count(report.witnesses().count(), "key"))
        }
        Verdict::Unknown => format!(
            "unknown: the budget ended before {} could be decided (raise --check-steps or --check-memory)",
            count(unknown(report), "key")
        ),
    };
    terminal.line(&format!("{file}: {verdict}"))?;
    for witness in report.witnesses().take(TOLD) {
        let picture = explain::diagram(columns, witness, WIDTH - 2, terminal.style.unicode);
        terminal.line(&format!("\n  {}: {}\n", columns.key_text(witness.key.0), witness.sentence))?;
        for line in picture.lines() {
            terminal.line(&format!("  {line}"))?;
        }
        terminal.line(&format!("\n  {}", holds(&still_holds(columns, witness))))?;
    }
    if let more @ 1.. = report.witnesses().count().saturating_sub(TOLD) {
        terminal.line(&format!("\n  and {}", count(more, "more key")))?;
    }
    match verified {
        Some(Ok(())) => terminal.line("  every verdict was confirmed by its proof")?,
        Some(Err(why)) => terminal.line(&format!("  A PROOF DOES NOT HOLD: {why}"))?,
        None => {}
    }
    terminal.line(&format!("  {size}; {times}{steps}"))
}

/// What still holds, in one line.
fn holds(weaker: &Weaker) -> String {
    let yes = [
        (weaker.sequential, "sequential consistency of the key"),
        (weaker.monotonic_reads, "monotonic reads"),
        (weaker.read_your_writes, "read your writes"),
    ];
    let list = |wanted: Option<bool>| -> Vec<&str> {
        yes.iter().filter(|(holds, _)| *holds == wanted).map(|(_, name)| *name).collect()
    };
    let mut parts = Vec::new();
    for (wanted, word) in [(Some(true), "still holds"), (Some(false), "broken"), (None, "not decided")] {
        let names = list(wanted);
        if !names.is_empty() {
            parts.push(format!("{word}: {}", names.join(", ")));
        }
    }
    parts.push(match weaker.staleness {
        Staleness::Exactly(values) => format!("reads were up to {} behind", count(values as usize - 1, "value")),
        Staleness::AtLeast(values) => format!("some read was at least {} behind", count(values as usize - 1, "value")),
        Staleness::Never => "no staleness explains it".to_owned(),
        Staleness::Unknown => "staleness not decided".to_owned(),
    });
    parts.join("; ")
}

/// `1 key`, `2 keys`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}
