//! The replicated store on openraft.
//!
//! From the outside in:
//!
//! * [`node`]: how a node is put together, and which requests it answers.
//! * [`service`]: the client protocol. [`members`]: the administrator's.
//! * [`network`]: RPCs over the host's transport. [`fence`]: keeps a deposed leader from replicating.
//! * [`durable`]: what openraft calls the parts of a node's state. [`log_store`], [`state_machine`]: the same behind openraft's storage
//!   traits.
//! * [`sessions`]: which commands a process has appended.
//! * [`types`], [`runtime`]: openraft's type parameters; time, tasks and randomness from the host.
//!
//! For your own openraft application, which changes its type parameters and nothing else: [`runtime`], and
//!
//! * [`observe`]: wrappers that record what Raft does to its storage.
//! * [`chaos`]: faults around any `RaftNetwork`.
//! * [`faulty`]: faults around any `RaftLogStorage`.
//!
//! [`planted`] is the same store with bugs, wrapped around these parts.

pub mod chaos;
pub mod durable;
pub mod faulty;
pub mod fence;
pub mod log_store;
pub mod members;
pub mod network;
pub mod node;
pub mod observe;
pub mod planted;
pub mod runtime;
pub mod service;
pub mod sessions;
pub mod state_machine;
pub mod types;

use super::protocol;
use super::storage::durable::{LAG_FOR_SNAPSHOT, LOGS_KEPT, LOGS_PER_SNAPSHOT};
use super::storage::process;
use super::{Cluster, Deployment, Process, Reconfiguration, Reconfiguring};
use crate::host::{Host, lock};
use crate::kv::{Key, Value};
use crate::trace::HostId;
use node::{Medium, Remains, Setup};
use openraft::{Config, EmptyNode, SnapshotPolicy};
use service::Reads;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::node_id;

/// The choices that make one of the Raft systems.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Design {
    /// Where nodes keep their state.
    pub medium: Medium,
    /// What a node does before it answers a read.
    pub reads: Reads,
    /// Whether a leader refuses to propose a change of members that removes it.
    pub leader_stays: bool,
}

/// A Raft cluster.
pub struct RaftCluster {
    setup: Rc<Setup>,
    nodes: BTreeMap<HostId, Remains>,
}

impl RaftCluster {
    /// A fresh cluster with all nodes of `deployment` as voters.
    ///
    /// # Panics
    /// If the deployment's time-outs are no valid Raft configuration. Scenarios are validated before, so theirs are.
    pub fn new(deployment: &Deployment, design: Design) -> RaftCluster {
        let millis = |span: Duration| span.as_millis() as u64;
        let config = Config {
            cluster_name: "schism".to_owned(),
            heartbeat_interval: millis(deployment.heartbeat),
            election_timeout_min: millis(deployment.election.0),
            election_timeout_max: millis(deployment.election.1),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(deployment.snapshot_entries.unwrap_or(LOGS_PER_SNAPSHOT)),
            max_in_snapshot_log_to_keep: deployment.kept_entries.unwrap_or(LOGS_KEPT),
            replication_lag_threshold: LAG_FOR_SNAPSHOT,
            purge_batch_size: 1,
            install_snapshot_timeout: millis(deployment.election.0),
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("scenario time-outs are validated"));
        let members = deployment.nodes().map(|node| (node_id(node), EmptyNode {})).collect();
        let Design { medium, reads, leader_stays } = design;
        RaftCluster {
            setup: Rc::new(Setup { config, members, medium, reads, leader_stays }),
            nodes: deployment.nodes().map(|node| (node, Remains::default())).collect(),
        }
    }
}

impl Cluster for RaftCluster {
    fn process(&self, host: Host) -> Process {
        let (setup, remains) = (self.setup.clone(), self.nodes[&host.id()].clone());
        Box::pin(process::supervise(host, async move |host: &Host| node::start(&setup, host, &remains).await))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        let machine = lock(&self.nodes[&node].machine).clone();
        Some(machine.map_or_else(BTreeMap::new, |machine| lock(&machine).store.values().clone()))
    }

    fn reconfigure<'a>(&'a self, request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        Some(protocol::reconfigure(request))
    }
}
