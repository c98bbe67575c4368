//! Shrinks "these operations have no order" to few operations.
//!
//! Four ways of leaving operations out are sound, each because an order of the whole would give an order of the rest:
//! * keep a prefix in time, in which operations that were still running may or may not have happened;
//! * keep what comes after a read: when it took effect, the key held what it returned. So operations that were over
//!   before it began do not matter, and operations that ran beside it may have come first;
//! * leave out a read;
//! * leave out a value: every operation that saw it, and then some or all writes of values that no remaining operation
//!   saw. The remaining operations saw only values all of whose writes remain, so their last write stays their last
//!   write.
//!
//! Leaving out a write whose value is still seen would invent a violation.

use super::keys::{Instant, Packed};
use super::zones::{self, Conflict, Zones};
use std::collections::BTreeSet;

/// A value, or absence.
type Value = Option<u64>;

/// Operations with their positions in the key.
type Kept = Vec<(u32, Packed)>;

fn saw(operation: &Packed) -> Option<Value> {
    let effect = operation.effect;
    effect.observes().then(|| (!effect.observes_absent()).then_some(operation.observed))
}

fn wrote(operation: &Packed) -> Option<Value> {
    let effect = operation.effect;
    effect.writes().then(|| (!effect.writes_absent()).then_some(operation.written))
}

/// Decides whether operations have no order; `None` if that could not be decided.
pub(super) trait Fails: FnMut(&[Packed]) -> Option<bool> {}

impl<F: FnMut(&[Packed]) -> Option<bool>> Fails for F {}

fn fail(kept: &[(u32, Packed)], fails: &mut impl Fails) -> bool {
    let bare: Vec<Packed> = kept.iter().map(|(_, operation)| *operation).collect();
    fails(&bare) == Some(true)
}

/// Explains by few operations why `all` have no order; `fails` checks parts. Operations of the conflict are positions
/// in `all`.
pub(super) fn explain(all: &[Packed], mut fails: impl Fails) -> Conflict {
    let whole: Kept = all.iter().enumerate().map(|(at, operation)| (at as u32, *operation)).collect();
    let Prefix { mut kept, mut until, mut first } = prefix(&whole, &mut fails);
    // An answer that only says what the state was not depends on every write, and so does an append.
    let by_value = all.iter().all(|operation| !operation.effect.negated() && !operation.effect.special());
    if by_value {
        drop_values(&mut kept, &mut fails);
        if let Some(conflict) = plain(all, &kept) {
            return conflict;
        }
    }
    let since = suffix(&mut kept, until, &mut fails);
    if by_value {
        drop_values(&mut kept, &mut fails);
        // Without some values an earlier answer may now be the first that has no order.
        let shorter = prefix(&kept, &mut fails);
        if fail(&shorter.kept, &mut fails) {
            Prefix { kept, until, first } = shorter;
        }
    }
    drop_reads(&mut kept, since, &mut fails);
    if by_value {
        drop_values(&mut kept, &mut fails);
    }
    let breaks = last_answer(&kept, until, first, &mut fails);
    let mut operations: Vec<u32> = kept.into_iter().map(|(at, _)| at).collect();
    operations.extend(since.filter(|since| !operations.contains(since)));
    Conflict::Exhausted { operations, since, breaks, until }
}

/// A prefix in time that fails.
struct Prefix {
    kept: Kept,
    until: Instant,
    /// Whether it is known to be the shortest: the answers before its last instant have an order.
    first: bool,
}

/// The shortest prefix that fails, as far as that could be decided.
fn prefix(all: &[(u32, Packed)], fails: &mut impl Fails) -> Prefix {
    let mut ends: Vec<Instant> = all.iter().map(|(_, operation)| operation.end).collect();
    ends.sort_unstable();
    // Before the first answer there is nothing to explain.
    let (mut low, mut high, mut first) = (0, ends.len().saturating_sub(1), true);
    while low < high {
        let middle = (low + high) / 2;
        let bare: Vec<Packed> = cut(all, ends[middle]).into_iter().map(|(_, operation)| operation).collect();
        match fails(&bare) {
            Some(true) => high = middle,
            // At the end of the search this is about the prefix right before the one that is returned.
            decided => (low, first) = (middle + 1, decided == Some(false)),
        }
    }
    let until = ends.get(high).copied().unwrap_or(0);
    Prefix { kept: cut(all, until), until, first }
}

fn cut(all: &[(u32, Packed)], until: Instant) -> Kept {
    let started = all.iter().filter(|(_, operation)| operation.start < until);
    let cut = started.filter_map(|(at, operation)| match operation.end <= until {
        true => Some((*at, *operation)),
        // A read that was still running says nothing.
        false => operation.effect.writes().then(|| (*at, operation.made_optional())),
    });
    cut.collect()
}

/// Cuts off the operations before the latest read from which on there is still no order. Returns that read.
fn suffix(kept: &mut Kept, until: Instant, fails: &mut impl Fails) -> Option<u32> {
    let tells = |operation: &Packed| {
        let effect = operation.effect;
        effect.observes() && !effect.negated() && !effect.special() && !effect.writes() && operation.end < until
    };
    let mut reads: Kept = kept.iter().filter(|(_, operation)| tells(operation)).copied().collect();
    reads.sort_by_key(|(at, operation)| (operation.end, *at));
    // A later read leaves fewer operations, so if they have no order, those from an earlier read have none either.
    let (mut low, mut high) = (0, reads.len());
    while low < high {
        let middle = (low + high) / 2;
        if fail(&from(kept, reads[middle]), fails) { low = middle + 1 } else { high = middle }
    }
    let read = reads[low.checked_sub(1)?];
    *kept = from(kept, read);
    Some(read.0)
}

/// The operations that remain to be explained from a read on. The read itself becomes a write of what it returned.
fn from(kept: &[(u32, Packed)], (read, since): (u32, Packed)) -> Kept {
    let left = kept.iter().filter(|(_, operation)| operation.end > since.start);
    let left = left.filter_map(|(at, operation)| match operation.start > since.end {
        _ if *at == read => Some((*at, operation.made_write())),
        true => Some((*at, *operation)),
        false => operation.effect.writes().then(|| (*at, operation.made_optional())),
    });
    left.collect()
}

/// Leaves out values, first many at a time and then fewer (Zeller & Hildebrandt's ddmin, complements only).
fn drop_values(kept: &mut Kept, fails: &mut impl Fails) {
    let mut values: Vec<Value> = kept.iter().filter_map(|(_, operation)| saw(operation)).collect();
    values.sort_unstable();
    values.dedup();
    in_chunks(values, |dropped| {
        let rest = without(kept, dropped);
        let fails = fail(&rest, fails);
        if fails {
            *kept = rest;
        }
        fails
    });
    // One write of a value that was never seen may be needed, as it replaces a value that was seen later; but hardly
    // all are.
    let seen: BTreeSet<Value> = kept.iter().filter_map(|(_, operation)| saw(operation)).collect();
    let unseen =
        |operation: &Packed| saw(operation).is_none() && wrote(operation).is_some_and(|value| !seen.contains(&value));
    let writes: Vec<u32> = kept.iter().filter(|(_, operation)| unseen(operation)).map(|(at, _)| *at).collect();
    drop_each(kept, writes, fails);
}

/// Leaves out reads in the same way.
fn drop_reads(kept: &mut Kept, since: Option<u32>, fails: &mut impl Fails) {
    let is_read = |(at, operation): &&(u32, Packed)| !operation.effect.writes() && Some(*at) != since;
    let reads: Vec<u32> = kept.iter().filter(is_read).map(|(at, _)| *at).collect();
    drop_each(kept, reads, fails);
}

fn drop_each(kept: &mut Kept, positions: Vec<u32>, fails: &mut impl Fails) {
    in_chunks(positions, |dropped| {
        let dropped: BTreeSet<u32> = dropped.iter().copied().collect();
        let rest: Kept = kept.iter().filter(|(at, _)| !dropped.contains(at)).copied().collect();
        let fails = fail(&rest, fails);
        if fails {
            *kept = rest;
        }
        fails
    });
}

/// Offers all of `things` in chunks of decreasing size. Chunks that were taken are not offered again.
fn in_chunks<T>(mut things: Vec<T>, mut taken: impl FnMut(&[T]) -> bool) {
    let mut chunk = things.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < things.len() {
            let end = (at + chunk).min(things.len());
            if taken(&things[at..end]) {
                things.drain(at..end);
            } else {
                at = end;
            }
        }
        chunk /= 2;
    }
}

/// The operations that remain without every one that saw one of `values`, and without writes that no remaining one saw.
fn without(kept: &[(u32, Packed)], values: &[Value]) -> Kept {
    let mut dropped: BTreeSet<Value> = values.iter().copied().collect();
    // If a cas goes, its write goes too, and so must every operation that saw it.
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
    let mut rest: Kept = kept.iter().filter(|(_, operation)| !unseen(operation)).copied().collect();
    loop {
        let seen: BTreeSet<Value> = rest.iter().filter_map(|(_, operation)| saw(operation)).collect();
        let before = rest.len();
        rest.retain(|(_, operation)| wrote(operation).is_none_or(|value| seen.contains(&value)));
        if rest.len() == before {
            return rest;
        }
    }
}

/// The zones' argument about the remaining operations, if it holds for all operations: no value that they saw is
/// written twice, not even by an operation that was left out; and if they saw absence, no delete was left out.
fn plain(all: &[Packed], kept: &[(u32, Packed)]) -> Option<Conflict> {
    let part: Vec<Packed> = kept.iter().map(|(_, operation)| *operation).collect();
    let Zones::Conflict(conflict) = zones::decide::<0>(&part) else { return None };
    let named: BTreeSet<Value> = part.iter().filter_map(saw).collect();
    let writes = |of: &[Packed], value: Value| of.iter().filter(|operation| wrote(operation) == Some(value)).count();
    let whole = named.into_iter().all(|value| writes(all, value) == writes(&part, value));
    whole.then(|| conflict.renamed(&|at| kept[at as usize].0))
}

/// The operation whose answer ends the prefix, if there is an order without that answer. There is one if the prefix is
/// known to be the shortest and the answer is the only one at its instant. This costs nothing more, so it is also known
/// for arguments whose budget ended before they were short.
fn last_answer(kept: &[(u32, Packed)], until: Instant, first: bool, fails: &mut impl Fails) -> Option<u32> {
    let mut ended = kept.iter().filter(|(_, operation)| operation.end == until && !operation.effect.optional());
    let last = ended.next()?;
    if first && ended.next().is_none() {
        return Some(last.0);
    }
    let others = kept.iter().filter_map(|(at, operation)| match *at == last.0 {
        true => operation.effect.writes().then(|| operation.made_optional()),
        false => Some(*operation),
    });
    let others: Vec<Packed> = others.collect();
    (fails(&others) == Some(false)).then_some(last.0)
}
