//! What runs on the hosts of a world.

use crate::host::Host;
use crate::host::recorder::Recorder;
use crate::host::task::Process;
use std::time::Duration;

/// What runs on the hosts of a world, when it is done, and what it has to show for it.
///
/// A closure from a host to its process is one: it is done as soon as the world is quiet.
pub trait Workload {
    /// What it takes home.
    type Record;

    /// The process of a node; called again at each restart.
    fn node(&self, host: Host) -> Process;

    /// The process of a client host, which no fault kills.
    fn client_host(&self, _host: Host) -> Process {
        Box::pin(std::future::pending())
    }

    /// How many operations clients will ask for, about: the more, the more may happen in one step.
    fn operations(&self) -> usize {
        0
    }

    /// Whether the world may end. Asked before each step of the quiet period, at this simulated time.
    fn is_done(&self, _now_ns: u64) -> bool {
        true
    }

    /// How long the quiet period may last, if it is not done before.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Called once, at the end: records what is left, and gives what it takes home.
    fn finish(&self, recorder: &Recorder) -> Self::Record;
}

impl<F: Fn(Host) -> Process> Workload for F {
    type Record = ();

    fn node(&self, host: Host) -> Process {
        self(host)
    }

    fn finish(&self, _recorder: &Recorder) {}
}
