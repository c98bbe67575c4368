//! The replicated store: its commands, its answers, its state.

use omnipaxos::macros::Entry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Reads a key.
    Get { key: u32 },
    /// Sets it.
    Put { key: u32, value: u64 },
    /// Removes it.
    Delete { key: u32 },
    /// Sets it if it has the value that is expected.
    Cas { key: u32, expected: Option<u64>, new: u64 },
}

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// The value, if there is one.
    Value(Option<u64>),
    /// The key is set, or removed.
    Done,
    /// The value was as expected, and the new one is set.
    Swapped,
    /// The value was this one, and is unchanged.
    Mismatch(Option<u64>),
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Entry, Serialize, Deserialize)]
pub struct Command {
    /// The client's session, and the number of the request in it: a request that arrives twice is carried out once.
    pub request: (u64, u64),
    /// The request.
    pub ask: Ask,
}

/// The store.
#[derive(Debug, Default)]
pub struct Store {
    values: BTreeMap<u32, u64>,
    /// The last request of each session, and its answer.
    sessions: BTreeMap<u64, (u64, Told)>,
}

impl Store {
    /// Carries a command out, or repeats the answer if it was carried out before.
    pub fn apply(&mut self, command: &Command) -> Told {
        let (session, number) = command.request;
        // A client waits for one request at a time, so nothing reads the answer to an earlier one.
        if let Some((_, told)) = self.sessions.get(&session).filter(|(last, _)| *last >= number) {
            return *told;
        }
        let told = self.carry_out(command.ask);
        self.sessions.insert(session, (number, told));
        told
    }

    /// The value of a key, as far as this node knows.
    pub fn get(&self, key: u32) -> Option<u64> {
        self.values.get(&key).copied()
    }

    fn carry_out(&mut self, ask: Ask) -> Told {
        match ask {
            Ask::Get { key } => Told::Value(self.get(key)),
            Ask::Put { key, value } => {
                self.values.insert(key, value);
                Told::Done
            }
            Ask::Delete { key } => {
                self.values.remove(&key);
                Told::Done
            }
            Ask::Cas { key, expected, new } => {
                let found = self.get(key);
                if found != expected {
                    return Told::Mismatch(found);
                }
                self.values.insert(key, new);
                Told::Swapped
            }
        }
    }
}
