//! The replicated store as openraft's state machine: read from memory, made durable through a [`Journal`].

use super::durable::{Change, Disk, Effects, Machine, StoredSnapshot};
use super::types::{Entry, NodeId, StorageError, Types};
use crate::host::lock;
use crate::kv::Applied;
use crate::systems::storage::journal::Journal;
use openraft::storage::RaftStateMachine;
use openraft::{
    EmptyNode, LogId, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageIOError, StoredMembership,
};
use std::io::Cursor;
use std::sync::{Arc, Mutex};

/// Rebuilds the state machine from the latest snapshot in memory. openraft then applies the log from there again.
///
/// # Errors
/// When the snapshot cannot be decoded.
pub fn restore(disk: &Mutex<Disk>) -> Result<Machine, postcard::Error> {
    let snapshot = lock(disk).snapshot.clone();
    snapshot.map_or_else(|| Ok(Machine::default()), |snapshot| snapshot.machine())
}

/// openraft's state machine over a [`Machine`]. Its snapshots go to a [`Disk`].
#[derive(Clone)]
pub struct StateMachine {
    machine: Arc<Mutex<Machine>>,
    disk: Arc<Mutex<Disk>>,
    journal: Option<Journal<Change>>,
}

impl StateMachine {
    /// A state machine that starts from `machine`. Without a journal it is kept in memory only.
    pub fn new(machine: Machine, disk: Arc<Mutex<Disk>>, journal: Option<Journal<Change>>) -> StateMachine {
        StateMachine { machine: Arc::new(Mutex::new(machine)), disk, journal }
    }

    /// The machine itself, for reads.
    pub fn machine(&self) -> Arc<Mutex<Machine>> {
        self.machine.clone()
    }

    /// Waits until the committed index that openraft has saved is durable.
    pub(super) async fn committed_is_durable(&self) -> Result<(), StorageError> {
        match &self.journal {
            Some(journal) => Ok(journal.flushed().await.map_err(|error| StorageIOError::write(&error))?),
            None => Ok(()),
        }
    }

    /// Applies entries. That they are committed must be durable already.
    pub(super) fn apply_committed(&self, entries: impl IntoIterator<Item = Entry>) -> Vec<Option<Applied>> {
        let mut machine = lock(&self.machine);
        let mut effects = Effects::default();
        let results = entries.into_iter().map(|entry| machine.apply(entry, &mut effects)).collect();
        // Not awaited: if this is lost, the entries are applied again from the log.
        if let Some(journal) = &self.journal {
            journal.change(Change::Apply(effects));
        }
        results
    }

    /// Makes a snapshot the latest one and waits until it is durable: openraft then purges the log that it covers.
    pub(super) async fn keep_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StorageError> {
        lock(&self.disk).snapshot = Some(snapshot.clone());
        let meta = snapshot.meta.clone();
        self.write(&meta, [Change::Snapshot(snapshot)]).await
    }

    /// Replaces the state machine by the one that a snapshot holds. Both become durable in one commit.
    pub(super) async fn replace(&self, machine: Machine, snapshot: StoredSnapshot) -> Result<(), StorageError> {
        lock(&self.machine).clone_from(&machine);
        lock(&self.disk).snapshot = Some(snapshot.clone());
        let meta = snapshot.meta.clone();
        self.write(&meta, [Change::Machine(Box::new(machine)), Change::Snapshot(snapshot)]).await
    }

    /// Makes changes that concern a snapshot, and waits until they are durable.
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
        let snapshot = lock(&self.machine).snapshot();
        let snapshot = snapshot.map_err(|error| StorageIOError::write_snapshot(None, &error))?;
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
        // openraft has saved that these entries are committed. Once that is durable, the next process of this node
        // applies them again before it serves, so that what a reader saw is not taken back.
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
        let machine = snapshot.machine();
        let machine = machine.map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), &error))?;
        self.replace(machine, snapshot).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        Ok(lock(&self.disk).snapshot.clone().map(Snapshot::from))
    }
}
