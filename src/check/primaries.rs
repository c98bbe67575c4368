//! Who acted as primary of what, when: the figures behind split-brain and the comparison.
//!
//! A node acts as primary from its `Role` event to the next one for the same scope, or to its crash.
//! It *acts* on its own belief: two believers at a time are not split-brain by themselves, since a
//! deposed leader legitimately believes in itself for a while.

use crate::history::History;
use crate::trace::{HostId, Role, Scope, Trace, What};
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

/// Nanoseconds during which two or more nodes acted as primary of the same scope.
pub fn acting_primaries_overlap_ns(trace: &Trace) -> u64 {
    let tenures = tenures(trace);
    // (time, scope, node, +1 or -1): counted per node, since a new term opens before or after the old one closes.
    let mut edges: Vec<(u64, Scope, HostId, i32)> = Vec::new();
    for tenure in &tenures {
        edges.push((tenure.from_ns, tenure.scope, tenure.node, 1));
        edges.push((tenure.until_ns, tenure.scope, tenure.node, -1));
    }
    edges.sort_unstable();
    let mut acting: BTreeMap<Scope, BTreeMap<HostId, i32>> = BTreeMap::new();
    let (mut overlap_ns, mut last_ns) = (0, 0);
    for (t_ns, scope, node, change) in edges {
        let contested = |nodes: &BTreeMap<HostId, i32>| nodes.values().filter(|count| **count > 0).count() > 1;
        if acting.values().any(contested) {
            overlap_ns += t_ns - last_ns;
        }
        last_ns = t_ns;
        *acting.entry(scope).or_default().entry(node).or_default() += change;
    }
    overlap_ns
}

/// How often another node than the last one became primary of a scope; the first one is no change.
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
        Trace { names, nodes: 3, events: steps.iter().enumerate().map(event).collect() }
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
        assert_eq!(acting_primaries_overlap_ns(&overlapping), 10 + 5);
        assert_eq!(leader_changes(&overlapping), 2, "n1 -> n2 -> n1 on shard 0; shard 1 has had one");
        let new_term = trace(&[(10, 1, role(Primary, 0, 1)), (20, 1, role(Primary, 0, 2)), (30, 1, What::Crash)]);
        assert_eq!(acting_primaries_overlap_ns(&new_term), 0, "a node does not overlap with itself");
        assert_eq!(leader_changes(&new_term), 0);
        let handed_over =
            trace(&[(10, 1, role(Primary, 0, 1)), (20, 1, role(Backup, 0, 1)), (20, 2, role(Primary, 0, 2))]);
        assert_eq!(acting_primaries_overlap_ns(&handed_over), 0);
    }
}
