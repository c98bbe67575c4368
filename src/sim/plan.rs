//! Everything that determines a simulation, materialised.

use crate::fault::chaos::Act;
use crate::fault::fold::{Timeline, Topology};
use crate::fault::model::{Chaos, Schedule};
use crate::scenario::{ScriptedOp, Timing};
use std::time::Duration;

/// How many maximum election time-outs the system may take to serve everybody after the last fault.
pub const LIVENESS_ELECTIONS: u64 = 10;

/// A simulation to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed: feeds jitter, hashes and the nodes' own randomness.
    pub seed: u64,
    /// Hosts and sites.
    pub topology: Topology,
    /// How many clients live at each site, by site.
    pub clients: Vec<u16>,
    /// One-way latency from host to host in nanoseconds, row by sender.
    pub latency_ns: Vec<u64>,
    /// Durations.
    pub timing: Timing,
    /// What happens to single messages throughout.
    pub baseline: Chaos,
    /// The faults.
    pub schedule: Schedule,
    /// What clients do, in order of planned time.
    pub script: Vec<ScriptedOp>,
    /// Explicit message acts, replacing the hashes.
    pub acts: Option<Vec<Act>>,
    /// How many keys there are; final reads cover `0..keys`.
    pub keys: u32,
}

impl Plan {
    /// When the quiet period begins: the script's time is over and every fault that ends has ended.
    pub fn quiet_from_ns(&self, timeline: &Timeline) -> u64 {
        (self.timing.duration_ms * 1_000_000).max(timeline.last_end_ns().unwrap_or(0))
    }

    /// How long after that every client must have been served, and replicas be equal.
    pub fn liveness_limit(&self) -> Duration {
        Duration::from_millis(LIVENESS_ELECTIONS * self.timing.election_max_ms)
    }

    /// How many clients there are.
    pub fn client_count(&self) -> u32 {
        self.clients.iter().map(|count| u32::from(*count)).sum()
    }
}
