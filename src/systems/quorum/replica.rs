//! The state of one node: the newest version of each key that it has seen, and the attempt that claimed each command.

use crate::kv::{Key, Tag, Value};
use crate::systems::storage::rows::{Change, OpenError, Sealed};
use crate::systems::storage::states::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders the writes of a key. A command writes at most once, so no two writes share a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// One more than the newest counter that its coordinator found.
    pub counter: u64,
    /// The command; breaks ties.
    pub writer: Tag,
}

/// A value with its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its version.
    pub version: Version,
    /// The value; `None` once removed.
    pub value: Option<Value>,
}

/// An attempt's claim on its command. A node grants it to the first attempt that it hears of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The command's number in its session.
    pub sequence: u64,
    /// The attempt: a number drawn at random.
    pub attempt: u64,
}

/// A message between nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Asks for the newest version of a key; a write also claims its command.
    Query {
        /// The key.
        key: Key,
        /// The session and its claim.
        claim: Option<(u64, Claim)>,
    },
    /// Stores a version of a key, unless a newer one is there.
    Store {
        /// The key.
        key: Key,
        /// The version.
        record: Record,
    },
    /// The sender's whole state; the answer is the receiver's.
    Exchange(Vec<(Key, Record)>),
}

/// An answer. Everything it says is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaAnswer {
    /// The answer to a query.
    Found(Found),
    /// The version is stored, or a newer one is.
    Stored,
    /// The whole state.
    Everything(Vec<(Key, Record)>),
}

/// What a node has for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The newest version.
    pub record: Option<Record>,
    /// Whether the claim was granted; true if none was made.
    pub is_claimed: bool,
}

/// The name of a row on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    /// A [`Record`].
    Key(Key),
    /// A [`Claim`].
    Session(u64),
}

/// A node's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    records: BTreeMap<Key, Record>,
    claims: BTreeMap<u64, Claim>,
}

impl State for Replica {
    type Row = Row;

    fn load(rows: &[(Row, Sealed)]) -> Result<Replica, OpenError> {
        let mut replica = Replica::default();
        for (row, sealed) in rows {
            match row {
                Row::Key(key) => drop(replica.records.insert(*key, sealed.open("key")?)),
                Row::Session(session) => drop(replica.claims.insert(*session, sealed.open("session")?)),
            }
        }
        Ok(replica)
    }

    fn values(&self) -> BTreeMap<Key, Value> {
        self.records.iter().filter_map(|(key, record)| Some((*key, record.value?))).collect()
    }
}

impl Replica {
    /// The newest version of a key.
    pub fn record(&self, key: Key) -> Option<Record> {
        self.records.get(&key).copied()
    }

    /// All versions.
    pub fn everything(&self) -> Vec<(Key, Record)> {
        self.records.iter().map(|(key, record)| (*key, *record)).collect()
    }

    /// Grants a claim, unless another attempt has it or the session has advanced. Also returns the change on the disk.
    pub fn claim(&mut self, session: u64, claim: Claim) -> (bool, Option<Change>) {
        match self.claims.get(&session) {
            Some(known) if known.sequence >= claim.sequence => (*known == claim, None),
            _ => {
                self.claims.insert(session, claim);
                (true, Some(Change::set(&Row::Session(session), &claim)))
            }
        }
    }

    /// Stores a version unless a newer one is there; returns the change on the disk if it was news.
    pub fn store(&mut self, key: Key, record: Record) -> Option<Change> {
        if self.records.get(&key).is_some_and(|known| known.version >= record.version) {
            return None;
        }
        self.records.insert(key, record);
        Some(Change::set(&Row::Key(key), &record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_of_a_command_has_its_claim() {
        let mut replica = Replica::default();
        let mut claim = |sequence, attempt| replica.claim(7, Claim { sequence, attempt }).0;
        assert!(claim(1, 100));
        assert!(claim(1, 100), "the same message again");
        assert!(!claim(1, 200), "another attempt");
        assert!(claim(2, 300));
        assert!(!claim(1, 100), "the session has gone on");
    }

    #[test]
    fn the_newest_version_stays_in_whatever_order_versions_come() {
        let tag = |session| Tag { session, sequence: 1 };
        let record = |counter, session, value| Record { version: Version { counter, writer: tag(session) }, value };
        let (key, mut replica) = (Key(1), Replica::default());
        assert!(replica.store(key, record(2, 1, Some(21))).is_some());
        assert!(replica.store(key, record(1, 9, Some(19))).is_none());
        assert!(replica.store(key, record(2, 3, None)).is_some());
        assert!(replica.store(key, record(2, 1, Some(21))).is_none());
        assert_eq!((replica.record(key), replica.values().len()), (Some(record(2, 3, None)), 0));
    }
}
