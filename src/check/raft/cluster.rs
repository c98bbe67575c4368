//! The cluster as its own events describe it: every node's log, vote and positions, and the entries known to be
//! committed. Process kills keep logs and votes, so a restart resets only what is in memory.

use crate::trace::{Event, HostId, LogPosition, What};
use std::collections::BTreeMap;
use std::fmt;

/// Identifies a leader: totally ordered, so two leaders may share a term if elected in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaderId {
    /// The term it was elected in.
    pub term: u64,
    /// The node.
    pub node: HostId,
}

impl fmt::Display for LeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of term {}", self.node, self.term)
    }
}

impl From<LogPosition> for LeaderId {
    fn from(at: LogPosition) -> Self {
        LeaderId { term: at.term, node: at.leader }
    }
}

/// A log entry without its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The leader that created it.
    pub leader: LeaderId,
    /// Hash of its payload.
    pub payload: u64,
}

/// One node, as far as its events describe it.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// The entries it holds, by index.
    pub log: BTreeMap<u64, Entry>,
    /// The last position that a purge or an installed snapshot covers.
    pub covered: Option<LogPosition>,
    /// The last vote that it saved: for which leader id, and whether committed.
    pub vote: Option<(LeaderId, bool)>,
    /// The index up to which this incarnation knows the log to be committed.
    pub commit: Option<u64>,
    /// The end of the log that this incarnation found, as far as it is not overwritten: the log may hold more than was
    /// recorded.
    pub found: Option<u64>,
    /// The index up to which its knowledge has gone into [`Replicas::committed`], across incarnations.
    pub reported: u64,
}

impl Node {
    /// The leader of the entry at `index`, where it is known: from the log, or as the last one covered.
    pub fn leader_at(&self, index: u64) -> Option<LeaderId> {
        let covered = self.covered.filter(|covered| covered.index == index).map(LeaderId::from);
        self.log.get(&index).map(|entry| entry.leader).or(covered)
    }

    /// Whether it may have found an entry at `index` that it never recorded: one being appended when its process died.
    pub fn may_hold(&self, index: u64) -> bool {
        !self.log.contains_key(&index) && self.found.is_some_and(|found| index <= found)
    }

    /// Whether a snapshot or a purge covers `index`.
    pub fn covers(&self, index: u64) -> bool {
        self.covered.is_some_and(|covered| index <= covered.index)
    }

    fn cover(&mut self, upto: LogPosition) {
        if !self.covers(upto.index) {
            self.covered = Some(upto);
        }
        self.log = self.log.split_off(&(upto.index + 1));
    }
}

/// An entry known to be committed.
#[derive(Debug, Clone, Copy)]
pub struct Committed {
    /// The leader that created it.
    pub leader: LeaderId,
    /// Hash of its payload, unless it is known only as the end of a snapshot.
    pub payload: Option<u64>,
    /// The lowest leader id that any node had voted for when it learned of the commitment: the entry was committed by
    /// this leader or an earlier one. `None`: no such node had a vote.
    pub under: Option<LeaderId>,
    /// The node that learned it first.
    pub by: HostId,
    /// When.
    pub at_ns: u64,
}

/// All nodes, and the entries that any of them has learned to be committed.
#[derive(Debug, Clone, Default)]
pub struct Replicas {
    nodes: Vec<Node>,
    nobody: Node,
    /// Committed entries by index. The first report counts.
    pub committed: BTreeMap<u64, Committed>,
}

impl Replicas {
    /// A node's state.
    pub fn node(&self, host: HostId) -> &Node {
        self.nodes.get(host.index()).unwrap_or(&self.nobody)
    }

    /// What `host` reports as committed if it commits up to `upto` now: (index, entry), ascending.
    /// Entries that it no longer holds are left out, except the last, whose leader the report names.
    pub fn newly_committed(
        &self,
        host: HostId,
        upto: LogPosition,
    ) -> impl Iterator<Item = (u64, LeaderId, Option<u64>)> {
        let node = self.node(host);
        let from = node.reported + 1;
        let known = (from <= upto.index).then(|| node.log.range(from..upto.index));
        let known = known.into_iter().flatten().map(|(index, entry)| (*index, entry.leader, Some(entry.payload)));
        let leader = LeaderId::from(upto);
        let payload = node.log.get(&upto.index).filter(|entry| entry.leader == leader).map(|entry| entry.payload);
        known.chain(std::iter::once((upto.index, leader, payload)))
    }

    /// Applies an event to the cluster's state.
    pub fn apply(&mut self, event: &Event) {
        let index = event.host.index();
        if self.nodes.len() <= index {
            self.nodes.resize_with(index + 1, Node::default);
        }
        match event.what {
            What::Commit { upto } => self.commit(event, upto),
            What::ApplyEntry { at, payload, .. } => {
                let under = self.nodes[index].vote.map(|(leader, _)| leader);
                self.learn(event, at.index, at.into(), Some(payload), under);
            }
            What::SnapshotInstalled { upto: Some(upto), .. } => {
                let under = self.nodes[index].vote.map(|(leader, _)| leader);
                self.learn(event, upto.index, upto.into(), None, under);
                let node = &mut self.nodes[index];
                node.cover(upto);
                node.reported = node.reported.max(upto.index);
            }
            _ => {}
        }
        let node = &mut self.nodes[index];
        match event.what {
            What::Vote { term, candidate, committed } => {
                node.vote = Some((LeaderId { term, node: candidate }, committed));
            }
            What::Append { at, payload, .. } => {
                // An entry written over another one replaces everything from there on, as in a log.
                let entry = Entry { leader: at.into(), payload };
                if node.log.last_key_value().is_some_and(|(last, _)| *last >= at.index)
                    && node.log.get(&at.index) != Some(&entry)
                {
                    node.log.split_off(&at.index);
                }
                node.log.insert(at.index, entry);
                node.found = node.found.map(|found| found.min(at.index));
            }
            What::Truncate { from } => {
                node.log.split_off(&from);
                node.found = node.found.map(|found| found.min(from.saturating_sub(1)));
            }
            What::FoundLog { last } => {
                let end = last.map_or(0, |last| last.index);
                node.log.split_off(&(end + 1));
                node.found = Some(end);
            }
            What::Purge { upto } => node.cover(upto),
            What::Start => node.commit = None,
            _ => {}
        }
    }

    fn commit(&mut self, event: &Event, upto: LogPosition) {
        let under = self.node(event.host).vote.map(|(leader, _)| leader);
        let news: Vec<_> = self.newly_committed(event.host, upto).collect();
        for (index, leader, payload) in news {
            self.learn(event, index, leader, payload, under);
        }
        let node = &mut self.nodes[event.host.index()];
        node.commit = node.commit.max(Some(upto.index));
        node.reported = node.reported.max(upto.index);
    }

    fn learn(&mut self, event: &Event, index: u64, leader: LeaderId, payload: Option<u64>, under: Option<LeaderId>) {
        let new = Committed { leader, payload, under, by: event.host, at_ns: event.t_ns };
        let known = self.committed.entry(index).or_insert(new);
        if known.leader == leader {
            known.payload = known.payload.or(payload);
            known.under = match (known.under, under) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
}
