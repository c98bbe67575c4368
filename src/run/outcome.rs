//! What a run yields.

use super::plan::Plan;
use crate::check::{CheckName, Violation};
use crate::fault::chaos::Act;
use crate::history::History;
use crate::scenario::{Explicit, Recorded, Scenario, Situation};
use crate::trace::Trace;
use crate::trace::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A finished run with all its evidence.
#[derive(Debug, Clone)]
pub struct Run {
    /// The scenario, as in its file.
    pub scenario: Scenario,
    /// What the scenario and the seed determine: hosts, links, faults, script.
    pub plan: Plan,
    /// The judgement and the figures.
    pub outcome: Outcome,
    /// What happened to single messages.
    pub acts: Vec<Act>,
    /// Every event, in order.
    pub trace: Trace,
    /// What clients asked and were answered.
    pub history: History,
    /// Why the run proves nothing or little, whatever its verdict; the sentences are those of
    /// [`Outcome::inconclusive`], in the same order.
    pub doubts: Vec<Doubt>,
    /// The bytes that nodes sent to nodes, without headers.
    pub bytes_between_nodes: u64,
}

impl Run {
    /// The run as a file that replays it: its scenario with schedule, script, acts, verdict and digest filled in.
    pub fn recording(&self) -> Scenario {
        let outcome = &self.outcome;
        let explicit = Explicit {
            seed: outcome.seed,
            system: outcome.system.clone(),
            schedule: self.plan.faults().to_vec(),
            script: self.plan.load.script.clone(),
            acts: Some(self.acts.clone()),
            verdict: Recorded {
                verdict: outcome.verdict.name().to_owned(),
                checks: outcome.failed_checks(),
                digest: outcome.digest,
            },
        };
        Scenario { explicit: Some(explicit), ..self.scenario.clone() }
    }
}

/// A reason why a run proves nothing, or less than it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// What it lacked.
    pub lack: Lack,
    /// The same in a sentence.
    pub why: String,
}

/// What a run lacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// The checker's budget ended before it had an answer.
    Answer,
    /// Too few operations were acknowledged.
    Service,
    /// Only one leader acknowledged operations: no failover was survived. Other seeds may have one.
    SecondLeader,
    /// A situation that the scenario requires did not occur. Under other seeds it may.
    Situation(Situation),
    /// A fault names a role that no node ever claimed.
    Role,
    /// A fault could have no effect on this system.
    Power,
    /// A node answered otherwise when it was asked the same again: what it did is no function of the seed.
    Repetition,
}

/// The judgement on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// Every check passed, and the run was worth checking.
    Pass,
    /// A check failed (safety, or liveness where it is required).
    Violation,
    /// Nothing failed, but the run proves nothing: a budget ended, or too little happened.
    Inconclusive,
}

impl Verdict {
    /// The name used in files and JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Whether the system came back after the last fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It did, in time.
    Ok,
    /// It did not.
    Failed,
    /// The faults left no quorum, so nothing is required.
    NotRequired,
}

/// What became of the operations that the script offered in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Planned for the period by the script: the same for every system, and the only denominator.
    pub offered: u64,
    /// Acknowledged before the period ended and within the scenario's `operation_timeout_ms` of the instant for which
    /// it was planned.
    pub served_in_time: u64,
    /// Acknowledged after that.
    pub late: u64,
    /// Failed, of unknown outcome, or never sent, because its client was still waiting.
    pub unserved: u64,
}

impl std::ops::AddAssign for Served {
    fn add_assign(&mut self, other: Served) {
        self.offered += other.offered;
        self.served_in_time += other.served_in_time;
        self.late += other.late;
        self.unserved += other.unserved;
    }
}

/// What became of the operations offered at a site in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// The site of the clients.
    pub site: String,
    /// `run` (all of it), `faults` (from the first fault's beginning to the last's end), or
    /// `settled` (the same, from three maximum election time-outs after the first fault's beginning).
    pub during: String,
    /// When the period begins, in simulated milliseconds.
    pub from_ms: u64,
    /// When it ends.
    pub until_ms: u64,
    /// The figures.
    #[serde(flatten)]
    pub served: Served,
}

/// Counts of what happened in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames sent.
    pub messages_sent: u64,
    /// Frames that never reached a handler.
    pub messages_dropped: u64,
    /// Frames handled after a frame that was sent later in the same direction between the same hosts.
    pub messages_reordered: u64,
    /// Frames handled twice.
    pub messages_duplicated: u64,
    /// Cuts of any shape that began.
    pub cuts: u64,
    /// Those of them that were one-way.
    pub one_way_cuts: u64,
    /// Process kills.
    pub crashes: u64,
    /// Pauses.
    pub pauses: u64,
    /// Power losses.
    pub power_losses: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Counters) {
        self.messages_sent += other.messages_sent;
        self.messages_dropped += other.messages_dropped;
        self.messages_reordered += other.messages_reordered;
        self.messages_duplicated += other.messages_duplicated;
        self.cuts += other.cuts;
        self.one_way_cuts += other.one_way_cuts;
        self.crashes += other.crashes;
        self.pauses += other.pauses;
        self.power_losses += other.power_losses;
    }
}

/// The judgement and the figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// The system's name.
    pub system: String,
    /// The seed.
    pub seed: u64,
    /// The judgement.
    pub verdict: Verdict,
    /// What failed.
    pub violations: Vec<Violation>,
    /// Why the run proves nothing, if it is inconclusive.
    pub inconclusive: Vec<String>,
    /// The checks that say nothing about a system of this kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inapplicable: Vec<CheckName>,
    /// Whether the system came back.
    pub liveness: Liveness,
    /// Whether all nodes held the same state at the end.
    pub converged: bool,
    /// Digest of trace, history, verdicts and counters.
    pub digest: Digest,
    /// Digest of the fault schedule alone: equal across systems.
    pub schedule_digest: Digest,
    /// Digest of the client script alone: equal across systems.
    pub script_digest: Digest,
    /// Operations of the script that were sent and acknowledged, in time or late.
    pub acked: u64,
    /// Operations of the script that were sent and definitely failed.
    pub failed: u64,
    /// Operations of the script that were sent, of unknown outcome.
    pub unknown: u64,
    /// Acknowledged writes proven gone.
    pub lost_acked_writes: u64,
    /// Operations in split-brain certificates.
    pub conflicting_acks: u64,
    /// Whether the history is linearizable; `None`: the checker's budget ended.
    pub linearizable: Option<bool>,
    /// How often another node became primary.
    pub leader_changes: u64,
    /// Simulated seconds during which two or more nodes acted as primary of the same keys.
    pub acting_primaries_overlap_s: f64,
    /// Acknowledgements of the script's operations, by node name: they add up to `acked`.
    pub acks_by_node: BTreeMap<String, u64>,
    /// Availability per site and period.
    pub availability: Vec<Availability>,
    /// Milliseconds from the end of the last fault until every site was served again.
    pub recovered_ms: Option<u64>,
    /// Simulated seconds.
    pub simulated_s: f64,
    /// The simulator's step.
    pub tick_ms: u64,
    /// Nodes.
    pub nodes: usize,
    /// Nodes and client hosts.
    pub hosts: usize,
    /// Counts of what happened.
    pub counters: Counters,
    /// The kinds of fault that were in the schedule, each once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fault_kinds: BTreeSet<String>,
    /// How often each situation occurred.
    pub situations: BTreeMap<Situation, u64>,
}

impl Outcome {
    /// What became of the operations offered in a period (see [`Availability::during`]), at all sites together.
    pub fn served(&self, during: &str) -> Served {
        let mut all = Served::default();
        let figures = self.availability.iter().filter(|figure| figure.during == during);
        figures.for_each(|figure| all += figure.served);
        all
    }

    /// The names of the checks that failed, each once, in order.
    pub fn failed_checks(&self) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.violations.iter().map(|violation| violation.check).collect();
        names.into_iter().map(|name| name.name().to_owned()).collect()
    }

    /// Whether a check of this name failed.
    pub fn violates(&self, check: crate::check::CheckName) -> bool {
        self.violations.iter().any(|violation| violation.check == check)
    }
}
