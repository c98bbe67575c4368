//! Faults around any `RaftNetwork`, for openraft applications that bring their own.
//!
//! Each RPC is a message of the simulated network. It takes the link's latency, and the faults may lose it, delay it
//! past later messages, duplicate it, hold it or cut it off; its answer is a message of the same kind. Only when a
//! request arrives is the wrapped network called, at once and as if by the receiver. So the wrapped network should hand
//! the RPC straight to the target's `Raft`, as the in-process routers of tests and examples do. A network that speaks
//! over [`crate::host::stream`] meets these faults already and needs no wrapper.
//!
//! A message belongs to the network once it is sent: it is delivered even if its sender has stopped waiting.

use super::types::host_id;
use crate::host::carrier::{Body, Letter};
use crate::host::fabric::{Fabric, Sending};
use crate::host::link::Policy;
use crate::host::{Host, lock};
use crate::trace::{DropReason, MessageId, MessageKind};
use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::{OptionalSend, RaftTypeConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// openraft's pause before it calls an unreachable node again.
const BACKOFF: Duration = Duration::from_millis(200);

/// Makes networks whose messages are exposed to the faults.
pub struct Chaos<F> {
    host: Host,
    inner: Arc<tokio::sync::Mutex<F>>,
}

impl<F> Chaos<F> {
    /// Calls from `host` through the networks that `inner` makes.
    pub fn new(inner: F, host: Host) -> Chaos<F> {
        Chaos { host, inner: Arc::new(tokio::sync::Mutex::new(inner)) }
    }
}

impl<C: RaftTypeConfig<NodeId = u64>, F: RaftNetworkFactory<C>> RaftNetworkFactory<C> for Chaos<F> {
    type Network = ChaosNetwork<C, F>;

    async fn new_client(&mut self, target: u64, node: &C::Node) -> ChaosNetwork<C, F> {
        let (host, factory) = (self.host.clone(), self.inner.clone());
        ChaosNetwork { host, target, node: node.clone(), factory, idle: Arc::default() }
    }
}

/// Calls to one peer.
pub struct ChaosNetwork<C: RaftTypeConfig<NodeId = u64>, F: RaftNetworkFactory<C>> {
    host: Host,
    target: u64,
    node: C::Node,
    factory: Arc<tokio::sync::Mutex<F>>,
    /// Wrapped networks that are not in use at the moment: calls overlap, and each call needs a network of its own.
    idle: Arc<Mutex<Vec<F::Network>>>,
}

impl<C: RaftTypeConfig<NodeId = u64>, F: RaftNetworkFactory<C>> Clone for ChaosNetwork<C, F> {
    fn clone(&self) -> Self {
        ChaosNetwork {
            host: self.host.clone(),
            target: self.target,
            node: self.node.clone(),
            factory: self.factory.clone(),
            idle: self.idle.clone(),
        }
    }
}

type RpcResult<C, T, E> = Result<T, RPCError<u64, <C as RaftTypeConfig>::Node, E>>;
/// A call of the wrapped network. It returns the network together with the answer.
type Call<C, N, Q, T, E> = fn(N, Q, RPCOption) -> Pin<Box<dyn Future<Output = (N, RpcResult<C, T, E>)>>>;

/// No answer arrived in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
struct Late;

/// The peer's host answered that no process listens.
#[derive(Debug, thiserror::Error)]
#[error("the peer's process is down")]
struct Refused;

/// What happened to one copy of a message.
enum Arrival {
    Handled,
    /// Its receiver's process is down.
    Refused,
}

/// Notifies the task that waits for a message of each copy that arrives.
struct Notice(mpsc::UnboundedSender<Arrival>);

impl Body for Notice {
    fn arrive(self: Arc<Self>, at: &Host, letter: &Letter) {
        let fabric = at.fabric();
        let arrival = if fabric.is_down(letter.to) {
            fabric.recorder().record(letter.from, letter.dropped(DropReason::Crash));
            Arrival::Refused
        } else {
            fabric.recorder().record(letter.to, letter.delivered());
            Arrival::Handled
        };
        // The waiting task may be gone.
        let _ = self.0.send(arrival);
    }

    fn lost(&self, reason: DropReason) {
        if reason == DropReason::Crash {
            let _ = self.0.send(Arrival::Refused);
        }
    }
}

/// Sends a message. Returns its id, and a channel that announces each copy that arrives and closes after the last one.
fn send(fabric: &Fabric, sending: Sending<'_>, policy: Policy) -> (MessageId, mpsc::UnboundedReceiver<Arrival>) {
    let sent = fabric.send(sending);
    let message = sent.letter.message;
    let (notice, arrivals) = mpsc::unbounded_channel();
    fabric.carry(sent, policy, Arc::new(Notice(notice)));
    (message, arrivals)
}

impl<C: RaftTypeConfig<NodeId = u64>, F: RaftNetworkFactory<C>> ChaosNetwork<C, F> {
    async fn carry<Q, T, E>(
        &self,
        kind: MessageKind,
        request: Q,
        option: RPCOption,
        call: Call<C, F::Network, Q, T, E>,
    ) -> RpcResult<C, T, E>
    where
        Q: Serialize + DeserializeOwned + OptionalSend + 'static,
        T: OptionalSend + 'static,
        E: std::error::Error + OptionalSend + 'static,
    {
        let bytes = postcard::to_stdvec(&request).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        let (from, to) = (self.host.id(), host_id(self.target));
        let sending = Sending { from, to, class: kind, cause: None, payload: &bytes, place: None };
        // The call is made here, by the sender: this host must learn when the request has arrived.
        let (message, mut arrivals) = send(self.host.fabric(), sending, Policy::Errand);
        let (answer, answered) = oneshot::channel();
        // The first answer counts, as in any network that numbers its requests.
        let answer = Arc::new(Mutex::new(Some(answer)));
        let (this, ttl) = (self.clone(), option.soft_ttl());
        self.host.spawn(async move {
            while let Some(arrival) = arrivals.recv().await {
                let (this, answer) = (this.clone(), answer.clone());
                let (bytes, option) = (bytes.clone(), option.clone());
                let host = this.host.clone();
                host.spawn(async move {
                    let result = match arrival {
                        Arrival::Refused => Err(RPCError::Unreachable(Unreachable::new(&Refused))),
                        Arrival::Handled => {
                            let copy = postcard::from_bytes(&bytes).expect("what was encoded decodes");
                            let result = this.call(copy, option, call).await;
                            if !this.answer(kind.reply(), message).await {
                                return;
                            }
                            result
                        }
                    };
                    if let Some(answer) = lock(&answer).take() {
                        // The waiting task may be gone.
                        let _ = answer.send(result);
                    }
                });
            }
        });
        // A lost message shows only as a missed deadline.
        let answered = async {
            match answered.await {
                Ok(result) => result,
                Err(_) => std::future::pending().await,
            }
        };
        match tokio::time::timeout(ttl, answered).await {
            Ok(result) => result,
            Err(_) => Err(RPCError::Network(NetworkError::new(&Late))),
        }
    }

    /// Sends the peer's answer and waits until it arrives. Returns whether it did.
    async fn answer(&self, class: MessageKind, cause: MessageId) -> bool {
        let (from, to) = (host_id(self.target), self.host.id());
        let sending = Sending { from, to, class, cause: Some(cause), payload: &[], place: None };
        // The first copy is enough: the caller takes one answer.
        let (_, mut arrivals) = send(self.host.fabric(), sending, Policy::Datagram);
        matches!(arrivals.recv().await, Some(Arrival::Handled))
    }

    async fn call<Q, T, E>(
        &self,
        request: Q,
        option: RPCOption,
        call: Call<C, F::Network, Q, T, E>,
    ) -> RpcResult<C, T, E>
    where
        E: std::error::Error,
    {
        let idle = lock(&self.idle).pop();
        let network = match idle {
            Some(network) => network,
            None => self.factory.lock().await.new_client(self.target, &self.node).await,
        };
        let (network, result) = call(network, request, option).await;
        lock(&self.idle).push(network);
        result
    }
}

impl<C: RaftTypeConfig<NodeId = u64>, F: RaftNetworkFactory<C>> RaftNetwork<C> for ChaosNetwork<C, F> {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<C>,
        option: RPCOption,
    ) -> RpcResult<C, AppendEntriesResponse<u64>, RaftError<u64>> {
        let call: Call<C, F::Network, _, _, _> = |mut network, request, option| {
            Box::pin(async move {
                let answer = network.append_entries(request, option).await;
                (network, answer)
            })
        };
        self.carry(MessageKind::AppendEntries, request, option, call).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<C>,
        option: RPCOption,
    ) -> RpcResult<C, InstallSnapshotResponse<u64>, RaftError<u64, InstallSnapshotError>> {
        let call: Call<C, F::Network, _, _, _> = |mut network, request, option| {
            Box::pin(async move {
                let answer = network.install_snapshot(request, option).await;
                (network, answer)
            })
        };
        self.carry(MessageKind::InstallSnapshot, request, option, call).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        option: RPCOption,
    ) -> RpcResult<C, VoteResponse<u64>, RaftError<u64>> {
        let call: Call<C, F::Network, _, _, _> = |mut network, request, option| {
            Box::pin(async move {
                let answer = network.vote(request, option).await;
                (network, answer)
            })
        };
        self.carry(MessageKind::Vote, request, option, call).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}
