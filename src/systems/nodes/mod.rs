//! A cluster whose nodes are processes of somebody else's program, in whatever language: `docs/NODES.md`.
//!
//! Each node is a child process in lockstep with simulated time: it is handed one event, a line of JSON on its standard
//! input, answers with lines on its standard output, and does nothing until the next event. So a run is a function of
//! program, scenario and seed, however slow the machine is.
//!
//! * [`program`]: the command line as a system, with the service that it offers.
//! * `child`: a process, and how long it may take. `answer`: what it writes. `last_words`: what it says to people.
//! * `family`, `guard`: that nothing outlives a run.
//! * `node`: one life of a node. `post`: its mailbox, and the clients that wait for answers. `outbox`: what it sends.
//! * `free`, `pace`: nodes that are written for Maelstrom, in real time.
//! * `client`: what clients ask, and what they make of the answers.
//! * `again`: whether a node answers the same events alike.

mod again;
mod answer;
mod child;
mod client;
mod family;
mod free;
#[cfg(unix)]
mod guard;
mod last_words;
mod node;
mod outbox;
mod pace;
mod post;
pub mod program;

pub use client::{Ask, Got, Said};
pub use family::SALT;
pub use program::{NoProgram, Pace, Program, Service};

use super::{Answering, Attempt, Cluster, Deployment, Process};
use crate::host::{Host, lock};
use crate::trace::HostId;
use again::Transcript;
use answer::Answer;
use child::Child;
use family::Family;
use free::Free;
use pace::Pacer;
use post::Post;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a process may take to answer an event, in real time, unless [`set_patience`] says otherwise.
const PATIENCE_S: u64 = 60;

static PATIENCE: AtomicU64 = AtomicU64::new(PATIENCE_S);

/// Names the environment variable for [`set_patience`].
pub const PATIENCE_VARIABLE: &str = "SCHISM_NODES_PATIENCE";

/// Sets how many seconds of real time a process may take to answer an event, as [`PATIENCE_VARIABLE`] says it. No verdict
/// depends on it: a run in which one takes longer has none.
///
/// # Errors
/// When it is no such number.
pub fn set_patience(seconds: &OsStr) -> Result<(), String> {
    let number = seconds.to_str().and_then(|text| text.parse::<u64>().ok());
    let number = number.filter(|seconds| (1..=86_400).contains(seconds));
    PATIENCE.store(number.ok_or_else(|| format!("{PATIENCE_VARIABLE}: give seconds, 1 to 86400"))?, Ordering::Relaxed);
    Ok(())
}

/// Whether a process of this program can be started on this machine.
///
/// # Errors
/// Why not, and what helps.
pub fn starts(program: &Program) -> Result<(), String> {
    let (mut family, _) = Family::start(program.words(), "n0").map_err(|Broken(why)| why)?;
    let _ = family.end();
    Ok(())
}

fn patience() -> Duration {
    Duration::from_secs(PATIENCE.load(Ordering::Relaxed))
}

/// Why a run has no outcome: something of this machine, and nothing that the seed decides.
struct Broken(String);

/// Why a node's process is of no use any more.
enum Wrong {
    /// It crashed, or broke the protocol: a fault of the program, the same in every run.
    Failed(String),
    /// See [`Broken`].
    Broken(Broken),
}

/// The cluster. Its clones are one cluster.
#[derive(Clone)]
pub struct NodesCluster {
    shared: Arc<Shared>,
}

/// What the nodes and clients of a run share.
struct Shared {
    program: &'static Program,
    deployment: Deployment,
    post: Arc<Post>,
    desk: client::Desk,
    /// Which nodes have said that they lead, by term.
    leaders: Mutex<BTreeMap<u64, BTreeSet<HostId>>>,
    /// Why the run cannot go on.
    broken: Mutex<Option<String>>,
    /// What is asked again after the run.
    transcript: Mutex<Option<Transcript>>,
    pacer: Pacer,
}

impl NodesCluster {
    /// A cluster of this program's processes.
    pub fn new(program: &'static Program, deployment: &Deployment) -> NodesCluster {
        let shared = Shared {
            program,
            deployment: deployment.clone(),
            post: Arc::default(),
            desk: client::Desk::default(),
            leaders: Mutex::default(),
            broken: Mutex::default(),
            transcript: Mutex::default(),
            pacer: Pacer::default(),
        };
        NodesCluster { shared: Arc::new(shared) }
    }

    /// What was asked and answered so far, by the operation's id in the history.
    pub fn dialogue(&self) -> BTreeMap<u32, Said> {
        self.shared.desk.dialogue()
    }

    /// Which nodes have said that they lead, by term.
    pub fn leaders(&self) -> BTreeMap<u64, BTreeSet<HostId>> {
        lock(&self.shared.leaders).clone()
    }
}

impl Shared {
    fn break_off(&self, why: String) {
        lock(&self.broken).get_or_insert(why);
    }

    /// A node says that it leads.
    fn leads(&self, host: &Host, term: u64) {
        lock(&self.leaders).entry(term).or_default().insert(host.id());
    }

    /// A process of a node starts.
    fn starts(&self, host: &Host) {
        let mut transcript = lock(&self.transcript);
        match &mut *transcript {
            Some(transcript) => transcript.starts(host),
            None => *transcript = Transcript::of(host),
        }
    }

    /// Asks a node's process, and notes what it says if it is to be asked again.
    fn ask(&self, host: &Host, child: &mut Child, event: &str) -> Result<Answer, Wrong> {
        let answer = child.ask(event);
        if let Some(transcript) = &mut *lock(&self.transcript) {
            transcript.note(host, event, &answer);
        }
        answer
    }
}

impl Cluster for NodesCluster {
    fn process(&self, host: Host) -> Process {
        // Now, so that the processes of all nodes start side by side.
        let (cluster, program) = (self.shared.clone(), self.shared.program);
        match program.pace() {
            Pace::Lockstep => {
                let first = Child::start(program.words(), host.name());
                Box::pin(node::run(cluster, host, first))
            }
            Pace::RealTime => {
                let process = Free::start(program.words(), host.name());
                Box::pin(free::run(cluster, host, process))
            }
        }
    }

    fn attempt<'a>(&'a self, attempt: Attempt<'a>) -> Answering<'a> {
        Box::pin(self.shared.desk.attempt(&self.shared, attempt))
    }

    /// A read may be sent again, whatever became of it.
    fn may_repeat(&self, operation: u32) -> bool {
        self.shared.desk.is_read(operation)
    }

    fn pace(&self) {
        self.shared.pacer.step();
    }

    fn broken(&self) -> Option<String> {
        lock(&self.shared.broken).clone()
    }

    /// Asks one node of the run the same events again, in a fresh process.
    fn differs(&self) -> Option<String> {
        let Shared { program, transcript, .. } = &*self.shared;
        let transcript = lock(transcript).take()?;
        transcript.differs(program.words()).unwrap_or_else(|Broken(why)| {
            self.shared.break_off(format!("{}, when it was asked again: {why}", transcript.node()));
            None
        })
    }

    fn settling(&self) -> Duration {
        match self.shared.program.service() {
            Service::LinKv | Service::Echo | Service::UniqueIds | Service::TxnListAppend | Service::Leader => {
                Duration::ZERO
            }
            // Replicas that gossip need a while after the last fault.
            Service::Broadcast | Service::GCounter => 3 * self.shared.deployment.election.1,
        }
    }
}
