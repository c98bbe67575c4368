//! What Raft does to its storage, recorded where openraft meets our code.
//!
//! The wrappers stand outside the store, so that a buggy store cannot hide, and see every call; the
//! metrics channel of openraft coalesces and would miss short leaderships.

use super::types::{Entry, NodeId, StorageError, Types, host_id, position};
use crate::host::{Host, lock};
use crate::kv::{Applied, Tag};
use crate::rng;
use crate::trace::{Role, Scope, What};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft::{
    EmptyNode, EntryPayload, LogId, OptionalSend, RaftLogReader, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StoredMembership, Vote,
};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Cursor;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex};

/// The newest sequence number of each session that this process has appended to its log.
///
/// openraft answers `ForwardToLeader` both before a command is appended and after its entry was
/// truncated. In the second case another node may still hold the entry and get it committed under a
/// later leader, so only the first is a definite refusal.
#[derive(Debug, Clone, Default)]
pub struct AppendedCommands(Arc<Mutex<BTreeMap<u64, u64>>>);

impl AppendedCommands {
    /// Whether the command has been appended to this node's log by this process.
    pub fn contains(&self, tag: Tag) -> bool {
        lock(&self.0).get(&tag.session).is_some_and(|last| *last >= tag.sequence)
    }

    fn insert(&self, tag: Tag) {
        let mut sessions = lock(&self.0);
        let last = sessions.entry(tag.session).or_default();
        *last = tag.sequence.max(*last);
    }
}

/// Hash of an entry's payload: equal exactly for equal payloads.
fn payload_hash(payload: &EntryPayload<Types>) -> u64 {
    let bytes = postcard::to_stdvec(payload).expect("every payload encodes: it is sent to followers");
    rng::hash_bytes(0, &bytes)
}

/// A log storage whose calls are recorded.
pub struct ObservedLog<L> {
    inner: L,
    host: Host,
    appended: AppendedCommands,
    role: Option<(Role, u64)>,
}

impl<L> ObservedLog<L> {
    /// Records the calls to `inner` at `host`.
    pub fn new(inner: L, host: Host, appended: AppendedCommands) -> Self {
        ObservedLog { inner, host, appended, role: None }
    }

    /// A node is leader exactly while its saved vote is its own and known to be granted by a quorum.
    fn record_role(&mut self, vote: &Vote<NodeId>) {
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

impl<L: RaftLogReader<Types>> RaftLogReader<Types> for ObservedLog<L> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        self.inner.try_get_log_entries(range).await
    }
}

impl<L: RaftLogStorage<Types>> RaftLogStorage<Types> for ObservedLog<L> {
    type LogReader = L::LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        self.inner.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> L::LogReader {
        self.inner.get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote<NodeId>) -> Result<(), StorageError> {
        self.inner.save_vote(vote).await?;
        let candidate = host_id(vote.leader_id.node_id);
        self.host.record(What::Vote { term: vote.leader_id.term, candidate, committed: vote.committed });
        self.record_role(vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<NodeId>>, StorageError> {
        // A restarted node whose vote says that it leads resumes leading without an election.
        let vote = self.inner.read_vote().await?;
        if let Some(vote) = &vote {
            self.record_role(vote);
        }
        Ok(vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId<NodeId>>) -> Result<(), StorageError> {
        self.inner.save_committed(committed).await?;
        if let Some(log_id) = committed {
            self.host.record(What::Commit { upto: position(&log_id) });
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<NodeId>>, StorageError> {
        self.inner.read_committed().await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        for entry in &entries {
            self.host.record(What::Append { at: position(&entry.log_id), payload: payload_hash(&entry.payload) });
            if let EntryPayload::Normal(command) = &entry.payload {
                self.appended.insert(command.tag);
            }
        }
        self.inner.append(entries, callback).await
    }

    async fn truncate(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        self.host.record(What::Truncate { from: log_id.index });
        self.inner.truncate(log_id).await
    }

    async fn purge(&mut self, log_id: LogId<NodeId>) -> Result<(), StorageError> {
        self.host.record(What::Purge { upto: position(&log_id) });
        self.inner.purge(log_id).await
    }
}

/// A state machine (or its snapshot builder) whose calls are recorded.
pub struct ObservedMachine<M> {
    inner: M,
    host: Host,
}

impl<M> ObservedMachine<M> {
    /// Records the calls to `inner` at `host`.
    pub fn new(inner: M, host: Host) -> Self {
        ObservedMachine { inner, host }
    }
}

impl<M: RaftSnapshotBuilder<Types>> RaftSnapshotBuilder<Types> for ObservedMachine<M> {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let snapshot = self.inner.build_snapshot().await?;
        self.host.record(What::SnapshotBuilt { upto: snapshot.meta.last_log_id.as_ref().map(position) });
        Ok(snapshot)
    }
}

impl<M: RaftStateMachine<Types>> RaftStateMachine<Types> for ObservedMachine<M> {
    type SnapshotBuilder = ObservedMachine<M::SnapshotBuilder>;

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
        let entries: Vec<Entry> = entries.into_iter().collect();
        let commands: Vec<_> = entries
            .iter()
            .map(|entry| {
                let payload = payload_hash(&entry.payload);
                self.host.record(What::ApplyEntry { at: position(&entry.log_id), payload });
                match &entry.payload {
                    EntryPayload::Normal(command) => Some(*command),
                    EntryPayload::Blank | EntryPayload::Membership(_) => None,
                }
            })
            .collect();
        let results = self.inner.apply(entries).await?;
        for (command, result) in commands.into_iter().zip(&results) {
            if let (Some(command), Some(Applied::Fresh(_))) = (command, result) {
                self.host.record_apply(command.tag, command.op.key());
            }
        }
        Ok(results)
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        ObservedMachine::new(self.inner.get_snapshot_builder().await, self.host.clone())
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        self.inner.begin_receiving_snapshot().await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<NodeId, EmptyNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let payload = rng::hash_bytes(0, snapshot.get_ref());
        self.inner.install_snapshot(meta, snapshot).await?;
        self.host.record(What::SnapshotInstalled { upto: meta.last_log_id.as_ref().map(position), payload });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        self.inner.get_current_snapshot().await
    }
}
