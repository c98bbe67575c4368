//! `--check-determinism`: the same run again, under circumstances that must not matter.

use super::exit::Failure;
use super::recordings::build;
use super::terminal::Terminal;
use schism::report::file::unwritten;
use schism::report::style::{Tone, WIDTH, wrap};
use schism::report::{event, json, recording};
use schism::run::{Options, Outcome, Run, repeat, run};
use schism::scenario::Scenario;
use schism::systems::System;
use schism::trace::Trace;
use schism::trace::digest::Digest;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A run that is to be repeated.
pub struct Again<'a> {
    /// The scenario as named on the command line.
    pub argument: &'a str,
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The system.
    pub system: System,
    /// The seed.
    pub seed: u64,
    /// The options.
    pub options: &'a Options,
}

#[derive(Serialize)]
struct Line<'a> {
    circumstance: &'a str,
    identical: bool,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_diverging_event: Option<String>,
}

/// What is concluded from the circumstances in which a run differs.
#[derive(Serialize)]
struct Conclusion {
    conclusion: String,
}

/// One circumstance that differs for a run in a fresh process. The local hour can be changed for a single process; the
/// hour in UTC cannot.
struct Varied {
    name: &'static str,
    apply: fn(&mut Command, &Path),
    on_one_processor: bool,
}

impl Varied {
    const fn by(name: &'static str, apply: fn(&mut Command, &Path)) -> Varied {
        Varied { name, apply, on_one_processor: false }
    }
}

/// What decides which file a command line means: for a system that is a program it must stay as it is.
const WHERE_PROGRAMS_ARE: [&str; 3] = ["the home folder", "PATH", "the folder"];

const VARIED: [Varied; 7] = [
    Varied::by("the home folder", |command, folder| {
        command.env("HOME", folder).env("USERPROFILE", folder);
    }),
    Varied::by("PATH", |command, folder| {
        command.env("PATH", folder);
    }),
    // In this form no table of zones is needed. No real zone has this offset.
    Varied::by("the time zone (with it the hour and the date here)", |command, _| {
        command.env("TZ", "SCH-11:47");
    }),
    Varied::by("the language", |command, _| {
        command.env("LANG", "tr_TR.UTF-8").env("LC_ALL", "tr_TR.UTF-8").env("LANGUAGE", "tr");
    }),
    Varied::by("the folder", |command, folder| {
        command.current_dir(folder);
    }),
    Varied::by("the number of processors", |_, _| {}).on_one(),
    Varied::by("logs", |command, _| {
        command.env("SCHISM_LOG", "debug");
    }),
];

impl Varied {
    const fn on_one(self) -> Varied {
        Varied { on_one_processor: true, ..self }
    }
}

/// The fresh process in which all of these differ.
const ELSEWHERE: &str =
    "in a fresh process with another home, PATH, time zone, language and folder, on one processor, with logs";

impl Again<'_> {
    /// What is varied for this system.
    fn varied(&self) -> Vec<&'static Varied> {
        let is_program = matches!(self.system, System::Nodes(_));
        VARIED.iter().filter(|varied| !(is_program && WHERE_PROGRAMS_ARE.contains(&varied.name))).collect()
    }

    /// Repeats the run in every circumstance, prints a line for each, and says whether all were identical.
    pub fn check(&self, first: &Run, terminal: &mut Terminal) -> Result<bool, Failure> {
        let again = |seed| run(self.scenario, self.system, seed, self.options);
        let mut here = true;
        for (circumstance, run) in repeat::in_process(self.seed, again)? {
            here &= report(first, circumstance, run.outcome.digest, &run.trace, terminal)?;
        }
        let (outcome, trace) = self.in_a_fresh_process(&[])?;
        let fresh = report(first, "in a fresh process", outcome.digest, &trace, terminal)?;
        let all = self.varied();
        let (outcome, trace) = self.in_a_fresh_process(&all)?;
        let elsewhere = report(first, ELSEWHERE, outcome.digest, &trace, terminal)?;
        let mut culprits = Vec::new();
        if fresh && !elsewhere {
            for varied in self.varied() {
                let (outcome, _) = self.in_a_fresh_process(&[varied])?;
                culprits.extend((outcome.digest != first.outcome.digest).then_some(varied.name));
            }
        }
        if let Some(conclusion) = conclude(here, fresh, elsewhere, &culprits) {
            if terminal.json {
                terminal.line(&json::line("nondeterminism", Conclusion { conclusion }))?;
            } else {
                terminal.line(&wrap(&conclusion, WIDTH, 2))?;
            }
        }
        Ok(here && fresh && elsewhere)
    }

    /// In a new process, with these things different from what they are here.
    fn in_a_fresh_process(&self, varied: &[&Varied]) -> Result<(Outcome, Trace), Failure> {
        let folder = Scratch::new()?;
        let trace_path = folder.0.join("again.trace");
        // A name stays a name; a path must survive the change of folder.
        let argument = match std::fs::canonicalize(self.argument) {
            Ok(path) => path.display().to_string(),
            Err(_) => self.argument.to_string(),
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["run", &argument, "--system", self.system.name(), "--format", "json", "--no-record"]);
        command.args(["--seed", &self.seed.to_string(), "--check-steps", &self.options.budget.steps.to_string()]);
        command.arg("--trace-out").arg(&trace_path);
        varied.iter().for_each(|varied| (varied.apply)(&mut command, &folder.0));
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let one = varied.iter().any(|varied| varied.on_one_processor);
        let output = if one { on_one_processor(|| command.output()) } else { command.output() }?;
        let text = String::from_utf8_lossy(&output.stdout);
        let outcome = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let Some(outcome) = outcome else {
            return Err(Failure::Harness(format!("the run in a fresh process ended with {}", output.status)));
        };
        Ok((outcome, recording::load_trace(&trace_path)?.trace))
    }
}

/// The kind of leak, concluded from where the run was the same: repeated in this process, in a fresh one, in a fresh
/// one with everything around it different.
fn conclude(here: bool, fresh: bool, elsewhere: bool, culprits: &[&str]) -> Option<String> {
    let text = match (here, fresh, elsewhere) {
        (true, true, true) => return None,
        (false, true, true) => {
            "something is kept from run to run within one process, and a fresh process does not have it: look for a static, a \
             thread-local, a counter of the process, or tasks spawned behind `Host::spawn`. `sweep --processes` keeps seeds \
             apart meanwhile"
                .into()
        }
        (_, true, false) if culprits.is_empty() => {
            "the run depends on what is around its process, though no single thing makes it differ".into()
        }
        (_, true, false) => format!("the run depends on what is around its process: {}", culprits.join(", ")),
        (true, false, _) => {
            "each process goes its own way and then stays with it: look for what is drawn once a process, such as an address, \
             a process id, or the start of a hash map's keys"
                .into()
        }
        (false, false, _) => {
            "each run goes its own way: look for the real clock, a random number, the order of a hash map, or threads".into()
        }
    };
    Some(text)
}

/// Calls `work`, which starts a process; that process may run on one processor only.
#[cfg(target_os = "linux")]
fn on_one_processor<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let bound = || {
        let allowed = sched_getaffinity(None)?;
        let mut one = CpuSet::new();
        (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).iter().for_each(|cpu| one.set(*cpu));
        sched_setaffinity(None, &one)
    };
    // Processes inherit it from the thread that starts them, and this thread ends here.
    let work = || {
        // If that is refused, the process runs on all: one circumstance less, but no wrong answer.
        let _ = bound();
        work()
    };
    std::thread::scope(|scope| scope.spawn(work).join().expect("starting a process does not panic"))
}

#[cfg(not(target_os = "linux"))]
fn on_one_processor<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    work()
}

fn report(
    first: &Run,
    circumstance: &str,
    digest: Digest,
    trace: &Trace,
    terminal: &mut Terminal,
) -> Result<bool, Failure> {
    let identical = first.outcome.digest == digest;
    let divergence = (!identical).then(|| event::what_differs(&first.trace, trace));
    if terminal.json {
        let line = Line { circumstance, identical, digest, first_diverging_event: divergence };
        terminal.line(&json::line("determinism", line))?;
    } else if let Some(divergence) = divergence {
        let text = format!("NOT deterministic {circumstance} (build {}): {divergence}", build());
        terminal.line(&terminal.style.paint(Tone::Bad, &text))?;
    } else {
        terminal.line(&format!("same digest {circumstance}"))?;
    }
    Ok(identical)
}

/// A folder of one's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("schism-again-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| unwritten(&path, &error))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If it cannot be removed, the operating system cleans its temporary folder at some time.
        let _ = std::fs::remove_dir_all(Path::new(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conclusion_names_the_kind_of_leak() {
        assert_eq!(conclude(true, true, true, &[]), None);
        let says = |here, fresh, elsewhere, culprits: &[&str]| conclude(here, fresh, elsewhere, culprits).unwrap();
        assert!(says(false, true, true, &[]).contains("kept from run to run within one process"));
        assert!(says(true, true, false, &["PATH"]).ends_with("around its process: PATH"));
        assert!(says(true, false, false, &[]).contains("each process goes its own way"));
        assert!(says(false, false, false, &[]).contains("each run goes its own way"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn everything_around_the_process_is_different_there() {
        let folder = tempfile::tempdir().unwrap();
        let around = |varied: &[&Varied]| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "pwd; echo \"$HOME|$PATH|$LC_ALL|$SCHISM_LOG\"; /bin/date +%z; /usr/bin/nproc"]);
            varied.iter().for_each(|varied| (varied.apply)(&mut command, folder.path()));
            let output = if varied.is_empty() { command.output() } else { on_one_processor(|| command.output()) };
            String::from_utf8(output.unwrap().stdout).unwrap().lines().map(String::from).collect::<Vec<_>>()
        };
        let (here, there) = (around(&[]), around(&VARIED.iter().collect::<Vec<_>>()));
        for (here, there) in here.iter().zip(&there).take(3) {
            assert_ne!(here, there);
        }
        assert_eq!(there[3], "1");
        assert_eq!(there[1], format!("{0}|{0}|tr_TR.UTF-8|debug", folder.path().display()));
    }
}
