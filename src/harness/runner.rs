//! One run of a test: on a thread of its own, or in a process of its own.
//!
//! tokio drops the tasks of a killed runtime in an order that depends on how many tasks the *process* ever
//! spawned. Code that calls `tokio::spawn` itself, as most libraries do, therefore replays only in a fresh
//! process: the test's executable runs itself again with `--exact`, and the child writes what it found to a file.
//! Code that starts all its tasks with `Host::spawn` may share a process, which is faster.

use super::story;
use super::test::{HTML, REPLAY, Test};
use crate::host::panics::describe;
use crate::report::page::page;
use crate::report::recording;
use crate::rng::seeds::SEED;
use crate::run::{Options, Run, RunError, Subject, Verdict, run_subject};
use crate::scenario::Scenario;
use crate::shrink::{Failed, Oracle, PANIC, Trial, names};
use crate::sim::SimulationError;
use crate::trace::digest::Digest;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

/// Set in a child process: the file to which it writes what it found.
const CHILD: &str = "SCHISM_CHILD";
/// Set in a child process that runs a scenario file instead of a seed.
const CHILD_FILE: &str = "SCHISM_CHILD_FILE";
/// Set in a child process that runs a seed of the test's scenario.
const CHILD_SEED: &str = "SCHISM_CHILD_SEED";
/// The name of the threads on which runs are made.
const THREAD: &str = "schism run";
/// Wall-clock time after which a run counts as hung. A simulated minute takes about a second.
const WATCHDOG: Duration = Duration::from_secs(120);
/// What a run that hung failed, beside the names of checks and [`PANIC`].
const HANG: &str = "hang";

/// How runs are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// A process for each run: for code that calls `tokio::spawn`, or keeps anything in statics.
    #[default]
    Process,
    /// All runs in the test's process, each on a thread: for code that starts its tasks with `Host::spawn` only.
    Thread,
}

/// What became of one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Ran {
    /// What failed, strongest first: checks, or a panic, or a hang.
    pub failed: Vec<Failed>,
    /// When it was undeniable, in simulated nanoseconds.
    pub at_ns: Option<u64>,
    /// Why the run proves nothing, if nothing failed.
    pub inconclusive: Vec<String>,
    /// How much time was simulated, in milliseconds.
    pub simulated_ms: u64,
    /// The run's digest; none if it did not end.
    pub digest: Option<Digest>,
    /// The run in explicit form, as TOML; none if it did not end.
    pub explicit: Option<String>,
    /// The page that shows it, if one was asked for.
    pub page: Option<PathBuf>,
}

impl Ran {
    fn of(run: Run) -> Ran {
        let (verdict, digest) = (run.outcome.verdict, run.outcome.digest);
        let inconclusive = run.outcome.inconclusive.clone();
        let Trial { failed, at_ns, simulated_ms, explicit, .. } = Trial::of(run);
        Ran {
            failed,
            at_ns,
            inconclusive: if verdict == Verdict::Violation { Vec::new() } else { inconclusive },
            simulated_ms,
            digest: Some(digest),
            explicit: explicit.map(|explicit| explicit.to_toml()),
            page: None,
        }
    }

    /// A run that did not end.
    fn broken(failed: &str, sentence: String) -> Ran {
        Ran { failed: vec![Failed::named(failed, sentence)], ..Ran::default() }
    }
}

/// What is run: a seed of the test's scenario, or a scenario in explicit form.
#[derive(Clone, Copy)]
pub(super) enum Case<'a> {
    Seed(u64),
    Explicit(&'a Scenario),
}

/// Makes the runs of a test.
pub(super) struct Runner {
    pub test: Test,
    pub scenario: Scenario,
    pub make: Box<dyn Fn() -> Subject + Send + Sync>,
    /// Folder for what runs leave behind.
    pub folder: PathBuf,
}

impl Runner {
    /// One run.
    ///
    /// # Errors
    /// When it could not be carried out, which is nobody's failure but the test's own.
    pub fn run(self: &Arc<Self>, case: Case<'_>) -> Result<Ran, String> {
        match self.test.isolation {
            Isolation::Process => self.in_process_of_its_own(case),
            Isolation::Thread => self.on_thread(case),
        }
    }

    /// If this process is a child, makes the run it was started for.
    pub fn run_as_child(self: &Arc<Self>) -> bool {
        let Some(answer) = std::env::var_os(CHILD) else { return false };
        let seed = std::env::var(CHILD_SEED).ok().and_then(|seed| seed.parse().ok());
        let file = std::env::var(CHILD_FILE).ok();
        let scenario = file.map(|file| crate::scenario::load(&file).map_err(|error| error.plain()));
        let ran = match (seed, scenario) {
            (Some(seed), _) => self.on_thread(Case::Seed(seed)),
            (None, Some(Ok(scenario))) => self.on_thread(Case::Explicit(&scenario)),
            (None, Some(Err(error))) => Err(error),
            (None, None) => Err(format!("{CHILD} is set, but neither {CHILD_SEED} nor {CHILD_FILE}")),
        };
        let json = serde_json::to_vec(&ran).expect("what was found is plain data");
        std::fs::write(answer, json).expect("the parent made a folder for the answer");
        true
    }

    fn on_thread(self: &Arc<Self>, case: Case<'_>) -> Result<Ran, String> {
        quiet_panics();
        let scenario = match case {
            Case::Seed(_) => self.scenario.clone(),
            Case::Explicit(scenario) => scenario.clone(),
        };
        let seed = match (case, &scenario.explicit) {
            (Case::Seed(seed), _) => seed,
            (Case::Explicit(_), Some(explicit)) => explicit.seed,
            (Case::Explicit(_), None) => return Err("the file carries no recorded run".into()),
        };
        // Of the hundreds of runs while one is shrunk nobody wants a page; a file that was asked for is not shrunk.
        let is_shown = std::env::var(HTML).is_ok_and(|wish| wish != "0")
            && (matches!(case, Case::Seed(_)) || std::env::var_os(REPLAY).is_some());
        let (runner, (done, result)) = (Arc::clone(self), std::sync::mpsc::channel());
        let job = move || {
            let run = || run_subject(&scenario, &(runner.make)(), seed, &Options::default());
            let ran = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(run)) => {
                    let page = (is_shown && run.outcome.verdict == Verdict::Violation).then(|| runner.show(&run));
                    Ok(Ran { page: page.flatten(), ..Ran::of(run) })
                }
                // A node whose process ends or fails is the service's doing; the rest is the test's.
                Ok(Err(RunError::Simulation(error @ SimulationError::Host(_)))) => {
                    Ok(Ran::broken(PANIC, error.to_string()))
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Ok(Ran::broken(PANIC, PANICKED.take().unwrap_or_else(|| "a node panicked".into()))),
            };
            // Nobody waits any more for a run that was given up.
            let _ = done.send(ran);
        };
        std::thread::Builder::new().name(THREAD.into()).spawn(job).map_err(|error| error.to_string())?;
        let hung = || Ran::broken(HANG, format!("the run did not end within {} s of real time", WATCHDOG.as_secs()));
        result.recv_timeout(WATCHDOG).unwrap_or_else(|_| Ok(hung()))
    }

    /// Writes the page of a run; none if it cannot be written.
    fn show(&self, run: &Run) -> Option<PathBuf> {
        let path = self.folder.join(format!("{}-{}.html", self.test.function, run.outcome.seed));
        let again = story::command(&self.test, SEED, &run.outcome.seed.to_string());
        let page = page(std::slice::from_ref(run), None, &again);
        recording::save_page(&page, &path).is_ok().then_some(path)
    }

    fn in_process_of_its_own(&self, case: Case<'_>) -> Result<Ran, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join("children");
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let stem = format!("{}-{number}", std::process::id());
        let (answer, file) = (folder.join(format!("{stem}.json")), folder.join(format!("{stem}.toml")));
        let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        command.arg(self.test.name_in_binary()).args(["--exact", "--nocapture", "--include-ignored"]);
        command.env(CHILD, &answer).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        match case {
            Case::Seed(seed) => command.env(CHILD_SEED, seed.to_string()),
            Case::Explicit(scenario) => {
                std::fs::write(&file, scenario.to_toml()).map_err(|error| format!("{}: {error}", file.display()))?;
                command.env(CHILD_FILE, &file)
            }
        };
        let ran = finish(command, &answer);
        for path in [answer, file] {
            // One of them may never have been written.
            let _ = std::fs::remove_file(path);
        }
        ran
    }
}

/// Runs a child to its end and reads its answer.
fn finish(mut command: Command, answer: &Path) -> Result<Ran, String> {
    let mut child = command.spawn().map_err(|error| format!("the test could not start itself: {error}"))?;
    let stderr = child.stderr.take().expect("stderr is piped");
    let reader = std::thread::spawn(move || std::io::read_to_string(stderr).unwrap_or_default());
    let (mut waited, pause) = (Duration::ZERO, Duration::from_millis(1));
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        std::thread::sleep(pause);
        waited += pause;
        if waited > WATCHDOG {
            child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
            return Ok(Ran::broken(HANG, "the run did not end in time and was killed".into()));
        }
    }
    let stderr = reader.join().unwrap_or_default();
    match std::fs::read(answer) {
        Ok(json) => serde_json::from_slice(&json).map_err(|error| format!("a child's answer is broken: {error}"))?,
        Err(_) => {
            let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            Ok(Ran::broken(PANIC, format!("the process of the run died: {last}")))
        }
    }
}

thread_local! {
    /// The message of the panic that ended this thread's run.
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the panics of runs off the screen: they are a result, and there are hundreds while one is shrunk.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some(THREAD) {
                return before(info);
            }
            // The first panic is the cause; unwinding may cause more.
            PANICKED.with_borrow_mut(|message| {
                message.get_or_insert_with(|| format!("a node panicked at {}", describe(info)));
            });
        }));
    });
}

/// What the shrinker asks.
pub(super) struct Candidates(pub Arc<Runner>);

impl Oracle for Candidates {
    fn run(&self, candidate: &Scenario) -> Trial {
        let ran = self.0.run(Case::Explicit(candidate)).unwrap_or_else(|error| Ran::broken("error", error));
        let verdict = match (ran.failed.is_empty(), ran.inconclusive.is_empty()) {
            (false, _) => names(&ran.failed),
            (true, true) => "passes".into(),
            (true, false) => "passes, but proves nothing".into(),
        };
        Trial {
            failed: ran.failed,
            verdict,
            at_ns: ran.at_ns,
            // A run that broke off has no length of its own.
            simulated_ms: if ran.simulated_ms > 0 { ran.simulated_ms } else { candidate.timing.duration_ms },
            explicit: ran.explicit.and_then(|text| Scenario::parse("explicit", &text).ok()),
        }
    }
}
