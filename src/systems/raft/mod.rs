//! The replicated store on openraft.
//!
//! * [`types`], [`runtime`]: openraft's parameters; time, tasks and randomness from the host.
//! * [`log_store`], [`state_machine`]: storage, outside the node's tasks.
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
pub mod types;

use super::{Cluster, Deployment, Process};
use crate::host::{Host, lock};
use crate::kv::{Key, Value};
use crate::trace::{HostId, MessageKind};
use log_store::{Disk, LogStore};
use network::Network;
use observe::{ObservedLog, ObservedMachine};
use openraft::{Config, EmptyNode, SnapshotPolicy};
use service::Service;
use sessions::AppendedCommands;
use state_machine::{Machine, StateMachine};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
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
}

/// A Raft cluster; holds the nodes' disks.
pub struct RaftCluster {
    config: Arc<Config>,
    members: BTreeMap<u64, EmptyNode>,
    defects: Defects,
    nodes: BTreeMap<HostId, Node>,
}

#[derive(Default)]
struct Node {
    disk: Arc<Mutex<Disk>>,
    /// The machine of the latest process.
    machine: Arc<Mutex<Option<Arc<Mutex<Machine>>>>>,
}

impl RaftCluster {
    /// A fresh cluster of all nodes of `deployment` as voters.
    ///
    /// # Panics
    /// If the deployment's time-outs are not a valid Raft configuration; scenarios are validated before.
    pub fn new(deployment: &Deployment, defects: Defects) -> RaftCluster {
        let millis = |span: std::time::Duration| span.as_millis() as u64;
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
        RaftCluster {
            config,
            members: deployment.nodes().map(|node| (node_id(node), EmptyNode {})).collect(),
            defects,
            nodes: deployment.nodes().map(|node| (node, Node::default())).collect(),
        }
    }
}

impl Cluster for RaftCluster {
    fn process(&self, host: Host) -> Process {
        let node = &self.nodes[&host.id()];
        if self.defects.amnesia {
            lock(&node.disk).forget_vote();
        }
        let (disk, machine) = (node.disk.clone(), node.machine.clone());
        let (config, members) = (self.config.clone(), self.members.clone());
        let fence = (!self.defects.unfenced).then(|| disk.clone());
        let network = Network::new(host.clone(), fence);
        Box::pin(run_node(host, config, members, network, disk, machine))
    }

    fn state(&self, node: HostId) -> BTreeMap<Key, Value> {
        let machine = lock(&self.nodes[&node].machine).clone();
        machine.map_or_else(BTreeMap::new, |machine| lock(&machine).store.values().clone())
    }
}

async fn run_node(
    host: Host,
    config: Arc<Config>,
    members: BTreeMap<u64, EmptyNode>,
    network: Network,
    disk: Arc<Mutex<Disk>>,
    visible: Arc<Mutex<Option<Arc<Mutex<Machine>>>>>,
) {
    let id = node_id(host.id());
    let is_blank = lock(&disk).is_blank();
    let appended = AppendedCommands::default();
    let machine = StateMachine::restore(disk.clone()).expect("a snapshot that this node wrote decodes");
    *lock(&visible) = Some(machine.machine());
    let store = machine.machine();
    let log = ObservedLog::new(LogStore::new(disk), host.clone(), appended.clone());
    let machine = ObservedMachine::new(machine, host.clone(), appended.clone());
    let raft = Raft::new(id, config, network, log, machine).await.expect("a node starts from its own storage");
    // One node founds the cluster; the others learn of it from its log.
    if is_blank && members.keys().next() == Some(&id) {
        raft.initialize(members).await.expect("a blank node can found a cluster");
    }
    let service = Rc::new(Service::new(host.clone(), raft.clone(), store, appended));
    let handler = Rc::new(move |incoming: crate::host::transport::Incoming| {
        let (raft, service) = (raft.clone(), service.clone());
        let answering: std::pin::Pin<Box<dyn Future<Output = Option<Vec<u8>>>>> = Box::pin(async move {
            match incoming.kind {
                MessageKind::Request => service.answer(&incoming.payload).await,
                _ => network::answer(&raft, &incoming).await,
            }
        });
        answering
    });
    host.serve(handler).await.expect("a node's port is its own");
}
