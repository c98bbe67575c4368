//! Bugs of the state machine and its snapshots.

use crate::host::{Host, lock};
use crate::kv::{Applied, Store};
use crate::systems::bugs::Bug;
use crate::systems::raft::durable::{Change, Disk, Effects, Machine, StoredSnapshot};
use crate::systems::raft::node::Setup;
use crate::systems::raft::state_machine::StateMachine;
use crate::systems::raft::types::{Entry, NodeId, StorageError, Types};
use crate::systems::storage::journal::Journal;
use crate::systems::together::Bugs;
use openraft::storage::RaftStateMachine;
use openraft::{
    EmptyNode, EntryPayload, LogId, Membership, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageIOError, StoredMembership, Vote,
};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// How long a session may be idle before a replica forgets it, with [`Bug::SessionsExpireByClock`].
const IDLE_NS: u64 = 1_000_000_000;
/// How many sessions a replica keeps, with [`Bug::SessionsCapped`].
const SESSIONS_KEPT: usize = 8;

/// A state machine with bugs.
#[derive(Clone)]
pub struct BuggedMachine {
    inner: StateMachine,
    host: Host,
    disk: Arc<Mutex<Disk>>,
    journal: Journal<Change>,
    /// The membership with which the cluster was founded.
    first: StoredMembership<NodeId, EmptyNode>,
    /// When each session was last used, by this node's clock.
    used_ns: Arc<Mutex<BTreeMap<u64, u64>>>,
    bugs: Bugs,
}

/// The membership with which a cluster is founded.
fn first(setup: &Setup) -> StoredMembership<NodeId, EmptyNode> {
    let voters = setup.members.keys().copied().collect();
    StoredMembership::new(None, Membership::new(vec![voters], None))
}

/// The state machine as a starting process reads it from disk. With [`Bug::MembershipNotSaved`] it has the founding
/// membership, with [`Bug::SessionsLostAtRestart`] no sessions.
pub fn found(mut machine: Machine, setup: &Setup, bugs: Bugs) -> Machine {
    if bugs.has(Bug::MembershipNotSaved) && machine.applied.is_some() {
        machine.membership = first(setup);
    }
    if bugs.has(Bug::SessionsLostAtRestart) {
        machine.store = Store::from_parts(machine.store.values().clone(), BTreeMap::new());
    }
    machine
}

impl BuggedMachine {
    /// The state machine `inner`, whose changes go to this disk and journal, with bugs.
    pub fn new(
        inner: StateMachine,
        host: Host,
        (disk, journal): (Arc<Mutex<Disk>>, Journal<Change>),
        setup: &Setup,
        bugs: Bugs,
    ) -> BuggedMachine {
        BuggedMachine { inner, host, disk, journal, first: first(setup), used_ns: Arc::default(), bugs }
    }

    /// Whether the session of a command is forgotten before the command is applied.
    fn forgets(&self, session: u64) -> bool {
        if !self.bugs.has(Bug::SessionsExpireByClock) {
            return self.bugs.has(Bug::RetryAppliedAgain);
        }
        let now_ns = self.host.local_ns();
        let used_ns = lock(&self.used_ns).insert(session, now_ns);
        let is_over = used_ns.is_some_and(|used_ns| now_ns.saturating_sub(used_ns) > IDLE_NS);
        is_over || self.bugs.has(Bug::RetryAppliedAgain)
    }

    /// Applies entries as the sound state machine does, except for the sessions that it forgets.
    fn apply_committed(&self, entries: impl IntoIterator<Item = Entry>) -> Vec<Option<Applied>> {
        let machine = self.inner.machine();
        let mut machine = lock(&machine);
        let mut effects = Effects::default();
        let apply = |entry: Entry| {
            if let EntryPayload::Normal(command) = &entry.payload
                && self.forgets(command.tag.session)
            {
                let mut sessions = machine.store.sessions().clone();
                sessions.remove(&command.tag.session);
                machine.store = Store::from_parts(machine.store.values().clone(), sessions);
            }
            let applied = machine.apply(entry, &mut effects);
            let oldest = |sessions: &BTreeMap<u64, _>| sessions.keys().next().copied();
            if self.bugs.has(Bug::SessionsCapped) && machine.store.sessions().len() > SESSIONS_KEPT {
                let mut sessions = machine.store.sessions().clone();
                oldest(&sessions).map(|session| sessions.remove(&session));
                machine.store = Store::from_parts(machine.store.values().clone(), sessions);
            }
            applied
        };
        let results = entries.into_iter().map(apply).collect();
        self.journal.change(Change::Apply(effects));
        results
    }

    /// A snapshot; with some of the bugs it lacks a part of the state.
    fn snapshot(&self) -> Result<StoredSnapshot, postcard::Error> {
        let mut machine = lock(&self.inner.machine()).clone();
        if self.bugs.has(Bug::SnapshotWithoutSessions) {
            machine.store = Store::from_parts(machine.store.values().clone(), BTreeMap::new());
        }
        if self.bugs.has(Bug::MembershipNotSaved) && machine.applied.is_some() {
            machine.membership = self.first.clone();
        }
        machine.snapshot()
    }
}

impl BuggedMachine {
    /// Deletes all that is on the disk, for [`Bug::InstallClearsFirst`]: a process that starts before the next commit, which has
    /// the snapshot, remembers nothing.
    async fn clear(&self, meta: &SnapshotMeta<NodeId, EmptyNode>) -> Result<(), StorageError> {
        let start = LogId::default();
        let blank = Machine { applied: Some(start), membership: self.first.clone(), ..Machine::default() };
        let nothing = blank.snapshot().map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        let log = [Change::Truncate(0), Change::Purge(start), Change::Committed(None), Change::Vote(Vote::default())];
        let state = [Change::Machine(Box::new(blank)), Change::Snapshot(nothing)];
        self.inner.write(meta, log.into_iter().chain(state)).await?;
        // What stays of them goes into the next commit.
        let disk = lock(&self.disk);
        disk.vote.into_iter().for_each(|vote| self.journal.change(Change::Vote(vote)));
        disk.purged.into_iter().for_each(|purged| self.journal.change(Change::Purge(purged)));
        self.journal.change(Change::Committed(disk.committed));
        self.journal.change(Change::Append(disk.log.values().cloned().collect()));
        Ok(())
    }

    /// Replaces the state by that of a snapshot; with [`Bug::SnapshotMerged`], only the values that it has.
    async fn install(
        &self,
        meta: &SnapshotMeta<NodeId, EmptyNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let snapshot = StoredSnapshot { meta: meta.clone(), data: snapshot.into_inner() };
        let machine = snapshot.machine();
        let mut machine = machine.map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), &error))?;
        if self.bugs.has(Bug::SnapshotMerged) {
            let mut values = lock(&self.inner.machine()).store.values().clone();
            values.extend(machine.store.values());
            machine.store = Store::from_parts(values, machine.store.sessions().clone());
        }
        self.inner.replace(machine, snapshot).await
    }
}

impl RaftSnapshotBuilder<Types> for BuggedMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let snapshot = self.snapshot();
        let mut snapshot = snapshot.map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        if self.bugs.has(Bug::SnapshotBehindItsLabel) {
            let meta = snapshot.meta.clone();
            self.inner.write(&meta, [Change::Snapshot(snapshot.clone())]).await?;
            let machine = self.inner.machine();
            let machine = lock(&machine);
            snapshot.meta.last_log_id = machine.applied;
            snapshot.meta.last_membership = machine.membership.clone();
        }
        self.inner.keep_snapshot(snapshot.clone()).await?;
        Ok(snapshot.into())
    }
}

impl RaftStateMachine<Types> for BuggedMachine {
    type SnapshotBuilder = BuggedMachine;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<NodeId>>, StoredMembership<NodeId, EmptyNode>), StorageError> {
        self.inner.applied_state().await
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Option<Applied>>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        if !self.bugs.has(Bug::ReadAfterRestart) {
            self.inner.committed_is_durable().await?;
        }
        Ok(self.apply_committed(entries))
    }

    async fn get_snapshot_builder(&mut self) -> BuggedMachine {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        self.inner.begin_receiving_snapshot().await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<NodeId, EmptyNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        if self.bugs.has(Bug::InstallClearsFirst) {
            self.clear(meta).await?;
        }
        let mut install = std::pin::pin!(self.install(meta, snapshot));
        if !self.bugs.has(Bug::InstallNotSynced) {
            return install.await;
        }
        // The bug: nobody waits for the disk. Until it does, the install takes no time: the state in memory is replaced.
        let begun = |context: &mut Context<'_>| match install.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => Poll::Ready(Ok(())),
        };
        std::future::poll_fn(begun).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        self.inner.get_current_snapshot().await
    }
}
