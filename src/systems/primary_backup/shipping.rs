//! Keeps one backup up to date, and its grant of the lease alive.

use super::node::Node;
use super::replica::Epoch;
use super::tenure::Needed;
use super::wire::{Message, PeerAnswer};
use crate::systems::message::{decode, encode};
use crate::trace::HostId;
use std::rc::Rc;
use std::time::Duration;

impl Node {
    /// Sends a backup the updates that it lacks, and a sign of life at every interval, for as long as the tenure lasts.
    pub async fn ship_to(self: Rc<Self>, peer: HostId, epoch: Epoch) {
        let mut due_ns = 0;
        while !self.has_failed() {
            let pushed = self.pushed.notified();
            let Some(message) = self.message_for(peer, epoch) else { return };
            let now_ns = self.host.local_ns();
            let is_idle = matches!(&message, Message::Append { updates, .. } if updates.is_empty());
            if is_idle && now_ns < due_ns {
                tokio::select! {
                    biased;
                    () = pushed => {}
                    () = self.host.sleep(Duration::from_nanos(due_ns - now_ns)) => {}
                }
                continue;
            }
            due_ns = now_ns + self.setup.heartbeat.as_nanos() as u64;
            if self.ship(peer, epoch, &message).await.is_none() {
                self.host.sleep(self.setup.heartbeat / 4).await;
            }
        }
    }

    fn message_for(&self, peer: HostId, epoch: Epoch) -> Option<Message> {
        let memory = self.memory.borrow();
        let tenure = memory.tenure.as_ref().filter(|tenure| tenure.epoch == epoch)?;
        Some(match tenure.needed(peer) {
            Needed::Updates(previous, updates) => Message::Append { epoch, start: tenure.start, previous, updates },
            Needed::State => Message::Install { epoch, state: self.replica.borrow().clone() },
        })
    }

    /// Sends one message; `None` unless the backup obeyed.
    async fn ship(self: &Rc<Self>, peer: HostId, epoch: Epoch, message: &Message) -> Option<()> {
        // The lease counts from before it was requested.
        let sent_ns = self.host.local_ns();
        let deadline = self.setup.patience / 4;
        let call = self.host.transport();
        let answer = call.call(peer, message.kind(), encode(message), deadline, None).await.ok()?;
        match decode(&answer)? {
            PeerAnswer::Obeyed(progress) => {
                {
                    let mut memory = self.memory.borrow_mut();
                    let tenure = memory.tenure.as_mut().filter(|tenure| tenure.epoch == epoch)?;
                    tenure.granted(peer, sent_ns + self.setup.patience.as_nanos() as u64);
                    tenure.answered(peer, &progress);
                }
                self.record_role();
                self.changed.notify_waiters();
                Some(())
            }
            PeerAnswer::Refused(promised) => {
                if promised > epoch && promised > self.promised() {
                    self.promise(promised);
                }
                None
            }
            PeerAnswer::Granted(_) => None,
        }
    }
}
