//! The code under test as it was at another revision: a worktree of its own, built there, whose command runs seeds.

use super::exit::Failure;
use super::recordings::FOLDER;
use clap::Args;
use schism::report::file::write_whole;
use schism::run::Outcome;
use schism::scenario::Scenario;
use schism::systems::System;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The build of another revision is like that of this one.
const BUILD: &str = if cfg!(debug_assertions) {
    "cargo build --locked --bin schism"
} else {
    "cargo build --locked --release --bin schism"
};

/// Where that build puts the command.
const PROGRAM: &str = if cfg!(debug_assertions) { "target/debug/schism" } else { "target/release/schism" };

/// How another revision is built.
#[derive(Args, Default)]
pub struct Building {
    /// The command that builds another revision, run by sh in a worktree of it.
    #[arg(long, value_name = "COMMAND", default_value = BUILD)]
    build: String,
    /// The program that this makes, relative to the worktree: a schism.
    #[arg(long, value_name = "PATH", default_value = PROGRAM)]
    program: PathBuf,
}

/// What is run at other revisions, under the scenario that is laid out.
#[derive(Clone, Copy)]
pub struct Question {
    /// The system.
    pub system: System,
    /// Wall-clock time after which a seed counts as hung.
    pub watchdog: Duration,
}

/// What a seed shows at another revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum There {
    /// No check fails.
    Passes,
    /// These checks fail.
    Fails(BTreeSet<String>),
    /// It cannot be said: why.
    Unknown(String),
}

/// A worktree, at one revision after the other. No other process uses it meanwhile.
pub struct Worktree {
    folder: PathBuf,
    scenario: PathBuf,
    _lock: File,
}

/// A revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

impl Commit {
    /// The id in short, and the subject.
    pub fn words(&self) -> String {
        format!("{} {}", &self.id[..self.id.len().min(10)], self.subject)
    }
}

impl Worktree {
    /// The worktree of the repository in whose folder the command runs, at this revision; it is begun if there is none.
    pub fn at(revision: &str) -> Result<(Worktree, Commit), Failure> {
        let id = resolved(revision)?;
        let root = PathBuf::from(git(Path::new("."), &["rev-parse", "--show-toplevel"])?);
        let beside = root.join(FOLDER);
        std::fs::create_dir_all(&beside)?;
        let lock = OpenOptions::new().create(true).append(true).open(beside.join("worktree.lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let folder = beside.display();
                return Err(Failure::Usage(format!("{folder}/worktree is being used by another schism; wait for it")));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let folder = beside.join("worktree");
        if !folder.join(".git").exists() {
            // One that was removed by hand is still on git's list.
            git(&root, &["worktree", "prune"])?;
            let path = folder.display().to_string();
            git(&root, &["worktree", "add", "--quiet", "--detach", &path, &id])?;
        }
        let worktree = Worktree { scenario: beside.join("worktree-scenario.toml"), folder, _lock: lock };
        let commit = worktree.move_to(&id)?;
        Ok((worktree, commit))
    }

    /// Checks a revision out.
    pub fn move_to(&self, revision: &str) -> Result<Commit, Failure> {
        self.git(&["checkout", "--quiet", "--force", "--detach", revision])?;
        self.here()
    }

    /// What is checked out.
    pub fn here(&self) -> Result<Commit, Failure> {
        let text = self.git(&["log", "-1", "--format=%H %s"])?;
        let (id, subject) = text.split_once(' ').unwrap_or((&text, ""));
        Ok(Commit { id: id.into(), subject: subject.into() })
    }

    /// Runs git in it, and returns what git prints.
    pub fn git(&self, arguments: &[&str]) -> Result<String, Failure> {
        git(&self.folder, arguments)
    }

    /// Builds what is checked out, and returns the program; or why there is none.
    pub fn build(&self, building: &Building) -> Result<PathBuf, String> {
        let mut command = Command::new("sh");
        command.args(["-c", &building.build]).current_dir(&self.folder).stdin(Stdio::null());
        // Its output is no result of this command; and what is built must not replace the program that runs now.
        command.stdout(std::io::stderr()).env_remove("CARGO_TARGET_DIR");
        let status = command.status().map_err(|error| format!("`{}`: {error}", building.build))?;
        if !status.success() {
            return Err(format!("it does not build: `{}` ended with {status}", building.build));
        }
        let program = self.folder.join(&building.program);
        if program.is_file() { Ok(program) } else { Err(format!("the build made no {}", building.program.display())) }
    }

    /// Lays out the scenario that seeds are asked under.
    pub fn lay_out(&self, scenario: &Scenario) -> Result<(), Failure> {
        Ok(write_whole(&self.scenario, scenario.to_toml())?)
    }

    /// What a seed shows with this program.
    pub fn ask(&self, program: &Path, question: &Question, seed: u64) -> There {
        let mut command = Command::new(program);
        command.arg("run").arg(&self.scenario).args(["--system", question.system.name()]);
        command.args(["--seed", &seed.to_string(), "--no-record", "--format", "json"]);
        command.env_remove(schism::rng::seeds::SEEDS).env_remove(schism::rng::seeds::SEED);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => answer(child, question.watchdog),
            Err(error) => There::Unknown(format!("it could not be started: {error}")),
        }
    }
}

/// Waits for the run of a seed.
fn answer(mut child: Child, watchdog: Duration) -> There {
    let mut stdout = child.stdout.take().expect("it is a pipe");
    // A pipe holds less than an outcome with many violations.
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text).unwrap_or_default()
    });
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < watchdog => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return There::Unknown(format!("hung for more than {} s", watchdog.as_secs()));
            }
        }
    };
    let text = reader.join().unwrap_or_default();
    match (status.code(), text.lines().last().map(serde_json::from_str::<Outcome>)) {
        (Some(0), _) => There::Passes,
        (Some(1), Some(Ok(outcome))) => There::Fails(outcome.failed_checks().into_iter().collect()),
        (Some(2), _) => There::Unknown("inconclusive".into()),
        (Some(64 | 65), _) => There::Unknown("it does not know the scenario or the system".into()),
        _ => There::Unknown(format!("its run ended with {status}")),
    }
}

/// The id of a revision, as it is named here: in the worktree, HEAD is another.
pub fn resolved(revision: &str) -> Result<String, Failure> {
    let commit = format!("{revision}^{{commit}}");
    let unknown = |why: Failure| {
        Failure::Usage(format!("`{revision}` names no commit of the git repository here: {}", why.into_text()))
    };
    git(Path::new("."), &["rev-parse", "--verify", "--end-of-options", &commit]).map_err(unknown)
}

/// What git prints.
fn git(folder: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).stdin(Stdio::null());
    // A hook sets these, and they would outweigh the folder.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let done = command.output();
    let done = done.map_err(|error| Failure::Usage(format!("git could not be started: {error}")))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_string());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(Failure::Usage(format!("git {}: {}", arguments.join(" "), said.trim_end())))
}
