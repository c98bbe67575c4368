//! Bugs of messages and of votes.

use crate::host::transport::{CallError, Incoming};
use crate::host::{Host, lock};
use crate::systems::bugs::Bug;
use crate::systems::message::{decode, encode};
use crate::systems::raft::network::{BACKOFF, RpcResult, answer_in};
use crate::systems::raft::types::{NodeId, Types, host_id};
use crate::systems::together::Bugs;
use crate::trace::{HostId, MessageKind};
use openraft::error::{InstallSnapshotError, RaftError};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::{EmptyNode, LogId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many entries one read takes in, with [`Bug::TruncatedFrameAccepted`].
const ENTRIES_READ: usize = 8;

/// A peer's RPC as a node with bugs reads it; `None` when it cannot be decoded.
pub fn received(incoming: Incoming, bugs: Bugs) -> Option<Incoming> {
    let payload = match incoming.kind {
        MessageKind::AppendEntries if bugs.has(Bug::TruncatedFrameAccepted) => {
            let mut rpc: AppendEntriesRequest<Types> = decode(&incoming.payload)?;
            rpc.entries.truncate(ENTRIES_READ);
            encode(&rpc)
        }
        // The bug: a candidate's log seems at least as up to date as any voter's (Raft paper, section 5.4.1).
        MessageKind::Vote if bugs.has(Bug::VoteIgnoresLog) => {
            let mut rpc: VoteRequest<NodeId> = decode(&incoming.payload)?;
            rpc.last_log_id = Some(LogId::new(*rpc.vote.leader_id(), u64::MAX));
            encode(&rpc)
        }
        // The bug: the candidate's last entry is of a term that is late enough for any voter.
        MessageKind::Vote if bugs.has(Bug::VoteComparesLength) => {
            let mut rpc: VoteRequest<NodeId> = decode(&incoming.payload)?;
            let leader = *rpc.vote.leader_id();
            rpc.last_log_id = rpc.last_log_id.map(|last| LogId::new(leader, last.index));
            encode(&rpc)
        }
        _ => return Some(incoming),
    };
    Some(Incoming { payload, ..incoming })
}

/// Makes clients that take any reply for the answer to the latest request, as on a connection without request ids
/// ([`Bug::ReplyToWrongRequest`]).
pub struct InLine {
    host: Host,
}

impl InLine {
    /// Calls from `host`.
    pub fn new(host: Host) -> InLine {
        InLine { host }
    }
}

impl RaftNetworkFactory<Types> for InLine {
    type Network = InLinePeer;

    async fn new_client(&mut self, target: NodeId, _node: &EmptyNode) -> InLinePeer {
        InLinePeer { host: self.host.clone(), target: host_id(target), late: Arc::default() }
    }
}

/// A reply that arrived after its caller had given up: the kind of its request, and its bytes.
type Late = (MessageKind, Vec<u8>);

/// Calls to one peer.
pub struct InLinePeer {
    host: Host,
    target: HostId,
    /// The last reply that arrived too late.
    late: Arc<Mutex<Option<Late>>>,
}

impl InLinePeer {
    async fn call<Q, T, E>(&self, kind: MessageKind, request: Q, option: RPCOption) -> RpcResult<T, E>
    where
        Q: Serialize,
        T: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        answer_in(self.reply(kind, encode(&request), option.soft_ttl()).await, self.target)
    }

    async fn reply(&self, kind: MessageKind, payload: Vec<u8>, ttl: Duration) -> Result<Vec<u8>, CallError> {
        let (transport, target, late) = (self.host.transport(), self.target, self.late.clone());
        let unread = lock(&late).take().filter(|(asked, _)| *asked == kind);
        let (hand_over, answer) = oneshot::channel();
        self.host.spawn(async move {
            let call = transport.call(target, kind, payload, ttl * 20, None);
            let Ok(bytes) = call.await else { return };
            if hand_over.is_closed() || hand_over.send(Ok(bytes.clone())).is_err() {
                *lock(&late) = Some((kind, bytes));
            }
        });
        if let Some((_, bytes)) = unread {
            return Ok(bytes);
        }
        match tokio::time::timeout(ttl, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CallError::Broken),
            Err(_) => Err(CallError::Deadline),
        }
    }
}

impl RaftNetwork<Types> for InLinePeer {
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
