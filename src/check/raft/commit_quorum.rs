//! Commit quorum: a committed entry is durable on a majority of every configuration in force.
//!
//! Raft paper, sections 5.3, 5.4.2 and 6: an entry is committed once its leader has it on a majority of the servers;
//! while two configurations are joint, on a majority of each. The check runs when a node is the first to learn of a
//! commit, which is its leader. It uses the appends that were recorded as durable, and the newest configuration in that
//! node's own log. Entries below are covered by log matching. A node may hold more than it recorded, if it died between
//! the sync and its report; it counts as a holder as far as the log reaches that it found at its next start.

use super::{LeaderId, Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, HostSet, LogPosition, What};
use std::collections::BTreeMap;

/// The voters of a configuration; the second set is empty unless it is joint.
type Voters = [HostSet; 2];

/// See the module's header.
#[derive(Default)]
pub struct CommitQuorum {
    /// The configurations, by the index of their entry and its leader.
    configurations: BTreeMap<u64, Vec<(LeaderId, Voters)>>,
    hosts: HostSet,
}

impl CommitQuorum {
    /// The newest configuration in a node's log, or below what it covers.
    fn in_force(&self, host: HostId, cluster: &Replicas) -> Option<Voters> {
        let node = cluster.node(host);
        self.configurations.iter().rev().find_map(|(index, candidates)| {
            let held = |leader: LeaderId| match node.leader_at(*index) {
                Some(own) => own == leader,
                // The configuration that a cluster is founded with may be in no entry.
                None if *index == 0 => true,
                None => node.covers(*index) && cluster.committed.get(index).is_none_or(|known| known.leader == leader),
            };
            candidates.iter().find(|(leader, _)| held(*leader)).map(|(_, voters)| *voters)
        })
    }
}

impl Property for CommitQuorum {
    fn observe(&mut self, event: &Event, before: &Replicas) -> Option<Violation> {
        self.hosts = self.hosts.union(HostSet::one(event.host));
        match event.what {
            What::Members { at, voters, joint, .. } => {
                let known = self.configurations.entry(at.index).or_default();
                if known.iter().all(|(leader, _)| *leader != at.into()) {
                    known.push((at.into(), [voters, joint]));
                }
                None
            }
            What::Commit { upto } => {
                if before.committed.last_key_value().is_some_and(|(known, _)| *known >= upto.index) {
                    return None;
                }
                let voters = self.in_force(event.host, before)?;
                let holders: HostSet = self.hosts.iter().filter(|host| holds(before, *host, upto)).collect();
                let lacking = voters.into_iter().find(|set| {
                    // An empty set is no configuration.
                    !set.is_empty() && holders.intersection(*set).len() * 2 <= set.len()
                })?;
                let on = if holders.is_empty() { "nobody".to_owned() } else { holders.to_string() };
                let sentence = format!(
                    "{} took index {} for committed at {}, durable on {on}: no majority of {lacking}",
                    event.host,
                    upto.index,
                    seconds(event.t_ns)
                );
                Some(violation(CheckName::CommitQuorum, event, &[event.host], &[upto.term], sentence))
            }
            _ => None,
        }
    }
}

fn holds(cluster: &Replicas, host: HostId, at: LogPosition) -> bool {
    let node = cluster.node(host);
    match node.leader_at(at.index) {
        Some(leader) => leader == at.into(),
        None => node.covers(at.index) || node.may_hold(at.index),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn members(index: u64, voters: &[u16], joint: &[u16]) -> What {
        let set = |nodes: &[u16]| nodes.iter().map(|node| n(*node)).collect();
        What::Members { at: at(1, 1, index), voters: set(voters), joint: set(joint), learners: HostSet::EMPTY }
    }

    /// n1 appends the configuration at index 1, and index 2; `holders` have both.
    fn committed_on(holders: &[u16], voters: &[u16], joint: &[u16]) -> bool {
        let mut steps = Vec::new();
        for holder in holders {
            steps.extend([(*holder, append(at(1, 1, 1), 1)), (*holder, members(1, voters, joint))]);
            steps.push((*holder, append(at(1, 1, 2), 2)));
        }
        steps.push((1, What::Commit { upto: at(1, 1, 2) }));
        !violated(&steps).contains(&CheckName::CommitQuorum)
    }

    #[test]
    fn a_majority_is_needed_and_enough() {
        assert!(committed_on(&[1, 2, 3], &[1, 2, 3, 4, 5], &[]));
        assert!(!committed_on(&[1, 2], &[1, 2, 3, 4, 5], &[]));
        assert!(!committed_on(&[1, 2], &[1, 2, 3, 4], &[]), "half is no majority");
        assert!(!committed_on(&[1, 4, 5], &[1, 2, 3], &[]), "who does not vote does not count");
    }

    #[test]
    fn joint_configurations_need_two_majorities() {
        assert!(committed_on(&[1, 2, 4], &[1, 2, 3], &[1, 4, 5]));
        assert!(!committed_on(&[1, 2], &[1, 2, 3], &[1, 4, 5]));
        assert!(!committed_on(&[1, 4, 5], &[1, 2, 3], &[1, 4, 5]));
    }

    #[test]
    fn what_a_node_found_at_its_start_counts_until_it_is_overwritten() {
        let start =
            |last: u64| [(2, What::Crash), (2, What::Start), (2, What::FoundLog { last: Some(at(1, 1, last)) })];
        let begin = |holder| [(holder, append(at(1, 1, 1), 1)), (holder, members(1, &[1, 2, 3], &[]))];
        let commit = [(1, append(at(1, 1, 2), 2)), (1, What::Commit { upto: at(1, 1, 2) })];
        let steps = |last| [&begin(1)[..], &begin(2), &start(last), &commit].concat();
        assert_eq!(violated(&steps(2)), []);
        assert_eq!(violated(&steps(1)), [CheckName::CommitQuorum]);
        let over = [&begin(1)[..], &begin(2), &start(2), &[(2, What::Truncate { from: 2 })], &commit].concat();
        assert_eq!(violated(&over), [CheckName::CommitQuorum]);
    }
}
