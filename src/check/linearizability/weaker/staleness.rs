//! k-atomicity: how many values back the reads were.
//!
//! A history is k-atomic if it has an order in time in which each read returns one of the last k values written
//! (Aiyer, Alvisi & Bazzi, "On the Availability of Non-strict Quorum Systems", DISC 2005); 1-atomic is
//! linearizable. A lower bound comes from counting the writes that must lie between a write and a read of it
//! (as in Golab, Hurwitz & Li, "On the k-Atomicity-Verification Problem", ICDCS 2013); from there on the search
//! decides, on an object that remembers k values.

use crate::check::linearizability::Budget;
use crate::check::linearizability::keys::{NEVER, Packed};
use crate::check::linearizability::search::{Found, Interval, Machine, search};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many values back reads were: 1 is the current value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Staleness {
    /// Some order explains the history with reads this many values back, and none with fewer.
    Exactly(u32),
    /// At least this many; the budget did not suffice to find out more.
    AtLeast(u32),
    /// No number of values back explains what was seen: for example a value that was not written (yet).
    Never,
    /// Not decided: answers that only tell what the state was not, or appends.
    Unknown,
}

/// More values back than this are not distinguished.
const MOST: u32 = 16;

/// Finds the smallest k for which one key's operations are k-atomic, starting at 2.
pub(super) fn staleness(operations: &[Packed], budget: Budget) -> Staleness {
    let vague = |operation: &Packed| operation.effect.negated() || operation.effect.special();
    if operations.iter().any(vague) {
        return Staleness::Unknown;
    }
    let everything = operations.iter().filter(|operation| operation.effect.writes()).count() as u32 + 1;
    let from = at_least(operations);
    let Some(from) = from else { return Staleness::Never };
    for k in from.max(2)..=MOST.min(everything).max(2) {
        match recent(operations, k, budget) {
            Found::Order(_) => return Staleness::Exactly(k),
            Found::Spent => return Staleness::AtLeast(k),
            Found::Nothing => {}
        }
    }
    if everything <= MOST { Staleness::Never } else { Staleness::AtLeast(from.max(MOST + 1)) }
}

/// One more than the most writes that must lie between a write and a read of its value; `None` if a read saw a value
/// that had not been written by then. Only values with a single writer count.
fn at_least(operations: &[Packed]) -> Option<u32> {
    let mut writers: BTreeMap<Option<u64>, (usize, &Packed)> = BTreeMap::new();
    let value = |absent: bool, value: u64| (!absent).then_some(value);
    for operation in operations.iter().filter(|operation| operation.effect.writes()) {
        let written = value(operation.effect.writes_absent(), operation.written);
        writers.entry(written).or_insert((0, operation)).0 += 1;
    }
    // Writes that certainly happened, by invocation.
    let certain = |operation: &&Packed| operation.effect.writes() && operation.end != NEVER;
    let mut writes: Vec<(u64, u64)> =
        operations.iter().filter(certain).map(|operation| (operation.start, operation.end)).collect();
    writes.sort_unstable();
    let mut worst = 1;
    for read in operations.iter().filter(|operation| operation.effect.observes() && !operation.effect.optional()) {
        let seen = value(read.effect.observes_absent(), read.observed);
        let after = match writers.get(&seen) {
            Some((1, writer)) if seen.is_some() && read.end < writer.start => return None,
            Some((1, writer)) if seen.is_some() => writer.end,
            None if seen.is_none() => 0,
            None => return None,
            Some(_) => continue,
        };
        let first = writes.partition_point(|(start, _)| *start <= after);
        let between = writes[first..].iter().take_while(|(start, _)| *start < read.start);
        worst = worst.max(1 + between.filter(|(_, end)| *end < read.start).take(MOST as usize).count() as u32);
    }
    Some(worst)
}

fn recent(operations: &[Packed], k: u32, budget: Budget) -> Found {
    let interval = |operation: &Packed| Interval::new(operation.start, operation.end, operation.effect.optional());
    let intervals: Vec<Interval> = operations.iter().map(interval).collect();
    let mut machine = Recent { operations, k: k as usize, states: Vec::new(), numbers: BTreeMap::new() };
    machine.number(vec![None]);
    search(&mut machine, &intervals, budget).0
}

/// A register that may answer with any of its last k values. A cas compares with any of them as well.
struct Recent<'a> {
    operations: &'a [Packed],
    k: usize,
    states: Vec<Vec<Option<u64>>>,
    numbers: BTreeMap<Vec<Option<u64>>, u32>,
}

impl Recent<'_> {
    fn number(&mut self, state: Vec<Option<u64>>) -> u32 {
        *self.numbers.entry(state).or_insert_with_key(|state| {
            self.states.push(state.clone());
            self.states.len() as u32 - 1
        })
    }
}

impl Machine for Recent<'_> {
    fn initial(&self) -> u32 {
        0
    }

    fn step(&mut self, state: u32, operation: u32) -> Option<u32> {
        let operation = &self.operations[operation as usize];
        let effect = operation.effect;
        let held = &self.states[state as usize];
        let seen = (!effect.observes_absent()).then_some(operation.observed);
        if effect.observes() && !held.contains(&seen) {
            return None;
        }
        if !effect.writes() {
            return Some(state);
        }
        let written = (!effect.writes_absent()).then_some(operation.written);
        let next = std::iter::once(written).chain(held.iter().copied()).take(self.k).collect();
        Some(self.number(next))
    }

    fn is_read(&self, operation: u32) -> bool {
        !self.operations[operation as usize].effect.writes()
    }

    fn class(&self, operation: u32) -> u32 {
        operation
    }
}
