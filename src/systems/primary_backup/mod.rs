//! One primary executes commands, backups copy what they changed. Three policies, one idea apart:
//!
//! * [`Policy::Asynchronous`]: the primary acknowledges what is on its own disk and ships it afterwards. When it falls
//!   silent the next node takes over with what it has. What was acknowledged and not shipped is lost, and a primary
//!   that was merely cut off goes on acknowledging.
//! * [`Policy::Synchronous`]: the primary acknowledges what is on every node's disk, and nobody ever takes over. Nothing
//!   is lost, and any node that is away stops everything.
//! * [`Policy::Lease`]: the primary acknowledges what is on the disks of a majority, while it holds a lease of a
//!   majority: each grantor has promised to obey nobody else until the lease is over *by the grantor's clock*, and the
//!   primary counts *by its own clock* from before it asked. Whoever takes over first collects the newest state of a
//!   majority. Nothing is lost and nothing old is read, as long as all clocks run at one rate. (Gray and Cheriton,
//!   "Leases", 1989; recovery as in Viewstamped Replication revisited, section 4.2.) Writes are fenced by epochs whatever
//!   the clocks do, so a clock that runs slow makes the lease's holder answer reads after it has been replaced.
//!
//! A node answers for nothing that it has not on its disk, and after a restart begins a new epoch before it serves. One
//! that restarts does not know what lease it had granted, and grants none for as long as one may last.
//!
//! * `replica`: values, sessions, progress. * `wire`: messages. * `node`: one process. * `tenure`: what a primary
//!   knows. * `shipping`: keeping backups up to date. * `backup`: obeying. * `takeover`: becoming primary.
//! * `service`: serving clients. * `rules`: the decisions that all of it rests on.
//!
//! [`planted`] has clusters in which one of the rules is another.

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

/// What the first line of a disk says.
const FORMAT: &str = "schism primary-backup storage 1";

/// When a primary acknowledges, and who takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// At once; the next in line takes over from a silent primary.
    Asynchronous,
    /// When every backup has it; nobody takes over.
    Synchronous,
    /// When a majority has it; whoever gets a majority's lease takes over.
    Lease,
}

/// What all nodes have in common.
struct Setup {
    nodes: Vec<HostId>,
    policy: Policy,
    rules: Box<dyn Rules>,
    heartbeat: Duration,
    /// Silence after which a primary is given up; also how long a lease lasts.
    patience: Duration,
}

/// A cluster of a primary and its backups.
pub struct PrimaryBackupCluster {
    setup: Rc<Setup>,
    states: States<Replica>,
}

impl PrimaryBackupCluster {
    /// A fresh cluster; the first node is primary first.
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
