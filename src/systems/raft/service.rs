//! The client protocol on a Raft node: writes through the log, reads through the leader's confirmed lease on
//! the present (`ensure_linearizable`: a round of heartbeats to a quorum, Raft dissertation section 6.4).
//!
//! With [`Reads::Local`] a node spares itself that round: it answers a read from what it has applied, whoever leads. The
//! answer is what was true once; nobody can say when. The other ways to spare it are bugs.

use super::sessions::AppendedCommands;
use super::state_machine::Machine;
use super::types::{NodeId, Raft, host_id};
use crate::host::{Host, lock};
use crate::kv::protocol::{Reply, Request};
use crate::kv::{Applied, Command, Op, Outcome};
use crate::systems::bugs::Bug;
use crate::systems::message::{decode, encode};
use crate::trace::HostId;
use openraft::EmptyNode;
use openraft::error::{ClientWriteError, RaftError};
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a node does before it answers a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// It has a majority confirm that it leads.
    Confirmed,
    /// Nothing.
    Local,
    /// It looks whether it takes itself for the leader.
    Believing,
    /// As [`Reads::Believing`], in this span after it had looked.
    Remembering(Duration),
    /// It has a majority confirm it, and then not again for this span of its own clock.
    Leased(Duration),
}

/// How long it is remembered who leads, with [`Bug::StaleLeaderCache`].
const REMEMBERED: Duration = Duration::from_secs(2);

impl Reads {
    /// How reads are done with a bug, or without. A follower keeps from electing another leader for `lease` after it
    /// has heard from one.
    pub fn of(bug: Option<Bug>, lease: Duration) -> Reads {
        match bug {
            Some(Bug::ReadWithoutReadIndex) => Reads::Believing,
            Some(Bug::StaleLeaderCache) => Reads::Remembering(REMEMBERED),
            Some(Bug::LeaseRead) => Reads::Leased(lease),
            _ => Reads::Confirmed,
        }
    }
}

/// Answers clients on one node.
pub struct Service {
    host: Host,
    raft: Raft,
    machine: Arc<Mutex<Machine>>,
    appended: AppendedCommands,
    reads: Reads,
    bug: Option<Bug>,
    /// Until when reads need nobody, by this host's clock, and what is known until then: whether this node leads, and
    /// in which term.
    known: Cell<(u64, Option<u64>)>,
}

impl Service {
    /// The service of the node `raft` on `host`.
    pub fn new(
        host: Host,
        raft: Raft,
        machine: Arc<Mutex<Machine>>,
        appended: AppendedCommands,
        reads: Reads,
        bug: Option<Bug>,
    ) -> Service {
        Service { host, raft, machine, appended, reads, bug, known: Cell::default() }
    }

    /// Answers one encoded [`Request`]; `None` when it cannot be decoded.
    pub async fn answer(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let Request { command } = decode(payload)?;
        let reply = if command.op.is_write() { self.write(command).await } else { self.read(command).await };
        Some(encode(&reply))
    }

    async fn write(&self, command: Command) -> Reply {
        match (self.bug, command.op) {
            (Some(Bug::CasOutsideLog), Op::Cas { key, expected, new }) => {
                let found = lock(&self.machine).store.get(key);
                match self.leads() {
                    Some(term) if found != expected => {
                        return self.acknowledge(&command, Outcome::Mismatch { found }, term);
                    }
                    _ => {}
                }
                let put = Command { op: Op::Put { key, value: new }, ..command };
                match self.commit(put).await {
                    Reply::Ok { acknowledged_by, term, .. } => {
                        Reply::Ok { outcome: Outcome::Swapped, acknowledged_by, term }
                    }
                    other => other,
                }
            }
            (Some(Bug::AcknowledgedBeforeCommit), Op::Put { .. } | Op::Delete { .. }) => {
                tokio::select! {
                    biased;
                    reply = self.commit(command) => reply,
                    term = self.appended(command) => self.acknowledge(&command, Outcome::Done, term),
                }
            }
            _ => self.commit(command).await,
        }
    }

    /// The term in which this node takes itself for the leader.
    fn leads(&self) -> Option<u64> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        metrics.state.is_leader().then_some(metrics.current_term)
    }

    /// Waits until a command is in this node's log, while it leads.
    async fn appended(&self, command: Command) -> u64 {
        loop {
            match self.leads() {
                Some(term) if self.appended.contains(command.tag) => return term,
                _ => self.host.sleep(Duration::from_millis(1)).await,
            }
        }
    }

    async fn commit(&self, command: Command) -> Reply {
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
        if self.appended.contains(command.tag) && self.bug != Some(Bug::RefusedAfterAppend) {
            return Reply::Unknown;
        }
        match error.forward_to_leader::<EmptyNode>() {
            Some(forward) => Reply::Refused { hint: forward.leader_id.map(host_id) },
            None => Reply::Unknown,
        }
    }

    async fn read(&self, command: Command) -> Reply {
        let Op::Get { key } = command.op else { return Reply::Unknown };
        match self.may_read().await {
            Ok(()) => {
                let value = lock(&self.machine).store.get(key);
                let term = self.raft.metrics().borrow().current_term;
                self.acknowledge(&command, Outcome::Value(value), term)
            }
            // A read that was not served has no effect, whatever the reason.
            Err(hint) => Reply::Refused { hint },
        }
    }

    /// Does what is to be done before a read, or says who may lead instead.
    async fn may_read(&self) -> Result<(), Option<HostId>> {
        let other = || self.raft.metrics().borrow().current_leader.map(host_id).filter(|node| *node != self.host.id());
        let now_ns = self.host.local_ns();
        let (until_ns, known) = self.known.get();
        match self.reads {
            Reads::Confirmed => {}
            Reads::Local => return Ok(()),
            Reads::Believing => return self.leads().map(|_| ()).ok_or_else(other),
            Reads::Remembering(span) => {
                let leads = if now_ns < until_ns { known } else { self.leads() };
                if now_ns >= until_ns {
                    self.known.set((now_ns + span.as_nanos() as u64, leads));
                }
                return leads.map(|_| ()).ok_or_else(other);
            }
            Reads::Leased(_) if now_ns < until_ns && known == self.leads() => return Ok(()),
            Reads::Leased(_) => {}
        }
        match self.raft.ensure_linearizable().await {
            Ok(_) => {
                if let Reads::Leased(lease) = self.reads {
                    self.known.set((now_ns + lease.as_nanos() as u64, self.leads()));
                }
                Ok(())
            }
            Err(error) => {
                let hint = error.forward_to_leader::<EmptyNode>().and_then(|forward| forward.leader_id);
                Err(hint.map(host_id))
            }
        }
    }

    fn acknowledge(&self, command: &Command, outcome: Outcome, term: u64) -> Reply {
        self.host.record_acknowledge(command.tag, command.op.key(), term);
        Reply::Ok { outcome, acknowledged_by: self.host.id(), term }
    }
}
