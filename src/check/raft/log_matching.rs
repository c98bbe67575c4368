//! Log matching: an entry's index and leader determine its payload and everything before it.
//!
//! Raft paper, section 5.3 and figure 3 (`LogMatching` in `raft.tla`). Checked by induction: whenever a node appends
//! (index, leader), the payload, and the leader of the entry just before it, must be what every other node had there,
//! at any time. That takes one look-up per append instead of comparing logs.

use super::{LeaderId, Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, What};
use std::collections::BTreeMap;

/// The first entry seen at an index for one leader.
#[derive(Debug, Clone, Copy)]
struct Seen {
    leader: LeaderId,
    payload: u64,
    /// The leader of the entry just before, if known.
    previous: Option<LeaderId>,
    by: HostId,
}

/// See the module's header.
#[derive(Default)]
pub struct LogMatching {
    /// By index; nearly always one leader an index.
    seen: BTreeMap<u64, Vec<Seen>>,
}

impl Property for LogMatching {
    fn observe(&mut self, event: &Event, before: &Replicas) -> Option<Violation> {
        let What::Append { at, payload, .. } = event.what else { return None };
        let leader = LeaderId::from(at);
        let previous = at.index.checked_sub(1).and_then(|index| before.node(event.host).leader_at(index));
        let seen = self.seen.entry(at.index).or_default();
        let Some(first) = seen.iter_mut().find(|seen| seen.leader == leader) else {
            seen.push(Seen { leader, payload, previous, by: event.host });
            return None;
        };
        let nodes = [first.by, event.host];
        if first.payload != payload {
            let sentence = format!(
                "{} and {} hold different entries at index {} from one leader, {leader}, since {}",
                first.by,
                event.host,
                at.index,
                seconds(event.t_ns)
            );
            return Some(violation(CheckName::LogMatching, event, &nodes, &[at.term], sentence));
        }
        match (first.previous, previous) {
            (Some(theirs), Some(ours)) if theirs != ours => {
                let sentence = format!(
                    "{} and {} agree on index {} (from {leader}) but not on the entry before it: from {theirs} and from {ours}",
                    first.by, event.host, at.index
                );
                Some(violation(CheckName::LogMatching, event, &nodes, &[theirs.term, ours.term], sentence))
            }
            (None, Some(_)) => {
                first.previous = previous;
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn different_leaders_may_differ_at_one_index() {
        let steps = [
            (1, append(at(1, 1, 1), 1)),
            (2, append(at(2, 2, 1), 2)),
            (1, What::Truncate { from: 1 }),
            (1, append(at(2, 2, 1), 2)),
            (3, What::SnapshotInstalled { upto: Some(at(2, 2, 1)), payload: 0 }),
            (1, append(at(2, 2, 2), 3)),
            (3, append(at(2, 2, 2), 3)),
        ];
        assert_eq!(violated(&steps), []);
    }

    #[test]
    fn one_leader_with_two_payloads_at_an_index_is_caught() {
        assert_eq!(violated(&[(1, append(at(1, 1, 1), 1)), (2, append(at(1, 1, 1), 2))]), [CheckName::LogMatching]);
    }

    #[test]
    fn agreement_over_a_different_past_is_caught() {
        let steps = [
            (1, append(at(1, 1, 1), 1)),
            (2, append(at(2, 2, 1), 2)),
            (1, append(at(3, 3, 2), 5)),
            (2, append(at(3, 3, 2), 5)),
        ];
        assert_eq!(violated(&steps), [CheckName::LogMatching]);
    }

    #[test]
    fn a_snapshot_of_a_different_past_is_caught() {
        let steps = [
            (1, append(at(1, 1, 1), 1)),
            (1, append(at(3, 3, 2), 5)),
            (2, What::SnapshotInstalled { upto: Some(at(2, 2, 1)), payload: 0 }),
            (2, append(at(3, 3, 2), 5)),
        ];
        assert_eq!(violated(&steps), [CheckName::LogMatching]);
    }

    /// n3 appends the entry first, but its previous entry is unknown. That proves nothing; what other nodes had there
    /// counts.
    #[test]
    fn the_past_of_an_entry_is_learned_from_whoever_knows_it_first() {
        let unknown = (3, append(at(3, 3, 2), 5));
        let one = [unknown, (1, append(at(1, 1, 1), 1)), (1, append(at(3, 3, 2), 5))];
        assert_eq!(violated(&one), []);
        let another = [&one[..], &[(2, append(at(2, 2, 1), 2)), (2, append(at(3, 3, 2), 5))]].concat();
        assert_eq!(violated(&another), [CheckName::LogMatching]);
        let unknown_last = [&one[1..], &[unknown]].concat();
        assert_eq!(violated(&unknown_last), []);
    }
}
