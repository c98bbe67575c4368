//! Byte streams between hosts, for systems that bring their own protocol: HTTP, gRPC, a home-made one.
//!
//! A [`Stream`] behaves as a TCP connection does to the programs at its ends: bytes arrive once and in
//! order, or late, or never. What the network does to a segment shows itself as time: a lost one is sent
//! again after a retransmission time-out and holds up all that follow (head-of-line blocking); during a
//! cut the sender goes on trying, at doubling intervals, and the stream continues once the cut has ended.
//! A killed process closes its streams, as its kernel would. Connecting to a host whose process is down,
//! or to a port where nothing listens, is refused after a round trip; through a cut it hangs.
//!
//! Not modelled: congestion control, bandwidth, TIME_WAIT, keep-alive, loss of acknowledgements. The
//! kernel discards duplicates, so a fault that duplicates cannot act on a stream, and says so.

use super::fabric::{Decision, Fabric};
use super::{Host, lock};
use crate::rng;
use crate::trace::{HostId, MessageId, MessageKind, What};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// The first retransmission time-out of a segment (Linux's minimum); doubles with each try (RFC 6298, 5.5).
const RETRANSMIT: Duration = Duration::from_millis(200);
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

/// A port of a host.
type Port = (HostId, u16);

/// What the streams of a run share: who listens where, and every direction that is open.
#[derive(Default)]
pub(super) struct Streams {
    listeners: Mutex<BTreeMap<Port, Arc<Mutex<Backlog>>>>,
    pipes: Mutex<Vec<Weak<Mutex<Pipe>>>>,
}

#[derive(Default)]
struct Backlog {
    waiting: VecDeque<(u64, Stream)>,
    acceptor: Option<Waker>,
}

/// One direction of a connection.
struct Pipe {
    from: HostId,
    to: HostId,
    segments: VecDeque<Segment>,
    /// Bytes in `segments`.
    unread: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// From when on the writer knows that nobody reads.
    refused_ns: Option<u64>,
}

/// Bytes under way; none: the end of the stream.
struct Segment {
    bytes: Vec<u8>,
    /// How many of them were read.
    read: usize,
    message: MessageId,
    sent_ns: u64,
    /// When it can be read; `None` while it cannot get through.
    due_ns: Option<u64>,
    /// Whether its delivery was recorded.
    delivered: bool,
}

impl Streams {
    /// Looks at every open direction from `from` to `to`, and wakes its reader.
    fn each(&self, from: HostId, to: HostId, mut change: impl FnMut(&mut Pipe)) {
        let mut wakers = Vec::new();
        lock(&self.pipes).retain(|pipe| {
            let Some(pipe) = pipe.upgrade() else { return false };
            let mut pipe = lock(&pipe);
            if (pipe.from, pipe.to) == (from, to) {
                change(&mut pipe);
                wakers.extend(pipe.reader.take());
            }
            true
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The direction is cut: what has not arrived must be sent again.
    pub(super) fn cut(&self, fabric: &Fabric, from: HostId, to: HostId) {
        let now_ns = fabric.recorder().now_ns();
        self.each(from, to, |pipe| {
            for segment in pipe.segments.iter_mut().filter(|segment| segment.due_ns.is_some_and(|due| due > now_ns)) {
                segment.due_ns = None;
                fabric.recorder().record(from, What::Hold { to, message: segment.message });
            }
        });
    }

    /// The direction is open: what waited gets through at the sender's next try, `retransmitting` after a
    /// cut, or at once after a hold.
    pub(super) fn open(&self, fabric: &Fabric, from: HostId, to: HostId, retransmitting: bool) {
        let now_ns = fabric.recorder().now_ns();
        let latency_ns = fabric.one_way_ns(from, to);
        self.each(from, to, |pipe| {
            let waiting = || pipe.segments.iter().filter(|segment| segment.due_ns.is_none());
            let Some(oldest_ns) = waiting().map(|segment| segment.sent_ns).next() else { return };
            let leaves_ns = if retransmitting { next_try_ns(oldest_ns, now_ns) } else { now_ns };
            for segment in pipe.segments.iter_mut().filter(|segment| segment.due_ns.is_none()) {
                segment.due_ns = Some(leaves_ns + latency_ns);
            }
        });
    }
}

/// When a segment first sent at `sent_ns` is tried again, at or after `now_ns`.
fn next_try_ns(sent_ns: u64, now_ns: u64) -> u64 {
    let (mut at_ns, mut wait_ns) = (sent_ns, RETRANSMIT.as_nanos() as u64);
    while at_ns < now_ns {
        at_ns += wait_ns;
        wait_ns *= 2;
    }
    at_ns
}

/// A connection between two hosts. Reads and writes like a `TcpStream`; dropping it closes both directions.
pub struct Stream {
    fabric: Arc<Fabric>,
    local: HostId,
    peer: HostId,
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    arrival: Option<Pin<Box<Sleep>>>,
    is_shut: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} -> {})", self.fabric.name(self.local), self.fabric.name(self.peer))
    }
}

impl Stream {
    /// Both ends of a new connection.
    fn pair(fabric: &Arc<Fabric>, a: HostId, b: HostId) -> (Stream, Stream) {
        let pipe = |from, to| {
            let pipe = Arc::new(Mutex::new(Pipe {
                from,
                to,
                segments: VecDeque::new(),
                unread: 0,
                reader: None,
                writer: None,
                refused_ns: None,
            }));
            lock(&fabric.streams().pipes).push(Arc::downgrade(&pipe));
            pipe
        };
        let (there, back) = (pipe(a, b), pipe(b, a));
        let end = |local, peer, incoming: &Arc<_>, outgoing: &Arc<_>| Stream {
            fabric: fabric.clone(),
            local,
            peer,
            incoming: Arc::clone(incoming),
            outgoing: Arc::clone(outgoing),
            arrival: None,
            is_shut: false,
        };
        (end(a, b, &back, &there), end(b, a, &there, &back))
    }

    /// The host at the other end.
    pub fn peer(&self) -> HostId {
        self.peer
    }

    /// The name of the host at the other end.
    pub fn peer_name(&self) -> &str {
        self.fabric.name(self.peer)
    }

    /// Puts a segment (empty: the end of the stream) on its way.
    fn send(&self, bytes: &[u8]) {
        let (fabric, from, to) = (&self.fabric, self.local, self.peer);
        let recorder = fabric.recorder();
        let now_ns = recorder.now_ns();
        let message = recorder.next_message(from);
        let class = MessageKind::Segment;
        recorder.record(from, What::Send { to, message, class, cause: None, payload: rng::hash_bytes(0, bytes) });
        let Decision { fate, slowness_ns } = fabric.decide(from, to, class, None);
        if fate.duplicate_ns.is_some() {
            fabric.cannot_act("duplication cannot act on byte streams, whose receiver discards duplicates");
        }
        let retransmitted_ns = if fate.lost { RETRANSMIT.as_nanos() as u64 } else { 0 };
        let by_ns = retransmitted_ns + fate.delay_ns;
        if by_ns > 0 {
            recorder.record(from, What::Delay { to, message, by_ns });
        }
        let is_stuck = fabric.is_cut(from, to) || fabric.is_held(from, to);
        if is_stuck {
            recorder.record(from, What::Hold { to, message });
        }
        let due_ns = (!is_stuck).then(|| now_ns + fabric.one_way_ns(from, to) + slowness_ns + by_ns);
        let segment = Segment { bytes: bytes.to_vec(), read: 0, message, sent_ns: now_ns, due_ns, delivered: false };
        let reader = {
            let mut pipe = lock(&self.outgoing);
            pipe.unread += bytes.len();
            pipe.segments.push_back(segment);
            pipe.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    fn shut(&mut self) {
        if !std::mem::replace(&mut self.is_shut, true) {
            self.send(&[]);
        }
    }

    /// Why nothing more can be written, if so.
    fn is_refused(&self, pipe: &Pipe) -> bool {
        self.is_shut || pipe.refused_ns.is_some_and(|refused_ns| refused_ns <= self.fabric.recorder().now_ns())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let now_ns = this.fabric.recorder().now_ns();
            let due_ns = {
                let mut guard = lock(&this.incoming);
                let pipe = &mut *guard;
                pipe.reader = Some(context.waker().clone());
                let Some(segment) = pipe.segments.front_mut() else { return Poll::Pending };
                let Some(due_ns) = segment.due_ns else { return Poll::Pending };
                if due_ns <= now_ns {
                    if !std::mem::replace(&mut segment.delivered, true) {
                        let (message, class) = (segment.message, MessageKind::Segment);
                        this.fabric.recorder().record(this.local, What::Deliver { from: this.peer, message, class });
                    }
                    // The end of the stream stays in front: it is read again and again.
                    let piece = &segment.bytes[segment.read..];
                    let length = piece.len().min(buffer.remaining());
                    buffer.put_slice(&piece[..length]);
                    segment.read += length;
                    let is_consumed = !segment.bytes.is_empty() && segment.read == segment.bytes.len();
                    pipe.unread -= length;
                    if is_consumed {
                        pipe.segments.pop_front();
                    }
                    let writer = pipe.writer.take();
                    drop(guard);
                    writer.into_iter().for_each(Waker::wake);
                    return Poll::Ready(Ok(()));
                }
                due_ns
            };
            let arrival = tokio::time::sleep(Duration::from_nanos(due_ns - now_ns));
            let arrival = this.arrival.insert(Box::pin(arrival));
            if arrival.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
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
        // A cut swallows the reset: the writer then goes on into the void.
        let resets = !self.fabric.is_cut(self.local, self.peer);
        let latency_ns = self.fabric.one_way_ns(self.local, self.peer);
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
        let (ready_ns, stream) = poll_fn(|context| {
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
        let wait_ns = ready_ns.saturating_sub(self.fabric.recorder().now_ns());
        tokio::time::sleep(Duration::from_nanos(wait_ns)).await;
        stream
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.fabric.streams().listeners).remove(&self.at);
        // Closing what was not accepted may look at the listeners again.
        let waiting = std::mem::take(&mut lock(&self.backlog).waiting);
        drop(waiting);
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

    /// Connects to a port of a host, named as in scenario files (`n2`). During a cut this hangs, as it does
    /// in life: bound it with a time-out.
    ///
    /// # Errors
    /// `NotFound` if there is no such host, `ConnectionRefused` if nothing listens there, `TimedOut` after two
    /// minutes without an answer.
    pub async fn connect(&self, to: &str, port: u16) -> io::Result<Stream> {
        let fabric = self.fabric();
        let no_host = || io::Error::new(io::ErrorKind::NotFound, format!("no host is called `{to}`"));
        let (from, to) = (self.id(), fabric.host(to).ok_or_else(no_host)?);
        let mut wait = RETRANSMIT_CONNECT;
        for _ in 0..CONNECT_TRIES {
            let passes = |a, b| !fabric.is_cut(a, b) && !fabric.is_held(a, b);
            if passes(from, to) {
                let Decision { fate, slowness_ns } = fabric.decide(from, to, MessageKind::Segment, None);
                let latency_ns = fabric.one_way_ns(from, to) + slowness_ns + fate.delay_ns;
                tokio::time::sleep(Duration::from_nanos(latency_ns)).await;
                if !fate.lost && passes(to, from) {
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
        tokio::time::sleep(Duration::from_nanos(fabric.one_way_ns(to, from))).await;
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let backlog = backlog.ok_or_else(refused)?;
        let (own, other) = Stream::pair(fabric, from, to);
        let ready_ns = fabric.recorder().now_ns() + fabric.one_way_ns(from, to);
        let acceptor = {
            let mut backlog = lock(&backlog);
            if backlog.waiting.len() >= BACKLOG {
                return Err(refused());
            }
            backlog.waiting.push_back((ready_ns, other));
            backlog.acceptor.take()
        };
        acceptor.into_iter().for_each(Waker::wake);
        Ok(own)
    }
}
