//! `schism check`: is a history, of any system, linearizable?

use super::Jobs;
use super::exit::{Exit, Failure};
use super::histories::Reading;
use super::terminal::Terminal;
use super::unwritten::Unwritten;
use clap::Args;
use schism::check::linearizability::explain::{self, Extent};
use schism::check::linearizability::verify::{self, Unconfirmed};
use schism::check::linearizability::weaker::{Staleness, Weaker, weaker};
use schism::check::linearizability::{Budget, Decision, Engine, Options, Report, Verdict, Witness, check_columns};
use schism::history::Columns;
use schism::history::formats::Initial;
use schism::report::file::write_whole;
use schism::report::json;
use schism::report::style::{WIDTH, hang};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `schism check`.
#[derive(Args)]
pub struct Check {
    /// Histories: JSON lines, Jepsen's EDN, etcd's Jepsen logs or porcupine's text, gzipped or not; `-` is
    /// standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    reading: Reading,
    /// Budget of the search per key, in steps; when it ends the verdict is unknown. Keys whose values are unique
    /// need none.
    #[arg(long, value_name = "STEPS")]
    check_steps: Option<u64>,
    /// Memory for situations that the search remembers, over all keys at a time, in MiB: each job has its share. When
    /// that is full the verdict is unknown.
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    check_memory: u32,
    #[command(flatten)]
    jobs: Jobs,
    /// Confirm each verdict by its proof: replay the order of every key that passes, and refute every order of one
    /// that does not. Exit 70 if a proof does not hold; a proof that is too long to go through again is told as not
    /// verified and leaves the verdict as it is.
    #[arg(long)]
    verify: bool,
    /// Draw the first violation into this SVG file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Tell and draw every operation of an argument, however long, and every key that is violated.
    #[arg(long)]
    all: bool,
    /// What keys hold before the first operation: a whole number, or a text in double quotes, for every key or, as
    /// KEY=VALUE, for one. May be given several times [default: nothing, keys are absent].
    #[arg(long, value_name = "[KEY=]VALUE", value_parser = Initial::parse, allow_hyphen_values = true)]
    initial: Vec<Initial>,
}

/// More violated keys than this are counted, not listed.
const TOLD: usize = 3;

/// Steps per key for finding out which weaker models still hold.
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
    verification: Option<&'static str>,
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
        let mut unwritten = Unwritten::default();
        self.spares_its_input()?;
        for file in &self.files {
            let started = Instant::now();
            let mut columns = self.reading.read(file, terminal)?;
            let operations = columns.len();
            Initial::apply(&self.initial, &mut columns)
                .map_err(|error| Failure::input(format!("{file}: --initial: {error}")))?;
            let read_s = started.elapsed().as_secs_f64();
            let started = Instant::now();
            let report = check_columns(&columns, self.options());
            let check_s = started.elapsed().as_secs_f64();
            let verified = self.verify.then(|| verify::confirms(&columns, &report));
            proven &= !matches!(verified, Some(Err(Unconfirmed::Wrong(_))));
            summary.operations += operations;
            match report.verdict {
                Verdict::Linearizable => {}
                Verdict::Violation { .. } => summary.violations += 1,
                Verdict::Unknown => summary.unknown += 1,
            }
            let judged = Judged { file, columns: &columns, operations, report: &report, read_s, check_s, verified };
            if terminal.json {
                terminal.line(&judged.line())?;
            } else {
                judged.tell(self.extent(), terminal)?;
            }
            if let (Some(path), Verdict::Violation { witness }) = (&self.svg, &report.verdict) {
                let drawn = write_whole(path, explain::svg(&columns, witness, self.extent())).map_err(Failure::from);
                if unwritten.attempt(drawn, "name another file with --svg")?.is_some() {
                    terminal.remark(&format!("drawn: {}", path.display()))?;
                }
            }
        }
        if terminal.json && summary.files > 1 {
            terminal.line(&json::line("checks", &summary))?;
        }
        Ok(unwritten.exit(match (proven, summary.violations, summary.unknown) {
            (false, ..) => Exit::Harness,
            (_, 0, 0) => Exit::Expected,
            (_, 0, _) => Exit::Inconclusive,
            _ => Exit::Violation,
        }))
    }

    fn extent(&self) -> Extent {
        if self.all { Extent::All } else { Extent::Core }
    }

    /// The picture must not overwrite a history.
    fn spares_its_input(&self) -> Result<(), Failure> {
        let Some(picture) = self.svg.as_ref().and_then(|path| path.canonicalize().ok()) else { return Ok(()) };
        let same = self.files.iter().find(|file| Path::new(file).canonicalize().is_ok_and(|path| path == picture));
        same.map_or(Ok(()), |file| {
            Err(Failure::Usage(format!("--svg would overwrite the history {file}; name another file")))
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

/// One file and what was found about it.
struct Judged<'a> {
    file: &'a str,
    columns: &'a Columns,
    /// How many the file has.
    operations: usize,
    report: &'a Report,
    read_s: f64,
    check_s: f64,
    /// Whether the proofs were confirmed, if requested.
    verified: Option<Result<(), Unconfirmed>>,
}

fn unknown(report: &Report) -> usize {
    report.keys.iter().filter(|key| key.answer == Decision::Unknown).count()
}

fn still_holds(columns: &Columns, witness: &Witness) -> Weaker {
    weaker(columns, witness.key, Budget { steps: WEAKER_STEPS, ..Budget::default() })
}

impl Judged<'_> {
    /// As a line of JSON.
    fn line(&self) -> String {
        let report = self.report;
        let (witness, verdict) = match &report.verdict {
            Verdict::Linearizable => (None, "linearizable"),
            Verdict::Violation { witness } => (Some(&**witness), "violation"),
            Verdict::Unknown => (None, "unknown"),
        };
        let still_holds = witness.map(|witness| still_holds(self.columns, witness));
        json::line(
            "check",
            Line {
                file: self.file,
                verdict,
                operations: self.operations,
                read_s: self.read_s,
                check_s: self.check_s,
                keys: report.keys.len(),
                keys_violated: report.witnesses().count(),
                keys_unknown: unknown(report),
                keys_searched: report.keys.iter().filter(|key| key.engine == Engine::Search).count(),
                steps: report.keys.iter().map(|key| key.steps).sum(),
                witness,
                still_holds: still_holds.as_ref(),
                // Neither true nor false where the verifier's budget ended.
                verified: self.verified.as_ref().and_then(|verified| match verified {
                    Ok(()) => Some(true),
                    Err(Unconfirmed::Wrong(_)) => Some(false),
                    Err(Unconfirmed::Budget(_)) => None,
                }),
                verification: self.verified.as_ref().map(|verified| match verified {
                    Ok(()) => "confirmed",
                    Err(Unconfirmed::Wrong(_)) => "wrong",
                    Err(Unconfirmed::Budget(_)) => "budget",
                }),
            },
        )
    }

    /// For people.
    fn tell(&self, extent: Extent, terminal: &mut Terminal) -> Result<(), Failure> {
        let Judged { file, report, .. } = self;
        let size = format!("{} on {}", count(self.operations, "operation"), count(report.keys.len(), "key"));
        let times = format!("read in {}, checked in {}", duration(self.read_s), duration(self.check_s));
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
        terminal.line(&hang("", &format!("{file}: {verdict}"), 2))?;
        let told = if extent == Extent::All { usize::MAX } else { TOLD };
        for witness in report.witnesses().take(told) {
            self.tell_violation(witness, extent, terminal)?;
        }
        if let more @ 1.. = report.witnesses().count().saturating_sub(told) {
            terminal.line(&format!("\n  and {} (--all tells them)", count(more, "more key")))?;
        }
        let verified = self.verified.as_ref().map(|verified| match verified {
            Ok(()) => "every verdict was confirmed by its proof".to_owned(),
            Err(Unconfirmed::Wrong(why)) => format!("A PROOF DOES NOT HOLD: {why}"),
            Err(Unconfirmed::Budget(why)) => {
                format!("not verified, which is no evidence against the verdict: {why}")
            }
        });
        for line in verified.into_iter().chain([format!("{size}; {times}{steps}")]) {
            terminal.line(&indented(&line))?;
        }
        Ok(())
    }

    fn tell_violation(&self, witness: &Witness, extent: Extent, terminal: &mut Terminal) -> Result<(), Failure> {
        let columns = self.columns;
        let picture = explain::diagram(columns, witness, WIDTH - 2, terminal.style.unicode, extent);
        let sentence = format!("{}: {}", columns.key_text(witness.key.0), witness.sentence);
        terminal.line(&format!("\n{}\n", indented(&sentence)))?;
        for line in picture.lines() {
            terminal.line(&format!("  {line}"))?;
        }
        if explain::shown(columns, witness, extent).len() < witness.operations.len() {
            terminal.line("  (--all shows what is left out)")?;
        }
        terminal.line(&format!("\n{}", indented(&holds(&still_holds(columns, witness)))))
    }
}

/// A sentence below the verdict.
fn indented(text: &str) -> String {
    hang("  ", text, 2)
}

/// What still holds, in one line.
fn holds(weaker: &Weaker) -> String {
    let yes = [
        (weaker.sequential, "sequential consistency"),
        (weaker.monotonic_reads, "monotonic reads"),
        (weaker.read_your_writes, "read your writes"),
    ];
    let list = |wanted: Option<bool>| -> Vec<&str> {
        yes.iter().filter(|(holds, _)| *holds == wanted).map(|(_, name)| *name).collect()
    };
    let mut parts = Vec::new();
    for (wanted, word) in [(Some(true), "holds"), (Some(false), "broken"), (None, "not decided")] {
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
    format!("of weaker models, for this key alone: {}", parts.join("; "))
}

/// `1 key`, `2 keys`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}
