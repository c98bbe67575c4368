//! A fence around any Raft network client: a node that has voted for a newer leader sends no more entries as the old
//! one.
//!
//! A leader of openraft 0.9 that steps down leaves its replication tasks running. `QuitLeader` drops the state that the
//! leader held, but replication streams are replaced only when a node becomes leader or the membership changes (read in
//! 0.9.24 and 0.9.25, and seen in both). A replication task that has not learned of a higher vote may read the log
//! *after* the new leader's entries have replaced part of it. It then sends those entries under the old leader's vote,
//! behind a `prev_log_id` from the old log. A follower that has not heard of the new leader accepts them. Its log now
//! holds an entry whose predecessor differs from the predecessor that the entry had on the leader that created it,
//! which breaks log matching (Raft paper, section 5.3). openraft's maintainers discuss this hazard, a task that reads
//! changed entries, in issue #1184.
//!
//! A node saves its new vote before it changes its log. So the exact remedy is a comparison before entries are sent:
//! the vote under which they are sent must equal the vote that this node has saved.

use super::durable::Disk;
use super::network::RpcResult;
use super::types::{NodeId, Types};
use crate::host::lock;
use openraft::EmptyNode;
use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use std::sync::{Arc, Mutex};

/// A `RaftNetworkFactory`, or a `RaftNetwork` that it made, behind the fence.
pub struct Fenced<N> {
    inner: N,
    /// Where this node saves its vote.
    disk: Arc<Mutex<Disk>>,
}

impl<N> Fenced<N> {
    /// Lets an RPC through only while the vote on this disk is the vote under which the RPC is sent.
    pub fn new(inner: N, disk: Arc<Mutex<Disk>>) -> Fenced<N> {
        Fenced { inner, disk }
    }
}

/// The error of a deposed leader: this node has saved a newer vote than the one under which it was to send entries.
#[derive(Debug, thiserror::Error)]
#[error("this node no longer leads")]
struct Deposed;

impl<F: RaftNetworkFactory<Types>> RaftNetworkFactory<Types> for Fenced<F> {
    type Network = Fenced<F::Network>;

    async fn new_client(&mut self, target: NodeId, node: &EmptyNode) -> Fenced<F::Network> {
        Fenced::new(self.inner.new_client(target, node).await, self.disk.clone())
    }
}

impl<N: RaftNetwork<Types>> RaftNetwork<Types> for Fenced<N> {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<NodeId>, RaftError<NodeId>> {
        // The entries were read before this check. If the saved vote is still the leader's own now, it was so then, and
        // the log was the leader's own too.
        if lock(&self.disk).vote != Some(rpc.vote) {
            return Err(RPCError::Network(NetworkError::new(&Deposed)));
        }
        self.inner.append_entries(rpc, option).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<InstallSnapshotResponse<NodeId>, RaftError<NodeId, InstallSnapshotError>> {
        self.inner.install_snapshot(rpc, option).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<NodeId>, RaftError<NodeId>> {
        self.inner.vote(rpc, option).await
    }

    fn backoff(&self) -> Backoff {
        self.inner.backoff()
    }
}
