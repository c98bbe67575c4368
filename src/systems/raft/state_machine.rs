//! The replicated store as openraft's state machine: in memory for reading, and behind a [`Journal`] for keeping.

use super::log_store::{Disk, StoredSnapshot};
use super::tables::{Change, Effects};
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

/// The machine that a process rebuilds from the latest snapshot in memory; openraft applies the log again from there.
///
/// # Errors
/// When the snapshot cannot be decoded.
pub fn restore(disk: &Mutex<Disk>) -> Result<Machine, StorageError> {
    let snapshot = lock(disk).snapshot.clone();
    snapshot.map_or_else(|| Ok(Machine::default()), |snapshot| snapshot.machine())
}

/// openraft's state machine over a [`Machine`], snapshots going to a [`Disk`].
#[derive(Clone)]
pub struct StateMachine {
    machine: Arc<Mutex<Machine>>,
    disk: Arc<Mutex<Disk>>,
    journal: Option<Journal<Change>>,
}

impl StateMachine {
    /// The machine that a process found on its disk; without a journal, kept in memory only.
    pub fn new(machine: Machine, disk: Arc<Mutex<Disk>>, journal: Option<Journal<Change>>) -> StateMachine {
        StateMachine { machine: Arc::new(Mutex::new(machine)), disk, journal }
    }

    /// The machine itself, for reads.
    pub fn machine(&self) -> Arc<Mutex<Machine>> {
        self.machine.clone()
    }

    /// Waits until what openraft has saved as committed is durable.
    pub(super) async fn committed_is_durable(&self) -> Result<(), StorageError> {
        match &self.journal {
            Some(journal) => Ok(journal.flushed().await.map_err(|error| StorageIOError::write(&error))?),
            None => Ok(()),
        }
    }

    /// Applies entries that are durably known to be committed.
    pub(super) fn apply_committed(&self, entries: impl IntoIterator<Item = Entry>) -> Vec<Option<Applied>> {
        let mut machine = lock(&self.machine);
        let mut effects = Effects::default();
        let results = entries.into_iter().map(|entry| machine.apply(entry, &mut effects)).collect();
        // No need to wait: what is lost of this is applied again from the log.
        if let Some(journal) = &self.journal {
            journal.change(Change::Apply(effects));
        }
        results
    }

    /// Makes a snapshot the latest one, and waits until it is durable: openraft then purges the log that it covers.
    pub(super) async fn keep_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StorageError> {
        lock(&self.disk).snapshot = Some(snapshot.clone());
        let meta = snapshot.meta.clone();
        self.write(&meta, [Change::Snapshot(snapshot)]).await
    }

    /// Puts the machine that a snapshot holds in the place of this one. Both become durable in one commit.
    pub(super) async fn replace(&self, machine: Machine, snapshot: StoredSnapshot) -> Result<(), StorageError> {
        lock(&self.machine).clone_from(&machine);
        lock(&self.disk).snapshot = Some(snapshot.clone());
        let meta = snapshot.meta.clone();
        self.write(&meta, [Change::Machine(Box::new(machine)), Change::Snapshot(snapshot)]).await
    }

    /// Makes changes that have to do with a snapshot, and waits until they are durable.
    pub(super) async fn write(
        &self,
        meta: &SnapshotMeta<NodeId, EmptyNode>,
        changes: impl IntoIterator<Item = Change>,
    ) -> Result<(), StorageError> {
        let Some(journal) = &self.journal else { return Ok(()) };
        changes.into_iter().for_each(|change| journal.change(change));
        let written = journal.flushed().await;
        Ok(written.map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), &error))?)
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let snapshot = lock(&self.machine).snapshot()?;
        self.keep_snapshot(snapshot.clone()).await?;
        Ok(snapshot.into())
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
        self.committed_is_durable().await?;
        Ok(self.apply_committed(entries))
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
        let snapshot = StoredSnapshot { meta: meta.clone(), data: snapshot.into_inner() };
        let machine = snapshot.machine()?;
        self.replace(machine, snapshot).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        Ok(lock(&self.disk).snapshot.clone().map(Snapshot::from))
    }
}
