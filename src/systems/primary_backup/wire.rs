//! The messages between nodes. A primary's messages carry its epoch; a receiver that knows a newer one says so.

use super::replica::{Epoch, Position, Progress, Replica, Update};
use crate::trace::MessageKind;
use serde::{Deserialize, Serialize};

/// A message between nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Updates that follow `previous`; without any it is a sign of life.
    Append {
        /// The sender's tenure.
        epoch: Epoch,
        /// How many updates its history had when the tenure began.
        start: u64,
        /// What the first update follows.
        previous: Position,
        /// In order, without gaps.
        updates: Vec<Update>,
    },
    /// The primary's whole state, for a node whose history differs or is too old.
    Install {
        /// The sender's tenure.
        epoch: Epoch,
        /// Its state.
        state: Replica,
    },
    /// A node that wants to be primary asks for a lease, and for what the receiver knows.
    Acquire {
        /// The tenure that would begin.
        epoch: Epoch,
    },
    /// The sender will not begin this tenure: the lease is over.
    Release {
        /// The tenure.
        epoch: Epoch,
    },
}

impl Message {
    /// The kind of message that faults and pictures see.
    pub fn kind(&self) -> MessageKind {
        match self {
            Message::Append { updates, .. } if updates.is_empty() => MessageKind::Heartbeat,
            Message::Append { .. } => MessageKind::Replicate,
            Message::Install { .. } => MessageKind::AntiEntropy,
            Message::Acquire { .. } | Message::Release { .. } => MessageKind::Vote,
        }
    }
}

/// An answer. Whatever it says about the sender's state is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerAnswer {
    /// The receiver obeys, and is this far.
    Obeyed(Progress),
    /// The lease is granted; this is all that the receiver has.
    Granted(Replica),
    /// Refused: the node has promised this epoch, or has granted a lease that is still in force.
    Refused(Epoch),
}
