//! The log, the vote and the committed index of a node: read from memory, made durable through a [`Journal`].
//!
//! openraft 0.10 goes on while entries are on their way to the disk, and a node takes no part in a majority before they
//! are there. So an append returns at once, and its callback comes from the journal. A vote is durable when it is saved.
//!
//! The committed index is durable before an entry is applied, as in the store on openraft 0.9: one of the two ways that
//! openraft's contract (`RaftLogStorage::save_committed`) allows for a state machine that may lose what it applied.

use super::observer::Observer;
use super::types::{Change, Disk, Entry, LogId, Types, Vote};
use crate::host::lock;
use crate::systems::storage::journal::Journal;
use crate::systems::storage::rules::Rules;
use openraft_0_10::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft_0_10::{OptionalSend, RaftLogReader};
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

/// openraft's log storage on a [`Disk`].
#[derive(Clone)]
pub struct LogStore {
    disk: Arc<Mutex<Disk>>,
    journal: Journal<Change>,
    observer: Observer,
    rules: Rules<Types>,
}

impl LogStore {
    /// A log store on this disk.
    pub fn new(disk: Arc<Mutex<Disk>>, journal: Journal<Change>, observer: Observer, rules: Rules<Types>) -> LogStore {
        LogStore { disk, journal, observer, rules }
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        Ok(lock(&self.disk).log.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(lock(&self.disk).vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let disk = lock(&self.disk);
        Ok(LogState { last_purged_log_id: disk.purged, last_log_id: disk.last() })
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        lock(&self.disk).vote = Some(*vote);
        self.journal.change(Change::Vote(*vote));
        // A vote must be durable before it is answered: a node that forgot its vote could vote twice in one term, and
        // the term could get two leaders (Raft paper, section 5.2).
        self.journal.flushed().await?;
        self.observer.vote(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        lock(&self.disk).committed = committed;
        self.journal.change(Change::Committed(committed));
        committed.iter().for_each(|upto| self.observer.committed(upto));
        // Only the state machine waits until this is durable: see the module's header.
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(lock(&self.disk).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.journal.change(Change::Append(entries.clone()));
        lock(&self.disk).log.extend(entries.iter().map(|entry| (entry.log_id.index, entry.clone())));
        if !self.rules.waits_for_disk {
            self.observer.appended(&entries);
            self.journal.flush(|_| ());
            callback.io_completed(Ok(()));
            return Ok(());
        }
        let observer = self.observer.clone();
        self.journal.flush(move |flushed| {
            // An entry that a power loss took before that was never in the log.
            if flushed.is_ok() {
                observer.appended(&entries);
            }
            callback.io_completed(flushed);
        });
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        // Entries on their way to the disk are recorded once they are there, and only then as gone.
        self.journal.flushed().await?;
        let from = last.map_or(0, |last| last.index + 1);
        self.observer.truncated(from);
        lock(&self.disk).log.split_off(&from);
        self.journal.change(Change::Truncate(from));
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.observer.purged(&upto);
        {
            let mut disk = lock(&self.disk);
            disk.log = disk.log.split_off(&(upto.index + 1));
            disk.purged = Some(upto);
        }
        self.journal.change(Change::Purge(upto));
        Ok(())
    }
}
