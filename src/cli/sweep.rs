//! `schism sweep`: one system under many seeds, on all cores.

use super::exit::{Exit, Failure};
use super::interrupt::Interrupt;
use super::isolation::{Done, FILES, Isolation, NoRun, Place, Sample};
use super::recordings::{self, FOLDER, build, quoted};
use super::sweep_log::SweepLog;
use super::terminal::Terminal;
use super::unwritten::{ELSEWHERE, Unwritten};
use super::{Jobs, Subject, Which};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use schism::report::file::write_whole;
use schism::report::outcome::{faults, messages};
use schism::report::style::{Style, Tone, WIDTH, count, hang, wrap};
use schism::report::{json, recording};
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Outcome, Verdict};
use schism::scenario::Scenario;
use schism::sweep::log::{Header, How, NoOutcome};
use schism::sweep::{Fate, Pool, Summary, sweep_as_they_end};
use schism::trace::digest;
use schism::zoo::rates::Power;
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How many seeds share a process: enough to make the cost of starting it negligible.
const SEEDS_A_PROCESS: u64 = 50;

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
    /// Write what becomes of each seed to this file at once, one JSON object a line; in the order of the seeds at the end.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Run each seed in a process of its own: slower, and nothing can leak from one seed into another.
    #[arg(long, conflicts_with = "in_process")]
    processes: bool,
    /// Run all seeds in this process: a crash, or running out of memory, ends the sweep.
    #[arg(long)]
    in_process: bool,
    /// How many seeds run both alone in a process and after others in one, and have to give the same [default: 1, and one more for each
    /// 50 seeds, up to 5].
    #[arg(long, value_name = "SEEDS")]
    sample: Option<u64>,
    /// Wall-clock seconds after which a seed counts as hung.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    watchdog: u64,
    /// The most memory that a process of seeds may map, in MiB: a seed that needs more ends its process (on Linux;
    /// elsewhere there is no bound).
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(64..))]
    memory: u64,
}

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
}

/// What a sweep has found so far, and where that is written.
struct Booking<'a> {
    sweep: &'a Sweep,
    isolation: Arc<Isolation>,
    terminal: &'a mut Terminal,
    bar: ProgressBar,
    summary: Summary,
    log: Option<SweepLog>,
    unwritten: Unwritten,
    failures: u64,
}

impl Sweep {
    /// Runs every seed and prints the summary.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = self.subject.load()?;
        // One number: threads beyond the cores only make each seed slower.
        let jobs = self.jobs.count();
        let isolation = Arc::new(self.isolation(&scenario));
        let watchdog = Duration::from_secs(self.watchdog);
        // A process is killed on time by the thread that waits for it, four times for a seed of the sample.
        let pool = Pool { jobs, watchdog: if self.in_process { watchdog } else { watchdog * 5 } };
        let interrupt = Interrupt::listen()?;
        let mut booking = Booking {
            sweep: self,
            isolation: isolation.clone(),
            log: self.out.as_deref().map(|path| SweepLog::create(path, &self.header(&scenario))).transpose()?,
            bar: terminal.progress(self.seeds.count(), &self.title(&scenario, 0)),
            terminal,
            summary: Summary::new(&scenario.name, self.which.or_raft().name(), jobs),
            unwritten: Unwritten::default(),
            failures: 0,
        };
        booking.bar.tick();
        let started = Instant::now();
        let mut wrong = None;
        sweep_as_they_end(
            self.seeds,
            &pool,
            move |seed| isolation.run(seed),
            &|| interrupt.is_asked(),
            |seed, fate| {
                let booked = booking.take(seed, fate, &scenario);
                booking.bar.inc(1);
                // With neither a reader nor a file, the results of further seeds would be lost.
                let nobody = booking.terminal.is_closed() && booking.log.is_none();
                wrong = booked.err();
                if wrong.is_some() || nobody { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        );
        let Booking { terminal, bar, mut summary, log, unwritten, .. } = booking;
        summary.finish(started.elapsed(), self.seeds.count());
        bar.finish_and_clear();
        if let Some(failure) = wrong {
            return Err(failure);
        }
        let is_written = log.is_none_or(SweepLog::finish);
        print(&summary, terminal)?;
        let found = unwritten.exit(self.expect.exit(&summary));
        Ok(if is_written || found == Exit::Violation { found } else { Exit::Harness })
    }

    fn isolation(&self, scenario: &Scenario) -> Isolation {
        let place = match (self.processes, self.in_process) {
            (true, _) => Place::Beside(1),
            (_, true) => Place::Here,
            _ => Place::Beside(SEEDS_A_PROCESS),
        };
        Isolation::new(
            scenario,
            (self.which.or_raft(), self.subject.options()),
            (place, Sample::of(self.seeds, self.sample)),
            // Expected violations need no file for each seed.
            self.expect == Expect::Pass,
            (Duration::from_secs(self.watchdog), self.memory),
        )
    }

    fn header(&self, scenario: &Scenario) -> Header {
        Header {
            scenario: scenario.name.clone(),
            scenario_digest: digest::of(&scenario.to_toml()),
            argument: self.subject.scenario.clone(),
            system: self.which.or_raft().name().into(),
            first_seed: self.seeds.iter().start,
            seeds: self.seeds.count(),
            check_steps: self.subject.options().budget.steps,
            build: build().into(),
        }
    }

    /// What the progress bar says.
    fn title(&self, scenario: &Scenario, failures: u64) -> String {
        let title = format!("{} {}", scenario.name, self.which.or_raft());
        if failures == 0 { title } else { format!("{title}, {}", count(failures, "failure")) }
    }

    fn command(&self, seed: u64) -> String {
        format!("schism run {} --system {} --seed {seed}", quoted(&self.subject.scenario), self.which.or_raft())
    }
}

impl Booking<'_> {
    /// Adds one seed, in the order in which they end, and reports at once what is wrong with it.
    fn take(&mut self, seed: u64, fate: Fate<Result<Done, NoRun>>, scenario: &Scenario) -> Result<(), Failure> {
        let (how, why) = match fate {
            Fate::Done(Ok(done)) => return self.ran(seed, &done, scenario),
            Fate::Done(Err(NoRun::Refused(why))) | Fate::Panicked(why) => (How::Refused, format!("harness: {why}")),
            Fate::Done(Err(NoRun::Died(why))) => {
                let bound = format!(" (--memory allows {} MiB)", self.sweep.memory);
                let hint = if why.contains("memory allocation of") { bound.as_str() } else { "" };
                (How::Died, format!("harness: {why}{hint}"))
            }
            Fate::Hung | Fate::Done(Err(NoRun::Hung)) => {
                (How::Hung, format!("hung for more than {} s", self.sweep.watchdog))
            }
        };
        self.summary.add_none(how);
        let none = NoOutcome { seed, how, why };
        if let Some(log) = &mut self.log {
            log.add(seed, Err(&none));
        }
        self.tell(Trouble { seed, why: none.why, replay: self.sweep.command(seed) }, scenario)
    }

    /// Adds a seed that has an outcome.
    fn ran(&mut self, seed: u64, done: &Done, scenario: &Scenario) -> Result<(), Failure> {
        self.summary.add(&done.outcome);
        if let Some(log) = &mut self.log {
            log.add(seed, Ok(&done.line));
        }
        if let Some(compared) = &done.compared {
            self.summary.add_compared(seed, compared.is_ok());
            if let Err(why) = compared {
                let replay = format!("{} --check-determinism", self.sweep.command(seed));
                self.tell(Trouble { seed, why: why.clone(), replay }, scenario)?;
            }
        }
        let why = match self.sweep.expect.complaint(&done.outcome) {
            Some(why) => why,
            None => return Ok(()),
        };
        let replay = match &done.recording {
            Some(text) if self.isolation.recorded.load(Ordering::Relaxed) < FILES => {
                self.record(&done.outcome, text)?
            }
            _ => None,
        };
        let replay = replay.unwrap_or_else(|| self.sweep.command(seed));
        self.tell(Trouble { seed, why, replay }, scenario)
    }

    /// Records a violation and returns the command that replays it. It stays a violation if it cannot be recorded.
    fn record(&mut self, outcome: &Outcome, text: &str) -> Result<Option<String>, Failure> {
        let path = Path::new(FOLDER).join(format!("{}-{}-{}.toml", outcome.scenario, outcome.system, outcome.seed));
        if let Err(error) = write_whole(&path, text) {
            // One warning is enough: the others would fail alike.
            self.isolation.recorded.store(FILES, Ordering::Relaxed);
            return self.bar.suspend(|| self.unwritten.attempt::<String>(Err(error.into()), ELSEWHERE));
        }
        self.isolation.recorded.fetch_add(1, Ordering::Relaxed);
        // The trace of an earlier run of this name would be mistaken for this one's.
        let _ = std::fs::remove_file(recording::trace_path(&path));
        Ok(Some(recordings::replay_command(&path)))
    }

    /// Says what is wrong with a seed, and counts it on the bar.
    fn tell(&mut self, trouble: Trouble, scenario: &Scenario) -> Result<(), Failure> {
        self.failures += 1;
        self.bar.set_message(self.sweep.title(scenario, self.failures));
        let terminal = &mut *self.terminal;
        self.bar.suspend(|| tell(&trouble, terminal))
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

/// A summary, and how much it proves if nothing failed.
#[derive(Serialize)]
struct Worth<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    power: Option<&'a Power>,
}

/// Prints the summary.
pub fn print(summary: &Summary, terminal: &mut Terminal) -> Result<(), Failure> {
    let is_clean = summary.violations + summary.faults_of_the_harness() == 0;
    let power = if is_clean { Power::of(&summary.scenario, summary.seeds - summary.inconclusive) } else { None };
    if terminal.json {
        return terminal.line(&json::line("sweep", Worth { summary, power: power.as_ref() }));
    }
    terminal.print(&text(summary, power.as_ref(), terminal.style))
}

/// What was found, in one line.
fn verdicts(summary: &Summary, style: Style) -> String {
    let mut verdicts = vec![count(summary.violations, "violation"), format!("{} inconclusive", summary.inconclusive)];
    if summary.liveness_failures > 0 {
        verdicts.push(format!("{} not live", summary.liveness_failures));
    }
    if summary.panics + summary.hangs > 0 {
        verdicts.push(format!("{}, {}", count(summary.panics, "panic"), count(summary.hangs, "hang")));
    }
    if summary.deaths > 0 {
        verdicts.push(format!("{} ended their process", count(summary.deaths, "seed")));
    }
    if !summary.differing.is_empty() {
        verdicts.push(format!("{} not deterministic", count(summary.differing.len() as u64, "seed")));
    }
    let bad = summary.violations + summary.faults_of_the_harness() > 0;
    style.paint(if bad { Tone::Bad } else { Tone::Good }, &verdicts.join(", "))
}

fn text(summary: &Summary, power: Option<&Power>, style: Style) -> String {
    let verdicts = verdicts(summary, style);
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
    if summary.not_run > 0 {
        figure("stopped", format!("{} did not run", count(summary.not_run, "seed")));
    }
    if summary.compared > 0 && summary.differing.is_empty() {
        let compared = count(summary.compared, "seed");
        figure("sample", format!("{compared} alone in a process and after others in one: the same digests"));
    }
    if let Some(power) = power {
        figure("power", power.sentence());
    }
    if summary.wall_s == 0.0 {
        // Read from a file: how long it took is not known.
        return style.plain_text(&(lines.join("\n") + "\n"));
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
