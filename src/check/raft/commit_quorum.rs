//! Commit quorum: a committed entry is durable on a majority of every configuration in force.
//!
//! Raft paper, sections 5.3, 5.4.2 and 6: an entry is committed once its leader has it on a majority of the servers;
//! while two configurations are joint, on a majority of each. The check runs when a node is the first to learn of a
//! commit, which is its leader. It uses the appends that were recorded as durable, and the newest configuration in that
//! node's own log: of all that are there, if nodes go by a configuration once it is appended (Raft paper), or of those
//! that this node has applied, if they do so then (etcd's raft and its descendants). Entries below are covered by log
//! matching. A node may hold more than it recorded, if it died between the sync and its report; it counts as a holder as
//! far as the log reaches that it found at its next start.

use super::{LeaderId, Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, HostSet, LogPosition, What};
use std::collections::BTreeMap;

/// The voters of a configuration; the second set is empty unless it is joint.
type Voters = [HostSet; 2];

/// A configuration, and for whom it may be in force.
struct Configuration {
    /// The leader of its entry.
    leader: LeaderId,
    voters: Voters,
    /// The nodes that have applied it, if nodes go by a configuration only then.
    applied: Option<HostSet>,
}

/// See the module's header.
#[derive(Default)]
pub struct CommitQuorum {
    /// The configurations, by the index of their entry.
    configurations: BTreeMap<u64, Vec<Configuration>>,
    hosts: HostSet,
    /// The entry that each node applied last.
    applied: BTreeMap<HostId, LogPosition>,
}

impl CommitQuorum {
    /// The newest configuration in a node's log, or below what it covers.
    fn in_force(&self, host: HostId, cluster: &Replicas) -> Option<Voters> {
        let node = cluster.node(host);
        self.configurations.iter().rev().find_map(|(index, candidates)| {
            let is_in_force = |known: &&Configuration| match node.leader_at(*index) {
                Some(own) => own == known.leader && known.applied.is_none_or(|nodes| nodes.contains(host)),
                // The configuration that a cluster is founded with may be in no entry.
                None if *index == 0 => true,
                None => {
                    let committed = cluster.committed.get(index);
                    node.covers(*index) && committed.is_none_or(|entry| entry.leader == known.leader)
                }
            };
            candidates.iter().find(is_in_force).map(|known| known.voters)
        })
    }

    fn learn(&mut self, host: HostId, at: LogPosition, voters: Voters) {
        // Whoever goes by a configuration once it is appended says so before it is applied.
        let by = (self.applied.get(&host) == Some(&at)).then_some(HostSet::one(host));
        let known = self.configurations.entry(at.index).or_default();
        match known.iter_mut().find(|known| known.leader == at.into()) {
            Some(known) => known.applied = known.applied.zip(by).map(|(nodes, node)| nodes.union(node)),
            None => known.push(Configuration { leader: at.into(), voters, applied: by }),
        }
    }

    /// A process begins with what it had applied up to here, and applies the rest again.
    fn restore(&mut self, host: HostId, upto: Option<LogPosition>) {
        let lost = upto.map_or(0, |upto| upto.index + 1)..;
        for known in self.configurations.range_mut(lost).flat_map(|(_, known)| known) {
            known.applied = known.applied.map(|nodes| nodes.minus(HostSet::one(host)));
        }
    }
}

impl Property for CommitQuorum {
    fn observe(&mut self, event: &Event, before: &Replicas) -> Option<Violation> {
        self.hosts = self.hosts.union(HostSet::one(event.host));
        match event.what {
            What::Members { at, voters, joint, .. } => {
                self.learn(event.host, at, [voters, joint]);
                None
            }
            What::ApplyEntry { at, .. } => {
                self.applied.insert(event.host, at);
                None
            }
            What::Restored { upto } => {
                self.restore(event.host, upto);
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
        let at = if index == 0 { at(0, 0, 0) } else { at(1, 1, index) };
        What::Members { at, voters: set(voters), joint: set(joint), learners: HostSet::EMPTY }
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

    /// As raft-rs has it: n1 commits index 2 while the joint configuration at index 1 is in its log, and perhaps applied.
    #[test]
    fn a_configuration_that_counts_once_it_is_applied_binds_who_has_applied_it() {
        let founded = |holder| (holder, members(0, &[1, 2, 3, 4], &[]));
        let begin = |holder| [(holder, append(at(1, 1, 1), 1)), (holder, append(at(1, 1, 2), 2))];
        let applied = |node| [(node, apply(at(1, 1, 1), 1)), (node, members(1, &[1, 2], &[1, 2, 3, 4]))];
        let commit = |index| (1, What::Commit { upto: at(1, 1, index) });
        let log = [&[founded(1)][..], &begin(1), &begin(3), &begin(4)].concat();
        assert_eq!(violated(&[&log[..], &applied(2), &[commit(2)]].concat()), [], "n2 goes by it, and n1 does not yet");
        let after = [&log[..], &applied(2), &[commit(1)], &applied(1)].concat();
        assert_eq!(violated(&[&after[..], &[commit(2)]].concat()), [CheckName::CommitQuorum]);
        let restarted = [(1, What::Crash), (1, What::Start), (1, What::Restored { upto: None })];
        let found = [(1, What::FoundLog { last: Some(at(1, 1, 2)) }), commit(2)];
        assert_eq!(violated(&[&after[..], &restarted, &found].concat()), [], "it has to apply it again");
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
