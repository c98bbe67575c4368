//! Builds the simulator: its clock, and its hosts with their processes.

use super::workload::Workload;
use super::world::World;
use crate::fault::fold::{Active, ScheduleError};
use crate::host::Host;
use crate::host::fabric::{Fabric, FabricConfig};
use crate::host::recorder::Recorder;
use crate::trace::{HostId, What};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The fabric of a world, with an empty event log.
///
/// # Errors
/// When the schedule does not fit the hosts.
pub fn fabric(world: &World, operations: usize) -> Result<Arc<Fabric>, ScheduleError> {
    let active: Active = world.active()?;
    let names = &world.topology.names;
    let recorder = Recorder::new(names.clone(), world.topology.nodes).expecting(operations);
    let config =
        FabricConfig { seed: world.seed, latency_ns: world.latency_ns.clone(), active, acts: world.acts.clone() };
    Ok(Arc::new(Fabric::new(recorder, names.clone(), config)))
}

/// A simulator without hosts.
pub fn empty<'a>(world: &World) -> turmoil::Sim<'a> {
    let tick = Duration::from_millis(world.tick_ms);
    turmoil::Builder::new()
        .simulation_duration(Duration::from_secs(1 << 32))
        .tick_duration(tick)
        .rng_seed(world.seed)
        .epoch(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .build()
}

/// Puts the workload's processes on their hosts.
pub fn populate<'a, W: Workload>(sim: &mut turmoil::Sim<'a>, world: &World, hosts: &[Host], workload: &'a W) {
    let (topology, host) = (&world.topology, |id: HostId| hosts[id.index()].clone());
    for node in topology.node_ids() {
        let host = host(node);
        sim.host(topology.name(node), move || {
            host.boot();
            let (host, process) = (host.clone(), workload.node(host.clone()));
            async move {
                host.record(What::Start);
                host.fabric().processes().runs_on(host.id(), tokio::runtime::Handle::current());
                Ok(host.spawn(process).await?)
            }
        });
    }
    for (_, id) in topology.client_hosts() {
        let host = host(id);
        sim.host(topology.name(id), move || {
            host.boot();
            let process = workload.client_host(host.clone());
            async move {
                process.await;
                std::future::pending().await
            }
        });
    }
}
