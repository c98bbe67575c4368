//! The operations of a run's clients, and how each attempt ended.

use crate::history::Operation;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// One attempt of an operation.
#[derive(Debug, Clone)]
pub(super) struct Attempted {
    /// The node that was asked.
    pub node: String,
    /// When, in simulated nanoseconds.
    pub start_ns: u64,
    /// The answer as text, and when it came; none if the run ended first.
    pub answer: Option<(String, u64)>,
}

/// The attempts of a run, by operation, each operation's in order.
pub(super) type Attempts = Arc<Mutex<BTreeMap<u32, Vec<Attempted>>>>;

/// More attempts of one operation than this are counted, not listed.
const TOLD: usize = 6;

/// The attempts of an operation as a line: `#12 of client 0: n2 at 0.414 s unknown at 0.564 s; n1 at 0.600 s Total(12) at
/// 0.607 s`.
pub(super) fn line(operation: &Operation, attempts: &[Attempted]) -> String {
    let told = attempts.iter().take(TOLD).map(|attempt| {
        let seconds = |ns: u64| format!("{:.3} s", ns as f64 / 1e9);
        let answer = match &attempt.answer {
            Some((answer, at_ns)) => format!("{answer} at {}", seconds(*at_ns)),
            None => "the run ended first".into(),
        };
        format!("asked {} at {}: {answer}", attempt.node, seconds(attempt.start_ns))
    });
    let mut told: Vec<String> = told.collect();
    if attempts.len() > TOLD {
        told.push(format!("and {} times more", attempts.len() - TOLD));
    }
    format!("client {}'s #{} {}", operation.client, operation.id, told.join("; "))
}
