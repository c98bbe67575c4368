//! The process that holds everything of a run: first in a process namespace of its own, so that the kernel ends all
//! others when it ends, however it ends.

use super::clock::RunClock;
use super::course::Course;
use super::error::RealError;
use super::load::{self, Load, Round};
use super::measure;
use super::namespace::Networks;
use super::nodes::{Ear, Node};
use super::own::{self, Errand, Seen};
use super::powerless;
use super::router::{Punctuality, Router};
use super::store::{self, Foreign, Store};
use super::subject::{self, Layout, Line, Subject, SubjectError};
use super::wire::Tcp;
use crate::clients::Clients;
use crate::fault::chaos::Act;
use crate::fault::fold::Topology;
use crate::history::History;
use crate::host::fabric::{Fabric, FabricConfig};
use crate::host::outside::Outside;
use crate::host::processes::Panic;
use crate::host::recorder::Recorder;
use crate::run::{Plan, deployment, plan};
use crate::scenario::Scenario;
use crate::sim::Workload;
use crate::systems::{Cluster, System};
use crate::trace::{Event, HostId, Trace};
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::TcpSocket;

/// Where nodes keep their data: in memory that only this run's processes see, and that is gone with the last of them. A
/// folder that every Linux has, and in which no program is.
const DATA: &str = "/dev/shm";
/// The program that runs, even if its file has been replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";

/// What a conductor is to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A run.
    Run(Box<Job>),
    /// Measuring the router.
    Measure,
    /// Measuring a store's speed.
    Bench(Box<Job>, Load),
}

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// The scenario as TOML.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// What is run.
    pub what: What,
    /// The argument that makes this program a node of our own systems.
    pub node: String,
}

/// What is run as nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Somebody else's store.
    Foreign(Subject),
    /// One of our own systems.
    Own(System),
}

impl What {
    /// The subject of this name or path, or the system of this name.
    ///
    /// # Errors
    /// If there is none, or the subject's file cannot be used.
    pub fn named(name_or_path: &str) -> Result<What, SubjectError> {
        match name_or_path.parse() {
            Ok(system) => Ok(What::Own(system)),
            Err(_) => subject::load(name_or_path).map(What::Foreign),
        }
    }

    /// The name in outcomes.
    pub fn name(&self) -> &str {
        match self {
            What::Foreign(subject) => &subject.name,
            What::Own(system) => system.name(),
        }
    }

    /// The scenario, with what is expected of this in it.
    pub fn expected_of(&self, scenario: &Scenario) -> Scenario {
        match self {
            What::Foreign(subject) => subject.expected_of(scenario),
            What::Own(_) => scenario.clone(),
        }
    }
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
    /// The panics of our own nodes.
    pub panics: Vec<Panic>,
    /// When the run ended.
    pub ended_ns: u64,
    /// Bytes of packets from nodes to nodes, headers included.
    pub bytes_between_nodes: u64,
    /// How the router kept time.
    pub punctuality: Punctuality,
}

/// Reads an order from standard input, carries it out, and writes what it yields to standard output. Ends the process when
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
    let bytes = match serde_json::from_str(&line)? {
        Order::Run(job) => postcard::to_stdvec(&conduct(&job).map_err(|error| error.to_string())),
        Order::Measure => postcard::to_stdvec(&measure::measure().map_err(|error| error.to_string())),
        Order::Bench(job, load) => postcard::to_stdvec(&bench(&job, &load).map_err(|error| error.to_string())),
    };
    let bytes = bytes.map_err(io::Error::other)?;
    io::stdout().lock().write_all(&bytes)?;
    io::stdout().lock().flush()
}

fn bench(job: &Job, load: &Load) -> Result<Round, RealError> {
    let scenario =
        Scenario::parse("the bench", &job.scenario).map_err(|error| RealError::Harness(error.to_string()))?;
    let plan = plan(&scenario, job.seed);
    let Scene { course, cluster } = Scene::set(job, &scenario, &plan, &Stage::Bench(&load.folder))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RealError::Harness(error.to_string()))?;
    tokio::task::LocalSet::new().block_on(&runtime, load::put(&course, cluster.into(), load))
}

fn conduct(job: &Job) -> Result<Findings, RealError> {
    let scenario =
        Scenario::parse("the job's scenario", &job.scenario).map_err(|error| RealError::Harness(error.to_string()))?;
    let plan = plan(&scenario, job.seed);
    let Scene { course, cluster } = Scene::set(job, &scenario, &plan, &Stage::Run)?;
    let clients = Clients::new(&plan.world, &plan.load, cluster.into());
    let (fabric, router) = (course.fabric.clone(), course.router.clone());
    for why in powerless::reasons(&plan.world, matches!(job.what, What::Own(_))) {
        fabric.cannot_act(why);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RealError::Harness(error.to_string()))?;
    let panics = tokio::task::LocalSet::new().block_on(&runtime, Rc::new(course).run(&clients))?;
    Ok(Findings { panics, ..findings(&fabric, &router, &clients) })
}

/// What a scene is set for.
pub(super) enum Stage<'a> {
    /// A run: the scenario's latencies, data in memory, and every packet recorded.
    Run,
    /// Measuring speed: no latency, data in this folder, and no packet recorded.
    Bench(&'a Path),
}

/// Networks, router and nodes, before the first process starts.
pub(super) struct Scene<'a> {
    /// All but the clients.
    pub course: Course<'a>,
    /// The cluster as clients see it.
    pub cluster: Box<dyn Cluster>,
}

impl<'a> Scene<'a> {
    /// Sets the scene of a job, and starts the router.
    ///
    /// # Errors
    /// When the kernel refuses a part of it.
    pub fn set(job: &Job, scenario: &Scenario, plan: &'a Plan, stage: &Stage<'_>) -> Result<Scene<'a>, RealError> {
        let mounted = match stage {
            Stage::Run => mount(Some("tmpfs"), DATA, Some("tmpfs"), MsFlags::empty(), None::<&str>),
            Stage::Bench(folder) => mount(Some(*folder), DATA, None::<&str>, MsFlags::MS_BIND, None::<&str>),
        };
        mounted.map_err(|error| RealError::Harness(format!("{DATA} cannot be mounted: {error}")))?;
        let topology = &plan.world.topology;
        let latency_ns = match stage {
            Stage::Run => plan.world.latency_ns.clone(),
            Stage::Bench(_) => vec![0; plan.world.latency_ns.len()],
        };
        let (networks, devices) = Networks::new(topology.hosts() - 1).map_err(RealError::Network)?;
        let networks = Arc::new(networks);
        let clock = Arc::new(RunClock::default());
        let fabric = fabric(plan, &latency_ns, clock.clone(), networks.clone())?;
        let records = matches!(stage, Stage::Run);
        let router = Router::new(fabric.clone(), devices, &latency_ns, records).map_err(RealError::Network)?;
        let routing = router.clone();
        std::thread::spawn(move || {
            // Without packets nothing that follows means anything.
            routing.run().unwrap_or_else(|_| std::process::exit(1))
        });
        let (cluster, store, lines) = match &job.what {
            What::Foreign(subject) => foreign(scenario, topology, subject, &networks),
            What::Own(system) => {
                clock.start();
                own(job, *system, scenario, plan, clock.started_ns())?
            }
        };
        let nodes = topology.node_ids().zip(lines).map(|(node, lines)| {
            let made = Node::new(node, &format!("{DATA}/{node}"), lines, ear(fabric.clone()));
            made.map_err(|error| RealError::Harness(format!("the data folder of {node} cannot be made: {error}")))
        });
        let nodes = RefCell::new(nodes.collect::<Result<_, _>>()?);
        let (world, views) = (&plan.world, RefCell::default());
        let course = Course { world, fabric, networks, router, clock, nodes, store, views };
        Ok(Scene { course, cluster })
    }
}

/// The cluster as clients see it, what they speak if it is somebody else's, and the processes of each node.
type Parts = (Box<dyn Cluster>, Option<Rc<dyn Store>>, Vec<Vec<Line>>);

fn foreign(scenario: &Scenario, topology: &Topology, subject: &Subject, networks: &Arc<Networks>) -> Parts {
    let layout = Layout::of(scenario, topology, subject.starts_on, DATA);
    let store = store::store(&subject.protocol, networks.clone(), topology.nodes);
    let lines = topology.node_ids().map(|node| layout.lines(subject, node));
    (Box::new(Foreign(store.clone())), Some(store), lines.collect())
}

fn own(job: &Job, system: System, scenario: &Scenario, plan: &Plan, started_ns: u64) -> Result<Parts, RealError> {
    let cluster = system.cluster(&deployment(scenario, plan)).map_err(|error| RealError::Harness(error.to_string()))?;
    let line = |node: HostId| {
        let (scenario, disk) = (job.scenario.clone(), format!("{DATA}/{node}/data").into());
        let errand = Errand { scenario, seed: job.seed, system, node, disk, started_ns };
        Line {
            command: vec![OURSELVES.to_owned(), job.node.clone()],
            after_ms: 0,
            files: BTreeMap::new(),
            input: Some(serde_json::to_string(&errand).expect("an errand is plain data")),
        }
    };
    let lines = plan.world.topology.node_ids().map(|node| vec![line(node)]);
    Ok((Box::new(Seen(cluster)), None, lines.collect()))
}

/// Puts into the log what a node's process tells, on a thread of its own.
fn ear(fabric: Arc<Fabric>) -> Ear {
    Arc::new(move |mut told| {
        let fabric = fabric.clone();
        std::thread::spawn(move || own::hear(&mut told, |event| fabric.recorder().relate(event)));
    })
}

fn fabric(
    plan: &Plan,
    latency_ns: &[u64],
    clock: Arc<RunClock>,
    networks: Arc<Networks>,
) -> Result<Arc<Fabric>, RealError> {
    let world = &plan.world;
    let names = world.topology.names.clone();
    let recorder = Recorder::new(names.clone(), world.topology.nodes).going_by(clock);
    let active = world.active().map_err(|error| RealError::Harness(error.to_string()))?;
    let (latency_ns, acts) = (latency_ns.to_vec(), world.acts.clone());
    let config = FabricConfig { seed: world.seed, latency_ns, active, acts };
    let open = move |host| networks.within(host, TcpSocket::new_v4)?;
    let outside = Outside { wire: Arc::new(Tcp::new(Box::new(open))), disk: None };
    Ok(Arc::new(Fabric::new(recorder, names, config).with(outside)))
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
        panics: Vec::new(),
        ended_ns,
        bytes_between_nodes: fabric.bytes_between_nodes(),
        punctuality,
    }
}
