//! Which runs a test makes, in which order, and what fails it.

use super::runner::{Candidates, Case, Isolation, Ran, Runner};
use super::service::{Service, subject};
use super::story::{self, Broken, Origin, Smaller};
use crate::rng::seeds::{SEED, Seeds};
use crate::scenario::{self, Scenario};
use crate::shrink::{Limits, shrink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names a file to run instead of seeds.
pub(super) const REPLAY: &str = "SCHISM_REPLAY";
/// Whether a failing run is shown as a page.
pub(super) const HTML: &str = "SCHISM_HTML";
/// Whether a failing run is kept among the regressions.
pub(super) const SAVE: &str = "SCHISM_SAVE";
/// How many runs are made at once.
const JOBS: &str = "SCHISM_JOBS";
/// Whether a failing run is shrunk: 0 turns it off.
const SHRINK: &str = "SCHISM_SHRINK";
/// Where regressions are kept, from the crate's root.
const REGRESSIONS: &str = "sims/regressions";
/// What shrinking may spend, in simulated milliseconds.
const SHRINK_MS: u64 = 2_000_000;

/// A test, as `#[schism::test]` describes it.
#[derive(Debug, Clone)]
pub struct Test {
    /// The module of the test function, its crate first: `module_path!()`.
    pub module: &'static str,
    /// The test function.
    pub function: &'static str,
    /// The package: `CARGO_PKG_NAME`.
    pub package: &'static str,
    /// The package's folder: `CARGO_MANIFEST_DIR`.
    pub folder: &'static str,
    /// The source file: `file!()`.
    pub file: &'static str,
    /// The name of a scenario that this crate carries, or a file in the package.
    pub scenario: &'static str,
    /// How many seeds are tried unless `SCHISM_SEEDS` says otherwise.
    pub seeds: u64,
    /// How runs are kept apart.
    pub isolation: Isolation,
}

/// Why a test fails.
pub(super) enum Failure {
    /// A run broke something.
    Broken(Box<Broken>),
    /// Nothing broke, but some runs prove nothing.
    Inconclusive {
        /// The first such seed.
        seed: u64,
        /// Why.
        why: String,
        /// How many seeds there are like it.
        count: u64,
        /// Of how many.
        seeds: u64,
    },
    /// The test could not be carried out, or two runs of one seed differ.
    Harness(String),
}

impl Test {
    /// Runs the test.
    ///
    /// # Panics
    /// When the test fails; what there is to say is on stderr.
    pub fn check<S: Service>(&self, make: fn() -> S) {
        let scenario = match self.load() {
            Ok(scenario) => scenario,
            Err(error) => return story::fail(self, &Failure::Harness(error)),
        };
        let name = self.name();
        let runner = Runner {
            test: self.clone(),
            scenario,
            make: Box::new(move || subject(&name, make())),
            folder: target_folder(),
        };
        let runner = Arc::new(runner);
        if runner.run_as_child() {
            return;
        }
        if let Err(failure) = self.carry_out(&runner) {
            story::fail(self, &failure);
        }
    }

    fn carry_out(&self, runner: &Arc<Runner>) -> Result<(), Failure> {
        if let Some(file) = std::env::var_os(REPLAY) {
            return self.replay(runner, Path::new(&file), Origin::Replay);
        }
        // Who names a seed wants to see that seed.
        if std::env::var_os(SEED).is_none() {
            for file in self.regressions()? {
                self.replay(runner, &file, Origin::Regression)?;
            }
        }
        let seeds = Seeds::from_environment(self.seeds).map_err(|error| Failure::Harness(error.to_string()))?;
        let jobs = jobs().map_err(Failure::Harness)?;
        self.repeats(runner, seeds.iter().start)?;
        let all: Vec<u64> = seeds.iter().collect();
        let mut inconclusive: Vec<(u64, String)> = Vec::new();
        for (index, batch) in all.chunks(jobs).enumerate() {
            let ran: Vec<Result<Ran, String>> = std::thread::scope(|scope| {
                let running: Vec<_> = batch.iter().map(|seed| scope.spawn(|| runner.run(Case::Seed(*seed)))).collect();
                running.into_iter().map(|run| run.join().expect("a runner catches what a run throws")).collect()
            });
            for (at, (seed, ran)) in batch.iter().zip(ran).enumerate() {
                let ran = ran.map_err(Failure::Harness)?;
                let count = (index * jobs + at + 1) as u64;
                if !ran.failed.is_empty() {
                    let origin = Origin::Seed { seed: *seed, count, seeds: seeds.count() };
                    return Err(Failure::Broken(Box::new(self.broken(runner, origin, &ran, jobs))));
                }
                inconclusive.extend(ran.inconclusive.first().map(|why| (*seed, why.clone())));
            }
        }
        match inconclusive.first() {
            None => Ok(()),
            Some((seed, why)) => Err(Failure::Inconclusive {
                seed: *seed,
                why: why.clone(),
                count: inconclusive.len() as u64,
                seeds: seeds.count(),
            }),
        }
    }

    /// Two runs of one seed must be the same; where they share a process, also after another seed.
    fn repeats(&self, runner: &Arc<Runner>, seed: u64) -> Result<(), Failure> {
        let run = |seed| runner.run(Case::Seed(seed)).map_err(Failure::Harness);
        let first = run(seed)?;
        if self.isolation == Isolation::Thread {
            run(seed.wrapping_add(1))?;
        }
        let again = run(seed)?;
        if first.digest == again.digest {
            return Ok(());
        }
        let cure = match self.isolation {
            Isolation::Thread => {
                "start every task with Host::spawn, or let each run have a process: isolation = \"process\""
            }
            Isolation::Process => "look for HashMap iteration, the real clock, threads, and random numbers of its own",
        };
        Err(Failure::Harness(format!("seed {seed} gave two different runs, so nothing would replay: {cure}")))
    }

    /// Runs a file; it fails the test if anything fails, whatever was recorded.
    fn replay(&self, runner: &Arc<Runner>, file: &Path, origin: fn(PathBuf) -> Origin) -> Result<(), Failure> {
        let scenario = scenario::load(&file.display().to_string()).map_err(|error| Failure::Harness(error.plain()))?;
        let ran = runner.run(Case::Explicit(&scenario)).map_err(Failure::Harness)?;
        if ran.failed.is_empty() {
            return Ok(());
        }
        let (origin, failed, page) = (origin(file.to_owned()), ran.failed, ran.page);
        Err(Failure::Broken(Box::new(Broken { origin, failed, smaller: None, saved: None, page })))
    }

    /// The files kept for this test, in order of their names.
    fn regressions(&self) -> Result<Vec<PathBuf>, Failure> {
        let folder = Path::new(self.folder).join(REGRESSIONS);
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(Vec::new()) };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        let is_own = |path: &PathBuf| -> Result<bool, Failure> {
            let kept = scenario::load(&path.display().to_string()).map_err(|error| Failure::Harness(error.plain()))?;
            Ok(kept.explicit.is_some_and(|explicit| explicit.system == self.name()))
        };
        files.into_iter().filter_map(|path| is_own(&path).map(|own| own.then_some(path)).transpose()).collect()
    }

    /// Shrinks a failing run, writes it down, and says what there is to say.
    fn broken(&self, runner: &Arc<Runner>, origin: Origin, ran: &Ran, jobs: usize) -> Broken {
        let Origin::Seed { seed, .. } = origin else { unreachable!("only seeds are shrunk here") };
        let failed = ran.failed.clone();
        let recorded = match &ran.explicit {
            Some(text) => Scenario::parse("the run's own record", text).expect("a run writes what it can read"),
            None => runner.scenario.materialised(&self.name(), seed),
        };
        let is_wanted = std::env::var(SHRINK).map_or(true, |wish| wish != "0");
        let limits = Limits { jobs, simulated_ms: SHRINK_MS };
        let shrunk = is_wanted.then(|| shrink(&recorded, &failed[0].check, &Candidates(runner.clone()), &limits));
        let stem = format!("{}-{seed}", self.function);
        let (smaller, kept) = match shrunk {
            Some(Ok(shrunk)) => {
                let path = runner.folder.join(format!("{stem}-shrunk.toml"));
                let text = shrunk.scenario.to_toml();
                (Some(Smaller { file: path.clone(), shrunk }), (path, text))
            }
            // A run that does not fail again under the same seed cannot be shrunk; the whole of it is kept.
            Some(Err(_)) | None => (None, (runner.folder.join(format!("{stem}.toml")), recorded.to_toml())),
        };
        // What cannot be written is not there to be replayed; the seed still is.
        let written = std::fs::create_dir_all(&runner.folder).and_then(|()| write_whole(&kept.0, &kept.1));
        let smaller = smaller.filter(|_| written.is_ok());
        let saved = self.save(&kept.0, &kept.1);
        Broken { origin, failed, smaller, saved, page: ran.page.clone() }
    }

    /// Keeps a run among the regressions, if that is asked for.
    fn save(&self, written: &Path, text: &str) -> Option<Result<PathBuf, String>> {
        if std::env::var(SAVE).map_or(true, |wish| wish == "0") {
            return None;
        }
        if std::env::var_os("CI").is_some() {
            return Some(Err(format!("{SAVE} writes into the source tree, which is off while CI is set")));
        }
        let folder = Path::new(self.folder).join(REGRESSIONS);
        let path = folder.join(written.file_name().expect("a run's file has a name"));
        let saved = std::fs::create_dir_all(&folder).and_then(|()| write_whole(&path, text));
        Some(saved.map(|()| path).map_err(|error| format!("{}: {error}", folder.display())))
    }

    /// The scenario: one that this crate carries, or a file of the package.
    fn load(&self) -> Result<Scenario, String> {
        let is_carried = scenario::embedded().iter().any(|(name, _)| *name == self.scenario);
        let path = Path::new(self.folder).join(self.scenario).display().to_string();
        scenario::load(if is_carried { self.scenario } else { &path }).map_err(|error| error.plain())
    }

    /// The test's name, as regressions carry it.
    pub(super) fn name(&self) -> String {
        format!("{}::{}", self.module, self.function)
    }

    /// The test's name as libtest knows it: without the crate.
    pub(super) fn name_in_binary(&self) -> String {
        self.name().split_once("::").expect("a path begins with its crate").1.to_owned()
    }
}

/// Writes a file so that whoever reads it meanwhile sees all of it, or the one before: tests run side by side.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension(format!("{}.part", std::process::id()));
    std::fs::write(&unfinished, text)?;
    std::fs::rename(&unfinished, path)
}

/// How many runs are made at once; one, unless told otherwise: `cargo test` runs several tests already.
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
fn target_folder() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    let deps = executable.ancestors().find(|path| path.file_name().is_some_and(|name| name == "deps"));
    let target = deps.and_then(|deps| deps.parent()?.parent());
    target.map_or_else(|| PathBuf::from("target"), Path::to_owned).join("schism")
}
