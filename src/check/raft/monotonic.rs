//! Monotonicity: a node's vote, commit position and apply position never go back.
//!
//! Raft paper, figure 2 (`currentTerm` increases monotonically and is durable; `commitIndex` and `lastApplied` increase
//! monotonically in memory). The vote may not go back even across restarts. The commit and apply positions are in
//! memory: after a restart they may start again from the snapshot, or from 0.

use super::{Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, LogPosition, What};
use std::collections::BTreeMap;

/// See the module's header.
#[derive(Default)]
pub struct Monotonic {
    /// The last index that each node applied, or got by snapshot, in its current incarnation.
    applied: BTreeMap<HostId, u64>,
}

impl Monotonic {
    fn applied(&mut self, event: &Event, at: LogPosition, allowed: impl Fn(u64, u64) -> bool) -> Option<Violation> {
        let last = self.applied.insert(event.host, at.index)?;
        (!allowed(last, at.index)).then(|| back(event, "apply position", last, at.index))
    }
}

impl Property for Monotonic {
    fn observe(&mut self, event: &Event, before: &Replicas) -> Option<Violation> {
        match event.what {
            What::Vote { term, candidate, committed } => {
                let (leader, was_committed) = before.node(event.host).vote?;
                let back = (term, candidate, committed) < (leader.term, leader.node, was_committed);
                back.then(|| {
                    let sentence = format!(
                        "{} voted for {candidate} in term {term} at {}, after it had voted for {leader}",
                        event.host,
                        seconds(event.t_ns)
                    );
                    violation(CheckName::Monotonic, event, &[event.host], &[leader.term, term], sentence)
                })
            }
            What::Commit { upto } => {
                let last = before.node(event.host).commit?;
                (upto.index < last).then(|| back(event, "commit position", last, upto.index))
            }
            What::ApplyEntry { at, .. } => self.applied(event, at, |last, now| now > last),
            What::SnapshotInstalled { upto: Some(upto), .. } => self.applied(event, upto, |last, now| now >= last),
            What::Start => {
                self.applied.remove(&event.host);
                None
            }
            _ => None,
        }
    }
}

fn back(event: &Event, what: &str, last: u64, now: u64) -> Violation {
    let sentence = format!("the {what} of {} went from {last} to {now} at {}", event.host, seconds(event.t_ns));
    violation(CheckName::Monotonic, event, &[event.host], &[], sentence)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn goes_back(steps: &[(u16, What)]) -> bool {
        violated(steps).contains(&CheckName::Monotonic)
    }

    #[test]
    fn positions_may_start_again_after_a_restart_but_not_before() {
        let commit = |index| (1, What::Commit { upto: at(1, 1, index) });
        let restart = [(1, What::Crash), (1, What::Start)];
        let steps = |middle: &[(u16, What)], last| [&[commit(2)][..], middle, &[last]].concat();
        assert!(!goes_back(&steps(&restart, commit(1))));
        assert!(goes_back(&steps(&[], commit(1))));
        assert!(!goes_back(&steps(&[], commit(2))), "saying the same twice is no step back");

        let apply = |index| (1, apply(at(1, 1, index), index));
        let steps = |middle: &[(u16, What)], last| [&[apply(1), apply(2)][..], middle, &[last]].concat();
        assert!(!goes_back(&steps(&restart, apply(1))));
        assert!(goes_back(&steps(&[], apply(1))));
        assert!(goes_back(&steps(&[], apply(2))), "an entry applied twice in one life");
        let snapshot = |index| (1, What::SnapshotInstalled { upto: Some(at(1, 1, index)), payload: 0 });
        assert!(!goes_back(&steps(&[], snapshot(5))));
        assert!(goes_back(&steps(&[], snapshot(1))));
    }

    #[test]
    fn a_vote_may_not_go_back_even_across_a_restart() {
        let restart = [(1, What::Crash), (1, What::Start)];
        let steps = |last| [&[(1, vote(2, 2, true))][..], &restart, &[(1, last)]].concat();
        assert!(!goes_back(&steps(vote(2, 3, false))), "a higher leader id of the same term");
        assert!(!goes_back(&steps(vote(2, 2, true))));
        assert!(goes_back(&steps(vote(2, 2, false))));
        assert!(goes_back(&steps(vote(2, 1, true))));
        assert!(goes_back(&steps(vote(1, 3, true))));
    }
}
