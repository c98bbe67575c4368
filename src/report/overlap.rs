//! What each of several simultaneous primaries acknowledged.
//!
//! Two believers are not split-brain. A deposed leader legitimately believes in itself for a while; so what
//! is shown is the time for which two nodes acted for the same keys, and what each acknowledged meanwhile.

use crate::check::primaries::{Tenure, tenures};
use crate::trace::{HostId, Trace, What};
use std::collections::{BTreeMap, BTreeSet};

/// Two or more nodes acting as primary of the same keys at the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlap {
    /// For how long in all, in simulated nanoseconds.
    pub total_ns: u64,
    /// What each node concerned acknowledged during it.
    pub acknowledged: BTreeMap<HostId, u64>,
}

/// When tenures of different nodes over the same keys overlapped, and what was acknowledged then.
pub fn overlap(trace: &Trace) -> Overlap {
    let tenures = tenures(trace);
    let bounds: BTreeSet<u64> = tenures.iter().flat_map(|tenure| [tenure.from_ns, tenure.until_ns]).collect();
    let bounds: Vec<u64> = bounds.into_iter().collect();
    let mut overlap = Overlap::default();
    let mut contested: Vec<(u64, u64, BTreeSet<HostId>)> = Vec::new();
    for window in bounds.windows(2) {
        let active: Vec<&Tenure> =
            tenures.iter().filter(|tenure| tenure.from_ns <= window[0] && tenure.until_ns >= window[1]).collect();
        let nodes: BTreeSet<HostId> = active
            .iter()
            .filter(|one| active.iter().any(|other| one.node != other.node && one.scope == other.scope))
            .map(|tenure| tenure.node)
            .collect();
        if !nodes.is_empty() {
            overlap.total_ns += window[1] - window[0];
            contested.push((window[0], window[1], nodes));
        }
    }
    for (_, _, nodes) in &contested {
        for node in nodes {
            overlap.acknowledged.entry(*node).or_insert(0);
        }
    }
    for event in &trace.events {
        let What::Acknowledge { .. } = event.what else { continue };
        let at = contested.partition_point(|(_, to_ns, _)| *to_ns <= event.t_ns);
        if contested.get(at).is_some_and(|(from_ns, _, nodes)| *from_ns <= event.t_ns && nodes.contains(&event.host)) {
            *overlap.acknowledged.entry(event.host).or_insert(0) += 1;
        }
    }
    overlap
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Key, Tag};
    use crate::trace::{Event, Role, Scope};

    fn trace(events: &[(u64, u16, What)]) -> Trace {
        let event = |(seq, (t_ns, host, what)): (usize, &(u64, u16, What))| Event {
            t_ns: *t_ns,
            host: HostId(*host),
            seq: seq as u32,
            what: *what,
        };
        Trace { names: Vec::new(), nodes: 3, events: events.iter().enumerate().map(event).collect() }
    }

    fn role(role: Role, scope: Scope) -> What {
        What::Role { role, scope, term: 1 }
    }

    const ACK: What = What::Acknowledge { tag: Tag { session: 1, sequence: 1 }, key: Key(1), term: 1 };

    #[test]
    fn acknowledgements_count_only_while_two_nodes_act_for_the_same_keys() {
        let overlap = overlap(&trace(&[
            (10, 1, role(Role::Primary, Scope::All)),
            (15, 1, ACK),
            (20, 2, role(Role::Primary, Scope::All)),
            (25, 1, ACK),
            (26, 2, ACK),
            (27, 2, ACK),
            (30, 1, role(Role::Backup, Scope::All)),
            (35, 2, ACK),
        ]));
        assert_eq!(overlap.total_ns, 10);
        assert_eq!(overlap.acknowledged, BTreeMap::from([(HostId(1), 1), (HostId(2), 2)]));
    }

    #[test]
    fn primaries_of_different_shards_do_not_overlap() {
        let healthy = trace(&[
            (10, 1, role(Role::Primary, Scope::Shard(0))),
            (10, 2, role(Role::Primary, Scope::Shard(1))),
            (50, 1, ACK),
        ]);
        assert_eq!(overlap(&healthy), Overlap::default());
    }

    #[test]
    fn a_crash_ends_an_overlap_and_a_pause_does_not() {
        let crashed = trace(&[
            (10, 1, role(Role::Primary, Scope::All)),
            (20, 1, What::Crash),
            (30, 2, role(Role::Primary, Scope::All)),
            (40, 1, What::Start),
        ]);
        assert_eq!(overlap(&crashed).total_ns, 0);
        let paused = trace(&[
            (10, 1, role(Role::Primary, Scope::All)),
            (20, 1, What::Pause),
            (30, 2, role(Role::Primary, Scope::All)),
            (40, 1, What::Resume),
        ]);
        assert_eq!(overlap(&paused).total_ns, 10);
    }
}
