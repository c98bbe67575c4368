//! One process: its state, its heartbeats, and its answers to other nodes.

use super::contact::Contacts;
use super::replica::{Replica, Update};
use super::shards::{Claim, Layout};
use super::wire::{Batch, Pulse};
use crate::host::transport::Incoming;
use crate::host::{Host, lock};
use crate::systems::message::{decode, encode};
use crate::trace::{HostId, MessageKind};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// What survives the process; every completed write counts as synced.
#[derive(Debug)]
pub struct Disk {
    /// The data.
    pub replica: Replica,
    /// The holder of each shard, as far as this node knows.
    pub claims: Vec<Claim>,
}

impl Disk {
    /// The disk of a node that has never run: every shard is held by the first node in its line.
    pub fn blank(layout: &Layout) -> Disk {
        let first = |shard| Claim { term: 0, holder: layout.line(shard).next().expect("a home site has nodes") };
        Disk { replica: Replica::default(), claims: layout.shards().map(first).collect() }
    }
}

/// What a process keeps in memory.
pub(super) struct Memory {
    pub contacts: Contacts,
    /// Whether it has caught up since its start, or since it last stood still for long.
    pub joined: bool,
    pub joining_since_ns: u64,
    /// When it last sent heartbeats. A long gap means that the process stood still and knows nothing recent.
    pub beat_ns: u64,
    /// By shard: the number of the exchange that neighbours must complete before this node serves the shard.
    pub barrier: Vec<u64>,
    pub handing_back: BTreeSet<u16>,
    /// By shard: the term in which this node last recorded that it serves the shard, if it does.
    pub serving: Vec<Option<u64>>,
}

/// One process.
pub(super) struct Node {
    pub host: Host,
    pub layout: Arc<Layout>,
    pub disk: Arc<Mutex<Disk>>,
    pub memory: RefCell<Memory>,
    /// Notified whenever the state changes that some task may be waiting for.
    pub changed: Notify,
    /// Notified to send heartbeats at once.
    pub hurry: Notify,
}

impl Node {
    /// Runs a process until it is killed.
    pub async fn run(host: Host, layout: Arc<Layout>, disk: Arc<Mutex<Disk>>) {
        let now_ns = host.local_ns();
        let silence_ns = layout.takeover_after.as_nanos() as u64;
        let shards = layout.shards().count();
        let memory = Memory {
            contacts: Contacts::new(layout.peers(host.id()), silence_ns, now_ns),
            joined: false,
            joining_since_ns: now_ns,
            beat_ns: now_ns,
            barrier: vec![0; shards],
            handing_back: BTreeSet::new(),
            serving: vec![None; shards],
        };
        let (changed, hurry) = (Notify::new(), Notify::new());
        let node = Rc::new(Node { host: host.clone(), layout, disk, memory: RefCell::new(memory), changed, hurry });
        for peer in node.layout.peers(host.id()) {
            host.spawn(node.clone().ship_to(peer));
        }
        host.spawn(node.clone().beat());
        let handler = Rc::new(move |incoming: Incoming| {
            let answering: Pin<Box<dyn Future<Output = Option<Vec<u8>>>>> = Box::pin(node.clone().answer(incoming));
            answering
        });
        host.serve(handler).await.expect("a node's port is its own");
    }

    /// This node.
    pub fn id(&self) -> HostId {
        self.host.id()
    }

    /// The holder of a shard, as far as this node knows.
    pub fn claim(&self, shard: u16) -> Claim {
        lock(&self.disk).claims[usize::from(shard)]
    }

    /// Reviews this node's role and sends a heartbeat to every peer, at every interval.
    async fn beat(self: Rc<Self>) {
        loop {
            self.notice_standstill();
            self.review();
            for peer in self.layout.peers(self.id()) {
                self.host.spawn(self.clone().send_pulse(peer));
            }
            tokio::select! {
                biased;
                () = self.hurry.notified() => {}
                () = self.host.sleep(self.layout.heartbeat) => {}
            }
        }
    }

    /// How long the process may go without a beat before it must distrust what it knows.
    pub fn longest_standstill(&self) -> Duration {
        self.layout.heartbeat + self.layout.takeover_after / 2
    }

    /// A process that stood still (paused, swapped out) has missed the others' decisions: it starts over.
    fn notice_standstill(&self) {
        let now_ns = self.host.local_ns();
        let mut memory = self.memory.borrow_mut();
        if now_ns - memory.beat_ns > self.longest_standstill().as_nanos() as u64 {
            memory.contacts.start_over(now_ns);
            memory.joined = false;
            memory.joining_since_ns = now_ns;
        }
        memory.beat_ns = now_ns;
    }

    async fn send_pulse(self: Rc<Self>, peer: HostId) {
        let pulse = encode(&self.pulse(peer));
        let deadline = self.layout.takeover_after / 2;
        let answer = self.host.transport().call(peer, MessageKind::Heartbeat, pulse, deadline, None).await;
        if let Some(pulse) = answer.ok().and_then(|bytes| decode::<Pulse>(&bytes)) {
            self.memory.borrow_mut().contacts.answered(peer, self.host.local_ns());
            self.take_pulse(peer, &pulse);
        }
    }

    /// What this node reports about itself to `peer`.
    pub fn pulse(&self, peer: HostId) -> Pulse {
        let concerns = |claim: &Claim| claim.holder == self.id() || claim.holder == peer;
        let disk = lock(&self.disk);
        let claims = self.layout.shards().map(|shard| (shard, disk.claims[usize::from(shard)]));
        Pulse { joined: self.memory.borrow().joined, claims: claims.filter(|(_, claim)| concerns(claim)).collect() }
    }

    /// Answers one request; `None` when it cannot be decoded.
    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        let from = incoming.from;
        self.memory.borrow_mut().contacts.heard(from, self.host.local_ns());
        match incoming.kind {
            MessageKind::Request => Some(encode(&self.serve(from, decode(&incoming.payload)?, incoming.payload).await)),
            MessageKind::Heartbeat => {
                self.take_pulse(from, &decode(&incoming.payload)?);
                Some(encode(&self.pulse(from)))
            }
            MessageKind::Replicate => {
                let batch: Batch = decode(&incoming.payload)?;
                self.merge(&batch.updates);
                self.take_pulse(from, &batch.pulse);
                Some(encode(&self.pulse(from)))
            }
            MessageKind::AntiEntropy => {
                let batch: Batch = decode(&incoming.payload)?;
                self.merge_and_pass_on(&batch.updates);
                self.take_pulse(from, &batch.pulse);
                Some(encode(&Batch { pulse: self.pulse(from), updates: lock(&self.disk).replica.everything() }))
            }
            _ => None,
        }
    }

    /// Merges updates; returns those that were news.
    pub fn merge(&self, updates: &[Update]) -> Vec<Update> {
        let mut disk = lock(&self.disk);
        let news: Vec<Update> = updates.iter().filter_map(|update| disk.replica.merge(update)).collect();
        for (key, record) in news.iter().filter_map(|update| update.write) {
            self.host.record_apply(record.tag, key);
        }
        news
    }

    /// Merges a whole state. What was news here is passed on: it may be news elsewhere too if its author has died.
    pub fn merge_and_pass_on(&self, updates: &[Update]) {
        let news = self.merge(updates);
        let contacts = &mut self.memory.borrow_mut().contacts;
        news.into_iter().for_each(|update| contacts.push(update));
        self.changed.notify_waiters();
    }
}
