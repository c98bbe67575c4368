//! What a node keeps, and how that changes: plain data, in memory as on the disk.

use super::types::{Entry, NodeId, StorageError, Types};
use crate::kv::store::Session;
use crate::kv::{Applied, Key, Store, Value};
use openraft::{EmptyNode, EntryPayload, LogId, Snapshot, SnapshotMeta, StorageIOError, StoredMembership, Vote};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Cursor;

/// What a node's disk holds beside the state machine.
#[derive(Debug, Default)]
pub struct Disk {
    /// The vote saved last.
    pub vote: Option<Vote<NodeId>>,
    /// What was last known to be committed: at least all that was ever applied but by a snapshot.
    pub committed: Option<LogId<NodeId>>,
    /// The entries after `purged`.
    pub log: BTreeMap<u64, Entry>,
    /// The last entry that the log no longer holds.
    pub purged: Option<LogId<NodeId>>,
    /// The latest snapshot.
    pub snapshot: Option<StoredSnapshot>,
}

/// A snapshot on disk.
#[derive(Debug, Clone)]
pub struct StoredSnapshot {
    /// What it covers.
    pub meta: SnapshotMeta<NodeId, EmptyNode>,
    /// The encoded state machine.
    pub data: Vec<u8>,
}

/// What a node has applied.
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
    /// Applies one entry, and notes in `effects` what it changed.
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

    /// A snapshot of all of it, sessions included: without them a follower that installs it would apply a retry again.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn snapshot(&self) -> Result<StoredSnapshot, StorageError> {
        let data = postcard::to_stdvec(self).map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        let snapshot_id = self.applied.map_or_else(String::new, |log_id| log_id.to_string());
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone(), snapshot_id };
        Ok(StoredSnapshot { meta, data })
    }
}

impl StoredSnapshot {
    /// The machine that it holds.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn machine(&self) -> Result<Machine, StorageError> {
        let machine = postcard::from_bytes(&self.data);
        Ok(machine.map_err(|error| StorageIOError::read_snapshot(Some(self.meta.signature()), &error))?)
    }
}

impl From<StoredSnapshot> for Snapshot<Types> {
    fn from(stored: StoredSnapshot) -> Snapshot<Types> {
        Snapshot { meta: stored.meta, snapshot: Box::new(Cursor::new(stored.data)) }
    }
}

/// One change of a node's durable state. Changes are made in order, many at a time.
#[derive(Debug, Clone)]
pub enum Change {
    /// The vote.
    Vote(Vote<NodeId>),
    /// What is known to be committed: durable before it is applied.
    Committed(Option<LogId<NodeId>>),
    /// Entries at the log's end.
    Append(Vec<Entry>),
    /// The log ends before this index.
    Truncate(u64),
    /// The log begins after this position.
    Purge(LogId<NodeId>),
    /// Entries were applied.
    Apply(Effects),
    /// The state machine is this now.
    Machine(Box<Machine>),
    /// The latest snapshot.
    Snapshot(StoredSnapshot),
}

/// What applying some entries changed.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// The last entry applied.
    pub upto: Option<LogId<NodeId>>,
    /// The membership, if it changed.
    pub membership: Option<StoredMembership<NodeId, EmptyNode>>,
    /// Keys with their values now.
    pub values: Vec<(Key, Option<Value>)>,
    /// Sessions with their last commands.
    pub sessions: Vec<(u64, Session)>,
}
