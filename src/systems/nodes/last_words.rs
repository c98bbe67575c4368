//! What a process writes to its standard error: logged, and the end of it kept in case the process dies.

use super::lock;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How many lines are kept.
const LINES: usize = 8;
/// The most characters of such a line that are kept.
const CHARACTERS: usize = 400;

/// The last lines so far.
pub struct LastWords {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// Closed when all has been read.
    all: Receiver<()>,
}

impl LastWords {
    /// Those of a process with this standard error.
    pub fn of(stderr: impl Read + Send + 'static) -> LastWords {
        let lines = Arc::<Mutex<VecDeque<String>>>::default();
        let kept = lines.clone();
        let (ending, all) = channel();
        thread::spawn(move || {
            listen(&kept, stderr);
            drop(ending);
        });
        LastWords { lines, all }
    }

    /// How a process ended at some point, in words that are the same on every machine as far as that is in our hands. What it
    /// wrote last may be on its way: it is awaited for so long.
    pub fn after(&self, ended: io::Result<ExitStatus>, at: &str, patience: Duration) -> String {
        let _ = self.all.recv_timeout(patience);
        let how = match ended {
            Ok(status) => match status.code() {
                Some(code) => format!("ended with exit status {code}"),
                None => "was ended by a signal".to_owned(),
            },
            Err(error) => format!("is gone: {error}"),
        };
        let lines = lock(&self.lines);
        match lines.is_empty() {
            true => format!("{how} at {at}; it wrote nothing to its standard error"),
            false => {
                format!("{how} at {at}; its last words: {}", lines.iter().cloned().collect::<Vec<_>>().join(" | "))
            }
        }
    }
}

fn listen(lines: &Mutex<VecDeque<String>>, stderr: impl Read) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(1 << 16).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        tracing::info!(target: "schism::nodes", "{text}");
        let kept: String = text.trim().chars().take(CHARACTERS).collect();
        let mut lines = lock(lines);
        lines.push_back(kept);
        if lines.len() > LINES {
            lines.pop_front();
        }
    }
}
