//! Committed entries never change: no node commits, applies, snapshots over or discards a different one.
//!
//! Raft paper, section 5.4 (a committed entry is durable; `CommittedLogReplicaConsistency` and `CommittedLogDurability`
//! in TLA+ models of Raft). Violations are
//! 1. a node learns that index i is committed with another entry than the one known to be committed there;
//! 2. a snapshot or a purge ends at index i with another leader's entry;
//! 3. a node truncates, or overwrites, an entry that is known to be committed.
//!
//! An *uncommitted* tail may be truncated at any time, even if a different entry is committed at the same index.
//! Entries that other nodes know to be committed may be truncated too, if the very next thing that the node does is to
//! install a snapshot that covers them: openraft clears everything above its own commit position before it installs a
//! snapshot over a conflicting tail.

use super::{LeaderId, Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, LogPosition, What};
use std::collections::BTreeMap;

/// See the module's header. What is known to be committed is in [`Replicas`].
#[derive(Default)]
pub struct CommittedImmutable {
    /// Truncations that a snapshot must cover at once: the last committed index removed, and the violation otherwise.
    uncovered: BTreeMap<HostId, (u64, Violation)>,
}

impl Property for CommittedImmutable {
    fn observe(&mut self, event: &Event, before: &Replicas) -> Option<Violation> {
        if let Some((last, violation)) = self.uncovered.remove(&event.host) {
            match event.what {
                What::Purge { upto } | What::SnapshotInstalled { upto: Some(upto), .. } if upto.index >= last => {}
                _ => return Some(violation),
            }
        }
        match event.what {
            What::Commit { upto } => before
                .newly_committed(event.host, upto)
                .find_map(|(index, leader, payload)| differs(event, before, index, leader, payload, "committed")),
            What::ApplyEntry { at, payload, .. } => {
                differs(event, before, at.index, at.into(), Some(payload), "applied")
            }
            What::SnapshotBuilt { upto: Some(upto), .. } => {
                ends_elsewhere(event, before, upto, "built a snapshot up to")
            }
            What::SnapshotInstalled { upto: Some(upto), .. } => {
                ends_elsewhere(event, before, upto, "installed a snapshot up to")
            }
            What::Purge { upto } => ends_elsewhere(event, before, upto, "purged its log up to"),
            What::Truncate { from } => {
                let (last, violation) = removes(event, before, from, "truncated")?;
                if before.node(event.host).commit.is_some_and(|commit| from <= commit) {
                    return Some(violation);
                }
                self.uncovered.insert(event.host, (last, violation));
                None
            }
            What::Append { at, payload, .. } => {
                let held = before.node(event.host).log.get(&at.index)?;
                let replaced = held.leader != LeaderId::from(at) || held.payload != payload;
                replaced
                    .then(|| removes(event, before, at.index, "wrote over"))
                    .flatten()
                    .map(|(_, violation)| violation)
            }
            _ => None,
        }
    }
}

fn ends_elsewhere(event: &Event, before: &Replicas, upto: LogPosition, did: &str) -> Option<Violation> {
    differs(event, before, upto.index, upto.into(), None, did)
}

/// The violation if index `index` is known to be committed with another entry.
fn differs(
    event: &Event,
    before: &Replicas,
    index: u64,
    leader: LeaderId,
    payload: Option<u64>,
    did: &str,
) -> Option<Violation> {
    let known = before.committed.get(&index)?;
    let same_payload = payload.zip(known.payload).is_none_or(|(ours, theirs)| ours == theirs);
    if known.leader == leader && same_payload {
        return None;
    }
    let sentence = format!(
        "{} {did} index {index} from {leader} at {}, but {} knew another entry, from {}, to be committed there at {}",
        event.host,
        seconds(event.t_ns),
        known.by,
        known.leader,
        seconds(known.at_ns)
    );
    let (nodes, terms) = ([event.host, known.by], [leader.term, known.leader.term]);
    Some(violation(CheckName::CommittedImmutable, event, &nodes, &terms, sentence))
}

/// The violation if removing everything from index `from` on removes a committed entry, and the last such index.
fn removes(event: &Event, before: &Replicas, from: u64, did: &str) -> Option<(u64, Violation)> {
    let mut removed = before.node(event.host).log.range(from..).filter_map(|(index, held)| {
        let known = before.committed.get(index)?;
        (known.leader == held.leader).then_some((*index, known))
    });
    let (index, known) = removed.next()?;
    let last = removed.next_back().map_or(index, |(last, _)| last);
    let sentence = format!(
        "{} {did} index {index} from {} at {}, which {} knew to be committed at {}",
        event.host,
        known.leader,
        seconds(event.t_ns),
        known.by,
        seconds(known.at_ns)
    );
    let (nodes, terms) = ([event.host, known.by], [known.leader.term]);
    Some((last, violation(CheckName::CommittedImmutable, event, &nodes, &terms, sentence)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn mutable(steps: &[(u16, What)]) -> bool {
        violated(steps).contains(&CheckName::CommittedImmutable)
    }

    fn two_entries_first_committed() -> Vec<(u16, What)> {
        vec![
            (1, append(at(1, 1, 1), 1)),
            (1, append(at(1, 1, 2), 2)),
            (2, append(at(1, 1, 1), 1)),
            (1, What::Commit { upto: at(1, 1, 1) }),
        ]
    }

    #[test]
    fn an_uncommitted_tail_may_go_and_a_different_one_too() {
        let mut steps = two_entries_first_committed();
        steps.push((1, What::Truncate { from: 2 }));
        steps.extend([(3, append(at(0, 3, 1), 9)), (3, What::Truncate { from: 1 })]);
        steps.extend([
            (2, What::Commit { upto: at(1, 1, 1) }),
            (2, What::SnapshotBuilt { upto: Some(at(1, 1, 1)), payload: None }),
        ]);
        steps.push((2, What::Purge { upto: at(1, 1, 1) }));
        assert_eq!(violated(&steps), []);
    }

    #[test]
    fn truncating_or_writing_over_a_committed_entry_is_caught() {
        for last in [
            vec![(1, What::Truncate { from: 1 })],
            vec![(2, What::Truncate { from: 1 }), (2, append(at(2, 2, 1), 5))], // it does not know yet, but n1 does
            vec![(2, What::Truncate { from: 1 }), (2, What::Crash)],
            vec![(1, append(at(2, 2, 1), 5))],
        ] {
            let steps = [two_entries_first_committed(), last].concat();
            assert_eq!(violated(&steps), [CheckName::CommittedImmutable], "{steps:?}");
        }
    }

    #[test]
    fn a_snapshot_may_take_the_place_of_what_its_node_did_not_know_to_be_committed() {
        let snapshot = |index| What::SnapshotInstalled { upto: Some(at(1, 1, index)), payload: 0 };
        let steps = |node, index| {
            let replaced = vec![(node, What::Truncate { from: 1 }), (3, What::Start), (node, snapshot(index))];
            [two_entries_first_committed(), replaced].concat()
        };
        assert_eq!(violated(&steps(2, 1)), []);
        assert!(mutable(&steps(2, 0)), "it covers too little");
        assert!(mutable(&steps(1, 1)), "n1 knew");
    }

    #[test]
    fn committing_or_covering_something_else_is_caught() {
        for step in [
            What::Commit { upto: at(2, 3, 1) },
            apply(at(2, 3, 1), 1),
            apply(at(1, 1, 1), 5),
            What::Purge { upto: at(2, 3, 1) },
            What::SnapshotBuilt { upto: Some(at(2, 3, 1)), payload: None },
            What::SnapshotInstalled { upto: Some(at(2, 3, 1)), payload: 0 },
        ] {
            let mut steps = two_entries_first_committed();
            steps.push((3, step));
            assert!(mutable(&steps), "{step:?}");
        }
    }

    #[test]
    fn a_difference_below_the_reported_position_is_caught() {
        let mut steps = two_entries_first_committed();
        steps.extend([
            (3, append(at(0, 3, 1), 9)),
            (3, append(at(2, 2, 2), 3)),
            (3, What::Commit { upto: at(2, 2, 2) }),
        ]);
        assert!(mutable(&steps));
    }
}
