//! The operations of a run's clients, and how each attempt ended.

use crate::history::Operation;
use crate::host::lock;
use crate::systems::Attempt;
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

/// Notes that an attempt is made.
pub(super) fn begins(attempts: &Attempts, attempt: &Attempt<'_>) {
    let node = attempt.client.fabric().name(attempt.node).to_owned();
    let begun = Attempted { node, start_ns: attempt.client.now_ns(), answer: None };
    lock(attempts).entry(attempt.operation).or_default().push(begun);
}

/// Notes how it ended, in words.
pub(super) fn ends(attempts: &Attempts, attempt: &Attempt<'_>, in_words: String) {
    if let Some(begun) = lock(attempts).get_mut(&attempt.operation).and_then(|all| all.last_mut()) {
        begun.answer = Some((in_words, attempt.client.now_ns()));
    }
}

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
