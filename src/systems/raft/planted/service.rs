//! Bugs of the answers that clients get.

use crate::host::{Host, lock};
use crate::kv::{Command, Key, Op, Response};
use crate::systems::bugs::Bug;
use crate::systems::message::{decode, encode};
use crate::systems::protocol::{Reply, Request};
use crate::systems::raft::durable::Machine;
use crate::systems::raft::node::Setup;
use crate::systems::raft::service::Service;
use crate::systems::raft::sessions::AppendedCommands;
use crate::systems::raft::types::{Raft, host_id};
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a node caches whether it leads, with [`Bug::StaleLeaderCache`].
const REMEMBERED: Duration = Duration::from_secs(2);

/// Answers clients on one node, with a bug.
pub struct BuggedService {
    inner: Service,
    host: Host,
    raft: Raft,
    machine: Arc<Mutex<Machine>>,
    appended: AppendedCommands,
    /// How long a follower that has heard from a leader elects no other one.
    lease: Duration,
    /// Until when reads are answered without a majority, by this host's clock, and in which term this node leads until
    /// then, if it does.
    known: Cell<(u64, Option<u64>)>,
    bug: Bug,
}

impl BuggedService {
    /// The service `inner` of the node `raft`, with a bug.
    pub fn new(
        inner: Service,
        host: Host,
        raft: Raft,
        machine: Arc<Mutex<Machine>>,
        appended: AppendedCommands,
        setup: &Setup,
        bug: Bug,
    ) -> BuggedService {
        let lease = Duration::from_millis(setup.config.election_timeout_max);
        BuggedService { inner, host, raft, machine, appended, lease, known: Cell::default(), bug }
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
        match (self.bug, command.op) {
            (Bug::CasOutsideLog, Op::Cas { key, expected, new }) => {
                let found = lock(&self.machine).store.get(key);
                match self.leads() {
                    Some(term) if found != expected => {
                        return self.inner.acknowledge(&command, Response::Mismatch { found }, term);
                    }
                    _ => {}
                }
                let put = Command { op: Op::Put { key, value: new }, ..command };
                match self.inner.write(put).await {
                    Reply::Ok { acknowledged_by, term, .. } => {
                        Reply::Ok { outcome: Response::Swapped, acknowledged_by, term }
                    }
                    other => other,
                }
            }
            (Bug::AcknowledgedBeforeCommit, Op::Put { .. } | Op::Delete { .. }) => {
                tokio::select! {
                    biased;
                    reply = self.inner.write(command) => reply,
                    term = self.appended(command) => self.inner.acknowledge(&command, Response::Done, term),
                }
            }
            _ => self.inner.write(command).await,
        }
    }

    /// Waits until a command is in this node's log, while it leads. Returns the term in which it led.
    async fn appended(&self, command: Command) -> u64 {
        loop {
            match self.leads() {
                Some(term) if self.appended.contains(command.tag) => return term,
                _ => self.host.sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// The term in which this node believes that it leads.
    fn leads(&self) -> Option<u64> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        metrics.state.is_leader().then_some(metrics.current_term)
    }

    async fn read(&self, command: &Command, key: Key) -> Reply {
        let now_ns = self.host.local_ns();
        let (until_ns, known) = self.known.get();
        match self.bug {
            Bug::ReadWithoutReadIndex => self.read_believing(self.leads(), command, key),
            Bug::StaleLeaderCache => {
                let leads = if now_ns < until_ns { known } else { self.leads() };
                if now_ns >= until_ns {
                    self.known.set((now_ns + REMEMBERED.as_nanos() as u64, leads));
                }
                self.read_believing(leads, command, key)
            }
            Bug::LeaseRead if now_ns < until_ns && known == self.leads() => self.inner.read_applied(command, key),
            Bug::LeaseRead => match self.inner.confirm_leadership().await {
                Ok(()) => {
                    self.known.set((now_ns + self.lease.as_nanos() as u64, self.leads()));
                    self.inner.read_applied(command, key)
                }
                Err(hint) => Reply::Refused { hint },
            },
            Bug::LeaseFromAnswer if now_ns < until_ns && known == self.leads() => self.inner.read_applied(command, key),
            Bug::LeaseFromAnswer => match self.inner.confirm_leadership().await {
                Ok(()) => {
                    self.known.set((self.host.local_ns() + self.lease.as_nanos() as u64, self.leads()));
                    self.inner.read_applied(command, key)
                }
                Err(hint) => Reply::Refused { hint },
            },
            Bug::ReadNotAwaited => match self.raft.get_read_log_id().await {
                Ok(_) => self.inner.read_applied(command, key),
                Err(_) => Reply::Refused { hint: None },
            },
            _ => self.inner.read(command, key).await,
        }
    }

    /// Reads without asking a majority, if this node believes that it leads.
    fn read_believing(&self, leads: Option<u64>, command: &Command, key: Key) -> Reply {
        if leads.is_some() {
            return self.inner.read_applied(command, key);
        }
        let leader = self.raft.metrics().borrow().current_leader.map(host_id);
        Reply::Refused { hint: leader.filter(|node| *node != self.host.id()) }
    }
}
