//! Faults around any `RaftNetwork`, for openraft applications that bring their own.
//!
//! Each RPC is carried as a message of the simulated network: it takes the link's time, and is lost, delayed past
//! later ones, doubled, held or cut as the faults say, and so is its answer. Only a message that arrives reaches the
//! wrapped network, whose call is then made as if by the receiver, at once: so the wrapped network should hand the
//! RPC straight to the target's `Raft`, as the in-process routers of tests and examples do. One that speaks over
//! [`crate::host::stream`] has these faults already and needs no wrapper.
//!
//! A message belongs to the network once it is sent: it is delivered though its sender has stopped waiting.

use super::types::host_id;
use crate::host::fabric::{Decision, Fabric};
use crate::host::{Host, lock};
use crate::rng;
use crate::trace::{Drop, HostId, MessageId, MessageKind, What};
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
use tokio::sync::oneshot;

/// openraft's pause before it calls an unreachable node again.
const BACKOFF: Duration = Duration::from_millis(200);

/// Makes networks whose messages the faults reach.
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
    /// Wrapped networks that carry nothing at the moment: calls overlap, and each needs one.
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

type Answer<C, T, E> = Result<T, RPCError<u64, <C as RaftTypeConfig>::Node, E>>;
/// A call of the wrapped network, which it gives back.
type Call<C, N, Q, T, E> = fn(N, Q, RPCOption) -> Pin<Box<dyn Future<Output = (N, Answer<C, T, E>)>>>;

/// No answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
struct Late;

/// The peer's host answers that no process listens.
#[derive(Debug, thiserror::Error)]
#[error("the peer's process is down")]
struct Refused;

/// One direction between two hosts, for messages of one kind.
#[derive(Clone)]
struct Way {
    fabric: Arc<Fabric>,
    from: HostId,
    to: HostId,
    kind: MessageKind,
}

/// What became of a message.
enum Arrival {
    Handled,
    Lost,
    /// Its receiver's process is down.
    Refused,
}

impl Way {
    /// The way of the answer.
    fn back(&self) -> Way {
        Way { fabric: self.fabric.clone(), from: self.to, to: self.from, kind: self.kind.reply() }
    }

    /// Sends a message: its id, and how much later than usual each copy of it arrives.
    fn send(&self, bytes: &[u8], cause: Option<MessageId>) -> (MessageId, Vec<Duration>) {
        let (recorder, from, to, class) = (self.fabric.recorder(), self.from, self.to, self.kind);
        let message = recorder.next_message(from);
        recorder.record(from, What::Send { to, message, class, cause, payload: rng::hash_bytes(0, bytes) });
        let Decision { fate, slowness_ns } = self.fabric.decide(from, to, class, None);
        if fate.lost {
            recorder.record(from, What::Drop { to, message, class, reason: Drop::Loss });
            return (message, Vec::new());
        }
        if fate.delay_ns > 0 {
            recorder.record(from, What::Delay { to, message, by_ns: fate.delay_ns });
        }
        if let Some(by_ns) = fate.duplicate_ns {
            recorder.record(from, What::Duplicate { to, message, by_ns });
        }
        let delays = std::iter::once(fate.delay_ns).chain(fate.duplicate_ns);
        (message, delays.map(|ns| Duration::from_nanos(ns + slowness_ns)).collect())
    }

    /// Waits for a message to arrive.
    async fn arrive(&self, message: MessageId, delay: Duration) -> Arrival {
        let (recorder, from, to, class) = (self.fabric.recorder(), self.from, self.to, self.kind);
        let dropped = |reason| recorder.record(from, What::Drop { to, message, class, reason });
        let is_cut = self.fabric.is_cut(from, to);
        if !is_cut {
            self.fabric.released(from, to, message).await;
            tokio::time::sleep(delay + Duration::from_nanos(self.fabric.one_way_ns(from, to))).await;
        }
        if is_cut || self.fabric.is_cut(from, to) {
            dropped(Drop::Cut);
            return Arrival::Lost;
        }
        if self.fabric.is_down(to) {
            dropped(Drop::Crash);
            return Arrival::Refused;
        }
        recorder.record(to, What::Deliver { from, message, class });
        Arrival::Handled
    }

    /// Sends an answer and waits for it; whether it arrived.
    async fn answer(&self, cause: MessageId) -> bool {
        let (message, delays) = self.send(&[], Some(cause));
        // The first copy is enough: whoever waits takes one answer.
        match delays.into_iter().min() {
            Some(delay) => matches!(self.arrive(message, delay).await, Arrival::Handled),
            None => false,
        }
    }
}

impl<C: RaftTypeConfig<NodeId = u64>, F: RaftNetworkFactory<C>> ChaosNetwork<C, F> {
    async fn carry<Q, T, E>(
        &self,
        kind: MessageKind,
        request: Q,
        option: RPCOption,
        call: Call<C, F::Network, Q, T, E>,
    ) -> Answer<C, T, E>
    where
        Q: Serialize + DeserializeOwned + OptionalSend + 'static,
        T: OptionalSend + 'static,
        E: std::error::Error + OptionalSend + 'static,
    {
        let bytes = postcard::to_stdvec(&request).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        let (from, to) = (self.host.id(), host_id(self.target));
        let way = Way { fabric: self.host.fabric().clone(), from, to, kind };
        let (message, delays) = way.send(&bytes, None);
        let (answer, answered) = oneshot::channel();
        // The first answer counts, as with any network that numbers its requests.
        let answer = Arc::new(Mutex::new(Some(answer)));
        for delay in delays {
            let (this, way, answer) = (self.clone(), way.clone(), answer.clone());
            let (bytes, option) = (bytes.clone(), option.clone());
            self.host.spawn(async move {
                let result = match way.arrive(message, delay).await {
                    Arrival::Lost => return,
                    Arrival::Refused => Err(RPCError::Unreachable(Unreachable::new(&Refused))),
                    Arrival::Handled => {
                        let copy = postcard::from_bytes(&bytes).expect("what was encoded decodes");
                        let result = this.call(copy, option, call).await;
                        if !way.back().answer(message).await {
                            return;
                        }
                        result
                    }
                };
                if let Some(answer) = lock(&answer).take() {
                    // Nobody may be waiting any more.
                    let _ = answer.send(result);
                }
            });
        }
        drop(answer);
        // What is lost shows itself as a deadline only.
        let answered = async {
            match answered.await {
                Ok(result) => result,
                Err(_) => std::future::pending().await,
            }
        };
        match tokio::time::timeout(option.soft_ttl(), answered).await {
            Ok(result) => result,
            Err(_) => Err(RPCError::Network(NetworkError::new(&Late))),
        }
    }

    async fn call<Q, T, E>(&self, request: Q, option: RPCOption, call: Call<C, F::Network, Q, T, E>) -> Answer<C, T, E>
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
    ) -> Answer<C, AppendEntriesResponse<u64>, RaftError<u64>> {
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
    ) -> Answer<C, InstallSnapshotResponse<u64>, RaftError<u64, InstallSnapshotError>> {
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
    ) -> Answer<C, VoteResponse<u64>, RaftError<u64>> {
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
