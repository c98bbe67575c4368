//! omnipaxos: Sequence Paxos, whose leader is chosen by ballots among the nodes that hear from a majority. No Raft.
//!
//! Reads go through the log, like writes. The members are fixed: omnipaxos changes them by ending a log and beginning
//! another one, with a cluster of its own. It draws nothing and reads no clock.
//!
//! Its ballots are recorded as votes and terms. A log entry belongs to no leader here, since a later ballot may propose
//! it anew, so appends are not recorded, and the checks that read those do not apply. How far a node knows its log to be
//! decided, and what it applies, is recorded as everywhere.
//!
//! * `driver`: it as the engine of a node. `state`: what is on disk. `lines`: ordered delivery over frames.

mod driver;
mod lines;
mod state;

use crate::host::Host;
use crate::kv::{Key, Value};
use crate::systems::engines::cluster::Nodes;
use crate::systems::{Cluster, Deployment, Process};
use crate::trace::HostId;
use driver::Driver;
use state::OmniPaxos;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Ticks of omnipaxos between two heartbeats of the scenario.
const TICKS_PER_HEARTBEAT: u32 = 10;

/// What all nodes of a cluster share.
pub(in crate::systems) struct Setup {
    nodes: Vec<HostId>,
    tick: Duration,
    /// Ticks of a round of leader election. A leader that is silent for one is replaced in the next.
    election: u64,
    /// Ticks after which a prepare or a promise is sent again.
    resend: u64,
    /// How long a call waits for its reply.
    deadline: Duration,
}

/// A cluster of omnipaxos nodes.
pub struct OmniPaxosCluster {
    setup: Rc<Setup>,
    nodes: Nodes<OmniPaxos>,
}

impl OmniPaxosCluster {
    /// A fresh cluster with all nodes of `deployment`.
    pub fn new(deployment: &Deployment) -> OmniPaxosCluster {
        let tick = deployment.heartbeat / TICKS_PER_HEARTBEAT;
        let ticks = |span: Duration| span.as_nanos().div_ceil(tick.as_nanos()) as u64;
        let setup = Setup {
            nodes: deployment.nodes().collect(),
            tick,
            // Two rounds replace a leader: together they last as long as Raft's time-outs do.
            election: ticks(deployment.election.0) / 2,
            resend: 2 * u64::from(TICKS_PER_HEARTBEAT),
            deadline: deployment.election.0,
        };
        OmniPaxosCluster { setup: Rc::new(setup), nodes: Nodes::new(deployment) }
    }
}

impl Cluster for OmniPaxosCluster {
    fn process(&self, host: Host) -> Process {
        let setup = self.setup.clone();
        let pace = (setup.tick, setup.deadline);
        self.nodes.process(host, pace, move |host, latest| Driver::start(&setup, host, latest))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        Some(self.nodes.values(node))
    }
}
