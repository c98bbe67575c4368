//! The history: what clients saw, the input of every client-visible check.
//!
//! One entry spans all attempts of a command. Outcomes follow the field's convention (Jepsen): `ok`, `fail` (definitely
//! did not happen), `info` (may take effect at any time after its invocation, or never). This folder knows no system,
//! no network and no faults.

pub mod columns;
pub mod formats;
pub mod visible;

pub use columns::Columns;

use crate::kv::{Key, Op, Response, Tag};
use crate::trace::HostId;
use serde::{Deserialize, Serialize};

/// All operations of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// In order of invocation; ties in order of operation id.
    pub operations: Vec<Operation>,
}

/// One operation as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// The operation's id in the script; unique in a history.
    pub id: u32,
    /// The client that ran it.
    pub client: u32,
    /// The identity shared by all attempts; `tag.session` is the client *process*, which changes
    /// after every unknown outcome.
    pub tag: Tag,
    /// The requested operation.
    pub op: Op,
    /// When the script planned its start, in nanoseconds since the start of the run.
    pub planned_ns: u64,
    /// When the client invoked it (later than planned if the client was busy).
    pub start_ns: u64,
    /// When the client got its answer or gave up; for `info` the operation may still take effect later.
    pub end_ns: u64,
    /// How it ended.
    pub status: Status,
    /// How many attempts were sent.
    pub attempts: u32,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Acknowledged.
    Ok {
        /// What it returned. A cas that did not match is `ok`: it read a value.
        outcome: Response,
        /// The node that acknowledged it, if known (an external history does not tell).
        by: Option<Acknowledger>,
    },
    /// Definitely did not take effect: no attempt can have reached a node, or each was refused.
    Fail,
    /// Unknown.
    Info,
}

/// The node that acknowledged an operation, and the term or epoch in which it acted as primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Acknowledger {
    /// The node.
    pub node: HostId,
    /// Its term, epoch or takeover count.
    pub term: u64,
}

impl Operation {
    /// The key it touched.
    pub fn key(&self) -> Key {
        self.op.key()
    }

    /// The outcome, if it was acknowledged.
    pub fn outcome(&self) -> Option<Response> {
        match self.status {
            Status::Ok { outcome, .. } => Some(outcome),
            Status::Fail | Status::Info => None,
        }
    }

    /// The node that acknowledged it, if it was acknowledged and the node is known.
    pub fn acknowledger(&self) -> Option<Acknowledger> {
        match self.status {
            Status::Ok { by, .. } => by,
            Status::Fail | Status::Info => None,
        }
    }

    /// Whether it was acknowledged and changed the store: a put, a delete, or a cas that matched.
    pub fn is_acknowledged_write(&self) -> bool {
        matches!(
            (self.op, self.outcome()),
            (Op::Put { .. } | Op::Delete { .. }, Some(_)) | (Op::Cas { .. }, Some(Response::Swapped))
        )
    }

    /// What it observed the key to hold: a get's value, a cas's expectation or what it found instead.
    /// Outer `None`: it observed nothing.
    pub fn observed(&self) -> Option<Option<u64>> {
        match (self.op, self.outcome()?) {
            (_, Response::Value(value)) => Some(value),
            (Op::Cas { expected, .. }, Response::Swapped) => Some(expected),
            (_, Response::Mismatch { found }) => Some(found),
            _ => None,
        }
    }
}

impl History {
    /// Sorts operations by invocation, ties by id.
    pub fn sort(&mut self) {
        self.operations.sort_by_key(|operation| (operation.start_ns, operation.id));
    }
}
