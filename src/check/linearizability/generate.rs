//! Seeded histories for trying out checkers: valid ones, and ones with a single stale read.
//!
//! Each client runs one operation at a time. An operation takes effect at one instant between its
//! invocation and its answer, so the history is linearizable by construction; a stale read is planted by
//! giving a read a value that had been replaced before the read began.

use crate::history::Columns;
use crate::history::columns::{Call, Ending, NEVER_NS, Row};
use crate::rng::{self, Stream};
use rand::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The parameters of a generated history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Operations.
    pub operations: usize,
    /// Clients; all but a few are busy at any time.
    pub clients: usize,
    /// Keys, chosen uniformly.
    pub keys: usize,
    /// Outcomes that stay unknown, in parts per million.
    pub unknown_ppm: u32,
    /// Which kinds of operation it has.
    pub mix: Mix,
    /// Values written; `None`: each is unique.
    pub values: Option<u64>,
    /// Whether one read is made stale. Certain to be a violation only with unique values.
    pub stale: bool,
}

/// The kinds of operation of a generated history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Half gets, half puts.
    ReadWrite,
    /// 45 % gets, 30 % puts, 25 % cas.
    Cas,
    /// 45 % gets, 30 % puts, 10 % cas, 15 % blind deletes. No cas expects absence.
    Deletes,
    /// As [`Mix::Deletes`], but a client that last saw the key absent uses a cas that expects absence.
    Creates,
}

/// Generates the history of `shape` and `seed`. The same arguments give the same history on every platform.
pub fn generate(shape: Shape, seed: u64) -> Columns {
    let mut random = rng::stream(seed, "linearizability/generate");
    let mut store = Store { holds: vec![None; shape.keys], flights: BinaryHeap::new() };
    let mut rows: Vec<Row> = Vec::with_capacity(shape.operations);
    let mut free: Vec<u32> = (0..shape.clients as u32).collect();
    let mut busy = BinaryHeap::new();
    let (mut now_ns, mut next_value) = (0u64, 1u64);
    while rows.len() < shape.operations {
        now_ns += 1;
        while let Some(Reverse((end_ns, client))) = busy.peek().copied()
            && end_ns < now_ns
        {
            busy.pop();
            free.push(client);
        }
        store.land(now_ns, &mut rows);
        if free.is_empty() {
            continue;
        }
        let client = free.swap_remove(random.gen_range(0..free.len()));
        let length = random.gen_range(2..=2 * shape.clients as u64 + 2);
        let key = random.gen_range(0..shape.keys);
        let unknown = random.gen_range(0..1_000_000) < shape.unknown_ppm;
        let row = Row {
            id: rows.len() as u32,
            client,
            key: key as u32,
            call: call(shape, &mut random, &mut next_value, store.holds[key]),
            start_ns: now_ns,
            end_ns: if unknown { NEVER_NS } else { now_ns + length },
            ending: if unknown { Ending::Info } else { Ending::Ok },
        };
        // Half of the unknown ones never happen.
        if !unknown || random.gen_bool(0.5) {
            store.flights.push(Reverse((now_ns + random.gen_range(0..=length), row.id)));
        }
        busy.push(Reverse((now_ns + length, client)));
        rows.push(row);
    }
    store.land(u64::MAX, &mut rows);
    if shape.stale {
        plant_stale_read(&mut rows);
    }
    rows.into_iter().collect()
}

/// The values that the keys hold, and the operations under way: (when they take effect, row).
struct Store {
    holds: Vec<Option<u64>>,
    flights: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Store {
    /// Applies every operation whose instant is before `now_ns`.
    fn land(&mut self, now_ns: u64, rows: &mut [Row]) {
        while let Some(Reverse((effect_ns, at))) = self.flights.peek().copied()
            && effect_ns < now_ns
        {
            self.flights.pop();
            let row = &mut rows[at as usize];
            let holds = &mut self.holds[row.key as usize];
            let (call, value) = perform(row.call, *holds);
            *holds = value;
            // No client learned the answer of an unknown outcome.
            if row.ending == Ending::Ok {
                row.call = call;
            }
        }
    }
}

/// Makes a read, from the middle on, return a value that an acknowledged put had replaced before the read began.
fn plant_stale_read(rows: &mut [Row]) {
    let put = |row: &Row| matches!(row.call, Call::Put(_)) && row.ending == Ending::Ok;
    for at in rows.len() / 2..rows.len() {
        let read = rows[at];
        if !matches!(read.call, Call::Get(_)) || read.ending != Ending::Ok {
            continue;
        }
        let puts = || rows[..at].iter().rev().filter(|row| row.key == read.key && put(row));
        let replaced = puts().find(|row| row.end_ns < read.start_ns);
        let stale = replaced.and_then(|newer| puts().find(|row| row.end_ns < newer.start_ns));
        if let Some(Row { call: Call::Put(value), .. }) = stale {
            rows[at].call = Call::Get(Some(*value));
            return;
        }
    }
}

fn call(shape: Shape, random: &mut Stream, next_value: &mut u64, seen: Option<u64>) -> Call {
    let draw = random.gen_range(0..100);
    let mut value = || match shape.values {
        Some(values) => random.gen_range(0..values),
        None => {
            *next_value += 1;
            *next_value - 1
        }
    };
    let (gets, puts, cas) = match shape.mix {
        Mix::ReadWrite => (50, 100, 100),
        Mix::Cas => (45, 75, 100),
        Mix::Deletes | Mix::Creates => (45, 75, 85),
    };
    match draw {
        draw if draw < gets => Call::Get(None),
        draw if draw < puts => Call::Put(value()),
        draw if draw < cas => match (shape.mix, seen) {
            (Mix::Deletes, None) => Call::Put(value()),
            (_, expected) => Call::Cas { expected, new: value() },
        },
        _ => Call::Delete,
    }
}

/// The call with its answer, and the value that the key then holds.
fn perform(call: Call, holds: Option<u64>) -> (Call, Option<u64>) {
    match call {
        Call::Get(_) => (Call::Get(holds), holds),
        Call::Put(value) => (call, Some(value)),
        Call::Cas { expected, new } if expected == holds => (call, Some(new)),
        Call::Cas { expected, new } => (Call::CasMismatch { expected, new, found: Some(holds) }, holds),
        _ => (call, None),
    }
}
