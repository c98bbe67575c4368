//! Attributes what a program prints in a simulation to a host and a time. Both standard streams get a mark whenever
//! another host's turn comes or time has passed; the process that reads the streams puts the marks before the lines.
//!
//! The program may print in any way (`println!`, `tracing`, a C library): nothing is intercepted. A task that was
//! started with `tokio::spawn` is attributed to the host whose task ran last.

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Begins and ends a mark. No ordinary text contains it.
const SIGN: char = '\u{1e}';

/// Whether marks are written in this process. Nothing that a run does depends on it.
static IS_ON: AtomicBool = AtomicBool::new(false);
/// The last mark.
static LAST: Mutex<Option<Mark>> = Mutex::new(None);

/// Which host's turn it is, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Ascending, across both streams.
    pub number: u64,
    /// Simulated nanoseconds since the start of the run.
    pub t_ns: u64,
    /// The host; empty: none.
    pub host: String,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SIGN}{} {} {}{SIGN}", self.number, self.t_ns, self.host)
    }
}

impl FromStr for Mark {
    type Err = ();

    /// Reads the text between the two signs.
    fn from_str(text: &str) -> Result<Mark, ()> {
        let mut parts = text.splitn(3, ' ');
        let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or(());
        let (number, t_ns) = (number()?, number()?);
        Ok(Mark { number, t_ns, host: parts.next().ok_or(())?.to_owned() })
    }
}

/// Makes this process mark its streams from now on.
pub fn turn_on() {
    IS_ON.store(true, Ordering::Relaxed);
    mark("", 0);
}

/// Ends the last host's turn: what is printed from now on belongs to no host.
pub fn turn_off() {
    if IS_ON.swap(false, Ordering::Relaxed) {
        mark("", u64::MAX);
    }
}

/// Whether this process marks its streams.
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// It is this host's turn, at this simulated time. Call it only if marks [are on](is_on).
pub fn mark(host: &str, t_ns: u64) {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.as_ref().is_some_and(|last| last.t_ns == t_ns && last.host == host) {
        return;
    }
    let number = last.as_ref().map_or(0, |last| last.number + 1);
    let mark = Mark { number, t_ns, host: host.to_owned() };
    // A closed stream has no reader to inform.
    let _ = write!(std::io::stdout(), "{mark}");
    let _ = write!(std::io::stderr(), "{mark}");
    *last = Some(mark);
}

/// Reads what a marked process printed: its lines in the order in which they were printed, each with its mark. Text
/// before the first mark, or after the last turn, was not printed by a run and is left out.
pub fn read(stdout: &str, stderr: &str) -> Vec<(Mark, String)> {
    let mut lines: Vec<(Mark, String)> = [stdout, stderr].into_iter().flat_map(lines).collect();
    lines.sort_by_key(|(mark, _)| mark.number);
    lines
}

fn lines(stream: &str) -> Vec<(Mark, String)> {
    let mut lines = Vec::new();
    let mut pieces = stream.split(SIGN);
    // Text and marks alternate, text first.
    pieces.next();
    while let (Some(mark), Some(text)) = (pieces.next(), pieces.next()) {
        let Ok(mark) = mark.parse::<Mark>() else { continue };
        if mark.t_ns != u64::MAX {
            lines.extend(text.lines().map(|line| (mark.clone(), line.to_owned())));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_streams_come_in_order_and_the_rest_is_left_out() {
        let mark = |number, t_ns, host: &str| Mark { number, t_ns, host: host.into() }.to_string();
        let (start, a, b, end) = (mark(0, 0, ""), mark(1, 5, "n1"), mark(2, 7, "east.clients"), mark(3, u64::MAX, ""));
        let out = format!("running 1 test\ntest x ... {start}made\n{a}one\ntwo{b}{end}ok\n");
        let err = format!("warning{start}{a}{b}three\n{end}");
        let said: Vec<(u64, String, String)> =
            read(&out, &err).into_iter().map(|(mark, line)| (mark.t_ns, mark.host, line)).collect();
        let expected = [(0, "", "made"), (5, "n1", "one"), (5, "n1", "two"), (7, "east.clients", "three")]
            .map(|(t_ns, host, line)| (t_ns, host.to_owned(), line.to_owned()));
        assert_eq!(said, expected);
    }
}
