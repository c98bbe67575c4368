//! A node of one of our own systems as a process: the same code as in the simulator, over real sockets, a real file and
//! real time. What it records goes to the conductor.

use super::clock::RunClock;
use super::wire::Tcp;
use crate::host::Host;
use crate::host::fabric::{Fabric, FabricConfig};
use crate::host::outside::Outside;
use crate::host::recorder::Recorder;
use crate::run::{deployment, plan};
use crate::scenario::Scenario;
use crate::systems::{Answering, Attempt, Cluster, Process, Reconfiguration, Reconfiguring, System};
use crate::trace::{Event, HostId};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;

/// How often a node's process looks whether one of its tasks has panicked.
const LOOK: Duration = Duration::from_millis(10);
/// The exit code of a node whose task has panicked, or its main thread.
pub(super) const PANICKED: i32 = 101;
/// How the last line of such a process begins.
const LAST_WORDS: &str = "schism: the node panicked: ";

/// What a node's process is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Errand {
    /// The scenario as TOML.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The system.
    pub system: System,
    /// Which node it is.
    pub node: HostId,
    /// Where it keeps its data.
    pub disk: PathBuf,
    /// When the run has started, by the machine's monotonic clock.
    pub started_ns: u64,
}

/// Reads an errand from standard input and is that node until it is killed; writes each event to standard output.
///
/// # Errors
/// When there is no errand, or the process of the node ends.
pub fn serve() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    let errand: Errand = serde_json::from_str(&text)?;
    let scenario = Scenario::parse("the errand's scenario", &errand.scenario).map_err(io::Error::other)?;
    let plan = plan(&scenario, errand.seed);
    let world = &plan.world;
    let names = world.topology.names.clone();
    let clock = Arc::new(RunClock::started(errand.started_ns));
    let recorder = Recorder::new(names.clone(), world.topology.nodes).going_by(clock).telling(Box::new(tell));
    let config = FabricConfig {
        seed: world.seed,
        latency_ns: world.latency_ns.clone(),
        active: world.active().map_err(io::Error::other)?,
        acts: None,
    };
    let wire = Arc::new(Tcp::new(Box::new(|_| TcpSocket::new_v4())));
    let outside = Outside { wire, disk: Some(errand.disk.clone()) };
    let fabric = Arc::new(Fabric::new(recorder, names, config).with(outside));
    let cluster = errand.system.cluster(&deployment(&scenario, &plan)).map_err(io::Error::other)?;
    let host = Host::new(errand.node, fabric.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        host.spawn(cluster.process(host.clone()));
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(panic) = fabric.processes().take_panics().first() {
                let said = panic.said.replace('\n', " ");
                // Without anybody to tell, the exit code still says it.
                let _ = writeln!(io::stderr(), "{LAST_WORDS}{said}");
                std::process::exit(PANICKED);
            }
        }
    })
}

/// What a node's process that panicked says of it in its last lines.
pub(super) fn panic_said(last_lines: &str) -> String {
    let of_a_task = last_lines.lines().rev().find_map(|line| line.strip_prefix(LAST_WORDS));
    of_a_task.unwrap_or(last_lines).to_owned()
}

/// Writes an event at once: a process that is killed later has told it.
fn tell(event: &Event) {
    let bytes = postcard::to_stdvec(event).expect("an event always encodes");
    let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
    frame.extend(bytes);
    // A conductor that has gone has taken this process with it.
    let _ = io::stdout().write_all(&frame).and_then(|()| io::stdout().flush());
}

/// Reads the events that a node's process tells, until it ends.
pub fn hear(told: &mut impl Read, mut each: impl FnMut(&Event)) {
    let mut length = [0; 4];
    while told.read_exact(&mut length).is_ok() {
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        if told.read_exact(&mut bytes).is_err() {
            return;
        }
        let Ok(event) = postcard::from_bytes(&bytes) else { return };
        each(&event);
    }
}

/// One of our systems as its clients see it: what its nodes hold is in other processes.
pub struct Seen(pub Box<dyn Cluster>);

impl Cluster for Seen {
    fn process(&self, _host: Host) -> Process {
        unreachable!("its nodes are processes of the operating system")
    }

    fn attempt<'a>(&'a self, attempt: Attempt<'a>) -> Answering<'a> {
        self.0.attempt(attempt)
    }

    fn may_repeat(&self, operation: u32) -> bool {
        self.0.may_repeat(operation)
    }

    fn reconfigure<'a>(&'a self, request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        self.0.reconfigure(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_the_last_lines() {
        let of_a_task = format!("a backtrace\n{LAST_WORDS}at src/x.rs:1: no such entry\n");
        assert_eq!(panic_said(&of_a_task), "at src/x.rs:1: no such entry");
        assert_eq!(panic_said("thread 'main' panicked at src/x.rs:1"), "thread 'main' panicked at src/x.rs:1");
    }
}
