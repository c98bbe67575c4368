//! A node's state and its changes, as plain data: the same in memory and on disk.

use super::types::{Entry, NodeId, Types};
use crate::kv::store::Session;
use crate::kv::{Applied, Key, Store, Value};
use openraft::{EmptyNode, EntryPayload, LogId, Snapshot, SnapshotMeta, StoredMembership, Vote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Cursor;

/// What a node's disk holds beside the state machine: Raft's persistent state (Raft paper, figure 2) and the snapshot.
#[derive(Debug, Default)]
pub struct Disk {
    /// The vote that was saved last: `votedFor` and `currentTerm` in one.
    pub vote: Option<Vote<NodeId>>,
    /// The highest log id known to be committed. It covers every entry that was ever applied, except through a
    /// snapshot.
    pub committed: Option<LogId<NodeId>>,
    /// The entries after `purged`.
    pub log: BTreeMap<u64, Entry>,
    /// The last entry that was purged from the log.
    pub purged: Option<LogId<NodeId>>,
    /// The latest snapshot.
    pub snapshot: Option<StoredSnapshot>,
}

/// A snapshot on disk.
#[derive(Debug, Clone)]
pub struct StoredSnapshot {
    /// Which entries and which membership it covers.
    pub meta: SnapshotMeta<NodeId, EmptyNode>,
    /// The encoded state machine.
    pub data: Vec<u8>,
}

/// The state machine: all that applying log entries has produced.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The store with its sessions.
    pub store: Store,
    /// The last entry applied.
    pub applied: Option<LogId<NodeId>>,
    /// The membership as of that entry.
    pub membership: StoredMembership<NodeId, EmptyNode>,
}

impl Machine {
    /// Applies one entry and records in `effects` what it changed.
    pub fn apply(&mut self, entry: Entry, effects: &mut Effects) -> Option<Applied> {
        self.applied = Some(entry.log_id);
        effects.upto = self.applied;
        match entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Normal(command) => {
                let applied = self.store.apply(&command);
                let (key, session) = (command.op.key(), command.tag.session);
                effects.values.push((key, self.store.get(key)));
                effects.sessions.extend(self.store.session(session).map(|last| (session, *last)));
                Some(applied)
            }
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                effects.membership = Some(self.membership.clone());
                None
            }
        }
    }

    /// A snapshot of the whole machine, with its sessions: without them, a follower that installs the snapshot would
    /// apply a retry a second time.
    ///
    /// # Errors
    /// When the machine cannot be encoded.
    pub fn snapshot(&self) -> Result<StoredSnapshot, postcard::Error> {
        let data = postcard::to_stdvec(self)?;
        let snapshot_id = self.applied.map_or_else(String::new, |log_id| log_id.to_string());
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone(), snapshot_id };
        Ok(StoredSnapshot { meta, data })
    }
}

impl StoredSnapshot {
    /// The state machine that the snapshot holds.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn machine(&self) -> Result<Machine, postcard::Error> {
        postcard::from_bytes(&self.data)
    }
}

impl From<StoredSnapshot> for Snapshot<Types> {
    fn from(stored: StoredSnapshot) -> Snapshot<Types> {
        Snapshot { meta: stored.meta, snapshot: Box::new(Cursor::new(stored.data)) }
    }
}

/// One change of a node's durable state. Changes take effect in order; one commit holds many of them.
#[derive(Debug, Clone)]
pub enum Change {
    /// A new vote was saved.
    Vote(Vote<NodeId>),
    /// The log is committed up to here. Durable before any of these entries is applied.
    Committed(Option<LogId<NodeId>>),
    /// Entries were appended at the log's end.
    Append(Vec<Entry>),
    /// The log was truncated from this index on, inclusive.
    Truncate(u64),
    /// The log was purged up to this position, inclusive.
    Purge(LogId<NodeId>),
    /// Entries were applied.
    Apply(Effects),
    /// The state machine was replaced, by an installed snapshot.
    Machine(Box<Machine>),
    /// A new snapshot became the latest one.
    Snapshot(StoredSnapshot),
}

/// The changes that applying some entries made.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// The last entry applied.
    pub upto: Option<LogId<NodeId>>,
    /// The membership, if it changed.
    pub membership: Option<StoredMembership<NodeId, EmptyNode>>,
    /// Keys that were written, with their new values.
    pub values: Vec<(Key, Option<Value>)>,
    /// Sessions that advanced, with their last commands.
    pub sessions: Vec<(u64, Session)>,
}
