//! The state of a run's processes for the simulator: which are paused, which have panicked, which lose power.

use super::lock;
use super::task::Gate;
use crate::trace::HostId;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::runtime::Handle;

/// A panic of a node.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Panic {
    /// The node.
    pub host: HostId,
    /// When, in nanoseconds of the run.
    pub t_ns: u64,
    /// Its place and message.
    pub said: String,
}

/// The state of the processes.
pub struct Processes {
    gates: Vec<Gate>,
    runtimes: Mutex<BTreeMap<HostId, Handle>>,
    panics: Mutex<Vec<Panic>>,
    /// Power losses whose operation has been reached.
    struck: Mutex<Vec<u32>>,
}

impl Processes {
    /// Processes of so many hosts.
    pub fn new(hosts: usize) -> Processes {
        Processes {
            gates: (0..hosts).map(|_| Gate::default()).collect(),
            runtimes: Mutex::default(),
            panics: Mutex::default(),
            struck: Mutex::default(),
        }
    }

    /// The switch that stops a host's tasks.
    pub fn gate(&self, host: HostId) -> &Gate {
        &self.gates[host.index()]
    }

    /// Sets the runtime on which a host's process runs.
    pub fn runs_on(&self, host: HostId, runtime: Handle) {
        lock(&self.runtimes).insert(host, runtime);
    }

    /// How many tasks of a host's process its gate cannot stop: those that were spawned on the runtime itself.
    pub fn ungated_tasks(&self, host: HostId) -> usize {
        lock(&self.runtimes).get(&host).map_or(0, |runtime| runtime.metrics().num_alive_tasks())
    }

    /// A node's process panicked: none of its tasks runs any more, and the simulator will kill it.
    pub(super) fn panicked(&self, panic: Panic) {
        self.gate(panic.host).pause();
        lock(&self.panics).push(panic);
    }

    /// The panics of nodes since the last call.
    pub fn take_panics(&self) -> Vec<Panic> {
        std::mem::take(&mut lock(&self.panics))
    }

    /// A power loss's operation has been reached. The simulator carries out the loss at its next step.
    pub(super) fn strike(&self, fault: u32) {
        lock(&self.struck).push(fault);
    }

    /// The power losses whose operation was reached since the last call.
    pub fn take_struck(&self) -> Vec<u32> {
        std::mem::take(&mut lock(&self.struck))
    }
}
