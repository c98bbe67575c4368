//! The parts of a world, as plain data.

use crate::fault::chaos::Act;
use crate::fault::fold::{Active, ScheduleError, Timeline, Topology};
use crate::fault::model::{Chaos, Schedule};
use crate::trace::HostId;

/// Hosts, the links between them, and the faults.
#[derive(Debug, Clone)]
pub struct World {
    /// The seed: feeds jitter, hashes and the hosts' own randomness.
    pub seed: u64,
    /// The simulator's step, in milliseconds.
    pub tick_ms: u64,
    /// How long the load goes on, in milliseconds. A fault without an end lasts longer; a fault with an end may, too.
    pub duration_ms: u64,
    /// Hosts and sites.
    pub topology: Topology,
    /// One-way latency from host to host in nanoseconds, row by sender.
    pub latency_ns: Vec<u64>,
    /// What happens to single messages throughout.
    pub baseline: Chaos,
    /// The faults.
    pub schedule: Schedule,
    /// Explicit message acts, which replace the hashes.
    pub acts: Option<Vec<Act>>,
}

impl World {
    /// The table [`World::latency_ns`] for these hosts: `one_way_ns` between any two of them, 0 where there is no link.
    pub fn latencies(topology: &Topology, one_way_ns: impl Fn(HostId, HostId) -> u64) -> Vec<u64> {
        let hosts = || (0..topology.hosts() as u16).map(HostId);
        let pairs = hosts().flat_map(|from| hosts().map(move |to| (from, to)));
        let is_link = |from, to| from != to && from != HostId::WORLD && to != HostId::WORLD;
        pairs.map(|(from, to)| if is_link(from, to) { one_way_ns(from, to) } else { 0 }).collect()
    }

    /// The timeline of its faults.
    pub fn timeline(&self) -> Timeline {
        Timeline::of(&self.schedule, self.duration_ms)
    }

    /// The fold over its faults, none of them active yet.
    ///
    /// # Errors
    /// When the schedule does not fit the hosts.
    pub fn active(&self) -> Result<Active, ScheduleError> {
        Active::new(&self.topology, &self.schedule, self.baseline, self.duration_ms)
    }

    /// When the quiet period begins: the load's time is over, and every fault with an end has ended.
    pub fn quiet_from_ns(&self) -> u64 {
        (self.duration_ms * 1_000_000).max(self.timeline().last_end_ns().unwrap_or(0))
    }
}
