//! Two primaries that take each other's place: what a well-meaning team builds without consensus.
//!
//! Every site is the home of its share of the keys (key modulo the number of home sites). One node there, the *holder*,
//! serves them; any other node proxies a client to the holder. Within a site replication is synchronous, so a node's
//! death loses nothing. Across sites it is asynchronous, because the wide area is slow. A holder that has been silent
//! for `takeover_after` is presumed dead. The next node in line then takes its keys over, and hands them back when a
//! node further up the line has returned. State that diverged meanwhile is merged: last writer wins.
//!
//! In health it is linearizable. Under a cut that outlasts `takeover_after` each side takes the other's keys over, for
//! *silent* is not *dead*. A quorum is missing, and that is the lesson.
//!
//! * `replica`: the store with versions; merging. `shards`: which nodes may hold which keys, and in which order.
//! * `contact`: when each peer was heard from, and what it still has to get. `wire`: messages.
//! * `node`: one process. `roles`: taking over and handing back. `service`: serving clients.
//! * `shipping`: replication to each peer.

mod contact;
mod node;
mod replica;
mod roles;
mod service;
mod shards;
mod shipping;
mod wire;

#[cfg(test)]
mod tests;

use super::{Cluster, Deployment, Process};
use crate::host::{Host, lock};
use crate::kv::{Key, Value};
use crate::trace::HostId;
use node::{Disk, Node};
use shards::Layout;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A dual-primary cluster. It owns the nodes' disks.
pub struct DualPrimaryCluster {
    layout: Arc<Layout>,
    disks: BTreeMap<HostId, Arc<Mutex<Disk>>>,
}

impl DualPrimaryCluster {
    /// A fresh cluster.
    ///
    /// # Panics
    /// If every site is a witness: no key would have a home.
    pub fn new(deployment: &Deployment) -> DualPrimaryCluster {
        let layout = Arc::new(Layout::new(deployment));
        let disk = |node| (node, Arc::new(Mutex::new(Disk::blank(&layout))));
        DualPrimaryCluster { disks: deployment.nodes().map(disk).collect(), layout }
    }
}

impl Cluster for DualPrimaryCluster {
    fn process(&self, host: Host) -> Process {
        let disk = self.disks[&host.id()].clone();
        Box::pin(Node::run(host, self.layout.clone(), disk))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        Some(lock(&self.disks[&node]).replica.values())
    }
}
