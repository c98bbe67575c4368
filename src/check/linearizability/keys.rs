//! Splits a history by key: linearizability is local (Herlihy & Wing 1990, theorem 1), so each key is checked alone.
//! One sequential pass packs the parts of each operation that the engines need next to each other.

use crate::history::columns::{Columns, Effect, NEVER_NS};

/// Event times. An invocation at `t` becomes `2t + 2`, a completion `2t + 3`, so that one strict
/// comparison orders all events and puts invocations before completions at equal times.
pub(super) type Instant = u64;

/// When an operation of unknown outcome returns. Odd, as every completion.
pub(super) const NEVER: Instant = u64::MAX;

/// One operation of one key, packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    pub start: Instant,
    pub end: Instant,
    pub observed: u64,
    pub written: u64,
    /// Row in the columns.
    pub row: u32,
    pub effect: Effect,
}

impl Packed {
    fn of(columns: &Columns, row: usize) -> Packed {
        let end = columns.ends[row];
        Packed {
            start: 2 * columns.starts[row] + 2,
            end: if end == NEVER_NS { NEVER } else { 2 * end + 3 },
            observed: columns.first[row],
            written: columns.second[row],
            row: row as u32,
            effect: columns.effects[row],
        }
    }

    /// The same operation, as if its answer had not arrived (yet).
    pub fn made_optional(self) -> Packed {
        Packed { end: NEVER, effect: self.effect.as_optional(), ..self }
    }

    /// A write of the value that this read returned: at the instant of the read the key held it, whatever came before.
    pub fn made_write(self) -> Packed {
        Packed { effect: self.effect.as_write_of_observed(), written: self.observed, ..self }
    }

    /// Whether it writes a value, not absence.
    pub fn writes_value(&self) -> bool {
        self.effect.writes() && !self.effect.writes_absent()
    }
}

/// Operations grouped by key; those that constrain nothing (failed ones, reads of unknown outcome) are left out.
#[derive(Debug)]
pub(super) struct ByKey {
    operations: Vec<Packed>,
    /// (key, first, one past the last), ascending by key.
    groups: Vec<(u32, usize, usize)>,
}

impl ByKey {
    /// Groups the operations of `columns`, each group in order of rows.
    pub fn new(columns: &Columns) -> ByKey {
        let relevant = |row: usize| {
            let effect = columns.effects[row];
            !effect.never_happened() && (effect.writes() || !effect.optional())
        };
        // Keys are usually small numbers, which then index the counts directly.
        let largest = columns.keys.iter().copied().max().unwrap_or(0) as usize;
        let sorted: Vec<u32> = if largest <= 4 * columns.len() + 1024 {
            Vec::new()
        } else {
            let mut keys = columns.keys.clone();
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        let slot = |key: u32| match sorted.is_empty() {
            true => key as usize,
            false => sorted.binary_search(&key).expect("every key is in the list of keys"),
        };
        let slots = if sorted.is_empty() { largest + 1 } else { sorted.len() };
        let mut next = vec![0usize; slots];
        for row in (0..columns.len()).filter(|row| relevant(*row)) {
            next[slot(columns.keys[row])] += 1;
        }
        let (mut groups, mut total) = (Vec::new(), 0);
        for (index, count) in next.iter_mut().enumerate() {
            let first = total;
            total += *count;
            if *count > 0 {
                groups.push((sorted.get(index).copied().unwrap_or(index as u32), first, total));
            }
            *count = first;
        }
        let blank = Packed { start: 0, end: 0, observed: 0, written: 0, row: 0, effect: Effect::default() };
        let mut operations = vec![blank; total];
        for row in (0..columns.len()).filter(|row| relevant(*row)) {
            let place = &mut next[slot(columns.keys[row])];
            operations[*place] = Packed::of(columns, row);
            *place += 1;
        }
        ByKey { operations, groups }
    }

    /// How many keys have operations that matter.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// The `index`-th key and its operations.
    pub fn get(&self, index: usize) -> (u32, &[Packed]) {
        let (key, first, end) = self.groups[index];
        (key, &self.operations[first..end])
    }
}
