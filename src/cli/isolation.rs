//! How the seeds of a sweep are kept apart, and whether that makes a difference.
//!
//! Several seeds share a child process. A crash of that process costs one seed, which is then named, and memory that
//! runs leave behind is freed when the process ends. A sample of the seeds also runs alone in a fresh process: state
//! that is kept from run to run shows as a second digest.

use super::warn::warn;
use super::worker::{Worker, WorkerReply};
use schism::report::json;
use schism::rng::seeds::Seeds;
use schism::run::{Options, Outcome, Verdict, run};
use schism::scenario::Scenario;
use schism::sweep::children::{Children, NoAnswer};
use schism::systems::System;
use schism::trace::digest::Digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// After so many recorded failures, later ones are named by their seed alone: each file holds a whole script.
pub const FILES: usize = 100;

/// Where seeds run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// This many, one after the other, in each child process.
    Beside(u64),
    /// All in this process.
    Here,
}

/// What one seed yields.
pub struct Done {
    /// Its outcome.
    pub outcome: Outcome,
    /// The outcome as a line of a log.
    pub line: String,
    /// The run in explicit form, where it may be needed.
    pub recording: Option<String>,
    /// For a seed of the sample: whether its other run was the same, and if not, how they differ.
    pub compared: Option<Result<(), String>>,
}

/// Why a seed yields nothing.
pub enum NoRun {
    /// The harness refused, or panicked.
    Refused(String),
    /// Its process died.
    Died(String),
    /// It overran the watchdog.
    Hung,
}

/// Runs seeds.
pub struct Isolation {
    /// What is run.
    pub scenario: Scenario,
    /// With which system.
    pub system: System,
    /// The options of each run.
    pub options: Options,
    /// Whether violations are recorded.
    pub record: bool,
    /// Where.
    pub place: Place,
    /// Which seeds are run twice.
    pub sample: Sample,
    /// How many recordings there are.
    pub recorded: Arc<AtomicUsize>,
    children: Children,
}

/// Seeds spread evenly over a sweep; the last is always one of them, so that others have run before.
#[derive(Clone, Copy)]
pub enum Sample {
    /// So many of these.
    Of(Seeds, u64),
    /// One in so many, in a sweep whose last seed is not known.
    Every(u64),
}

impl Sample {
    /// What a sweep without a last seed takes.
    pub const EVERY_FIFTIETH: Sample = Sample::Every(50);

    /// This many of these seeds; by default one, and one more for each fifty, up to five.
    pub fn of(seeds: Seeds, count: Option<u64>) -> Sample {
        let usual = || (1 + seeds.count() / 50).min(5);
        Sample::Of(seeds, count.unwrap_or_else(usual).min(seeds.count()))
    }

    fn holds(&self, seed: u64) -> bool {
        let (seeds, count) = match self {
            Sample::Of(seeds, count) => (seeds, count),
            Sample::Every(period) => return seed % period == period - 1,
        };
        let at = u128::from(seed - seeds.iter().start);
        let (all, count) = (u128::from(seeds.count()), u128::from(*count));
        (at + 1) * count / all > at * count / all
    }
}

impl Isolation {
    /// Runs seeds of a scenario with a system in processes with a limit of memory, and of time for each seed.
    pub fn new(
        scenario: &Scenario,
        (system, options): (System, Options),
        (place, sample): (Place, Sample),
        record: bool,
        (watchdog, memory_mb): (Duration, u64),
    ) -> Isolation {
        let command = move || Worker::command(system, &options, record, memory_mb);
        let mut children = Children::new(command, Worker::greeting(scenario), watchdog);
        children.heard = Arc::new(warn);
        if let Place::Beside(seeds) = place {
            children.seeds_each = seeds;
        }
        let recorded = Arc::default();
        Isolation { scenario: scenario.clone(), system, options, record, place, sample, recorded, children }
    }

    /// Runs a seed; twice, if it is of the sample.
    pub fn run(&self, seed: u64) -> Result<Done, NoRun> {
        let mut done = match self.place {
            Place::Here => self.here(seed),
            Place::Beside(1) => read(self.children.ask_fresh(seed)),
            Place::Beside(_) => read(self.children.ask(seed)),
        }?;
        if self.sample.holds(seed) {
            let another = seed.checked_add(1).unwrap_or(0);
            let other = match self.place {
                Place::Beside(1) => read(self.children.ask_after(another, seed)),
                _ => read(self.children.ask_fresh(seed)),
            };
            done.compared = Some(self.compare(done.outcome.digest, other));
        }
        Ok(done)
    }

    fn here(&self, seed: u64) -> Result<Done, NoRun> {
        let run = run(&self.scenario, self.system, seed, &self.options);
        let run = run.map_err(|error| NoRun::Refused(error.to_string()))?;
        let is_wanted = self.record && run.outcome.verdict == Verdict::Violation;
        let wanted = is_wanted && self.recorded.load(Ordering::Relaxed) < FILES;
        let recording = wanted.then(|| run.recording().to_toml());
        Ok(Done { line: json::outcome(&run.outcome), outcome: run.outcome, recording, compared: None })
    }

    /// Compares the two runs of a seed.
    fn compare(&self, digest: Digest, other: Result<Done, NoRun>) -> Result<(), String> {
        let other = match other {
            Ok(other) if other.outcome.digest == digest => return Ok(()),
            Ok(other) => format!("digest {}", other.outcome.digest),
            Err(NoRun::Refused(why) | NoRun::Died(why)) => why,
            Err(NoRun::Hung) => "it hung".into(),
        };
        let digest = format!("digest {digest}");
        let (alone, after) = if self.place == Place::Beside(1) { (digest, other) } else { (other, digest) };
        Err(format!(
            "not deterministic: alone in a process: {alone}; after other seeds in one process: {after}. Something is kept \
             from run to run: a static, a thread-local, a counter of the process"
        ))
    }
}

/// What an answer of a worker means.
fn read(answer: Result<String, NoAnswer>) -> Result<Done, NoRun> {
    let answer = answer.map_err(|none| match none {
        NoAnswer::Died(why) => NoRun::Died(why),
        NoAnswer::NotStarted(why) => NoRun::Refused(why),
        NoAnswer::Hung => NoRun::Hung,
    })?;
    let garbled = |error: serde_json::Error| NoRun::Refused(format!("its process answered something else: {error}"));
    match serde_json::from_str(&answer).map_err(garbled)? {
        WorkerReply::Ran { outcome: line, recording } => {
            Ok(Done { outcome: serde_json::from_str(&line).map_err(garbled)?, line, recording, compared: None })
        }
        WorkerReply::Refused(why) | WorkerReply::Panicked(why) => Err(NoRun::Refused(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_evenly_and_ends_with_the_last_seed() {
        let chosen = |seeds: &str, count| -> Vec<u64> {
            let seeds: Seeds = seeds.parse().unwrap();
            let sample = Sample::of(seeds, count);
            seeds.iter().filter(|seed| sample.holds(*seed)).collect()
        };
        assert_eq!(chosen("10..16", None), [15]);
        assert_eq!(chosen("100", None), [33, 66, 99]);
        assert_eq!(chosen("1000", None).len(), 5);
        assert_eq!(chosen("4", Some(9)), [0, 1, 2, 3]);
        assert_eq!(chosen("4", Some(0)), [0; 0]);
    }

    /// A worker that answers each seed with a digest that counts the runs of its process.
    #[cfg(unix)]
    fn leaky(place: Place, leaks: bool) -> Isolation {
        let scenario = schism::scenario::load("split-brain").unwrap();
        let mut outcome = run(&scenario, System::Raft, 0, &Options::default()).unwrap().outcome;
        outcome.digest = Digest(0);
        let answer = WorkerReply::Ran { outcome: json::outcome(&outcome), recording: None };
        let answer = serde_json::to_string(&answer).unwrap();
        let digest = Digest(0).to_string();
        let (before, after) = answer.split_once(&digest).unwrap();
        let count = if leaks { "$((n+1))" } else { "1" };
        let script = format!(
            "read greeting; n=0; while read seed; do n={count}; printf '%s%032d%s\\n' \"$BEFORE\" $n \"$AFTER\"; done"
        );
        let (before, after) = (before.to_string(), after.to_string());
        let command = move || {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &script]).env("BEFORE", &before).env("AFTER", &after);
            command
        };
        let sample = Sample::of(Seeds::first(6), None);
        let limits = (Duration::from_secs(60), 4096);
        let isolation = Isolation::new(&scenario, (System::Raft, Options::default()), (place, sample), false, limits);
        let mut children = Children::new(command, String::new(), limits.0);
        children.seeds_each = 50;
        Isolation { children, ..isolation }
    }

    #[cfg(unix)]
    #[test]
    fn a_counter_that_leaks_between_runs_shows_wherever_the_seeds_run() {
        for place in [Place::Beside(1), Place::Beside(50)] {
            for leaks in [false, true] {
                let isolation = leaky(place, leaks);
                let compared =
                    (0..6).filter_map(|seed| isolation.run(seed).unwrap_or_else(|_| panic!("it ran")).compared);
                let compared: Vec<_> = compared.collect();
                assert_eq!(compared.len(), 1);
                assert_eq!(compared[0].is_err(), leaks);
                if let Err(why) = &compared[0] {
                    let alone = "alone in a process: digest 00000000000000000000000000000001; after other";
                    assert!(why.contains(alone) && why.matches("digest 0").count() == 2, "{why}");
                }
            }
        }
    }
}
