//! The replicated store's vocabulary: operations, outcomes and the state machine.
//!
//! Values are unsigned integers and, in our own workloads, unique per run: that makes a history checkable in
//! near-linear time. This folder knows nothing of networks, replication or time.

pub mod store;
pub mod transaction;

use serde::{Deserialize, Serialize};
use std::fmt;

pub use store::{Applied, Store};

/// A key of the store, shown as `k7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub u32);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{}", self.0)
    }
}

/// A stored value. Absence is `None`, never a reserved number.
pub type Value = u64;

/// One operation on one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Read the current value.
    Get {
        /// The key read.
        key: Key,
    },
    /// Set the value.
    Put {
        /// The key written.
        key: Key,
        /// The new value.
        value: Value,
    },
    /// Remove the value; blind, it does not report whether there was one.
    Delete {
        /// The key removed.
        key: Key,
    },
    /// Set the value to `new` if and only if it is `expected` (`None`: the key is absent).
    Cas {
        /// The key compared and written.
        key: Key,
        /// The value the key must hold.
        expected: Option<Value>,
        /// The value to set.
        new: Value,
    },
}

impl Op {
    /// The key this operation touches.
    pub fn key(&self) -> Key {
        match *self {
            Op::Get { key } | Op::Put { key, .. } | Op::Delete { key } | Op::Cas { key, .. } => key,
        }
    }

    /// Whether the operation can change the store.
    pub fn is_write(&self) -> bool {
        !matches!(self, Op::Get { .. })
    }

    /// The value that this operation stores if it takes effect.
    pub fn written(&self) -> Option<Value> {
        match *self {
            Op::Put { value, .. } => Some(value),
            Op::Cas { new, .. } => Some(new),
            Op::Get { .. } | Op::Delete { .. } => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Get { key } => write!(f, "get {key}"),
            Op::Put { key, value } => write!(f, "put {key}={value}"),
            Op::Delete { key } => write!(f, "delete {key}"),
            Op::Cas { key, expected: Some(expected), new } => write!(f, "cas {key} {expected}->{new}"),
            Op::Cas { key, expected: None, new } => write!(f, "cas {key} absent->{new}"),
        }
    }
}

/// What an operation that took effect returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// A get returned this.
    Value(Option<Value>),
    /// A put or delete was done.
    Done,
    /// A cas matched and wrote.
    Swapped,
    /// A cas did not match; it found this instead and wrote nothing.
    Mismatch {
        /// The value the key held.
        found: Option<Value>,
    },
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Response::Value(Some(value)) => write!(f, "{value}"),
            Response::Value(None) => f.write_str("absent"),
            Response::Done => f.write_str("done"),
            Response::Swapped => f.write_str("swapped"),
            Response::Mismatch { found: Some(value) } => write!(f, "mismatch, found {value}"),
            Response::Mismatch { found: None } => f.write_str("mismatch, found absent"),
        }
    }
}

/// Identifies a command across all its attempts: the session (a client process) and its sequence
/// number, from 1. Retries of one command carry the same tag (Raft dissertation, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// The client process that issued the command; each process has one session.
    pub session: u64,
    /// The command's number within its session, from 1.
    pub sequence: u64,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}#{}", self.session, self.sequence)
    }
}

/// An operation with its identity. This is what systems replicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Its session, and its number in that session.
    pub tag: Tag,
    /// What to do.
    pub op: Op,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tag, self.op)
    }
}
