//! Election safety: at most one election is won per leader id, and elections are won in order.
//!
//! Raft paper, section 5.2 and figure 3 (`ElectionSafety` in `raft.tla`), stated by *committed leader id* (term, node).
//! Such ids are totally ordered, so two leaders of one term are legal if every voter met them in increasing order. A
//! leader id has won when its own node saves its vote as committed.
//! 1. No node wins with a leader id under which it had campaigned before.
//! 2. No node that took part in Y (granted its vote, or accepted Y as leader) later grants its vote to a lower X, if
//!    both X and Y win at any time. A voter that lost its vote in a restart does this.
//!
//! Two cases are legal and pass: a node that restarts with a committed vote for itself resumes as that leader without
//! an election; and a delayed candidate may win after a higher one has.

use super::{LeaderId, Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, What};
use std::collections::{BTreeMap, BTreeSet};

/// A vote granted after the node had taken part in a higher election.
#[derive(Debug, Clone, Copy)]
struct Regression {
    voter: HostId,
    higher: LeaderId,
    at_ns: u64,
    granted: LeaderId,
    again_at_ns: u64,
}

/// See the module's header.
#[derive(Default)]
pub struct ElectionSafety {
    campaigned: BTreeSet<LeaderId>,
    campaigned_again: BTreeMap<LeaderId, u64>,
    won: BTreeSet<LeaderId>,
    /// The elections in which each node took part, with the first time.
    took_part: BTreeMap<HostId, BTreeMap<LeaderId, u64>>,
    regressions: Vec<Regression>,
}

impl ElectionSafety {
    fn granted(&mut self, event: &Event, leader: LeaderId) {
        if leader.node == event.host && (!self.campaigned.insert(leader) || self.won.contains(&leader)) {
            self.campaigned_again.entry(leader).or_insert(event.t_ns);
        }
        if let Some(met) = self.took_part.get(&event.host) {
            let above = met.range(leader..).filter(|(higher, _)| **higher != leader);
            self.regressions.extend(above.map(|(higher, at_ns)| Regression {
                voter: event.host,
                higher: *higher,
                at_ns: *at_ns,
                granted: leader,
                again_at_ns: event.t_ns,
            }));
        }
    }
}

impl Property for ElectionSafety {
    fn observe(&mut self, event: &Event, _: &Replicas) -> Option<Violation> {
        let What::Vote { term, candidate, committed } = event.what else { return None };
        let leader = LeaderId { term, node: candidate };
        if !committed {
            self.granted(event, leader);
        }
        self.took_part.entry(event.host).or_default().entry(leader).or_insert(event.t_ns);
        if committed {
            // A follower saves its leader's vote as committed only after the leader did: the leader has won either way.
            self.won.insert(leader);
        }
        if committed
            && candidate == event.host
            && let Some(again_ns) = self.campaigned_again.get(&leader)
        {
            let sentence = format!(
                "{candidate} won term {term} at {} in a second campaign (begun at {}) under a leader id that it had used before",
                seconds(event.t_ns),
                seconds(*again_ns)
            );
            return Some(violation(CheckName::ElectionSafety, event, &[candidate], &[term], sentence));
        }
        if self.regressions.is_empty() {
            return None;
        }
        let both_won = |r: &&Regression| self.won.contains(&r.higher) && self.won.contains(&r.granted);
        let found = self.regressions.iter().find(both_won)?;
        let sentence = format!(
            "{} took part in the election of {} at {} and at {} still voted for {}, and both were elected",
            found.voter,
            found.higher,
            seconds(found.at_ns),
            seconds(found.again_at_ns),
            found.granted
        );
        let (nodes, terms) = ([found.higher.node, found.granted.node], [found.higher.term, found.granted.term]);
        Some(violation(CheckName::ElectionSafety, event, &nodes, &terms, sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    /// Whether these events violate election safety (a vote that goes back also violates `monotonic`).
    fn unsafe_election(steps: &[(u16, What)]) -> bool {
        violated(steps).contains(&CheckName::ElectionSafety)
    }

    #[test]
    fn two_leaders_of_one_term_in_increasing_order_are_legal() {
        let steps = [
            (1, vote(1, 1, false)),
            (2, vote(1, 1, false)),
            (1, vote(1, 1, true)),
            (3, vote(1, 3, false)),
            (2, vote(1, 3, false)),
            (3, vote(1, 3, true)),
            (1, vote(1, 3, true)),
        ];
        assert!(!unsafe_election(&steps));
    }

    #[test]
    fn a_delayed_candidate_may_win_after_a_higher_one() {
        let steps = [
            (1, vote(1, 1, false)),
            (2, vote(1, 1, false)),
            (3, vote(2, 3, false)),
            (2, vote(2, 3, false)),
            (3, vote(2, 3, true)),
            (1, vote(1, 1, true)), // its grants were under way all the time
        ];
        assert!(!unsafe_election(&steps));
    }

    #[test]
    fn a_restarted_leader_resumes_and_a_failed_candidate_tries_a_higher_term() {
        let steps = [
            (1, vote(1, 1, false)),
            (1, vote(2, 1, false)),
            (2, vote(2, 1, false)),
            (1, vote(2, 1, true)),
            (1, What::Crash),
            (1, What::Start),
            (1, vote(2, 1, true)),
        ];
        assert!(!unsafe_election(&steps));
    }

    #[test]
    fn a_voter_that_forgets_its_vote_is_caught() {
        let steps = [
            (1, vote(1, 1, false)),
            (3, vote(1, 3, false)),
            (2, vote(1, 3, false)),
            (3, vote(1, 3, true)),
            (2, What::Crash),
            (2, What::Start),
            (2, vote(1, 1, false)), // below what it granted before the restart
            (1, vote(1, 1, true)),
        ];
        assert!(unsafe_election(&steps));
        assert!(!unsafe_election(&steps[..7]), "a lower campaign that never wins elects nobody");
    }

    /// Only n1 goes back, and it never granted n3 its vote: following a leader counts as taking part in its election.
    #[test]
    fn a_follower_that_forgets_its_leader_is_caught() {
        let steps = [
            (3, vote(1, 3, false)),
            (2, vote(1, 3, false)),
            (5, vote(1, 3, false)),
            (3, vote(1, 3, true)),
            (1, vote(1, 3, true)),
            (1, What::Crash),
            (1, What::Start),
            (1, vote(1, 1, false)),
            (4, vote(1, 1, false)),
            (1, vote(1, 1, true)),
        ];
        assert!(unsafe_election(&steps));
        let not_followed = [&steps[..4], &steps[5..]].concat();
        assert!(!unsafe_election(&not_followed), "n1 had not heard of n3");
    }

    #[test]
    fn winning_twice_under_one_leader_id_is_caught() {
        let once = [(1, vote(1, 1, false)), (2, vote(1, 1, false)), (1, vote(1, 1, true))];
        let mut twice = once.to_vec();
        twice.extend([(1, What::Crash), (1, What::Start)]);
        twice.extend(once);
        assert!(!unsafe_election(&once));
        assert!(unsafe_election(&twice));
    }
}
