//! State-machine safety: no two nodes, and no two incarnations of one node, apply different entries at one index.
//!
//! Raft paper, section 5.4.3 and figure 3 (`StateMachineSafety` in `raft.tla`). A restarted node applies again what it
//! did not find on its disk; these must be the same entries. A node may not skip an entry, which would apply a
//! different sequence, and may not find on its disk what it never applied. The content of snapshots is compared
//! elsewhere.

use super::{LeaderId, Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, What};
use std::collections::BTreeMap;

/// See the module's header.
#[derive(Default)]
pub struct StateMachineSafety {
    applied: BTreeMap<u64, (LeaderId, u64, HostId)>,
    machines: BTreeMap<HostId, Machine>,
}

/// The position of one node's state machine.
#[derive(Default)]
struct Machine {
    /// The last index applied in this incarnation; `None` after a start.
    last: Option<u64>,
    /// The last index that its newest snapshot covers: a new incarnation may go on from there.
    snapshot: Option<u64>,
    /// The last index ever applied, in any incarnation.
    ever: u64,
}

impl Machine {
    /// Whether applying `index` now skips an entry. A log begins at index 0 or 1.
    fn skips(&self, index: u64) -> bool {
        index > self.last.or(self.snapshot).map_or(1, |last| last + 1)
    }
}

impl Property for StateMachineSafety {
    fn observe(&mut self, event: &Event, _: &Replicas) -> Option<Violation> {
        let machine = self.machines.entry(event.host).or_default();
        let (at, payload) = match event.what {
            What::ApplyEntry { at, payload, .. } => (at, payload),
            What::SnapshotBuilt { upto: Some(upto), .. } => {
                machine.snapshot = Some(upto.index);
                return None;
            }
            What::SnapshotInstalled { upto: Some(upto), .. } => {
                (machine.snapshot, machine.last) = (Some(upto.index), Some(upto.index));
                machine.ever = machine.ever.max(upto.index);
                return None;
            }
            What::Restored { upto } => {
                machine.last = upto.map(|upto| upto.index);
                let never = upto.filter(|upto| upto.index > machine.ever)?;
                let sentence = format!(
                    "{} started at {} from a state machine that claims index {}, and had never applied beyond {}",
                    event.host,
                    seconds(event.t_ns),
                    never.index,
                    machine.ever
                );
                let (nodes, terms) = ([event.host], [never.term]);
                return Some(violation(CheckName::StateMachineSafety, event, &nodes, &terms, sentence));
            }
            What::Start => {
                machine.last = None;
                return None;
            }
            _ => return None,
        };
        if machine.skips(at.index) {
            let sentence = format!(
                "{} applied index {} at {} without having applied all before it",
                event.host,
                at.index,
                seconds(event.t_ns)
            );
            return Some(violation(CheckName::StateMachineSafety, event, &[event.host], &[at.term], sentence));
        }
        machine.last = Some(at.index);
        machine.ever = machine.ever.max(at.index);
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
    fn skipping_an_entry_is_caught_and_going_on_from_a_snapshot_is_not() {
        let go_on = |from: What, at_index| [(1, from), (1, apply(at(1, 1, at_index), 1))];
        assert!(unsafe_apply(&go_on(apply(at(1, 1, 1), 1), 3)));
        assert!(!unsafe_apply(&go_on(apply(at(1, 1, 1), 1), 2)));
        assert!(unsafe_apply(&[(1, apply(at(1, 1, 2), 1))]), "the first entry of all");
        let installed = What::SnapshotInstalled { upto: Some(at(1, 1, 7)), payload: 0 };
        assert!(!unsafe_apply(&go_on(installed, 8)));
        assert!(unsafe_apply(&go_on(installed, 9)));
        let mut restarted = vec![(1, What::SnapshotInstalled { upto: Some(at(1, 1, 7)), payload: 0 })];
        restarted.extend([(1, apply(at(1, 1, 8), 1)), (1, What::Crash), (1, What::Start)]);
        let again = |index| [&restarted[..], &[(1, apply(at(1, 1, index), 1))]].concat();
        assert!(!unsafe_apply(&again(8)));
        assert!(unsafe_apply(&again(9)), "what came after the snapshot was in memory only");
    }

    #[test]
    fn a_machine_on_disk_goes_on_from_what_it_holds_and_may_not_claim_more() {
        let life = |claims: u64, next: u64| {
            let restored = What::Restored { upto: Some(at(1, 1, claims)) };
            let first = [(1, apply(at(1, 1, 1), 1)), (1, apply(at(1, 1, 2), 2)), (1, What::Crash), (1, What::Start)];
            [&first[..], &[(1, restored), (1, apply(at(1, 1, next), next))]].concat()
        };
        assert!(!unsafe_apply(&life(2, 3)));
        assert!(!unsafe_apply(&life(1, 2)), "it may have lost what was not synced");
        assert!(unsafe_apply(&life(1, 3)), "and must then apply it again");
        assert!(unsafe_apply(&life(3, 4)), "it never applied 3");
    }

    #[test]
    fn different_entries_at_one_index_are_caught() {
        assert!(unsafe_apply(&[(1, apply(at(1, 1, 1), 1)), (2, apply(at(2, 2, 1), 1))]), "another leader");
        assert!(unsafe_apply(&[(1, apply(at(1, 1, 1), 1)), (2, apply(at(1, 1, 1), 2))]), "another payload");
        let restarted = [(1, apply(at(1, 1, 1), 1)), (1, What::Crash), (1, What::Start), (1, apply(at(1, 1, 1), 2))];
        assert!(unsafe_apply(&restarted), "another life");
    }
}
