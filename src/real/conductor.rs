//! The process that holds everything of a run: first in a process namespace of its own, so that the kernel ends all
//! others when it ends, however it ends.

use super::clock::RunClock;
use super::course::Course;
use super::error::RealError;
use super::namespace::Networks;
use super::nodes::Node;
use super::powerless;
use super::router::{Punctuality, Router};
use super::store::{self, Foreign};
use super::subject::{Layout, Subject};
use crate::clients::Clients;
use crate::fault::chaos::Act;
use crate::history::History;
use crate::host::fabric::{Fabric, FabricConfig};
use crate::host::recorder::Recorder;
use crate::run::{Plan, plan};
use crate::scenario::Scenario;
use crate::sim::Workload;
use crate::systems::Cluster;
use crate::trace::{Event, Trace};
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

/// Where nodes keep their data: in memory that only this run's processes see, and that is gone with the last of them.
const DATA: &str = "/tmp";

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// The scenario as TOML.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// What is run.
    pub subject: Subject,
}

/// What a run yields.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Every event, in order.
    pub events: Vec<Event>,
    /// What clients asked and were answered.
    pub history: History,
    /// The acts of the chaos layer, as JSON: their form in files has no other encoding.
    pub acts: String,
    /// What faults were to do and could not.
    pub powerless: Vec<String>,
    /// When the run ended.
    pub ended_ns: u64,
    /// Bytes of packets from nodes to nodes, headers included.
    pub bytes_between_nodes: u64,
    /// How the router kept time.
    pub punctuality: Punctuality,
}

/// Reads a job from standard input, runs it, and writes what it yields to standard output. Ends the process when
/// standard input ends: then whoever asked for it is gone.
///
/// # Errors
/// When standard input or output fails.
pub fn serve() -> io::Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    std::thread::spawn(|| {
        let _ = io::stdin().lock().read(&mut [0]);
        std::process::exit(1);
    });
    let done = serde_json::from_str(&line)
        .map_err(|error| RealError::Harness(format!("the job cannot be read: {error}")))
        .and_then(|job| conduct(&job))
        .map_err(|error| error.to_string());
    let bytes = postcard::to_stdvec(&done).map_err(io::Error::other)?;
    io::stdout().lock().write_all(&bytes)?;
    io::stdout().lock().flush()
}

fn conduct(job: &Job) -> Result<Findings, RealError> {
    let scenario =
        Scenario::parse("the job's scenario", &job.scenario).map_err(|error| RealError::Harness(error.to_string()))?;
    let plan = plan(&scenario, job.seed);
    mount(Some("tmpfs"), DATA, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .map_err(|error| RealError::Harness(format!("{DATA} cannot be mounted: {error}")))?;
    let topology = &plan.world.topology;
    let (networks, devices) = Networks::new(topology.hosts() - 1).map_err(RealError::Network)?;
    let networks = Rc::new(networks);
    let clock = Arc::new(RunClock::default());
    let fabric = fabric(&plan, clock.clone())?;
    powerless::check(&plan.world, &fabric);
    let router = Router::new(fabric.clone(), devices, &plan.world.latency_ns, true).map_err(RealError::Network)?;
    let routing = router.clone();
    std::thread::spawn(move || {
        if let Err(error) = routing.run() {
            // Without packets nothing that follows means anything.
            std::process::exit(i32::from(error.raw_os_error().is_some()) + 1);
        }
    });
    let layout = Layout::of(&scenario, topology, job.subject.starts_on, DATA);
    let nodes = topology.node_ids().map(|node| {
        Node::new(node, &layout.folder(node), layout.lines(&job.subject, node)).map_err(RealError::Network)
    });
    let store = store::store(&job.subject.protocol, networks.clone(), layout.nodes());
    let cluster: Arc<dyn Cluster> = Arc::new(Foreign(store.clone()));
    let clients = Clients::new(&plan.world, &plan.load, cluster);
    let course = Course {
        world: &plan.world,
        fabric: fabric.clone(),
        networks,
        router: router.clone(),
        clock,
        nodes: RefCell::new(nodes.collect::<Result<_, _>>()?),
        store,
        views: RefCell::new(BTreeMap::new()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RealError::Harness(error.to_string()))?;
    tokio::task::LocalSet::new().block_on(&runtime, Rc::new(course).run(&clients))?;
    Ok(findings(&fabric, &router, &clients))
}

fn fabric(plan: &Plan, clock: Arc<RunClock>) -> Result<Arc<Fabric>, RealError> {
    let world = &plan.world;
    let names = world.topology.names.clone();
    let recorder = Recorder::new(names.clone(), world.topology.nodes).going_by(clock);
    let active = world.active().map_err(|error| RealError::Harness(error.to_string()))?;
    let (latency_ns, acts) = (world.latency_ns.clone(), world.acts.clone());
    let config = FabricConfig { seed: world.seed, latency_ns, active, acts };
    Ok(Arc::new(Fabric::new(recorder, names, config)))
}

fn findings(fabric: &Fabric, router: &Router, clients: &Clients<'_>) -> Findings {
    let ended_ns = fabric.recorder().now_ns();
    let history = clients.finish(fabric.recorder());
    let punctuality = router.stop();
    let Trace { events, .. } = fabric.recorder().take_trace();
    let acts: Vec<Act> = fabric.take_acts();
    Findings {
        events,
        history,
        acts: serde_json::to_string(&acts).expect("acts are plain data"),
        powerless: fabric.powerless(),
        ended_ns,
        bytes_between_nodes: fabric.bytes_between_nodes(),
        punctuality,
    }
}
