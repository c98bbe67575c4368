//! Bugs of the state machine and its snapshots.

use crate::host::{Host, lock};
use crate::kv::{Applied, Store};
use crate::systems::bugs::Bug;
use crate::systems::raft::durable::{Change, Effects, Machine, StoredSnapshot};
use crate::systems::raft::node::Setup;
use crate::systems::raft::state_machine::StateMachine;
use crate::systems::raft::types::{Entry, NodeId, StorageError, Types};
use crate::systems::storage::journal::Journal;
use openraft::storage::RaftStateMachine;
use openraft::{
    EmptyNode, EntryPayload, LogId, Membership, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageIOError, StoredMembership,
};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// How long a session may be idle before a replica forgets it, with [`Bug::SessionsExpireByClock`].
const IDLE_NS: u64 = 1_000_000_000;
/// How many sessions a replica keeps, with [`Bug::SessionsCapped`].
const SESSIONS_KEPT: usize = 8;

/// A state machine with a bug.
#[derive(Clone)]
pub struct BuggedMachine {
    inner: StateMachine,
    host: Host,
    journal: Journal<Change>,
    /// The membership with which the cluster was founded.
    first: StoredMembership<NodeId, EmptyNode>,
    /// When each session was last used, by this node's clock.
    used_ns: Arc<Mutex<BTreeMap<u64, u64>>>,
    bug: Bug,
}

/// The membership with which a cluster is founded.
fn first(setup: &Setup) -> StoredMembership<NodeId, EmptyNode> {
    let voters = setup.members.keys().copied().collect();
    StoredMembership::new(None, Membership::new(vec![voters], None))
}

/// The state machine as a starting process reads it from disk. With [`Bug::MembershipNotSaved`] it has the founding
/// membership, with [`Bug::SessionsLostAtRestart`] no sessions.
pub fn found(mut machine: Machine, setup: &Setup, bug: Bug) -> Machine {
    if bug == Bug::MembershipNotSaved && machine.applied.is_some() {
        machine.membership = first(setup);
    }
    if bug == Bug::SessionsLostAtRestart {
        machine.store = Store::from_parts(machine.store.values().clone(), BTreeMap::new());
    }
    machine
}

impl BuggedMachine {
    /// The state machine `inner`, whose changes go to this journal, with a bug.
    pub fn new(inner: StateMachine, host: Host, journal: Journal<Change>, setup: &Setup, bug: Bug) -> BuggedMachine {
        BuggedMachine { inner, host, journal, first: first(setup), used_ns: Arc::default(), bug }
    }

    /// Whether the session of a command is forgotten before the command is applied.
    fn forgets(&self, session: u64) -> bool {
        match self.bug {
            Bug::RetryAppliedAgain => true,
            Bug::SessionsExpireByClock => {
                let now_ns = self.host.local_ns();
                let used_ns = lock(&self.used_ns).insert(session, now_ns);
                used_ns.is_some_and(|used_ns| now_ns.saturating_sub(used_ns) > IDLE_NS)
            }
            _ => false,
        }
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
            if self.bug == Bug::SessionsCapped && machine.store.sessions().len() > SESSIONS_KEPT {
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
        match self.bug {
            Bug::SnapshotWithoutSessions => {
                machine.store = Store::from_parts(machine.store.values().clone(), BTreeMap::new());
            }
            Bug::MembershipNotSaved if machine.applied.is_some() => machine.membership = self.first.clone(),
            _ => {}
        }
        machine.snapshot()
    }
}

impl RaftSnapshotBuilder<Types> for BuggedMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let snapshot = self.snapshot();
        let mut snapshot = snapshot.map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        if self.bug == Bug::SnapshotBehindItsLabel {
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
        if self.bug != Bug::ReadAfterRestart {
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
        if self.bug == Bug::InstallNotSynced {
            // The bug: nobody waits for the disk. Until it does, the install takes no time: the state in memory is replaced.
            let mut install = std::pin::pin!(self.inner.install_snapshot(meta, snapshot));
            let begun = |context: &mut Context<'_>| match install.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(done),
                Poll::Pending => Poll::Ready(Ok(())),
            };
            return std::future::poll_fn(begun).await;
        }
        if self.bug != Bug::SnapshotMerged {
            return self.inner.install_snapshot(meta, snapshot).await;
        }
        let snapshot = StoredSnapshot { meta: meta.clone(), data: snapshot.into_inner() };
        let machine = snapshot.machine();
        let mut machine = machine.map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), &error))?;
        let mut values = lock(&self.inner.machine()).store.values().clone();
        values.extend(machine.store.values());
        machine.store = Store::from_parts(values, machine.store.sessions().clone());
        self.inner.replace(machine, snapshot).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        self.inner.get_current_snapshot().await
    }
}
