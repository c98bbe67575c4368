//! A node, without network and clock: whoever runs it brings messages and ticks, and carries away what it has to send.

use crate::kv::{Ask, Command, Store, Told};
use crate::storage::Disk;
use omnipaxos::messages::Message;
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Ticks between two rounds of heartbeats.
const HEARTBEAT_TICKS: u64 = 10;
/// Ticks after which a message counts as lost.
const RESEND_TICKS: u64 = 20;

/// How a node answers reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// As it answers writes: through the log.
    Decided,
    /// From what it knows at the moment, which may be less than others do.
    Local,
}

/// What a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The answer.
    Told(Told),
    /// This node knows no leader, and has done nothing.
    NoLeader,
}

/// A node.
pub struct Node {
    paxos: OmniPaxos<Command, Disk>,
    store: Store,
    /// How many entries of the log the store has.
    applied: usize,
    reads: Reads,
    waiting: BTreeMap<(u64, u64), oneshot::Sender<Reply>>,
}

impl Node {
    /// Node `pid` of the nodes from 1 to `nodes`, with what its disk holds.
    ///
    /// # Panics
    /// If that is no cluster.
    pub fn new(pid: u64, nodes: u64, disk: Disk, reads: Reads) -> Node {
        let config = OmniPaxosConfig {
            cluster_config: ClusterConfig {
                configuration_id: 1,
                nodes: (1..=nodes).collect(),
                ..ClusterConfig::default()
            },
            server_config: ServerConfig {
                pid,
                election_tick_timeout: HEARTBEAT_TICKS,
                resend_message_tick_timeout: RESEND_TICKS,
                ..ServerConfig::default()
            },
        };
        let paxos = config.build(disk).expect("the nodes are a cluster, and this is one of them");
        Node { paxos, store: Store::default(), applied: 0, reads, waiting: BTreeMap::new() }
    }

    /// A client's request, to be answered through `reply`.
    pub fn ask(&mut self, command: Command, reply: oneshot::Sender<Reply>) {
        let at_once = match command.ask {
            Ask::Get { key } if self.reads == Reads::Local => Some(Reply::Told(Told::Value(self.store.get(key)))),
            _ if self.paxos.get_current_leader().is_none() => Some(Reply::NoLeader),
            _ => None,
        };
        if let Some(answer) = at_once {
            // Who has stopped waiting needs no answer, here and below.
            let _ = reply.send(answer);
            return;
        }
        let request = command.request;
        // It goes to the leader, wherever that is. Only a change of members, of which there is none here, refuses it.
        if self.paxos.append(command).is_ok() {
            self.waiting.insert(request, reply);
        }
    }

    /// A message of another node.
    pub fn handle(&mut self, message: Message<Command>) {
        self.paxos.handle_incoming(message);
        self.apply();
    }

    /// A connection that had broken is there again; what was sent meanwhile may be lost.
    pub fn reconnected(&mut self, pid: u64) {
        self.paxos.reconnected(pid);
    }

    /// Time goes by.
    pub fn tick(&mut self) {
        self.paxos.tick();
        self.apply();
    }

    /// What is to be sent.
    pub fn outgoing(&mut self) -> Vec<Message<Command>> {
        let mut messages = Vec::new();
        self.paxos.take_outgoing_messages(&mut messages);
        messages
    }

    fn apply(&mut self) {
        for entry in self.paxos.read_decided_suffix(self.applied).unwrap_or_default() {
            let LogEntry::Decided(command) = entry else { continue };
            self.applied += 1;
            let told = self.store.apply(&command);
            if let Some(reply) = self.waiting.remove(&command.request) {
                let _ = reply.send(Reply::Told(told));
            }
        }
    }
}
