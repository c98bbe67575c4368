//! The messages between nodes.

use super::replica::Update;
use super::shards::Claim;
use serde::{Deserialize, Serialize};

/// A sign of life. It travels with every message between nodes and is the answer to each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Whether the sender is fit to hold shards: it has caught up since its start.
    pub joined: bool,
    /// The shards that the sender holds, or that it knows the receiver to hold.
    pub claims: Vec<(u16, Claim)>,
}

/// Updates (replication) or a whole state (anti-entropy; its answer is the receiver's whole state).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The sender's sign of life.
    pub pulse: Pulse,
    /// Updates in any order.
    pub updates: Vec<Update>,
}
