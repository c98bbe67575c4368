//! The store of one node: versioned values, tombstones and sessions, merged by last writer wins.
//!
//! Merging is commutative and idempotent, so that updates may arrive in any order and any number of times.

use crate::kv::store::Session;
use crate::kv::{Applied, Command, Key, Op, Response, Tag, Value};
use crate::trace::HostId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders writes: the clock of the node that served it, which never falls behind a version it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// Nanoseconds, or one more than the highest stamp seen.
    pub stamp: u64,
    /// The node; breaks ties.
    pub node: HostId,
}

/// The latest write of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The value; `None` is a tombstone.
    pub value: Option<Value>,
    /// When it was written.
    pub version: Version,
    /// The command that wrote it.
    pub tag: Tag,
}

/// What replicas send each other: a write, a session's progress, or (usually) both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// A key's record.
    pub write: Option<(Key, Record)>,
    /// A session's last command.
    pub session: Option<(u64, Session)>,
}

/// One node's copy of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replica {
    records: BTreeMap<Key, Record>,
    sessions: BTreeMap<u64, Session>,
    /// The highest stamp seen.
    clock: u64,
}

impl Replica {
    /// The value of a key.
    pub fn get(&self, key: Key) -> Option<Value> {
        self.records.get(&key).and_then(|record| record.value)
    }

    /// All keys that have a value.
    pub fn values(&self) -> BTreeMap<Key, Value> {
        self.records.iter().filter_map(|(key, record)| Some((*key, record.value?))).collect()
    }

    /// Applies a write command exactly once, at `now_ns` on `node`. Also returns the update to replicate, if any.
    pub fn apply(&mut self, command: &Command, now_ns: u64, node: HostId) -> (Applied, Option<Update>) {
        let tag = command.tag;
        match self.sessions.get(&tag.session) {
            Some(session) if session.last == tag.sequence => return (Applied::Repeated(session.outcome), None),
            Some(session) if session.last > tag.sequence => return (Applied::Stale, None),
            _ => {}
        }
        let key = command.op.key();
        let found = self.get(key);
        let (outcome, written) = match command.op {
            Op::Get { .. } => (Response::Value(found), None),
            Op::Put { value, .. } => (Response::Done, Some(Some(value))),
            Op::Delete { .. } => (Response::Done, Some(None)),
            Op::Cas { expected, new, .. } if found == expected => (Response::Swapped, Some(Some(new))),
            Op::Cas { .. } => (Response::Mismatch { found }, None),
        };
        let write = written.map(|value| {
            self.clock = now_ns.max(self.clock + 1);
            (key, Record { value, version: Version { stamp: self.clock, node }, tag })
        });
        let session = Some((tag.session, Session { last: tag.sequence, outcome }));
        let update = Update { write, session };
        self.merge(&update);
        (Applied::Fresh(outcome), Some(update))
    }

    /// Merges an update; returns the part that was news, if any.
    pub fn merge(&mut self, update: &Update) -> Option<Update> {
        let write = update.write.filter(|(key, record)| {
            self.clock = self.clock.max(record.version.stamp);
            self.records.get(key).is_none_or(|known| known.version < record.version)
        });
        let session =
            update.session.filter(|(id, session)| self.sessions.get(id).is_none_or(|known| known.last < session.last));
        self.records.extend(write);
        self.sessions.extend(session);
        (write.is_some() || session.is_some()).then_some(Update { write, session })
    }

    /// The whole state, as updates.
    pub fn everything(&self) -> Vec<Update> {
        let writes = self.records.iter().map(|(key, record)| Update { write: Some((*key, *record)), session: None });
        let sessions = self.sessions.iter().map(|(id, session)| Update { write: None, session: Some((*id, *session)) });
        writes.chain(sessions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use rand::seq::SliceRandom;

    fn command(session: u64, sequence: u64, op: Op) -> Command {
        Command { tag: Tag { session, sequence }, op }
    }

    #[test]
    fn merging_is_commutative_and_idempotent() {
        let key = Key(1);
        let mut updates = Vec::new();
        for node in [1, 2u16] {
            let mut replica = Replica::default();
            for n in 1..6u64 {
                let op = match n {
                    3 => Op::Delete { key },
                    4 => Op::Cas { key, expected: None, new: n },
                    _ => Op::Put { key: Key(n as u32 % 2), value: n * 10 + u64::from(node) },
                };
                updates.extend(replica.apply(&command(u64::from(node), n, op), n * 7, HostId(node)).1);
            }
        }
        let merged = |updates: &[Update]| {
            let mut replica = Replica::default();
            for update in updates {
                replica.merge(update);
            }
            replica
        };
        let reference = merged(&updates);
        for seed in 0..100 {
            let mut shuffled = [&updates[..], &updates[..3]].concat();
            shuffled.shuffle(&mut rng::stream(seed, "merge"));
            assert_eq!(merged(&shuffled), reference, "seed {seed}");
        }
        assert_eq!(merged(&reference.everything()), reference, "everything is everything");
    }

    #[test]
    fn a_write_is_always_newer_than_what_its_node_has_seen() {
        let (key, mut ahead, mut behind) = (Key(1), Replica::default(), Replica::default());
        let (_, early) = ahead.apply(&command(1, 1, Op::Put { key, value: 1 }), 1_000, HostId(1));
        behind.merge(&early.unwrap());
        let (_, late) = behind.apply(&command(2, 1, Op::Put { key, value: 2 }), 10, HostId(2));
        ahead.merge(&late.unwrap());
        assert_eq!(ahead.get(key), Some(2), "the clock of node 2 is behind, its write is not");
    }

    #[test]
    fn a_retry_is_answered_by_another_replica_too() {
        let (key, mut first, mut second) = (Key(1), Replica::default(), Replica::default());
        let cas = command(1, 1, Op::Cas { key, expected: None, new: 5 });
        let (applied, update) = first.apply(&cas, 1, HostId(1));
        assert_eq!(applied, Applied::Fresh(Response::Swapped));
        second.merge(&update.unwrap());
        assert_eq!(second.apply(&cas, 2, HostId(2)), (Applied::Repeated(Response::Swapped), None));
        let older = command(1, 0, Op::Put { key, value: 9 });
        assert_eq!(second.apply(&older, 3, HostId(2)).0, Applied::Stale);
    }

    #[test]
    fn a_mismatch_is_remembered_so_that_a_late_copy_cannot_swap() {
        let (key, mut replica) = (Key(1), Replica::default());
        let cas = command(1, 1, Op::Cas { key, expected: Some(7), new: 8 });
        assert_eq!(replica.apply(&cas, 1, HostId(1)).0, Applied::Fresh(Response::Mismatch { found: None }));
        replica.apply(&command(2, 1, Op::Put { key, value: 7 }), 2, HostId(1));
        assert_eq!(replica.apply(&cas, 3, HostId(1)).0, Applied::Repeated(Response::Mismatch { found: None }));
        assert_eq!(replica.get(key), Some(7));
    }
}
