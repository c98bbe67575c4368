//! One primary executes commands, backups copy what they changed. Three policies, one idea apart:
//!
//! * [`Policy::Asynchronous`]: the primary acknowledges what is on its own disk and ships it afterwards. When it falls
//!   silent, the next node takes over with the state that it has. Writes that were acknowledged and not shipped are
//!   lost, and a primary that was merely cut off goes on acknowledging.
//! * [`Policy::Synchronous`]: the primary acknowledges what is on every node's disk, and there is no takeover. Nothing
//!   is lost, and a single node that is away stops everything.
//! * [`Policy::Lease`]: the primary acknowledges what is on the disks of a majority, while it holds a lease from a
//!   majority. Each grantor has promised to obey no other node until the lease is over *by the grantor's clock*; the
//!   primary counts *by its own clock*, from before it asked. Before it takes over, a node collects the newest state
//!   of a majority. Nothing is lost and no read is stale, as long as all clocks run at one rate. (Gray and Cheriton,
//!   "Leases", 1989; recovery as in Viewstamped Replication revisited, section 4.2.) Writes are fenced by epochs
//!   whatever the clocks do. But with a slow clock the lease's holder answers reads after it has been replaced.
//!
//! A node vouches only for what is on its disk, and after a restart begins a new epoch before it serves. A node that
//! restarts does not know which lease it had granted, so it grants none for as long as one may last.
//!
//! * `replica`: values, sessions, progress. * `wire`: messages. * `node`: one process. * `tenure`: what a primary
//!   knows.
//! * `shipping`: keeping backups up to date. * `backup`: obeying. * `takeover`: becoming primary.
//! * `service`: serving clients. * `rules`: the decisions on which all of it rests.
//!
//! [`planted`] has clusters in which one of the rules is broken.

mod backup;
mod node;
pub mod planted;
mod replica;
mod rules;
mod service;
mod shipping;
mod takeover;
mod tenure;
mod wire;

#[cfg(test)]
mod tests;

use super::storage::states::States;
use super::{Cluster, Deployment, Process};
use crate::host::Host;
use crate::kv::{Key, Value};
use crate::trace::HostId;
use node::Node;
use replica::Replica;
use rules::{Rules, Sound};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The value of a disk's row `format`.
const FORMAT: &str = "schism primary-backup storage 1";

/// When a primary acknowledges, and which node takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// At once; the next in line takes over from a silent primary.
    Asynchronous,
    /// When every backup has it; there is no takeover.
    Synchronous,
    /// When a majority has it; a node that gets a lease from a majority takes over.
    Lease,
}

/// The settings that all nodes share.
struct Setup {
    nodes: Vec<HostId>,
    policy: Policy,
    rules: Box<dyn Rules>,
    heartbeat: Duration,
    /// Silence after which a primary is given up; also the length of a lease.
    patience: Duration,
}

/// A cluster of a primary and its backups.
pub struct PrimaryBackupCluster {
    setup: Rc<Setup>,
    states: States<Replica>,
}

impl PrimaryBackupCluster {
    /// A fresh cluster; its first node is the first primary.
    pub fn new(deployment: &Deployment, policy: Policy) -> PrimaryBackupCluster {
        PrimaryBackupCluster::with_rules(deployment, policy, Sound)
    }

    fn with_rules(deployment: &Deployment, policy: Policy, rules: impl Rules + 'static) -> PrimaryBackupCluster {
        let nodes: Vec<HostId> = deployment.nodes().collect();
        let states = States::new(&nodes);
        let (heartbeat, patience) = (deployment.heartbeat, deployment.takeover_after);
        let setup = Setup { nodes, policy, rules: Box::new(rules), heartbeat, patience };
        PrimaryBackupCluster { setup: Rc::new(setup), states }
    }
}

impl Cluster for PrimaryBackupCluster {
    fn process(&self, host: Host) -> Process {
        let setup = self.setup.clone();
        self.states
            .process(host, FORMAT, move |host, database, replica| Node::new(host, setup.clone(), database, replica))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        Some(self.states.values(node))
    }
}
