//! Multiplexed calls between hosts.
//!
//! A call is a request frame and a reply frame, matched by id over one connection per direction of
//! calling. A frame that the fabric delays or doubles is owned by the transport, not by the caller's
//! future: it reaches the peer's handler after the caller's deadline and after later frames. That is
//! what reordering means. A lost frame shows itself to the caller only as a deadline; a late reply is
//! discarded.

use super::fabric::{Decision, Fabric, StreamId};
use super::sockets::{self, Listener, ReadHalf, WriteHalf};
use super::wire::{self, FrameReader, Header};
use super::{Host, lock, task};
use crate::trace::{Drop as DropReason, HostId, MessageId, MessageKind, What};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot, watch};

/// How long a connection attempt may take beyond one round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// The first pause after a failed connection attempt; doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_millis(400);
/// Calls in a row that time out, with nothing received meanwhile, before a connection counts as dead.
const STRIKES: u32 = 2;

/// Why a call has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request was never written to a connection: it cannot have reached the peer.
    #[error("the peer could not be reached")]
    NotSent,
    /// No reply in time. The peer may have handled the request, or may yet handle it.
    #[error("no reply in time")]
    Deadline,
    /// The connection broke after the request was written. The peer may have handled it.
    #[error("the connection broke")]
    Broken,
}

/// A request as a handler sees it.
#[derive(Debug)]
pub struct Incoming {
    /// The caller.
    pub from: HostId,
    /// What it asks for.
    pub kind: MessageKind,
    /// The request's payload.
    pub payload: Vec<u8>,
}

/// Answers requests; `None` sends no reply, as if the request had not arrived.
pub type Handler = Rc<dyn Fn(Incoming) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>>>>>;

type Waiting = Mutex<BTreeMap<u64, oneshot::Sender<Result<Vec<u8>, CallError>>>>;

/// The calls of one process. Cheap to clone.
#[derive(Clone)]
pub struct Transport {
    id: HostId,
    fabric: Arc<Fabric>,
    links: Arc<Mutex<BTreeMap<HostId, Arc<Link>>>>,
    next_call: Arc<AtomicU64>,
}

/// The connection to one peer, as its callers see it.
struct Link {
    queue: mpsc::UnboundedSender<Outgoing>,
    waiting: Waiting,
    health: Mutex<Health>,
    /// Bumped to make the link task give the connection up.
    give_up: watch::Sender<u64>,
}

#[derive(Default)]
struct Health {
    last_received_ns: u64,
    strikes: u32,
}

/// A copy of a frame on its way to a connection.
struct Outgoing {
    message: MessageId,
    frame: Vec<u8>,
    /// The call that fails if this frame cannot be written: none if another copy may still arrive.
    sole_copy_of: Option<u64>,
}

impl Transport {
    /// The calls of a process on `id`.
    pub fn new(id: HostId, fabric: Arc<Fabric>) -> Transport {
        Transport { id, fabric, links: Arc::default(), next_call: Arc::new(AtomicU64::new(1)) }
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
        let link = self.link(to);
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        lock(&link.waiting).insert(call, reply);
        // openraft drops the future of a call at its own deadline.
        let _forget = Forget { waiting: &link.waiting, call };
        let sent_ns = self.fabric.recorder().now_ns();
        let message = self.fabric.recorder().next_message(self.id);
        let header = Header { call, is_reply: false, kind, message, place };
        let queue = link.queue.clone();
        self.dispatch(to, header, &payload, task::cause(), move |frame| drop(queue.send(frame)));
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CallError::Broken),
            Err(_) => {
                link.timed_out(sent_ns);
                Err(CallError::Deadline)
            }
        }
    }

    /// Sends a frame through the fabric: `push` gets each copy when its delay is over.
    fn dispatch(
        &self,
        to: HostId,
        header: Header,
        payload: &[u8],
        cause: Option<MessageId>,
        push: impl Fn(Outgoing) + Clone + 'static,
    ) {
        let (fabric, from, message, class) = (&self.fabric, self.id, header.message, header.kind);
        let recorder = fabric.recorder();
        let payload_hash = crate::rng::hash_bytes(0, payload);
        recorder.record(from, What::Send { to, message, class, cause, payload: payload_hash });
        let Decision { fate, slowness_ns } = fabric.decide(from, to, class, header.place);
        if fate.lost {
            recorder.record(from, What::Drop { to, message, class, reason: DropReason::Loss });
            return;
        }
        if fate.delay_ns > 0 {
            recorder.record(from, What::Delay { to, message, by_ns: fate.delay_ns });
        }
        if let Some(by_ns) = fate.duplicate_ns {
            recorder.record(from, What::Duplicate { to, message, by_ns });
        }
        let frame = wire::encode(&header, payload);
        let sole_copy_of = (fate.duplicate_ns.is_none() && !header.is_reply).then_some(header.call);
        let frames = std::iter::repeat_n(frame, 1 + usize::from(fate.duplicate_ns.is_some()));
        for (delay_ns, frame) in std::iter::once(fate.delay_ns).chain(fate.duplicate_ns).zip(frames) {
            fabric.depart(from, to, message, class);
            let copy = Outgoing { message, frame, sole_copy_of };
            let delay = Duration::from_nanos(delay_ns + slowness_ns);
            if delay.is_zero() && !fabric.is_held(from, to) {
                push(copy);
            } else {
                let (fabric, push) = (fabric.clone(), push.clone());
                task::spawn(task::current(), async move {
                    tokio::time::sleep(delay).await;
                    fabric.released(from, to, message).await;
                    push(copy);
                });
            }
        }
    }

    fn link(&self, to: HostId) -> Arc<Link> {
        let mut links = lock(&self.links);
        let link = links.entry(to).or_insert_with(|| {
            let (queue, frames) = mpsc::unbounded_channel();
            let (give_up, given_up) = watch::channel(0);
            let link = Arc::new(Link { queue, waiting: Waiting::default(), health: Mutex::default(), give_up });
            let task = LinkTask { id: self.id, to, fabric: self.fabric.clone(), link: link.clone(), frames, given_up };
            task::spawn(task::current(), task.run());
            link
        });
        link.clone()
    }

    /// Serves requests on this node's port until the process dies.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn serve(&self, handler: Handler) -> io::Result<()> {
        let listener = Listener::bind().await?;
        loop {
            let (read, write) = listener.accept().await?;
            task::spawn(task::current(), self.clone().serve_connection(read, write, handler.clone()));
        }
    }

    async fn serve_connection(self, read: ReadHalf, write: WriteHalf, handler: Handler) {
        let mut reader = FrameReader::new(read);
        // The peer is known from its first frame.
        let Ok(Some(mut frame)) = reader.next().await else { return };
        let peer = frame.0.message.host;
        let stream = self.fabric.open_stream(self.id, peer);
        let (replies, queue) = mpsc::unbounded_channel();
        task::spawn(task::current(), write_replies(self.fabric.clone(), stream, write, queue));
        loop {
            let (header, payload) = frame;
            let (message, class) = (header.message, header.kind);
            self.fabric.arrived(peer, self.id, message);
            self.fabric.recorder().record(self.id, What::Deliver { from: peer, message, class });
            let answer = handler(Incoming { from: peer, kind: class, payload });
            let (transport, replies) = (self.clone(), replies.clone());
            task::spawn(task::current(), async move {
                let Some(payload) = task::handling(message, answer).await else { return };
                let reply_message = transport.fabric.recorder().next_message(transport.id);
                let header = Header { is_reply: true, kind: class.reply(), message: reply_message, ..header };
                transport.dispatch(peer, header, &payload, Some(message), move |frame| drop(replies.send(frame)));
            });
            match reader.next().await {
                Ok(Some(next)) => frame = next,
                Ok(None) | Err(_) => break,
            }
        }
    }
}

async fn write_replies(
    fabric: Arc<Fabric>,
    stream: StreamId,
    mut write: WriteHalf,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
) {
    while let Some(Outgoing { message, frame, .. }) = queue.recv().await {
        fabric.write(stream, message);
        if write.write_all(&frame).await.is_err() {
            break;
        }
    }
    fabric.close_stream(stream);
}

/// Removes a call's entry however its future ends.
struct Forget<'a> {
    waiting: &'a Waiting,
    call: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(self.waiting).remove(&self.call);
    }
}

impl Link {
    /// A call timed out: if nothing was received since it was sent, the connection is suspect. A cut
    /// leaves a TCP connection silent, never closed, so somebody has to notice.
    fn timed_out(&self, sent_ns: u64) {
        let mut health = lock(&self.health);
        if health.last_received_ns >= sent_ns {
            return;
        }
        health.strikes += 1;
        if health.strikes >= STRIKES {
            health.strikes = 0;
            self.give_up.send_modify(|generation| *generation += 1);
        }
    }

    fn received(&self, now_ns: u64) {
        *lock(&self.health) = Health { last_received_ns: now_ns, strikes: 0 };
    }

    /// Ends every call that waits for a reply on a connection that is gone.
    fn fail_all(&self, error: CallError) {
        for (_, reply) in std::mem::take(&mut *lock(&self.waiting)) {
            drop(reply.send(Err(error)));
        }
    }
}

/// Keeps a connection to one peer while there is something to send.
struct LinkTask {
    id: HostId,
    to: HostId,
    fabric: Arc<Fabric>,
    link: Arc<Link>,
    frames: mpsc::UnboundedReceiver<Outgoing>,
    given_up: watch::Receiver<u64>,
}

impl LinkTask {
    async fn run(mut self) {
        let mut backoff = BACKOFF_MIN;
        while let Some(first) = self.frames.recv().await {
            let timeout = CONNECT_TIMEOUT + self.fabric.round_trip(self.id, self.to);
            match sockets::connect(&self.fabric, self.id, self.to, timeout).await {
                Ok((read, write)) => {
                    backoff = BACKOFF_MIN;
                    self.carry(first, read, write).await;
                }
                Err(_) => {
                    self.fail(first);
                    self.refuse_for(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Writes frames until the connection is closed, broken or given up.
    async fn carry(&mut self, first: Outgoing, read: ReadHalf, mut write: WriteHalf) {
        let stream = self.fabric.open_stream(self.id, self.to);
        self.given_up.mark_unchanged();
        *lock(&self.link.health) = Health { last_received_ns: self.fabric.recorder().now_ns(), strikes: 0 };
        let (closed, mut is_closed) = oneshot::channel::<()>();
        let reader = task::spawn(
            task::current(),
            receive_replies(self.id, self.to, self.fabric.clone(), self.link.clone(), read, closed),
        );
        let mut next = Some(first);
        loop {
            if let Some(Outgoing { message, frame, .. }) = next.take() {
                self.fabric.write(stream, message);
                if write.write_all(&frame).await.is_err() {
                    break;
                }
            }
            tokio::select! {
                biased;
                _ = &mut is_closed => break,
                _ = self.given_up.changed() => break,
                frame = self.frames.recv() => match frame {
                    Some(frame) => next = Some(frame),
                    None => break,
                },
            }
        }
        reader.abort();
        self.fabric.close_stream(stream);
        self.link.fail_all(CallError::Broken);
    }

    /// Fails every frame that comes during a pause, so that callers do not wait for nothing.
    async fn refuse_for(&mut self, pause: Duration) {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                biased;
                () = &mut pause => break,
                frame = self.frames.recv() => match frame {
                    Some(frame) => self.fail(frame),
                    None => break,
                },
            }
        }
        while let Ok(frame) = self.frames.try_recv() {
            self.fail(frame);
        }
    }

    fn fail(&self, frame: Outgoing) {
        self.fabric.unsent(self.id, self.to, frame.message);
        let waiting = frame.sole_copy_of.and_then(|call| lock(&self.link.waiting).remove(&call));
        if let Some(reply) = waiting {
            drop(reply.send(Err(CallError::NotSent)));
        }
    }
}

async fn receive_replies(
    id: HostId,
    from: HostId,
    fabric: Arc<Fabric>,
    link: Arc<Link>,
    read: ReadHalf,
    closed: oneshot::Sender<()>,
) {
    let mut reader = FrameReader::new(read);
    while let Ok(Some((header, payload))) = reader.next().await {
        link.received(fabric.recorder().now_ns());
        let (message, class) = (header.message, header.kind);
        fabric.arrived(from, id, message);
        let reply = lock(&link.waiting).remove(&header.call);
        let what = match &reply {
            Some(_) => What::Deliver { from, message, class },
            None => What::Discard { from, message, class },
        };
        fabric.recorder().record(id, what);
        if let Some(reply) = reply {
            drop(reply.send(Ok(payload)));
        }
    }
    let _ = closed.send(());
}

impl Host {
    /// Serves requests until the process dies; see [`Transport::serve`].
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn serve(&self, handler: Handler) -> io::Result<()> {
        self.transport().serve(handler).await
    }
}
