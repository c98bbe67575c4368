//! `schism sweep`: one system under many seeds, on all cores.

use super::against::Against;
use super::exit::{Exit, Failure};
use super::extent::Extent;
use super::findings::{Expect, Found, Trouble, recall, tell};
use super::interrupt::Interrupt;
use super::isolation::{Done, FILES, Isolation, NoRun, Place, Sample};
use super::pace;
use super::recordings::{self, FOLDER, build, quoted};
use super::reports::Reports;
use super::revision::Question;
use super::signatures::Swept;
use super::sweep_log::SweepLog;
use super::sweep_summary::print;
use super::terminal::Terminal;
use super::unwritten::{ELSEWHERE, Unwritten};
use super::warn::warn;
use super::whole::Whole;
use super::{Jobs, Subject, Which};
use clap::Args;
use indicatif::ProgressBar;
use schism::campaign::Pace;
use schism::report::file::write_whole;
use schism::report::recording;
use schism::report::style::count;
use schism::rng::seeds::Seeds;
use schism::run::Outcome;
use schism::scenario::Scenario;
use schism::sweep::log::{Header, How, Log, NoOutcome};
use schism::sweep::{Fate, Next, Pool, Summary, sweep_as_they_end};
use schism::systems::System;
use schism::trace::digest;
use std::collections::BTreeSet;
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
    pub subject: Subject,
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub extent: Extent,
    #[command(flatten)]
    pub jobs: Jobs,
    /// What every seed is to show; the exit code says whether it did.
    #[arg(long, value_enum, default_value_t = Expect::Pass)]
    pub expect: Expect,
    /// Write what becomes of each seed to this file at once, one JSON object a line; in the order of the seeds at the end.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Go on with the sweep whose log --out names, if there is one: what is in it is not run again.
    #[arg(long, requires = "out")]
    pub resume: bool,
    #[command(flatten)]
    pub reports: Reports,
    #[command(flatten)]
    pub whole: Whole,
    #[command(flatten)]
    pub against: Against,
    /// Run each seed in a process of its own: slower, and nothing can leak from one seed into another.
    #[arg(long, conflicts_with = "in_process")]
    pub processes: bool,
    /// Run all seeds in this process: a crash, or running out of memory, ends the sweep.
    #[arg(long)]
    pub in_process: bool,
    /// How many seeds run both alone in a process and after others in one, and have to give the same [default: 1, and one more for each
    /// 50 seeds, up to 5].
    #[arg(long, value_name = "SEEDS")]
    pub sample: Option<u64>,
    /// Wall-clock seconds after which a seed counts as hung.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub watchdog: u64,
    /// The most memory that a process of seeds may map, in MiB: a seed that needs more ends its process (on Linux;
    /// elsewhere there is no bound).
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(64..))]
    pub memory: u64,
}

/// What a sweep has found so far, and where that is written.
struct Booking<'a> {
    sweep: &'a Sweep,
    system: System,
    isolation: Arc<Isolation>,
    terminal: &'a mut Terminal,
    bar: ProgressBar,
    summary: Summary,
    log: Option<SweepLog>,
    unwritten: Unwritten,
    found: Found,
}

impl Sweep {
    /// Runs every seed and prints the summary.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = self.subject.load()?;
        let system = self.which.or_that_of(&scenario)?;
        Ok(self.of(&scenario, system, terminal)?.0)
    }

    /// The same, with a system; also returns which seeds are not as expected.
    pub fn of(
        &self,
        scenario: &Scenario,
        system: System,
        terminal: &mut Terminal,
    ) -> Result<(Exit, Vec<Trouble>), Failure> {
        let seeds = self.extent.seeds()?;
        self.against.check()?;
        // One number: threads beyond the cores only make each seed slower.
        let jobs = self.jobs.count();
        let isolation = Arc::new(self.isolation(scenario, system, seeds)?);
        let watchdog = Duration::from_secs(self.watchdog);
        // A process is killed on time by the thread that waits for it, four times for a seed of the sample.
        let pool = Pool { jobs, watchdog: if self.in_process { watchdog } else { watchdog * 5 } };
        let interrupt = Interrupt::listen()?;
        let (log, before) = self.open_log(scenario, system, seeds)?.unzip();
        let before = before.unwrap_or_default();
        let mut booking = Booking {
            sweep: self,
            system,
            isolation: isolation.clone(),
            log,
            bar: terminal.progress(self.extent.progress(seeds), &title(scenario, system, 0)),
            terminal,
            summary: Summary::new(&scenario.name, system.name(), jobs),
            unwritten: Unwritten::default(),
            found: Found::default(),
        };
        booking.recall(&before, scenario);
        // Only their numbers are still needed: a night's outcomes are too much to hold.
        let done: BTreeSet<u64> = before.entries.into_keys().collect();
        let started = Instant::now();
        let mut wrong = None;
        sweep_as_they_end(
            seeds.iter().filter(move |seed| !done.contains(seed)),
            &pool,
            move |seed| isolation.run(seed),
            &|| if interrupt.is_asked() { Next::Stop } else { self.extent.next(started, 0) },
            |seed, fate| {
                wrong = booking.take(seed, fate, scenario).err();
                booking.bar.inc(1);
                // With neither a reader nor a file, the results of further seeds would be lost.
                let nobody = booking.terminal.is_closed() && booking.log.is_none();
                if wrong.is_some() || nobody { Next::Stop } else { self.extent.next(started, booking.failures()) }
            },
        );
        booking.bar.finish_and_clear();
        if let Some(failure) = wrong {
            return Err(failure);
        }
        let why =
            if interrupt.is_asked() { Some("a signal".into()) } else { self.extent.end(started, booking.failures()) };
        booking.finish(started, (scenario, seeds), why, &|| interrupt.is_asked())
    }

    /// The log, and what an earlier sweep has written to it.
    fn open_log(&self, scenario: &Scenario, system: System, seeds: Seeds) -> Result<Option<(SweepLog, Log)>, Failure> {
        let Some(path) = &self.out else { return Ok(None) };
        let header = self.header(scenario, system, seeds);
        let is_new = !self.resume || !path.exists();
        let opened = if self.resume {
            SweepLog::resume(path, &header)?
        } else {
            (SweepLog::create(path, &header)?, Log::default())
        };
        if is_new {
            pace::forget(path);
        }
        Ok(Some(opened))
    }

    fn isolation(&self, scenario: &Scenario, system: System, seeds: Seeds) -> Result<Isolation, Failure> {
        let sample = match (self.extent.is_open(), self.sample) {
            // Nobody expects the digest of a run in real time to come again.
            _ if !system.repeats() => Sample::of(seeds, Some(0)),
            (false, count) => Sample::of(seeds, count),
            (true, None) => Sample::EVERY_FIFTIETH,
            (true, Some(_)) => return Err(Failure::Usage("--sample is spread over --seeds: give both".into())),
        };
        let place = match (self.processes, self.in_process) {
            (true, _) => Place::Beside(1),
            (_, true) => Place::Here,
            _ => Place::Beside(SEEDS_A_PROCESS),
        };
        Ok(Isolation::new(
            scenario,
            (system, self.subject.options()),
            (place, sample),
            // Expected violations need no file for each seed.
            self.expect == Expect::Pass,
            (Duration::from_secs(self.watchdog), self.memory),
        ))
    }

    fn header(&self, scenario: &Scenario, system: System, seeds: Seeds) -> Header {
        Header {
            scenario: scenario.name.clone(),
            scenario_digest: digest::of(&scenario.to_toml()),
            argument: self.subject.scenario.clone(),
            system: system.name().into(),
            first_seed: seeds.iter().start,
            seeds: seeds.count(),
            check_steps: self.subject.options().budget.steps,
            build: build().into(),
            part: self.extent.part(),
            is_open: self.extent.is_open(),
        }
    }

    fn swept(&self, scenario: &Scenario, system: System) -> Swept {
        Swept {
            scenario: scenario.clone(),
            argument: self.subject.scenario.clone(),
            system,
            options: self.subject.options(),
            jobs: self.jobs.count(),
        }
    }

    fn command(&self, system: System, seed: u64) -> String {
        format!("schism run {} --system {} --seed {seed}", quoted(&self.subject.scenario), quoted(system.name()))
    }
}

/// What the progress bar says.
fn title(scenario: &Scenario, system: System, failures: u64) -> String {
    let title = format!("{} {system}", scenario.name);
    if failures == 0 { title } else { format!("{title}, {}", count(failures, "failure")) }
}

impl Booking<'_> {
    /// Adds what was done before the sweep was resumed. Its failures have been told.
    fn recall(&mut self, before: &Log, scenario: &Scenario) {
        let (sweep, system) = (self.sweep, self.system);
        self.found = recall(before, sweep.expect, &mut self.summary, &|seed| sweep.command(system, seed));
        self.summary.resume();
        self.bar.set_position(before.entries.len() as u64);
        self.bar.reset_eta();
        self.bar.set_message(title(scenario, system, self.failures()));
        self.bar.tick();
    }

    fn failures(&self) -> u64 {
        self.found.troubles.len() as u64
    }

    /// Prints the summary, and how to go on if the sweep was stopped before its last seed.
    fn finish(
        self,
        started: Instant,
        (scenario, seeds): (&Scenario, Seeds),
        why: Option<String>,
        is_interrupted: &dyn Fn() -> bool,
    ) -> Result<(Exit, Vec<Trouble>), Failure> {
        let Booking { sweep, system, terminal, mut summary, log, mut unwritten, mut found, .. } = self;
        let asked = if sweep.extent.is_open() { summary.seeds } else { seeds.count() };
        summary.finish(started.elapsed(), asked);
        // Time or failures may have been up just as the last seed ended: that stopped nothing.
        let is_whole = !sweep.extent.is_open() && summary.not_run == 0;
        summary.stopped = why.filter(|_| !is_whole);
        let pace = Pace {
            shard: sweep.extent.part().map(|part| part.shard),
            seeds: summary.seeds - summary.resumed,
            wall_s: summary.wall_s,
            jobs: summary.jobs,
        };
        let mut is_complete = log.is_none_or(SweepLog::finish);
        found.paces = match &sweep.out {
            Some(path) => pace::note(path, &pace),
            None => vec![pace],
        };
        if !is_interrupted() {
            let question = Question { system, watchdog: Duration::from_secs(sweep.watchdog) };
            let asked = sweep.against.run(&found, (scenario, question), summary.jobs, terminal);
            // What the sweep found stands, whatever the other revision does.
            if let Err(failure) = asked {
                warn(&format!("warning: --against: {}", failure.into_text()));
                is_complete = false;
            }
        }
        let swept = || Ok(sweep.swept(scenario, system));
        sweep.whole.group(swept, &mut found, is_interrupted, &mut unwritten, terminal)?;
        let resume = (summary.stopped.is_some() && sweep.out.is_some()).then(resume_command);
        print(&summary, resume.as_deref(), terminal)?;
        sweep.reports.write(&summary, &found, &mut unwritten, terminal)?;
        sweep.whole.write(&summary, &found, &mut unwritten, terminal)?;
        let exit = unwritten.exit(sweep.expect.exit(&summary));
        let exit = if is_complete || exit == Exit::Violation { exit } else { Exit::Harness };
        Ok((exit, found.troubles))
    }

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
        let replay = self.sweep.command(self.system, seed);
        self.tell(Trouble::of_the_harness(seed, none.why, replay), scenario)
    }

    /// Adds a seed that has an outcome.
    fn ran(&mut self, seed: u64, done: &Done, scenario: &Scenario) -> Result<(), Failure> {
        self.summary.add(&done.outcome);
        self.found.coverage.add(&done.outcome);
        if let Some(log) = &mut self.log {
            log.add(seed, Ok(&done.line));
        }
        if let Some(compared) = &done.compared {
            self.summary.add_compared(seed, compared.is_ok());
            if let Err(why) = compared {
                let replay = format!("{} --check-determinism", self.sweep.command(self.system, seed));
                self.tell(Trouble::of_the_harness(seed, why.clone(), replay), scenario)?;
            }
        }
        let why = match self.sweep.expect.complaint(&done.outcome) {
            Some(why) => why,
            None => {
                self.found.fine.push(seed);
                return Ok(());
            }
        };
        let replay = match &done.recording {
            Some(text) if self.isolation.recorded.load(Ordering::Relaxed) < FILES => {
                self.record(&done.outcome, text)?
            }
            _ => None,
        };
        let replay = replay.unwrap_or_else(|| self.sweep.command(self.system, seed));
        let symptoms = self.sweep.expect.symptoms(&done.outcome);
        self.tell(Trouble { seed, why, replay, is_of_the_harness: false, symptoms }, scenario)
    }

    /// Records a violation and returns the command that replays it. It stays a violation if it cannot be recorded.
    fn record(&mut self, outcome: &Outcome, text: &str) -> Result<Option<String>, Failure> {
        let name = recording::named(&outcome.scenario, &outcome.system, outcome.seed, "");
        let path = Path::new(FOLDER).join(name);
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
        let terminal = &mut *self.terminal;
        self.bar.suspend(|| tell(&trouble, terminal))?;
        self.found.troubles.push(trouble);
        self.bar.set_message(title(scenario, self.system, self.failures()));
        Ok(())
    }
}

/// The command line of this process, with `--resume`.
fn resume_command() -> String {
    let mut words: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".into());
    }
    format!("schism {}", words.join(" "))
}
