//! The replicated store on openraft.
//!
//! * [`types`], [`runtime`]: openraft's parameters; time, tasks and randomness from the host.
//! * [`log_store`], [`state_machine`]: storage, as openraft sees it. [`tables`]: redb.
//! * [`observe`]: wrappers that record what Raft does to its storage.
//! * [`sessions`]: which commands a process has appended.
//! * [`network`]: RPCs over the host's transport.
//! * [`service`]: the client protocol.
//!
//! For openraft applications from elsewhere, which change their type parameters and nothing else: [`runtime`],
//! [`observe`], and
//!
//! * [`chaos`]: faults around any `RaftNetwork`.
//! * [`faulty`]: faults around any `RaftLogStorage`.

pub mod chaos;
pub mod faulty;
pub mod log_store;
pub mod network;
pub mod observe;
pub mod runtime;
pub mod service;
pub mod sessions;
pub mod state_machine;
pub mod tables;
pub mod types;

use super::storage::journal::Journal;
use super::storage::process::RESTART_PAUSE;
use super::{Cluster, Deployment, Process};
use crate::host::transport::Incoming;
use crate::host::{Host, lock};
use crate::kv::{Key, Value};
use crate::trace::{HostId, MessageKind, What};
use log_store::{Disk, LogStore};
use network::Network;
use observe::{ObservedLog, ObservedMachine};
use openraft::{Config, EmptyNode, SnapshotPolicy};
use service::Service;
use sessions::AppendedCommands;
use state_machine::{Machine, StateMachine};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use types::{Raft, node_id};

/// Entries between snapshots. Low, so that snapshots and purging happen in every run of a minute.
const LOGS_PER_SNAPSHOT: u64 = 300;
/// Entries kept below a snapshot, for followers that are a little behind.
const LOGS_KEPT: u64 = 50;
/// A follower further behind than this gets a snapshot.
const LAG_FOR_SNAPSHOT: u64 = 600;
/// Switchable defects, for checks to find.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Defects {
    /// Disks lose the vote at every restart.
    pub amnesia: bool,
    /// openraft as published: see [`network`] for the race that this leaves open.
    pub unfenced: bool,
    /// Any node answers a read from what it has applied, and asks nobody: see [`service`].
    pub local_reads: bool,
}

/// Where nodes keep their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A redb database on the host's disk: durable before it is answered.
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
    medium: Medium,
    defects: Defects,
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
    pub fn new(deployment: &Deployment, medium: Medium, defects: Defects) -> RaftCluster {
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
            setup: Rc::new(Setup { config, members, medium, defects }),
            nodes: deployment.nodes().map(|node| (node, Node::default())).collect(),
        }
    }
}

impl Cluster for RaftCluster {
    fn process(&self, host: Host) -> Process {
        let node = self.nodes[&host.id()].clone();
        Box::pin(run_process(self.setup.clone(), host, node))
    }

    fn state(&self, node: HostId) -> BTreeMap<Key, Value> {
        let machine = lock(&self.nodes[&node].machine).clone();
        machine.map_or_else(BTreeMap::new, |machine| lock(&machine).store.values().clone())
    }
}

/// A node that runs.
struct Running {
    raft: Raft,
    service: Service,
}

/// A process: starts the node, and starts it again after its storage has failed.
async fn run_process(setup: Rc<Setup>, host: Host, node: Node) {
    let current: Rc<RefCell<Option<Rc<Running>>>> = Rc::default();
    let answering = current.clone();
    let handler = Rc::new(move |incoming: Incoming| {
        let running = answering.borrow().clone();
        let answer: Pin<Box<dyn Future<Output = Option<Vec<u8>>>>> = Box::pin(async move {
            let running = running?;
            match incoming.kind {
                MessageKind::Request => running.service.answer(&incoming.payload).await,
                _ => network::answer(&running.raft, &incoming).await,
            }
        });
        answer
    });
    let serving = host.clone();
    host.spawn(async move { serving.serve(handler).await.expect("a node's port is its own") });
    loop {
        match start(&setup, &host, &node).await {
            Ok(running) => {
                let running = Rc::new(running);
                *current.borrow_mut() = Some(running.clone());
                until_stopped(&running.raft).await;
                *current.borrow_mut() = None;
                // It has stopped by itself; this waits for its tasks.
                let _ = running.raft.shutdown().await;
            }
            Err(error) => tracing::error!("{host:?} does not start: {error}"),
        }
        host.record(What::Crash);
        // What is left of the old tasks holds a handle that must not write any more.
        host.detach_disk();
        host.sleep(RESTART_PAUSE).await;
        host.record(What::Start);
    }
}

/// Starts a node from what its disk holds.
async fn start(setup: &Setup, host: &Host, node: &Node) -> Result<Running, Box<dyn std::error::Error>> {
    let id = node_id(host.id());
    let (disk, machine) = match setup.medium {
        Medium::Memory => (node.memory.clone(), StateMachine::restore(node.memory.clone())?),
        Medium::Disk => {
            let database = tables::open(host.disk())?;
            let (disk, machine) = tables::load(&database)?;
            let (disk, journal) = (Arc::new(Mutex::new(disk)), Journal::new(host.clone(), database, tables::commit));
            (disk.clone(), StateMachine::new(machine, disk, Some(journal)))
        }
    };
    if setup.defects.amnesia {
        lock(&disk).vote = None;
    }
    let appended = AppendedCommands::default();
    *lock(&node.machine) = Some(machine.machine());
    let store = machine.machine();
    let fence = (!setup.defects.unfenced).then(|| disk.clone());
    let network = Network::new(host.clone(), fence);
    let log = ObservedLog::new(LogStore::new(disk, machine.journal()), host.clone(), appended.clone());
    let machine = ObservedMachine::new(machine, host.clone(), appended.clone());
    let raft = Raft::new(id, setup.config.clone(), network, log, machine).await?;
    // One node founds the cluster; the others learn of it from its log.
    if setup.members.keys().next() == Some(&id) && !raft.is_initialized().await? {
        raft.initialize(setup.members.clone()).await?;
    }
    let service = Service::new(host.clone(), raft.clone(), store, appended, setup.defects.local_reads);
    Ok(Running { raft, service })
}

/// Waits until a node stops by itself, as it does when its storage fails.
async fn until_stopped(raft: &Raft) {
    let mut metrics = raft.metrics();
    while metrics.borrow_and_update().running_state.is_ok() {
        if metrics.changed().await.is_err() {
            return;
        }
    }
}
