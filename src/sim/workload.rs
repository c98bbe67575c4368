//! What runs on the hosts of a world.

use crate::host::Host;
use crate::host::recorder::Recorder;
use crate::host::task::Process;
use std::time::Duration;

/// The processes on the hosts of a world, when they are done, and what they recorded.
///
/// A closure from a host to its process is a workload too: it is done as soon as the world is quiet.
pub trait Workload {
    /// What it returns at the end.
    type Record;

    /// The process of a node; called again at each restart.
    fn node(&self, host: Host) -> Process;

    /// The process of a client host, which no fault kills.
    fn client_host(&self, _host: Host) -> Process {
        Box::pin(std::future::pending())
    }

    /// About how many operations clients will request: the more, the more may happen in one step.
    fn operations(&self) -> usize {
        0
    }

    /// Whether the world may end. Called before each step of the quiet period, with the simulated time.
    fn is_done(&self, _now_ns: u64) -> bool {
        true
    }

    /// How long the quiet period may last if the workload is not done before.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Called once, at the end: records final states, and returns the workload's own record.
    fn finish(&self, recorder: &Recorder) -> Self::Record;
}

impl<F: Fn(Host) -> Process> Workload for F {
    type Record = ();

    fn node(&self, host: Host) -> Process {
        self(host)
    }

    fn finish(&self, _recorder: &Recorder) {}
}
