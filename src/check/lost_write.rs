//! Lost writes: an acknowledged write that is proven gone by an acknowledged operation invoked later, though nothing
//! overwrote it.
//!
//! The proof needs no search. Written values are unique, so an operation that observes a value names its writer, and a
//! cas(a -> b) can only come directly after a's cluster (the writer of a and its reads). So the *lineage* of a value u,
//! from the put (or the cas from absence) at its root down to u, is contiguous in every linearization, and an operation
//! o that observes u comes directly after it. A write w that completed before o was invoked, is not in the lineage, and
//! took effect, must then come before the root. It cannot, and so is gone, if
//! 1. an operation of the lineage, or a read of one of its values, completed before w was invoked; or
//! 2. w is itself a cas of the same family: it comes after the root (two cas from one value: a fork); or
//! 3. the root is a cas from absence, and no delete can lie between w and the root.
//!
//! If o observes absence, w (a put or a cas) is gone if no delete can lie between w and o. Deletes of unknown outcome
//! count as deletes; writes of unknown outcome end at infinity.
//!
//! A stale read is not a loss: w is not called lost if any operation observed it, or a value descending from it, at the
//! time of the proof or later. Keys with a repeated value are left to the linearizability check, and so are values that
//! were never written. Cost: O(n log n) per key.

mod families;

use super::{Certificate, CheckName, Violation, seconds};
use crate::history::{History, Operation};
use crate::kv::{Key, Op};
use families::Families;
use std::collections::BTreeMap;

/// All lost writes of a history, in order of invocation, each with its proof. Needs no trace.
pub fn check(history: &History) -> Vec<Violation> {
    let mut keys: BTreeMap<Key, Vec<&Operation>> = BTreeMap::new();
    for operation in &history.operations {
        keys.entry(operation.key()).or_default().push(operation);
    }
    let mut lost: Vec<(&Operation, &Operation)> = keys.into_values().flat_map(|operations| lost(&operations)).collect();
    lost.sort_by_key(|(write, _)| (write.start_ns, write.id));
    lost.into_iter().map(|(write, proof)| violation(write, proof)).collect()
}

/// The lost writes among the operations of one key, each with the earliest operation that proves it.
fn lost<'a>(operations: &[&'a Operation]) -> Vec<(&'a Operation, &'a Operation)> {
    let Some(families) = Families::of(operations) else { return Vec::new() };
    let writes = operations.iter().copied().filter(|operation| operation.is_acknowledged_write());
    writes.filter_map(|write| families.proof_of_loss(write).map(|proof| (write, proof))).collect()
}

fn violation(write: &Operation, proof: &Operation) -> Violation {
    let by = |operation: &Operation, word: &str| match operation.acknowledger() {
        Some(by) => format!(" {word} {}", by.node),
        None => String::new(),
    };
    let what = match write.op {
        Op::Put { key, value } => format!("put {key}={value}"),
        Op::Cas { key, expected: Some(expected), new } => format!("cas {key} {expected}->{new}"),
        Op::Cas { key, expected: None, new } => format!("cas {key} absent->{new}"),
        op => op.to_string(),
    };
    let found = match proof.observed().flatten() {
        Some(value) => value.to_string(),
        None => "nothing".to_owned(),
    };
    let saw = match proof.op {
        Op::Get { .. } => format!("read {found}"),
        _ => format!("found {found} with a cas"),
    };
    let sentence = format!(
        "client {}'s {what}, acknowledged{} at {}, is gone: client {} {saw}{} at {} although nothing overwrote it",
        write.client,
        by(write, "by"),
        seconds(write.end_ns),
        proof.client,
        by(proof, "at"),
        seconds(proof.start_ns),
    );
    let sides = [write, proof].map(|operation| operation.acknowledger());
    let certificate = Certificate {
        sentence,
        operations: vec![write.id, proof.id],
        nodes: sides.iter().flatten().map(|by| by.node).collect(),
        terms: sides.iter().flatten().map(|by| by.term).collect(),
        messages: Vec::new(),
        at_ns: Some(proof.end_ns),
    };
    Violation { check: CheckName::LostWrite, certificate }
}

#[cfg(test)]
mod tests;
