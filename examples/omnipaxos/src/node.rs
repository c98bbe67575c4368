//! A node without a network or a clock: its caller passes in messages and ticks, and sends its outgoing messages.

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
    /// Through the log, like writes.
    Decided,
    /// From its own state, which may be behind that of other nodes.
    Local,
}

/// A node's reply to a client.
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
            // The client may have stopped waiting; then the answer is dropped, here and below.
            let _ = reply.send(answer);
            return;
        }
        let request = command.request;
        // omnipaxos forwards it to the leader. It refuses it only during a change of members, and there is none here.
        if self.paxos.append(command).is_ok() {
            self.waiting.insert(request, reply);
        }
    }

    /// A message of another node.
    pub fn handle(&mut self, message: Message<Command>) {
        self.paxos.handle_incoming(message);
        self.apply();
    }

    /// A broken connection was opened again; messages sent meanwhile may be lost.
    pub fn reconnected(&mut self, pid: u64) {
        self.paxos.reconnected(pid);
    }

    /// One tick of the clock has passed.
    pub fn tick(&mut self) {
        self.paxos.tick();
        self.apply();
    }

    /// The messages to send.
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
