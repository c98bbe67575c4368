//! Becoming primary, according to the policy.

use super::Policy;
use super::node::Node;
use super::replica::{Epoch, Replica};
use super::tenure::Tenure;
use super::wire::{Message, PeerAnswer};
use crate::rng;
use crate::systems::message::{decode, encode};
use crate::trace::HostId;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc;

impl Node {
    /// Checks whether a primary is needed and this node should be it, for as long as the process runs.
    pub async fn watch(self: Rc<Self>) {
        let mut last_ns = self.host.local_ns();
        while !self.has_failed() {
            let now_ns = self.host.local_ns();
            if now_ns - last_ns > 2 * self.setup.heartbeat.as_nanos() as u64 {
                // This node stood still (paused, swapped out): the silence was its own, not the primary's.
                self.memory.borrow_mut().heard_ns = now_ns;
            }
            last_ns = now_ns;
            // A lease may have run out.
            self.record_role();
            if self.is_due() {
                match self.setup.policy {
                    Policy::Synchronous | Policy::Asynchronous => self.take_over().await,
                    Policy::Lease => self.acquire().await,
                }
                last_ns = self.host.local_ns();
            }
            self.host.sleep(self.until_next_look()).await;
        }
    }

    fn until_next_look(&self) -> Duration {
        let interval = self.setup.heartbeat / 2;
        match &self.memory.borrow().tenure {
            Some(tenure) if self.setup.policy == Policy::Lease => {
                let left_ns = tenure.leased_until_ns().saturating_sub(self.host.local_ns());
                if left_ns == 0 { interval } else { interval.min(Duration::from_nanos(left_ns)) }
            }
            _ => interval,
        }
    }

    /// Whether this node should become primary now, as far as it can tell by itself.
    fn is_due(&self) -> bool {
        if self.memory.borrow().tenure.is_some() {
            return false;
        }
        let is_first = self.setup.nodes.first() == Some(&self.id());
        let promised = self.promised();
        let heard_ns = self.memory.borrow().heard_ns;
        let silent_from_ns = match self.setup.policy {
            Policy::Synchronous => return is_first,
            _ if promised == Epoch::NONE && is_first => return true,
            Policy::Asynchronous => heard_ns + self.setup.patience.as_nanos() as u64,
            Policy::Lease => self.free_from_ns().max(heard_ns),
        };
        // Nodes take turns in a fixed order, beginning with the last primary itself in case it has restarted.
        let place = |node| self.setup.nodes.iter().position(|other| *other == node).unwrap_or(0);
        let nodes = self.setup.nodes.len();
        let turn = (place(self.id()) + nodes - place(promised.node)) % nodes;
        let wait_ns = turn as u64 * 3 * self.setup.heartbeat.as_nanos() as u64;
        self.host.local_ns() >= silent_from_ns + wait_ns
    }

    /// The next epoch of this node's own.
    fn next_epoch(&self) -> Epoch {
        let round = self.promised().round.max(self.memory.borrow().highest_round) + 1;
        Epoch { round, node: self.id() }
    }

    /// Becomes primary with the state that it has.
    async fn take_over(self: &Rc<Self>) {
        let epoch = self.next_epoch();
        self.promise(epoch);
        self.begin_tenure(epoch, None, &[]).await;
    }

    /// Begins to act as primary from a state (by default its own), once that is durable and if no newer epoch is known.
    async fn begin_tenure(self: &Rc<Self>, epoch: Epoch, state: Option<Replica>, grants: &[(HostId, u64)]) {
        {
            let mut replica = self.replica.borrow_mut();
            match state {
                Some(state) => self.replace(&mut replica, state, epoch),
                None => {
                    replica.progress.joined = epoch;
                    self.journal.change(replica.progress_row());
                }
            }
        }
        if self.flushed().await.is_none() || self.promised() != epoch {
            return;
        }
        let progress = self.replica.borrow().progress;
        let mut tenure = Tenure::new(&progress, self.peers());
        grants.iter().for_each(|(peer, until_ns)| tenure.granted(*peer, *until_ns));
        {
            let mut memory = self.memory.borrow_mut();
            memory.primary = Some(self.id());
            memory.tenure = Some(tenure);
        }
        self.record_role();
        for peer in self.peers() {
            self.host.spawn(self.clone().ship_to(peer, epoch));
        }
    }

    /// Asks every node for a lease. With a majority's grants, takes over with the newest state among them.
    async fn acquire(self: &Rc<Self>) {
        let epoch = self.next_epoch();
        let (answers, mut arriving) = mpsc::unbounded_channel();
        for peer in self.peers() {
            let (node, answers) = (self.clone(), answers.clone());
            self.host.spawn(async move {
                // The lease counts from before it was requested.
                let sent_ns = node.host.local_ns();
                let answer = node.tell(peer, &Message::Acquire { epoch }).await;
                drop(answers.send((peer, sent_ns, answer)));
            });
        }
        drop(answers);
        let majority = self.setup.nodes.len() / 2 + 1;
        let lease_ns = self.setup.patience.as_nanos() as u64;
        let mut grants = Vec::new();
        let age = |state: &Replica| (state.progress.joined, state.progress.position.index);
        let mut newest: Option<Replica> = None;
        while let Some((peer, sent_ns, answer)) = arriving.recv().await {
            match answer {
                Some(PeerAnswer::Granted(state)) => {
                    if newest.as_ref().is_none_or(|newest| age(&state) > age(newest)) {
                        newest = Some(state);
                    }
                    grants.push((peer, sent_ns + lease_ns));
                }
                Some(PeerAnswer::Refused(promised)) => {
                    let mut memory = self.memory.borrow_mut();
                    memory.highest_round = memory.highest_round.max(promised.round);
                }
                _ => {}
            }
            if grants.len() + 1 >= majority {
                // Meanwhile this node may have granted a lease itself.
                if !self.grants(epoch) {
                    break;
                }
                self.promise(epoch);
                let newest = newest.filter(|newest| age(newest) > age(&self.replica.borrow()));
                return self.begin_tenure(epoch, newest, &grants).await;
            }
        }
        self.give_up(epoch).await;
    }

    /// Ends an attempt to get the lease: the grantors need not wait for it to expire, and this node waits for its next
    /// turn.
    async fn give_up(self: &Rc<Self>, epoch: Epoch) {
        for peer in self.peers() {
            let node = self.clone();
            self.host.spawn(async move { node.tell(peer, &Message::Release { epoch }).await });
        }
        let draw = self.host.with_rng(rand::RngCore::next_u64);
        self.host.sleep(Duration::from_nanos(rng::below(draw, self.setup.patience.as_nanos() as u64))).await;
    }

    /// Sends one message and waits for its answer.
    async fn tell(&self, peer: HostId, message: &Message) -> Option<PeerAnswer> {
        let deadline = self.setup.patience / 4;
        let answer = self.host.transport().call(peer, message.kind(), encode(message), deadline, None).await;
        decode(&answer.ok()?)
    }
}
