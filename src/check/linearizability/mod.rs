//! Linearizability of key-value histories: a verdict, and the proof of it either way.
//!
//! A history is linearizable if some order of the operations, in which each takes effect between its invocation and its
//! answer, explains every answer (Herlihy & Wing, "Linearizability: A Correctness Condition for Concurrent Objects",
//! TOPLAS 12(3), 1990). Each key is checked alone, by the first engine that applies:
//!
//! * `zones`, in O(n log n), where every written value is unique: put, get, cas, blind deletes (`absence`) and unknown
//!   outcomes;
//! * `presence`, in O(n log n) as well, where such keys also have cas that expect absence;
//! * `search`, exhaustive and within a budget, for everything else (`register`).
//!
//! A pass comes with an order (`order`), a violation with a [`Witness`]; [`verify`] checks both and shares no code with
//! the engines. [`explain`] puts a witness into words and pictures; [`weaker`] says which weaker models still hold.
//! [`model`] runs the search on other objects than registers; [`generate`] makes histories to try this on.
//!
//! Reads histories only. It knows no system, no trace, no file format, and no threads but its own.

mod absence;
mod argue;
pub mod explain;
pub mod generate;
mod keys;
pub mod model;
mod order;
mod presence;
mod register;
mod search;
mod shrink;
mod texts;
mod values;
pub mod verify;
pub mod weaker;
mod witness;
mod zones;

pub use witness::{DeleteNeeded, Life, Reason, Witness};

use crate::history::{Columns, History};
use crate::kv::Key;
use keys::{ByKey, Packed};
use serde::{Deserialize, Serialize};
use zones::{Conflict, Zones};

/// How much the search may spend on one key before it answers "unknown". The other engines need no budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Steps: states of the search that are examined. A million takes about a second.
    pub steps: u64,
    /// Bytes for remembered states of the search, and for the states of a key with appends; at most 8 GiB.
    pub memory_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { steps: 5_000_000, memory_bytes: 512 << 20 }
    }
}

/// Options beyond the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The search's budget per key.
    pub budget: Budget,
    /// Whether to write down an order for each key that passes. That costs about as much as the check itself.
    pub orders: bool,
    /// Threads; with 1 the check runs on the caller's thread.
    pub jobs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { budget: Budget::default(), orders: true, jobs: 1 }
    }
}

/// The answer for a whole history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// The answer for each key, ascending.
    pub keys: Vec<KeyReport>,
}

/// Linearizable, not, or not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// An order exists for every key; see [`KeyReport::answer`] for the orders.
    Linearizable,
    /// Some key has no order.
    Violation {
        /// The witness that became undeniable first; others are in [`Report::witnesses`].
        witness: Box<Witness>,
    },
    /// No violation was found, but the budget ended before some key was decided. Never a pass.
    Unknown,
}

/// The answer for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReport {
    /// The key.
    pub key: Key,
    /// How many operations constrain it (failed ones and reads of unknown outcome do not).
    pub operations: usize,
    /// The engine that decided it.
    pub engine: Engine,
    /// Steps of the search; 0 for the other engines.
    pub steps: u64,
    /// The answer.
    pub answer: Decision,
}

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// O(n log n), for unique values.
    Zones,
    /// O(n log n): zones, and the placement of deletes that restore absence in time for the cas that expect it.
    Presence,
    /// Exhaustive, within a budget.
    Search,
}

/// What is known about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// An order exists.
    Linearizable {
        /// The ids of the operations in that order, if it was asked for. Operations of unknown outcome
        /// that are not listed did not happen.
        order: Option<Vec<u32>>,
    },
    /// No order exists.
    Violation {
        /// The proof.
        witness: Box<Witness>,
    },
    /// The budget ended first.
    Unknown,
}

impl Report {
    /// Whether the history is linearizable; `None` if that was not decided.
    pub fn linearizable(&self) -> Option<bool> {
        match self.verdict {
            Verdict::Linearizable => Some(true),
            Verdict::Violation { .. } => Some(false),
            Verdict::Unknown => None,
        }
    }

    /// The witness of each key that has no order, in order of keys.
    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.keys.iter().filter_map(|key| match &key.answer {
            Decision::Violation { witness } => Some(&**witness),
            Decision::Linearizable { .. } | Decision::Unknown => None,
        })
    }
}

/// Checks a history on the caller's thread, with orders.
pub fn check(history: &History, budget: Budget) -> Report {
    check_columns(&Columns::from(history), Options { budget, ..Options::default() })
}

/// Checks a history in columnar form.
pub fn check_columns(columns: &Columns, options: Options) -> Report {
    let by_key = ByKey::new(columns);
    let keys = in_parallel(by_key.len(), options.jobs, |index| {
        let (key, operations) = by_key.get(index);
        check_key(columns, key, operations, options)
    });
    let undecided = keys.iter().any(|key| key.answer == Decision::Unknown);
    let mut report = Report { verdict: if undecided { Verdict::Unknown } else { Verdict::Linearizable }, keys };
    let first = report.witnesses().min_by_key(|witness| (witness.at_ns, witness.key)).cloned();
    if let Some(witness) = first {
        report.verdict = Verdict::Violation { witness: Box::new(witness) };
    }
    report
}

/// The search's result for one key: an order (empty if none was requested), `None` if undecided, or the reason why
/// there is no order.
struct Search {
    verdict: Result<Option<Vec<u32>>, Conflict>,
    steps: u64,
}

fn check_key(columns: &Columns, key: u32, operations: &[Packed], options: Options) -> KeyReport {
    let (engine, found) = match by_zones::<0>(operations, options.orders) {
        ByZones::Decided(verdict) => (Engine::Zones, Search { verdict: verdict.map(Some), steps: 0 }),
        ByZones::Creates(layout) => {
            (Engine::Presence, Search { verdict: presence::decide(operations, &layout).map(Some), steps: 0 })
        }
        ByZones::NotApplicable => (Engine::Search, register::decide(columns, operations, options.budget)),
    };
    let id = |at: u32| columns.ids[operations[at as usize].row as usize];
    let answer = match found.verdict {
        Ok(Some(order)) => {
            let order = options.orders.then(|| order.into_iter().map(id).collect());
            Decision::Linearizable { order }
        }
        Ok(None) => Decision::Unknown,
        Err(conflict) => Decision::Violation { witness: Box::new(argue::witness(columns, key, operations, conflict)) },
    };
    KeyReport { key: Key(key), operations: operations.len(), engine, steps: found.steps, answer }
}

/// How far zones decide a key.
enum ByZones {
    /// Decided: an order (empty unless requested), or the reason why there is none.
    Decided(Result<Vec<u32>, Conflict>),
    /// The chains fit, but some cas expect absence on a key with deletes.
    Creates(zones::Layout),
    /// Zones do not apply.
    NotApplicable,
}

fn by_zones<const MUTANT: u8>(operations: &[Packed], orders: bool) -> ByZones {
    let layout = match zones::decide::<MUTANT>(operations) {
        Zones::NotApplicable => return ByZones::NotApplicable,
        Zones::Conflict(conflict) => return ByZones::Decided(Err(conflict)),
        Zones::Fit(layout) if layout.deletes && layout.creates => return ByZones::Creates(layout),
        Zones::Fit(layout) => layout,
    };
    let placement = match layout.deletes {
        true => match absence::place::<MUTANT>(operations, &layout) {
            Ok(placement) => placement,
            Err(conflict) => return ByZones::Decided(Err(conflict)),
        },
        false => absence::Placement::default(),
    };
    ByZones::Decided(Ok(if orders { order::order(operations, &layout, &placement) } else { Vec::new() }))
}

/// Runs `work` for every index below `count`, on up to `jobs` threads. The results are in order of index.
fn in_parallel<T: Send>(count: usize, jobs: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if jobs <= 1 || count <= 1 || cfg!(target_family = "wasm") {
        return (0..count).map(work).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let worker = || {
            let mut mine = Vec::new();
            loop {
                // Relaxed is enough: the counter hands out indices and publishes nothing else.
                let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if index >= count {
                    return mine;
                }
                mine.push((index, work(index)));
            }
        };
        let threads: Vec<_> = (0..jobs.min(count)).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("checking a key does not panic")).collect()
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests;
