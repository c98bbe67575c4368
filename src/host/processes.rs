//! The processes of a run, as the simulator has to know them: which stand still, which panicked, whose power goes.

use super::lock;
use super::task::Gate;
use crate::trace::HostId;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::runtime::Handle;

/// A panic of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// The node.
    pub host: HostId,
    /// When, in simulated nanoseconds.
    pub t_ns: u64,
    /// Where, and what it said.
    pub said: String,
}

/// What is known of the processes.
pub struct Processes {
    gates: Vec<Gate>,
    runtimes: Mutex<BTreeMap<HostId, Handle>>,
    panics: Mutex<Vec<Panic>>,
    /// Power losses whose operation has come.
    struck: Mutex<Vec<u32>>,
}

impl Processes {
    /// Of so many hosts.
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

    /// Tells on which runtime a host's process runs.
    pub fn runs_on(&self, host: HostId, runtime: Handle) {
        lock(&self.runtimes).insert(host, runtime);
    }

    /// How many tasks of a host's process its gate does not reach: those that were spawned on the runtime itself.
    pub fn ungated_tasks(&self, host: HostId) -> usize {
        lock(&self.runtimes).get(&host).map_or(0, |runtime| runtime.metrics().num_alive_tasks())
    }

    /// A node's process panicked: nothing of it runs any more, and the simulator will kill it.
    pub(super) fn panicked(&self, panic: Panic) {
        self.gate(panic.host).pause();
        lock(&self.panics).push(panic);
    }

    /// The panics of nodes since this was asked last.
    pub fn take_panics(&self) -> Vec<Panic> {
        std::mem::take(&mut lock(&self.panics))
    }

    /// The operation of a power loss has come; the simulator carries it out at its next step.
    pub(super) fn strike(&self, fault: u32) {
        lock(&self.struck).push(fault);
    }

    /// The power losses whose operation has come since this was last asked.
    pub fn take_struck(&self) -> Vec<u32> {
        std::mem::take(&mut lock(&self.struck))
    }
}
