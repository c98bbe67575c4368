//! Histories as text: our JSON lines, Jepsen's EDN, etcd's Jepsen logs, porcupine's key-value text.
//!
//! Readers take bytes and return [`Columns`], or report which line is wrong and why; no input makes them panic. Writers
//! return text that other checkers read. Compression and files are left to the caller.

mod edn;
mod etcd;
mod events;
mod initial;
mod jepsen;
mod json;
mod porcupine;

use super::Columns;
use super::columns::{LATEST_NS, Label, Labels};
use std::collections::BTreeMap;
use std::fmt;

/// The formats of histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, one operation each.
    Json,
    /// Maps in EDN, one event each; also porcupine's key-value text, whose maps have a `:key`.
    Edn,
    /// Log lines `INFO jepsen.util - 3 :invoke :write 4`.
    EtcdLog,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Json => "JSON lines",
            Format::Edn => "EDN events",
            Format::EtcdLog => "a Jepsen log",
        })
    }
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct FormatError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl FormatError {
    fn new(line: usize, reason: impl Into<String>) -> FormatError {
        FormatError { line, reason: reason.into() }
    }
}

/// Detects the format of a history by its beginning; `None` if it looks like none of them.
pub fn detect(text: &[u8]) -> Option<Format> {
    for line in text.split(|byte| *byte == b'\n').take(1_000) {
        let line = line.trim_ascii();
        match line {
            [] | [b';', ..] => continue,
            _ if line.windows(11).any(|part| part == b"jepsen.util") => return Some(Format::EtcdLog),
            [b'{', rest @ ..] if rest.trim_ascii_start().starts_with(b"\"") => return Some(Format::Json),
            [b'{' | b'[' | b'(' | b'#', ..] => return Some(Format::Edn),
            // Logs contain other lines as well.
            _ if line.starts_with(b"INFO") || line.starts_with(b"WARN") => continue,
            _ => return None,
        }
    }
    None
}

/// Reads a history in the given format, or in the detected one.
///
/// # Errors
/// The first line that is not understood, and why.
pub fn read(text: &[u8], format: Option<Format>) -> Result<Columns, FormatError> {
    let unknown = "this is neither JSON lines, nor Jepsen's EDN, nor a Jepsen log, nor porcupine's key-value text";
    match format.or_else(|| detect(text)) {
        Some(Format::Json) => json::read(text),
        Some(Format::Edn) => jepsen::read(text),
        Some(Format::EtcdLog) => etcd::read(text),
        None if text.trim_ascii().is_empty() => Err(FormatError::new(1, "the input is empty")),
        None => Err(FormatError::new(1, unknown)),
    }
}

pub use initial::{Initial, InitialError};
pub use jepsen::write as write_jepsen;
pub use json::write as write_json;
pub use porcupine::write as write_porcupine;

/// Assigns numbers to values and keys: a small whole number stands for itself, anything else gets a label.
#[derive(Debug, Default)]
struct Names {
    values: BTreeMap<Label, u64>,
    keys: BTreeMap<Label, u32>,
}

impl Names {
    /// The number of a value; [`Label::Other`] may spell a number that stands for itself.
    fn value(&mut self, label: Label) -> u64 {
        if let Some(number) = number_of(&label) {
            return number;
        }
        let next = Labels::FIRST + self.values.len() as u64;
        *self.values.entry(label).or_insert(next)
    }

    /// Keys that are numbers below 2^31 stand for themselves; labels count down from the greatest number.
    fn key(&mut self, label: Label) -> u32 {
        match number_of(&label) {
            Some(number) if number < 1 << 31 => number as u32,
            _ => {
                let next = u32::MAX - self.keys.len() as u32;
                *self.keys.entry(label).or_insert(next)
            }
        }
    }

    fn into_labels(self) -> Labels {
        Labels {
            values: self.values.into_iter().map(|(label, number)| (number, label)).collect(),
            keys: self.keys.into_iter().map(|(label, number)| (number, label)).collect(),
        }
    }
}

/// The number that a label spells, if it stands for itself. A text never does.
fn number_of(label: &Label) -> Option<u64> {
    match label {
        Label::Text(_) => None,
        Label::Other(spelling) => Labels::number(spelling),
    }
}

/// Refuses times that leave no room for arithmetic.
fn check_time(line: usize, time_ns: u64) -> Result<u64, FormatError> {
    if time_ns > LATEST_NS {
        return Err(FormatError::new(line, format!("the time {time_ns} is more than 146 years of nanoseconds")));
    }
    Ok(time_ns)
}

/// Sorts operations by invocation, ties by id.
fn sorted(columns: Columns) -> Columns {
    let place = |at: usize| (columns.starts[at], columns.ids[at]);
    if (1..columns.len()).all(|at| place(at - 1) <= place(at)) {
        return columns;
    }
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|at| place(*at));
    let mut sorted: Columns = order.into_iter().map(|at| columns.row(at)).collect();
    sorted.labels = columns.labels;
    sorted
}

#[cfg(test)]
mod tests;
