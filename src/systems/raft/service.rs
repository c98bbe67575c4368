//! The client protocol on a Raft node: writes through the log, reads through the leader's confirmed lease on
//! the present (`ensure_linearizable`: a round of heartbeats to a quorum, Raft dissertation section 6.4).
//!
//! With `local_reads` a node spares itself that round: it answers a read from what it has applied, whoever leads. The
//! answer is what was true once; nobody can say when.

use super::sessions::AppendedCommands;
use super::state_machine::Machine;
use super::types::{NodeId, Raft, host_id};
use crate::host::{Host, lock};
use crate::kv::protocol::{Reply, Request};
use crate::kv::{Applied, Command, Op, Outcome};
use openraft::EmptyNode;
use openraft::error::{ClientWriteError, RaftError};
use std::sync::{Arc, Mutex};

/// Answers clients on one node.
pub struct Service {
    host: Host,
    raft: Raft,
    machine: Arc<Mutex<Machine>>,
    appended: AppendedCommands,
    local_reads: bool,
}

impl Service {
    /// The service of the node `raft` on `host`; `local_reads` is a planted defect.
    pub fn new(
        host: Host,
        raft: Raft,
        machine: Arc<Mutex<Machine>>,
        appended: AppendedCommands,
        local_reads: bool,
    ) -> Service {
        Service { host, raft, machine, appended, local_reads }
    }

    /// Answers one encoded [`Request`]; `None` when it cannot be decoded.
    pub async fn answer(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let Request { command } = postcard::from_bytes(payload).ok()?;
        let reply = if command.op.is_write() { self.write(command).await } else { self.read(command).await };
        postcard::to_stdvec(&reply).ok()
    }

    async fn write(&self, command: Command) -> Reply {
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

    fn refuse_write(&self, command: &Command, error: &RaftError<NodeId, ClientWriteError<NodeId, EmptyNode>>) -> Reply {
        if self.appended.contains(command.tag) {
            return Reply::Unknown;
        }
        match error.forward_to_leader::<EmptyNode>() {
            Some(forward) => Reply::Refused { hint: forward.leader_id.map(host_id) },
            None => Reply::Unknown,
        }
    }

    async fn read(&self, command: Command) -> Reply {
        let Op::Get { key } = command.op else { return Reply::Unknown };
        let confirmed = if self.local_reads { Ok(()) } else { self.raft.ensure_linearizable().await.map(|_| ()) };
        match confirmed {
            Ok(()) => {
                let value = lock(&self.machine).store.get(key);
                let term = self.raft.metrics().borrow().current_term;
                self.acknowledge(&command, Outcome::Value(value), term)
            }
            // A read that was not served has no effect, whatever the reason.
            Err(error) => {
                let hint = error.forward_to_leader::<EmptyNode>().and_then(|forward| forward.leader_id);
                Reply::Refused { hint: hint.map(host_id) }
            }
        }
    }

    fn acknowledge(&self, command: &Command, outcome: Outcome, term: u64) -> Reply {
        self.host.record_acknowledge(command.tag, command.op.key(), term);
        Reply::Ok { outcome, acknowledged_by: self.host.id(), term }
    }
}
