//! The replicated store on openraft.
//!
//! * [`types`], [`runtime`]: openraft's parameters; time, tasks and randomness from the host.
//! * [`log_store`], [`state_machine`]: storage, as openraft sees it. [`tables`]: redb.
//! * [`observe`]: wrappers that record what Raft does to its storage.
//! * [`planted`]: what the bugs of the state machine do.
//! * [`sessions`]: which commands a process has appended.
//! * [`network`]: RPCs over the host's transport.
//! * [`service`]: the client protocol. [`members`]: the administrator's.
//!
//! For openraft applications from elsewhere, which change their type parameters and nothing else: [`runtime`],
//! [`observe`], and
//!
//! * [`chaos`]: faults around any `RaftNetwork`.
//! * [`faulty`]: faults around any `RaftLogStorage`.

pub mod chaos;
pub mod faulty;
pub mod log_store;
pub mod members;
pub mod network;
pub mod observe;
pub mod planted;
pub mod runtime;
pub mod service;
pub mod sessions;
pub mod state_machine;
pub mod tables;
pub mod types;

use super::bugs::Bug;
use super::message::{decode, encode};
use super::storage::journal::Journal;
use super::storage::process;
use super::{Cluster, Deployment, Process, Reconfiguration, Reconfigured, Reconfiguring};
use crate::host::transport::Incoming;
use crate::host::{Host, lock};
use crate::kv::{Key, Value};
use crate::trace::{HostId, MessageKind};
use log_store::{Disk, LogStore};
use network::Network;
use observe::{ObservedLog, ObservedMachine};
use openraft::{Config, EmptyNode, Membership, SnapshotPolicy, StoredMembership};
use planted::Planted;
use service::{Reads, Service};
use sessions::AppendedCommands;
use state_machine::{Machine, StateMachine, restore};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use types::{Raft, node_id};

/// Entries between snapshots. Low, so that snapshots and purging happen several times in a run of seconds.
const LOGS_PER_SNAPSHOT: u64 = 150;
/// Entries kept below a snapshot, for followers that are a little behind.
const LOGS_KEPT: u64 = 30;
/// A follower further behind than this gets a snapshot.
const LAG_FOR_SNAPSHOT: u64 = 300;

/// How the system is built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Design {
    /// Where nodes keep their state.
    pub medium: Medium,
    /// Any node answers a read from what it has applied, and asks nobody: see [`service`].
    pub local_reads: bool,
    /// A bug, for checks to find. Each layer is told and knows its own.
    pub bug: Option<Bug>,
}

/// Where nodes keep their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Medium {
    /// A redb database on the host's disk: durable before it is answered.
    #[default]
    Disk,
    /// Memory that outlives the process: what storage costs shows beside it.
    Memory,
}

/// A Raft cluster.
pub struct RaftCluster {
    setup: Rc<Setup>,
    nodes: BTreeMap<HostId, Node>,
}

/// What all nodes have in common.
struct Setup {
    config: Arc<Config>,
    members: BTreeMap<u64, EmptyNode>,
    design: Design,
}

/// What outlives a node's processes.
#[derive(Default, Clone)]
struct Node {
    /// What is kept in memory, with [`Medium::Memory`].
    memory: Arc<Mutex<Disk>>,
    /// The machine of the latest process.
    machine: Arc<Mutex<Option<Arc<Mutex<Machine>>>>>,
}

impl RaftCluster {
    /// A fresh cluster of all nodes of `deployment` as voters.
    ///
    /// # Panics
    /// If the deployment's time-outs are not a valid Raft configuration; scenarios are validated before.
    pub fn new(deployment: &Deployment, design: Design) -> RaftCluster {
        let millis = |span: Duration| span.as_millis() as u64;
        let config = Config {
            cluster_name: "schism".to_owned(),
            heartbeat_interval: millis(deployment.heartbeat),
            election_timeout_min: millis(deployment.election.0),
            election_timeout_max: millis(deployment.election.1),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(LOGS_PER_SNAPSHOT),
            max_in_snapshot_log_to_keep: LOGS_KEPT,
            replication_lag_threshold: LAG_FOR_SNAPSHOT,
            purge_batch_size: 1,
            install_snapshot_timeout: millis(deployment.election.0),
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("scenario time-outs are validated"));
        let members = deployment.nodes().map(|node| (node_id(node), EmptyNode {})).collect();
        RaftCluster {
            setup: Rc::new(Setup { config, members, design }),
            nodes: deployment.nodes().map(|node| (node, Node::default())).collect(),
        }
    }
}

impl Cluster for RaftCluster {
    fn process(&self, host: Host) -> Process {
        let (setup, node) = (self.setup.clone(), self.nodes[&host.id()].clone());
        Box::pin(process::supervise(host, async move |host: &Host| start(&setup, host, &node).await))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        let machine = lock(&self.nodes[&node].machine).clone();
        Some(machine.map_or_else(BTreeMap::new, |machine| lock(&machine).store.values().clone()))
    }

    fn reconfigure<'a>(&'a self, request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        let Reconfiguration { client, node, voters, timeout } = request;
        Some(Box::pin(async move {
            let answer = client.transport().call(node, MessageKind::Members, encode(&voters), timeout, None).await;
            let decoded = answer.ok().and_then(|bytes| decode(&bytes));
            decoded.unwrap_or(Reconfigured::Unknown)
        }))
    }
}

/// A node that runs.
struct Running {
    raft: Raft,
    service: Service,
    bug: Option<Bug>,
}

impl process::Node for Running {
    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        match incoming.kind {
            MessageKind::Request => self.service.answer(&incoming.payload).await,
            MessageKind::Members => members::answer(&self.raft, &incoming.payload).await,
            _ => network::answer(&self.raft, &incoming, self.bug).await,
        }
    }

    /// It stops by itself when its storage fails.
    async fn failed(&self) {
        let mut metrics = self.raft.metrics();
        while metrics.borrow_and_update().running_state.is_ok() {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    async fn ended(&self) {
        // It has stopped by itself; this waits for its tasks.
        let _ = self.raft.shutdown().await;
    }
}

/// Starts a node from what its disk holds.
async fn start(setup: &Setup, host: &Host, node: &Node) -> Result<Rc<Running>, Box<dyn std::error::Error>> {
    let id = node_id(host.id());
    let Design { medium, local_reads, bug } = setup.design;
    let (disk, mut machine, journal) = match medium {
        Medium::Memory => (node.memory.clone(), restore(&node.memory)?, None),
        Medium::Disk => {
            let database = match tables::open(host.disk()) {
                Err(_) if bug == Some(Bug::BlankStart) => tables::blank()?,
                opened => opened?,
            };
            let (disk, machine) = tables::load(&database)?;
            let commit = if bug == Some(Bug::SyncErrorIgnored) { planted::COMMIT_OR_NOT } else { tables::commit };
            (Arc::new(Mutex::new(disk)), machine, Some(Journal::new(host.clone(), database, commit)))
        }
    };
    let voters = setup.members.keys().copied().collect();
    let first = StoredMembership::new(None, Membership::new(vec![voters], None));
    let planted = Planted::new(bug, host.clone(), first, &mut machine);
    let machine = StateMachine::new(machine, disk.clone(), journal, planted);
    if bug == Some(Bug::RaftAmnesia) {
        lock(&disk).vote = None;
    }
    let appended = AppendedCommands::default();
    *lock(&node.machine) = Some(machine.machine());
    let store = machine.machine();
    let network = Network::new(host.clone(), disk.clone(), bug);
    let log = ObservedLog::new(LogStore::new(disk, machine.journal(), bug), host.clone(), appended.clone());
    let machine = ObservedMachine::new(machine, host.clone(), appended.clone());
    let raft = Raft::new(id, setup.config.clone(), network, log, machine).await?;
    // One node founds the cluster; the others learn of it from its log.
    if setup.members.keys().next() == Some(&id) && !raft.is_initialized().await? {
        raft.initialize(setup.members.clone()).await?;
    }
    let lease = Duration::from_millis(setup.config.election_timeout_max);
    let reads = if local_reads { Reads::Local } else { Reads::of(bug, lease) };
    let service = Service::new(host.clone(), raft.clone(), store, appended, reads, bug);
    Ok(Rc::new(Running { raft, service, bug }))
}
