//! A node's durable state: its promises, and the states it accepted. Clones share it, as processes share a disk.

use crate::messages::{Accept, Accepted, Ballot, Prepare, Promise};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The acceptor of every lock on one node.
#[derive(Debug, Clone, Default)]
pub struct Acceptor {
    locks: Arc<Mutex<BTreeMap<String, Kept>>>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    promised: Ballot,
    accepted: Option<Accept>,
}

impl Acceptor {
    fn locks(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Promises `ballot`, unless a higher one was promised before.
    pub fn prepare(&self, Prepare { lock, ballot }: Prepare) -> Promise {
        let mut locks = self.locks();
        let kept = locks.entry(lock).or_default();
        kept.promised = kept.promised.max(ballot);
        Promise { promised: kept.promised, accepted: kept.accepted.clone() }
    }

    /// Accepts a state, unless a higher ballot was promised.
    pub fn accept(&self, accept: Accept) -> Accepted {
        let mut locks = self.locks();
        let kept = locks.entry(accept.lock.clone()).or_default();
        if accept.ballot >= kept.promised {
            kept.promised = accept.ballot;
            kept.accepted = Some(accept);
        }
        Accepted { promised: kept.promised }
    }

    /// A new ballot of `node`, above every ballot it has heard of, with this node's own promise. That promise survives
    /// a restart, so a node cannot use a ballot twice.
    pub fn next(&self, lock: &str, node: u64, heard: Ballot) -> (Ballot, Promise) {
        let mut locks = self.locks();
        let kept = locks.entry(lock.to_owned()).or_default();
        kept.promised = Ballot { round: kept.promised.round.max(heard.round) + 1, node };
        (kept.promised, Promise { promised: kept.promised, accepted: kept.accepted.clone() })
    }
}
