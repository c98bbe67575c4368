//! A faulty disk under any `RaftLogStorage`.
//!
//! Every write asks the node's host first. A slow disk makes the write wait. A failing disk refuses it with an I/O
//! error, after which openraft stops the node. If the wrapped storage keeps data in memory that a process loses when it
//! dies, that is the application's bug, and the next kill shows it.

use crate::host::Host;
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{LogId, OptionalSend, RaftLogReader, RaftTypeConfig, StorageError, StorageIOError, Vote};
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;

/// A log storage on a disk that has faults.
pub struct FaultyLog<L> {
    inner: L,
    host: Host,
}

impl<L> FaultyLog<L> {
    /// Storage on the disk of `host`.
    pub fn new(inner: L, host: Host) -> Self {
        FaultyLog { inner, host }
    }
}

type Done<C, T = ()> = Result<T, StorageError<<C as RaftTypeConfig>::NodeId>>;

impl<C: RaftTypeConfig, L: RaftLogReader<C>> RaftLogReader<C> for FaultyLog<L> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Done<C, Vec<C::Entry>> {
        self.inner.try_get_log_entries(range).await
    }
}

impl<C: RaftTypeConfig, L: RaftLogStorage<C>> RaftLogStorage<C> for FaultyLog<L> {
    type LogReader = L::LogReader;

    async fn get_log_state(&mut self) -> Done<C, LogState<C>> {
        self.inner.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> L::LogReader {
        self.inner.get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote<C::NodeId>) -> Done<C> {
        self.host.disk_operation(1).await.map_err(|error| StorageIOError::write_vote(&error))?;
        self.inner.save_vote(vote).await
    }

    async fn read_vote(&mut self) -> Done<C, Option<Vote<C::NodeId>>> {
        self.inner.read_vote().await
    }

    async fn save_committed(&mut self, committed: Option<LogId<C::NodeId>>) -> Done<C> {
        // openraft lets the application choose whether to save this. A storage that may skip the write must not fail
        // it.
        self.inner.save_committed(committed).await
    }

    async fn read_committed(&mut self) -> Done<C, Option<LogId<C::NodeId>>> {
        self.inner.read_committed().await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<C>) -> Done<C>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<C::Entry> = entries.into_iter().collect();
        self.host.disk_operation(entries.len() as u32).await.map_err(write_logs::<C>)?;
        self.inner.append(entries, callback).await
    }

    async fn truncate(&mut self, log_id: LogId<C::NodeId>) -> Done<C> {
        self.host.disk_operation(1).await.map_err(write_logs::<C>)?;
        self.inner.truncate(log_id).await
    }

    async fn purge(&mut self, log_id: LogId<C::NodeId>) -> Done<C> {
        self.host.disk_operation(1).await.map_err(write_logs::<C>)?;
        self.inner.purge(log_id).await
    }
}

fn write_logs<C: RaftTypeConfig>(error: io::Error) -> StorageError<C::NodeId> {
    StorageIOError::write_logs(&error).into()
}
