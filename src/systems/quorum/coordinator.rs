//! Serving clients: any node asks every node and waits for a majority.

use super::node::Node;
use super::replica::{Claim, Found, Message, Record, ReplicaAnswer, Version};
use crate::kv::{Command, Key, Op, Response};
use crate::systems::protocol::{Reply, Request};
use std::rc::Rc;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// What a majority has for a key.
struct Majority {
    /// The newest version.
    newest: Option<Record>,
    /// Whether all of them have that version.
    is_stored: bool,
    /// Whether this attempt holds its command's claim.
    is_claimed: bool,
}

impl Node {
    /// Serves a client's request.
    pub async fn serve(self: &Rc<Self>, request: Request) -> Reply {
        let command = request.command;
        let refused = Reply::Refused { hint: None };
        // Nothing can have taken effect up to here: a claim alone changes no value.
        let Some(found) = self.query(&command).await else { return refused };
        let key = command.op.key();
        if !found.is_claimed {
            return self.finish(&command, found.newest).await;
        }
        let value = found.newest.and_then(|record| record.value);
        let (outcome, written) = match command.op {
            Op::Get { .. } => (Response::Value(value), None),
            Op::Put { value, .. } => (Response::Done, Some(Some(value))),
            Op::Delete { .. } => (Response::Done, Some(None)),
            // Nothing keeps another coordinator from doing the same with the same version: this is the flaw of cas
            // here.
            Op::Cas { expected, new, .. } if value == expected => (Response::Swapped, Some(Some(new))),
            Op::Cas { .. } => (Response::Mismatch { found: value }, None),
        };
        match (written, found.newest) {
            (Some(value), newest) => {
                let counter = newest.map_or(0, |record| record.version.counter) + 1;
                let record = Record { version: Version { counter, writer: command.tag }, value };
                if !self.store_at_majority(key, record).await {
                    return Reply::Unknown;
                }
            }
            // The next reader must not get an older value than this read returned.
            (None, Some(newest)) if !found.is_stored => {
                if !self.store_at_majority(key, newest).await {
                    return refused;
                }
            }
            (None, _) => {}
        }
        self.acknowledge(&command, outcome)
    }

    /// Finishes a command that another attempt has claimed. If that attempt is seen to have written, its write is
    /// stored at a majority.
    async fn finish(self: &Rc<Self>, command: &Command, newest: Option<Record>) -> Reply {
        let Some(record) = newest.filter(|record| record.version.writer == command.tag) else { return Reply::Unknown };
        if !self.store_at_majority(command.op.key(), record).await {
            return Reply::Unknown;
        }
        let outcome = if let Op::Cas { .. } = command.op { Response::Swapped } else { Response::Done };
        self.acknowledge(command, outcome)
    }

    fn acknowledge(&self, command: &Command, outcome: Response) -> Reply {
        self.host.record_acknowledge(command.tag, command.op.key(), 0);
        Reply::Ok { outcome, acknowledged_by: self.host.id(), term: 0 }
    }

    /// How many nodes make a majority.
    fn majority(&self) -> usize {
        self.setup.nodes.len() / 2 + 1
    }

    /// Sends a message to every node, this one included; returns the answers as they arrive.
    fn ask_everybody(self: &Rc<Self>, message: Message) -> UnboundedReceiver<ReplicaAnswer> {
        let (answers, arriving) = mpsc::unbounded_channel();
        for peer in self.peers() {
            let (node, answers, message) = (self.clone(), answers.clone(), message.clone());
            self.host.spawn(async move { node.call(peer, &message).await.map(|answer| answers.send(answer)) });
        }
        let node = self.clone();
        self.host.spawn(async move { node.handle(message).await.map(|answer| answers.send(answer)) });
        arriving
    }

    /// Asks for the newest version of a command's key; a write claims its command. `None` without a majority.
    async fn query(self: &Rc<Self>, command: &Command) -> Option<Majority> {
        let (key, tag) = (command.op.key(), command.tag);
        let claim = command.op.is_write().then(|| {
            let attempt = self.host.with_rng(rand::RngCore::next_u64);
            (tag.session, Claim { sequence: tag.sequence, attempt })
        });
        let mut arriving = self.ask_everybody(Message::Query { key, claim });
        let mut answers: Vec<Found> = Vec::new();
        while let Some(answer) = arriving.recv().await {
            if let ReplicaAnswer::Found(found) = answer {
                answers.push(found);
            }
            let claimed = answers.iter().filter(|found| found.is_claimed).count();
            let is_hopeless = answers.len() - claimed > self.setup.nodes.len() - self.majority();
            if claimed >= self.majority() || (is_hopeless && answers.len() >= self.majority()) {
                break;
            }
        }
        if answers.len() < self.majority() {
            return None;
        }
        let newest = answers.iter().filter_map(|found| found.record).max_by_key(|record| record.version);
        let holders = answers.iter().filter(|found| found.record == newest).count();
        let claimed = answers.iter().filter(|found| found.is_claimed).count();
        Some(Majority { newest, is_stored: holders >= self.majority(), is_claimed: claimed >= self.majority() })
    }

    /// Stores a version of a key at a majority; `false` if no majority answers.
    async fn store_at_majority(self: &Rc<Self>, key: Key, record: Record) -> bool {
        let mut arriving = self.ask_everybody(Message::Store { key, record });
        let mut stored = 0;
        while stored < self.majority() {
            match arriving.recv().await {
                Some(ReplicaAnswer::Stored) => stored += 1,
                Some(_) => {}
                None => return false,
            }
        }
        true
    }
}
