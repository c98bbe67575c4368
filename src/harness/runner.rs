//! One run of a test: on a thread of its own, or in a process of its own.
//!
//! tokio drops the tasks of a killed runtime in an order that depends on how many tasks the *process* ever
//! spawned. Code that calls `tokio::spawn` itself, as most libraries do, therefore replays only in a fresh
//! process: the test's executable runs itself again with `--exact`, and the child writes what it found to a file.
//! Code that starts all its tasks with `Host::spawn` may share a process, which is faster.

use super::attempts::{self, Attempts};
use super::cluster::Fresh;
use super::settings::{Isolation, Settings};
use super::variables::{HTML, REPLAY};
use super::{prints, story};
use crate::host::panics::describe;
use crate::host::{echo, lock};
use crate::report::page::page;
use crate::report::recording;
use crate::rng::seeds::SEED;
use crate::run::{Doubt, Options, Run, RunError, Verdict, run_subject};
use crate::scenario::Scenario;
use crate::shrink::{Failed, Oracle, PANIC, Trial, names};
use crate::sim::SimulationError;
use crate::trace::digest::Digest;
use crate::trace::{Role, Trace, What};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

/// Set in a child process: the file to which it writes what it found.
const CHILD: &str = "SCHISM_CHILD";
/// Set in a child process that runs a scenario file instead of a seed.
const CHILD_FILE: &str = "SCHISM_CHILD_FILE";
/// Set in a child process that runs a seed of the test's scenario.
const CHILD_SEED: &str = "SCHISM_CHILD_SEED";
/// Set in a child process whose events are wanted: the file for them.
const CHILD_TRACE: &str = "SCHISM_CHILD_TRACE";
/// Set in a child process that marks what it prints.
const CHILD_ECHO: &str = "SCHISM_CHILD_ECHO";
/// The name of the threads on which runs are made.
const THREAD: &str = "schism run";
/// Wall-clock time after which a run counts as hung. A simulated minute takes about a second.
const WATCHDOG: Duration = Duration::from_secs(120);
/// The name under which a run that hung fails, beside the names of checks and [`PANIC`].
const HANG: &str = "hang";

/// What became of one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Ran {
    /// What failed, strongest first: checks, or a panic, or a hang.
    pub failed: Vec<Failed>,
    /// When the failure was undeniable, in simulated nanoseconds.
    pub at_ns: Option<u64>,
    /// Why the run proves nothing, if nothing failed.
    pub doubts: Vec<Doubt>,
    /// Whether any node ever recorded that it leads.
    pub leads: bool,
    /// The attempts of the operations that the first failure rests on, a line for each operation.
    pub attempts: Vec<String>,
    /// The events, if they were asked for.
    #[serde(skip)]
    pub trace: Option<Trace>,
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
    fn of(run: Run, attempts: &Attempts, wish: Wish) -> Ran {
        let (verdict, digest) = (run.outcome.verdict, run.outcome.digest);
        let doubts = if verdict == Verdict::Violation { Vec::new() } else { run.doubts.clone() };
        let leads = run.trace.events.iter().any(|event| matches!(event.what, What::Role { role: Role::Primary, .. }));
        let attempts = attempts_of_the_failure(&run, attempts);
        let trace = wish.trace.then(|| run.trace.clone());
        let Trial { failed, at_ns, simulated_ms, explicit, .. } = Trial::of(run);
        let (digest, explicit) = (Some(digest), explicit.map(|explicit| explicit.to_toml()));
        Ran { failed, at_ns, doubts, leads, attempts, trace, simulated_ms, digest, explicit, page: None }
    }

    /// A run that did not end.
    fn broken(failed: &str, sentence: String) -> Ran {
        Ran { failed: vec![Failed::named(failed, sentence)], ..Ran::default() }
    }
}

/// The attempts of the operations that the first failure rests on; those that took several come first.
fn attempts_of_the_failure(run: &Run, attempts: &Attempts) -> Vec<String> {
    let Some(violation) = run.outcome.violations.first() else { return Vec::new() };
    let named = &violation.certificate.operations;
    let attempts = lock(attempts);
    let mut told: Vec<_> = run
        .history
        .operations
        .iter()
        .filter(|operation| named.contains(&operation.id))
        .filter_map(|operation| Some((operation, attempts.get(&operation.id)?)))
        .collect();
    told.sort_by_key(|(_, attempts)| attempts.len() == 1);
    told.into_iter().map(|(operation, attempts)| attempts::line(operation, attempts)).collect()
}

/// What a run should yield besides its result.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish {
    /// Its events.
    pub trace: bool,
    /// What nodes print, on the screen; the run must have a process of its own.
    pub echo: bool,
}

/// What is run: a seed of the test's scenario, or a scenario in explicit form.
#[derive(Clone, Copy)]
pub(super) enum Case<'a> {
    Seed(u64),
    Explicit(&'a Scenario),
}

/// Makes what is run, for a scenario and a seed.
pub(super) type Make = dyn Fn(&Scenario, u64) -> Result<Fresh, RunError> + Send + Sync;

/// Makes the runs of a test.
pub(super) struct Runner {
    pub settings: Settings,
    pub scenario: Scenario,
    /// Makes a fresh service or cluster for the run of a scenario and a seed.
    pub make: Box<Make>,
    /// Folder for what runs leave behind.
    pub folder: PathBuf,
}

impl Runner {
    /// One run.
    ///
    /// # Errors
    /// When it could not be carried out: an error of the test, not of the service.
    pub fn run(self: &Arc<Self>, case: Case<'_>, wish: Wish) -> Result<Ran, String> {
        match self.settings.isolation {
            Isolation::Thread => self.on_thread(case, wish),
            Isolation::Process => self.in_process_of_its_own(case, wish),
        }
    }

    /// If this process is a child, makes the run it was started for.
    pub fn run_as_child(self: &Arc<Self>) -> bool {
        let Some(answer) = std::env::var_os(CHILD) else { return false };
        let seed = std::env::var(CHILD_SEED).ok().and_then(|seed| seed.parse().ok());
        let file = std::env::var(CHILD_FILE).ok();
        let scenario = file.map(|file| crate::scenario::load(&file).map_err(|error| error.plain()));
        let trace = std::env::var_os(CHILD_TRACE);
        let wish = Wish { trace: trace.is_some(), echo: std::env::var_os(CHILD_ECHO).is_some() };
        if wish.echo {
            echo::turn_on();
        }
        let ran = match (seed, scenario) {
            (Some(seed), _) => self.on_thread(Case::Seed(seed), wish),
            (None, Some(Ok(scenario))) => self.on_thread(Case::Explicit(&scenario), wish),
            (None, Some(Err(error))) => Err(error),
            (None, None) => Err(format!("{CHILD} is set, but neither {CHILD_SEED} nor {CHILD_FILE}")),
        };
        echo::turn_off();
        if let (Some(path), Ok(Ran { trace: Some(events), .. })) = (trace, &ran) {
            recording::save_trace(events, "", Path::new(&path)).expect("the parent made a folder for the events");
        }
        let json = serde_json::to_vec(&ran).expect("what was found is plain data");
        std::fs::write(answer, json).expect("the parent made a folder for the answer");
        true
    }

    fn on_thread(self: &Arc<Self>, case: Case<'_>, wish: Wish) -> Result<Ran, String> {
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
        // The hundreds of runs during shrinking need no page; a file that the user named is not shrunk.
        let is_shown = std::env::var(HTML).is_ok_and(|wish| wish != "0")
            && (matches!(case, Case::Seed(_)) || std::env::var_os(REPLAY).is_some());
        let (runner, (done, result)) = (Arc::clone(self), std::sync::mpsc::channel());
        let job = move || {
            let _logs = wish.echo.then(prints::log);
            let run = || {
                let Fresh { subject, attempts } = (runner.make)(&scenario, seed)?;
                let options = Options { budget: runner.settings.budget };
                run_subject(&scenario, &subject, seed, &options).map(|run| (run, attempts))
            };
            let ran = match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok((run, attempts))) => {
                    let page = (is_shown && run.outcome.verdict == Verdict::Violation).then(|| runner.show(&run));
                    Ok(Ran { page: page.flatten(), ..Ran::of(run, &attempts, wish) })
                }
                // The service causes a node's process to end or fail; all other errors are the test's.
                Ok(Err(RunError::Simulation(error @ SimulationError::Host(_)))) => {
                    Ok(Ran::broken(PANIC, error.to_string()))
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Ok(Ran::broken(PANIC, PANICKED.take().unwrap_or_else(|| "a node panicked".into()))),
            };
            // The receiver is gone if the run was given up.
            let _ = done.send(ran);
        };
        std::thread::Builder::new().name(THREAD.into()).spawn(job).map_err(|error| error.to_string())?;
        let hung = || Ran::broken(HANG, format!("the run did not end within {} s of real time", WATCHDOG.as_secs()));
        result.recv_timeout(WATCHDOG).unwrap_or_else(|_| Ok(hung()))
    }

    /// Writes the page of a run; none if it cannot be written.
    fn show(&self, run: &Run) -> Option<PathBuf> {
        let path = self.folder.join(format!("{}-{}.html", self.settings.place.function, run.outcome.seed));
        let again = story::command(&self.settings, SEED, &run.outcome.seed.to_string());
        let page = page(std::slice::from_ref(run), None, &again);
        recording::save_page(&page, &path).is_ok().then_some(path)
    }

    fn in_process_of_its_own(&self, case: Case<'_>, wish: Wish) -> Result<Ran, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join("children");
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let stem = format!("{}-{number}", std::process::id());
        let [answer, file, trace] = ["json", "toml", "trace"].map(|kind| folder.join(format!("{stem}.{kind}")));
        let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        command.arg(self.settings.name_in_binary()).args(["--exact", "--nocapture", "--include-ignored"]);
        command.env(CHILD, &answer).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if wish.echo {
            command.env(CHILD_ECHO, "1").stdout(Stdio::piped());
        }
        if wish.trace {
            command.env(CHILD_TRACE, &trace);
        }
        match case {
            Case::Seed(seed) => command.env(CHILD_SEED, seed.to_string()),
            Case::Explicit(scenario) => {
                std::fs::write(&file, scenario.to_toml()).map_err(|error| format!("{}: {error}", file.display()))?;
                command.env(CHILD_FILE, &file)
            }
        };
        let mut ran = finish(command, &answer, wish.echo);
        if let (true, Ok(ran)) = (wish.trace, &mut ran) {
            // A run that did not end has none.
            ran.trace = recording::load_trace(&trace).ok().map(|recorded| recorded.trace);
        }
        for path in [answer, file, trace] {
            // One of them may never have been written.
            let _ = std::fs::remove_file(path);
        }
        ran
    }
}

/// Runs a child to its end and reads its answer; what it prints is shown if that is asked for.
fn finish(mut command: Command, answer: &Path, is_shown: bool) -> Result<Ran, String> {
    let mut child = command.spawn().map_err(|error| format!("the test could not start itself: {error}"))?;
    let (stdout, stderr) = (child.stdout.take().map(Reading::of), child.stderr.take().map(Reading::of));
    let is_hung = waited_in_vain(&mut child)?;
    let text = |reading: Option<Reading>| reading.map_or(String::new(), Reading::text);
    let (stdout, stderr) = (text(stdout), text(stderr));
    if is_shown {
        story::printed(&prints::lines(&stdout, &stderr));
    }
    if is_hung {
        return Ok(Ran::broken(HANG, "the run did not end in time and was killed".into()));
    }
    match std::fs::read(answer) {
        Ok(json) => serde_json::from_slice(&json).map_err(|error| format!("a child's answer is broken: {error}"))?,
        Err(_) => {
            let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            Ok(Ran::broken(PANIC, format!("the process of the run died: {last}")))
        }
    }
}

/// A stream that a thread of its own reads.
struct Reading {
    bytes: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Reading {
    fn of(mut stream: impl Read + Send + 'static) -> Reading {
        let (bytes, (end, ended)) = (Arc::<Mutex<Vec<u8>>>::default(), std::sync::mpsc::channel());
        let reading = Reading { bytes: bytes.clone(), ended };
        std::thread::spawn(move || {
            let mut chunk = [0; 1 << 16];
            // What was read before an error is all there is, and the receiver may be gone.
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                lock(&bytes).extend_from_slice(&chunk[..count]);
            }
            let _ = end.send(());
        });
        reading
    }

    /// What was read by the end. Processes that the child started may hold the stream open: they are not waited for.
    fn text(self) -> String {
        let _ = self.ended.recv_timeout(Duration::from_secs(1));
        String::from_utf8_lossy(&lock(&self.bytes)).into_owned()
    }
}

/// Waits for a child, and kills it if it hangs; returns whether it did.
fn waited_in_vain(child: &mut Child) -> Result<bool, String> {
    let (mut waited, pause) = (Duration::ZERO, Duration::from_millis(1));
    while child.try_wait().map_err(|error| error.to_string())?.is_none() {
        std::thread::sleep(pause);
        waited += pause;
        if waited > WATCHDOG {
            child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
            return Ok(true);
        }
    }
    Ok(false)
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

/// The oracle that the shrinker calls.
pub(super) struct Candidates(pub Arc<Runner>);

impl Oracle for Candidates {
    fn run(&self, candidate: &Scenario) -> Trial {
        let ran =
            self.0.run(Case::Explicit(candidate), Wish::default()).unwrap_or_else(|error| Ran::broken("error", error));
        let verdict = match (ran.failed.is_empty(), ran.doubts.is_empty()) {
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
