//! The client protocol on a Raft node. Writes go through the log. Reads do not (ReadIndex; Raft dissertation, section
//! 6.4; openraft's `ensure_linearizable`): the leader notes its committed index, has a majority confirm that it still
//! leads, waits until it has applied the log up to that index, and answers.
//!
//! With [`Reads::Local`] a node skips that round: it answers a read from the state that it has applied, whether it
//! leads or not. The value was current at some time; it is unknown when.

use super::durable::Machine;
use super::sessions::AppendedCommands;
use super::types::{NodeId, Raft, host_id};
use crate::host::{Host, lock};
use crate::kv::{Applied, Command, Key, Op, Response};
use crate::systems::message::{decode, encode};
use crate::systems::protocol::{Reply, Request};
use crate::trace::HostId;
use openraft::EmptyNode;
use openraft::error::{ClientWriteError, RaftError};
use std::sync::{Arc, Mutex};

/// What a node does before it answers a read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reads {
    /// The ReadIndex protocol: a majority confirms that this node leads, so reads are linearizable.
    #[default]
    Confirmed,
    /// Nothing.
    Local,
}

/// Answers clients on one node.
#[derive(Clone)]
pub struct Service {
    host: Host,
    raft: Raft,
    machine: Arc<Mutex<Machine>>,
    appended: AppendedCommands,
    reads: Reads,
}

type WriteError = RaftError<NodeId, ClientWriteError<NodeId, EmptyNode>>;

impl Service {
    /// The service of the node `raft` on `host`. `appended` holds the commands that this process has appended to its
    /// log.
    pub fn new(
        host: Host,
        raft: Raft,
        machine: Arc<Mutex<Machine>>,
        appended: AppendedCommands,
        reads: Reads,
    ) -> Service {
        Service { host, raft, machine, appended, reads }
    }

    /// Answers one encoded [`Request`]; `None` when it cannot be decoded.
    pub async fn answer(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let Request { command } = decode(payload)?;
        let reply = match command.op {
            Op::Get { key } => self.read(&command, key).await,
            _ => self.write(command).await,
        };
        Some(encode(&reply))
    }

    /// Executes a command through the log.
    pub(super) async fn write(&self, command: Command) -> Reply {
        match self.raft.client_write(command).await {
            Ok(written) => match written.data {
                Some(Applied::Fresh(outcome) | Applied::Repeated(outcome)) => {
                    self.acknowledge(&command, outcome, written.log_id.leader_id.term)
                }
                Some(Applied::Stale) | None => Reply::Unknown,
            },
            Err(error) => self.refuse_write(&command, &error),
        }
    }

    /// Refuses a write only if that is definite. openraft answers `ForwardToLeader` also for an entry that was appended
    /// and truncated later: see [`AppendedCommands`].
    fn refuse_write(&self, command: &Command, error: &WriteError) -> Reply {
        match error.forward_to_leader::<EmptyNode>() {
            Some(forward) if !self.appended.contains(command.tag) => {
                Reply::Refused { hint: forward.leader_id.map(host_id) }
            }
            _ => Reply::Unknown,
        }
    }

    /// Reads a key, once the condition of [`Reads`] is met.
    pub(super) async fn read(&self, command: &Command, key: Key) -> Reply {
        let may_read = match self.reads {
            Reads::Confirmed => self.confirm_leadership().await,
            Reads::Local => Ok(()),
        };
        match may_read {
            Ok(()) => self.read_applied(command, key),
            // A read that was not answered has no effect, so it can always be refused.
            Err(hint) => Reply::Refused { hint },
        }
    }

    /// ReadIndex: waits until a majority has confirmed that this node leads, and until this node has applied everything
    /// that was committed when it asked. The error names the node that may lead instead, if known.
    pub(super) async fn confirm_leadership(&self) -> Result<(), Option<HostId>> {
        match self.raft.ensure_linearizable().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let leader = error.forward_to_leader::<EmptyNode>().and_then(|forward| forward.leader_id);
                Err(leader.map(host_id))
            }
        }
    }

    /// The value of a key in the state that this node has applied.
    pub(super) fn read_applied(&self, command: &Command, key: Key) -> Reply {
        let value = lock(&self.machine).store.get(key);
        let term = self.raft.metrics().borrow().current_term;
        self.acknowledge(command, Response::Value(value), term)
    }

    pub(super) fn acknowledge(&self, command: &Command, outcome: Response, term: u64) -> Reply {
        self.host.record_acknowledge(command.tag, command.op.key(), term);
        Reply::Ok { outcome, acknowledged_by: self.host.id(), term }
    }
}
