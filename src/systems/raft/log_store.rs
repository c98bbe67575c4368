//! The log, the vote and the snapshot of a node: read from memory, made durable through a [`Journal`].
//!
//! Without a journal (the system `raft-memory`) the state in memory outlives the process, as if every completed write
//! were synced. With a journal it is read back from the disk at each start.
//!
//! # The committed index
//!
//! openraft's storage contract (`RaftLogStorage::save_committed`) allows three designs: the state machine is durable
//! when `apply` returns; or the committed log id is durable; or the application takes care with reads after a restart.
//! This store makes the committed log id durable. `save_committed` queues it for the group commit, and the state
//! machine applies no entry, and shows none to readers, before it is durable. After a restart openraft applies the log
//! up to it before the node serves.

use super::durable::{Change, Disk};
use super::types::{Entry, NodeId, StorageError, Types};
use crate::host::lock;
use crate::systems::storage::journal::Journal;
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{LogId, OptionalSend, RaftLogReader, StorageIOError, Vote};
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

/// openraft's log storage on a [`Disk`].
#[derive(Clone)]
pub struct LogStore {
    disk: Arc<Mutex<Disk>>,
    journal: Option<Journal<Change>>,
}

impl LogStore {
    /// A log store on this disk. Without a journal it is kept in memory only.
    pub fn new(disk: Arc<Mutex<Disk>>, journal: Option<Journal<Change>>) -> LogStore {
        LogStore { disk, journal }
    }

    fn change(&self, change: impl FnOnce() -> Change) {
        if let Some(journal) = &self.journal {
            journal.change(change());
        }
    }

    /// Waits until every change made so far is durable.
    async fn flushed(&self) -> io::Result<()> {
        match &self.journal {
            Some(journal) => journal.flushed().await,
            None => Ok(()),
        }
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
        self.change(|| Change::Vote(*vote));
        // A vote must be durable before it is answered: a node that forgot its vote could vote twice in one term, and
        // the term could get two leaders (Raft paper, section 5.2).
        Ok(self.flushed().await.map_err(|error| StorageIOError::write_vote(&error))?)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<NodeId>>, StorageError> {
        Ok(lock(&self.disk).vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId<NodeId>>) -> Result<(), StorageError> {
        lock(&self.disk).committed = committed;
        self.change(|| Change::Committed(committed));
        // Only the state machine waits until this is durable: see the module's header.
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
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.change(|| Change::Append(entries.clone()));
        lock(&self.disk).log.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        // openraft 0.9 waits for this callback before it goes on, so waiting here costs nothing. A wrapper around this
        // store (see `observe`) thus records an entry only once it is durable: an entry that a power loss took before
        // that was never in the log.
        let flushed = self.flushed().await;
        let refused = flushed.as_ref().err().map(StorageIOError::write_logs);
        callback.log_io_completed(flushed);
        match refused {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        lock(&self.disk).log.split_off(&log_id.index);
        self.change(|| Change::Truncate(log_id.index));
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        {
            let mut disk = lock(&self.disk);
            disk.log = disk.log.split_off(&(log_id.index + 1));
            disk.purged = Some(log_id);
        }
        self.change(|| Change::Purge(log_id));
        Ok(())
    }
}
