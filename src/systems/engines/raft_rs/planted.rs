//! The store on raft-rs with one of the [bugs](crate::systems::bugs) that are not openraft's: each changes one rule.

use super::rules::Rules;
use crate::systems::bugs::Bug;
use crate::systems::storage::planted;

/// The rules of a node that has this bug.
///
/// # Panics
/// For a bug that changes no rule.
pub fn rules(bug: Bug) -> Rules {
    let sound = Rules::default();
    match (bug, planted::rules(bug)) {
        (_, Some(node)) => Rules { node, ..sound },
        (Bug::RefusedAfterAppend, None) => Rules { deposed: |asked| asked.refuse(None), ..sound },
        (other, None) => unreachable!("{other} is not planted in raft-rs"),
    }
}
