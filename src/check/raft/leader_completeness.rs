//! Leader completeness: an entry committed under one leader is in the log of every higher leader.
//!
//! Raft paper, section 5.4 and figure 3 (`LeaderCompleteness` in `raft.tla`). When a node wins an election, its log (or
//! its snapshot) must hold every entry already known to be committed under a lower leader id. "Under" is taken from the
//! vote of the node that learned of the commitment, which is the committing leader's or a later one: it can only
//! excuse, never accuse. So a delayed candidate that wins after a higher leader has committed entries need not have
//! those.

use super::{LeaderId, Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, What};
use std::collections::BTreeSet;

/// See the module's header.
#[derive(Default)]
pub struct LeaderCompleteness {
    won: BTreeSet<LeaderId>,
}

impl Property for LeaderCompleteness {
    fn observe(&mut self, event: &Event, before: &Replicas) -> Option<Violation> {
        let What::Vote { term, candidate, committed: true } = event.what else { return None };
        let leader = LeaderId { term, node: candidate };
        if candidate != event.host || !self.won.insert(leader) {
            return None;
        }
        let winner = before.node(event.host);
        // Below the snapshot there is no log left to compare with.
        let from = winner.covered.map_or(0, |covered| covered.index + 1);
        let missing = before.committed.range(from..).find(|(index, entry)| {
            entry.under.is_some_and(|under| under < leader)
                && winner.log.get(index).map_or(!winner.may_hold(**index), |held| held.leader != entry.leader)
        });
        let (index, entry) = missing?;
        let sentence = format!(
            "{leader} was elected at {} without index {index} from {}, which {} knew to be committed at {}",
            seconds(event.t_ns),
            entry.leader,
            entry.by,
            seconds(entry.at_ns)
        );
        let (nodes, terms) = ([candidate, entry.leader.node], [term, entry.leader.term]);
        Some(violation(CheckName::LeaderCompleteness, event, &nodes, &terms, sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    /// n1 leads term 1 and commits index 1 on itself and n2.
    fn committed_in_term_1() -> Vec<(u16, What)> {
        vec![
            (1, vote(1, 1, false)),
            (2, vote(1, 1, false)),
            (1, vote(1, 1, true)),
            (1, append(at(1, 1, 1), 7)),
            (2, vote(1, 1, true)),
            (2, append(at(1, 1, 1), 7)),
            (1, What::Commit { upto: at(1, 1, 1) }),
        ]
    }

    #[test]
    fn a_winner_without_a_committed_entry_is_caught() {
        let mut steps = committed_in_term_1();
        steps.extend([(3, vote(2, 3, false)), (4, vote(2, 3, false)), (3, vote(2, 3, true))]);
        assert_eq!(violated(&steps), [CheckName::LeaderCompleteness]);
    }

    #[test]
    fn a_winner_with_another_entry_in_its_place_is_caught() {
        let mut steps = vec![(3, append(at(0, 3, 1), 9))];
        steps.extend(committed_in_term_1());
        steps.extend([(3, vote(2, 3, false)), (3, vote(2, 3, true))]);
        assert_eq!(violated(&steps), [CheckName::LeaderCompleteness]);
    }

    #[test]
    fn a_winner_that_holds_it_in_log_or_snapshot_passes() {
        let mut steps = committed_in_term_1();
        steps.extend([(2, vote(2, 2, false)), (2, vote(2, 2, true))]);
        steps.push((3, What::SnapshotInstalled { upto: Some(at(1, 1, 1)), payload: 0 }));
        steps.extend([(3, vote(3, 3, false)), (3, vote(3, 3, true))]);
        assert_eq!(violated(&steps), []);
    }

    #[test]
    fn a_delayed_lower_candidate_is_not_asked_for_later_commits() {
        let mut steps = vec![(3, vote(0, 3, false)), (4, vote(0, 3, false))];
        steps.extend(committed_in_term_1());
        steps.push((3, vote(0, 3, true)));
        assert_eq!(violated(&steps), []);
    }
}
