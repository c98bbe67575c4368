//! Raft's RPCs over the host's transport.
//!
//! # The fence
//!
//! openraft 0.9.25 ends the replication tasks of a leader that steps down in the background
//! (`remove_all_replication` no longer waits for them). Such a task may read the log *after* the new
//! leader's entries have replaced it, and send them under the old leader's vote behind a `prev_log_id`
//! from the old log. A follower that has not heard of the new leader accepts that: its log then holds
//! an entry whose predecessor is not the one it had where it was created, which breaks log matching
//! (Raft paper, 5.3). A node saves its new vote before it changes its log, so the exact remedy is that a
//! node which has voted for somebody newer no longer speaks as the old leader. [`Peer`] refuses to.

use super::log_store::Disk;
use super::types::{NodeId, Raft, Types, host_id};
use crate::host::transport::{CallError, Incoming};
use crate::host::{Host, lock};
use crate::trace::{HostId, MessageKind};
use openraft::EmptyNode;
use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// openraft's pause before it calls an unreachable node again.
const BACKOFF: Duration = Duration::from_millis(200);

/// Makes the network client for each peer.
pub struct Network {
    host: Host,
    fence: Option<Arc<Mutex<Disk>>>,
}

impl Network {
    /// Calls from `host`, fenced by the vote on its disk if one is given.
    pub fn new(host: Host, fence: Option<Arc<Mutex<Disk>>>) -> Network {
        Network { host, fence }
    }
}

/// The node has voted for a newer leader than the one whose entries it was asked to send.
#[derive(Debug, thiserror::Error)]
#[error("this node no longer leads")]
struct Deposed;

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, _node: &EmptyNode) -> Peer {
        Peer { host: self.host.clone(), target: host_id(target), fence: self.fence.clone() }
    }
}

/// Calls to one peer.
pub struct Peer {
    host: Host,
    target: HostId,
    fence: Option<Arc<Mutex<Disk>>>,
}

type Answer<T, E> = Result<T, RPCError<NodeId, EmptyNode, E>>;

impl Peer {
    async fn call<Q, T, E>(&self, kind: MessageKind, request: Q, option: &RPCOption) -> Answer<T, E>
    where
        Q: Serialize,
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let payload = postcard::to_stdvec(&request).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        // openraft drops the future at the hard limit; ending at the soft one lets the deadline be counted.
        let answer = self.host.transport().call(self.target, kind, payload, option.soft_ttl(), None).await;
        let bytes = answer.map_err(|error| match error {
            // Only what never left is worth a pause: a lost message should be sent again at once.
            CallError::NotSent => RPCError::Unreachable(Unreachable::new(&error)),
            CallError::Deadline | CallError::Broken => RPCError::Network(NetworkError::new(&error)),
        })?;
        let result: Result<T, E> =
            postcard::from_bytes(&bytes).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        result.map_err(|error| RPCError::RemoteError(RemoteError::new(u64::from(self.target.0), error)))
    }
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Answer<AppendEntriesResponse<NodeId>, RaftError<NodeId>> {
        // The entries were read before this: if the vote is still the leader's own, so was the log then.
        if self.fence.as_ref().is_some_and(|disk| lock(disk).vote != Some(rpc.vote)) {
            return Err(RPCError::Network(NetworkError::new(&Deposed)));
        }
        self.call(MessageKind::AppendEntries, rpc, &option).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Answer<InstallSnapshotResponse<NodeId>, RaftError<NodeId, InstallSnapshotError>> {
        self.call(MessageKind::InstallSnapshot, rpc, &option).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Answer<VoteResponse<NodeId>, RaftError<NodeId>> {
        self.call(MessageKind::Vote, rpc, &option).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}

/// Hands a peer's RPC to the Raft node; `None` when it is no RPC of ours or cannot be decoded.
pub async fn answer(raft: &Raft, incoming: &Incoming) -> Option<Vec<u8>> {
    let payload = &incoming.payload;
    match incoming.kind {
        MessageKind::AppendEntries => encode(&raft.append_entries(decode(payload)?).await),
        MessageKind::Vote => encode(&raft.vote(decode(payload)?).await),
        MessageKind::InstallSnapshot => encode(&raft.install_snapshot(decode(payload)?).await),
        _ => None,
    }
}

fn decode<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    postcard::from_bytes(payload).ok()
}

fn encode<T: Serialize>(reply: &T) -> Option<Vec<u8>> {
    postcard::to_stdvec(reply).ok()
}
