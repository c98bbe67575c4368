//! Bugs of the answers that clients get.

use crate::host::{Host, lock};
use crate::kv::{Command, Key, Op, Response};
use crate::systems::bugs::Bug;
use crate::systems::message::{decode, encode};
use crate::systems::protocol::{Reply, Request};
use crate::systems::raft::durable::{Disk, Machine};
use crate::systems::raft::node::Setup;
use crate::systems::raft::service::Service;
use crate::systems::raft::sessions::AppendedCommands;
use crate::systems::raft::types::{Raft, host_id};
use crate::systems::together::Bugs;
use crate::trace::HostId;
use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a node caches whether it leads, with [`Bug::StaleLeaderCache`].
const REMEMBERED: Duration = Duration::from_secs(2);

/// Answers clients on one node, with bugs.
pub struct BuggedService {
    inner: Service,
    host: Host,
    raft: Raft,
    disk: Arc<Mutex<Disk>>,
    machine: Arc<Mutex<Machine>>,
    appended: AppendedCommands,
    /// How long a follower that has heard from a leader elects no other one.
    lease: Duration,
    /// Until when reads are answered without a majority, by this host's clock, and in which term this node leads until
    /// then, if it does.
    known: Cell<(u64, Option<u64>)>,
    bugs: Bugs,
}

impl BuggedService {
    /// The service `inner` of the node `raft`, with bugs.
    pub fn new(
        inner: Service,
        host: Host,
        raft: Raft,
        (disk, machine): (Arc<Mutex<Disk>>, Arc<Mutex<Machine>>),
        appended: AppendedCommands,
        setup: &Setup,
        bugs: Bugs,
    ) -> BuggedService {
        let lease = Duration::from_millis(setup.config.election_timeout_max);
        BuggedService { inner, host, raft, disk, machine, appended, lease, known: Cell::default(), bugs }
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
        match command.op {
            Op::Cas { key, expected, new } if self.bugs.has(Bug::CasOutsideLog) => {
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
            Op::Put { .. } | Op::Delete { .. } if self.bugs.has(Bug::AcknowledgedBeforeCommit) => {
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
        if self.bugs.has(Bug::StaleLeaderCache) {
            return self.read_believing(self.cached_leads(), command, key);
        }
        if self.bugs.has(Bug::ReadWithoutReadIndex) {
            return self.read_believing(self.leads(), command, key);
        }
        let is_leasing = self.bugs.has(Bug::LeaseRead) || self.bugs.has(Bug::LeaseFromAnswer);
        let asked_ns = self.host.local_ns();
        let (until_ns, known) = self.known.get();
        if is_leasing && asked_ns < until_ns && known == self.leads() {
            return self.inner.read_applied(command, key);
        }
        if let Err(hint) = self.confirm_leadership().await {
            return Reply::Refused { hint };
        }
        if is_leasing {
            // The bug: the majority's promise counts from when it was asked at the latest, and may be over before the answer.
            let from_ns = if self.bugs.has(Bug::LeaseFromAnswer) { self.host.local_ns() } else { asked_ns };
            self.known.set((from_ns + self.lease.as_nanos() as u64, self.leads()));
        }
        self.inner.read_applied(command, key)
    }

    /// Has a majority confirm that this node leads, and waits until it has applied what it must show; with some of the bugs
    /// less than that. The error is the node to ask instead, if known.
    async fn confirm_leadership(&self) -> Result<(), Option<HostId>> {
        let (awaited, own_term) = (!self.bugs.has(Bug::ReadNotAwaited), !self.bugs.has(Bug::ReadBeforeNoop));
        if awaited && own_term {
            return self.inner.confirm_leadership().await;
        }
        // The bug: at the start of its term a leader may not know how much its predecessor had committed.
        let known = lock(&self.disk).committed;
        self.raft.get_read_log_id().await.map_err(|_| None)?;
        if awaited {
            self.raft
                .wait(None)
                .applied_index_at_least(known.map(|known| known.index), "read")
                .await
                .map_err(|_| None)?;
        }
        Ok(())
    }

    /// In which term this node leads, as it was up to two seconds ago.
    fn cached_leads(&self) -> Option<u64> {
        let now_ns = self.host.local_ns();
        let (until_ns, known) = self.known.get();
        if now_ns < until_ns {
            return known;
        }
        let leads = self.leads();
        self.known.set((now_ns + REMEMBERED.as_nanos() as u64, leads));
        leads
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
