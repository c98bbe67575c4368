//! `run(scenario, system, seed) -> outcome`, a pure function; and comparing systems under one schedule.
//!
//! * [`plan`](mod@plan): what the generators of a scenario make of a seed.
//! * [`judge`](mod@judge): every check, and the verdict.
//! * [`powerless`]: faults that could have no effect on a system.
//! * [`figures`]: what is counted.
//! * [`situations`]: which situations worth testing occurred.
//! * [`compare`](mod@compare): the same schedule and script for several systems.
//! * `services` (feature `nodes`): the verdict on services that are not the store.
//! * [`life`], [`operations`]: what requests were doing at each instant, and the operations of a run as such.
//! * [`repeat`]: the same run under other circumstances.

pub mod compare;
pub mod figures;
pub mod judge;
pub mod life;
pub mod operations;
mod outcome;
pub mod plan;
pub mod powerless;
pub mod repeat;
#[cfg(feature = "nodes")]
mod services;
pub mod situations;
mod subject;

pub use compare::{Comparison, Difference, compare, compare_while};
pub use outcome::{Availability, Counters, Doubt, Lack, Liveness, Outcome, Run, Served, Verdict};
pub use plan::{Plan, deployment, plan};
pub use subject::{Judge, Judged, Options, Subject};

use crate::clients::Clients;
use crate::scenario::Scenario;
use crate::sim::{SimulationError, simulate_while};
#[cfg(feature = "nodes")]
use crate::systems::Cluster;
#[cfg(feature = "nodes")]
use crate::systems::nodes::{NodesCluster, Service};
use crate::systems::{NotBuilt, System};
#[cfg(feature = "nodes")]
use services::ServiceJudge;
#[cfg(feature = "nodes")]
use std::sync::Arc;

/// Why a run has no outcome: an error of the harness or of the scenario, never of the system under test.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The simulation could not be carried out.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// This build leaves the system out.
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    /// A system's own processes could not go on, for a reason that no seed decides.
    #[error("{0}")]
    Broken(String),
}

/// Runs a scenario with one system and one seed, and checks the run.
///
/// # Errors
/// When the schedule does not fit the topology, the build is not deterministic, or it leaves the system out.
///
/// # Panics
/// If the system under test panics.
pub fn run(scenario: &Scenario, system: System, seed: u64, options: &Options) -> Result<Run, RunError> {
    run_while(scenario, system, seed, options, &|| true)
}

/// As [`run`], as long as `is_wanted` says so: it is asked before each step of the simulator.
///
/// # Errors
/// As [`run`]; and when the run is not wanted any more.
///
/// # Panics
/// As [`run`].
pub fn run_while(
    scenario: &Scenario,
    system: System,
    seed: u64,
    options: &Options,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Run, RunError> {
    let scenario = &scenario.drawn(seed);
    let plan = plan(scenario, seed);
    let subject = subject_of(scenario, system, &plan)?;
    run_plan(scenario, plan, &subject, options, is_wanted)
}

/// What [`run`] runs: a system in a scenario, deployed as a seed has it. For one run of [`run_subject`].
///
/// # Errors
/// When this build leaves the system out.
pub fn subject(scenario: &Scenario, system: System, seed: u64) -> Result<Subject, RunError> {
    let scenario = &scenario.drawn(seed);
    Ok(subject_of(scenario, system, &plan(scenario, seed))?)
}

/// A system of the testbed, or of somebody's program, as it is run.
fn subject_of(scenario: &Scenario, system: System, plan: &Plan) -> Result<Subject, NotBuilt> {
    let deployment = &deployment(scenario, plan);
    let name = system.name().to_owned();
    #[cfg(feature = "nodes")]
    if let System::Nodes(program) = system {
        let cluster = NodesCluster::new(program, deployment);
        let judge = Arc::new(ServiceJudge { cluster: cluster.clone(), consistency: scenario.workload.consistency });
        let object = (program.service() != Service::LinKv).then_some(judge as Arc<dyn Judge>);
        let cluster = (Box::new(cluster) as Box<dyn Cluster>).into();
        return Ok(Subject { name, cluster, object });
    }
    Ok(Subject { name, cluster: system.cluster(deployment)?.into(), object: None })
}

/// As [`run`], with a subject that the caller supplies.
///
/// # Errors
/// As [`run`].
///
/// # Panics
/// As [`run`].
pub fn run_subject(scenario: &Scenario, subject: &Subject, seed: u64, options: &Options) -> Result<Run, RunError> {
    let scenario = &scenario.drawn(seed);
    run_plan(scenario, plan(scenario, seed), subject, options, &|| true)
}

fn run_plan(
    scenario: &Scenario,
    mut plan: Plan,
    subject: &Subject,
    options: &Options,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Run, RunError> {
    let clients = Clients::new(&plan.world, &plan.load, subject.cluster.clone());
    let cluster = &subject.cluster;
    let goes_on = || {
        cluster.pace();
        is_wanted() && cluster.broken().is_none()
    };
    let simulated = simulate_while(&plan.world, &clients, &goes_on);
    drop(clients);
    let unbroken = || cluster.broken().map_or(Ok(()), |why| Err(RunError::Broken(why)));
    unbroken()?;
    let (mut evidence, history) = simulated?;
    plan.world.schedule = std::mem::take(&mut evidence.schedule);
    let run = judge::judge(scenario, subject, plan, evidence, history, options);
    unbroken()?;
    Ok(run)
}
