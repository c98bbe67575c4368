//! From "no order" to few operations without an order.
//!
//! Three ways of leaving operations out keep "no order" true of the whole, each because an order of the whole
//! would give one of the rest:
//! * a prefix in time, where what was still running may or may not have happened;
//! * without a read;
//! * without a value: everything that saw it, and then every write of a value that nothing left saw. What is
//!   left saw only values all of whose writes are left, so its last write stays its last write.
//!
//! Leaving out a write whose value is still seen would invent a violation.

use super::keys::{Instant, Packed};
use std::collections::BTreeSet;

/// A value, or absence.
type Value = Option<u64>;

fn saw(operation: &Packed) -> Option<Value> {
    let effect = operation.effect;
    effect.observes().then(|| (!effect.observes_absent()).then_some(operation.observed))
}

fn wrote(operation: &Packed) -> Option<Value> {
    let effect = operation.effect;
    effect.writes().then(|| (!effect.writes_absent()).then_some(operation.written))
}

/// Finds few of `all` that have no order either; `fails` says whether some operations certainly have none (if it
/// cannot tell, it says no). Returns their positions, and the instant up to which they were looked at.
pub(super) fn shrink(all: &[Packed], mut fails: impl FnMut(&[Packed]) -> bool) -> (Vec<u32>, Instant) {
    let mut ends: Vec<Instant> = all.iter().map(|operation| operation.end).collect();
    ends.sort_unstable();
    let (mut low, mut high) = (0, ends.len().saturating_sub(1));
    while low < high {
        let middle = (low + high) / 2;
        if fails(&bare(&prefix(all, ends[middle]))) { high = middle } else { low = middle + 1 }
    }
    let mut kept = prefix(all, ends[high]);
    // Answers that only tell what the state was not depend on every write, and so do appends.
    if all.iter().all(|operation| !operation.effect.negated() && !operation.effect.special()) {
        drop_values(&mut kept, &mut fails);
    }
    let mut at = 0;
    while at < kept.len() && kept.len() <= 100 {
        let removed = kept.remove(at);
        if removed.1.effect.writes() || !fails(&bare(&kept)) {
            kept.insert(at, removed);
            at += 1;
        }
    }
    (kept.into_iter().map(|(at, _)| at).collect(), ends[high])
}

fn bare(kept: &[(u32, Packed)]) -> Vec<Packed> {
    kept.iter().map(|(_, operation)| *operation).collect()
}

fn prefix(all: &[Packed], until: Instant) -> Vec<(u32, Packed)> {
    let started = all.iter().enumerate().filter(|(_, operation)| operation.start < until);
    let cut = started.filter_map(|(at, operation)| match operation.end <= until {
        true => Some((at as u32, *operation)),
        // A read that was still running says nothing.
        false => operation.effect.writes().then(|| (at as u32, operation.made_optional())),
    });
    cut.collect()
}

/// Leaves out values, first many at a time and then fewer (Zeller & Hildebrandt's ddmin, complements only).
fn drop_values(kept: &mut Vec<(u32, Packed)>, fails: &mut impl FnMut(&[Packed]) -> bool) {
    let mut values: Vec<Value> = kept.iter().filter_map(|(_, operation)| saw(operation)).collect();
    values.sort_unstable();
    values.dedup();
    let mut chunk = values.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < values.len() {
            let end = (at + chunk).min(values.len());
            let rest = without(kept, &values[at..end]);
            if fails(&bare(&rest)) {
                *kept = rest;
                values.drain(at..end);
            } else {
                at = end;
            }
        }
        chunk /= 2;
    }
}

/// What is left without everything that saw one of `values`, and without writes of what nothing left saw.
fn without(kept: &[(u32, Packed)], values: &[Value]) -> Vec<(u32, Packed)> {
    let mut dropped: BTreeSet<Value> = values.iter().copied().collect();
    // A cas that goes takes its write with it, so whoever saw that goes as well.
    loop {
        let follows = |operation: &Packed| {
            let goes = saw(operation).is_some_and(|value| dropped.contains(&value));
            wrote(operation).filter(|value| goes && !dropped.contains(value))
        };
        let more: Vec<Value> = kept.iter().filter_map(|(_, operation)| follows(operation)).collect();
        if more.is_empty() {
            break;
        }
        dropped.extend(more);
    }
    let unseen = |operation: &Packed| saw(operation).is_some_and(|value| dropped.contains(&value));
    let mut rest: Vec<(u32, Packed)> = kept.iter().filter(|(_, operation)| !unseen(operation)).copied().collect();
    loop {
        let seen: BTreeSet<Value> = rest.iter().filter_map(|(_, operation)| saw(operation)).collect();
        let before = rest.len();
        rest.retain(|(_, operation)| wrote(operation).is_none_or(|value| seen.contains(&value)));
        if rest.len() == before {
            return rest;
        }
    }
}
