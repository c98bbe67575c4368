//! State-machine safety: no two nodes, and no two lives of one node, apply different entries at one index.
//!
//! Raft paper, section 5.4.3 and figure 3 (`StateMachineSafety` in `raft.tla`). A restarted node applies
//! again what its snapshot does not cover: the same entries, or it is a violation. What a snapshot
//! *holds* is not compared here; if it is wrong, clients see it.

use super::{Cluster, LeaderId, Property, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, What};
use std::collections::BTreeMap;

/// See the module's header.
#[derive(Default)]
pub struct StateMachineSafety {
    applied: BTreeMap<u64, (LeaderId, u64, HostId)>,
}

impl Property for StateMachineSafety {
    fn observe(&mut self, event: &Event, _: &Cluster) -> Option<Violation> {
        let What::ApplyEntry { at, payload } = event.what else { return None };
        let leader = LeaderId::from(at);
        let (first, first_payload, by) = *self.applied.entry(at.index).or_insert((leader, payload, event.host));
        if (first, first_payload) == (leader, payload) {
            return None;
        }
        let who = if by == event.host { format!("{by} itself") } else { by.to_string() };
        let sentence = format!(
            "{} applied an entry from {leader} at index {} at {}, where {who} had applied another, from {first}",
            event.host,
            at.index,
            seconds(event.t_ns)
        );
        let (nodes, terms) = ([by, event.host], [first.term, at.term]);
        Some(violation(CheckName::StateMachineSafety, event, &nodes, &terms, sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn unsafe_apply(steps: &[(u16, What)]) -> bool {
        violated(steps).contains(&CheckName::StateMachineSafety)
    }

    #[test]
    fn applying_again_after_a_restart_is_legal() {
        let once = [(1, apply(at(1, 1, 1), 1)), (1, apply(at(1, 1, 2), 2)), (2, apply(at(1, 1, 1), 1))];
        let mut again = once.to_vec();
        again.extend([(1, What::Crash), (1, What::Start)]);
        again.extend(once);
        assert_eq!(violated(&again[..7]), []);
    }

    #[test]
    fn different_entries_at_one_index_are_caught() {
        assert!(unsafe_apply(&[(1, apply(at(1, 1, 1), 1)), (2, apply(at(2, 2, 1), 1))]), "another leader");
        assert!(unsafe_apply(&[(1, apply(at(1, 1, 1), 1)), (2, apply(at(1, 1, 1), 2))]), "another payload");
        let restarted = [(1, apply(at(1, 1, 1), 1)), (1, What::Crash), (1, What::Start), (1, apply(at(1, 1, 1), 2))];
        assert!(unsafe_apply(&restarted), "another life");
    }
}
