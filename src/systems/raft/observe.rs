//! Records what Raft does to its storage, at the border between openraft and the store. The checks of Raft's invariants
//! read these events.
//!
//! The wrappers are outside the store, so a buggy store cannot hide, and they see every call. openraft's metrics
//! channel coalesces and would miss short leaderships. The wrappers fit the storage of any openraft application whose
//! node ids are host ids (1 for `n1`) and whose snapshots are bytes in memory.

use super::types::{host_id, position};
use crate::host::Host;
use crate::kv::{Key, Tag};
use crate::rng;
use crate::trace::{HostSet, LogPosition, Role, Scope, What};
use openraft::entry::RaftPayload;
use openraft::storage::{LogFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft::{
    LogId, Membership, OptionalSend, RaftLogId, RaftLogReader, RaftSnapshotBuilder, RaftTypeConfig, Snapshot,
    SnapshotMeta, StorageError, StoredMembership, Vote,
};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::Cursor;
use std::ops::RangeBounds;

/// What an application can say about its entries. `()` says nothing.
pub trait Commands<C: RaftTypeConfig>: Clone + Send + Sync + 'static {
    /// An entry was appended to this node's log.
    fn appended(&self, _entry: &C::Entry) {}

    /// The client's command that an entry carries, if it carries one.
    fn command(&self, _entry: &C::Entry) -> Option<(Tag, Key)> {
        None
    }

    /// Whether snapshots at one position are equal on every node, byte for byte.
    fn compares_snapshots(&self) -> bool {
        false
    }

    /// Whether applying the entry changed the store, according to its response.
    fn took_effect(&self, _response: &C::R) -> bool {
        false
    }
}

impl<C: RaftTypeConfig> Commands<C> for () {}

/// The command that an entry carries; none for blank entries and membership changes.
fn carried<C: RaftTypeConfig>(commands: &impl Commands<C>, entry: &C::Entry) -> Option<(Tag, Key)> {
    let is_internal = entry.is_blank() || entry.get_membership().is_some();
    commands.command(entry).filter(|_| !is_internal)
}

/// Hash of an entry: equal for equal entries, and different for different ones.
fn entry_hash(entry: &impl Serialize) -> u64 {
    let bytes = postcard::to_stdvec(entry).expect("every entry encodes: it is sent to followers");
    rng::hash_bytes(0, &bytes)
}

/// The membership that an entry brings into force.
fn members<N: openraft::Node>(at: LogPosition, membership: &Membership<u64, N>) -> What {
    let configs = membership.get_joint_config();
    let set = |nodes: &BTreeSet<u64>| -> HostSet { nodes.iter().map(|node| host_id(*node)).collect() };
    let config = |index: usize| configs.get(index).map_or(HostSet::EMPTY, set);
    let learners = membership.learner_ids().map(host_id).collect();
    // Of a joint configuration, the new one comes last.
    match configs.len() {
        0 | 1 => What::Members { at, voters: config(0), joint: HostSet::EMPTY, learners },
        _ => What::Members { at, voters: config(1), joint: config(0), learners },
    }
}

/// A log storage whose calls are recorded.
pub struct ObservedLog<L, W = ()> {
    inner: L,
    host: Host,
    commands: W,
    role: Option<(Role, u64)>,
}

impl<L, W> ObservedLog<L, W> {
    /// Records the calls to `inner` at `host`.
    pub fn new(inner: L, host: Host, commands: W) -> Self {
        ObservedLog { inner, host, commands, role: None }
    }

    /// Records a change of leadership. A node is leader exactly while its saved vote is for itself and committed:
    /// granted by a quorum.
    fn record_role(&mut self, vote: &Vote<u64>) {
        let own = vote.leader_id.voted_for().map(host_id) == Some(self.host.id());
        let role = match (own, vote.committed) {
            (true, true) => Role::Primary,
            (true, false) => Role::Candidate,
            (false, _) => Role::Backup,
        };
        let term = vote.leader_id.term;
        if self.role != Some((role, term)) {
            self.role = Some((role, term));
            self.host.record_role(role, Scope::All, term);
        }
    }
}

impl<C: RaftTypeConfig<NodeId = u64>, L: RaftLogReader<C>, W: Commands<C>> RaftLogReader<C> for ObservedLog<L, W> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<C::Entry>, StorageError<u64>> {
        self.inner.try_get_log_entries(range).await
    }
}

impl<C: RaftTypeConfig<NodeId = u64>, L: RaftLogStorage<C>, W: Commands<C>> RaftLogStorage<C> for ObservedLog<L, W> {
    type LogReader = L::LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<C>, StorageError<u64>> {
        let state = self.inner.get_log_state().await?;
        self.host.record(What::FoundLog { last: state.last_log_id.as_ref().map(position) });
        Ok(state)
    }

    async fn get_log_reader(&mut self) -> L::LogReader {
        self.inner.get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        self.inner.save_vote(vote).await?;
        let candidate = host_id(vote.leader_id.node_id);
        self.host.record(What::Vote { term: vote.leader_id.term, candidate, committed: vote.committed });
        self.record_role(vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        // A node that restarts while its saved vote says that it leads resumes leading without an election.
        let vote = self.inner.read_vote().await?;
        if let Some(vote) = &vote {
            self.record_role(vote);
        }
        Ok(vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId<u64>>) -> Result<(), StorageError<u64>> {
        self.inner.save_committed(committed).await?;
        if let Some(log_id) = committed {
            self.host.record(What::Commit { upto: position(&log_id) });
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<u64>>, StorageError<u64>> {
        self.inner.read_committed().await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<C>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<C::Entry> = entries.into_iter().collect();
        // A command counts as appended even if this append fails, since its entry may be durable all the same. An entry
        // counts as in the log only if the append succeeds.
        entries.iter().for_each(|entry| self.commands.appended(entry));
        let appended: Vec<_> = entries
            .iter()
            .map(|entry| {
                let (at, payload) = (position(entry.get_log_id()), entry_hash(entry));
                let command = carried(&self.commands, entry).map(|(tag, _)| tag);
                let members = entry.get_membership().map(|membership| members(at, membership));
                (What::Append { at, payload, command }, members)
            })
            .collect();
        self.inner.append(entries, callback).await?;
        for (append, members) in appended {
            self.host.record(append);
            members.into_iter().for_each(|members| self.host.record(members));
        }
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.host.record(What::Truncate { from: log_id.index });
        self.inner.truncate(log_id).await
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.host.record(What::Purge { upto: position(&log_id) });
        self.inner.purge(log_id).await
    }
}

/// A state machine (or its snapshot builder) whose calls are recorded.
pub struct ObservedMachine<M, W = ()> {
    inner: M,
    host: Host,
    commands: W,
}

impl<M, W> ObservedMachine<M, W> {
    /// Records the calls to `inner` at `host`.
    pub fn new(inner: M, host: Host, commands: W) -> Self {
        ObservedMachine { inner, host, commands }
    }
}

impl<C, M, W> RaftSnapshotBuilder<C> for ObservedMachine<M, W>
where
    C: RaftTypeConfig<NodeId = u64, SnapshotData = Cursor<Vec<u8>>>,
    M: RaftSnapshotBuilder<C>,
    W: Commands<C>,
{
    async fn build_snapshot(&mut self) -> Result<Snapshot<C>, StorageError<u64>> {
        let snapshot = self.inner.build_snapshot().await?;
        let payload = self.commands.compares_snapshots().then(|| rng::hash_bytes(0, snapshot.snapshot.get_ref()));
        self.host.record(What::SnapshotBuilt { upto: snapshot.meta.last_log_id.as_ref().map(position), payload });
        Ok(snapshot)
    }
}

impl<C, M, W> RaftStateMachine<C> for ObservedMachine<M, W>
where
    C: RaftTypeConfig<NodeId = u64, SnapshotData = Cursor<Vec<u8>>>,
    M: RaftStateMachine<C>,
    W: Commands<C>,
{
    type SnapshotBuilder = ObservedMachine<M::SnapshotBuilder, W>;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, C::Node>), StorageError<u64>> {
        let state = self.inner.applied_state().await?;
        self.host.record(What::Restored { upto: state.0.as_ref().map(position) });
        Ok(state)
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<C::R>, StorageError<u64>>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<C::Entry> = entries.into_iter().collect();
        let applied: Vec<_> = entries
            .iter()
            .map(|entry| (position(entry.get_log_id()), entry_hash(entry), carried(&self.commands, entry)))
            .collect();
        let responses = self.inner.apply(entries).await?;
        for ((at, payload, command), response) in applied.into_iter().zip(&responses) {
            self.host.record(What::ApplyEntry { at, payload, command: command.map(|(tag, _)| tag) });
            if let Some((tag, key)) = command.filter(|_| self.commands.took_effect(response)) {
                self.host.record(What::Apply { tag, key, entry: Some(at) });
            }
        }
        Ok(responses)
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        let inner = self.inner.get_snapshot_builder().await;
        ObservedMachine::new(inner, self.host.clone(), self.commands.clone())
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        self.inner.begin_receiving_snapshot().await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, C::Node>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        let payload = rng::hash_bytes(0, snapshot.get_ref());
        self.inner.install_snapshot(meta, snapshot).await?;
        self.host.record(What::SnapshotInstalled { upto: meta.last_log_id.as_ref().map(position), payload });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<C>>, StorageError<u64>> {
        self.inner.get_current_snapshot().await
    }
}
