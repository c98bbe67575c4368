//! Which node acted as primary of which keys, and when: the figures behind split-brain and the comparison.
//!
//! A node acts as primary from its `Role` event to the next one for the same scope, or to its crash. It acts on what it
//! believes. Two nodes that both believe they are primary are no split-brain by themselves, since a deposed leader
//! legitimately believes so for a while.

use crate::history::{History, Operation};
use crate::trace::{HostId, HostSet, Role, Scope, Trace, What};
use std::collections::BTreeMap;

/// A span of time in which one node acted as primary of one scope in one term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// The node.
    pub node: HostId,
    /// The keys it was primary of.
    pub scope: Scope,
    /// Its term or epoch.
    pub term: u64,
    /// When it began, in nanoseconds.
    pub from_ns: u64,
    /// When it ended (the end of the trace if it did not), in nanoseconds.
    pub until_ns: u64,
}

/// All tenures of a sorted trace, in order of their end.
pub fn tenures(trace: &Trace) -> Vec<Tenure> {
    let mut open: BTreeMap<(HostId, Scope), Tenure> = BTreeMap::new();
    let mut tenures = Vec::new();
    let end_ns = trace.events.last().map_or(0, |event| event.t_ns);
    for event in &trace.events {
        let node = event.host;
        match event.what {
            What::Role { role, scope, term } => {
                if let Some(tenure) = open.remove(&(node, scope)) {
                    tenures.push(Tenure { until_ns: event.t_ns, ..tenure });
                }
                if role == Role::Primary {
                    let tenure = Tenure { node, scope, term, from_ns: event.t_ns, until_ns: end_ns };
                    open.insert((node, scope), tenure);
                }
            }
            What::Crash => {
                let ended: Vec<_> = open.keys().filter(|(host, _)| *host == node).copied().collect();
                let ended = ended.iter().filter_map(|key| open.remove(key));
                tenures.extend(ended.map(|tenure| Tenure { until_ns: event.t_ns, ..tenure }));
            }
            _ => {}
        }
    }
    tenures.extend(open.into_values());
    tenures
}

/// A span of time in which two or more nodes acted as primary of the same keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// When it began, in nanoseconds.
    pub from_ns: u64,
    /// When it ended, in nanoseconds.
    pub until_ns: u64,
    /// The nodes.
    pub nodes: HostSet,
}

/// All overlaps of tenures in a sorted trace, in order of time. Where their nodes change, another one begins.
pub fn overlaps(trace: &Trace) -> Vec<Overlap> {
    // (time, scope, node, +1 or -1): counted per node, since a new term opens before or after the old one closes.
    let mut edges: Vec<(u64, Scope, HostId, i32)> = Vec::new();
    for Tenure { node, scope, from_ns, until_ns, .. } in tenures(trace) {
        edges.push((from_ns, scope, node, 1));
        edges.push((until_ns, scope, node, -1));
    }
    edges.sort_unstable();
    let mut acting: BTreeMap<Scope, BTreeMap<HostId, i32>> = BTreeMap::new();
    let mut overlaps: Vec<Overlap> = Vec::new();
    let mut last_ns = 0;
    for (t_ns, scope, node, change) in edges {
        let nodes = rivals(&acting);
        if !nodes.is_empty() && t_ns > last_ns {
            match overlaps.last_mut().filter(|last| last.until_ns == last_ns && last.nodes == nodes) {
                Some(last) => last.until_ns = t_ns,
                None => overlaps.push(Overlap { from_ns: last_ns, until_ns: t_ns, nodes }),
            }
        }
        last_ns = t_ns;
        *acting.entry(scope).or_default().entry(node).or_default() += change;
    }
    overlaps
}

/// The nodes that are not alone in acting as primary of some scope.
fn rivals(acting: &BTreeMap<Scope, BTreeMap<HostId, i32>>) -> HostSet {
    let of_scope = |counts: &BTreeMap<HostId, i32>| -> HostSet {
        counts.iter().filter(|(_, count)| **count > 0).map(|(node, _)| *node).collect()
    };
    acting.values().map(of_scope).filter(|nodes| nodes.len() > 1).fold(HostSet::EMPTY, HostSet::union)
}

/// The total length, in nanoseconds.
pub fn total_ns(overlaps: &[Overlap]) -> u64 {
    overlaps.iter().map(|overlap| overlap.until_ns - overlap.from_ns).sum()
}

/// What each of the nodes concerned acknowledged during these overlaps. Of nodes that record no acknowledgements, since
/// they are somebody else's, what clients were answered counts, at the time of the answer.
pub fn acknowledged_during(overlaps: &[Overlap], history: &History, trace: &Trace) -> BTreeMap<HostId, u64> {
    let mut acknowledged: BTreeMap<HostId, u64> =
        overlaps.iter().flat_map(|overlap| overlap.nodes.iter()).map(|node| (node, 0)).collect();
    let recorded = trace.events.iter().filter(|event| matches!(event.what, What::Acknowledge { .. }));
    let mut acks: Vec<(HostId, u64)> = recorded.map(|event| (event.host, event.t_ns)).collect();
    if acks.is_empty() {
        let answered = |operation: &Operation| Some((operation.acknowledger()?.node, operation.end_ns));
        acks = history.operations.iter().filter_map(answered).collect();
    }
    for (node, t_ns) in acks {
        let at = overlaps.partition_point(|overlap| overlap.until_ns <= t_ns);
        let during = overlaps.get(at).filter(|overlap| overlap.from_ns <= t_ns);
        if during.is_some_and(|overlap| overlap.nodes.contains(node)) {
            *acknowledged.entry(node).or_insert(0) += 1;
        }
    }
    acknowledged
}

/// How often a scope got another primary than the one before; its first primary is no change.
pub fn leader_changes(trace: &Trace) -> u64 {
    let mut last: BTreeMap<Scope, HostId> = BTreeMap::new();
    let mut changes = 0;
    for event in &trace.events {
        if let What::Role { role: Role::Primary, scope, .. } = event.what {
            let before = last.insert(scope, event.host);
            changes += u64::from(before.is_some_and(|before| before != event.host));
        }
    }
    changes
}

/// Acknowledged operations by the name of the node that acknowledged them; every node is listed.
pub fn acks_by_node(history: &History, trace: &Trace) -> BTreeMap<String, u64> {
    let mut acks: BTreeMap<String, u64> = trace.node_ids().map(|node| (trace.name(node).to_owned(), 0)).collect();
    for by in history.operations.iter().filter_map(|operation| operation.acknowledger()) {
        *acks.entry(trace.name(by.node).to_owned()).or_default() += 1;
    }
    acks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Event;

    fn trace(steps: &[(u64, u16, What)]) -> Trace {
        let event = |(seq, (t_ns, host, what)): (usize, &(u64, u16, What))| Event {
            t_ns: *t_ns,
            host: HostId(*host),
            seq: seq as u32,
            what: *what,
        };
        let names = ["world", "n1", "n2", "n3"].map(str::to_owned).to_vec();
        Trace { names, nodes: 3, events: steps.iter().enumerate().map(event).collect(), ..Trace::default() }
    }

    fn overlap_ns(trace: &Trace) -> u64 {
        total_ns(&overlaps(trace))
    }

    fn role(role: Role, shard: u16, term: u64) -> What {
        What::Role { role, scope: Scope::Shard(shard), term }
    }

    #[test]
    fn overlap_counts_only_equal_scopes_and_ends_with_a_crash() {
        use Role::{Backup, Primary};
        let overlapping = trace(&[
            (10, 1, role(Primary, 0, 1)),
            (20, 2, role(Primary, 1, 1)), // another shard
            (30, 2, role(Primary, 0, 2)),
            (40, 1, role(Backup, 0, 1)),
            (50, 1, role(Primary, 0, 3)),
            (55, 2, What::Crash),
            (90, 1, What::Crash),
        ]);
        assert_eq!(overlap_ns(&overlapping), 10 + 5);
        assert_eq!(leader_changes(&overlapping), 2, "n1 -> n2 -> n1 on shard 0; shard 1 has had one");
        let new_term = trace(&[(10, 1, role(Primary, 0, 1)), (20, 1, role(Primary, 0, 2)), (30, 1, What::Crash)]);
        assert_eq!(overlap_ns(&new_term), 0, "a node does not overlap with itself");
        assert_eq!(leader_changes(&new_term), 0);
        let handed_over =
            trace(&[(10, 1, role(Primary, 0, 1)), (20, 1, role(Backup, 0, 1)), (20, 2, role(Primary, 0, 2))]);
        assert_eq!(overlap_ns(&handed_over), 0);
    }

    #[test]
    fn acknowledgements_count_only_while_two_nodes_act_for_the_same_keys() {
        use Role::{Backup, Primary};
        let tag = crate::kv::Tag { session: 1, sequence: 1 };
        let ack = What::Acknowledge { tag, key: crate::kv::Key(1), term: 1 };
        let trace = trace(&[
            (10, 1, role(Primary, 0, 1)),
            (15, 1, ack),
            (20, 2, role(Primary, 0, 1)),
            (25, 1, ack),
            (26, 2, ack),
            (27, 2, ack),
            (30, 1, role(Backup, 0, 1)),
            (35, 2, ack),
        ]);
        let nodes = [HostId(1), HostId(2)].into_iter().collect();
        assert_eq!(overlaps(&trace), [Overlap { from_ns: 20, until_ns: 30, nodes }]);
        let acknowledged = acknowledged_during(&overlaps(&trace), &History::default(), &trace);
        assert_eq!(acknowledged, BTreeMap::from([(HostId(1), 1), (HostId(2), 2)]));
    }

    #[test]
    fn an_overlap_lasts_until_its_nodes_change() {
        use Role::{Backup, Primary};
        let trace = trace(&[
            (10, 1, role(Primary, 0, 1)),
            (20, 2, role(Primary, 0, 1)),
            // Of another shard, and in another term: the same two nodes.
            (25, 1, role(Primary, 1, 1)),
            (25, 2, role(Primary, 1, 1)),
            (28, 2, role(Primary, 0, 2)),
            (30, 3, role(Primary, 0, 3)),
            (40, 1, role(Backup, 0, 1)),
            (40, 1, role(Backup, 1, 1)),
            (50, 2, What::Crash),
        ]);
        let spans: Vec<_> =
            overlaps(&trace).iter().map(|one| (one.from_ns, one.until_ns, one.nodes.to_string())).collect();
        let expected = [(20, 30, "n1, n2"), (30, 40, "n1, n2, n3"), (40, 50, "n2, n3")];
        assert_eq!(spans, expected.map(|(from_ns, until_ns, nodes)| (from_ns, until_ns, nodes.to_owned())));
    }

    #[test]
    fn a_crash_ends_an_overlap_and_a_pause_does_not() {
        let after = |stop, start| {
            trace(&[
                (10, 1, role(Role::Primary, 0, 1)),
                (20, 1, stop),
                (30, 2, role(Role::Primary, 0, 1)),
                (40, 1, start),
            ])
        };
        assert_eq!(overlap_ns(&after(What::Crash, What::Start)), 0);
        assert_eq!(overlap_ns(&after(What::Pause, What::Resume)), 10);
    }
}
