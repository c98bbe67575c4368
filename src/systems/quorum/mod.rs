//! No primary: any node coordinates, and any two majorities intersect.
//!
//! A write asks a majority for the newest version of its key and stores a newer one at a majority. A read asks a
//! majority and answers the newest version, which it first stores at a majority if it was not there already (Attiya,
//! Bar-Noy and Dolev, "Sharing memory robustly in message-passing systems", 1995; with several writers: Lynch and
//! Shvartsman, 1997). Puts, deletes and gets are linearizable under any faults that leave disks alone, and available
//! whenever a majority is. A cas is a read and then a write, with nothing in between that excludes another one: two of
//! them may compare the same value and both swap. Repairing reads or writes does not help. It takes an order of all
//! operations on a key, which is consensus.
//!
//! A command takes effect at most once. An attempt must first claim the command at a majority. A second attempt that
//! finds it claimed can only complete the write that it finds, or answer that the outcome is unknown.
//!
//! No node is primary, so no role is recorded, and a fault that targets the leader finds none.
//!
//! * `replica`: versions, claims, messages. * `node`: one process. * `coordinator`: serving clients.

mod coordinator;
mod node;
mod replica;

#[cfg(test)]
mod tests;

use super::storage::states::States;
use super::{Cluster, Deployment, Process};
use crate::host::Host;
use crate::kv::{Key, Value};
use crate::trace::HostId;
use node::Node;
use replica::Replica;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// The value of a disk's row `format`.
const FORMAT: &str = "schism quorum storage 1";

/// The settings that all nodes share.
struct Setup {
    nodes: Vec<HostId>,
    /// How long a coordinator waits for an answer.
    deadline: Duration,
    /// Time between two full exchanges with another node.
    interval: Duration,
}

/// A cluster of equals.
pub struct QuorumCluster {
    setup: Rc<Setup>,
    states: States<Replica>,
}

impl QuorumCluster {
    /// A fresh cluster.
    pub fn new(deployment: &Deployment) -> QuorumCluster {
        let nodes: Vec<HostId> = deployment.nodes().collect();
        let states = States::new(&nodes);
        let (deadline, interval) = (deployment.takeover_after / 3, deployment.heartbeat * 2);
        QuorumCluster { setup: Rc::new(Setup { nodes, deadline, interval }), states }
    }
}

impl Cluster for QuorumCluster {
    fn process(&self, host: Host) -> Process {
        let setup = self.setup.clone();
        self.states
            .process(host, FORMAT, move |host, database, replica| Node::new(host, setup.clone(), database, replica))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        Some(self.states.values(node))
    }
}
