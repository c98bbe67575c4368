//! The replicated store as openraft's state machine: volatile, rebuilt from snapshot and log.

use super::log_store::{Disk, StoredSnapshot};
use super::types::{Entry, NodeId, StorageError, Types};
use crate::host::lock;
use crate::kv::{Applied, Store};
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
    applied: Option<LogId<NodeId>>,
    membership: StoredMembership<NodeId, EmptyNode>,
}

/// openraft's state machine over a [`Machine`], snapshots going to a [`Disk`].
#[derive(Debug, Clone)]
pub struct StateMachine {
    machine: Arc<Mutex<Machine>>,
    disk: Arc<Mutex<Disk>>,
}

impl StateMachine {
    /// The machine that a starting process rebuilds from the latest snapshot on its disk.
    ///
    /// # Errors
    /// When the snapshot cannot be decoded.
    pub fn restore(disk: Arc<Mutex<Disk>>) -> Result<StateMachine, postcard::Error> {
        let snapshot = lock(&disk).snapshot.clone();
        let machine = snapshot.map(|snapshot| postcard::from_bytes(&snapshot.data)).transpose()?.unwrap_or_default();
        Ok(StateMachine { machine: Arc::new(Mutex::new(machine)), disk })
    }

    /// The machine itself, for reads.
    pub fn machine(&self) -> Arc<Mutex<Machine>> {
        self.machine.clone()
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let machine = lock(&self.machine).clone();
        let data = postcard::to_stdvec(&machine).map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        let snapshot_id = machine.applied.map_or_else(String::new, |log_id| log_id.to_string());
        let meta = SnapshotMeta { last_log_id: machine.applied, last_membership: machine.membership, snapshot_id };
        lock(&self.disk).snapshot = Some(StoredSnapshot { meta: meta.clone(), data: data.clone() });
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
        let mut machine = lock(&self.machine);
        let apply = |entry: Entry| {
            machine.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => None,
                EntryPayload::Normal(command) => Some(machine.store.apply(&command)),
                EntryPayload::Membership(membership) => {
                    machine.membership = StoredMembership::new(Some(entry.log_id), membership);
                    None
                }
            }
        };
        Ok(entries.into_iter().map(apply).collect())
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
        *lock(&self.machine) = machine;
        lock(&self.disk).snapshot = Some(StoredSnapshot { meta: meta.clone(), data });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        Ok(lock(&self.disk)
            .snapshot
            .clone()
            .map(|stored| Snapshot { meta: stored.meta, snapshot: Box::new(Cursor::new(stored.data)) }))
    }
}
