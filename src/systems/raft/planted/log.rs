//! Bugs of the log's storage: what reaches the disk, and when.

use crate::host::{Host, lock};
use crate::systems::bugs::Bug;
use crate::systems::raft::durable::{Change, Disk};
use crate::systems::raft::log_store::LogStore;
use crate::systems::raft::types::{Entry, NodeId, StorageError, Types};
use crate::systems::storage::durable::LOGS_KEPT;
use crate::systems::storage::journal::{Commit, Journal};
use crate::systems::storage::tables::{self, OpenError};
use crate::systems::together::Bugs;
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{LogId, OptionalSend, RaftLogReader, StorageIOError, Vote};
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
/// How many entries a segment of the log has, with [`Bug::ClosedSegmentNotSynced`].
const SEGMENT: u64 = 64;
/// How many entries too many are purged, with [`Bug::PurgePastSnapshot`]: twice as many as should be kept.
const PURGED_BEYOND: u64 = 2 * LOGS_KEPT;

/// Opens the database on a host's disk. With [`Bug::BlankStart`], a database that cannot be opened is replaced by an
/// empty one in memory, as when a volume is not mounted and an empty folder is in its place.
pub fn open(host: &Host, bugs: Bugs) -> Result<Database, OpenError> {
    match tables::open::<Types>(host.disk()) {
        Err(_) if bugs.has(Bug::BlankStart) => tables::open::<Types>(InMemoryBackend::new()),
        opened => opened,
    }
}

/// How changes are made durable. With [`Bug::SyncErrorIgnored`] they are reported durable even when the commit failed.
pub fn commit(bugs: Bugs) -> Commit<Change> {
    if !bugs.has(Bug::SyncErrorIgnored) {
        return tables::commit;
    }
    |database, changes| {
        if let Err(error) = tables::commit(database, changes) {
            tracing::warn!("a commit failed: {error}");
        }
        Ok(())
    }
}

/// A log storage with bugs.
pub struct BuggedLog {
    inner: LogStore,
    host: Host,
    disk: Arc<Mutex<Disk>>,
    journal: Journal<Change>,
    bugs: Bugs,
}

impl BuggedLog {
    /// The log `inner` on this disk and journal, with bugs.
    pub fn new(inner: LogStore, host: Host, disk: Arc<Mutex<Disk>>, journal: Journal<Change>, bugs: Bugs) -> BuggedLog {
        BuggedLog { inner, host, disk, journal, bugs }
    }
}

impl BuggedLog {
    async fn save_vote_and_wait(&mut self, vote: &Vote<NodeId>) -> Result<(), StorageError> {
        if self.bugs.has(Bug::VoteRewrittenInPlace) {
            // The bug: until the next commit, the disk has no vote.
            self.journal.change(Change::Vote(Vote::default()));
            self.journal.flushed().await.map_err(|error| StorageIOError::write_vote(&error))?;
        }
        self.inner.save_vote(vote).await
    }

    /// Whether the bugs report an append durable before it is.
    fn hurries(&self, entries: &[Entry]) -> bool {
        let closes = |entry: &Entry| entry.log_id.index % SEGMENT == SEGMENT - 1;
        self.bugs.has(Bug::AcknowledgedBeforeSync)
            || (self.bugs.has(Bug::ClosedSegmentNotSynced) && entries.iter().any(closes))
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
        if self.bugs.has(Bug::VoteNotSynced) {
            lock(&self.disk).vote = Some(*vote);
            let (host, journal, vote) = (self.host.clone(), self.journal.clone(), *vote);
            self.host.spawn(async move {
                host.sleep(WRITEBACK).await;
                journal.change(Change::Vote(vote));
            });
            return Ok(());
        }
        if !self.bugs.has(Bug::VoteTimeoutIgnored) {
            return self.save_vote_and_wait(vote).await;
        }
        // The bug: the time-out is no error. The vote is queued, and will be durable with the flush.
        let host = self.host.clone();
        tokio::select! {
            biased;
            saved = self.save_vote_and_wait(vote) => saved,
            () = host.sleep(VOTE_PATIENCE) => Ok(()),
        }
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
        let entries: Vec<Entry> = entries.into_iter().collect();
        let hurries = self.hurries(&entries);
        if !hurries && !self.bugs.has(Bug::FlushTimeoutIgnored) {
            return self.inner.append(entries, callback).await;
        }
        self.journal.change(Change::Append(entries.clone()));
        lock(&self.disk).log.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        if !hurries {
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
        // The bug: openraft is told that the entries are durable before the flush has ended, or with no flush of their own.
        if self.bugs.has(Bug::AcknowledgedBeforeSync) {
            self.journal.flush(|_| ());
        }
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        if !self.bugs.has(Bug::TruncationLost) {
            return self.inner.truncate(log_id).await;
        }
        lock(&self.disk).log.split_off(&log_id.index);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        self.inner.purge(log_id).await?;
        if self.bugs.has(Bug::PurgePastSnapshot) {
            let mut disk = lock(&self.disk);
            disk.log = disk.log.split_off(&(log_id.index + 1 + PURGED_BEYOND));
        }
        Ok(())
    }
}
