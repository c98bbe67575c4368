//! What a node does beside raft-rs, as a set of rules, so that the same node can be run with one of them changed.

use super::state::RaftRs;
use crate::systems::engines::desk::Asked;
use crate::systems::storage::rules;

/// The rules of a node.
#[derive(Clone, Copy)]
pub struct Rules {
    /// Those of a node on any engine.
    pub node: rules::Rules<RaftRs>,
    /// Whether a leader steps down when it is removed, which raft-rs leaves to its caller.
    pub removed_steps_down: bool,
    /// Whether the first election time-out that a process draws is its last.
    pub draws_once: bool,
    /// What a client is told whose command is in the log of a leader that was deposed.
    pub deposed: fn(Asked),
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            node: rules::Rules::default(),
            removed_steps_down: true,
            draws_once: false,
            // Another leader may still get it committed.
            deposed: Asked::leave_open,
        }
    }
}
