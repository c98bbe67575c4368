//! Serving clients, at the primary only.

use super::Policy;
use super::node::Node;
use super::replica::{Epoch, Executed};
use crate::kv::protocol::{Reply, Request};
use crate::kv::{Command, Op, Outcome};
use std::rc::Rc;

impl Node {
    /// Serves a client's request.
    pub async fn serve(self: &Rc<Self>, request: Request) -> Reply {
        let command = request.command;
        let Some(epoch) = self.epoch_served() else {
            let hint = self.memory.borrow().primary.filter(|primary| *primary != self.id());
            return Reply::Refused { hint };
        };
        let Some(outcome) = self.execute(&command, epoch) else { return Reply::Unknown };
        // A read as well waits for all that it may have seen: what was read must not be lost.
        if !self.is_confirmed(epoch).await {
            return unknown(&command);
        }
        self.host.record_acknowledge(command.tag, command.op.key(), epoch.round);
        Reply::Ok { outcome, acknowledged_by: self.id(), term: epoch.round }
    }

    /// The epoch in which this node may act as primary now.
    fn epoch_served(&self) -> Option<Epoch> {
        self.serves()?;
        self.memory.borrow().tenure.as_ref().map(|tenure| tenure.epoch)
    }

    /// Reads or changes the state; `None` for a command older than its session's last.
    fn execute(&self, command: &Command, epoch: Epoch) -> Option<Outcome> {
        let key = command.op.key();
        let mut replica = self.replica.borrow_mut();
        if let Op::Get { .. } = command.op {
            return Some(Outcome::Value(replica.get(key)));
        }
        match replica.execute(command, epoch, self.host.wall_ns()) {
            Executed::Fresh(update) => {
                let rows = replica.apply(&update, self.setup.flaws.last_writer_wins);
                rows.into_iter().for_each(|row| self.journal.change(row));
                self.host.record_apply(command.tag, key);
                if let Some(tenure) = &mut self.memory.borrow_mut().tenure {
                    tenure.push(update);
                }
                self.pushed.notify_waiters();
                Some(update.outcome)
            }
            Executed::Repeated(outcome) => Some(outcome),
            Executed::Stale => None,
        }
    }

    /// Waits until everything that this node has now is as safe as its policy promises; `false` if it stops serving
    /// in this epoch first.
    async fn is_confirmed(self: &Rc<Self>, epoch: Epoch) -> bool {
        let upto = self.replica.borrow().progress.position.index;
        self.make_durable(epoch, upto);
        loop {
            let changed = self.changed.notified();
            if self.epoch_served() != Some(epoch) {
                return false;
            }
            if self.setup.flaws.ack_before_backup || self.confirmed() >= upto {
                return true;
            }
            changed.await;
        }
    }

    /// Has everything up to `upto` written to the disk, unless it is there.
    fn make_durable(self: &Rc<Self>, epoch: Epoch, upto: u64) {
        if self.memory.borrow().tenure.as_ref().is_none_or(|tenure| tenure.durable >= upto) {
            return;
        }
        let node = self.clone();
        self.host.spawn(async move {
            if node.flushed().await.is_none() {
                return;
            }
            let mut memory = node.memory.borrow_mut();
            if let Some(tenure) = memory.tenure.as_mut().filter(|tenure| tenure.epoch == epoch) {
                tenure.durable = tenure.durable.max(upto);
            }
            drop(memory);
            node.changed.notify_waiters();
        });
    }

    /// How many updates are as safe as the policy promises.
    fn confirmed(&self) -> u64 {
        let memory = self.memory.borrow();
        let Some(tenure) = &memory.tenure else { return 0 };
        match self.setup.policy {
            Policy::Asynchronous => tenure.durable,
            Policy::Synchronous => tenure.held_by_all(),
            Policy::Lease => tenure.held_by_majority(),
        }
    }
}

/// The reply to a command that may have been carried out; a read has no effect, so it is merely refused.
fn unknown(command: &Command) -> Reply {
    if command.op.is_write() { Reply::Unknown } else { Reply::Refused { hint: None } }
}
