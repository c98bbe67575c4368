//! Taking over and handing back: which node serves a shard.
//!
//! The greater claim wins; claims travel with every message. The holder hands a shard back to any node before it in the
//! line that answers. A node takes a shard over when the holder has been silent for `takeover_after` and no node before
//! it in the line is alive. No quorum is asked.

use super::node::Node;
use super::shards::Claim;
use super::wire::Pulse;
use crate::host::lock;
use crate::trace::{HostId, Role, Scope};
use std::rc::Rc;

impl Node {
    /// The term in which this node serves a shard now, if it does.
    pub fn serves(&self, shard: u16) -> Option<u64> {
        let claim = self.claim(shard);
        let memory = self.memory.borrow();
        let now_ns = self.host.local_ns();
        let is_awake = now_ns - memory.beat_ns <= self.longest_standstill().as_nanos() as u64;
        let holds = claim.holder == self.id() && memory.joined && !memory.handing_back.contains(&shard);
        let barrier = memory.barrier[usize::from(shard)];
        // Neighbours may have updates that the last holder had not yet acknowledged: this node must get them first.
        let is_level = || {
            self.neighbours().all(|peer| {
                let level = memory.contacts.peer(peer).is_some_and(|peer| peer.exchange_done >= barrier);
                level || !memory.contacts.answers(peer, now_ns)
            })
        };
        (holds && is_awake && is_level()).then_some(claim.term)
    }

    /// The other nodes of this site.
    pub fn neighbours(&self) -> impl Iterator<Item = HostId> + '_ {
        self.layout.peers(self.id()).filter(|peer| self.layout.are_neighbours(*peer, self.id()))
    }

    /// Processes what `peer` reports about itself.
    pub fn take_pulse(self: &Rc<Self>, peer: HostId, pulse: &Pulse) {
        self.memory.borrow_mut().contacts.set_joined(peer, pulse.joined);
        for (shard, claim) in &pulse.claims {
            let index = usize::from(*shard);
            let known = lock(&self.disk).claims.get(index).copied();
            if known.is_some_and(|known| known < *claim) {
                self.set_claim(*shard, *claim);
            }
        }
        self.review();
    }

    fn set_claim(&self, shard: u16, claim: Claim) {
        lock(&self.disk).claims[usize::from(shard)] = claim;
        if claim.holder == self.id() {
            // Before it serves, this node must be level with its neighbours. Afterwards every peer must learn of the
            // claim and get the whole state.
            let mut memory = self.memory.borrow_mut();
            memory.barrier[usize::from(shard)] = memory.contacts.exchange_with_all();
        }
        self.hurry.notify_one();
    }

    /// Reviews this node's role: has it caught up, must it replace a holder, has a better holder returned?
    pub fn review(self: &Rc<Self>) {
        let now_ns = self.host.local_ns();
        {
            let mut memory = self.memory.borrow_mut();
            let waited_ns = now_ns - memory.joining_since_ns;
            if !memory.joined {
                let alone = waited_ns >= self.layout.takeover_after.as_nanos() as u64;
                memory.joined = alone || memory.contacts.all_exchanged();
            }
        }
        if self.memory.borrow().joined {
            for shard in self.layout.shards() {
                self.review_shard(shard, now_ns);
            }
        }
        self.record_roles();
        self.changed.notify_waiters();
    }

    fn review_shard(self: &Rc<Self>, shard: u16, now_ns: u64) {
        let claim = self.claim(shard);
        let before_me = || self.layout.line(shard).take_while(|node| *node != self.id());
        if claim.holder == self.id() {
            let mut memory = self.memory.borrow_mut();
            let is_back = |node: &HostId| {
                memory.contacts.answers(*node, now_ns) && memory.contacts.peer(*node).is_some_and(|peer| peer.joined)
            };
            let Some(successor) = before_me().find(is_back) else { return };
            if memory.handing_back.insert(shard) {
                self.host.spawn(self.clone().hand_back(shard, claim, successor));
            }
            return;
        }
        let memory = self.memory.borrow();
        let is_there = |node: HostId| {
            memory.contacts.is_heard(node, now_ns) && memory.contacts.peer(node).is_some_and(|peer| peer.joined)
        };
        let in_line = self.layout.line(shard).any(|node| node == self.id());
        if in_line && !memory.contacts.is_heard(claim.holder, now_ns) && !before_me().any(is_there) {
            drop(memory);
            self.set_claim(shard, Claim { term: claim.term + 1, holder: self.id() });
        }
    }

    /// Stops serving a shard, sends the successor the whole state, and only then hands the shard over.
    async fn hand_back(self: Rc<Self>, shard: u16, claim: Claim, successor: HostId) {
        self.record_roles();
        let exchange = self.memory.borrow_mut().contacts.exchange_with(successor);
        self.changed.notify_waiters();
        let deadline_ns = self.host.local_ns() + self.layout.takeover_after.as_nanos() as u64;
        loop {
            let changed = self.changed.notified();
            let is_done = {
                let memory = self.memory.borrow();
                memory.contacts.peer(successor).is_some_and(|peer| peer.exchange_done >= exchange)
            };
            if self.claim(shard) != claim || self.host.local_ns() >= deadline_ns {
                break;
            }
            if is_done {
                self.set_claim(shard, Claim { term: claim.term + 1, holder: successor });
                break;
            }
            changed.await;
        }
        self.memory.borrow_mut().handing_back.remove(&shard);
        self.review();
    }

    /// Records what changed in what this node serves.
    pub fn record_roles(&self) {
        for shard in self.layout.shards() {
            let now = self.serves(shard);
            let before = std::mem::replace(&mut self.memory.borrow_mut().serving[usize::from(shard)], now);
            let (role, term) = match (before, now) {
                (before, now) if before == now => continue,
                (_, Some(term)) => (Role::Primary, term),
                (_, None) => (Role::Backup, self.claim(shard).term),
            };
            self.host.record_role(role, Scope::Shard(shard), term);
        }
    }
}
