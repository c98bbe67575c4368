//! The state machine: a map and the client sessions that make retries exactly-once.

use super::{Command, Key, Op, Response, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The last command of a session and what it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Sequence number of the last command applied.
    pub last: u64,
    /// Its outcome, returned again to a retry.
    pub outcome: Response,
}

/// The result of [`Store::apply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// The command took effect now.
    Fresh(Response),
    /// A retry of the session's last command: answered from the session, not applied again.
    Repeated(Response),
    /// Older than the session's last command: refused, since its outcome is no longer known.
    Stale,
}

/// A key-value map with sessions. The maps are ordered, since iteration order reaches snapshots and thus the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    values: BTreeMap<Key, Value>,
    sessions: BTreeMap<u64, Session>,
}

impl Store {
    /// The value of a key, `None` when absent.
    pub fn get(&self, key: Key) -> Option<Value> {
        self.values.get(&key).copied()
    }

    /// All keys that have a value, ascending.
    pub fn values(&self) -> &BTreeMap<Key, Value> {
        &self.values
    }

    /// A store made of these values and sessions.
    pub fn from_parts(values: BTreeMap<Key, Value>, sessions: BTreeMap<u64, Session>) -> Store {
        Store { values, sessions }
    }

    /// All sessions, ascending.
    pub fn sessions(&self) -> &BTreeMap<u64, Session> {
        &self.sessions
    }

    /// The session of a client process, if it has issued a command.
    pub fn session(&self, session: u64) -> Option<&Session> {
        self.sessions.get(&session)
    }

    /// Applies a command exactly once: a sequence at or below the session's last never changes the map.
    pub fn apply(&mut self, command: &Command) -> Applied {
        let tag = command.tag;
        match self.sessions.get(&tag.session) {
            Some(session) if session.last == tag.sequence => return Applied::Repeated(session.outcome),
            Some(session) if session.last > tag.sequence => return Applied::Stale,
            _ => {}
        }
        let outcome = self.execute(&command.op);
        self.sessions.insert(tag.session, Session { last: tag.sequence, outcome });
        Applied::Fresh(outcome)
    }

    fn execute(&mut self, op: &Op) -> Response {
        match *op {
            Op::Get { key } => Response::Value(self.get(key)),
            Op::Put { key, value } => {
                self.values.insert(key, value);
                Response::Done
            }
            Op::Delete { key } => {
                self.values.remove(&key);
                Response::Done
            }
            Op::Cas { key, expected, new } => {
                let found = self.get(key);
                if found == expected {
                    self.values.insert(key, new);
                    Response::Swapped
                } else {
                    Response::Mismatch { found }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Tag;

    fn command(session: u64, sequence: u64, op: Op) -> Command {
        Command { tag: Tag { session, sequence }, op }
    }

    #[test]
    fn a_retry_is_answered_but_not_applied_again() {
        let mut store = Store::default();
        let key = Key(1);
        let cas = command(1, 1, Op::Cas { key, expected: None, new: 10 });
        assert_eq!(store.apply(&cas), Applied::Fresh(Response::Swapped));
        assert_eq!(store.apply(&command(2, 1, Op::Put { key, value: 20 })), Applied::Fresh(Response::Done));
        assert_eq!(store.apply(&cas), Applied::Repeated(Response::Swapped));
        assert_eq!(store.get(key), Some(20), "the retry must not write again");
    }

    #[test]
    fn an_older_sequence_is_refused() {
        let mut store = Store::default();
        let key = Key(1);
        store.apply(&command(1, 1, Op::Put { key, value: 1 }));
        store.apply(&command(1, 2, Op::Put { key, value: 2 }));
        assert_eq!(store.apply(&command(1, 1, Op::Put { key, value: 1 })), Applied::Stale);
        assert_eq!(store.get(key), Some(2));
    }

    #[test]
    fn a_failed_cas_returns_what_it_found() {
        let mut store = Store::default();
        let key = Key(1);
        store.apply(&command(1, 1, Op::Put { key, value: 5 }));
        let missed = store.apply(&command(1, 2, Op::Cas { key, expected: Some(4), new: 6 }));
        assert_eq!(missed, Applied::Fresh(Response::Mismatch { found: Some(5) }));
        store.apply(&command(1, 3, Op::Delete { key }));
        let missed = store.apply(&command(1, 4, Op::Cas { key, expected: Some(5), new: 6 }));
        assert_eq!(missed, Applied::Fresh(Response::Mismatch { found: None }));
    }
}
