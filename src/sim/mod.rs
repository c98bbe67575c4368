//! The simulated world: hosts with links, disks and clocks, the faults in it, and a log of what happened. It knows
//! neither the systems that run in it nor what their clients request.
//!
//! * [`world`]: the parts of a world, as plain data.
//! * [`workload`]: what runs on its hosts.
//! * `boot`: builds turmoil's simulator from it.
//! * `watch`: waits for the moments of aimed faults.
//! * `inject`: applies the changes of each edge of the fault schedule.

mod boot;
mod inject;
mod watch;
pub mod workload;
pub mod world;

pub use workload::Workload;
pub use world::World;

use crate::fault::chaos::Act;
use crate::fault::model::Schedule;
use crate::host::Host;
use crate::host::fabric::Fabric;
use crate::host::processes::Panic;
use crate::trace::{HostId, MOST_EVENTS, Trace};
use inject::Injector;
use std::sync::Arc;
use std::time::Duration;

/// The results of a simulation.
pub struct Evidence {
    /// Every event, in order.
    pub trace: Trace,
    /// The faults as they were carried out: aimed ones where they acted, if they did.
    pub schedule: Schedule,
    /// The acts of the chaos layer.
    pub acts: Vec<Act>,
    /// What faults were to do and could not, in words: the run proves nothing about them.
    pub powerless: Vec<String>,
    /// The panics of nodes.
    pub panics: Vec<Panic>,
    /// When the simulation ended.
    pub ended_ns: u64,
    /// The bytes that nodes have sent to nodes. Not a part of the digest: what they say is, by the hash of each message.
    pub bytes_between_nodes: u64,
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
    /// More events than a run may have.
    #[error(
        "the run has more events than are kept ({}) after {after_s} of {of_s} simulated seconds: make it shorter or \
         smaller, or its heartbeat longer",
        MOST_EVENTS
    )]
    TooLong {
        /// Simulated seconds until then.
        after_s: u64,
        /// Simulated seconds that were asked for.
        of_s: u64,
    },
    /// The caller does not want the run any more.
    #[error("the run was stopped")]
    Stopped,
    /// A host's software ended with an error.
    #[error("the simulation failed: {0}")]
    Host(String),
}

/// Runs a workload in a world, and returns the results of both.
///
/// # Errors
/// See [`SimulationError`].
///
/// # Panics
/// If the code of clients panics, or a task that a node did not start with `Host::spawn`. Other panics of a node end
/// its process, which starts again a second later.
pub fn simulate<W: Workload>(world: &World, workload: &W) -> Result<(Evidence, W::Record), SimulationError> {
    simulate_while(world, workload, &|| true)
}

/// As [`simulate`], for as long as `is_wanted` returns true; it is called before each step of the simulator.
///
/// # Errors
/// As [`simulate`]; and [`SimulationError::Stopped`] if the run is not wanted any more.
///
/// # Panics
/// As [`simulate`].
pub fn simulate_while<W: Workload>(
    world: &World,
    workload: &W,
    is_wanted: &dyn Fn() -> bool,
) -> Result<(Evidence, W::Record), SimulationError> {
    if cfg!(not(tokio_unstable)) {
        return Err(SimulationError::NotDeterministic);
    }
    let mut simulation = Simulation::boot(world, workload)?;
    simulation.run(is_wanted)?;
    Ok(simulation.finish())
}

/// A world in which a workload runs.
struct Simulation<'a, W> {
    sim: turmoil::Sim<'a>,
    fabric: Arc<Fabric>,
    injector: Injector,
    workload: &'a W,
    quiet_from: Duration,
    duration_ms: u64,
}

/// A message that was sent longer ago than this, and has not arrived at the end, counts as lost.
const GRACE: Duration = Duration::from_secs(5);

impl<'a, W: Workload> Simulation<'a, W> {
    fn boot(world: &World, workload: &'a W) -> Result<Simulation<'a, W>, SimulationError> {
        let fabric = boot::fabric(world, workload.operations())?;
        let hosts: Vec<Host> =
            (0..world.topology.hosts() as u16).map(|id| Host::new(HostId(id), fabric.clone())).collect();
        let mut sim = boot::empty(world);
        boot::populate(&mut sim, world, &hosts, workload);
        let injector = Injector::new(world, fabric.clone(), hosts);
        let quiet_from = Duration::from_nanos(world.quiet_from_ns());
        Ok(Simulation { sim, fabric, injector, workload, quiet_from, duration_ms: world.duration_ms })
    }

    /// Runs step by step until the workload is done or its patience ends.
    fn run(&mut self, is_wanted: &dyn Fn() -> bool) -> Result<(), SimulationError> {
        let limit = self.quiet_from + self.workload.patience();
        loop {
            let now = self.sim.elapsed();
            let now_ns = now.as_nanos() as u64;
            self.fabric.end_step(now_ns);
            self.injector.apply_due(&mut self.sim, now);
            if now >= limit || now >= self.quiet_from && self.workload.is_done(now_ns) {
                return Ok(());
            }
            if !is_wanted() {
                return Err(SimulationError::Stopped);
            }
            if self.fabric.recorder().events() > MOST_EVENTS {
                return Err(SimulationError::TooLong { after_s: now.as_secs(), of_s: self.duration_ms / 1000 });
            }
            self.fabric.recorder().start_step();
            self.sim.step().map_err(|error| SimulationError::Host(error.to_string()))?;
        }
    }

    fn finish(self) -> (Evidence, W::Record) {
        let Simulation { sim, fabric, injector, workload, .. } = self;
        let ended_ns = sim.elapsed().as_nanos() as u64;
        fabric.settle(GRACE);
        let record = workload.finish(fabric.recorder());
        let (mut trace, acts) = (fabric.recorder().take_trace(), fabric.take_acts());
        let schedule = injector.acted(&mut trace);
        let (powerless, panics) = (fabric.powerless(), injector.into_panics());
        let bytes_between_nodes = fabric.bytes_between_nodes();
        (Evidence { trace, schedule, acts, powerless, panics, ended_ns, bytes_between_nodes }, record)
    }
}
