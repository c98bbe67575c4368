//! A process with all that it has started, which ends when nobody needs it: at the latest with this process, however that
//! ends.

use super::Broken;
#[cfg(unix)]
use super::guard::Guarded;
#[cfg(unix)]
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io::{self, ErrorKind};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// The variable that no program gets to see: the salt of a course's held-out seeds.
pub const SALT: &str = "SCHISM_COURSE_SALT";

/// The three streams of a process.
pub type Streams = (ChildStdin, ChildStdout, ChildStderr);

/// A running process, and the group of processes that it leads (on Unix).
pub struct Family {
    process: Child,
    /// Until it has been ended.
    #[cfg(unix)]
    guarded: Option<Guarded>,
}

impl Family {
    /// Starts a process of this command line for a node, and returns its streams.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be started.
    pub fn start(words: &[String], node: &str) -> Result<(Family, Streams), Broken> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Python's order of a set of strings would differ from run to run.
        command.env("PYTHONHASHSEED", "0").env("SCHISM_NODE", node);
        // What decides which seeds a class does not know is none of its programs' business.
        command.env_remove(SALT);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Broken(format!(
                "there is no program `{}` on this machine: install it, put it on the PATH, or name it by its path",
                words[0]
            )),
            _ => Broken(format!("`{}` cannot be started: {error}", words.join(" "))),
        })?;
        let streams = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else { unreachable!("all three streams are pipes") };
        #[cfg(unix)]
        let guarded = Some(Guarded::new(Pid::from_child(&process)));
        let family = Family {
            process,
            #[cfg(unix)]
            guarded,
        };
        Ok((family, (stdin, stdout, stderr)))
    }

    /// Whether the process has ended. It is not waited for: its number stays its own, and its group can be killed.
    pub fn has_ended(&mut self) -> bool {
        #[cfg(unix)]
        {
            let ends = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            self.guarded.is_none() || !matches!(waitid(WaitId::Pid(Pid::from_child(&self.process)), ends), Ok(None))
        }
        #[cfg(not(unix))]
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Stops all of it, or lets it go on. On other systems than Unix it goes on.
    pub fn pause(&self, is_paused: bool) {
        #[cfg(unix)]
        if self.guarded.is_some() {
            let signal = if is_paused { Signal::STOP } else { Signal::CONT };
            let _ = kill_process_group(Pid::from_child(&self.process), signal);
        }
        #[cfg(not(unix))]
        let _ = is_paused;
    }

    /// Kills what is left of it, and says how the process ended.
    ///
    /// # Errors
    /// When that is not known.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        #[cfg(unix)]
        if let Some(guarded) = self.guarded.take() {
            guarded.kill();
        }
        #[cfg(not(unix))]
        let _ = self.process.kill();
        self.process.wait()
    }
}
