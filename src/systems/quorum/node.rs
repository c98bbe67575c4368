//! One process: its state, and what it answers to other nodes.

use super::Setup;
use super::replica::{Claim, Found, Message, Record, Replica, ReplicaAnswer};
use crate::host::Host;
use crate::host::transport::Incoming;
use crate::kv::Key;
use crate::systems::message::{decode, encode};
use crate::systems::storage::journal::Journal;
use crate::systems::storage::process;
use crate::systems::storage::rows::{self, Change, Database};
use crate::systems::storage::states::Shared;
use crate::trace::{HostId, MessageKind};
use std::cell::Cell;
use std::rc::Rc;
use tokio::sync::Notify;

/// One process.
pub(super) struct Node {
    pub host: Host,
    pub setup: Rc<Setup>,
    journal: Journal<Change>,
    replica: Shared<Replica>,
    /// How many changes were made, and how many of them are durable.
    changes: Cell<u64>,
    durable: Cell<u64>,
    has_failed: Cell<bool>,
    failure: Notify,
}

impl Node {
    /// A process that starts from what its disk holds.
    pub fn new(host: &Host, setup: Rc<Setup>, database: Database, replica: Shared<Replica>) -> Rc<Node> {
        Rc::new(Node {
            journal: Journal::new(host.clone(), database, rows::commit),
            host: host.clone(),
            setup,
            replica,
            changes: Cell::new(0),
            durable: Cell::new(0),
            has_failed: Cell::new(false),
            failure: Notify::new(),
        })
    }

    /// The other nodes.
    pub fn peers(&self) -> impl Iterator<Item = HostId> + '_ {
        self.setup.nodes.iter().copied().filter(|node| *node != self.host.id())
    }

    /// Answers a message once everything that the answer says is durable; `None` if the disk has failed.
    pub async fn handle(&self, message: Message) -> Option<ReplicaAnswer> {
        let answer = match message {
            Message::Query { key, claim } => {
                let is_claimed = claim.is_none_or(|(session, claim)| self.claim(session, claim));
                ReplicaAnswer::Found(Found { record: self.replica.borrow().record(key), is_claimed })
            }
            Message::Store { key, record } => {
                self.store(key, record);
                ReplicaAnswer::Stored
            }
            Message::Exchange(records) => {
                records.into_iter().for_each(|(key, record)| self.store(key, record));
                ReplicaAnswer::Everything(self.replica.borrow().everything())
            }
        };
        self.settled().await?;
        Some(answer)
    }

    fn claim(&self, session: u64, claim: Claim) -> bool {
        let (is_claimed, change) = self.replica.borrow_mut().claim(session, claim);
        self.write(change);
        is_claimed
    }

    fn store(&self, key: Key, record: Record) {
        let change = self.replica.borrow_mut().store(key, record);
        if change.is_some() {
            self.host.record_apply(record.version.writer, key);
        }
        self.write(change);
    }

    fn write(&self, change: Option<Change>) {
        if let Some(change) = change {
            self.journal.change(change);
            self.changes.set(self.changes.get() + 1);
        }
    }

    /// Waits until this node's whole state is durable; `None` if the disk has failed, and then the process ends.
    async fn settled(&self) -> Option<()> {
        let changes = self.changes.get();
        if self.durable.get() >= changes {
            return Some(());
        }
        let flushed = self.journal.flushed().await;
        if flushed.is_err() {
            self.has_failed.set(true);
            self.failure.notify_one();
        }
        self.durable.set(self.durable.get().max(changes));
        flushed.ok()
    }

    /// Calls another node and waits for its answer.
    pub async fn call(&self, peer: HostId, message: &Message) -> Option<ReplicaAnswer> {
        let kind = match message {
            Message::Query { .. } => MessageKind::Other,
            Message::Store { .. } => MessageKind::Replicate,
            Message::Exchange(_) => MessageKind::AntiEntropy,
        };
        let answer = self.host.transport().call(peer, kind, encode(message), self.setup.deadline, None).await;
        decode(&answer.ok()?)
    }

    /// Exchanges the whole state with one node after the other, so that a majority's values reach all nodes.
    async fn exchange(self: Rc<Self>) {
        loop {
            for peer in self.peers() {
                self.host.sleep(self.setup.interval).await;
                if self.has_failed.get() {
                    return;
                }
                let mine = Message::Exchange(self.replica.borrow().everything());
                if let Some(ReplicaAnswer::Everything(records)) = self.call(peer, &mine).await {
                    records.into_iter().for_each(|(key, record)| self.store(key, record));
                }
            }
        }
    }
}

impl process::Node for Node {
    fn begin(self: &Rc<Self>) {
        self.host.spawn(self.clone().exchange());
    }

    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        if incoming.kind == MessageKind::Request {
            return Some(encode(&self.serve(decode(&incoming.payload)?).await));
        }
        Some(encode(&self.handle(decode(&incoming.payload)?).await?))
    }

    async fn failed(&self) {
        self.failure.notified().await;
    }
}
