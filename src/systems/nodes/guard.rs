//! What ends the processes of a simulator that is killed: a process of its own, which outlives it by a moment.
//!
//! A process that waits for its next event sees the end of its input, and ends. One that loops, or is at work in a child of
//! its own, sees nothing. The kernel could kill it with its parent, but asking for that takes code between fork and exec,
//! which no safe Rust writes. So a shell is told which process groups there are, through a pipe whose other end nobody
//! but the simulator has; when that ends, for whatever reason, it kills those that are left.

use super::lock;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// Keeps the numbers that it reads after `+`, forgets those after `-`, and kills the groups of the rest at the end.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups=' '
while read -r change group; do
  case $change in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group"; done
"#;

/// The guard of this process; `None`: there is no shell here.
static GUARD: OnceLock<Option<Mutex<ChildStdin>>> = OnceLock::new();

/// A process group that dies with this process.
pub struct Guarded(Pid);

impl Guarded {
    /// Names a group to the guard, by its leader, a child of this process. Until then, some microseconds after its start,
    /// nothing but the end of its input ends it.
    pub fn new(leader: Pid) -> Guarded {
        tell('+', leader);
        Guarded(leader)
    }

    /// Kills it. Its leader has not been waited for yet: afterwards the number may be another's.
    pub fn kill(self) {
        let _ = kill_process_group(self.0, Signal::KILL);
        tell('-', self.0);
    }
}

fn tell(change: char, group: Pid) {
    let guard = GUARD.get_or_init(|| start().ok().map(Mutex::new));
    if let Some(pipe) = guard {
        // A guard that somebody has killed is missed when this process is killed too, and not before.
        let _ = lock(pipe).write_all(format!("{change} {}\n", group.as_raw_nonzero()).as_bytes());
    }
}

/// In a group of its own, so that what ends this process from a terminal does not end it as well.
fn start() -> io::Result<ChildStdin> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "schism-guard"]).current_dir("/").process_group(0);
    let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    shell.stdin.take().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
}
