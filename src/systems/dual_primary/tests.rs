//! What dual-primary promises in health, and what happens when a silent node is not dead.

use crate::check::linearizability::{self, Budget};
use crate::check::split_brain::{self, Suspect};
use crate::check::{Violation, convergence, liveness, lost_write};
use crate::clients::{Clients, Load};
use crate::fault::fold::{SiteShape, Topology};
use crate::fault::kinds::{Kill, Partition, Pause};
use crate::fault::model::{Chaos, Fault, FaultKind, Schedule, Target};
use crate::history::History;
use crate::kv::{Key, Op};
use crate::rng;
use crate::run::Plan;
use crate::run::plan::LIVENESS_ELECTIONS;
use crate::scenario::{ScriptedOp, Timing};
use crate::sim::{self, Evidence, simulate};
use crate::systems::{Deployment, SiteNodes, System};
use crate::trace::{HostId, Role, Scope, Trace, What};
use std::time::Duration;

const KEYS: u32 = 6;

/// A small world: one number a site, its nodes; a site without clients is a witness.
struct World {
    sites: Vec<(u16, u16)>,
    duration_ms: u64,
    operations: u32,
    chaos: Chaos,
    faults: Vec<Fault>,
}

impl World {
    fn new(sites: &[(u16, u16)]) -> World {
        let (chaos, faults) = (Chaos::default(), Vec::new());
        World { sites: sites.to_vec(), duration_ms: 8_000, operations: 500, chaos, faults }
    }

    fn with_fault(mut self, at_ms: u64, for_ms: u64, kind: FaultKind) -> World {
        self.faults.push(Fault { at_ms, for_ms: Some(for_ms), kind, when: None });
        self
    }

    fn plan(&self, seed: u64) -> Plan {
        let shape = |(index, (nodes, clients)): (usize, &(u16, u16))| SiteShape {
            name: format!("site{}", index + 1),
            nodes: *nodes,
            clients: *clients > 0,
            witness: *clients == 0,
        };
        let topology = Topology::of(self.sites.iter().enumerate().map(shape));
        let one_way_ns = |from, to| if topology.site_of(from) == topology.site_of(to) { 4_000_000 } else { 12_000_000 };
        let latency_ns = sim::World::latencies(&topology, one_way_ns);
        let clients: Vec<u16> = self.sites.iter().map(|(_, clients)| *clients).collect();
        let count = clients.iter().map(|count| u32::from(*count)).sum();
        let timing = Timing::default();
        let load = Load {
            clients,
            script: self.script(seed, count),
            keys: KEYS,
            attempt_timeout_ms: timing.attempt_timeout_ms,
            operation_timeout_ms: timing.operation_timeout_ms,
            recovery_ms: LIVENESS_ELECTIONS * timing.election_max_ms,
        };
        let world = sim::World {
            seed,
            tick_ms: 4,
            duration_ms: self.duration_ms,
            latency_ns,
            baseline: self.chaos,
            schedule: Schedule { faults: self.faults.clone() },
            acts: None,
            topology,
        };
        Plan { world, load }
    }

    fn script(&self, seed: u64, clients: u32) -> Vec<ScriptedOp> {
        let spacing_us = (self.duration_ms - 1_000) * 1_000 / u64::from(self.operations);
        let op = |id: u32| {
            let draw = rng::hash(seed, &[u64::from(id)]);
            let key = Key((draw % u64::from(KEYS)) as u32);
            let value = u64::from(id) + 1;
            let op = match (draw >> 16) % 10 {
                0..=3 => Op::Get { key },
                4..=6 => Op::Put { key, value },
                7 => Op::Delete { key },
                _ => Op::Cas { key, expected: None, new: value },
            };
            let at_us = 500_000 + u64::from(id) * spacing_us;
            ScriptedOp { id, client: id % clients, at_us, op, fixed_expectation: false }
        };
        (0..self.operations).map(op).collect()
    }

    fn run(&self, seed: u64) -> Judged {
        let plan = self.plan(seed);
        let site = |site: &crate::fault::fold::SiteHosts| SiteNodes {
            name: site.name.clone(),
            nodes: site.nodes.clone(),
            witness: site.witness,
        };
        let (millis, timing) = (Duration::from_millis, Timing::default());
        let deployment = Deployment {
            sites: plan.world.topology.sites.iter().map(site).collect(),
            heartbeat: millis(timing.heartbeat_ms),
            election: (millis(timing.election_min_ms), millis(timing.election_max_ms)),
            takeover_after: millis(timing.election_max_ms),
            snapshot_entries: None,
            kept_entries: None,
            disk_bytes: None,
        };
        let cluster = System::DualPrimary.cluster(&deployment).expect("every build has it");
        let clients = Clients::new(&plan.world, &plan.load, cluster.into());
        let (Evidence { trace, .. }, history) = simulate(&plan.world, &clients).expect("the world holds");
        Judged::of(trace, &history, &plan)
    }
}

/// A run, with the verdicts that matter here.
struct Judged {
    seed: u64,
    trace: Trace,
    linearizable: Option<bool>,
    lost: Vec<Violation>,
    split: Vec<Violation>,
    live: liveness::Report,
    acked_share: f64,
}

impl Judged {
    fn of(trace: Trace, history: &History, plan: &Plan) -> Judged {
        let report = linearizability::check(history, Budget::default());
        let suspects: Vec<Suspect> = report
            .witnesses()
            .map(|witness| Suspect { key: witness.key, operations: witness.operations.clone() })
            .collect();
        let params = liveness::Params {
            last_fault_end_ns: plan.faults().iter().filter_map(Fault::ends_ms).max().unwrap_or(0) * 1_000_000,
            limit_ns: plan.load.recovery_ms * 1_000_000,
            clients: plan.load.client_count(),
            required: true,
        };
        let acked = history.operations.iter().filter(|operation| operation.outcome().is_some()).count();
        Judged {
            seed: plan.world.seed,
            linearizable: report.linearizable(),
            lost: lost_write::check(history),
            split: split_brain::check(history, &trace, &suspects),
            live: liveness::check(history, &trace, &params),
            acked_share: acked as f64 / history.operations.len() as f64,
            trace,
        }
    }

    fn assert_healthy(&self) {
        let seed = self.seed;
        assert_eq!(self.linearizable, Some(true), "seed {seed}: {:?}", self.lost);
        assert!(self.lost.is_empty(), "seed {seed}: {:?}", self.lost);
        assert_eq!(convergence::check(&self.trace), None, "seed {seed}");
        assert!(self.live.live, "seed {seed}: {:?}", self.live.violation);
    }

    /// The shards' terms and holders, as last recorded.
    fn holders(&self, shards: u16) -> Vec<(u64, HostId)> {
        let roles = self.trace.events.iter().filter_map(|event| match event.what {
            What::Role { role: Role::Primary, scope: Scope::Shard(shard), term } => Some((shard, (term, event.host))),
            _ => None,
        });
        let roles: Vec<_> = roles.collect();
        (0..shards).map(|shard| roles.iter().filter(|role| role.0 == shard).map(|role| role.1).max().unwrap()).collect()
    }
}

fn partition(groups: &[&[&str]]) -> FaultKind {
    let group = |names: &&[&str]| names.iter().map(|name| Target((*name).to_owned())).collect();
    Partition { groups: groups.iter().map(group).collect() }.into()
}

/// Lossy, reordering, duplicating, but never silent for long.
const ROUGH: Chaos =
    Chaos { loss_ppm: 10_000, reorder_ppm: 30_000, reorder_ms: 60, duplicate_ppm: 20_000, jitter_ms: 2 };

/// Runs both deployments in health, on these seeds, with and without message chaos.
fn assert_linearizable_in_health(seeds: std::ops::Range<u64>, chaos: Chaos) {
    for seed in seeds {
        let mut world = World::new(if seed % 2 == 0 { &[(3, 3), (2, 3)] } else { &[(2, 2), (2, 2), (1, 0)] });
        world.chaos = chaos;
        let judged = world.run(seed);
        judged.assert_healthy();
        assert!(judged.acked_share > 0.97, "seed {seed}: {}", judged.acked_share);
        let terms: Vec<u64> = judged.holders(2).into_iter().map(|(term, _)| term).collect();
        assert_eq!(terms, [0, 0], "seed {seed}: nobody took over");
    }
}

#[test]
fn in_health_it_is_linearizable() {
    assert_linearizable_in_health(0..60, Chaos::default());
}

#[test]
fn messages_lost_reordered_and_doubled_do_it_no_harm() {
    assert_linearizable_in_health(60..200, ROUGH);
}

#[test]
fn a_cut_that_outlasts_the_takeover_forks_every_time() {
    for seed in 0..20 {
        let world = World::new(&[(3, 3), (2, 3)]).with_fault(2_500, 4_000, partition(&[&["site1"], &["site2"]]));
        let judged = world.run(seed);
        assert_eq!(judged.linearizable, Some(false), "seed {seed}");
        assert!(!judged.split.is_empty(), "seed {seed}: no certificate");
        assert_eq!(convergence::check(&judged.trace), None, "seed {seed}: merged afterwards");
        assert!(judged.live.live, "seed {seed}: {:?}", judged.live.violation);
        let home = judged.holders(2);
        assert_eq!(home.iter().map(|(_, node)| node.0).collect::<Vec<_>>(), [1, 4], "seed {seed}: handed back");
    }
}

#[test]
fn a_witness_that_nobody_asks_prevents_nothing() {
    for seed in 0..20 {
        let cut = partition(&[&["site1"], &["site2"]]);
        let judged = World::new(&[(2, 3), (2, 3), (1, 0)]).with_fault(2_500, 4_000, cut).run(seed);
        assert!(!judged.split.is_empty(), "seed {seed}: no certificate");
        assert_eq!(convergence::check(&judged.trace), None, "seed {seed}: merged afterwards");
    }
}

#[test]
fn a_short_cut_does_no_harm() {
    for seed in 0..20 {
        let world = World::new(&[(3, 3), (2, 3)]).with_fault(2_500, 800, partition(&[&["site1"], &["site2"]]));
        world.run(seed).assert_healthy();
    }
}

#[test]
fn the_death_of_a_holder_loses_nothing_inside_its_site() {
    for seed in 0..20 {
        let kill = Kill { target: Target("n1".to_owned()) }.into();
        let judged = World::new(&[(3, 3), (2, 3)]).with_fault(2_500, 3_000, kill).run(seed);
        judged.assert_healthy();
        let (term, holder) = judged.holders(2)[0];
        assert_eq!((term, holder), (2, HostId(1)), "seed {seed}: taken over by a neighbour and handed back");
    }
}

#[test]
fn a_pause_of_a_holder_is_survived() {
    for seed in 0..20 {
        let pause = Pause { target: Target("n1".to_owned()) }.into();
        World::new(&[(3, 3), (2, 3)]).with_fault(2_500, 3_000, pause).run(seed).assert_healthy();
    }
}
