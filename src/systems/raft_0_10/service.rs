//! The client protocol and the administrator's on a Raft node.
//!
//! Writes go through the log. Reads do not (ReadIndex; Raft dissertation, section 6.4): a majority confirms that this
//! node leads, and the node waits until it has applied all that was committed when it asked.

use super::rules::Rules;
use super::state_machine::Raft;
use super::types::{Machine, NodeId, Types, host_id, node_id};
use crate::host::{Host, lock};
use crate::kv::{Applied, Command, Key, Op, Response};
use crate::systems::Reconfigured;
use crate::systems::message::{decode, encode};
use crate::systems::protocol::{Reply, Request};
use crate::systems::storage::rules::Reads;
use crate::trace::HostSet;
use openraft_0_10::async_runtime::watch::WatchReceiver;
use openraft_0_10::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft_0_10::{EmptyNode, ReadPolicy};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Answers clients on one node.
#[derive(Clone)]
pub struct Service {
    host: Host,
    raft: Raft,
    machine: Arc<Mutex<Machine>>,
    rules: Rules,
}

type ReadError = RaftError<Types, LinearizableReadError<Types>>;
type WriteError = RaftError<Types, ClientWriteError<Types>>;

impl Service {
    /// The service of the node `raft` on `host`.
    pub fn new(host: Host, raft: Raft, machine: Arc<Mutex<Machine>>, rules: Rules) -> Service {
        Service { host, raft, machine, rules }
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

    async fn write(&self, command: Command) -> Reply {
        match self.raft.client_write(command).await {
            Ok(written) => match written.data {
                Some(Applied::Fresh(outcome) | Applied::Repeated(outcome)) => {
                    self.acknowledge(&command, outcome, written.log_id.leader_id.term)
                }
                Some(Applied::Stale) | None => Reply::Unknown,
            },
            // The command was never appended.
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Reply::Refused { hint: forward.leader_id.map(host_id) }
            }
            Err(RaftError::APIError(ClientWriteError::LogEntryDiscarded(forward))) => {
                (self.rules.discarded)(forward.leader_id.map(host_id))
            }
            Err(_) => Reply::Unknown,
        }
    }

    async fn read(&self, command: &Command, key: Key) -> Reply {
        let may_read: Result<(), ReadError> = match self.rules.store.reads {
            Reads::Confirmed => self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await.map(|_| ()),
            Reads::Believing => self
                .raft
                .as_leader()
                .map(|_| ())
                .map_err(|forward| RaftError::APIError(LinearizableReadError::from(forward))),
        };
        match may_read {
            Ok(()) => {
                let value = lock(&self.machine).store.get(key);
                let term = self.raft.metrics().borrow_watched().current_term;
                self.acknowledge(command, Response::Value(value), term)
            }
            // A read that was not answered has no effect, so it can always be refused.
            Err(error) => {
                let leader = error.forward_to_leader().and_then(|forward| forward.leader_id);
                Reply::Refused { hint: leader.map(host_id) }
            }
        }
    }

    fn acknowledge(&self, command: &Command, outcome: Response, term: u64) -> Reply {
        self.host.record_acknowledge(command.tag, command.op.key(), term);
        Reply::Ok { outcome, acknowledged_by: self.host.id(), term }
    }

    /// Answers an administrator's encoded request for a set of voters; `None` when it cannot be decoded. A new node
    /// first becomes a learner; one that is no longer a voter is removed from the cluster altogether.
    pub async fn reconfigure(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let voters: HostSet = decode(payload)?;
        let voters = voters.iter().map(node_id).collect();
        let answer = match self.change(voters).await {
            Ok(()) => Reconfigured::Done,
            Err(error) => match error.forward_to_leader() {
                Some(forward) => Reconfigured::Refused { hint: forward.leader_id.map(host_id) },
                None => Reconfigured::Unknown,
            },
        };
        Some(encode(&answer))
    }

    async fn change(&self, voters: BTreeSet<NodeId>) -> Result<(), WriteError> {
        let membership = self.raft.metrics().borrow_watched().membership_config.membership().clone();
        let known: BTreeSet<NodeId> = membership.nodes().map(|(id, _)| *id).collect();
        for id in voters.difference(&known) {
            self.raft.add_learner(*id, EmptyNode {}, false).await?;
        }
        // If the membership is in force already, this commits it again in a new entry. That proves that this node
        // still leads: a deposed leader could not commit it.
        self.raft.change_membership(voters, false).await?;
        Ok(())
    }
}
