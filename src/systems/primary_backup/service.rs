//! Serving clients, at the primary only.

use super::node::Node;
use super::replica::{Epoch, Executed};
use crate::kv::{Command, Key, Response};
use crate::systems::protocol::{Reply, Request};
use std::rc::Rc;

impl Node {
    /// Serves a client's request.
    pub async fn serve(self: &Rc<Self>, request: Request) -> Reply {
        let command = request.command;
        let Some(epoch) = self.epoch_served() else {
            let hint = self.memory.borrow().primary.filter(|primary| *primary != self.id());
            return Reply::Refused { hint };
        };
        let (key, is_write) = (command.op.key(), command.op.is_write());
        let outcome = if is_write { self.write(&command, epoch).await } else { self.read(key, epoch).await };
        let Some(outcome) = outcome else {
            // A read that was not answered has no effect, so it can always be refused.
            return if is_write { Reply::Unknown } else { Reply::Refused { hint: None } };
        };
        self.host.record_acknowledge(command.tag, key, epoch.round);
        Reply::Ok { outcome, acknowledged_by: self.id(), term: epoch.round }
    }

    /// The epoch in which this node may act as primary now.
    fn epoch_served(&self) -> Option<Epoch> {
        self.serves()?;
        self.memory.borrow().tenure.as_ref().map(|tenure| tenure.epoch)
    }

    /// Reads the confirmed value from this node's own state; no other node is asked.
    async fn read(&self, key: Key, epoch: Epoch) -> Option<Response> {
        let start = self.memory.borrow().tenure.as_ref()?.start;
        self.is_confirmed(epoch, start).await.then(|| {
            let memory = self.memory.borrow();
            let before = memory.tenure.as_ref().and_then(|tenure| tenure.before(key, self.confirmed()));
            Response::Value(before.unwrap_or_else(|| self.replica.borrow().get(key)))
        })
    }

    /// Executes a write and waits until it is confirmed; `None` when its outcome is unknown.
    async fn write(self: &Rc<Self>, command: &Command, epoch: Epoch) -> Option<Response> {
        let outcome = self.execute(command, epoch)?;
        let upto = self.replica.borrow().progress.position.index;
        self.make_durable(epoch, upto);
        self.is_confirmed(epoch, upto).await.then_some(outcome)
    }

    /// Changes the state; `None` for a command older than its session's last.
    fn execute(&self, command: &Command, epoch: Epoch) -> Option<Response> {
        let key = command.op.key();
        let mut replica = self.replica.borrow_mut();
        match replica.execute(command, epoch, self.host.wall_ns()) {
            Executed::Fresh(update) => {
                let before = replica.get(key);
                let rows = self.setup.rules.apply(&mut replica, &update);
                rows.into_iter().for_each(|row| self.journal.change(row));
                self.host.record_apply(command.tag, key);
                drop(replica);
                let confirmed = self.confirmed();
                if let Some(tenure) = &mut self.memory.borrow_mut().tenure {
                    tenure.push(update, before, confirmed);
                }
                self.pushed.notify_waiters();
                Some(update.outcome)
            }
            Executed::Repeated(outcome) => Some(outcome),
            Executed::Stale => None,
        }
    }

    /// Waits until the first `upto` updates are as safe as the policy promises; `false` if this node stops serving in
    /// this epoch first.
    async fn is_confirmed(&self, epoch: Epoch, upto: u64) -> bool {
        loop {
            let changed = self.changed.notified();
            if self.epoch_served() != Some(epoch) {
                return false;
            }
            if self.confirmed() >= upto {
                return true;
            }
            changed.await;
        }
    }

    /// Writes everything up to `upto` to the disk, unless it is there already.
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
        self.setup.rules.confirmed(self.setup.policy, tenure)
    }
}
