//! `schism worker`: runs the seeds that a sweep asks for, one after the other. Not for people.
//!
//! Standard input: the scenario as a JSON string of its file, then a seed a line. Standard output: a [`WorkerReply`] a line.
//! When the input ends, so does the process, at once: its parent is done with it, or dead.

use super::exit::{Exit, Failure};
use super::interrupt::Interrupt;
use super::{Which, options};
use clap::Args;
use schism::report::json;
use schism::run::{Options, Verdict, run};
use schism::scenario::Scenario;
use schism::sweep::said;
use schism::systems::System;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::mpsc::channel;

/// Arguments of `schism worker`.
#[derive(Args)]
pub struct Worker {
    #[command(flatten)]
    which: Which,
    /// Budget of the search checker, in steps.
    #[arg(long)]
    check_steps: u64,
    /// Send the recordings of violations along.
    #[arg(long)]
    record: bool,
    /// The most memory that this process may map, in MiB.
    #[arg(long)]
    memory: Option<u64>,
}

/// The result of a seed.
#[derive(Serialize, Deserialize)]
pub enum WorkerReply {
    /// It ran to its end.
    Ran {
        /// The line of its outcome, as in a log.
        outcome: String,
        /// The run in explicit form, if it is a violation and recordings are requested.
        recording: Option<String>,
    },
    /// The harness refused to run it.
    Refused(String),
    /// The harness panicked.
    Panicked(String),
}

impl Worker {
    /// The command that starts one.
    pub fn command(system: System, options: &Options, record: bool, memory_mb: u64) -> Command {
        // The program that runs now, even if a build has replaced its file meanwhile.
        let program = if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
        let mut command = Command::new(program.unwrap_or_else(|_| "schism".into()));
        command.args(["worker", "--system", system.name(), "--check-steps", &options.budget.steps.to_string()]);
        command.args(["--memory", &memory_mb.to_string()]).args(record.then_some("--record"));
        // Its answers are no output of the command, and its seeds are asked for one by one.
        command.env_remove(schism::rng::seeds::SEEDS).env_remove(schism::rng::seeds::SEED);
        command
    }

    /// The first line that a worker reads.
    pub fn greeting(scenario: &Scenario) -> String {
        serde_json::to_string(&scenario.to_toml()).expect("text is JSON")
    }

    /// Answers until its input ends.
    pub fn run(&self) -> Result<Exit, Failure> {
        Interrupt::leave_to_parent()?;
        // A bound would be its nodes' bound too, and some runtimes map far more than they use.
        let has_processes = matches!(self.which.named(), Some(System::Nodes(_)));
        bound_memory(self.memory.filter(|_| !has_processes))?;
        let mut greeting = String::new();
        io::stdin().lock().read_line(&mut greeting)?;
        let text: String = serde_json::from_str(&greeting).map_err(Failure::input)?;
        let names = System::names();
        let scenario = Scenario::parse_for("the scenario of the sweep", &text, Some(&names));
        let scenario = scenario.map_err(|error| Failure::Input(Box::new(error)))?;
        let (sender, seeds) = channel();
        std::thread::spawn(move || {
            let asked = io::stdin().lock().lines().map_while(Result::ok).map_while(|line| line.parse().ok());
            asked.map(|seed| sender.send(seed)).take_while(Result::is_ok).for_each(drop);
            std::process::exit(0);
        });
        for seed in seeds {
            let answer = serde_json::to_string(&self.answer(&scenario, seed)).expect("an answer is plain data");
            writeln!(io::stdout().lock(), "{answer}")?;
        }
        Ok(Exit::Expected)
    }

    fn answer(&self, scenario: &Scenario, seed: u64) -> WorkerReply {
        let options = options(Some(self.check_steps));
        let system = self.which.named().unwrap_or(System::Raft);
        match catch_unwind(AssertUnwindSafe(|| run(scenario, system, seed, &options))) {
            Ok(Ok(run)) => {
                let wanted = self.record && run.outcome.verdict == Verdict::Violation;
                let recording = wanted.then(|| run.recording().to_toml());
                WorkerReply::Ran { outcome: json::outcome(&run.outcome), recording }
            }
            Ok(Err(error)) => WorkerReply::Refused(error.to_string()),
            Err(payload) => WorkerReply::Panicked(said(payload.as_ref())),
        }
    }
}

/// Limits the memory that this process may map: beyond that an allocation fails, which ends it. Only Linux enforces it.
#[cfg(target_os = "linux")]
fn bound_memory(memory_mb: Option<u64>) -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Some(bytes) = memory_mb.map(|megabytes| megabytes.saturating_mul(1 << 20)) else { return Ok(()) };
    let maximum = getrlimit(Resource::As).maximum;
    let bytes = maximum.map_or(bytes, |maximum| maximum.min(bytes));
    let refused = |error| Failure::Harness(format!("memory cannot be bounded to {bytes} bytes: {error}"));
    setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum }).map_err(refused)
}

#[cfg(not(target_os = "linux"))]
fn bound_memory(_memory_mb: Option<u64>) -> Result<(), Failure> {
    Ok(())
}
