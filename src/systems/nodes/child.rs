//! The process of one node: it is given a line, and answers with lines, the last of which says that it is done.
//!
//! In between the simulator waits, and simulated time stands still. How long it waits in real time is bounded, by a
//! thread that kills the process. What then happened depends on the machine, so it is no verdict: it ends the run.

use super::answer::{self, Answer};
use super::family::Family;
use super::last_words::LastWords;
use super::{Broken, Wrong, lock, patience};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// The longest line that a node may write, in bytes.
pub const LINE_BYTES: usize = 4 << 20;
/// The most lines with which a node may answer one event.
pub const LINES: usize = 10_000;
/// How often the watch looks at the time.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is looked whether a process whose output has ended has ended too.
const GLANCE: Duration = Duration::from_millis(2);

/// A running process. It is killed when this is dropped.
pub struct Child {
    watched: Arc<Watched>,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    line: Vec<u8>,
    last_words: LastWords,
    /// How many events it has been given.
    events: u64,
    begun: Instant,
}

/// What the thread that watches a process shares with its owner.
struct Watched {
    family: Mutex<Family>,
    /// Milliseconds from the start by which an answer is due; 0: none is awaited.
    due_ms: AtomicU64,
    is_late: AtomicBool,
    is_over: AtomicBool,
}

impl Child {
    /// Starts a process of this command line.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be started.
    pub fn start(words: &[String], node: &str) -> Result<Child, Broken> {
        let (family, (stdin, stdout, stderr)) = Family::start(words, node)?;
        let watched = Arc::new(Watched {
            family: Mutex::new(family),
            due_ms: AtomicU64::new(0),
            is_late: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let begun = Instant::now();
        let watching = watched.clone();
        thread::spawn(move || watch(&watching, begun));
        let stdout = BufReader::with_capacity(1 << 16, stdout);
        let last_words = LastWords::of(stderr);
        Ok(Child { watched, stdin, stdout, line: Vec::new(), last_words, events: 0, begun })
    }

    /// Hands it an event, one line, and waits for its answer.
    ///
    /// # Errors
    /// When it crashed, or answers what is no answer; or when it gave none in time.
    pub fn ask(&mut self, event: &str) -> Result<Answer, Wrong> {
        self.events += 1;
        let due = self.begun.elapsed() + patience();
        self.watched.due_ms.store(due.as_millis() as u64, Ordering::SeqCst);
        let answer = self.exchange(event);
        self.watched.due_ms.store(0, Ordering::SeqCst);
        if self.watched.is_late.load(Ordering::SeqCst) {
            return Err(Wrong::Broken(Broken(format!(
                "gave no answer within {} s of real time to its event {} ({}): it loops, waits for something, never says \
                 that it is done, or has closed its output and lives on; a slow machine needs more (SCHISM_NODES_PATIENCE, in seconds)",
                patience().as_secs(),
                self.events,
                short(event)
            ))));
        }
        answer.map_err(Wrong::Failed)
    }

    fn exchange(&mut self, event: &str) -> Result<Answer, String> {
        let written = self.stdin.write_all(event.as_bytes()).and_then(|()| self.stdin.flush());
        if written.is_err() {
            return Err(self.crashed(event));
        }
        let mut answer = Answer::default();
        for _ in 0..LINES {
            self.line.clear();
            let most = LINE_BYTES as u64 + 1;
            let read = (&mut self.stdout).take(most).read_until(b'\n', &mut self.line);
            if self.line.len() > LINE_BYTES {
                let start = String::from_utf8_lossy(&self.line[..80]);
                return Err(format!("wrote a line of more than {} MiB: `{start}...`", LINE_BYTES >> 20));
            }
            if read.is_err() || self.line.last() != Some(&b'\n') {
                return Err(self.crashed(event));
            }
            let text = String::from_utf8_lossy(&self.line);
            match answer::add(&mut answer, text.trim()) {
                Ok(true) => return Ok(answer),
                Ok(false) => {}
                Err(why) => {
                    let line = short(text.trim());
                    return Err(format!(
                        "answered event {} ({}) with a line that {why}: `{line}`",
                        self.events,
                        short(event)
                    ));
                }
            }
        }
        Err(format!("answered event {} ({}) with more than {LINES} lines, and is not done", self.events, short(event)))
    }

    /// How the process ended. Its output has, so it is about to. However slow the machine is, how it ends and what it wrote
    /// last are waited for: both are in the verdict. One that lives on is killed by the watch, as one that does not answer
    /// is. Only what has left its group may still hold its standard error; then the watch has given up before this does.
    fn crashed(&self, event: &str) -> String {
        while !lock(&self.watched.family).has_ended() {
            thread::sleep(GLANCE);
        }
        let ended = lock(&self.watched.family).end();
        let at = format!("its event {} ({})", self.events, short(event));
        self.last_words.after(ended, &at, patience() + 2 * LOOK)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.watched.is_over.store(true, Ordering::SeqCst);
        let _ = lock(&self.watched.family).end();
    }
}

/// Kills a process whose answer is overdue, and what a process has left behind that ended instead of answering: that may
/// hold its output open.
fn watch(watched: &Watched, begun: Instant) {
    while !watched.is_over.load(Ordering::SeqCst) {
        let due_ms = watched.due_ms.load(Ordering::SeqCst);
        let is_late = due_ms > 0 && begun.elapsed().as_millis() as u64 > due_ms;
        if is_late {
            watched.is_late.store(true, Ordering::SeqCst);
        }
        if is_late || (due_ms > 0 && lock(&watched.family).has_ended()) {
            let _ = lock(&watched.family).end();
        }
        thread::sleep(LOOK);
    }
}

/// The beginning of a line, for a message.
pub fn short(line: &str) -> String {
    const MOST: usize = 160;
    let line = line.trim();
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line.to_owned(),
    }
}
