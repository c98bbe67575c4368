//! The replicated store as openraft's state machine: read from memory, made durable through a [`Journal`].

use super::observer::{Observer, command};
use super::types::{Change, Disk, Effects, LogId, Machine, Members, Snapshot, SnapshotMeta, StoredSnapshot, Types};
use crate::host::lock;
use crate::systems::storage::journal::Journal;
use crate::systems::storage::rules::Rules;
use futures_core::Stream;
use openraft_0_10::storage::{EntryResponder, RaftStateMachine};
use openraft_0_10::{OptionalSend, RaftSnapshotBuilder};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

/// A running Raft node.
pub type Raft = openraft_0_10::Raft<Types, StateMachine>;

/// openraft's state machine over a [`Machine`]. Its snapshots go to a [`Disk`].
#[derive(Clone)]
pub struct StateMachine {
    machine: Arc<Mutex<Machine>>,
    disk: Arc<Mutex<Disk>>,
    journal: Journal<Change>,
    observer: Observer,
    rules: Rules<Types>,
}

impl StateMachine {
    /// A state machine over `machine`.
    pub fn new(
        machine: Arc<Mutex<Machine>>,
        disk: Arc<Mutex<Disk>>,
        journal: Journal<Change>,
        observer: Observer,
        rules: Rules<Types>,
    ) -> StateMachine {
        StateMachine { machine, disk, journal, observer, rules }
    }
}

impl RaftSnapshotBuilder<Types> for StateMachine {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let snapshot = (self.rules.snapshot)(&lock(&self.machine)).map_err(io::Error::other)?;
        lock(&self.disk).snapshot = Some(snapshot.clone());
        self.journal.change(Change::Snapshot(snapshot.clone()));
        // openraft then purges the log that it covers.
        self.journal.flushed().await?;
        self.observer.built(snapshot.meta.last_log_id.as_ref(), &snapshot.data);
        Ok(snapshot.into())
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = StateMachine;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Members)> {
        let machine = lock(&self.machine);
        Ok((machine.applied, machine.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        // openraft has saved that these entries are committed. Once that is durable, the next process of this node
        // applies them again before it serves, so that what a reader saw is not taken back.
        self.journal.flushed().await?;
        while let Some(next) = poll_fn(|context| Pin::new(&mut entries).poll_next(context)).await {
            let (entry, responder) = next?;
            let mut effects = Effects::default();
            let applied = {
                let mut machine = lock(&self.machine);
                command(&entry).iter().for_each(|command| (self.rules.prepare)(&mut machine, command));
                machine.apply(entry.clone(), &mut effects)
            };
            // Not awaited: if this is lost, the entry is applied again from the log.
            self.journal.change(Change::Apply(effects));
            self.observer.applied(&entry, applied);
            if let Some(responder) = responder {
                responder.send(applied);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> StateMachine {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Vec<u8>) -> io::Result<()> {
        let snapshot = StoredSnapshot { meta: meta.clone(), data };
        let machine = snapshot.machine().map_err(io::Error::other)?;
        lock(&self.machine).clone_from(&machine);
        lock(&self.disk).snapshot = Some(snapshot.clone());
        // Both become durable in one commit.
        self.journal.change(Change::Machine(Box::new(machine)));
        self.journal.change(Change::Snapshot(snapshot.clone()));
        self.journal.flushed().await?;
        self.observer.installed(meta.last_log_id.as_ref(), &snapshot.data);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(lock(&self.disk).snapshot.clone().map(Snapshot::from))
    }
}
