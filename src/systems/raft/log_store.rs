//! The log, the vote and the snapshot of a node: a disk in memory, outside the node's tasks.
//!
//! Survives a process kill as if every completed write were synced.

use super::types::{Entry, NodeId, StorageError, Types};
use crate::host::lock;
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{EmptyNode, LogId, OptionalSend, RaftLogReader, SnapshotMeta, Vote};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

/// What a node's disk holds.
#[derive(Debug, Default)]
pub struct Disk {
    vote: Option<Vote<NodeId>>,
    committed: Option<LogId<NodeId>>,
    log: BTreeMap<u64, Entry>,
    purged: Option<LogId<NodeId>>,
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

impl Disk {
    /// Whether nothing has ever been written.
    pub fn is_blank(&self) -> bool {
        self.vote.is_none() && self.log.is_empty() && self.purged.is_none() && self.snapshot.is_none()
    }

    /// The vote saved last.
    pub fn vote(&self) -> Option<Vote<NodeId>> {
        self.vote
    }

    /// Forgets the vote.
    pub fn forget_vote(&mut self) {
        self.vote = None;
    }
}

/// openraft's log storage on a [`Disk`].
#[derive(Debug, Clone)]
pub struct LogStore {
    disk: Arc<Mutex<Disk>>,
}

impl LogStore {
    /// The log on this disk.
    pub fn new(disk: Arc<Mutex<Disk>>) -> LogStore {
        LogStore { disk }
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        Ok(lock(&self.disk).log.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let disk = lock(&self.disk);
        let last = disk.log.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: disk.purged, last_log_id: last.or(disk.purged) })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<NodeId>) -> Result<(), StorageError> {
        lock(&self.disk).vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<NodeId>>, StorageError> {
        Ok(lock(&self.disk).vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId<NodeId>>) -> Result<(), StorageError> {
        lock(&self.disk).committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<NodeId>>, StorageError> {
        Ok(lock(&self.disk).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        lock(&self.disk).log.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        lock(&self.disk).log.split_off(&log_id.index);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        let mut disk = lock(&self.disk);
        disk.log = disk.log.split_off(&(log_id.index + 1));
        disk.purged = Some(log_id);
        Ok(())
    }
}
