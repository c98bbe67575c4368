//! The clients that wait for an answer of a node: for their commands to be applied, or for their reads to be allowed.

use crate::host::Host;
use crate::kv::{Applied, Command, Response, Tag};
use crate::systems::message::encode;
use crate::systems::protocol::Reply;
use crate::trace::HostId;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// The way back to a client.
pub type Counter = oneshot::Sender<Vec<u8>>;

/// A request that waits for the engine.
pub struct Asked {
    /// What the client wants.
    pub command: Command,
    /// The way back to it.
    pub counter: Counter,
}

impl Asked {
    /// Answers the client, which may have stopped waiting.
    pub fn answer(self, reply: &Reply) {
        let _ = self.counter.send(encode(reply));
    }

    /// Says that the command may have an effect, or not.
    pub fn leave_open(self) {
        self.answer(&Reply::Unknown);
    }

    /// Refuses the command, which has had no effect and will have none.
    pub fn refuse(self, hint: Option<HostId>) {
        self.answer(&Reply::Refused { hint });
    }
}

/// The clients whose commands are in the log, or under way into it.
#[derive(Default)]
pub struct Desk {
    proposed: BTreeMap<Tag, Vec<Asked>>,
}

impl Desk {
    /// A command was handed to the engine.
    pub fn proposed(&mut self, asked: Asked) {
        self.proposed.entry(asked.command.tag).or_default().push(asked);
    }

    /// A command was applied, in this term.
    pub fn applied(&mut self, host: &Host, command: &Command, applied: Applied, term: u64) {
        for asked in self.proposed.remove(&command.tag).unwrap_or_default() {
            let reply = match applied {
                Applied::Fresh(outcome) | Applied::Repeated(outcome) => acknowledge(host, command, outcome, term),
                Applied::Stale => Reply::Unknown,
            };
            asked.answer(&reply);
        }
    }

    /// This node leads no more. What becomes of the commands, it will not learn.
    pub fn abandon(&mut self, tell: fn(Asked)) {
        std::mem::take(&mut self.proposed).into_values().flatten().for_each(tell);
    }
}

/// Acknowledges a command.
pub fn acknowledge(host: &Host, command: &Command, outcome: Response, term: u64) -> Reply {
    host.record_acknowledge(command.tag, command.op.key(), term);
    Reply::Ok { outcome, acknowledged_by: host.id(), term }
}
