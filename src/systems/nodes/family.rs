//! A process with all that it has started, which ends when nobody needs it: at the latest with this process, however that
//! ends.

#[cfg(unix)]
use super::guard::Guarded;
use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// A running process, and the group of processes that it leads (on Unix).
pub struct Family {
    process: Child,
    /// Until it has been ended.
    #[cfg(unix)]
    guarded: Option<Guarded>,
}

impl Family {
    /// Starts one, and returns its three streams.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<(Family, (ChildStdin, ChildStdout, ChildStderr))> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let mut process = command.spawn()?;
        let streams = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else { unreachable!("all three streams are pipes") };
        #[cfg(unix)]
        let guarded = Some(Guarded::new(rustix::process::Pid::from_child(&process)));
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
            use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
            let ends = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            self.guarded.is_none() || !matches!(waitid(WaitId::Pid(Pid::from_child(&self.process)), ends), Ok(None))
        }
        #[cfg(not(unix))]
        !matches!(self.process.try_wait(), Ok(None))
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
