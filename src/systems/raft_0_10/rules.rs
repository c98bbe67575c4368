//! What a node does beside openraft, as a set of rules, so that the same node can be run with one of them changed.

use super::types::Types;
use crate::systems::protocol::Reply;
use crate::systems::storage::rules;
use crate::trace::HostId;

/// The rules of a node.
#[derive(Clone, Copy)]
pub struct Rules {
    /// Those of a node on any engine.
    pub store: rules::Rules<Types>,
    /// What a client is told whose command was in a log from which another leader's replaced it; the argument is that
    /// leader, if known.
    pub discarded: fn(Option<HostId>) -> Reply,
    /// Whether a leader that restarts goes on leading in its term, as openraft has it by default. It sends entries before
    /// they are on its own disk, and so may give the place of one that it has lost to another in the same term.
    pub restores_leader: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        // Another leader may still get it committed.
        Rules { store: rules::Rules::default(), discarded: |_| Reply::Unknown, restores_leader: false }
    }
}
