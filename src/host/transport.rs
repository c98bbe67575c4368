//! Multiplexed calls between hosts.
//!
//! A call is a request frame and a reply frame, matched by number, over one connection per direction of calling. Once
//! it is sent, a frame belongs to its link and not to the caller's future: delayed or duplicated, it reaches the peer's
//! handler after the caller's deadline and after later frames. That is what reordering means. The caller sees a lost
//! frame only as a missed deadline; a late reply is discarded.

pub use super::call::{CallError, Handler, Incoming};

use super::carrier::{Body, Letter, Sent};
use super::fabric::{Fabric, Sending};
use super::link::{Flow, Policy};
use super::outside::{Call, Outside};
use super::{Host, lock, task};
use crate::trace::{DropReason, HostId, MessageKind, What};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a connection attempt may take beyond one round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// The first pause after a failed connection attempt; doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_millis(400);
/// Calls in a row that time out, with nothing received meanwhile, before a connection counts as dead.
const STRIKES: u32 = 2;

/// Where the requests that arrive at a process go.
type Requests = mpsc::UnboundedSender<(Letter, Arc<Request>)>;

/// The calls of one process. Cheap to clone.
#[derive(Clone)]
pub struct Transport {
    id: HostId,
    fabric: Arc<Fabric>,
    peers: Arc<Mutex<BTreeMap<HostId, Arc<Peer>>>>,
    next_call: Arc<AtomicU64>,
    /// Where requests go, once this process serves.
    requests: Arc<Mutex<Option<Requests>>>,
}

/// A request frame.
struct Request {
    connection: Flow,
    /// Matches the reply; unique per caller process.
    call: u64,
    place: Option<u64>,
    payload: Vec<u8>,
}

/// A reply frame.
struct Reply {
    call: u64,
    payload: Vec<u8>,
}

/// The end of a connection, as its caller learns it.
struct Farewell {
    connection: Flow,
}

impl Transport {
    /// The calls of a process on `id`.
    pub fn new(id: HostId, fabric: Arc<Fabric>) -> Transport {
        let next_call = Arc::new(AtomicU64::new(1));
        Transport { id, fabric, peers: Arc::default(), next_call, requests: Arc::default() }
    }

    /// Calls `to` and waits for its reply for at most `deadline`. `place` names the request (and its
    /// reply) to the chaos layer on client links: operation << 32 | attempt.
    ///
    /// # Errors
    /// See [`CallError`]: only `NotSent` is definite.
    pub async fn call(
        &self,
        to: HostId,
        kind: MessageKind,
        payload: Vec<u8>,
        deadline: Duration,
        place: Option<u64>,
    ) -> Result<Vec<u8>, CallError> {
        assert_ne!(to, self.id, "a host does not call itself");
        if let Some(Outside { wire, .. }) = self.fabric.outside() {
            return wire.call(Call { from: self.id, to, kind, payload, deadline }).await;
        }
        let peer = self.peer(to);
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        lock(&peer.state).waiting.insert(call, reply);
        // openraft drops the future of a call at a deadline of its own.
        let _forget = Forget { peer: &peer, call };
        let sent_ns = self.fabric.recorder().now_ns();
        let cause = task::cause();
        let sent = self.fabric.send(Sending { from: self.id, to, class: kind, cause, payload: &payload, place });
        peer.request(sent, |connection| Request { connection, call, place, payload });
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CallError::Broken),
            Err(_) => {
                peer.timed_out(sent_ns);
                Err(CallError::Deadline)
            }
        }
    }

    fn peer(&self, to: HostId) -> Arc<Peer> {
        let mut peers = lock(&self.peers);
        let new = || Arc::new(Peer { id: self.id, to, fabric: self.fabric.clone(), state: Mutex::default() });
        peers.entry(to).or_insert_with(new).clone()
    }

    /// Serves requests on this host until the process dies.
    ///
    /// # Errors
    /// When something serves there already.
    pub async fn serve(&self, handler: Handler) -> io::Result<()> {
        if let Some(Outside { wire, .. }) = self.fabric.outside() {
            return wire.serve(self.id, handler).await;
        }
        let (requests, mut queue) = mpsc::unbounded_channel();
        if lock(&self.requests).replace(requests).is_some() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.fabric.connections().serve(self.id);
        while let Some((letter, request)) = queue.recv().await {
            let Request { connection, call, place, payload } = Arc::try_unwrap(request)
                .unwrap_or_else(|shared| Request { payload: shared.payload.clone(), ..*shared });
            let answer = handler(Incoming { from: letter.from, kind: letter.class, payload });
            let transport = self.clone();
            task::spawn(task::current(), async move {
                if let Some(payload) = task::handling(letter.message, answer).await {
                    transport.reply(&letter, connection, place, Reply { call, payload });
                }
            });
        }
        Ok(())
    }

    fn reply(&self, request: &Letter, connection: Flow, place: Option<u64>, reply: Reply) {
        let (from, to, class) = (self.id, request.from, request.class.reply());
        let sending = Sending { from, to, class, cause: Some(request.message), payload: &reply.payload, place };
        let sent = self.fabric.send(sending);
        self.fabric.carry(sent, Policy::Frame(connection), Arc::new(reply));
    }
}

impl Body for Request {
    fn arrive(self: Arc<Self>, at: &Host, letter: &Letter) {
        let recorder = at.fabric().recorder();
        let requests = lock(&at.transport().requests).clone();
        match requests {
            Some(requests) => {
                recorder.record(letter.to, letter.delivered());
                // A process that no longer serves leaves requests unanswered.
                let _ = requests.send((*letter, self));
            }
            None => recorder.record(letter.from, letter.dropped(DropReason::Connection)),
        }
    }
}

impl Body for Reply {
    fn arrive(self: Arc<Self>, at: &Host, letter: &Letter) {
        let &Letter { from, to, message, class } = letter;
        let recorder = at.fabric().recorder();
        match at.transport().peer(from).received(self.call, recorder.now_ns()) {
            Some(reply) => {
                recorder.record(to, letter.delivered());
                let payload = Arc::try_unwrap(self).map_or_else(|shared| shared.payload.clone(), |reply| reply.payload);
                drop(reply.send(Ok(payload)));
            }
            None => recorder.record(to, What::Discard { from, message, class }),
        }
    }
}

impl Body for Farewell {
    fn arrive(self: Arc<Self>, at: &Host, letter: &Letter) {
        at.transport().peer(letter.from).closed(self.connection);
    }
}

/// Removes a call's entry however its future ends.
struct Forget<'a> {
    peer: &'a Peer,
    call: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.peer.state).waiting.remove(&self.call);
    }
}

/// Another host, as the callers of a process see it: one connection, opened when there is something to send.
struct Peer {
    id: HostId,
    to: HostId,
    fabric: Arc<Fabric>,
    state: Mutex<PeerState>,
}

#[derive(Default)]
struct PeerState {
    /// Calls that wait for a reply.
    waiting: BTreeMap<u64, oneshot::Sender<Result<Vec<u8>, CallError>>>,
    connection: Connection,
    /// The pause after the last failed attempt, and until when it lasts.
    backoff: Duration,
    refuses_until_ns: u64,
    last_received_ns: u64,
    strikes: u32,
}

#[derive(Default, Clone, PartialEq, Eq)]
enum Connection {
    #[default]
    None,
    /// Being opened, with the calls whose requests wait for it.
    Opening(Flow, Vec<u64>),
    Open(Flow),
}

impl Peer {
    /// Sends a request on the connection, which is opened if there is none.
    fn request(self: &Arc<Peer>, sent: Sent, request: impl FnOnce(Flow) -> Request) {
        let mut state = lock(&self.state);
        let connection = match &state.connection {
            Connection::Open(flow) | Connection::Opening(flow, _) => *flow,
            Connection::None => self.fabric.connections().next(),
        };
        let request = request(connection);
        let (call, is_lost) = (request.call, sent.fate.lost);
        // A frame that chaos loses needs no connection: its sender cannot notice the loss.
        let may_connect = !is_lost && self.fabric.recorder().now_ns() >= state.refuses_until_ns;
        if state.connection == Connection::None && may_connect {
            state.connection = Connection::Opening(connection, Vec::new());
            self.fabric.carrier().opening(self.id, self.to, connection);
            task::spawn(task::current(), self.clone().connect(connection));
        }
        let refused = match &mut state.connection {
            Connection::Opening(_, calls) if !is_lost => {
                calls.push(call);
                None
            }
            Connection::None if !is_lost => state.waiting.remove(&call),
            _ => None,
        };
        drop(state);
        self.fabric.carry(sent, Policy::Frame(connection), Arc::new(request));
        refused.map(|reply| reply.send(Err(CallError::NotSent)));
    }

    async fn connect(self: Arc<Peer>, flow: Flow) {
        let timeout = CONNECT_TIMEOUT + self.fabric.round_trip(self.id, self.to);
        let farewell = Arc::new(Farewell { connection: flow });
        let connected = self.fabric.connect((self.id, self.to), flow, timeout, farewell).await;
        let now_ns = self.fabric.recorder().now_ns();
        let refused = {
            let mut state = lock(&self.state);
            match connected {
                Ok(()) => {
                    (state.connection, state.backoff) = (Connection::Open(flow), Duration::ZERO);
                    (state.last_received_ns, state.strikes) = (now_ns, 0);
                    return;
                }
                Err(_) => {
                    state.backoff = (state.backoff * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
                    state.refuses_until_ns = now_ns + state.backoff.as_nanos() as u64;
                    match std::mem::take(&mut state.connection) {
                        Connection::Opening(_, calls) => {
                            calls.iter().filter_map(|call| state.waiting.remove(call)).collect()
                        }
                        _ => Vec::new(),
                    }
                }
            }
        };
        self.fabric.carrier().abandon(self.id, self.to, flow);
        refused.into_iter().for_each(|reply| drop(reply.send(Err(CallError::NotSent))));
    }

    /// A call timed out. If nothing was received since it was sent, the connection is suspect: a cut leaves a
    /// connection silent and never closes it, so the caller has to detect it.
    fn timed_out(&self, sent_ns: u64) {
        let given_up = {
            let mut state = lock(&self.state);
            if state.last_received_ns >= sent_ns {
                return;
            }
            state.strikes += 1;
            match state.connection {
                Connection::Open(flow) if state.strikes >= STRIKES => flow,
                _ => return,
            }
        };
        self.closed(given_up);
    }

    /// The channel of the caller that waits for the reply to this call, which has arrived.
    fn received(&self, call: u64, now_ns: u64) -> Option<oneshot::Sender<Result<Vec<u8>, CallError>>> {
        let mut state = lock(&self.state);
        (state.last_received_ns, state.strikes) = (now_ns, 0);
        state.waiting.remove(&call)
    }

    /// A connection is gone: every call that waits for a reply on it ends.
    fn closed(&self, flow: Flow) {
        let broken = {
            let mut state = lock(&self.state);
            if state.connection != Connection::Open(flow) {
                return;
            }
            (state.connection, state.strikes) = (Connection::None, 0);
            std::mem::take(&mut state.waiting)
        };
        self.fabric.hang_up(self.id, self.to, flow);
        broken.into_values().for_each(|reply| drop(reply.send(Err(CallError::Broken))));
    }
}

impl Host {
    /// Serves requests until the process dies; see [`Transport::serve`].
    ///
    /// # Errors
    /// When something serves on this host already.
    pub async fn serve(&self, handler: Handler) -> io::Result<()> {
        self.transport().serve(handler).await
    }
}
