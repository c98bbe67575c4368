//! The checks. Each reads only the history and the trace and knows no system, so it can check a history from another
//! test as well. One property a file; the header cites paper and section.

pub mod catch_up;
mod causality;
pub mod convergence;
pub mod linearizability;
pub mod liveness;
pub mod lost_write;
pub mod primaries;
pub mod raft;
pub mod split_brain;
#[cfg(feature = "nodes")]
pub mod transactions;
pub mod vacuity;

use crate::trace::{HostId, MessageId};
use serde::{Deserialize, Serialize};

/// A property that did not hold, with the evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// The check that found it.
    pub check: CheckName,
    /// The evidence.
    pub certificate: Certificate,
}

/// The evidence of a violation: enough for a person to verify it by hand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The evidence in one sentence.
    pub sentence: String,
    /// Ids of the operations concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<u32>,
    /// The nodes concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<HostId>,
    /// The terms or epochs in which they acted, in the order of `nodes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<u64>,
    /// The messages that carried it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageId>,
    /// When the violation became undeniable, in simulated nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ns: Option<u64>,
}

/// The checks, by the names used in JSON.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CheckName {
    /// Some order of the acknowledged operations explains the history.
    Linearizability,
    /// No acknowledged write is proven gone.
    LostWrite,
    /// No two nodes acknowledge conflicting operations as primaries of the same time.
    SplitBrain,
    /// After the last fault every client is served and replicas are equal, in bounded time.
    Liveness,
    /// Replicas hold the same state at the end.
    Convergence,
    /// At most one leader per leader id, elected in order (Raft paper, 5.2).
    ElectionSafety,
    /// Same index and leader: same log up to there (5.3).
    LogMatching,
    /// A committed entry is in every later leader's log (5.4).
    LeaderCompleteness,
    /// No two nodes apply different entries at one index (5.4.3).
    StateMachineSafety,
    /// A committed entry never changes.
    CommittedImmutable,
    /// A node's vote, commit and apply positions never go back.
    Monotonic,
    /// A committed entry is durable on a majority (5.3, 6).
    CommitQuorum,
    /// After a restart a log is as it was (figure 2).
    LogDurability,
    /// A command takes effect once, through the same entry everywhere (Raft dissertation, 6.3).
    ExactlyOnce,
    /// Two snapshots of one position have the same content (2, 7).
    SnapshotAgreement,
    /// No process panics.
    Panic,
    /// A service that is not the store answers as its model says.
    Service,
    /// Transactions are as isolated as their store promises.
    Transactions,
    /// While nobody writes, every member gets what is committed, in bounded time.
    CatchUp,
}

/// Simulated nanoseconds as seconds for people.
pub(crate) fn seconds(t_ns: u64) -> String {
    format!("{:.3} s", t_ns as f64 / 1e9)
}

impl CheckName {
    /// The name used in files and JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
