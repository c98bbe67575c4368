//! The scenario file: sites, latencies, workload, faults, the story, and what is expected of each system.
//!
//! A lesson, a shrunk counterexample and a saved regression have the same format. A scenario names generators (a
//! nemesis, a mix of operations) *or carries the materialised result* ([`Explicit`]), which overrides them.
//!
//! [`Scenario::parse`] reads and checks a file, [`Scenario::to_toml`] writes one, [`load`] finds one by name or path,
//! and [`materialise`] fixes everything random about a run before it starts.

pub mod bounds;
mod compact;
mod embedded;
mod parse;
mod schedule;
pub mod script;
mod situation;
pub mod suggest;
pub mod swarm;
mod validate;
mod write;

pub use crate::fault::generate::Nemesis;
pub use embedded::{catalogue, embedded, find, load, load_for};
pub(crate) use parse::Document;
pub use parse::ScenarioError;
pub use schedule::{Materialised, materialise};
pub use situation::Situation;
pub use swarm::Swarm;

use crate::fault::chaos::Act;
use crate::fault::model::{Chaos, Fault};
use crate::fault::topology::{SiteShape, Topology};
use crate::kv::Op;
use crate::kv::transaction::Consistency;
use crate::trace::HostId;
use crate::trace::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the file format that this build reads and writes.
pub const VERSION: u32 = 1;

/// Everything that determines a run, except the system and the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file format's version, [`VERSION`].
    pub version: u32,
    /// The name on the command line: lower case, digits and hyphens.
    pub name: String,
    /// One line.
    pub title: String,
    /// The story in prose: what happens, what to watch for.
    #[serde(default)]
    pub story: String,
    /// The data centres, in order; nodes are numbered `n1`, `n2`, ... across them.
    pub sites: Vec<Site>,
    /// One-way latencies.
    #[serde(default)]
    pub latency: Latency,
    /// The clock of the run and of the protocols.
    #[serde(default)]
    pub timing: Timing,
    /// What clients do.
    #[serde(default)]
    pub workload: Workload,
    /// What happens to single messages throughout the run.
    #[serde(default)]
    pub messages: Chaos,
    /// Faults written by hand; materialised as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// A generator of further faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nemesis: Option<Nemesis>,
    /// What each seed draws for itself: the shape of the cluster, and which kinds of fault the nemesis has and how strong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swarm: Option<Swarm>,
    /// After how many entries a node takes a snapshot; absent: as the system does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_entries: Option<u64>,
    /// How many entries below a snapshot a node keeps; absent: as the system does by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_entries: Option<u64>,
    /// How many bytes, keys and values together, a node of a program may have saved at once; absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// The situations that must occur in a run; a run that lacks one is inconclusive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub situations: Vec<Situation>,
    /// The program that is run where no system is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectProgram>,
    /// What is expected of each system, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, Expectation>,
    /// The materialised form, if this file carries one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explicit: Option<Explicit>,
}

/// A program whose processes are the nodes: `docs/NODES.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectProgram {
    /// Its command line.
    pub nodes: String,
    /// What the nodes are asked: `lin-kv`, `echo`, `unique-ids`, `broadcast`, `g-counter`,
    /// `txn-list-append` or `leader`.
    #[serde(default = "lin_kv")]
    pub service: String,
}

fn lin_kv() -> String {
    "lin-kv".to_owned()
}

/// A data centre.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name, used as a fault target.
    pub name: String,
    /// How many nodes it holds.
    pub nodes: u16,
    /// How many clients live there; all share one client host. 0: no client host.
    #[serde(default)]
    pub clients: u16,
    /// A witness site votes and is no key's home: in dual-primary it holds no keys of its own.
    #[serde(default)]
    pub witness: bool,
}

/// One-way latencies in milliseconds. None may be below the tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// Within a site.
    pub local_ms: u64,
    /// Between sites, unless `between` gives the pair.
    pub wan_ms: u64,
    /// Between particular sites.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub between: Vec<Between>,
}

/// The one-way latency between two sites, both ways alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// One site.
    pub a: String,
    /// The other site.
    pub b: String,
    /// Milliseconds.
    pub ms: u64,
}

/// Durations, in simulated milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// The simulator's step.
    pub tick_ms: u64,
    /// How long clients and faults go on. A quiet period for liveness and the final reads follows.
    pub duration_ms: u64,
    /// Interval of heartbeats.
    pub heartbeat_ms: u64,
    /// Shortest election time-out.
    pub election_min_ms: u64,
    /// Longest election time-out; also dual-primary's `takeover_after` unless that is given.
    pub election_max_ms: u64,
    /// Silence after which a dual-primary site takes over the other's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub takeover_after_ms: Option<u64>,
    /// How long a client waits for one attempt.
    pub attempt_timeout_ms: u64,
    /// How long a client tries one operation in all.
    pub operation_timeout_ms: u64,
}

/// What clients do: an open-loop script generated from the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// How many operations, spread over the run's duration.
    pub operations: u32,
    /// When the first one is planned.
    pub start_ms: u64,
    /// How many keys; every client uses all of them.
    pub keys: u32,
    /// Relative weight of gets.
    pub get: u32,
    /// Relative weight of puts.
    pub put: u32,
    /// Relative weight of deletes.
    pub delete: u32,
    /// Relative weight of cas.
    pub cas: u32,
    /// What a service of transactions is held to; no other service is.
    #[serde(skip_serializing_if = "is_usual")]
    pub consistency: Consistency,
}

fn is_usual(consistency: &Consistency) -> bool {
    *consistency == Consistency::default()
}

/// What a scenario expects of a system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
    /// Whether safety holds.
    pub safety: Safety,
    /// Whether liveness after the last fault is required; absent: required wherever a quorum keeps its disks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// One sentence for the class: what this system does here and why.
    pub because: String,
    /// Bounds on the share of the operations offered per site that are served in time while faults are active.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub availability: Vec<AvailabilityBound>,
}

/// Whether a scenario expects a system to stay safe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// No violation in any run.
    #[default]
    Holds,
    /// A certified split-brain in every run.
    SplitBrain,
    /// Some safety violation in every run.
    Violated,
    /// A violation in some runs: a run with one and a run without one are both as expected.
    MayBreak,
}

/// A bound on availability, as a share from 0 to 1 of the operations offered at a site while a fault was active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvailabilityBound {
    /// The site whose clients count.
    pub site: String,
    /// At least this share was served in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// At most this share was served in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
}

/// One line of a client script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptedOp {
    /// Its id; unique, ascending with planned time.
    pub id: u32,
    /// The client that runs it; numbered across sites.
    pub client: u32,
    /// When it is due, in microseconds since the start of the run.
    pub at_us: u64,
    /// What to do. A cas's expectation here is a placeholder unless `fixed_expectation`.
    pub op: Op,
    /// Whether a cas expects exactly what `op` says instead of the last value its client saw.
    #[serde(default)]
    pub fixed_expectation: bool,
}

/// The materialised form of a run: what a failing run writes, a shrinker edits and a student shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explicit {
    /// The seed. It still determines what is not materialised: jitter and the nodes' own randomness.
    pub seed: u64,
    /// The system it was recorded with.
    pub system: String,
    /// The fault schedule; replaces `faults` and `nemesis`.
    pub schedule: Vec<Fault>,
    /// The client script; replaces `workload`.
    pub script: Vec<ScriptedOp>,
    /// The message acts; replace the hashes of `messages` and of message faults. Absent: hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acts: Option<Vec<Act>>,
    /// What the recorded run found.
    pub verdict: Recorded,
}

/// What a recorded run found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// `pass`, `violation` or `inconclusive`.
    pub verdict: String,
    /// Names of the checks that failed.
    #[serde(default)]
    pub checks: Vec<String>,
    /// The run's digest.
    pub digest: Digest,
}

impl Scenario {
    /// The hosts of a run and their names.
    ///
    /// # Panics
    /// If there are more hosts than [`Topology::MAX_HOSTS`] allows, which no checked scenario has.
    pub fn topology(&self) -> Topology {
        Topology::of(self.sites.iter().map(|site| SiteShape {
            name: site.name.clone(),
            nodes: site.nodes,
            clients: site.clients > 0,
            witness: site.witness,
        }))
    }

    /// The one-way latency between two hosts of this scenario's topology, in nanoseconds.
    pub fn one_way_ns(&self, topology: &Topology, a: HostId, b: HostId) -> u64 {
        let name = |host| topology.site_of(host).map(|index| topology.sites[index].name.as_str());
        1_000_000
            * match (name(a), name(b)) {
                (Some(a), Some(b)) => self.latency.one_way_ms(a, b),
                _ => self.latency.local_ms,
            }
    }

    /// Silence after which a dual-primary site takes over the other's keys, in milliseconds.
    pub fn takeover_ms(&self) -> u64 {
        self.timing.takeover_after_ms.unwrap_or(self.timing.election_max_ms)
    }

    /// For each client, in order of their numbers, the index of its site.
    pub fn client_sites(&self) -> Vec<usize> {
        let sites = self.sites.iter().enumerate();
        sites.flat_map(|(index, site)| std::iter::repeat_n(index, usize::from(site.clients))).collect()
    }
}

impl Latency {
    /// The one-way latency between two sites, in milliseconds; for one and the same site, within it.
    pub fn one_way_ms(&self, a: &str, b: &str) -> u64 {
        if a == b {
            return self.local_ms;
        }
        let pair = |between: &&Between| (between.a == a && between.b == b) || (between.a == b && between.b == a);
        self.between.iter().find(pair).map_or(self.wan_ms, |between| between.ms)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Latency { local_ms: 1, wan_ms: 10, between: Vec::new() }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            tick_ms: 1,
            duration_ms: 30_000,
            heartbeat_ms: 200,
            election_min_ms: 600,
            election_max_ms: 1200,
            takeover_after_ms: None,
            attempt_timeout_ms: 500,
            operation_timeout_ms: 2000,
        }
    }
}

impl Default for Workload {
    fn default() -> Self {
        Workload {
            operations: 1000,
            start_ms: 2000,
            keys: 8,
            get: 4,
            put: 3,
            delete: 0,
            cas: 3,
            consistency: Consistency::default(),
        }
    }
}
