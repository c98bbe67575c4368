//! Whether transactions on lists are as isolated as their store promises.
//!
//! Lists to which unique values are appended give away their history: each read lists all appends before it, in order. So
//! the order of the appends to a key is the longest list that was read of it, and what each transaction must come before or
//! after follows without a search. A cycle in that is an anomaly, and its own proof. The method is Elle's (Kingsbury, Alvaro:
//! Elle: Inferring Isolation Anomalies from Experimental Observations, VLDB 2020), the names of the anomalies are Adya's
//! (Weak Consistency, PhD thesis, MIT 1999, chapters 3 and 4).
//!
//! * `observed`: who appended what, and what must not be read at all.
//! * `graph`: which transaction comes before which, and the cycles in that.

mod graph;
mod observed;
#[cfg(test)]
mod tests;

use super::{Certificate, CheckName, Violation};
use crate::kv::transaction::{Consistency, Micro};
use observed::Observed;

/// A transaction as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The operation's id in the history.
    pub id: u32,
    /// The client that ran it.
    pub client: u32,
    /// When it was sent, in simulated nanoseconds.
    pub start_ns: u64,
    /// When its client knew its fate, in simulated nanoseconds.
    pub end_ns: u64,
    /// What became of it.
    pub fate: Fate,
    /// Its steps; what they read counts only if it is committed.
    pub micros: Vec<Micro>,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was acknowledged.
    Committed,
    /// It was refused for good.
    Aborted,
    /// Nobody knows.
    Unknown,
}

/// What may be wrong, each with the promise that rules it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
enum Anomaly {
    #[strum(serialize = "an element twice")]
    Duplicate,
    #[strum(serialize = "an element from nowhere")]
    Unwritten,
    #[strum(serialize = "incompatible order")]
    IncompatibleOrder,
    #[strum(serialize = "G0, a write cycle")]
    G0,
    #[strum(serialize = "G1a, an aborted read")]
    G1a,
    #[strum(serialize = "G1b, an intermediate read")]
    G1b,
    #[strum(serialize = "G1c, circular information flow")]
    G1c,
    #[strum(serialize = "internal inconsistency")]
    Internal,
    #[strum(serialize = "lost update, a case of G-single")]
    LostUpdate,
    #[strum(serialize = "G-single, read skew")]
    GSingle,
    #[strum(serialize = "G-nonadjacent, read skew of several")]
    GNonadjacent,
    #[strum(serialize = "G2, write skew")]
    G2,
}

impl Anomaly {
    /// The weakest promise that rules it out.
    fn against(self) -> Consistency {
        match self {
            Anomaly::Duplicate | Anomaly::Unwritten | Anomaly::IncompatibleOrder | Anomaly::G0 => {
                Consistency::ReadUncommitted
            }
            Anomaly::G1a | Anomaly::G1b | Anomaly::G1c => Consistency::ReadCommitted,
            Anomaly::Internal | Anomaly::LostUpdate | Anomaly::GSingle | Anomaly::GNonadjacent => {
                Consistency::SnapshotIsolation
            }
            Anomaly::G2 => Consistency::Serializable,
        }
    }
}

/// An anomaly, and how it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    anomaly: Anomaly,
    /// Whether it is one only because of the order in which transactions ended and began.
    is_real_time: bool,
    /// The evidence.
    sentence: String,
    /// The transactions concerned, by their place.
    transactions: Vec<usize>,
}

/// What is wrong with these transactions, given what their store promises: the first of each kind of reads that must not be,
/// and the worst cycle.
pub fn check(transactions: &[Transaction], promised: Consistency) -> Vec<Violation> {
    let findings = findings(transactions, promised);
    findings.into_iter().map(|finding| violation(transactions, promised, finding)).collect()
}

fn findings(transactions: &[Transaction], promised: Consistency) -> Vec<Finding> {
    let observed = Observed::of(transactions);
    let mut findings = observed.unreadable();
    // Then there is no order of a key's appends to go by.
    if findings.is_empty() {
        findings.extend(observed.unreliable());
        findings.retain(|finding| finding.anomaly.against() <= promised);
        findings.extend(graph::worst_cycle(&observed, promised));
    }
    findings
}

fn violation(transactions: &[Transaction], promised: Consistency, finding: Finding) -> Violation {
    let Finding { anomaly, is_real_time, sentence, transactions: concerned } = finding;
    let name: &str = anomaly.into();
    let name = match name.split_once(", ") {
        Some((short, long)) if is_real_time => format!("{short}-realtime, {long} by the clock"),
        _ => name.to_owned(),
    };
    let concerned: Vec<&Transaction> = concerned.iter().map(|at| &transactions[*at]).collect();
    Violation {
        check: CheckName::Transactions,
        certificate: Certificate {
            sentence: format!("{promised} is promised, and this is {name}: {sentence}"),
            operations: concerned.iter().map(|transaction| transaction.id).collect(),
            at_ns: concerned.iter().map(|transaction| transaction.end_ns).filter(|end_ns| *end_ns < u64::MAX).max(),
            ..Certificate::default()
        },
    }
}
