//! The simulated world: boots a cluster and its clients inside turmoil, injects the fault schedule, and
//! lets it run until the clients are done.
//!
//! * [`plan`]: everything that determines a simulation, materialised.
//! * `inject`: applies what each edge of the schedule changes.
//! * `admin`: changes the cluster's members, where faults ask for it.
//! * [`client`]: clients that follow a script and write the history.

mod admin;
pub mod client;
mod inject;
pub mod plan;

use crate::fault::chaos::Act;
use crate::fault::fold::{Active, Timeline};
use crate::fault::model::FaultKind;
use crate::history::History;
use crate::host::Host;
use crate::host::fabric::{Fabric, FabricConfig, Panic};
use crate::host::recorder::Recorder;
use crate::kv::{Key, Value};
use crate::systems::Cluster;
use crate::trace::{HostId, Trace, What, digest};
use admin::{Wanted, administer};
use client::{Client, Desk};
use inject::Injector;
pub use plan::Plan;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

/// What a simulation leaves behind.
pub struct Evidence {
    /// Every event, in order.
    pub trace: Trace,
    /// What clients saw.
    pub history: History,
    /// The acts of the chaos layer.
    pub acts: Vec<Act>,
    /// What faults asked for and could not do, in words: the run proves nothing about them.
    pub powerless: Vec<String>,
    /// The panics of nodes.
    pub panics: Vec<Panic>,
    /// Each node's final key-value map.
    pub states: BTreeMap<HostId, BTreeMap<Key, Value>>,
    /// When the quiet period began: every fault that ends has ended, and the script is over.
    pub quiet_from_ns: u64,
    /// When the simulation ended.
    pub ended_ns: u64,
}

/// A simulation that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The crate was built without `--cfg tokio_unstable`, so that nothing would replay.
    #[error(
        "built without `--cfg tokio_unstable`: task order would be random and no seed would replay. Put\n\
         [build]\nrustflags = [\"--cfg\", \"tokio_unstable\"]\ninto .cargo/config.toml (a RUSTFLAGS variable overrides it)"
    )]
    NotDeterministic,
    /// The schedule does not fit the topology.
    #[error(transparent)]
    Schedule(#[from] crate::fault::fold::ScheduleError),
    /// Whoever wanted the run does not want it any more.
    #[error("the run was stopped")]
    Stopped,
    /// A host's software ended with an error.
    #[error("the simulation failed: {0}")]
    Host(String),
}

/// How often the end of a run is looked for.
const POLL: Duration = Duration::from_millis(20);

/// Runs a plan against a cluster.
///
/// # Errors
/// See [`SimulationError`].
///
/// # Panics
/// If the code of clients panics, or a task that a node did not start with `Host::spawn`. Other panics of a node end
/// its process, which starts again a second later.
pub fn simulate(plan: &Plan, cluster: Arc<dyn Cluster>) -> Result<Evidence, SimulationError> {
    simulate_while(plan, cluster, &|| true)
}

/// As [`simulate`], as long as `is_wanted` says so: it is asked before each step of the simulator.
///
/// # Errors
/// As [`simulate`]; and [`SimulationError::Stopped`] if the run is not wanted any more.
///
/// # Panics
/// As [`simulate`].
pub fn simulate_while(
    plan: &Plan,
    cluster: Arc<dyn Cluster>,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Evidence, SimulationError> {
    if cfg!(not(tokio_unstable)) {
        return Err(SimulationError::NotDeterministic);
    }
    let topology = &plan.topology;
    let active = Active::new(topology, &plan.schedule, plan.baseline, plan.timing.duration_ms)?;
    let timeline = Timeline::of(&plan.schedule, plan.timing.duration_ms);
    // Beside its script, each client has a closing put and get.
    let operations = plan.script.len() + 2 * plan.client_count() as usize;
    let recorder = Recorder::new(topology.names.clone(), topology.nodes).expecting(operations);
    let latency_ns = plan.latency_ns.clone();
    let config = FabricConfig { seed: plan.seed, latency_ns, active, acts: plan.acts.clone() };
    let fabric = Arc::new(Fabric::new(recorder, topology.names.clone(), config));
    let tick = Duration::from_millis(plan.timing.tick_ms);

    let mut sim = turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(1 << 32))
        .tick_duration(tick)
        .rng_seed(plan.seed)
        .epoch(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .min_message_latency(tick)
        .max_message_latency(tick)
        .tcp_capacity(65_536)
        .ephemeral_ports(10_000..=65_535)
        .build();

    let hosts: Vec<Host> = (0..topology.hosts()).map(|id| Host::new(HostId(id as u16), fabric.clone())).collect();
    for node in topology.node_ids() {
        let (host, cluster) = (hosts[node.index()].clone(), cluster.clone());
        sim.host(topology.name(node), move || {
            host.restart();
            let (host, process) = (host.clone(), cluster.process(host.clone()));
            async move {
                host.record(What::Start);
                host.fabric().runs_on(host.id(), tokio::runtime::Handle::current());
                Ok(host.spawn(process).await?)
            }
        });
    }
    let wanted: Wanted = Arc::new(Mutex::new(topology.all_nodes()));
    let mut administrator = None;
    if plan.schedule.faults.iter().any(|fault| matches!(fault.kind, FaultKind::Membership { .. })) {
        administrator = topology.client_hosts().next().map(|(_, host)| host);
        if administrator.is_none() {
            fabric.cannot_act("membership cannot act: an administrator works where clients are, and there are none");
        }
    }
    let quiet_from_ns = plan.quiet_from_ns(&timeline);
    let desk = Arc::new(Desk::new(plan, quiet_from_ns));
    for (site, client_host) in topology.client_hosts() {
        let (host, desk) = (hosts[client_host.index()].clone(), desk.clone());
        let (cluster, wanted) = (cluster.clone(), wanted.clone());
        let clients = Client::at_site(plan, site, &host, &desk, &cluster);
        sim.host(topology.name(client_host), move || {
            let tasks: Vec<_> = clients.to_vec();
            let host = host.clone();
            let administrator =
                (administrator == Some(client_host)).then(|| administer(host.clone(), cluster.clone(), wanted.clone()));
            async move {
                administrator.map(|administrator| host.spawn(administrator));
                let running: Vec<_> = tasks.into_iter().map(|client| host.spawn(client.run())).collect();
                for task in running {
                    task.await?;
                }
                std::future::pending().await
            }
        });
    }
    for a in 1..topology.hosts() {
        for b in a + 1..topology.hosts() {
            let latency = Duration::from_nanos(plan.latency_ns[a * topology.hosts() + b]);
            sim.set_link_latency(topology.names[a].as_str(), topology.names[b].as_str(), latency);
        }
    }

    let mut injector = Injector::new(topology, timeline, fabric.clone(), hosts, wanted);
    let limit = Duration::from_nanos(quiet_from_ns) + plan.liveness_limit();
    let mut next_poll = Duration::from_nanos(quiet_from_ns);
    let states = || -> BTreeMap<_, _> { topology.node_ids().map(|node| (node, cluster.state(node))).collect() };
    let states = loop {
        let now = sim.elapsed();
        fabric.recorder().set_step(now.as_nanos() as u64);
        injector.apply_due(&mut sim, now);
        if now >= next_poll && desk.is_finished() {
            next_poll = now + POLL;
            let states = states();
            if all_equal(states.values()) {
                break states;
            }
        }
        if now >= limit {
            break states();
        }
        if !is_wanted() {
            return Err(SimulationError::Stopped);
        }
        sim.step().map_err(|error| SimulationError::Host(error.to_string()))?;
    };
    let ended_ns = sim.elapsed().as_nanos() as u64;
    fabric.settle(Duration::from_secs(5));
    for (node, state) in &states {
        fabric.recorder().record(*node, What::Final { state: digest::of(state).0 as u64 });
    }
    let trace = fabric.recorder().take_trace();
    let acts = fabric.take_acts();
    let (powerless, panics) = (fabric.powerless(), injector.into_panics());
    drop(sim);
    let history = desk.take_history();
    Ok(Evidence { trace, history, acts, powerless, panics, states, quiet_from_ns, ended_ns })
}

fn all_equal<T: PartialEq>(mut items: impl Iterator<Item = T>) -> bool {
    let first = items.next();
    items.all(|item| Some(item) == first)
}
