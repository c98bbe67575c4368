//! Everything that determines a run: its world, and what its clients do there.

use crate::clients::Load;
use crate::fault::fold::SiteHosts;
use crate::fault::model::Fault;
use crate::scenario::{Scenario, materialise};
use crate::sim::World;
use crate::systems::{Deployment, SiteNodes};
use std::time::Duration;

/// How many maximum election time-outs the system may take to serve every client after the last fault.
pub const LIVENESS_ELECTIONS: u64 = 10;

/// Everything that determines a run, with all generated parts filled in.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Hosts, links and faults.
    pub world: World,
    /// What clients do.
    pub load: Load,
}

impl Plan {
    /// The faults, in order of their beginning.
    pub fn faults(&self) -> &[Fault] {
        &self.world.schedule.faults
    }
}

/// What the generators of a scenario make of a seed.
pub fn plan(scenario: &Scenario, seed: u64) -> Plan {
    let materialised = materialise(scenario, seed);
    let (topology, timing) = (scenario.topology(), &scenario.timing);
    let load = Load {
        clients: scenario.sites.iter().map(|site| site.clients).collect(),
        script: materialised.script,
        keys: scenario.workload.keys,
        attempt_timeout_ms: timing.attempt_timeout_ms,
        operation_timeout_ms: timing.operation_timeout_ms,
        recovery_ms: LIVENESS_ELECTIONS * timing.election_max_ms,
    };
    let world = World {
        seed,
        tick_ms: timing.tick_ms,
        duration_ms: timing.duration_ms,
        latency_ns: World::latencies(&topology, |from, to| scenario.one_way_ns(&topology, from, to)),
        baseline: scenario.messages,
        schedule: materialised.schedule,
        acts: materialised.acts,
        topology,
    };
    Plan { world, load }
}

/// What a system knows about its deployment.
pub fn deployment(scenario: &Scenario, plan: &Plan) -> Deployment {
    let millis = Duration::from_millis;
    let timing = &scenario.timing;
    let site =
        |site: &SiteHosts| SiteNodes { name: site.name.clone(), nodes: site.nodes.clone(), witness: site.witness };
    Deployment {
        sites: plan.world.topology.sites.iter().map(site).collect(),
        heartbeat: millis(timing.heartbeat_ms),
        election: (millis(timing.election_min_ms), millis(timing.election_max_ms)),
        takeover_after: millis(scenario.takeover_ms()),
        snapshot_entries: scenario.snapshot_entries,
        kept_entries: scenario.kept_entries,
        disk_bytes: scenario.disk_bytes,
    }
}
