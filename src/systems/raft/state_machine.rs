//! The replicated store as openraft's state machine: in memory for reading, and behind a [`Journal`] for keeping.

use super::log_store::{Disk, StoredSnapshot};
use super::planted::Planted;
use super::tables::{self, Change};
use super::types::{Entry, NodeId, StorageError, Types};
use crate::host::lock;
use crate::kv::{Applied, Store};
use crate::systems::storage::journal::Journal;
use openraft::storage::RaftStateMachine;
use openraft::{
    EmptyNode, EntryPayload, LogId, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageIOError,
    StoredMembership,
};
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::sync::{Arc, Mutex};

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

/// openraft's state machine over a [`Machine`], snapshots going to a [`Disk`].
#[derive(Clone)]
pub struct StateMachine {
    machine: Arc<Mutex<Machine>>,
    disk: Arc<Mutex<Disk>>,
    journal: Option<Journal<Change>>,
    planted: Planted,
}

/// The machine that a starting process rebuilds from the latest snapshot in memory.
///
/// # Errors
/// When the snapshot cannot be decoded.
pub fn restore(disk: &Mutex<Disk>) -> Result<Machine, postcard::Error> {
    let snapshot = lock(disk).snapshot.clone();
    Ok(snapshot.map(|snapshot| postcard::from_bytes(&snapshot.data)).transpose()?.unwrap_or_default())
}

impl StateMachine {
    /// A machine that a starting process has read from its disk.
    pub fn new(
        machine: Machine,
        disk: Arc<Mutex<Disk>>,
        journal: Option<Journal<Change>>,
        planted: Planted,
    ) -> StateMachine {
        StateMachine { machine: Arc::new(Mutex::new(machine)), disk, journal, planted }
    }

    /// The machine itself, for reads.
    pub fn machine(&self) -> Arc<Mutex<Machine>> {
        self.machine.clone()
    }

    /// The way to the disk, if there is one.
    pub fn journal(&self) -> Option<Journal<Change>> {
        self.journal.clone()
    }

    async fn keep(&self, changes: impl IntoIterator<Item = Change>) -> std::io::Result<()> {
        let Some(journal) = &self.journal else { return Ok(()) };
        changes.into_iter().for_each(|change| journal.change(change));
        journal.flushed().await
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let machine = self.planted.for_snapshot(lock(&self.machine).clone());
        let data = postcard::to_stdvec(&machine).map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        let snapshot_id = machine.applied.map_or_else(String::new, |log_id| log_id.to_string());
        let meta = SnapshotMeta { last_log_id: machine.applied, last_membership: machine.membership, snapshot_id };
        let mut stored = StoredSnapshot { meta, data };
        if self.planted.labels_late() {
            let kept = self.keep([Change::Snapshot(stored.clone())]).await;
            kept.map_err(|error| StorageIOError::write_snapshot(Some(stored.meta.signature()), &error))?;
            let machine = lock(&self.machine);
            stored.meta.last_log_id = machine.applied;
            stored.meta.last_membership = machine.membership.clone();
        }
        let StoredSnapshot { meta, data } = stored.clone();
        lock(&self.disk).snapshot = Some(stored.clone());
        // openraft purges what a snapshot covers: it must be there first.
        let kept = self.keep([Change::Snapshot(stored)]).await;
        kept.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), &error))?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(data)) })
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotBuilder = StateMachine;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<NodeId>>, StoredMembership<NodeId, EmptyNode>), StorageError> {
        let machine = lock(&self.machine);
        Ok((machine.applied, machine.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Option<Applied>>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        // openraft has saved that these entries are committed. Once that is durable, a process that starts after this one
        // applies them again before it serves.
        if let Some(journal) = self.journal.as_ref().filter(|_| !self.planted.forgets_committed()) {
            journal.flushed().await.map_err(|error| StorageIOError::write(&error))?;
        }
        let mut machine = lock(&self.machine);
        let mut changed = tables::Applied::default();
        let apply = |entry: Entry| {
            machine.applied = Some(entry.log_id);
            changed.upto = machine.applied;
            match entry.payload {
                EntryPayload::Blank => None,
                EntryPayload::Normal(command) => {
                    self.planted.before_apply(&mut machine, &command);
                    let applied = machine.store.apply(&command);
                    let key = command.op.key();
                    changed.values.push((key, machine.store.get(key)));
                    let session = command.tag.session;
                    changed.sessions.extend(machine.store.session(session).map(|last| (session, *last)));
                    Some(applied)
                }
                EntryPayload::Membership(membership) => {
                    machine.membership = StoredMembership::new(Some(entry.log_id), membership);
                    changed.membership = Some(machine.membership.clone());
                    None
                }
            }
        };
        let results = entries.into_iter().map(apply).collect();
        // No need to wait: what is lost of this is applied again from the log.
        if let Some(journal) = &self.journal {
            journal.change(Change::Apply(changed));
        }
        Ok(results)
    }

    async fn get_snapshot_builder(&mut self) -> StateMachine {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<NodeId, EmptyNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let data = snapshot.into_inner();
        let machine: Machine = postcard::from_bytes(&data)
            .map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), &error))?;
        let machine = self.planted.installed(&lock(&self.machine), machine);
        let stored = StoredSnapshot { meta: meta.clone(), data };
        lock(&self.machine).clone_from(&machine);
        lock(&self.disk).snapshot = Some(stored.clone());
        let kept = self.keep([Change::Machine(Box::new(machine)), Change::Snapshot(stored)]).await;
        Ok(kept.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), &error))?)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        Ok(lock(&self.disk)
            .snapshot
            .clone()
            .map(|stored| Snapshot { meta: stored.meta, snapshot: Box::new(Cursor::new(stored.data)) }))
    }
}
