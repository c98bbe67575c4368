//! The processes of the nodes: started in the network of their host, and killed, paused and started again by faults.

use super::clock::monotonic_ns;
use super::namespace::Networks;
use super::own::{self, PANICKED};
use super::subject::Line;
use crate::trace::HostId;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

/// How many lines of a process's output are shown when it ends by itself.
const LAST_LINES: usize = 8;

/// Why a node's processes do not run.
pub struct Ended {
    /// In words.
    pub why: String,
    /// What a node of our own said when it panicked, if that is why.
    pub panic: Option<String>,
}

impl From<String> for Ended {
    fn from(why: String) -> Ended {
        Ended { why, panic: None }
    }
}

/// Takes what a node's process writes to standard output, if that is events.
pub type Ear = Arc<dyn Fn(ChildStdout)>;

/// The processes of one node.
pub struct Node {
    host: HostId,
    folder: PathBuf,
    lines: Vec<Line>,
    ear: Ear,
    /// Those that run, with their index among the lines. Each leads a process group of its own.
    running: Vec<(usize, Child)>,
    /// Those that are still to be started, and when by the monotonic clock.
    waiting: Vec<(u64, usize)>,
}

impl Node {
    /// The processes of a node with this data folder, not started yet.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn new(host: HostId, folder: &str, lines: Vec<Line>, ear: Ear) -> io::Result<Node> {
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder)?;
        for (name, text) in lines.iter().flat_map(|line| &line.files) {
            fs::write(folder.join(name), text)?;
        }
        Ok(Node { host, folder, lines, ear, running: Vec::new(), waiting: Vec::new() })
    }

    /// Plans the start of all processes; [`Node::tend`] starts each when its time has come.
    pub fn start(&mut self) {
        let now_ns = monotonic_ns();
        let due = |line: &Line| now_ns + line.after_ms * 1_000_000;
        self.waiting = self.lines.iter().enumerate().map(|(index, line)| (due(line), index)).collect();
    }

    /// Starts what is due, and looks after what runs.
    ///
    /// # Errors
    /// When a process cannot be started, or has ended by itself; with its last words.
    pub fn tend(&mut self, networks: &Arc<Networks>) -> Result<(), Ended> {
        let now_ns = monotonic_ns();
        let due: Vec<usize> =
            self.waiting.extract_if(.., |(at_ns, _)| *at_ns <= now_ns).map(|(_, line)| line).collect();
        for index in due {
            let line = &self.lines[index];
            let program = &line.command[0];
            let failed = |error: io::Error| match error.kind() {
                io::ErrorKind::NotFound => format!("there is no program `{program}`"),
                _ => format!("`{program}` cannot be started on {}: {error}", self.host),
            };
            let output = OpenOptions::new().create(true).append(true).open(log(&self.folder, index)).map_err(failed)?;
            let spawn = || spawn(line, &self.folder, output);
            let mut child = networks.within(self.host, spawn).and_then(|spawned| spawned).map_err(failed)?;
            if let Some(told) = child.stdout.take() {
                (self.ear)(told);
            }
            self.running.push((index, child));
        }
        for (index, child) in &mut self.running {
            if let Ok(Some(status)) = child.try_wait() {
                let program = &self.lines[*index].command[0];
                let said = last_lines(&log(&self.folder, *index));
                let is_ours = self.lines[*index].input.is_some();
                let why = format!("`{program}` on {} ended by itself ({status}); it said last:\n{said}", self.host);
                let panic = (is_ours && status.code() == Some(PANICKED)).then(|| own::panic_said(&said));
                return Err(Ended { why, panic });
            }
        }
        Ok(())
    }

    /// Kills all processes, as by `kill -9`. What they have written stays.
    pub fn kill(&mut self) {
        self.waiting.clear();
        self.signal(Signal::SIGKILL);
        for (_, mut child) in self.running.drain(..) {
            // It is dead, whatever the answer.
            let _ = child.wait();
        }
    }

    /// Stops all processes where they are.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        for (_, child) in &self.running {
            // A group that is gone needs no signal.
            let _ = killpg(Pid::from_raw(child.id() as i32), signal);
        }
    }
}

fn log(folder: &Path, index: usize) -> PathBuf {
    folder.join(format!("output-{index}.log"))
}

fn spawn(line: &Line, folder: &Path, output: File) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    let mut child = Command::new(&line.command[0])
        .args(&line.command[1..])
        .current_dir(folder)
        .stdin(if line.input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(if line.input.is_some() { Stdio::piped() } else { output.try_clone()?.into() })
        .stderr(output)
        .process_group(0)
        .spawn()?;
    if let (Some(input), Some(mut stdin)) = (&line.input, child.stdin.take()) {
        stdin.write_all(input.as_bytes())?;
    }
    Ok(child)
}

/// The end of a file.
fn last_lines(file: &Path) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}
