//! Bugs of the log's storage: what reaches the disk, and when.

use crate::host::{Host, lock};
use crate::systems::bugs::Bug;
use crate::systems::raft::LOGS_KEPT;
use crate::systems::raft::durable::{Change, Disk};
use crate::systems::raft::log_store::LogStore;
use crate::systems::raft::types::{Entry, NodeId, StorageError, Types};
use crate::systems::storage::journal::{Commit, Journal};
use crate::systems::storage::tables::{self, OpenError};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{LogId, OptionalSend, RaftLogReader, Vote};
use redb::Database;
use redb::backends::InMemoryBackend;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// When a vote that is not synced reaches the disk by itself, with [`Bug::VoteNotSynced`].
const WRITEBACK: Duration = Duration::from_secs(5);
/// How long an append waits for its flush, with [`Bug::FlushTimeoutIgnored`].
const FLUSH_PATIENCE: Duration = Duration::from_millis(250);
/// How long a vote waits for its flush, with [`Bug::VoteTimeoutIgnored`].
const VOTE_PATIENCE: Duration = Duration::from_millis(150);
/// How many entries too many are purged, with [`Bug::PurgePastSnapshot`]: twice as many as should be kept.
const PURGED_BEYOND: u64 = 2 * LOGS_KEPT;

/// Opens the database on a host's disk. With [`Bug::BlankStart`], a database that cannot be opened is replaced by an
/// empty one in memory, as when a volume is not mounted and an empty folder is in its place.
pub fn open(host: &Host, bug: Bug) -> Result<Database, OpenError> {
    match tables::open::<Types>(host.disk()) {
        Err(_) if bug == Bug::BlankStart => tables::open::<Types>(InMemoryBackend::new()),
        opened => opened,
    }
}

/// How changes are made durable. With [`Bug::SyncErrorIgnored`] they are reported durable even when the commit failed.
pub fn commit(bug: Bug) -> Commit<Change> {
    match bug {
        Bug::SyncErrorIgnored => |database, changes| {
            if let Err(error) = tables::commit(database, changes) {
                tracing::warn!("a commit failed: {error}");
            }
            Ok(())
        },
        _ => tables::commit,
    }
}

/// A log storage with a bug.
pub struct BuggedLog {
    inner: LogStore,
    host: Host,
    disk: Arc<Mutex<Disk>>,
    journal: Journal<Change>,
    bug: Bug,
}

impl BuggedLog {
    /// The log `inner` on this disk and journal, with a bug.
    pub fn new(inner: LogStore, host: Host, disk: Arc<Mutex<Disk>>, journal: Journal<Change>, bug: Bug) -> BuggedLog {
        BuggedLog { inner, host, disk, journal, bug }
    }
}

impl RaftLogReader<Types> for BuggedLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        self.inner.try_get_log_entries(range).await
    }
}

impl RaftLogStorage<Types> for BuggedLog {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        self.inner.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.inner.get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote<NodeId>) -> Result<(), StorageError> {
        if self.bug == Bug::VoteTimeoutIgnored {
            // The bug: the time-out is no error. The vote is queued, and will be durable with the flush.
            let saved = self.inner.save_vote(vote);
            return tokio::select! {
                biased;
                saved = saved => saved,
                () = self.host.sleep(VOTE_PATIENCE) => Ok(()),
            };
        }
        if self.bug != Bug::VoteNotSynced {
            return self.inner.save_vote(vote).await;
        }
        lock(&self.disk).vote = Some(*vote);
        let (host, journal, vote) = (self.host.clone(), self.journal.clone(), *vote);
        self.host.spawn(async move {
            host.sleep(WRITEBACK).await;
            journal.change(Change::Vote(vote));
        });
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<NodeId>>, StorageError> {
        self.inner.read_vote().await
    }

    async fn save_committed(&mut self, committed: Option<LogId<NodeId>>) -> Result<(), StorageError> {
        self.inner.save_committed(committed).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<NodeId>>, StorageError> {
        self.inner.read_committed().await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        if !matches!(self.bug, Bug::AcknowledgedBeforeSync | Bug::FlushTimeoutIgnored) {
            return self.inner.append(entries, callback).await;
        }
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.journal.change(Change::Append(entries.clone()));
        lock(&self.disk).log.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        if self.bug == Bug::FlushTimeoutIgnored {
            let (host, journal) = (self.host.clone(), self.journal.clone());
            self.host.spawn(async move {
                // The bug: the time-out is no error.
                let result = tokio::select! {
                    biased;
                    flushed = journal.flushed() => flushed,
                    () = host.sleep(FLUSH_PATIENCE) => Ok(()),
                };
                callback.log_io_completed(result);
            });
            return Ok(());
        }
        // The bug: openraft is told that the entries are durable before the flush has ended.
        self.journal.flush(|_| ());
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        if self.bug != Bug::TruncationLost {
            return self.inner.truncate(log_id).await;
        }
        lock(&self.disk).log.split_off(&log_id.index);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        self.inner.purge(log_id).await?;
        if self.bug == Bug::PurgePastSnapshot {
            let mut disk = lock(&self.disk);
            disk.log = disk.log.split_off(&(log_id.index + 1 + PURGED_BEYOND));
        }
        Ok(())
    }
}
