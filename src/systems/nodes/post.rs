//! The post: what has arrived for each node, and which client waits for which answer.

use super::answer::Head;
use super::lock;
use crate::host::Host;
use crate::host::carrier::{Body, Letter};
use crate::host::fabric::Sending;
use crate::host::link::Policy;
use crate::kv::{Key, Tag};
use crate::trace::{AttemptId, DropReason, HostId, MessageId, MessageKind};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::{Notify, oneshot};

/// A message under way, or arrived.
#[derive(Debug)]
pub struct Envelope {
    /// Its sender, as nodes know it.
    pub src: String,
    /// Its receiver.
    pub dest: String,
    /// Its content: a JSON object.
    pub body: Box<RawValue>,
    /// What the body says about itself.
    pub head: Head,
}

/// What a client is waiting for.
pub struct Asked {
    /// The attempt, which names request and answer to the network.
    pub attempt: AttemptId,
    /// The host of the client.
    pub client: HostId,
    /// The node that was asked.
    pub node: HostId,
    /// The command's identity.
    pub tag: Tag,
    /// The key that it is about.
    pub key: Key,
    /// Where the answer goes, once.
    pub answer: Option<oneshot::Sender<Reply>>,
}

/// A node's answer to a client.
pub struct Reply {
    /// The message.
    pub envelope: Arc<Envelope>,
    /// The term that the node had reported when it answered.
    pub term: u64,
}

/// What waits for one process.
#[derive(Default)]
pub struct Mailbox {
    arrived: Mutex<VecDeque<(Option<Letter>, Arc<Envelope>)>>,
    changed: Notify,
}

impl Mailbox {
    /// Takes the first message, with its name if it came over the network.
    pub fn take(&self) -> Option<(Option<Letter>, Arc<Envelope>)> {
        lock(&self.arrived).pop_front()
    }

    /// Puts a message of the node to itself behind the others.
    pub fn put(&self, envelope: Envelope) {
        lock(&self.arrived).push_back((None, Arc::new(envelope)));
        self.changed.notify_one();
    }

    /// Returns once something has arrived.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The mailboxes of the nodes, and the questions of the clients.
#[derive(Default)]
pub struct Post {
    nodes: Mutex<BTreeMap<HostId, Arc<Mailbox>>>,
    /// By client and message number.
    asked: Mutex<BTreeMap<(String, u64), Asked>>,
}

/// A message as a link carries it.
struct Carried {
    post: Weak<Post>,
    envelope: Arc<Envelope>,
    /// For an answer to a client: the term that the node reported.
    term: u64,
}

impl Post {
    /// The mailbox of a process that starts: an empty one. What its predecessor has not taken is lost.
    pub fn open(&self, node: &Host) -> Arc<Mailbox> {
        let mailbox = Arc::<Mailbox>::default();
        let before = lock(&self.nodes).insert(node.id(), mailbox.clone());
        let left = before.map(|before| std::mem::take(&mut *lock(&before.arrived))).unwrap_or_default();
        for letter in left.into_iter().filter_map(|(letter, _)| letter) {
            node.fabric().recorder().record(letter.from, letter.dropped(DropReason::Crash));
        }
        mailbox
    }

    /// Enters a client's question, before it is sent.
    pub fn ask(&self, client: &str, number: u64, asked: Asked) {
        lock(&self.asked).insert((client.to_owned(), number), asked);
    }

    /// Reads what is known of a client's question.
    pub fn asked<T>(&self, client: &str, number: u64, read: impl FnOnce(&mut Asked) -> T) -> Option<T> {
        lock(&self.asked).get_mut(&(client.to_owned(), number)).map(read)
    }

    /// Whether a client of this name has ever asked, and where it lives.
    pub fn client(&self, name: &str) -> Option<HostId> {
        let asked = lock(&self.asked);
        asked.range((name.to_owned(), 0)..=(name.to_owned(), u64::MAX)).next().map(|(_, asked)| asked.client)
    }

    /// Sends a message, as a datagram: it arrives once, twice, late or never.
    pub fn send(self: &Arc<Self>, from: &Host, to: HostId, sending: Outgoing) {
        let Outgoing { envelope, class, cause, place, term } = sending;
        let fabric = from.fabric();
        let payload = envelope.body.get().as_bytes();
        let sent = fabric.send(Sending { from: from.id(), to, class, cause, payload, place });
        fabric.recorder().label(from.id(), &envelope.head.kind);
        let carried = Carried { post: Arc::downgrade(self), envelope: Arc::new(envelope), term };
        fabric.carry(sent, Policy::Datagram, Arc::new(carried));
    }

    /// Hands an answer to the client that waits for it. Returns whether one does.
    fn answer(&self, from: HostId, envelope: &Arc<Envelope>, term: u64) -> bool {
        let Some(number) = envelope.head.in_reply_to else { return false };
        let waiting = self.asked(&envelope.dest, number, |asked| match asked.node == from {
            true => asked.answer.take(),
            false => None,
        });
        let reply = Reply { envelope: envelope.clone(), term };
        waiting.flatten().is_some_and(|waiting| waiting.send(reply).is_ok())
    }
}

/// A message to be sent.
pub struct Outgoing {
    /// The message.
    pub envelope: Envelope,
    /// Its kind, for faults that hit kinds.
    pub class: MessageKind,
    /// The message that is being handled.
    pub cause: Option<MessageId>,
    /// For a request of a client and its answer: the attempt.
    pub place: Option<u64>,
    /// For an answer: the term that its sender reported last.
    pub term: u64,
}

impl Body for Carried {
    fn arrive(self: Arc<Self>, at: &Host, letter: &Letter) {
        let Some(post) = self.post.upgrade() else { return };
        let recorder = at.fabric().recorder();
        if !at.fabric().is_node(at.id()) {
            let what = match post.answer(letter.from, &self.envelope, self.term) {
                true => letter.delivered(),
                false => {
                    crate::trace::What::Discard { from: letter.from, message: letter.message, class: letter.class }
                }
            };
            recorder.record(letter.to, what);
            return;
        }
        let mailbox = lock(&post.nodes).get(&at.id()).cloned();
        match mailbox {
            Some(mailbox) => {
                lock(&mailbox.arrived).push_back((Some(*letter), self.envelope.clone()));
                mailbox.changed.notify_one();
            }
            None => recorder.record(letter.from, letter.dropped(DropReason::Connection)),
        }
    }
}
