//! Which runs a test makes, in which order, and what makes it fail.

use super::doubts::Tally;
use super::failure::{Broken, Failure, Origin, Smaller};
use super::runner::{Candidates, Case, Ran, Runner, Wish};
use super::settings::{Inconclusive, Isolation, Settings};
use super::story;
use super::variables::{JOBS, REPLAY, SAVE, SHRINK};
use crate::fault::fold::{Resolved, TargetRole};
use crate::fault::model::Target;
use crate::report::event::what_differs;
use crate::report::file::write_whole;
use crate::rng::seeds::{SEED, Seeds};
use crate::run::powerless::ROLE_CURE;
use crate::scenario::{self, Scenario, materialise};
use crate::shrink::{Limits, shrink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where regressions are kept, from the crate's root.
const REGRESSIONS: &str = "sims/regressions";
/// The least budget of shrinking, unless the test sets one, in simulated milliseconds.
const SHRINK_MS: u64 = 2_000_000;
/// The budget is also at least this many runs as long as the failing one: shrinking a run of a minute takes more than
/// shrinking one of ten seconds.
const SHRINK_RUNS: u64 = 250;

/// The runs of one test.
pub(super) struct Course {
    pub runner: Arc<Runner>,
}

impl Course {
    fn settings(&self) -> &Settings {
        &self.runner.settings
    }

    /// Makes them: first what is kept of earlier failures, then the seeds, until one fails.
    pub fn carry_out(&self) -> Result<(), Failure> {
        if let Some(file) = std::env::var_os(REPLAY) {
            return self.replay(Path::new(&file), Origin::Replay);
        }
        // A user who names a seed wants to see that seed.
        let is_one = std::env::var_os(SEED).is_some();
        if !is_one {
            for file in self.regressions()? {
                self.replay(&file, Origin::Regression)?;
            }
        }
        let seeds =
            Seeds::from_environment(self.settings().seeds).map_err(|error| Failure::Harness(error.to_string()))?;
        let jobs = jobs().map_err(Failure::Harness)?;
        shrink_ms(0).map_err(Failure::Harness)?;
        let all: Vec<u64> = seeds.iter().collect();
        self.repeats(all[0], &all)?;
        let wish = Wish { echo: is_one, ..Wish::default() };
        let mut tally = Tally::default();
        for (index, batch) in all.chunks(jobs).enumerate() {
            let ran: Vec<Result<Ran, String>> = std::thread::scope(|scope| {
                let run = |seed| self.runner.run(Case::Seed(seed), wish);
                let running: Vec<_> = batch.iter().map(|seed| scope.spawn(move || run(*seed))).collect();
                running.into_iter().map(|run| run.join().expect("a runner catches what a run throws")).collect()
            });
            for (at, (seed, ran)) in batch.iter().zip(ran).enumerate() {
                let ran = ran.map_err(Failure::Harness)?;
                let count = (index * jobs + at + 1) as u64;
                if !ran.failed.is_empty() {
                    let origin = Origin::Seed { seed: *seed, count, seeds: seeds.count() };
                    return Err(Failure::Broken(Box::new(self.broken(origin, &ran, jobs))));
                }
                tally.add(*seed, &ran);
            }
        }
        tally.verdict(self.settings().inconclusive, !is_one && seeds.count() >= self.settings().seeds)?;
        if let Some(note) = tally.note() {
            story::note(self.settings(), &note);
        }
        Ok(())
    }

    /// Two runs of one seed must be the same; where they share a process, also after another seed. The first of them also
    /// tells whether the service says who leads, which faults on a leader need under whatever seed.
    fn repeats(&self, seed: u64, all: &[u64]) -> Result<(), Failure> {
        let wish = Wish { trace: true, ..Wish::default() };
        let run = |seed, wish| self.runner.run(Case::Seed(seed), wish).map_err(Failure::Harness);
        let first = run(seed, wish)?;
        let says_nothing =
            !first.leads && first.failed.is_empty() && self.settings().inconclusive != Inconclusive::Allow;
        if let Some((seed, fault)) = says_nothing.then(|| on_a_role(&self.runner.scenario, all)).flatten() {
            return Err(Failure::Harness(format!(
                "the schedule of seed {seed} has a fault on a role ({fault}), and no node ever said that it leads: {ROLE_CURE}"
            )));
        }
        if self.settings().isolation == Isolation::Thread {
            run(seed.wrapping_add(1), Wish::default())?;
        }
        let again = run(seed, wish)?;
        if first.digest == again.digest {
            return Ok(());
        }
        let cure = match self.settings().isolation {
            Isolation::Thread => {
                "start every task with Host::spawn, or let each run have a process: isolation = \"process\""
            }
            Isolation::Process => "look for HashMap iteration, the real clock, threads, and random numbers of its own",
        };
        let parts = match (&first.trace, &again.trace) {
            (Some(first), Some(again)) => what_differs(first, again),
            _ => "one of them did not end".into(),
        };
        Err(Failure::Harness(format!("seed {seed} gave two different runs, so nothing would replay: {parts}; {cure}")))
    }

    /// Runs a file; it fails the test if anything fails, whatever was recorded.
    fn replay(&self, file: &Path, origin: fn(PathBuf) -> Origin) -> Result<(), Failure> {
        let scenario = scenario::load(&file.display().to_string()).map_err(|error| Failure::Harness(error.plain()))?;
        let origin = origin(file.to_owned());
        let wish = Wish { echo: matches!(origin, Origin::Replay(_)), ..Wish::default() };
        let Ran { failed, attempts, page, .. } =
            self.runner.run(Case::Explicit(&scenario), wish).map_err(Failure::Harness)?;
        if failed.is_empty() {
            return Ok(());
        }
        Err(Failure::Broken(Box::new(Broken { origin, failed, attempts, smaller: None, saved: None, page })))
    }

    /// The files kept for this test, in order of their names.
    fn regressions(&self) -> Result<Vec<PathBuf>, Failure> {
        let folder = Path::new(self.settings().place.folder).join(REGRESSIONS);
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(Vec::new()) };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        let is_own = |path: &PathBuf| -> Result<bool, Failure> {
            let kept = scenario::load(&path.display().to_string()).map_err(|error| Failure::Harness(error.plain()))?;
            Ok(kept.explicit.is_some_and(|explicit| explicit.system == self.settings().name()))
        };
        files.into_iter().filter_map(|path| is_own(&path).map(|own| own.then_some(path)).transpose()).collect()
    }

    /// Shrinks a failing run, writes it down, and says what there is to say.
    fn broken(&self, origin: Origin, ran: &Ran, jobs: usize) -> Broken {
        let Origin::Seed { seed, .. } = origin else { unreachable!("only seeds are shrunk here") };
        let failed = ran.failed.clone();
        let recorded = match &ran.explicit {
            Some(text) => Scenario::parse("the run's own record", text).expect("a run writes what it can read"),
            None => self.runner.scenario.materialised(&self.settings().name(), seed),
        };
        let budget = shrink_ms(ran.simulated_ms).expect("it was read before any run");
        let limits = Limits { jobs, simulated_ms: budget };
        let candidates = Candidates(self.runner.clone());
        let shrunk = (budget > 0).then(|| shrink(&recorded, &failed[0].check, &candidates, &limits));
        let mut attempts = ran.attempts.clone();
        let stem = format!("{}-{seed}", self.settings().place.function);
        let (smaller, kept) = match shrunk {
            Some(Ok(shrunk)) => {
                let path = self.runner.folder.join(format!("{stem}-shrunk.toml"));
                let text = shrunk.scenario.to_toml();
                // Its own attempts, which shrinking had no use for.
                if let Ok(small) = self.runner.run(Case::Explicit(&shrunk.scenario), Wish::default()) {
                    attempts = small.attempts;
                }
                (Some(Smaller { file: path.clone(), shrunk, budget_s: budget / 1000 }), (path, text))
            }
            // A run that does not fail again under the same seed cannot be shrunk; the whole of it is kept.
            Some(Err(_)) | None => (None, (self.runner.folder.join(format!("{stem}.toml")), recorded.to_toml())),
        };
        // A run that cannot be written cannot be replayed from a file, but its seed can.
        let written = write_whole(&kept.0, &kept.1);
        let smaller = smaller.filter(|_| written.is_ok());
        let saved = self.save(&kept.0, &kept.1);
        Broken { origin, failed, attempts, smaller, saved, page: ran.page.clone() }
    }

    /// Keeps a run among the regressions, if requested.
    fn save(&self, written: &Path, text: &str) -> Option<Result<PathBuf, String>> {
        if std::env::var(SAVE).map_or(true, |wish| wish == "0") {
            return None;
        }
        if std::env::var_os("CI").is_some() {
            return Some(Err(format!("{SAVE} writes into the source tree, which is off while CI is set")));
        }
        let folder = Path::new(self.settings().place.folder).join(REGRESSIONS);
        let path = folder.join(written.file_name().expect("a run's file has a name"));
        Some(write_whole(&path, text).map(|()| path).map_err(|error| error.to_string()))
    }
}

/// The first of these seeds whose schedule has a fault on a role, and that fault's name.
fn on_a_role(scenario: &Scenario, seeds: &[u64]) -> Option<(u64, &'static str)> {
    seeds.iter().find_map(|seed| {
        let drawn = scenario.drawn(*seed);
        let topology = drawn.topology();
        // `@there` is where an event was, which needs no role.
        let is_role =
            |target: &Target| matches!(topology.resolve(target), Ok(Resolved::Role(role)) if role != TargetRole::There);
        let faults = materialise(&drawn, *seed).schedule.faults;
        let fault = faults.iter().find(|fault| fault.kind.role_targets().into_iter().any(is_role))?;
        Some((*seed, fault.kind.name()))
    })
}

/// The budget for shrinking a run of this many simulated milliseconds, in the same unit; 0: do not shrink.
fn shrink_ms(run_ms: u64) -> Result<u64, String> {
    let usual = SHRINK_MS.max(run_ms.saturating_mul(SHRINK_RUNS));
    let Ok(text) = std::env::var(SHRINK) else { return Ok(usual) };
    let seconds = text.parse::<u64>().map_err(|_| {
        format!("{SHRINK} is `{text}`: give a budget in simulated seconds ({} here unless you do), or 0", usual / 1000)
    })?;
    Ok(seconds.saturating_mul(1000))
}

/// How many runs are made at once; one by default, since `cargo test` runs several tests already.
fn jobs() -> Result<usize, String> {
    match std::env::var(JOBS) {
        Err(_) => Ok(1),
        Ok(text) => match text.parse() {
            Ok(jobs) if jobs > 0 => Ok(jobs),
            _ => Err(format!("{JOBS} is `{text}`: give a number of at least 1")),
        },
    }
}

/// `target/schism`, found from where the test's executable lies.
pub(super) fn target_folder() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let deps = executable.ancestors().find(|path| path.file_name().is_some_and(|name| name == "deps"));
    let target = deps.and_then(|deps| deps.parent()?.parent());
    target.map_or_else(|| PathBuf::from("target"), Path::to_owned).join("schism")
}
