//! The verifier: accepts or rejects a verdict by its proof alone, and shares no code with the engines.
//!
//! * [`replays`]: replays an order, one operation after another.
//! * [`refutes`]: confirms a witness. It draws every conclusion about "comes before" that unique values allow, until
//!   some operation comes before itself (`before`); or counts deletes (`deletes`); or, where the engine tried every
//!   order of a few operations, tries them again ([`exhaustive`]).
//!
//! It is meant to be read in five minutes, and is slow on purpose.

mod before;
mod deletes;
pub mod exhaustive;

use super::{Decision, Reason, Report, Witness};
use crate::history::Columns;
use crate::history::columns::{Call, Ending, Labels, NEVER_NS, Row};

/// Why a verdict is not confirmed. Only [`Unconfirmed::Wrong`] speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unconfirmed {
    /// The proof does not support the verdict.
    #[error("{0}")]
    Wrong(String),
    /// The verifier's own budget ended before it had gone through the proof. The verdict may still be right.
    #[error("{0}")]
    Budget(String),
}

impl From<String> for Unconfirmed {
    fn from(why: String) -> Unconfirmed {
        Unconfirmed::Wrong(why)
    }
}

/// Confirms every key's verdict by its proof. An undecided key claims nothing and passes.
///
/// # Errors
/// The first claim that its proof does not support; if there is none, the first proof that took too long.
pub fn confirms(columns: &Columns, report: &Report) -> Result<(), Unconfirmed> {
    let mut spent = None;
    for key in &report.keys {
        let confirmed = match &key.answer {
            Decision::Linearizable { order: Some(order) } => {
                replays(columns, key.key.0, order).map_err(Unconfirmed::from)
            }
            Decision::Linearizable { order: None } => Err("a pass without an order proves nothing".to_owned().into()),
            Decision::Violation { witness } => refutes(columns, witness),
            Decision::Unknown => Ok(()),
        };
        let of_key = |why: String| format!("{}: {why}", columns.key_text(key.key.0));
        match confirmed {
            Ok(()) => {}
            Err(Unconfirmed::Wrong(why)) => return Err(Unconfirmed::Wrong(of_key(why))),
            Err(Unconfirmed::Budget(why)) => spent = spent.or(Some(Unconfirmed::Budget(of_key(why)))),
        }
    }
    spent.map_or(Ok(()), Err)
}

/// Confirms that `order`, a list of operation ids, explains everything that happened to `key`.
///
/// # Errors
/// The first operation that does not fit, in words.
pub fn replays(columns: &Columns, key: u32, order: &[u32]) -> Result<(), String> {
    let mut object = Object::new(columns.labels.clone());
    let mut taken = vec![false; columns.len()];
    let mut latest_start_ns = 0;
    for id in order {
        let at = columns.find(*id).ok_or(format!("there is no operation {id}"))?;
        let row = columns.row(at);
        if row.key != key || row.ending == Ending::Fail || std::mem::replace(&mut taken[at], true) {
            return Err(format!("operation {id} is of another key, did not happen, or is listed twice"));
        }
        if row.end_ns < latest_start_ns {
            return Err(format!("operation {id} was over before one that comes earlier in the order began"));
        }
        latest_start_ns = latest_start_ns.max(row.start_ns);
        if !object.apply(row.call) {
            return Err(format!("operation {id} cannot have seen what it saw"));
        }
    }
    let missing = (0..columns.len()).find(|at| {
        let row = columns.row(*at);
        row.key == key && row.ending == Ending::Ok && !taken[*at]
    });
    missing.map_or(Ok(()), |at| Err(format!("operation {} was acknowledged but is not listed", columns.ids[at])))
}

/// Confirms that no order of the whole history exists. It looks only at the witness's operations; and for uniqueness,
/// and for operations that were left out, at the other writes.
///
/// # Errors
/// Why the witness does not prove that, or that the proof took too long.
pub fn refutes(columns: &Columns, witness: &Witness) -> Result<(), Unconfirmed> {
    let key = witness.key.0;
    let mut rows = Vec::new();
    for id in &witness.operations {
        let row = columns.row(columns.find(*id).ok_or(format!("there is no operation {id}"))?);
        if row.key != key || row.ending == Ending::Fail {
            return Err(format!("operation {id} is of another key, or did not happen").into());
        }
        rows.push(row);
    }
    // A read of unknown outcome says nothing, whatever its line claims that it saw.
    let says_nothing = |row: &Row| row.ending == Ending::Fail || (row.ending == Ending::Info && !may_write(row));
    let rest: Vec<Row> = columns.rows().filter(|row| row.key == key && !says_nothing(row)).collect();
    match &witness.reason {
        Reason::TooFewDeletes { needs, deletes, lives } => {
            deletes::too_few(&rows, &rest, needs, deletes, lives).map_err(Unconfirmed::from)
        }
        Reason::NoOrder { since, until_ns, .. } => exhaustive::refutes(columns, &rows, &rest, *since, *until_ns),
        _ => before::contradicts(&rows, &rest).map_err(Unconfirmed::from),
    }
}

/// The sequential object: one key.
#[derive(Debug, Clone)]
pub struct Object {
    /// What the key holds.
    pub state: Option<u64>,
    labels: Labels,
}

impl Object {
    /// The object before every operation. `labels` give the texts that appends work on.
    pub fn new(labels: Labels) -> Self {
        Object { state: None, labels }
    }

    /// Performs an operation, unless it cannot give its answer in this state. Returns whether it could.
    pub fn apply(&mut self, call: Call) -> bool {
        let (fits, next) = match call {
            Call::Get(out) => (out == self.state, self.state),
            Call::Put(value) => (true, Some(value)),
            Call::Delete => (true, None),
            Call::DeleteTold { found } => (found == self.state.is_some(), None),
            Call::Cas { expected, new } => (self.state == expected, Some(new)),
            Call::CasMismatch { expected, found, .. } => {
                (self.state != expected && found.is_none_or(|found| self.state == found), self.state)
            }
            Call::Append(text) => (true, Some(self.append(text))),
        };
        if fits {
            self.state = next;
        }
        fits
    }

    fn append(&mut self, text: u64) -> u64 {
        let longer =
            self.state.map(|held| self.labels.spelling(held)).unwrap_or_default() + &self.labels.spelling(text);
        self.labels.text(&longer)
    }
}

/// The state that an operation saw: `Some(None)` is absence. A cas that did not match may only know what it did not
/// see.
fn seen(row: &Row) -> Option<Option<u64>> {
    match row.call {
        Call::Get(out) => Some(out),
        Call::Cas { expected, .. } => Some(expected),
        Call::CasMismatch { found, .. } => found,
        Call::DeleteTold { found: false } => Some(None),
        Call::DeleteTold { found: true } | Call::Put(_) | Call::Delete | Call::Append(_) => None,
    }
}

/// The state that an operation wrote: `Some(None)` is absence.
fn wrote(row: &Row) -> Option<Option<u64>> {
    match row.call {
        Call::Put(value) | Call::Cas { new: value, .. } => Some(Some(value)),
        Call::Delete | Call::DeleteTold { found: true } => Some(None),
        Call::Get(_) | Call::CasMismatch { .. } | Call::DeleteTold { found: false } | Call::Append(_) => None,
    }
}

/// Whether an operation can change what the key holds.
fn may_write(row: &Row) -> bool {
    wrote(row).is_some() || matches!(row.call, Call::Append(_))
}

/// Whether one operation was over before the other began.
fn precedes(one: &Row, other: &Row) -> bool {
    one.end_ns != NEVER_NS && one.end_ns < other.start_ns
}
