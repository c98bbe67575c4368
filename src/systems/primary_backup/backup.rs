//! The backup's side: what a node does with messages of a primary, or of a node that wants to become one.

use super::Policy;
use super::node::Node;
use super::replica::{Epoch, Position, Replica, Update};
use super::wire::{Message, PeerAnswer};
use crate::trace::HostId;
use std::rc::Rc;

impl Node {
    /// Does what a message asks, and answers once that is durable.
    pub async fn obey(self: &Rc<Self>, from: HostId, message: Message) -> Option<PeerAnswer> {
        let answer = match message {
            Message::Append { epoch, start, previous, updates } => {
                if !self.accepts(from, epoch) {
                    return Some(PeerAnswer::Refused(self.promised()));
                }
                self.append(epoch, start, previous, &updates);
                PeerAnswer::Obeyed(self.replica.borrow().progress)
            }
            Message::Install { epoch, state } => {
                if !self.accepts(from, epoch) {
                    return Some(PeerAnswer::Refused(self.promised()));
                }
                self.install(epoch, state);
                PeerAnswer::Obeyed(self.replica.borrow().progress)
            }
            Message::Acquire { epoch } => {
                if !self.grants(epoch) {
                    return Some(PeerAnswer::Refused(self.promised()));
                }
                self.promise(epoch);
                PeerAnswer::Granted(self.replica.borrow().clone())
            }
            Message::Release { epoch } => {
                if self.promised() == epoch {
                    self.memory.borrow_mut().granted_until_ns = 0;
                }
                return Some(PeerAnswer::Obeyed(self.replica.borrow().progress));
            }
        };
        self.flushed().await?;
        Some(answer)
    }

    /// The highest epoch that this node has accepted.
    pub fn promised(&self) -> Epoch {
        self.replica.borrow().progress.promised
    }

    /// Accepts the primary of an epoch and obeys it from now on; `false` if this node knows a newer epoch.
    fn accepts(self: &Rc<Self>, from: HostId, epoch: Epoch) -> bool {
        if epoch < self.promised() || epoch.node == self.id() {
            return false;
        }
        self.promise(epoch);
        let mut memory = self.memory.borrow_mut();
        memory.heard_ns = self.host.local_ns();
        memory.primary = Some(from);
        true
    }

    /// Whether this node may grant a lease to this epoch: no other node can still hold one that it granted.
    pub fn grants(&self, epoch: Epoch) -> bool {
        let now_ns = self.host.local_ns();
        let promised = self.promised();
        let is_free = epoch.node == promised.node || now_ns >= self.free_from_ns();
        self.setup.policy == Policy::Lease && epoch > promised && is_free
    }

    /// When the lease that this node granted ends, by its own clock; on a primary, its own lease.
    pub fn free_from_ns(&self) -> u64 {
        let memory = self.memory.borrow();
        let over_ns = match &memory.tenure {
            Some(tenure) => tenure.leased_until_ns(),
            None => memory.granted_until_ns,
        };
        let lease_ns = self.setup.patience.as_nanos() as u64;
        self.setup.rules.free_from_ns(over_ns, lease_ns)
    }

    /// Accepts an epoch and grants its primary a lease from now on. Not durable yet.
    pub fn promise(self: &Rc<Self>, epoch: Epoch) {
        let until_ns = self.host.local_ns() + self.setup.patience.as_nanos() as u64;
        self.memory.borrow_mut().granted_until_ns = until_ns;
        if self.promised() < epoch {
            let row = {
                let mut replica = self.replica.borrow_mut();
                replica.progress.promised = epoch;
                replica.progress_row()
            };
            self.journal.change(row);
            self.step_down();
        }
    }

    fn append(&self, epoch: Epoch, start: u64, previous: Position, updates: &[Update]) {
        let mut replica = self.replica.borrow_mut();
        let have = replica.progress.position;
        let known = updates.iter().position(|update| update.position == have).map(|at| at + 1);
        let skip = if previous == have { Some(0) } else { known };
        let late = updates.iter().filter(|update| update.position.index <= have.index);
        let rows = late.filter_map(|update| self.setup.rules.apply_late(&mut replica, update));
        rows.for_each(|row| self.journal.change(row));
        // Otherwise the updates are late, or some before them are missing: the answer says how far this node is.
        let Some(skip) = skip else { return };
        for update in &updates[skip..] {
            let rows = self.setup.rules.apply(&mut replica, update);
            rows.into_iter().for_each(|row| self.journal.change(row));
            self.host.record_apply(update.tag, update.key);
        }
        if replica.progress.joined < epoch && replica.progress.position.index >= start {
            replica.progress.joined = epoch;
            self.journal.change(replica.progress_row());
        }
    }

    /// Replaces this node's state by a primary's, unless the message is late.
    fn install(&self, epoch: Epoch, state: Replica) {
        let mut replica = self.replica.borrow_mut();
        let progress = replica.progress;
        if progress.joined == epoch && state.progress.position.index <= progress.position.index {
            return;
        }
        self.replace(&mut replica, state, epoch);
    }

    /// Makes `state` this node's own, as part of the history of `epoch`.
    pub fn replace(&self, replica: &mut Replica, state: Replica, epoch: Epoch) {
        let promised = replica.progress.promised;
        *replica = state;
        (replica.progress.promised, replica.progress.joined) = (promised, epoch);
        replica.rows().into_iter().for_each(|row| self.journal.change(row));
        replica.commands().for_each(|(tag, key)| self.host.record_apply(tag, key));
    }
}
