//! Raft's RPCs over the host's transport.
//!
//! # The fence
//!
//! A leader of openraft 0.9 that steps down leaves its replication tasks running: `QuitLeader` drops what
//! the leader knew, and replication streams are replaced when a node becomes a leader or its members
//! change (read in 0.9.24 and 0.9.25, and seen in both). A task that has not been told of a higher vote may
//! read the log *after* the new leader's entries have replaced it, and send them under the old leader's
//! vote behind a `prev_log_id` from the old log. A follower that has not heard of the new leader accepts
//! that: its log then holds an entry whose predecessor is not the one it had where it was created, which
//! breaks log matching (Raft paper, 5.3). openraft's maintainers discuss the hazard, a task that reads
//! changed entries, in its issue #1184. A node saves its new vote before it changes its log, so the exact
//! remedy is that a node which has voted for somebody newer no longer speaks as the old leader. [`Peer`]
//! refuses to.

use super::log_store::Disk;
use super::types::{NodeId, Raft, Types, host_id};
use crate::host::transport::{CallError, Incoming};
use crate::host::{Host, lock};
use crate::systems::bugs::Bug;
use crate::systems::message::{decode, encode};
use crate::trace::{HostId, MessageKind};
use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
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

/// openraft's pause before it calls an unreachable node again.
const BACKOFF: Duration = Duration::from_millis(200);

/// How many entries one read takes in, with [`Bug::TruncatedFrameAccepted`].
const ENTRIES_READ: usize = 8;

/// Makes the network client for each peer.
pub struct Network {
    host: Host,
    fence: Arc<Mutex<Disk>>,
    bug: Option<Bug>,
}

impl Network {
    /// Calls from `host`, fenced by the vote on its disk.
    pub fn new(host: Host, fence: Arc<Mutex<Disk>>, bug: Option<Bug>) -> Network {
        Network { host, fence, bug }
    }
}

/// The node has voted for a newer leader than the one whose entries it was asked to send.
#[derive(Debug, thiserror::Error)]
#[error("this node no longer leads")]
struct Deposed;

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, _node: &EmptyNode) -> Peer {
        let Network { host, fence, bug } = self;
        Peer { host: host.clone(), target: host_id(target), fence: fence.clone(), bug: *bug, late: Arc::default() }
    }
}

/// A reply that nobody waited for any more: of what kind its request was, and its bytes.
type Late = (MessageKind, Vec<u8>);

/// Calls to one peer.
pub struct Peer {
    host: Host,
    target: HostId,
    fence: Arc<Mutex<Disk>>,
    bug: Option<Bug>,
    /// A reply that came too late, with [`Bug::ReplyToWrongRequest`].
    late: Arc<Mutex<Option<Late>>>,
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
        let answer = match self.bug {
            Some(Bug::ReplyToWrongRequest) => self.call_in_line(kind, payload, option.soft_ttl()).await,
            _ => self.host.transport().call(self.target, kind, payload, option.soft_ttl(), None).await,
        };
        let bytes = answer.map_err(|error| match error {
            // Only what never left is worth a pause: a lost message should be sent again at once.
            CallError::NotSent => RPCError::Unreachable(Unreachable::new(&error)),
            CallError::Deadline | CallError::Broken => RPCError::Network(NetworkError::new(&error)),
        })?;
        let result: Result<T, E> =
            postcard::from_bytes(&bytes).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        result.map_err(|error| RPCError::RemoteError(RemoteError::new(u64::from(self.target.0), error)))
    }

    /// As on a connection without request ids: what comes in is the answer to whatever was asked last.
    async fn call_in_line(&self, kind: MessageKind, payload: Vec<u8>, ttl: Duration) -> Result<Vec<u8>, CallError> {
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

impl RaftNetwork<Types> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Answer<AppendEntriesResponse<NodeId>, RaftError<NodeId>> {
        // The entries were read before this: if the vote is still the leader's own, so was the log then.
        if self.bug != Some(Bug::RaftUnfenced) && lock(&self.fence).vote != Some(rpc.vote) {
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
pub async fn answer(raft: &Raft, incoming: &Incoming, bug: Option<Bug>) -> Option<Vec<u8>> {
    let payload = &incoming.payload;
    match incoming.kind {
        MessageKind::AppendEntries => {
            let mut rpc: AppendEntriesRequest<Types> = decode(payload)?;
            if bug == Some(Bug::TruncatedFrameAccepted) {
                rpc.entries.truncate(ENTRIES_READ);
            }
            Some(encode(&raft.append_entries(rpc).await))
        }
        MessageKind::Vote => {
            let mut rpc: VoteRequest<NodeId> = decode(payload)?;
            if bug == Some(Bug::VoteIgnoresLog) {
                rpc.last_log_id = Some(LogId::new(*rpc.vote.leader_id(), u64::MAX));
            }
            Some(encode(&raft.vote(rpc).await))
        }
        MessageKind::InstallSnapshot => Some(encode(&raft.install_snapshot(decode(payload)?).await)),
        _ => None,
    }
}
