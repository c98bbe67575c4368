//! Byte streams between hosts, for systems that bring their own protocol: HTTP, gRPC, a home-made one.
//!
//! To the programs at its ends a [`Stream`] behaves as a TCP connection does: bytes arrive once and in order, or late,
//! or never. What the network does to a segment shows as time. A lost segment is sent again after a retransmission
//! time-out and holds up all that follow (head-of-line blocking). During a cut the sender goes on trying, at doubling
//! intervals, and the stream continues once the cut has ended. A killed process closes its streams, as its kernel
//! would. Connecting to a host whose process is down, or to a port without a listener, is refused after a round trip;
//! during a cut it hangs.
//!
//! Not modelled: congestion control, bandwidth, TIME_WAIT, keep-alive, loss of acknowledgements. The kernel discards
//! duplicates, so a fault that duplicates has no effect on a stream, and is reported as such.

use super::carrier::{Body, Letter};
use super::fabric::{Fabric, Sending};
use super::link::{Flow, Policy};
use super::pipe::{Arrived, Backlog, Pending, Pipe, Port};
use super::{Host, lock};
use crate::trace::{HostId, MessageKind};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first retransmission time-out of a connection attempt (RFC 6298, 2.1); doubles with each try.
const RETRANSMIT_CONNECT: Duration = Duration::from_secs(1);
/// Connection attempts before a connect fails with `TimedOut` (Linux: 6 retries, about two minutes).
const CONNECT_TRIES: u32 = 7;
/// Bytes written and not yet read, per direction, before a writer has to wait.
const WINDOW: usize = 65_536;
/// The longest piece that is sent as one segment.
const SEGMENT: usize = 16_384;
/// Connections that wait to be accepted before further ones are refused.
const BACKLOG: usize = 128;

/// Bytes under way.
struct Segment {
    pipe: Arc<Mutex<Pipe>>,
    number: u64,
    bytes: Vec<u8>,
}

impl Body for Segment {
    fn arrive(self: Arc<Self>, _: &Host, letter: &Letter) {
        let (pipe, number) = (self.pipe.clone(), self.number);
        let bytes = Arc::try_unwrap(self).map_or_else(|shared| shared.bytes.clone(), |segment| segment.bytes);
        let reader = {
            let mut pipe = lock(&pipe);
            pipe.arrived.insert(number, Arrived { bytes, read: 0, letter: *letter, is_delivered: false });
            if number == pipe.read { pipe.reader.take() } else { None }
        };
        reader.into_iter().for_each(Waker::wake);
    }
}

/// A connection between two hosts. Reads and writes like a `TcpStream`; dropping it closes both directions.
pub struct Stream {
    fabric: Arc<Fabric>,
    local: HostId,
    peer: HostId,
    flow: Flow,
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    is_shut: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} -> {})", self.fabric.name(self.local), self.fabric.name(self.peer))
    }
}

impl Stream {
    /// The end of a connection that was accepted at `local`.
    fn accepted(fabric: &Arc<Fabric>, local: HostId, pending: Pending) -> Stream {
        let Pending { caller: peer, flow, incoming, outgoing, .. } = pending;
        Stream { fabric: fabric.clone(), local, peer, flow, incoming, outgoing, is_shut: false }
    }

    /// The host at the other end.
    pub fn peer(&self) -> HostId {
        self.peer
    }

    /// The name of the connection, the same at both ends.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// The name of the host at the other end.
    pub fn peer_name(&self) -> &str {
        self.fabric.name(self.peer)
    }

    /// Puts a segment (empty: the end of the stream) on its way.
    fn send(&self, bytes: &[u8]) {
        let (from, to, class) = (self.local, self.peer, MessageKind::Segment);
        let sent = self.fabric.send(Sending { from, to, class, cause: None, payload: bytes, place: None });
        if sent.fate.duplicate_ns.is_some() {
            self.fabric.cannot_act("duplication cannot act on byte streams, whose receiver discards duplicates");
        }
        let number = {
            let mut pipe = lock(&self.outgoing);
            pipe.unread += bytes.len();
            pipe.sent += 1;
            pipe.sent - 1
        };
        let segment = Segment { pipe: self.outgoing.clone(), number, bytes: bytes.to_vec() };
        self.fabric.carry(sent, Policy::Segment(self.flow), Arc::new(segment));
    }

    fn shut(&mut self) {
        if !std::mem::replace(&mut self.is_shut, true) {
            self.send(&[]);
        }
    }

    /// The error with which writes fail, if they do.
    fn is_refused(&self, pipe: &Pipe) -> bool {
        self.is_shut || pipe.refused_ns.is_some_and(|refused_ns| refused_ns <= self.fabric.recorder().now_ns())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let writer = {
            let mut guard = lock(&this.incoming);
            let pipe = &mut *guard;
            let Some(segment) = pipe.arrived.get_mut(&pipe.read) else {
                pipe.reader = Some(context.waker().clone());
                return Poll::Pending;
            };
            if !std::mem::replace(&mut segment.is_delivered, true) {
                this.fabric.recorder().record(this.local, segment.letter.delivered());
            }
            let piece = &segment.bytes[segment.read..];
            let length = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..length]);
            segment.read += length;
            pipe.unread -= length;
            // The end of the stream stays in front: every later read finds it again.
            if !segment.bytes.is_empty() && segment.read == segment.bytes.len() {
                pipe.arrived.remove(&pipe.read);
                pipe.read += 1;
            }
            pipe.writer.take()
        };
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = {
            let mut pipe = lock(&self.outgoing);
            if self.is_refused(&pipe) {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if pipe.unread >= WINDOW {
                pipe.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            WINDOW - pipe.unread
        };
        let length = bytes.len().min(SEGMENT).min(room);
        if length > 0 {
            self.send(&bytes[..length]);
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().shut();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shut();
        // A cut swallows the reset: the writer then goes on, and never learns of it.
        let resets = !self.fabric.is_cut(self.local, self.peer);
        let latency_ns = self.fabric.one_way(self.local, self.peer).as_nanos() as u64;
        let mut pipe = lock(&self.incoming);
        pipe.refused_ns = resets.then(|| self.fabric.recorder().now_ns() + latency_ns);
        let writer = pipe.writer.take();
        drop(pipe);
        writer.into_iter().for_each(Waker::wake);
    }
}

/// Accepts connections on one port of a host.
pub struct Listener {
    fabric: Arc<Fabric>,
    at: Port,
    backlog: Arc<Mutex<Backlog>>,
}

impl Listener {
    /// The next connection.
    pub async fn accept(&self) -> Stream {
        let pending = poll_fn(|context| {
            let mut backlog = lock(&self.backlog);
            match backlog.waiting.pop_front() {
                Some(waiting) => Poll::Ready(waiting),
                None => {
                    backlog.acceptor = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        let wait_ns = pending.ready_ns.saturating_sub(self.fabric.recorder().now_ns());
        let stream = Stream::accepted(&self.fabric, self.at.0, pending);
        tokio::time::sleep(Duration::from_nanos(wait_ns)).await;
        stream
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.fabric.streams().listeners).remove(&self.at);
        // Closing a connection that was not accepted may look at the listeners again.
        let waiting = std::mem::take(&mut lock(&self.backlog).waiting);
        for pending in waiting {
            drop(Stream::accepted(&self.fabric, self.at.0, pending));
        }
    }
}

impl Host {
    /// Listens on a port of this host.
    ///
    /// # Errors
    /// `AddrInUse` when something listens there already.
    pub fn listen(&self, port: u16) -> io::Result<Listener> {
        let at = (self.id(), port);
        let mut listeners = lock(&self.fabric().streams().listeners);
        if listeners.contains_key(&at) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{} listens on {port} already", self.name())));
        }
        let backlog = Arc::<Mutex<Backlog>>::default();
        listeners.insert(at, backlog.clone());
        Ok(Listener { fabric: self.fabric().clone(), at, backlog })
    }

    /// Connects to a port of a host, named as in scenario files (`n2`). During a cut this hangs, as a real connection
    /// does: bound it with a time-out.
    ///
    /// # Errors
    /// `NotFound` if there is no such host, `ConnectionRefused` if nothing listens there, `TimedOut` after two minutes
    /// without an answer.
    pub async fn connect(&self, to: &str, port: u16) -> io::Result<Stream> {
        let fabric = self.fabric();
        let no_host = || io::Error::new(io::ErrorKind::NotFound, format!("no host is called `{to}`"));
        let (from, to) = (self.id(), fabric.host(to).ok_or_else(no_host)?);
        let mut wait = RETRANSMIT_CONNECT;
        for _ in 0..CONNECT_TRIES {
            if fabric.is_open(from, to) {
                let (fate, jitter_ns) = fabric.decide(from, to, MessageKind::Segment, None);
                let extra_ns = fabric.with_active(|active| active.link(from, to).extra_ns) + jitter_ns + fate.delay_ns;
                tokio::time::sleep(fabric.one_way(from, to) + Duration::from_nanos(extra_ns)).await;
                if !fate.lost && fabric.is_open(to, from) {
                    return self.shake_hands(to, port).await;
                }
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// The rest of a connection attempt that has reached `to`.
    async fn shake_hands(&self, to: HostId, port: u16) -> io::Result<Stream> {
        let (fabric, from) = (self.fabric(), self.id());
        let backlog = lock(&fabric.streams().listeners).get(&(to, port)).cloned();
        tokio::time::sleep(fabric.one_way(to, from)).await;
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let backlog = backlog.ok_or_else(refused)?;
        let flow = fabric.connections().next();
        let (there, back) = (Arc::<Mutex<Pipe>>::default(), Arc::<Mutex<Pipe>>::default());
        let ready_ns = fabric.recorder().now_ns() + fabric.one_way(from, to).as_nanos() as u64;
        let acceptor = {
            let mut backlog = lock(&backlog);
            if backlog.waiting.len() >= BACKLOG {
                return Err(refused());
            }
            let (incoming, outgoing) = (there.clone(), back.clone());
            backlog.waiting.push_back(Pending { ready_ns, caller: from, flow, incoming, outgoing });
            backlog.acceptor.take()
        };
        acceptor.into_iter().for_each(Waker::wake);
        let fabric = fabric.clone();
        Ok(Stream { fabric, local: from, peer: to, flow, incoming: back, outgoing: there, is_shut: false })
    }
}
