//! `schism sweep`: one system under many seeds, on all cores.

use super::exit::{Exit, Failure};
use super::recordings::{self, FOLDER, quoted};
use super::terminal::Terminal;
use super::{Jobs, Subject, Which};
use clap::{Args, ValueEnum};
use schism::report::outcome::{faults, messages};
use schism::report::style::{Style, Tone, WIDTH, count, hang, wrap};
use schism::report::{json, recording};
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, Outcome, Verdict, run};
use schism::scenario::Scenario;
use schism::sweep::{Fate, Pool, Summary, sweep};
use schism::systems::System;
use schism::zoo::rates::Power;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// After so many recorded failures, later ones are named by their seed alone: each file holds a whole script.
const FILES: usize = 100;

/// Arguments of `schism sweep`.
#[derive(Args)]
pub struct Sweep {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    which: Which,
    /// The seeds: a range such as 0..500, or a count from 0.
    #[arg(long, env = SEEDS, default_value = "100")]
    seeds: Seeds,
    #[command(flatten)]
    jobs: Jobs,
    /// What every seed is to show; the exit code says whether it did.
    #[arg(long, value_enum, default_value_t = Expect::Pass)]
    expect: Expect,
    /// Write every outcome to this file, one JSON object a line, in the order of the seeds.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run each seed in a fresh process: slower, and nothing can leak from one seed into another.
    #[arg(long)]
    processes: bool,
    /// Wall-clock seconds after which a seed counts as hung.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    watchdog: u64,
}

/// What a sweep expects.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expect {
    /// No violation in any seed.
    Pass,
    /// A violation in every seed.
    Violation,
}

/// What one seed yields; the recording only where it may be wanted.
struct Done {
    outcome: Outcome,
    recording: Option<String>,
}

/// A seed that is not as expected.
#[derive(Serialize)]
struct Trouble {
    seed: u64,
    why: String,
    replay: String,
}

/// Why a seed yields nothing.
enum NoRun {
    /// The harness refused or its process died.
    Refused(String),
    /// It overran the watchdog.
    Hung,
}

type Job = Box<dyn Fn(u64) -> Result<Done, NoRun> + Send + Sync>;

impl Sweep {
    /// Runs every seed and prints the summary.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = self.subject.load()?;
        // One number: threads beyond the cores only make each seed slower.
        let jobs = self.jobs.count();
        let watchdog = Duration::from_secs(self.watchdog);
        // A process is killed on time by the thread that waits for it, so that thread gets longer.
        let pool = Pool { jobs, watchdog: if self.processes { watchdog * 2 } else { watchdog } };
        let mut out = self.out.as_deref().map(create).transpose()?;
        let bar = terminal.progress(self.seeds.count(), &format!("{} {}", scenario.name, self.which.or_raft()));
        bar.tick();
        let recorded = Arc::new(AtomicUsize::new(0));
        let job = self.job(&scenario, Arc::clone(&recorded), watchdog);
        let mut summary = Summary::new(&scenario.name, self.which.or_raft().name(), jobs);
        let mut troubles = Vec::new();
        let mut wrong = None;
        let started = Instant::now();
        sweep(self.seeds, &pool, job, |seed, fate| {
            let taken = self.take(seed, fate, &mut summary, out.as_mut(), &recorded);
            match taken {
                Ok(trouble) => troubles.extend(trouble),
                Err(failure) => wrong = wrong.take().or(Some(failure)),
            }
            bar.inc(1);
        });
        summary.finish(started.elapsed());
        bar.finish_and_clear();
        if let Some(failure) = wrong {
            return Err(failure);
        }
        if let Some(mut out) = out {
            out.flush()?;
        }
        print(&summary, &troubles, terminal)?;
        Ok(self.exit(&summary))
    }

    /// The work of one seed, in this process or in a fresh one.
    fn job(&self, scenario: &Scenario, recorded: Arc<AtomicUsize>, watchdog: Duration) -> Job {
        let (system, options) = (self.which.or_raft(), self.subject.options());
        // What a sweep expects is not worth a file a seed.
        let record = self.expect == Expect::Pass;
        if self.processes {
            let argument = self.subject.scenario.clone();
            return Box::new(move |seed| in_a_process(&argument, system, seed, &options, record, watchdog));
        }
        let scenario = scenario.clone();
        Box::new(move |seed| {
            let run = run(&scenario, system, seed, &options).map_err(|error| NoRun::Refused(error.to_string()))?;
            let wanted =
                record && run.outcome.verdict == Verdict::Violation && recorded.load(Ordering::Relaxed) < FILES;
            let recording = wanted.then(|| run.explicit.to_toml());
            Ok(Done { outcome: run.outcome, recording })
        })
    }

    /// Books one seed; called in the order of the seeds.
    fn take(
        &self,
        seed: u64,
        fate: Fate<Result<Done, NoRun>>,
        summary: &mut Summary,
        out: Option<&mut BufWriter<File>>,
        recorded: &AtomicUsize,
    ) -> Result<Option<Trouble>, Failure> {
        let again = |why: String| Some(Trouble { seed, why, replay: self.command(seed) });
        let done = match fate {
            Fate::Done(Ok(done)) => done,
            Fate::Done(Err(NoRun::Refused(why))) | Fate::Panicked(why) => {
                summary.add_panic();
                return Ok(again(format!("harness: {why}")));
            }
            Fate::Hung | Fate::Done(Err(NoRun::Hung)) => {
                summary.add_hang();
                return Ok(again(format!("hung for more than {} s", self.watchdog)));
            }
        };
        summary.add(&done.outcome);
        if let Some(out) = out {
            writeln!(out, "{}", json::outcome(&done.outcome))?;
        }
        let outcome = &done.outcome;
        let why = match (outcome.verdict, self.expect) {
            (Verdict::Violation, Expect::Violation) | (Verdict::Pass, Expect::Pass) => return Ok(None),
            (Verdict::Pass, Expect::Violation) => return Ok(again("no violation".into())),
            (Verdict::Inconclusive, _) => {
                return Ok(again(format!("inconclusive: {}", outcome.inconclusive.join("; "))));
            }
            (Verdict::Violation, Expect::Pass) => outcome.failed_checks().join(", "),
        };
        let path = Path::new(FOLDER).join(format!("{}-{}-{seed}.toml", outcome.scenario, outcome.system));
        match done.recording {
            Some(text) if recorded.fetch_add(1, Ordering::Relaxed) < FILES => {
                std::fs::create_dir_all(FOLDER)?;
                std::fs::write(&path, text)?;
                // A trace of an earlier run of this name would be taken for this one's.
                let _ = std::fs::remove_file(recording::trace_path(&path));
                Ok(Some(Trouble { seed, why, replay: recordings::replay_command(&path) }))
            }
            // In a process of its own the run has recorded itself.
            _ if self.processes => Ok(Some(Trouble { seed, why, replay: recordings::replay_command(&path) })),
            _ => Ok(again(why)),
        }
    }

    fn command(&self, seed: u64) -> String {
        format!("schism run {} --system {} --seed {seed}", quoted(&self.subject.scenario), self.which.or_raft())
    }

    /// A fault of the harness outweighs everything: with it, no other figure can be trusted.
    fn exit(&self, summary: &Summary) -> Exit {
        let as_expected = match self.expect {
            Expect::Pass => summary.violations == 0,
            Expect::Violation => summary.violations + summary.inconclusive == summary.seeds,
        };
        if summary.panics + summary.hangs > 0 {
            Exit::Harness
        } else if !as_expected {
            Exit::Violation
        } else if summary.inconclusive > 0 {
            Exit::Inconclusive
        } else {
            Exit::Expected
        }
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    Ok(BufWriter::new(File::create(path)?))
}

/// Runs one seed by this executable in a new process, and kills it when it overruns the watchdog.
fn in_a_process(
    argument: &str,
    system: System,
    seed: u64,
    options: &Options,
    record: bool,
    watchdog: Duration,
) -> Result<Done, NoRun> {
    let failed = |error: std::io::Error| NoRun::Refused(error.to_string());
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .args(["run", argument, "--system", system.name(), "--format", "json"])
        .args(["--seed", &seed.to_string(), "--check-steps", &options.budget.steps.to_string()])
        .args((!record).then_some("--no-record"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take();
    // Read beside the wait: a child that fills the pipe would wait for ever.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut text)).map(|_| text)
    });
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if started.elapsed() > watchdog {
            child.kill().and_then(|()| child.wait()).map_err(failed)?;
            return Err(NoRun::Hung);
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = reader.join().map_err(|_| NoRun::Refused("its output could not be read".into()))?.map_err(failed)?;
    let outcome = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let outcome = outcome.ok_or_else(|| NoRun::Refused(format!("its process ended with {status}")))?;
    Ok(Done { outcome, recording: None })
}

/// A summary, and what it is worth if nothing failed.
#[derive(Serialize)]
struct Worth<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    power: Option<&'a Power>,
}

fn print(summary: &Summary, troubles: &[Trouble], terminal: &mut Terminal) -> Result<(), Failure> {
    let is_clean = summary.violations + summary.panics + summary.hangs == 0;
    let power = if is_clean { Power::of(&summary.scenario, summary.seeds - summary.inconclusive) } else { None };
    if terminal.json {
        for trouble in troubles {
            terminal.line(&json::line("failure", trouble))?;
        }
        return terminal.line(&json::line("sweep", Worth { summary, power: power.as_ref() }));
    }
    for trouble in troubles {
        let text = format!("seed {}: {}", trouble.seed, trouble.why);
        terminal.line(&terminal.style.plain_text(&format!("{}\n  {}", wrap(&text, WIDTH, 2), trouble.replay)))?;
    }
    terminal.print(&text(summary, power.as_ref(), terminal.style))
}

fn text(summary: &Summary, power: Option<&Power>, style: Style) -> String {
    let mut verdicts = vec![count(summary.violations, "violation"), format!("{} inconclusive", summary.inconclusive)];
    if summary.liveness_failures > 0 {
        verdicts.push(format!("{} not live", summary.liveness_failures));
    }
    if summary.panics + summary.hangs > 0 {
        verdicts.push(format!("{}, {}", count(summary.panics, "panic"), count(summary.hangs, "hang")));
    }
    let bad = summary.violations + summary.panics + summary.hangs > 0;
    let verdicts = style.paint(if bad { Tone::Bad } else { Tone::Good }, &verdicts.join(", "));
    let mut lines =
        vec![format!("{} under {}, {}: {verdicts}", summary.scenario, summary.system, count(summary.seeds, "seed"))];
    let mut figure = |name: &str, text: String| lines.push(hang(&format!("  {name:<11}"), &text, 13));
    if !summary.checks.is_empty() {
        let checks: Vec<String> = summary
            .checks
            .iter()
            .map(|(check, seeds)| format!("{} in {}", check.name(), count(*seeds, "seed")))
            .collect();
        figure("failed", checks.join(", "));
    }
    figure(
        "operations",
        format!(
            "{}: {} acknowledged, {} failed, {} unknown, {} conflicting, {} lost",
            summary.operations,
            summary.acked,
            summary.failed,
            summary.unknown,
            summary.conflicting_acks,
            summary.lost_acked_writes
        ),
    );
    figure("messages", messages(&summary.counters));
    let leaders = count(summary.leader_changes, "leader change");
    figure("faults", format!("{}; {leaders}", faults(&summary.counters)));
    let occurred = summary.situations.iter().filter(|(_, seeds)| **seeds > 0);
    let occurred: Vec<String> = occurred.map(|(situation, seeds)| format!("{} {seeds}", situation.name())).collect();
    if !occurred.is_empty() {
        figure("situations", format!("(seeds that met them) {}", occurred.join(", ")));
    }
    let never = summary.situations.iter().filter(|(_, seeds)| **seeds == 0);
    let never: Vec<&str> = never.map(|(situation, _)| situation.name()).collect();
    if !never.is_empty() {
        figure("never", never.join(", "));
    }
    if let Some(power) = power {
        figure("power", power.sentence());
    }
    figure(
        "speed",
        format!(
            "{:.0} simulated s in {:.1} s, {:.0} seeds a minute ({} at once, {} ms ticks, {} nodes, {} hosts, {})",
            summary.simulated_s,
            summary.wall_s,
            summary.seeds_per_minute,
            summary.jobs,
            summary.tick_ms,
            summary.nodes,
            summary.hosts,
            summary.profile
        ),
    );
    style.plain_text(&(lines.join("\n") + "\n"))
}
