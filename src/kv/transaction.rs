//! Transactions on lists: reads of whole lists and appends to them, several of them in one step. And what their store
//! promises about the order in which they seem to happen.

use super::{Key, Op, Value};
use crate::rng;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The values that an operation appends are its number with another digit, so that people see whose they are.
const APPENDS: u64 = 10;

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Micro {
    /// Read the list of a key.
    Read {
        /// The key.
        key: Key,
        /// What was read; empty until then.
        list: Vec<Value>,
    },
    /// Put a value behind all others in the list of a key.
    Append {
        /// The key.
        key: Key,
        /// The value: no other append to this key has it.
        value: Value,
    },
}

impl Micro {
    /// A read that has not been answered.
    pub fn read(key: Key) -> Micro {
        Micro::Read { key, list: Vec::new() }
    }

    /// The key that it is about.
    pub fn key(&self) -> Key {
        match *self {
            Micro::Read { key, .. } | Micro::Append { key, .. } => key,
        }
    }

    /// Whether it changes a list.
    pub fn is_append(&self) -> bool {
        matches!(self, Micro::Append { .. })
    }
}

/// The transaction that stands for a scripted operation on a key: with it or with a lower key, so that as many keys are in
/// use as in the script. A get only reads, a put appends, a cas reads a key and appends to it
/// or to another, and so does a delete. What is drawn follows from the operation's number, which shrinking leaves as it is.
pub fn transaction(op: &Op, operation: u32) -> Vec<Micro> {
    let draw = rng::hash_bytes(u64::from(operation), b"transaction");
    let key = op.key();
    let other = Key((draw >> 8) as u32 % (key.0 + 1));
    let first = u64::from(operation) * APPENDS;
    let append = |key: Key, count: u64| Micro::Append { key, value: first + count };
    match (op, draw % 4) {
        (Op::Get { .. }, 0 | 1) => vec![Micro::read(key)],
        (Op::Get { .. }, _) => vec![Micro::read(key), Micro::read(other)],
        (Op::Put { .. }, 0) => vec![append(key, 0)],
        (Op::Put { .. }, 1) => vec![append(key, 0), append(other, 1)],
        (Op::Put { .. }, 2) => vec![append(key, 0), Micro::read(other)],
        (Op::Put { .. }, _) => vec![append(key, 0), append(key, 1), Micro::read(key)],
        (Op::Cas { .. }, 0 | 1) => vec![Micro::read(key), append(key, 0)],
        (Op::Cas { .. } | Op::Delete { .. }, _) => vec![Micro::read(other), append(key, 0)],
    }
}

/// What a store of transactions promises, from the weakest; each promise includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Consistency {
    /// The appends of transactions have one order (Adya's PL-1).
    ReadUncommitted,
    /// Nobody reads what was aborted, or is not final (PL-2).
    ReadCommitted,
    /// A transaction reads one state of all keys, and no update is lost.
    SnapshotIsolation,
    /// Transactions happen one after the other, in some order (PL-3).
    Serializable,
    /// The same, and a transaction that ended before another began comes before it.
    #[default]
    StrictSerializable,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_value_is_appended_twice_and_all_kinds_occur() {
        let (mut values, mut shapes) = (BTreeSet::new(), BTreeSet::new());
        for operation in 0..400 {
            let key = Key(operation % 3);
            let ops = [
                Op::Get { key },
                Op::Put { key, value: 1 },
                Op::Delete { key },
                Op::Cas { key, expected: None, new: 2 },
            ];
            let op = ops[operation as usize / 3 % 4];
            let micros = transaction(&op, operation);
            assert_eq!(micros, transaction(&op, operation));
            assert!(micros.iter().all(|micro| micro.key() <= key));
            assert_eq!(micros.iter().any(Micro::is_append), op.is_write());
            shapes.insert(micros.iter().map(|micro| (micro.is_append(), micro.key() == key)).collect::<Vec<_>>());
            for micro in micros {
                if let Micro::Append { value, .. } = micro {
                    assert!(values.insert(value), "{value} again");
                }
            }
        }
        assert!(shapes.len() >= 8, "{shapes:?}");
    }
}
