//! One key as a machine for the search: repeated values, cas that do not report what they found, deletes that report
//! whether there was a value, appended text.

use super::keys::Packed;
use super::search::{Found, Interval, Machine, search};
use super::shrink;
use super::texts::Texts;
use super::{Budget, Search};
use crate::history::Columns;

/// The condition that an operation sets on the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Demand {
    Nothing,
    Is(u32),
    Not(u32),
}

/// The change that an operation makes to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Nothing,
    Set(u32),
    /// The number of the appended text.
    Append(u64),
}

/// A register over interned values; state 0 is absence.
struct Register<'a> {
    operations: Vec<(Demand, Change)>,
    classes: Vec<u32>,
    required: Vec<bool>,
    /// By state: how many required operations still demand it, and how many still write it.
    readers: Vec<u32>,
    writers: Vec<u32>,
    texts: Option<Texts<'a>>,
}

impl<'a> Register<'a> {
    fn new(columns: &'a Columns, operations: &[Packed]) -> Register<'a> {
        let appends = operations.iter().any(|operation| operation.effect.special());
        let mut texts = appends.then(|| Texts::new(columns));
        let mut values: Vec<u64> =
            operations.iter().flat_map(|operation| [operation.observed, operation.written]).collect();
        values.sort_unstable();
        values.dedup();
        let mut number = |value: Option<u64>| match (value, &mut texts) {
            (value, Some(texts)) => texts.number(value),
            (None, None) => 0,
            (Some(value), None) => values.binary_search(&value).expect("all values are listed") as u32 + 1,
        };
        number(None);
        let mut pairs = Vec::with_capacity(operations.len());
        for operation in operations {
            let effect = operation.effect;
            let demand = if !effect.observes() {
                Demand::Nothing
            } else {
                let seen = number((!effect.observes_absent()).then_some(operation.observed));
                if effect.negated() { Demand::Not(seen) } else { Demand::Is(seen) }
            };
            let change = if effect.special() {
                Change::Append(operation.written)
            } else if effect.writes() {
                Change::Set(number((!effect.writes_absent()).then_some(operation.written)))
            } else {
                Change::Nothing
            };
            pairs.push((demand, change));
        }
        let mut distinct = pairs.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let class = |pair| distinct.binary_search(pair).expect("all pairs are listed") as u32;
        let classes = pairs.iter().map(class).collect();
        let required: Vec<bool> = operations.iter().map(|operation| !operation.effect.optional()).collect();
        let (mut readers, mut writers) = (vec![0; values.len() + 1], vec![0; values.len() + 1]);
        if !appends {
            for ((demand, change), required) in pairs.iter().zip(&required) {
                if let (Demand::Is(seen), true) = (demand, required) {
                    readers[*seen as usize] += 1;
                }
                if let Change::Set(written) = change {
                    writers[*written as usize] += 1;
                }
            }
        }
        Register { operations: pairs, classes, required, readers, writers, texts }
    }

    fn count(&mut self, operation: u32, up: bool) {
        if self.texts.is_some() {
            return;
        }
        let step = |count: &mut u32| *count = if up { *count + 1 } else { *count - 1 };
        let (demand, change) = self.operations[operation as usize];
        if let (Demand::Is(seen), true) = (demand, self.required[operation as usize]) {
            step(&mut self.readers[seen as usize]);
        }
        if let Change::Set(written) = change {
            step(&mut self.writers[written as usize]);
        }
    }
}

impl Machine for Register<'_> {
    fn initial(&self) -> u32 {
        0
    }

    fn step(&mut self, state: u32, operation: u32) -> Option<u32> {
        let (demand, change) = self.operations[operation as usize];
        let fits = match demand {
            Demand::Nothing => true,
            Demand::Is(seen) => state == seen,
            Demand::Not(seen) => state != seen,
        };
        fits.then(|| match (change, &mut self.texts) {
            (Change::Set(written), _) => written,
            (Change::Append(text), Some(texts)) => texts.append(state, text),
            _ => state,
        })
    }

    fn is_read(&self, operation: u32) -> bool {
        self.operations[operation as usize].1 == Change::Nothing
    }

    fn class(&self, operation: u32) -> u32 {
        self.classes[operation as usize]
    }

    fn may_leave(&self, state: u32, operation: u32) -> bool {
        if self.texts.is_some() {
            return true;
        }
        let (demand, change) = self.operations[operation as usize];
        let own = u32::from(demand == Demand::Is(state) && self.required[operation as usize]);
        change == Change::Set(state) || self.readers[state as usize] == own || self.writers[state as usize] > 0
    }

    fn is_useful(&mut self, operation: u32, enabled: &[u32]) -> bool {
        // With appends, the next operation may build on what this one wrote instead of observing it.
        let (None, Change::Set(written)) = (&self.texts, self.operations[operation as usize].1) else { return true };
        enabled.iter().any(|other| match self.operations[*other as usize].0 {
            Demand::Is(seen) => seen == written && *other != operation,
            Demand::Not(seen) => seen != written && *other != operation,
            Demand::Nothing => false,
        })
    }

    fn bytes(&self) -> usize {
        self.texts.as_ref().map_or(0, Texts::bytes)
    }

    fn taken(&mut self, operation: u32) {
        self.count(operation, false);
    }

    fn returned(&mut self, operation: u32) {
        self.count(operation, true);
    }
}

/// Searches one key. An order, and the operations of a conflict, are indices into `operations`.
pub(super) fn decide(columns: &Columns, operations: &[Packed], budget: Budget) -> Search {
    let kept = relevant(operations);
    let chosen: Vec<Packed> = kept.iter().map(|at| operations[*at as usize]).collect();
    let back = |order: Vec<u32>| -> Vec<u32> { order.into_iter().map(|at| kept[at as usize]).collect() };
    let (found, mut steps) = attempt(columns, &chosen, budget);
    let verdict = match found {
        Found::Spent => Ok(None),
        Found::Order(order) => Ok(Some(back(order))),
        Found::Nothing => {
            // The explanation may cost several times as much as the verdict, and no more.
            let mut left = Budget { steps: 10 * steps.max(20_000), ..budget };
            let granted = left.steps;
            let conflict = shrink::explain(&chosen, |part| {
                let (found, cost) = attempt(columns, part, left);
                left.steps = left.steps.saturating_sub(cost);
                match found {
                    Found::Nothing => Some(true),
                    Found::Order(_) => Some(false),
                    Found::Spent => None,
                }
            });
            steps += granted - left.steps;
            Err(conflict.renamed(&|at| kept[at as usize]))
        }
    };
    Search { verdict, steps }
}

fn attempt(columns: &Columns, operations: &[Packed], budget: Budget) -> (Found, u64) {
    let interval = |operation: &Packed| Interval::new(operation.start, operation.end, operation.effect.optional());
    let intervals: Vec<Interval> = operations.iter().map(interval).collect();
    search(&mut Register::new(columns, operations), &intervals, budget)
}

/// Leaves out writes of unknown outcome that nothing could have observed.
fn relevant(operations: &[Packed]) -> Vec<u32> {
    let any = operations.iter().any(|operation| operation.effect.negated() || operation.effect.special());
    let value = |absent: bool, value: u64| (!absent).then_some(value);
    let mut seen: Vec<Option<u64>> = operations
        .iter()
        .filter(|operation| operation.effect.observes())
        .map(|operation| value(operation.effect.observes_absent(), operation.observed))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    let useful = |operation: &Packed| {
        let written = value(operation.effect.writes_absent(), operation.written);
        any || !operation.effect.optional() || seen.binary_search(&written).is_ok()
    };
    (0..operations.len() as u32).filter(|at| useful(&operations[*at as usize])).collect()
}
