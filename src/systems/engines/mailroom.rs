//! Messages of an engine that knows no requests and replies, over the host's transport, which knows nothing else.
//!
//! A message that opens an exchange is a call. What the receiver's engine says to the sender before it takes the next
//! batch of input goes into the reply, as an RPC's answer would. So a node sends as many frames as one with RPCs does,
//! and a call without a reply is how the transport notices that a connection is dead.

use crate::host::Host;
use crate::host::transport::Incoming;
use crate::systems::message::{decode, encode};
use crate::trace::{HostId, MessageKind};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A message to send.
pub struct Post {
    /// Its receiver.
    pub to: HostId,
    /// What it is called.
    pub kind: MessageKind,
    /// Whether it answers a message of its receiver.
    pub is_answer: bool,
    /// Its encoding.
    pub bytes: Vec<u8>,
}

/// What came.
pub enum Arrival {
    /// A message.
    Message {
        /// Its sender.
        from: HostId,
        /// Its encoding.
        bytes: Vec<u8>,
    },
    /// How a call of ours ended.
    Called {
        /// The node called.
        peer: HostId,
        /// What was sent.
        kind: MessageKind,
        /// Whether the peer has replied.
        is_answered: bool,
    },
}

/// A peer that waits for the reply to its call.
struct Caller {
    peer: HostId,
    reply: oneshot::Sender<Vec<u8>>,
}

/// What a node's tasks have for its engine, and what its engine has for other nodes.
pub struct Mailroom {
    host: Host,
    /// How long a call waits for its reply.
    deadline: Duration,
    arrived: RefCell<Vec<Arrival>>,
    callers: RefCell<Vec<Caller>>,
    /// Something came, or there is other work.
    wake: Notify,
    is_closed: Cell<bool>,
}

impl Mailroom {
    /// The mailroom of a process on `host`.
    pub fn new(host: Host, deadline: Duration) -> Rc<Mailroom> {
        let (arrived, callers) = Default::default();
        Rc::new(Mailroom { host, deadline, arrived, callers, wake: Notify::new(), is_closed: Cell::new(false) })
    }

    /// Waits for work.
    pub async fn work(&self) {
        self.wake.notified().await;
    }

    /// There is work.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// No message goes in or out any more: the process has failed.
    pub fn close(&self) {
        self.is_closed.set(true);
        self.arrived.take();
        self.callers.take();
    }

    /// Whether the process has failed.
    pub fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// A call of a peer; the reply, once the engine has seen it.
    pub async fn receive(&self, incoming: Incoming) -> Option<Vec<u8>> {
        if self.is_closed() {
            return None;
        }
        let (reply, is_replied) = oneshot::channel();
        self.callers.borrow_mut().push(Caller { peer: incoming.from, reply });
        self.arrived.borrow_mut().push(Arrival::Message { from: incoming.from, bytes: incoming.payload });
        self.wake();
        is_replied.await.ok()
    }

    /// What came since the last time, and the calls that it must answer.
    pub fn batch(&self) -> (Vec<Arrival>, Batch) {
        (self.arrived.take(), Batch { callers: self.callers.take(), answers: BTreeMap::new() })
    }

    /// Calls a peer with a message.
    fn call(self: &Rc<Self>, post: Post) {
        let (this, Post { to, kind, bytes, .. }) = (self.clone(), post);
        self.host.spawn(async move {
            let reply = this.host.transport().call(to, kind, bytes, this.deadline, None).await;
            if this.is_closed() {
                return;
            }
            let messages: Option<Vec<Vec<u8>>> = reply.ok().and_then(|reply| decode(&reply));
            let mut arrived = this.arrived.borrow_mut();
            arrived.push(Arrival::Called { peer: to, kind, is_answered: messages.is_some() });
            arrived.extend(messages.into_iter().flatten().map(|bytes| Arrival::Message { from: to, bytes }));
            this.wake();
        });
    }
}

/// The calls that one batch of input must answer.
pub struct Batch {
    callers: Vec<Caller>,
    answers: BTreeMap<HostId, Vec<Vec<u8>>>,
}

impl Batch {
    /// Sends a message, or keeps it for the reply to a call of its receiver.
    pub fn send(&mut self, mailroom: &Rc<Mailroom>, post: Post) {
        if post.is_answer && self.callers.iter().any(|caller| caller.peer == post.to) {
            self.answers.entry(post.to).or_default().push(post.bytes);
        } else {
            mailroom.call(post);
        }
    }

    /// Replies to every call. The first of a peer gets all the answers, since they belong to its calls together.
    pub fn reply(mut self) {
        for Caller { peer, reply } in self.callers {
            let answers = self.answers.remove(&peer).unwrap_or_default();
            // The process may have closed meanwhile.
            let _ = reply.send(encode(&answers));
        }
    }
}
