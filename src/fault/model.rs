//! What a fault is: plain data, in the words of scenario files.

use crate::trace::MessageKind;
use serde::{Deserialize, Serialize};

/// A fault schedule, materialised before the run: what is shown, shrunk, shared and replayed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule {
    /// In order of their beginning; a fault's index here is its identity in the trace.
    pub faults: Vec<Fault>,
}

/// One fault: something that begins and, unless it lasts to the end of the run, ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When it begins, in simulated milliseconds since the start of the run.
    pub at_ms: u64,
    /// How long it lasts, in milliseconds; absent: to the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// What it does.
    #[serde(flatten)]
    pub kind: FaultKind,
}

impl Fault {
    /// When it ends, in milliseconds, if it does.
    pub fn ends_ms(&self) -> Option<u64> {
        self.for_ms.map(|length| self.at_ms.saturating_add(length))
    }
}

/// A set of hosts, by name: a node (`n2`), a site (`east`: its nodes and its clients), the clients of a
/// site (`east.clients`), the nodes of a site (`east.nodes`), or a role (`@leader`, `@follower`), which is
/// resolved when the fault begins and recorded in the trace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(pub String);

/// The kinds of fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// No message passes between hosts of different groups. A host in no group talks to all.
    Partition {
        /// Disjoint groups of hosts.
        groups: Vec<Vec<Target>>,
    },
    /// No message passes from `from` to `to`; the other direction is untouched.
    OneWay {
        /// The senders whose messages are lost.
        from: Vec<Target>,
        /// The receivers that do not get them.
        to: Vec<Target>,
    },
    /// Every node sees a majority, no two see the same (Jepsen's "majorities ring"): each node talks
    /// only to its nearest neighbours in this order, enough of them for a majority. Clients are untouched.
    MajoritiesRing {
        /// The order of the nodes around the ring.
        order: Vec<Target>,
    },
    /// Two halves that cannot talk to each other, and one node that talks to both.
    Bridge {
        /// One half.
        left: Vec<Target>,
        /// The node in between.
        middle: Target,
        /// The other half.
        right: Vec<Target>,
    },
    /// One host, or the holder of a role, cut from every other node; its clients too if `from_clients`.
    Isolate {
        /// The host or role.
        target: Target,
        /// Whether client hosts are cut off as well.
        #[serde(default)]
        from_clients: bool,
    },
    /// A partition that comes and goes: cut for `down_ms`, then whole for `up_ms`, from its beginning to its end.
    Flapping {
        /// Disjoint groups of hosts.
        groups: Vec<Vec<Target>>,
        /// Milliseconds cut.
        down_ms: u64,
        /// Milliseconds whole.
        up_ms: u64,
    },
    /// Messages between `a` and `b`, both ways, take longer.
    Latency {
        /// One end.
        a: Vec<Target>,
        /// The other end.
        b: Vec<Target>,
        /// Extra one-way delay of each message, in milliseconds.
        extra_ms: u64,
    },
    /// Messages between `a` and `b`, both ways, are held back and all released when the fault ends.
    Hold {
        /// One end.
        a: Vec<Target>,
        /// The other end.
        b: Vec<Target>,
    },
    /// Single messages from `from` to `to` are lost, delayed past later ones, or doubled.
    Messages {
        /// The senders; absent: every host.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        from: Vec<Target>,
        /// The receivers; absent: every host.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        to: Vec<Target>,
        /// The kinds of message concerned; absent: every kind.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kinds: Vec<MessageKind>,
        /// What happens to them.
        #[serde(flatten)]
        chaos: Chaos,
    },
    /// The process is killed (its disk stays as written) and started again when the fault ends.
    Kill {
        /// The node or role.
        target: Target,
    },
    /// The process stops running, as by SIGSTOP, and goes on when the fault ends.
    Pause {
        /// The node or role.
        target: Target,
    },
    /// Each operation of a node's disk takes longer.
    SlowDisk {
        /// The node or role.
        target: Target,
        /// Extra time of each operation, in milliseconds.
        extra_ms: u64,
    },
    /// Each operation of a node's disk fails with an I/O error and changes nothing.
    DiskErrors {
        /// The node or role.
        target: Target,
    },
    /// A node's disk is full: it takes no byte more, and what it holds can be read.
    FullDisk {
        /// The node or role.
        target: Target,
    },
    /// A node's disk says that it has synced, and has not: what is written meanwhile is safe from a kill, not from
    /// a power loss.
    LostSync {
        /// The node or role.
        target: Target,
    },
    /// A node's disk returns reads with a bit turned over.
    CorruptReads {
        /// The node or role.
        target: Target,
        /// Probability that a read is hit.
        ppm: u32,
    },
    /// The node loses power: its process dies, what it had written and not synced is gone, and it starts again from
    /// its disk when the fault ends.
    PowerLoss {
        /// The node or role.
        target: Target,
        /// Whether some of the unsynced writes reached the disk, whole or in part, in no order.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        torn: bool,
        /// Strikes at the n-th write or sync of the node's disk after the fault's beginning, n from 1, instead of at
        /// once; if it never comes to that, it does not strike.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_operation: Option<u64>,
    },
    /// A node's clock is wrong and runs wrong: as it reads the time, and as it waits.
    Clock {
        /// The node or role.
        target: Target,
        /// Added to the time it reads, in milliseconds.
        #[serde(default)]
        offset_ms: i64,
        /// How much faster than true time it runs, in parts per million; negative: slower.
        #[serde(default)]
        drift_ppm: i64,
    },
    /// An administrator makes these the voters, and all nodes again when it ends. Nodes that are not among them
    /// are removed, and come back as learners before they vote.
    Membership {
        /// The voters, while it is active.
        voters: Vec<Target>,
    },
}

impl FaultKind {
    /// The names of all kinds in scenario files, in declaration order.
    pub const NAMES: [&'static str; 19] = [
        "partition",
        "one_way",
        "majorities_ring",
        "bridge",
        "isolate",
        "flapping",
        "latency",
        "hold",
        "messages",
        "kill",
        "pause",
        "slow_disk",
        "disk_errors",
        "full_disk",
        "lost_sync",
        "corrupt_reads",
        "power_loss",
        "clock",
        "membership",
    ];

    /// The names of the kinds that may name a role.
    pub const TAKE_ROLES: [&'static str; 11] = [
        "one_way",
        "isolate",
        "kill",
        "pause",
        "slow_disk",
        "disk_errors",
        "full_disk",
        "lost_sync",
        "corrupt_reads",
        "power_loss",
        "clock",
    ];

    /// The name in scenario files.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Partition { .. } => "partition",
            FaultKind::OneWay { .. } => "one_way",
            FaultKind::MajoritiesRing { .. } => "majorities_ring",
            FaultKind::Bridge { .. } => "bridge",
            FaultKind::Isolate { .. } => "isolate",
            FaultKind::Flapping { .. } => "flapping",
            FaultKind::Latency { .. } => "latency",
            FaultKind::Hold { .. } => "hold",
            FaultKind::Messages { .. } => "messages",
            FaultKind::Kill { .. } => "kill",
            FaultKind::Pause { .. } => "pause",
            FaultKind::SlowDisk { .. } => "slow_disk",
            FaultKind::DiskErrors { .. } => "disk_errors",
            FaultKind::FullDisk { .. } => "full_disk",
            FaultKind::LostSync { .. } => "lost_sync",
            FaultKind::CorruptReads { .. } => "corrupt_reads",
            FaultKind::PowerLoss { .. } => "power_loss",
            FaultKind::Clock { .. } => "clock",
            FaultKind::Membership { .. } => "membership",
        }
    }

    /// Whether it cuts links, in whatever shape.
    pub fn is_cut(&self) -> bool {
        use FaultKind::*;
        matches!(
            self,
            Partition { .. } | OneWay { .. } | MajoritiesRing { .. } | Bridge { .. } | Isolate { .. } | Flapping { .. }
        )
    }

    /// Whether it cuts links in one direction only.
    pub fn is_one_way_cut(&self) -> bool {
        matches!(self, FaultKind::OneWay { .. })
    }

    /// Whether it concerns disks.
    pub fn is_disk(&self) -> bool {
        use FaultKind::*;
        matches!(
            self,
            SlowDisk { .. }
                | DiskErrors { .. }
                | FullDisk { .. }
                | LostSync { .. }
                | CorruptReads { .. }
                | PowerLoss { .. }
        )
    }

    /// The one host or role that it concerns, if it is of that sort.
    pub fn target(&self) -> Option<&Target> {
        use FaultKind::*;
        match self {
            Isolate { target, .. }
            | Kill { target }
            | Pause { target }
            | SlowDisk { target, .. }
            | DiskErrors { target }
            | FullDisk { target }
            | LostSync { target }
            | CorruptReads { target, .. }
            | PowerLoss { target, .. }
            | Clock { target, .. } => Some(target),
            _ => None,
        }
    }

    /// The targets that may name a role.
    pub fn role_targets(&self) -> Vec<&Target> {
        match self {
            FaultKind::OneWay { from, to } => from.iter().chain(to).collect(),
            _ => self.target().into_iter().collect(),
        }
    }
}

/// What the chaos layer does to single messages. Probabilities in parts per million.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chaos {
    /// Probability that a message is lost.
    pub loss_ppm: u32,
    /// Probability that a message is delayed by up to `reorder_ms`, so that later ones overtake it.
    pub reorder_ppm: u32,
    /// Longest extra delay of a reordered message or of a duplicate's second copy, in milliseconds.
    pub reorder_ms: u64,
    /// Probability that a message is delivered twice.
    pub duplicate_ppm: u32,
    /// Longest jitter added to every message, in milliseconds.
    pub jitter_ms: u64,
}
