//! The event log of a run, and its digest.
//!
//! Every node, every client host and the world itself (faults) record what they did. Hosts run a whole tick in turn, so
//! the order of emission means nothing: the order of events is (time, host, sequence number within the host), see
//! [`Trace::sort`]. The [`digest`] is a pinned hash over a pinned encoding of all of it. This folder knows no system:
//! it is vocabulary only.

mod attempt;
pub mod digest;
mod event;
mod host_set;
mod labels;

pub use attempt::AttemptId;
pub use event::{DropReason, Event, LogPosition, MessageId, MessageKind, Role, Scope, What};
pub use host_set::HostSet;
pub use labels::Labels;

use serde::{Deserialize, Serialize};
use std::fmt;

/// The most events that a run may have: some twenty minutes of `chaos`. They are counted only while the run goes on. An
/// event takes 72 bytes, and as much again while events are sorted and checked.
pub const MOST_EVENTS: usize = 5_000_000;

/// Index of a host in the run's topology: 0 is the world (faults), then nodes from 1, then the client hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub u16);

impl HostId {
    /// The pseudo-host that records faults.
    pub const WORLD: HostId = HostId(0);

    /// This host's index into tables that hold one entry per host.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for HostId {
    /// `n3` for host 3; client hosts have names of their own in [`Trace::names`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == HostId::WORLD { f.write_str("world") } else { write!(f, "n{}", self.0) }
    }
}

/// All events of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// Host names by [`HostId`]; entry 0 is the world.
    pub names: Vec<String>,
    /// How many of the hosts after the world are nodes; the rest are client hosts.
    pub nodes: usize,
    /// The events, in (time, host, sequence) order once [`Trace::sort`] has run.
    pub events: Vec<Event>,
    /// What hosts call their events, where they have words of their own. It follows from what they sent, so it is in no
    /// digest.
    pub labels: Labels,
}

impl Trace {
    /// Puts events into their one true order: (time, host, sequence).
    pub fn sort(&mut self) {
        self.events.sort_by_key(|event| (event.t_ns, event.host, event.seq));
    }

    /// The name of a host, for people.
    pub fn name(&self, host: HostId) -> &str {
        self.names.get(host.index()).map_or("?", String::as_str)
    }

    /// The ids of the nodes, ascending.
    pub fn node_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (1..=self.nodes as u16).map(HostId)
    }
}
