//! `schism exhaust`: every single fault at every instant of one small run.

use super::exit::{Exit, Failure};
use super::interrupt::Interrupt;
use super::recordings::{self, FOLDER, quoted};
use super::terminal::Terminal;
use super::{Jobs, OneSeed, Subject, Which};
use clap::Args;
use schism::hunt::exhaust::{Broken, Exhausted, Small, Unfit};
use schism::report::file::write_whole;
use schism::report::json;
use schism::report::style::{WIDTH, hang, wrap};
use schism::sweep::Pool;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many runs that broke are written to files and told.
const FILES: u64 = 5;

/// Arguments of `schism exhaust`.
#[derive(Args)]
pub struct Exhaust {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    seed: OneSeed,
    /// How many nodes the run has, each in a site of its own with one client.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=7))]
    nodes: u16,
    /// How many operations its clients request.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100))]
    operations: u32,
    /// How many pairs of faults to try after the single ones.
    #[arg(long, value_name = "RUNS", default_value_t = 0)]
    pairs: u64,
    /// End with the first run in which a check fails.
    #[arg(long)]
    until_failure: bool,
    #[command(flatten)]
    jobs: Jobs,
    /// Wall-clock seconds after which a run counts as hung.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    watchdog: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    faults: Vec<String>,
    checks: Vec<&'static str>,
    sentence: &'a str,
    replay: Option<String>,
}

#[derive(Serialize)]
struct Summary<'a> {
    scenario: &'a str,
    system: &'static str,
    seed: u64,
    nodes: u16,
    operations: u32,
    runs: u64,
    singles: &'a BTreeMap<&'static str, u64>,
    idle: u64,
    pairs: u64,
    pairs_left_out: u64,
    inconclusive: u64,
    broken: u64,
    unfinished: u64,
    stopped: bool,
    says: String,
    wall_s: f64,
}

impl Exhaust {
    /// Tries everything, and says what that proves.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = self.subject.load()?;
        let system = self.which.or_that_of(&scenario)?;
        let size = (self.nodes, self.operations);
        let small = Small::of(&scenario, system, size, self.seed.seed, self.subject.options());
        let unfit = |error: Unfit| Failure::Usage(format!("{}: {error}", quoted(&self.subject.scenario)));
        let small = small.map_err(unfit)?;
        let pool = Pool { jobs: self.jobs.count(), watchdog: Duration::from_secs(self.watchdog) };
        let interrupt = Interrupt::listen()?;
        let started = Instant::now();
        let bar = terminal.progress(None, &format!("{} {system}", scenario.name));
        let (mut told, mut wrong) = (0, None);
        let all = small.exhaust(
            &pool,
            self.pairs,
            |done, planned| {
                bar.set_length(planned);
                bar.set_position(done);
                !interrupt.is_asked()
            },
            |broken| {
                told += 1;
                if told <= FILES || terminal.json {
                    wrong = bar.suspend(|| tell(&broken, told, terminal)).err();
                }
                wrong.is_none() && !self.until_failure
            },
        );
        bar.finish_and_clear();
        let all = all.map_err(unfit)?;
        if let Some(failure) = wrong {
            return Err(failure);
        }
        let summary = Summary {
            scenario: &scenario.name,
            system: system.name(),
            seed: self.seed.seed,
            nodes: self.nodes,
            operations: self.operations,
            runs: all.singles() + all.pairs.0,
            singles: &all.tried,
            idle: all.idle,
            pairs: all.pairs.0,
            pairs_left_out: all.pairs.1 - all.pairs.0,
            inconclusive: all.inconclusive,
            broken: all.broken,
            unfinished: all.unfinished,
            stopped: all.is_stopped,
            says: small.sentence(&all),
            wall_s: started.elapsed().as_secs_f64(),
        };
        if terminal.json {
            terminal.line(&json::line("exhaust", &summary))?;
        } else {
            terminal.print(&text(&summary, terminal))?;
        }
        Ok(exit(&all))
    }
}

fn exit(all: &Exhausted) -> Exit {
    match (all.unfinished, all.broken, all.is_stopped) {
        (1.., ..) => Exit::Harness,
        (_, 1.., _) => Exit::Violation,
        (_, _, true) => Exit::Inconclusive,
        _ => Exit::Expected,
    }
}

/// Writes a run that broke to a file, one of the first few, and says which faults broke it.
fn tell(broken: &Broken, number: u64, terminal: &mut Terminal) -> Result<(), Failure> {
    let explicit = broken.recorded.explicit.as_ref().expect("it is recorded");
    let replay = if number <= FILES {
        let name = format!("{}-{}-exhaust-{}-{number}.toml", broken.recorded.name, explicit.system, explicit.seed);
        let path = Path::new(FOLDER).join(name);
        write_whole(&path, broken.recorded.to_toml())?;
        Some(recordings::replay_command(&path))
    } else {
        None
    };
    let faults: Vec<String> = broken.by.iter().map(ToString::to_string).collect();
    let checks: Vec<&'static str> = broken.checks.iter().map(|check| check.name()).collect();
    if terminal.json {
        return terminal.line(&json::line("broken", Line { faults, checks, sentence: &broken.sentence, replay }));
    }
    let text = format!("{}: {}", checks.join(", "), broken.sentence);
    terminal.line(&hang(&format!("{}: ", faults.join(" and ")), &terminal.style.plain_text(&text), 2))?;
    replay.map_or(Ok(()), |replay| terminal.line(&format!("  replay: {replay}")))
}

fn text(summary: &Summary, terminal: &Terminal) -> String {
    let Summary { scenario, system, says, .. } = summary;
    let mut lines = vec![wrap(&format!("{scenario} under {system}, seed {}: {says}", summary.seed), WIDTH, 2)];
    let mut figure = |name: &str, text: String| lines.push(hang(&format!("  {name:<11}"), &text, 13));
    let sorts: Vec<String> = summary.singles.iter().map(|(sort, runs)| format!("{sort} {runs}")).collect();
    figure("tried", sorts.join(", "));
    figure("pairs", format!("{} tried, {} left out", summary.pairs, summary.pairs_left_out));
    figure("runs", format!("{}, {} inconclusive, in {:.1} s", summary.runs, summary.inconclusive, summary.wall_s));
    terminal.style.plain_text(&(lines.join("\n") + "\n"))
}
