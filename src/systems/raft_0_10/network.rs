//! Raft's RPCs over the host's transport, encoded with postcard in both directions.

use super::state_machine::Raft;
use super::types::{NodeId, Snapshot, SnapshotMeta, Types, Vote, host_id};
use crate::host::Host;
use crate::host::transport::{CallError, Incoming};
use crate::systems::message::{decode, encode};
use crate::trace::{HostId, MessageKind};
use openraft_0_10::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft_0_10::network::{Backoff, RPCOption};
use openraft_0_10::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft_0_10::{EmptyNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::time::Duration;

/// openraft's pause before it calls an unreachable node again; the same as in the store on openraft 0.9.
const BACKOFF: Duration = Duration::from_millis(200);

/// The result of an RPC: the peer's answer, or the reason why there is none.
type RpcResult<T> = Result<T, RPCError<Types>>;

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
        Peer { host: self.host.clone(), target: host_id(target), append: MessageKind::AppendEntries }
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, node: &EmptyNode) -> Peer {
        Peer { append: MessageKind::Heartbeat, ..self.new_client(target, node).await }
    }
}

/// Calls to one peer. Calls may overlap: openraft has a client for entries, one for heartbeats, and one for snapshots.
pub struct Peer {
    host: Host,
    target: HostId,
    /// What `AppendEntries` is called: a heartbeat is one without entries.
    append: MessageKind,
}

impl Peer {
    async fn call<T: DeserializeOwned>(
        &self,
        kind: MessageKind,
        request: impl Serialize,
        option: RPCOption,
    ) -> RpcResult<T> {
        // openraft drops this future at the hard limit. Ending at the soft limit lets the transport count the missed
        // deadline.
        let deadline = option.soft_ttl();
        let reply = self.host.transport().call(self.target, kind, encode(&request), deadline, None).await;
        let bytes = reply.map_err(|error| match error {
            // openraft pauses before it calls an unreachable peer again. A lost message should be sent again at once,
            // so only a request that was never sent counts as unreachable.
            CallError::NotSent => RPCError::Unreachable(Unreachable::new(&error)),
            CallError::Deadline | CallError::Broken => RPCError::Network(NetworkError::new(&error)),
        })?;
        postcard::from_bytes(&bytes).map_err(|error| RPCError::Network(NetworkError::new(&error)))
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<Types>> {
        self.call(self.append, rpc, option).await
    }

    async fn vote(&mut self, rpc: VoteRequest<Types>, option: RPCOption) -> RpcResult<VoteResponse<Types>> {
        self.call(MessageKind::Vote, rpc, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let sending = self.call(MessageKind::InstallSnapshot, (vote, snapshot.meta, snapshot.snapshot), option);
        tokio::select! {
            biased;
            closed = cancel => Err(closed.into()),
            answer = sending => Ok(answer?),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<Types>> {
        self.call(MessageKind::Other, request, option).await
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(BACKOFF)))
    }
}

/// Hands a peer's RPC to the Raft node; `None` when it is not one of Raft's RPCs, cannot be decoded, or finds the node
/// stopped.
pub async fn answer(raft: &Raft, incoming: &Incoming) -> Option<Vec<u8>> {
    let payload = &incoming.payload;
    match incoming.kind {
        MessageKind::AppendEntries | MessageKind::Heartbeat => {
            Some(encode(&raft.append_entries(decode(payload)?).await.ok()?))
        }
        MessageKind::Vote => Some(encode(&raft.vote(decode(payload)?).await.ok()?)),
        MessageKind::InstallSnapshot => {
            let (vote, meta, snapshot): (Vote, SnapshotMeta, Vec<u8>) = decode(payload)?;
            Some(encode(&raft.install_full_snapshot(vote, Snapshot { meta, snapshot }).await.ok()?))
        }
        MessageKind::Other => Some(encode(&raft.handle_transfer_leader(decode(payload)?).await.ok()?)),
        _ => None,
    }
}
