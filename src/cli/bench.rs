//! `schism bench`: how many seeds a minute this build runs, and where the time goes.
//!
//! What one core does is measured in processor time of the thread that runs the seeds, so that other work on the machine
//! takes as little part in it as can be. The cells take turns seed by seed: whatever the machine does meanwhile, it does to
//! all of them. Only what several cores do together is measured by the clock on the wall.

use super::exit::{Exit, Failure};
use super::profile::{self, Share};
use super::terminal::Terminal;
use super::{Jobs, options, parse_system};
use clap::Args;
use schism::report::json;
use schism::report::style::{count, hang};
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, Run, RunError, run, run_while};
use schism::scenario::Scenario;
use schism::sweep::{Fate, Pool, sweep};
use schism::systems::System;
use schism::trace::digest::{Digest, Hasher};
use serde::Serialize;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Wall-clock time after which a run counts as hung.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Arguments of `schism bench`.
#[derive(Args)]
pub struct Bench {
    /// The scenario that is run.
    #[arg(default_value = "reference")]
    scenario: String,
    /// The systems, the first of which the others are compared with.
    #[arg(long, value_delimiter = ',', value_parser = parse_system, default_value = "raft-memory,raft")]
    systems: Vec<System>,
    /// The ticks of the simulator, in milliseconds; none above the scenario's smallest latency.
    #[arg(long, value_delimiter = ',', value_name = "MS", default_value = "5,2,1",
        value_parser = clap::value_parser!(u64).range(1..))]
    ticks: Vec<u64>,
    /// The seeds: a range such as 0..10, or a count from 0. Each is run once for each system and tick, and twice more.
    #[arg(long, env = SEEDS, default_value = "10")]
    seeds: Seeds,
    #[command(flatten)]
    jobs: Jobs,
    /// Also say in which libraries the time goes, by samples of Linux's perf.
    #[arg(long)]
    profile: bool,
}

/// One system at one tick.
#[derive(Debug, Serialize)]
struct Figure {
    scenario: String,
    system: &'static str,
    tick_ms: u64,
    seeds: u64,
    simulated_s: f64,
    /// Processor time of all seeds together.
    processor_s: f64,
    /// By that time, on one core.
    seeds_a_minute: f64,
    /// The digest of the digests of all seeds.
    digest: Digest,
}

/// What several seeds at once cost and bring.
#[derive(Debug, Serialize)]
struct AtOnce {
    scenario: String,
    system: &'static str,
    jobs: usize,
    seeds: u64,
    /// By the clock on the wall.
    seeds_a_minute: f64,
    /// Processor time of a seed, in seconds; more than alone means that the cores hinder each other.
    processor_s_a_seed: f64,
}

/// How the processor time of a run divides, as shares of 1.
#[derive(Debug, Default, Serialize)]
struct Stages {
    scenario: String,
    system: &'static str,
    /// Drawing schedule and script, and booting the hosts.
    preparing: f64,
    /// The steps of the simulator: hosts, network, recording.
    simulating: f64,
    /// Sorting the trace, every check, every figure.
    checking: f64,
}

/// The summary.
#[derive(Serialize)]
struct Benched<'a> {
    scenario: &'a str,
    seeds: u64,
    /// Of all figures: what must not change when something is made faster.
    digest: Digest,
}

impl Bench {
    /// Measures and prints.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = super::load(&self.scenario)?;
        let ticks: Vec<Scenario> = self.ticks.iter().map(|tick| at_tick(&scenario, *tick)).collect::<Result<_, _>>()?;
        let &[first, ..] = &self.systems[..] else { return Err(Failure::Usage("--systems names no system".into())) };
        // The first run of a process pays for what later ones find ready.
        measured(&ticks[0], first, self.seeds.iter().start)?;
        let figures = self.figures(terminal, &ticks)?;
        let stages = self.stages(&scenario, first)?;
        let mut at_once = vec![self.at_once(&scenario, first, 1)?];
        if self.jobs.count() > 1 {
            at_once.push(self.at_once(&scenario, first, self.jobs.count())?);
        }
        let shares = if self.profile { self.profiles()? } else { Vec::new() };
        if terminal.json {
            for figure in &figures {
                terminal.line(&json::line("bench_figure", figure))?;
            }
            terminal.line(&json::line("bench_stages", &stages))?;
            for figure in &at_once {
                terminal.line(&json::line("bench_at_once", figure))?;
            }
            for share in &shares {
                terminal.line(&json::line("bench_profile", share))?;
            }
            let summary = Benched { scenario: &scenario.name, seeds: self.seeds.count(), digest: of_all(&figures) };
            terminal.line(&json::line("bench", summary))?;
        } else {
            terminal.print(&self.text(&figures, &stages, &at_once, &shares))?;
        }
        Ok(Exit::Expected)
    }

    /// Every system at every tick, taking turns seed by seed.
    fn figures(&self, terminal: &Terminal, ticks: &[Scenario]) -> Result<Vec<Figure>, Failure> {
        let mut cells: Vec<(&Scenario, System, Figure, Hasher)> = Vec::new();
        for scenario in ticks {
            for &system in &self.systems {
                let figure = Figure {
                    scenario: scenario.name.clone(),
                    system: system.name(),
                    tick_ms: scenario.timing.tick_ms,
                    seeds: self.seeds.count(),
                    simulated_s: 0.0,
                    processor_s: 0.0,
                    seeds_a_minute: 0.0,
                    digest: Digest(0),
                };
                cells.push((scenario, system, figure, Hasher::default()));
            }
        }
        let bar = terminal.progress(self.seeds.count() * cells.len() as u64, "bench");
        for seed in self.seeds.iter() {
            for (scenario, system, figure, digests) in &mut cells {
                let (run, took) = measured(scenario, *system, seed)?;
                figure.simulated_s += run.outcome.simulated_s;
                figure.processor_s += took.as_secs_f64();
                digests.add(&run.outcome.digest);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let done = |(_, _, figure, digests): (_, _, Figure, Hasher)| Figure {
            seeds_a_minute: 60.0 * figure.seeds as f64 / figure.processor_s,
            digest: digests.finish(),
            ..figure
        };
        Ok(cells.into_iter().map(done).collect())
    }

    /// The stages of a run, by the first and the last moment at which the simulator asks whether to go on.
    fn stages(&self, scenario: &Scenario, system: System) -> Result<Stages, Failure> {
        let (mut preparing, mut simulating, mut checking) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for seed in self.seeds.iter() {
            let (first, last) = (Cell::new(None), Cell::new(Duration::ZERO));
            let step = || {
                let now = processor_time();
                first.set(first.get().or(Some(now)));
                last.set(now);
                true
            };
            let began = processor_time();
            run_while(scenario, system, seed, &Options::default(), &step)?;
            let ended = processor_time();
            let first = first.get().unwrap_or(ended);
            preparing += first.saturating_sub(began);
            simulating += last.get().saturating_sub(first);
            checking += ended.saturating_sub(last.get().max(first));
        }
        let all = (preparing + simulating + checking).as_secs_f64();
        let share = |part: Duration| part.as_secs_f64() / all;
        Ok(Stages {
            scenario: scenario.name.clone(),
            system: system.name(),
            preparing: share(preparing),
            simulating: share(simulating),
            checking: share(checking),
        })
    }

    fn at_once(&self, scenario: &Scenario, system: System, jobs: usize) -> Result<AtOnce, Failure> {
        let played = scenario.clone();
        let job = move |seed| measured(&played, system, seed).map(|(_, took)| took);
        let pool = Pool { jobs, watchdog: WATCHDOG };
        let (mut processor, mut wrong) = (Duration::ZERO, None);
        let began = Instant::now();
        sweep(self.seeds, &pool, job, |seed, fate| {
            let problem = match fate {
                Fate::Done(Ok(took)) => {
                    processor += took;
                    return;
                }
                Fate::Done(Err(error)) => error.to_string(),
                Fate::Panicked(message) => message,
                Fate::Hung => "it hung".into(),
            };
            wrong = wrong.take().or(Some(format!("seed {seed}: {problem}")));
        });
        let wall_s = began.elapsed().as_secs_f64();
        let seeds = self.seeds.count();
        wrong.map_or(Ok(()), |wrong| Err(Failure::Harness(wrong)))?;
        Ok(AtOnce {
            scenario: scenario.name.clone(),
            system: system.name(),
            jobs,
            seeds,
            seeds_a_minute: 60.0 * seeds as f64 / wall_s,
            processor_s_a_seed: processor.as_secs_f64() / seeds as f64,
        })
    }

    fn profiles(&self) -> Result<Vec<Share>, Failure> {
        let mut shares = Vec::new();
        for system in &self.systems {
            shares.extend(profile::sampled(&self.scenario, system.name(), self.seeds)?);
        }
        Ok(shares)
    }

    fn text(&self, figures: &[Figure], stages: &Stages, at_once: &[AtOnce], shares: &[Share]) -> String {
        let Stages { scenario, system: first, preparing, simulating, checking } = stages;
        let mut text = self.table(scenario, figures);
        let parts = [("preparing", *preparing), ("simulating", *simulating), ("checking", *checking)];
        text += &hang("\nstages   ", &format!("{first}: {}", named(&parts)), 9);
        let speeds: Vec<String> = at_once
            .iter()
            .map(|figure| {
                let (pace, cost) = (figure.seeds_a_minute, figure.processor_s_a_seed * 1000.0);
                format!(
                    "{} at once {pace:.0} seeds a minute by the clock, {cost:.0} ms of a core for each",
                    figure.jobs
                )
            })
            .collect();
        text += &hang("\nat once  ", &format!("{first}: {}", speeds.join("; ")), 9);
        for system in &self.systems {
            let own = shares.iter().filter(|share| share.system == system.name());
            let parts: Vec<(&str, f64)> = own.map(|share| (share.part, share.share)).collect();
            if !parts.is_empty() {
                text += &hang("\nprofile  ", &format!("{}: {}", system.name(), named(&parts)), 9);
            }
        }
        text + &format!("\ndigest   {} of all runs: no change for speed may change it\n", of_all(figures))
    }

    /// A row for each tick, a column for each system.
    fn table(&self, scenario: &str, figures: &[Figure]) -> String {
        let seeds = count(self.seeds.count(), "seed");
        let mut text = format!("{scenario}, {seeds}: seeds a minute of one core's time\n{:>8}", "tick");
        let width = |name: &str| name.len().max(8) + 3;
        self.systems.iter().for_each(|system| text += &format!("{:>1$}", system.name(), width(system.name())));
        for row in figures.chunks(self.systems.len()) {
            text += &format!("\n{:>5} ms", row[0].tick_ms);
            row.iter().for_each(|cell| text += &format!("{:>1$.0}", cell.seeds_a_minute, width(cell.system)));
            if let [first, second] = row {
                text += &format!("   {} takes {:.2} times", second.system, second.processor_s / first.processor_s);
            }
        }
        text
    }
}

/// The digest of all runs.
fn of_all(figures: &[Figure]) -> Digest {
    let mut all = Hasher::default();
    figures.iter().for_each(|figure| all.add(&figure.digest));
    all.finish()
}

/// Shares of 1 with their names.
fn named(parts: &[(&str, f64)]) -> String {
    let parts: Vec<String> = parts.iter().map(|(name, share)| format!("{name} {:.0} %", share * 100.0)).collect();
    parts.join(", ")
}

/// The scenario at another tick.
fn at_tick(scenario: &Scenario, tick_ms: u64) -> Result<Scenario, Failure> {
    let mut at_tick = scenario.clone();
    at_tick.timing.tick_ms = tick_ms;
    // Reading it again refuses a tick that it cannot have.
    let text = at_tick.to_toml();
    Scenario::parse(&format!("{} at a tick of {tick_ms} ms", scenario.name), &text)
        .map_err(|error| Failure::Input(Box::new(error)))
}

/// A run, and the processor time that this thread spent on it.
fn measured(scenario: &Scenario, system: System, seed: u64) -> Result<(Run, Duration), RunError> {
    let began = processor_time();
    let run = run(scenario, system, seed, &options(None))?;
    Ok((run, processor_time() - began))
}

/// The processor time that this thread has used.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Where there is no such clock, the time that has passed.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed()
}
