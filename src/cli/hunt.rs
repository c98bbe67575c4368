//! `schism hunt`: a search for failing schedules, guided by what runs reach.

use super::exit::{Exit, Failure};
use super::interrupt::Interrupt;
use super::recordings::{self, FOLDER, quoted};
use super::terminal::Terminal;
use super::{Jobs, OneSeed, Subject, Which};
use clap::Args;
use schism::hunt::{Find, Mishap, News, Progress, Search, Terms};
use schism::report::file::write_whole;
use schism::report::json;
use schism::report::style::{count, hang};
use schism::scenario::Scenario;
use schism::sweep::Pool;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many failing runs of one check are written to files: the others mostly show the same.
const FILES: u64 = 3;
/// How long a search goes on if nothing says so.
const USUAL: Duration = Duration::from_secs(300);

/// Arguments of `schism hunt`.
#[derive(Args)]
pub struct Hunt {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    seed: OneSeed,
    /// Begin no further runs after this time, such as 90s, 5m or 8h [default: 5m, without --runs].
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Begin no further batch of eight runs after so many: the same seed and number of runs find the same, with any number of jobs.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// End with the first run in which a check fails.
    #[arg(long)]
    until_failure: bool,
    /// Learn nothing, and draw every run afresh: random seeds, which a search has to beat.
    #[arg(long)]
    random: bool,
    /// Say how far it has come after every so many runs (in JSON; the figures for a curve).
    #[arg(long, value_name = "RUNS", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    #[command(flatten)]
    jobs: Jobs,
    /// Wall-clock seconds after which a run is run again, alone and with four times as many; then it counts as hung.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    watchdog: u64,
}

#[derive(Serialize)]
struct Found<'a> {
    run: u64,
    checks: Vec<&'static str>,
    sentence: &'a str,
    faults: usize,
    wall_s: f64,
    replay: Option<String>,
}

#[derive(Serialize)]
struct Failed<'a> {
    run: u64,
    what: &'a str,
    file: Option<String>,
}

#[derive(Serialize)]
struct Reached<'a> {
    #[serde(flatten)]
    progress: &'a Progress,
    wall_s: f64,
}

#[derive(Serialize)]
struct Summary<'a> {
    scenario: &'a str,
    system: &'static str,
    seed: u64,
    random: bool,
    #[serde(flatten)]
    progress: &'a Progress,
    first_violation: Option<u64>,
    checks: &'a BTreeMap<&'static str, u64>,
    wall_s: f64,
    jobs: usize,
}

impl Hunt {
    /// Searches, writes what fails, prints what was reached.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = self.subject.load()?;
        let system = self.which.or_that_of(&scenario)?;
        let terms = Terms {
            scenario: scenario.clone(),
            system,
            seed: self.seed.seed,
            options: self.subject.options(),
            random: self.random,
        };
        let mut search = Search::new(terms)
            .map_err(|error| Failure::Usage(format!("{}: {error}", quoted(&self.subject.scenario))))?;
        let jobs = self.jobs.count();
        let pool = Pool { jobs, watchdog: Duration::from_secs(self.watchdog) };
        let interrupt = Interrupt::listen()?;
        let started = Instant::now();
        let time = self.time.or(self.runs.is_none().then_some(USUAL));
        let bar = terminal.progress(self.runs, &format!("{} {system}", scenario.name));
        let (mut first, mut checks) = (None, BTreeMap::new());
        let (mut wrong, mut told) = (None, 0);
        let mut lines = Lines { terminal, started, scenario: &scenario, seed: self.seed.seed, mishaps: 0 };
        let curves = std::cell::RefCell::new(Vec::new());
        search.run(
            &pool,
            |progress| {
                bar.set_position(progress.runs);
                if progress.runs >= told + self.every {
                    told = progress.runs;
                    curves.borrow_mut().push((progress.clone(), started.elapsed()));
                }
                let is_over = time.is_some_and(|time| started.elapsed() >= time)
                    || self.runs.is_some_and(|runs| progress.runs >= runs)
                    || interrupt.is_asked();
                !is_over
            },
            |news| {
                let News::Find(find) = news else {
                    wrong = bar.suspend(|| lines.tell_mishap(&news)).err();
                    return wrong.is_none();
                };
                first = first.or(Some(find.run));
                let seen = find.checks.first().map_or(0, |check| {
                    let seen = checks.entry(check.name()).or_insert(0);
                    *seen += 1;
                    *seen
                });
                wrong = bar.suspend(|| lines.tell(&find, seen)).err();
                wrong.is_none() && !self.until_failure
            },
        );
        bar.finish_and_clear();
        if let Some(failure) = wrong {
            return Err(failure);
        }
        let progress = search.progress().clone();
        let curve = if terminal.json { curves.into_inner() } else { Vec::new() };
        for (progress, wall) in curve {
            terminal.line(&json::line("reached", Reached { progress: &progress, wall_s: wall.as_secs_f64() }))?;
        }
        let (scenario, system) = (scenario.name.as_str(), system.name());
        let (seed, random, wall_s) = (self.seed.seed, self.random, started.elapsed().as_secs_f64());
        let (progress, checks) = (&progress, &checks);
        print(
            &Summary { scenario, system, seed, random, progress, first_violation: first, checks, wall_s, jobs },
            terminal,
        )?;
        Ok(exit(progress))
    }
}

fn print(summary: &Summary, terminal: &mut Terminal) -> Result<(), Failure> {
    if terminal.json {
        return terminal.line(&json::line("hunt", summary));
    }
    terminal.print(&text(summary, terminal))
}

fn exit(progress: &Progress) -> Exit {
    match (progress.panics + progress.hangs, progress.violations) {
        (1.., _) => Exit::Harness,
        (_, 1..) => Exit::Violation,
        _ => Exit::Expected,
    }
}

/// Tells what was found.
struct Lines<'a> {
    terminal: &'a mut Terminal,
    started: Instant,
    scenario: &'a Scenario,
    seed: u64,
    /// How many mishaps were told.
    mishaps: u64,
}

impl Lines<'_> {
    /// Writes a failing run to a file, one of the first few of its check, and says how to replay it.
    fn tell(&mut self, find: &Find, seen: u64) -> Result<(), Failure> {
        let explicit = find.recorded.explicit.as_ref().expect("it is recorded");
        let replay = if seen <= FILES {
            let path = self.path(find.run, &explicit.system);
            write_whole(&path, find.recorded.to_toml())?;
            Some(recordings::replay_command(&path))
        } else {
            None
        };
        let checks: Vec<&'static str> = find.checks.iter().map(|check| check.name()).collect();
        let (sentence, wall_s) = (find.sentence.as_str(), self.started.elapsed().as_secs_f64());
        let (run, faults) = (find.run, explicit.schedule.len());
        if self.terminal.json {
            let found = Found { run, checks, sentence, faults, wall_s, replay };
            return self.terminal.line(&json::line("found", found));
        }
        let Some(replay) = replay else { return Ok(()) };
        let text = format!("{} with {}: {sentence}", checks.join(", "), count(faults as u64, "fault"));
        self.terminal.line(&hang(&format!("run {run}: "), &self.terminal.style.plain_text(&text), 2))?;
        self.terminal.line(&format!("  replay: {replay}"))
    }

    /// Writes a schedule to a file under which the harness failed, one of the first few.
    fn tell_mishap(&mut self, news: &News) -> Result<(), Failure> {
        let News::Mishap(Mishap { run, what, scenario }) = news else { return Ok(()) };
        self.mishaps += 1;
        let explicit = scenario.explicit.as_ref().expect("candidates are explicit");
        let file = if self.mishaps <= FILES {
            let path = self.path(*run, &explicit.system);
            write_whole(&path, scenario.to_toml())?;
            Some(path.display().to_string())
        } else {
            None
        };
        if self.terminal.json {
            return self.terminal.line(&json::line("mishap", Failed { run: *run, what, file }));
        }
        let Some(file) = file else { return Ok(()) };
        self.terminal.line(&hang(&format!("run {run}: "), &self.terminal.style.plain_text(what), 2))?;
        self.terminal.line(&format!("  its schedule: {file}"))
    }

    fn path(&self, run: u64, system: &str) -> PathBuf {
        let name = format!("{}-{system}-hunt-{}-{run}.toml", self.scenario.name, self.seed);
        Path::new(FOLDER).join(name)
    }
}

fn text(summary: &Summary, terminal: &Terminal) -> String {
    let Summary { scenario, system, progress, checks, wall_s, jobs, .. } = summary;
    let how = if summary.random { "random" } else { "guided" };
    let found = match summary.first_violation {
        None => "nothing failed".to_owned(),
        Some(first) => {
            let checks: Vec<String> = checks.iter().map(|(check, runs)| format!("{check} {runs}")).collect();
            format!("{}, the first in run {first}: {}", count(progress.violations, "failing run"), checks.join(", "))
        }
    };
    let mut lines = vec![hang(&format!("{scenario} under {system}, seed {}, {how}: ", summary.seed), &found, 2)];
    let mut figure = |name: &str, text: String| lines.push(hang(&format!("  {name:<11}"), &text, 13));
    figure(
        "runs",
        format!(
            "{}, {} inconclusive, {:.0} simulated s in {wall_s:.1} s ({jobs} at once)",
            progress.runs, progress.inconclusive, progress.simulated_s
        ),
    );
    figure(
        "reached",
        format!(
            "{} features, {} of pairs of situations; {} in the corpus",
            progress.features,
            progress.situation_pairs,
            count(progress.corpus, "schedule")
        ),
    );
    if progress.retried > 0 {
        figure("retried", format!("{} overran the watchdog once, and not again", count(progress.retried, "run")));
    }
    if progress.panics + progress.hangs > 0 {
        figure("harness", format!("{}, {}", count(progress.panics, "panic"), count(progress.hangs, "hang")));
    }
    terminal.style.plain_text(&(lines.join("\n") + "\n"))
}
