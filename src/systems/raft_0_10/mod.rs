//! The replicated store on the newest alpha of openraft 0.10: the same store, disk and clients as on openraft 0.9.
//!
//! What is new in openraft 0.10 and shows here: appends do not wait for the disk; heartbeats have a client of their own; a
//! snapshot is sent whole; a leader that is removed hands over; an error says whether a refused command was appended. No
//! fence is needed: a replication task drops what it has read once another leader was accepted
//! (`replication/stream_state.rs:86` in 0.10.0-alpha.37).
//!
//! * [`node`]: how a node is put together. [`service`]: the client protocol and the administrator's.
//! * [`network`]: RPCs over the host's transport.
//! * [`log_store`], [`state_machine`]: a node's state behind openraft's storage traits. [`observer`]: records what is
//!   done to it.
//! * [`rules`]: what a node does beside openraft. `planted`: the same with a bug.
//! * [`types`], `runtime`: openraft's type parameters; time, tasks and randomness from the host.

pub mod log_store;
pub mod network;
pub mod node;
pub mod observer;
mod planted;
pub mod rules;
mod runtime;
pub mod service;
pub mod state_machine;
pub mod types;

#[cfg(test)]
mod tests;

use super::bugs::Bug;
use super::protocol;
use super::storage::durable::{LAG_FOR_SNAPSHOT, LOGS_KEPT, LOGS_PER_SNAPSHOT};
use super::storage::process;
use super::{Cluster, Deployment, Process, Reconfiguration, Reconfiguring};
use crate::host::{Host, lock};
use crate::kv::{Key, Value};
use crate::trace::HostId;
use node::{Latest, Setup};
use openraft_0_10::{Config, EmptyNode, SnapshotPolicy};
use rules::Rules;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::node_id;

/// A Raft cluster.
pub struct Raft010Cluster {
    setup: Rc<Setup>,
    nodes: BTreeMap<HostId, Latest>,
}

impl Raft010Cluster {
    /// A fresh cluster with all nodes of `deployment` as voters.
    ///
    /// # Panics
    /// If the deployment's time-outs are no valid Raft configuration. Scenarios are validated before, so theirs are.
    pub fn new(deployment: &Deployment) -> Raft010Cluster {
        Raft010Cluster::with(deployment, Rules::default())
    }

    /// The same, but a leader that restarts goes on leading in its term.
    ///
    /// # Panics
    /// As [`Raft010Cluster::new`].
    pub fn restored(deployment: &Deployment) -> Raft010Cluster {
        Raft010Cluster::with(deployment, Rules { restores_leader: true, ..Rules::default() })
    }

    /// The same, all of whose nodes have a bug.
    ///
    /// # Panics
    /// For a bug that is not planted here, and as [`Raft010Cluster::new`].
    pub fn bugged(deployment: &Deployment, bug: Bug) -> Raft010Cluster {
        Raft010Cluster::with(deployment, planted::rules(bug))
    }

    fn with(deployment: &Deployment, rules: Rules) -> Raft010Cluster {
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
            enable_leader_restore: Some(rules.restores_leader),
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("scenario time-outs are validated"));
        let members = deployment.nodes().map(|node| (node_id(node), EmptyNode {})).collect();
        Raft010Cluster {
            setup: Rc::new(Setup { config, members, rules }),
            nodes: deployment.nodes().map(|node| (node, Latest::default())).collect(),
        }
    }
}

impl Cluster for Raft010Cluster {
    fn process(&self, host: Host) -> Process {
        let (setup, latest) = (self.setup.clone(), self.nodes[&host.id()].clone());
        Box::pin(process::supervise(host, async move |host: &Host| node::start(&setup, host, &latest).await))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        let machine = self.nodes[&node].borrow().clone();
        Some(machine.map_or_else(BTreeMap::new, |machine| lock(&machine).store.values().clone()))
    }

    fn reconfigure<'a>(&'a self, request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        Some(protocol::reconfigure(request))
    }
}
