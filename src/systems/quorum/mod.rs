//! No primary: any node coordinates, and any two majorities meet.
//!
//! A write asks a majority for the newest version of its key and stores a newer one at a majority; a read asks a
//! majority, answers the newest, and first stores it at a majority if it was not there already (Attiya, Bar-Noy and
//! Dolev, "Sharing memory robustly in message-passing systems", 1995; with several writers: Lynch and Shvartsman,
//! 1997). Puts, deletes and gets are linearizable under any faults that leave disks alone, and as available as a
//! majority. A cas is a read and then a write, with nothing in between that would keep another one out: two of them
//! may compare the same value and both swap. No repair of reads or writes mends that; it takes an order of all
//! operations on a key, which is consensus.
//!
//! A command takes effect at most once: an attempt must first claim the command at a majority, and a second attempt
//! that finds it claimed can only finish what it finds written, or answer that it does not know.
//!
//! Nobody is primary, so no role is recorded, and a fault that names the leader finds none.
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

/// What the first line of a disk says.
const FORMAT: &str = "schism quorum storage 1";

/// What all nodes have in common.
struct Setup {
    nodes: Vec<HostId>,
    /// How long a coordinator waits for an answer.
    deadline: Duration,
    /// Time between two exchanges of everything with another node.
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
