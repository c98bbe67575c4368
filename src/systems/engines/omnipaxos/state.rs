//! A node's state on disk, as omnipaxos calls its parts, and as its `Storage` reads and writes it.

use crate::host::lock;
use crate::kv::Command;
use crate::systems::storage::durable::{self, Engine, Payload};
use crate::systems::storage::journal::Journal;
use crate::trace::{HostId, LogPosition};
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::storage::{Entry, NoSnapshot, StopSign, Storage, StorageOp, StorageResult};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// omnipaxos, by its types.
#[derive(Debug, Clone)]
pub struct OmniPaxos;

/// What a node's disk holds beside the state machine.
pub type Disk = durable::Disk<OmniPaxos>;
/// The state machine.
pub type Machine = durable::Machine<OmniPaxos>;
/// A change of either.
pub type Change = durable::Change<OmniPaxos>;
/// What applying entries changed.
pub type Effects = durable::Effects<OmniPaxos>;

/// The ballots that a node must remember.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Ballots {
    /// It takes part in none lower than this one.
    pub promised: Ballot,
    /// The one in which it accepted entries last.
    pub accepted: Option<Ballot>,
}

/// An entry. Paxos may propose one anew under a later ballot, so it belongs to no leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// Its index, from 1.
    pub index: u64,
    /// The client's command.
    pub command: Command,
}

/// An index as the trace has it.
pub fn position(index: u64) -> LogPosition {
    LogPosition { term: 0, leader: HostId(0), index }
}

/// omnipaxos makes a snapshot from entries alone, without the state before them. That cannot express a compare-and-set,
/// so there are none here, and logs are kept whole.
impl Entry for Command {
    type Snapshot = NoSnapshot;
}

impl Engine for OmniPaxos {
    const FORMAT: &'static str = "schism omnipaxos storage 1";
    type Vote = Ballots;
    type Position = LogPosition;
    type Members = ();
    type Entry = Logged;
    type SnapshotMeta = ();

    fn index(position: &LogPosition) -> u64 {
        position.index
    }

    fn position(entry: &Logged) -> LogPosition {
        position(entry.index)
    }

    fn payload(entry: Logged) -> Payload<OmniPaxos> {
        Payload::Command(entry.command)
    }

    fn meta(_: Option<LogPosition>, (): &()) {}
}

/// omnipaxos's storage: changes are in memory at once and queued for the disk. A node says nothing before they are
/// durable.
#[derive(Clone)]
pub struct Log {
    /// What the disk holds, or will.
    pub disk: Arc<Mutex<Disk>>,
    /// The way there.
    pub journal: Journal<Change>,
    /// Whether a ballot or an entry is on its way there.
    pub is_ahead: Rc<Cell<bool>>,
}

impl Log {
    fn vote(&self, change: impl FnOnce(&mut Ballots)) {
        let mut disk = lock(&self.disk);
        let mut ballots = disk.vote.unwrap_or_default();
        change(&mut ballots);
        disk.vote = Some(ballots);
        self.journal.change(Change::Vote(ballots));
        self.is_ahead.set(true);
    }

    fn len(&self) -> usize {
        lock(&self.disk).log.len()
    }
}

impl Storage<Command> for Log {
    fn write_atomically(&mut self, ops: Vec<StorageOp<Command>>) -> StorageResult<()> {
        // All of them are queued before anything else runs, so one commit has them all.
        for op in ops {
            match op {
                StorageOp::AppendEntry(entry) => self.append_entry(entry)?,
                StorageOp::AppendEntries(entries) => self.append_entries(entries)?,
                StorageOp::AppendOnPrefix(from, entries) => self.append_on_prefix(from, entries)?,
                StorageOp::SetPromise(ballot) => self.set_promise(ballot)?,
                StorageOp::SetDecidedIndex(index) => self.set_decided_idx(index)?,
                StorageOp::SetAcceptedRound(ballot) => self.set_accepted_round(ballot)?,
                StorageOp::SetCompactedIdx(index) => self.set_compacted_idx(index)?,
                StorageOp::Trim(index) => self.trim(index)?,
                StorageOp::SetStopsign(stop) => self.set_stopsign(stop)?,
                StorageOp::SetSnapshot(snapshot) => self.set_snapshot(snapshot)?,
            }
        }
        Ok(())
    }

    fn append_entry(&mut self, entry: Command) -> StorageResult<()> {
        self.append_entries(vec![entry])
    }

    fn append_entries(&mut self, entries: Vec<Command>) -> StorageResult<()> {
        let first = self.len() as u64 + 1;
        let entries: Vec<Logged> = (first..).zip(entries).map(|(index, command)| Logged { index, command }).collect();
        lock(&self.disk).log.extend(entries.iter().map(|entry| (entry.index, *entry)));
        self.journal.change(Change::Append(entries));
        self.is_ahead.set(true);
        Ok(())
    }

    fn append_on_prefix(&mut self, from_idx: usize, entries: Vec<Command>) -> StorageResult<()> {
        let first = from_idx as u64 + 1;
        lock(&self.disk).log.split_off(&first);
        self.journal.change(Change::Truncate(first));
        self.append_entries(entries)
    }

    fn set_promise(&mut self, n_prom: Ballot) -> StorageResult<()> {
        self.vote(|ballots| ballots.promised = n_prom);
        Ok(())
    }

    fn set_decided_idx(&mut self, ld: usize) -> StorageResult<()> {
        let decided = Some(position(ld as u64));
        lock(&self.disk).committed = decided;
        self.journal.change(Change::Committed(decided));
        Ok(())
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        Ok(lock(&self.disk).committed.map_or(0, |decided| decided.index as usize))
    }

    fn set_accepted_round(&mut self, na: Ballot) -> StorageResult<()> {
        self.vote(|ballots| ballots.accepted = Some(na));
        Ok(())
    }

    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        Ok(lock(&self.disk).vote.and_then(|ballots| ballots.accepted))
    }

    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Command>> {
        if to > self.len() || from > to {
            return Ok(Vec::new());
        }
        let disk = lock(&self.disk);
        Ok(disk.log.range(from as u64 + 1..to as u64 + 1).map(|(_, entry)| entry.command).collect())
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        Ok(self.len())
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Command>> {
        self.get_entries(from, self.len())
    }

    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        Ok(lock(&self.disk).vote.map(|ballots| ballots.promised))
    }

    fn set_stopsign(&mut self, stop: Option<StopSign>) -> StorageResult<()> {
        match stop {
            None => Ok(()),
            Some(_) => Err("the members of this cluster are fixed".into()),
        }
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        Ok(None)
    }

    fn trim(&mut self, _: usize) -> StorageResult<()> {
        Err("this log is kept whole".into())
    }

    fn set_compacted_idx(&mut self, _: usize) -> StorageResult<()> {
        Err("this log is kept whole".into())
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        Ok(0)
    }

    fn set_snapshot(&mut self, _: Option<NoSnapshot>) -> StorageResult<()> {
        Err("this log is kept whole".into())
    }

    fn get_snapshot(&self) -> StorageResult<Option<NoSnapshot>> {
        Ok(None)
    }
}
