//! Serving clients: at this node if it serves the key, else through the node that does.

use super::node::Node;
use crate::host::lock;
use crate::host::transport::CallError;
use crate::kv::{Applied, Command, Op, Response};
use crate::systems::message::decode;
use crate::systems::protocol::{Reply, Request};
use crate::trace::{HostId, MessageKind};
use std::rc::Rc;

impl Node {
    /// Serves a request that came from a client or, proxied, from another node.
    pub async fn serve(self: &Rc<Self>, from: HostId, request: Request, payload: Vec<u8>) -> Reply {
        let command = request.command;
        let shard = self.layout.shard(command.op.key());
        let holder = self.claim(shard).holder;
        if holder == self.id() {
            return self.execute(shard, &command).await;
        }
        // At most one hop: two nodes that disagree must not pass a request back and forth. And a witness serves no
        // clients: it would route around every cut, and become a hidden single point of failure.
        if self.memory.borrow().contacts.is_peer(from) || self.layout.is_witness(self.id()) {
            return Reply::Refused { hint: None };
        }
        let deadline = self.layout.takeover_after;
        match self.host.transport().call(holder, MessageKind::Request, payload, deadline, None).await {
            Ok(bytes) => {
                self.memory.borrow_mut().contacts.answered(holder, self.host.local_ns());
                decode(&bytes).unwrap_or(Reply::Unknown)
            }
            Err(CallError::NotSent) => Reply::Refused { hint: None },
            Err(CallError::Deadline | CallError::Broken) => unknown(&command),
        }
    }

    async fn execute(self: &Rc<Self>, shard: u16, command: &Command) -> Reply {
        let Some(term) = self.serves(shard) else { return Reply::Refused { hint: None } };
        let Some(outcome) = self.apply(command) else { return Reply::Unknown };
        let upto = self.memory.borrow().contacts.end();
        if !self.neighbours_have(shard, term, upto).await {
            return unknown(command);
        }
        self.host.record_acknowledge(command.tag, command.op.key(), term);
        Reply::Ok { outcome, acknowledged_by: self.id(), term }
    }

    /// Reads or writes the replica; `None` for a command older than its session's last.
    fn apply(&self, command: &Command) -> Option<Response> {
        let key = command.op.key();
        let mut disk = lock(&self.disk);
        if let Op::Get { .. } = command.op {
            return Some(Response::Value(disk.replica.get(key)));
        }
        let (applied, update) = disk.replica.apply(command, self.host.wall_ns(), self.id());
        if let Some(update) = update {
            if update.write.is_some() {
                self.host.record_apply(command.tag, key);
            }
            self.memory.borrow_mut().contacts.push(update);
            self.changed.notify_waiters();
        }
        match applied {
            Applied::Fresh(outcome) | Applied::Repeated(outcome) => Some(outcome),
            Applied::Stale => None,
        }
    }

    /// Waits until every neighbour that answers has every update before `upto`. Reads wait too: a value that was read
    /// must survive this node. `false` if this node stops serving the shard in this term first.
    async fn neighbours_have(&self, shard: u16, term: u64, upto: u64) -> bool {
        loop {
            let changed = self.changed.notified();
            if self.serves(shard) != Some(term) {
                return false;
            }
            let now_ns = self.host.local_ns();
            let all_have = {
                let contacts = &self.memory.borrow().contacts;
                self.neighbours().all(|neighbour| {
                    let has = |neighbour| {
                        contacts.peer(neighbour).is_some_and(|peer| !peer.needs_exchange() && peer.acked >= upto)
                    };
                    !contacts.answers(neighbour, now_ns) || has(neighbour)
                })
            };
            if all_have {
                return true;
            }
            changed.await;
        }
    }
}

/// The reply to a command that may have been executed. A read has no effect, so it is refused instead.
fn unknown(command: &Command) -> Reply {
    if command.op.is_write() { Reply::Unknown } else { Reply::Refused { hint: None } }
}
