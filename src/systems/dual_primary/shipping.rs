//! Replication to each peer: updates in batches, resent until acknowledged; after a silence, the whole state.

use super::node::Node;
use super::wire::{Batch, Pulse};
use crate::host::lock;
use crate::systems::message::{decode, encode};
use crate::trace::{HostId, MessageKind};
use std::rc::Rc;

/// Updates in one message.
const BATCH: usize = 256;

impl Node {
    /// Keeps one peer up to date, for as long as the process runs.
    pub async fn ship_to(self: Rc<Self>, peer: HostId) {
        let is_neighbour = self.layout.are_neighbours(peer, self.id());
        loop {
            let changed = self.changed.notified();
            let (needs_exchange, has_pending) = {
                let contacts = &self.memory.borrow().contacts;
                let needs = contacts.peer(peer).is_some_and(|peer| peer.needs_exchange());
                (needs, !contacts.pending(peer, 1).0.is_empty())
            };
            let succeeded = if needs_exchange {
                self.exchange(peer).await
            } else if has_pending {
                if !is_neighbour {
                    // No client waits for another site, so let a batch gather.
                    self.host.sleep(self.layout.heartbeat / 4).await;
                }
                self.ship_batch(peer, is_neighbour).await
            } else {
                changed.await;
                true
            };
            if !succeeded {
                self.host.sleep(self.layout.heartbeat / if is_neighbour { 8 } else { 2 }).await;
            }
        }
    }

    async fn ship_batch(self: &Rc<Self>, peer: HostId, is_neighbour: bool) -> bool {
        let (updates, upto) = self.memory.borrow().contacts.pending(peer, BATCH);
        let batch = encode(&Batch { pulse: self.pulse(peer), updates });
        let deadline = if is_neighbour { self.layout.heartbeat } else { self.layout.takeover_after / 2 };
        let answer = self.host.transport().call(peer, MessageKind::Replicate, batch, deadline, None).await;
        let Some(pulse) = answer.ok().and_then(|bytes| decode::<Pulse>(&bytes)) else { return false };
        {
            let contacts = &mut self.memory.borrow_mut().contacts;
            contacts.answered(peer, self.host.local_ns());
            contacts.acked(peer, upto);
        }
        self.take_pulse(peer, &pulse);
        true
    }

    /// Both sides send each other their whole state and keep the newer version of each record.
    async fn exchange(self: &Rc<Self>, peer: HostId) -> bool {
        let number = self.memory.borrow_mut().contacts.begin_exchange(peer);
        let everything = Batch { pulse: self.pulse(peer), updates: lock(&self.disk).replica.everything() };
        let deadline = self.layout.takeover_after / 2;
        let transport = self.host.transport();
        let call = transport.call(peer, MessageKind::AntiEntropy, encode(&everything), deadline, None);
        let answer = call.await.ok().and_then(|bytes| decode::<Batch>(&bytes));
        if let Some(batch) = &answer {
            self.memory.borrow_mut().contacts.answered(peer, self.host.local_ns());
            self.merge_and_pass_on(&batch.updates);
        }
        self.memory.borrow_mut().contacts.end_exchange(peer, number, answer.is_some());
        if let Some(batch) = &answer {
            self.take_pulse(peer, &batch.pulse);
        }
        answer.is_some()
    }
}
