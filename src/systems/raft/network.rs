//! Raft's RPCs over the host's transport, encoded with postcard in both directions.

use super::types::{NodeId, Raft, Types, host_id};
use crate::host::Host;
use crate::host::transport::{CallError, Incoming};
use crate::systems::message::{decode, encode};
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
use std::time::Duration;

/// openraft's pause before it calls an unreachable node again.
pub const BACKOFF: Duration = Duration::from_millis(200);

/// The result of an RPC: the peer's answer, or the reason why there is none.
pub type RpcResult<T, E> = Result<T, RPCError<NodeId, EmptyNode, E>>;

/// Makes the client for each peer.
pub struct Network {
    host: Host,
}

impl Network {
    /// Calls from `host`.
    pub fn new(host: Host) -> Network {
        Network { host }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, _node: &EmptyNode) -> Peer {
        Peer { host: self.host.clone(), target: host_id(target) }
    }
}

/// Calls to one peer. Calls may overlap: openraft replicates and requests votes at the same time.
pub struct Peer {
    host: Host,
    target: HostId,
}

impl Peer {
    async fn call<Q, T, E>(&self, kind: MessageKind, request: Q, option: RPCOption) -> RpcResult<T, E>
    where
        Q: Serialize,
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        // openraft drops this future at the hard limit. Ending at the soft limit lets the transport count the missed
        // deadline.
        let deadline = option.soft_ttl();
        let reply = self.host.transport().call(self.target, kind, encode(&request), deadline, None).await;
        answer_in(reply, self.target)
    }
}

/// Decodes the answer that `peer` put into a reply.
#[expect(clippy::result_large_err, reason = "the error is openraft's")]
pub fn answer_in<T, E>(reply: Result<Vec<u8>, CallError>, peer: HostId) -> RpcResult<T, E>
where
    T: DeserializeOwned,
    E: std::error::Error + DeserializeOwned,
{
    let bytes = reply.map_err(|error| match error {
        // openraft pauses before it calls an unreachable peer again. A lost message should be sent again at once, so
        // only a request that was never sent counts as unreachable.
        CallError::NotSent => RPCError::Unreachable(Unreachable::new(&error)),
        CallError::Deadline | CallError::Broken => RPCError::Network(NetworkError::new(&error)),
    })?;
    let result: Result<T, E> =
        postcard::from_bytes(&bytes).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
    result.map_err(|error| RPCError::RemoteError(RemoteError::new(u64::from(peer.0), error)))
}

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<NodeId>, RaftError<NodeId>> {
        self.call(MessageKind::AppendEntries, rpc, option).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<InstallSnapshotResponse<NodeId>, RaftError<NodeId, InstallSnapshotError>> {
        self.call(MessageKind::InstallSnapshot, rpc, option).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<NodeId>, RaftError<NodeId>> {
        self.call(MessageKind::Vote, rpc, option).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}

/// Hands a peer's RPC to the Raft node; `None` when it is not one of Raft's RPCs or cannot be decoded.
pub async fn answer(raft: &Raft, incoming: &Incoming) -> Option<Vec<u8>> {
    let payload = &incoming.payload;
    match incoming.kind {
        MessageKind::AppendEntries => Some(encode(&raft.append_entries(decode(payload)?).await)),
        MessageKind::Vote => Some(encode(&raft.vote(decode(payload)?).await)),
        MessageKind::InstallSnapshot => Some(encode(&raft.install_snapshot(decode(payload)?).await)),
        _ => None,
    }
}
