//! tikv's Raft: the crate `raft`, whose library is called raft-rs. It decides; the rest is a node's own affair.
//!
//! Checked quorums and pre-votes are on, as TiKV has them. raft-rs draws election time-outs from a generator that no
//! seed reaches: `replica` overrides each draw. Its hash maps have a fixed hasher, and time is what a node counts.
//!
//! * `driver`: it as the engine of a node. `replica`: its ready loop. `state`: what is on disk.
//! * `rules`: what a node does beside raft-rs. `planted`: the same with a bug.
//! * `members`: the administrator's requests. `wire`: its messages as frames. `observer`: what the checks read.

mod driver;
mod members;
mod observer;
mod planted;
mod replica;
mod rules;
mod state;
mod wire;

use crate::host::Host;
use crate::kv::{Key, Value};
use crate::systems::bugs::Bug;
use crate::systems::engines::cluster::Nodes;
use crate::systems::protocol;
use crate::systems::storage::durable::{LOGS_KEPT, LOGS_PER_SNAPSHOT};
use crate::systems::{Cluster, Deployment, Process, Reconfiguration, Reconfiguring};
use crate::trace::HostId;
use driver::Driver;
use rules::Rules;
use state::{Members, RaftRs};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Ticks of raft-rs between two heartbeats.
const TICKS_PER_HEARTBEAT: u32 = 10;

/// What all nodes of a cluster share.
pub(in crate::systems) struct Setup {
    /// The members before any change.
    founders: Members,
    tick: Duration,
    /// The interval of heartbeats, and the shortest and longest election time-out, in ticks.
    heartbeat: usize,
    election: (usize, usize),
    /// How long a call waits for its reply.
    deadline: Duration,
    /// After how many entries it takes a snapshot.
    logs_per_snapshot: u64,
    /// How many entries below it stay in the log.
    logs_kept: u64,
    rules: Rules,
}

/// A cluster of raft-rs nodes.
pub struct RaftRsCluster {
    setup: Rc<Setup>,
    nodes: Nodes<RaftRs>,
}

impl RaftRsCluster {
    /// A fresh cluster with all nodes of `deployment` as voters.
    pub fn new(deployment: &Deployment) -> RaftRsCluster {
        RaftRsCluster::with(deployment, Rules::default())
    }

    /// The same, but a leader that is removed does not step down.
    pub fn unguarded(deployment: &Deployment) -> RaftRsCluster {
        RaftRsCluster::with(deployment, Rules { removed_steps_down: false, ..Rules::default() })
    }

    /// The same, but a process draws its election time-out once.
    pub fn drawn_once(deployment: &Deployment) -> RaftRsCluster {
        RaftRsCluster::with(deployment, Rules { draws_once: true, ..Rules::default() })
    }

    /// The same, all of whose nodes have a bug.
    ///
    /// # Panics
    /// For a bug that is not planted here.
    pub fn bugged(deployment: &Deployment, bug: Bug) -> RaftRsCluster {
        RaftRsCluster::with(deployment, planted::rules(bug))
    }

    fn with(deployment: &Deployment, rules: Rules) -> RaftRsCluster {
        let tick = deployment.heartbeat / TICKS_PER_HEARTBEAT;
        let ticks = |span: Duration| span.as_nanos().div_ceil(tick.as_nanos()) as usize;
        let founders =
            Members { voters: deployment.nodes().map(|node| u64::from(node.0)).collect(), ..Members::default() };
        let setup = Setup {
            founders,
            tick,
            heartbeat: TICKS_PER_HEARTBEAT as usize,
            election: (ticks(deployment.election.0), ticks(deployment.election.1)),
            deadline: deployment.election.0,
            logs_per_snapshot: deployment.snapshot_entries.unwrap_or(LOGS_PER_SNAPSHOT),
            logs_kept: deployment.kept_entries.unwrap_or(LOGS_KEPT),
            rules,
        };
        RaftRsCluster { setup: Rc::new(setup), nodes: Nodes::new(deployment) }
    }
}

impl Cluster for RaftRsCluster {
    fn process(&self, host: Host) -> Process {
        let setup = self.setup.clone();
        let pace = (setup.tick, setup.deadline);
        self.nodes.process(host, pace, move |host, latest| Driver::start(&setup, host, latest))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        Some(self.nodes.values(node))
    }

    fn reconfigure<'a>(&'a self, request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        Some(protocol::reconfigure(request))
    }
}
