//! A node's state on disk, as raft-rs calls its parts, and as its `Storage` reads it.

use crate::host::lock;
use crate::kv::Command;
use crate::systems::message::decode;
use crate::systems::storage::durable::{self, Engine, Payload};
use crate::trace::LogPosition;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

/// raft-rs, by its types.
#[derive(Debug, Clone)]
pub struct RaftRs;

/// What a node's disk holds beside the state machine.
pub type Disk = durable::Disk<RaftRs>;
/// The state machine.
pub type Machine = durable::Machine<RaftRs>;
/// A change of either.
pub type Change = durable::Change<RaftRs>;
/// What applying entries changed.
pub type Effects = durable::Effects<RaftRs>;
/// A snapshot on disk.
pub type StoredSnapshot = durable::StoredSnapshot<RaftRs>;

/// The term, and the candidate that got this node's vote in it; 0 if none did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// `currentTerm`.
    pub term: u64,
    /// `votedFor`.
    pub candidate: u64,
}

/// What an entry is to raft-rs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A client's command; a blank entry if it is empty.
    Normal,
    /// A change of the members.
    Members,
}

/// An entry. raft-rs has no leader in it; the position has, as the node knows who led in which term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Where.
    pub at: LogPosition,
    /// What it is.
    pub kind: Kind,
    /// What raft-rs carries for us.
    pub data: Vec<u8>,
}

impl Stored {
    /// The client's command that it carries.
    pub fn command(&self) -> Option<Command> {
        (self.kind == Kind::Normal && !self.data.is_empty()).then(|| decode(&self.data)).flatten()
    }

    /// As raft-rs has it.
    pub fn entry(&self) -> Entry {
        let kind = match self.kind {
            Kind::Normal => EntryType::EntryNormal,
            Kind::Members => EntryType::EntryConfChangeV2,
        };
        Entry {
            entry_type: kind,
            term: self.at.term,
            index: self.at.index,
            data: self.data.clone().into(),
            ..Entry::default()
        }
    }
}

/// The members of the cluster: `ConfState`, of which raft-rs makes no plain data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// The nodes that vote.
    pub voters: Vec<u64>,
    /// The nodes that receive entries and do not vote.
    pub learners: Vec<u64>,
    /// The voters of the configuration that a joint one leaves.
    pub outgoing: Vec<u64>,
    /// The voters that are to be learners once that is left.
    pub learners_next: Vec<u64>,
    /// Whether the leader leaves it by itself.
    pub auto_leave: bool,
}

impl From<&ConfState> for Members {
    fn from(conf: &ConfState) -> Members {
        let sorted = |nodes: &[u64]| {
            let mut nodes = nodes.to_vec();
            nodes.sort_unstable();
            nodes
        };
        Members {
            voters: sorted(&conf.voters),
            learners: sorted(&conf.learners),
            outgoing: sorted(&conf.voters_outgoing),
            learners_next: sorted(&conf.learners_next),
            auto_leave: conf.auto_leave,
        }
    }
}

impl From<&Members> for ConfState {
    fn from(members: &Members) -> ConfState {
        ConfState {
            voters: members.voters.clone(),
            learners: members.learners.clone(),
            voters_outgoing: members.outgoing.clone(),
            learners_next: members.learners_next.clone(),
            auto_leave: members.auto_leave,
            ..ConfState::default()
        }
    }
}

/// What a snapshot covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The last entry.
    pub upto: Option<LogPosition>,
    /// The members as of it.
    pub members: Members,
}

impl Engine for RaftRs {
    const FORMAT: &'static str = "schism raft-rs storage 1";
    type Vote = Vote;
    type Position = LogPosition;
    type Members = Members;
    type Entry = Stored;
    type SnapshotMeta = Meta;

    fn index(position: &LogPosition) -> u64 {
        position.index
    }

    fn position(entry: &Stored) -> LogPosition {
        entry.at
    }

    /// Of a change of members only raft-rs knows what comes of it: the node asks it and tells the state machine.
    fn payload(entry: Stored) -> Payload<RaftRs> {
        entry.command().map_or(Payload::Blank, Payload::Command)
    }

    fn meta(applied: Option<LogPosition>, members: &Members) -> Meta {
        Meta { upto: applied, members: members.clone() }
    }
}

/// A node's state: what is on its disk, as it is in memory.
#[derive(Clone)]
pub struct Shared {
    /// The log, the vote, the snapshot.
    pub disk: Arc<Mutex<Disk>>,
    /// The state machine.
    pub machine: Arc<Mutex<Machine>>,
    /// Takes a snapshot of it.
    pub take: fn(&Machine) -> Result<StoredSnapshot, postcard::Error>,
}

/// A snapshot as raft-rs sends it.
pub fn sent(stored: &StoredSnapshot) -> Snapshot {
    let mut snapshot = Snapshot { data: stored.data.clone().into(), ..Snapshot::default() };
    let meta = snapshot.mut_metadata();
    meta.set_conf_state((&stored.meta.members).into());
    if let Some(upto) = stored.meta.upto {
        (meta.index, meta.term) = (upto.index, upto.term);
    }
    snapshot
}

impl Storage for Shared {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let disk = lock(&self.disk);
        let mut hard = HardState::default();
        if let Some(vote) = disk.vote {
            (hard.term, hard.vote) = (vote.term, vote.candidate);
        }
        // What was applied is committed, and a purge or a snapshot ends at what is.
        let known = [disk.committed, disk.purged, lock(&self.machine).applied];
        hard.commit = known.into_iter().flatten().map(|at| at.index).max().unwrap_or(0);
        Ok(RaftState::new(hard, (&lock(&self.machine).membership).into()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let disk = lock(&self.disk);
        if disk.purged.is_some_and(|purged| low <= purged.index) {
            return Err(StorageError::Compacted.into());
        }
        let mut entries: Vec<Entry> = disk.log.range(low..high).map(|(_, entry)| entry.entry()).collect();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let disk = lock(&self.disk);
        match (disk.log.get(&index), disk.purged) {
            (Some(entry), _) => Ok(entry.at.term),
            (None, Some(purged)) if purged.index == index => Ok(purged.term),
            (None, Some(purged)) if purged.index > index => Err(StorageError::Compacted.into()),
            (None, None) if index == 0 => Ok(0),
            _ => Err(StorageError::Unavailable.into()),
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(lock(&self.disk).purged.map_or(0, |purged| purged.index) + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(lock(&self.disk).last().map_or(0, |last| last.index))
    }

    /// The latest one, if it will do. A node ignores a snapshot whose members it is not one of (`raft` 0.7.0, `restore` in
    /// raft.rs): one that has just joined needs one that was taken since, and if nothing more is written, none ever is but
    /// here.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let will_do = |stored: &StoredSnapshot| {
            let (upto, members) = (stored.meta.upto.map_or(0, |upto| upto.index), &stored.meta.members);
            let is_member = [&members.voters, &members.outgoing, &members.learners].iter().any(|set| set.contains(&to));
            upto >= request_index.max(1) && is_member
        };
        let latest = lock(&self.disk).snapshot.as_ref().filter(|stored| will_do(stored)).map(sent);
        let taken = || (self.take)(&lock(&self.machine)).ok().filter(will_do).as_ref().map(sent);
        latest.or_else(taken).ok_or_else(|| StorageError::SnapshotTemporarilyUnavailable.into())
    }
}
