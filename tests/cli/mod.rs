//! The command as its users run it: exit codes, JSON lines, recorded files.

mod bench;
mod campaigns;
mod cases;
mod check;
mod contract;
mod determinism;
mod engines;
mod hostile;
mod ladder;
mod lines;
mod page;
mod readme;
#[cfg(all(feature = "real", target_os = "linux"))]
mod real;
mod regressions;
mod replay;
mod shrink;
mod stories;
mod sweep;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Two data centres cut for three seconds: the smallest run in which dual-primary forks and Raft refuses.
const BRIEF: &str = r#"
version = 1
name = "brief"
title = "A cut of three seconds"

[[sites]]
name = "east"
nodes = 3
clients = 2

[[sites]]
name = "west"
nodes = 2
clients = 2

[timing]
duration_ms = 8000
attempt_timeout_ms = 300
operation_timeout_ms = 900

[workload]
operations = 240
start_ms = 1500
keys = 2

[[faults]]
at_ms = 3000
for_ms = 3000
fault = "partition"
groups = [["east"], ["west"]]

[expect.raft]
safety = "holds"
live = true
because = "Only east has a majority."

[expect.dual-primary]
safety = "split_brain"
because = "Both sides acknowledge."
"#;

/// A nemesis for a scenario of four seconds.
const FAULTS: &str = r#"
[nemesis]
faults = 2
start_ms = 600
until_ms = 3800
min_ms = 200
max_ms = 1500
kinds = ["kill", "isolate", "partition"]
"#;

/// Three nodes, cut apart for two seconds and stepped coarsely: cheap enough to be run a hundred times.
const SMALL: &str = r#"
version = 1
name = "small"
title = "A cut of two seconds, and a pause that matters nothing"

[[sites]]
name = "east"
nodes = 2
clients = 2

[[sites]]
name = "west"
nodes = 1
clients = 1

[latency]
local_ms = 5
wan_ms = 10

[timing]
tick_ms = 5
duration_ms = 4000
heartbeat_ms = 100
election_min_ms = 300
election_max_ms = 600
attempt_timeout_ms = 300
operation_timeout_ms = 900

[workload]
operations = 60
start_ms = 500
keys = 2

[[faults]]
at_ms = 1000
for_ms = 2000
fault = "partition"
groups = [["east"], ["west"]]

[[faults]]
at_ms = 1500
for_ms = 500
fault = "pause"
target = "n2"

[expect.raft]
safety = "holds"
because = "Only east has a majority."
"#;

/// A folder with the scenarios above in `brief.toml` and `small.toml`; commands run in it.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        desk.write("brief.toml", BRIEF);
        desk.write("small.toml", SMALL);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_schism"));
        command.current_dir(self.0.path()).args(arguments.split_whitespace());
        // The developer's own environment must not affect the tests.
        for variable in ["SCHISM_SEED", "SCHISM_SEEDS", "SCHISM_JOBS", "SCHISM_LOG", "CI", "NO_COLOR"] {
            command.env_remove(variable);
        }
        command
    }

    fn run(&self, arguments: &str) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }
}

/// What a command did.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// The objects on stdout; every line must be one.
    fn lines(&self) -> Vec<Value> {
        let line =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`; {}", self.err));
        self.out.lines().map(line).collect()
    }

    fn last(&self) -> Value {
        self.lines().pop().unwrap_or_else(|| panic!("no output; {}", self.err))
    }
}
