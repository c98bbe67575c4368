//! Vacuity: a run in which too little happened proves nothing, however many checks pass.

use crate::history::History;
use crate::kv::Key;
use std::collections::{BTreeMap, BTreeSet};

/// What a run must have done to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// When the last fault had ended, in nanoseconds; 0 without faults.
    pub last_fault_end_ns: u64,
    /// Whether operations must have been acknowledged by at least two leaders (two terms of one node count).
    pub two_leaders: bool,
}

/// What a run lacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Too little was acknowledged: in all, or of some key after the last fault.
    Answers,
    /// Only one leader acknowledged anything.
    SecondLeader,
}

/// The requirements that the run did not meet, each with a sentence; empty if the run counts.
pub fn check(history: &History, params: &Params) -> Vec<(Lack, String)> {
    let mut reasons = Vec::new();
    let offered = history.operations.len();
    let acked = history.operations.iter().filter(|operation| operation.outcome().is_some());
    let acked_count = acked.clone().count();
    if offered == 0 || acked_count * 2 < offered {
        let why = format!("only {acked_count} of {offered} operations were acknowledged, less than half");
        reasons.push((Lack::Answers, why));
    }
    if params.two_leaders {
        let leaders: BTreeSet<_> = acked.clone().filter_map(|operation| operation.acknowledger()).collect();
        if leaders.len() < 2 {
            let why = format!("operations were acknowledged by {} leader, not by two", leaders.len());
            reasons.push((Lack::SecondLeader, why));
        }
    }
    let mut served_after: BTreeMap<Key, bool> = BTreeMap::new();
    for operation in &history.operations {
        let after = operation.outcome().is_some() && operation.start_ns >= params.last_fault_end_ns;
        *served_after.entry(operation.key()).or_default() |= after;
    }
    if let Some((key, _)) = served_after.iter().find(|(_, served)| !**served) {
        let count = served_after.values().filter(|served| !**served).count();
        let why = format!("no operation on {key} was acknowledged after the last fault ({count} such keys)");
        reasons.push((Lack::Answers, why));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Acknowledger, Operation, Status};
    use crate::kv::{Op, Response, Tag};
    use crate::trace::HostId;

    fn get(key: u32, start_ns: u64, by: Option<(u16, u64)>) -> Operation {
        let ok = |(node, term)| Status::Ok {
            outcome: Response::Value(None),
            by: Some(Acknowledger { node: HostId(node), term }),
        };
        Operation {
            id: 0,
            client: 0,
            tag: Tag { session: 0, sequence: 0 },
            op: Op::Get { key: Key(key) },
            planned_ns: start_ns,
            start_ns,
            end_ns: start_ns + 1,
            status: by.map_or(Status::Fail, ok),
            attempts: 1,
        }
    }

    fn reasons(operations: &[Operation]) -> usize {
        let params = Params { last_fault_end_ns: 100, two_leaders: true };
        check(&History { operations: operations.to_vec() }, &params).len()
    }

    #[test]
    fn a_run_counts_only_if_enough_happened() {
        let (a, b) = (Some((1, 1)), Some((2, 2)));
        assert_eq!(reasons(&[get(1, 0, a), get(1, 100, b), get(1, 101, None), get(1, 102, None)]), 0);
        assert_eq!(reasons(&[get(1, 0, a), get(1, 100, Some((1, 3)))]), 0, "one node in two terms");
        assert_eq!(
            reasons(&[get(1, 0, a), get(1, 100, b), get(1, 0, None), get(1, 0, None), get(1, 0, None)]),
            1,
            "acks"
        );
        assert_eq!(reasons(&[get(1, 0, a), get(1, 100, a)]), 1, "leaders");
        assert_eq!(reasons(&[get(1, 0, a), get(1, 100, b), get(2, 99, a)]), 1, "key 2 after the fault");
        assert_eq!(reasons(&[]), 2, "nothing offered, no leader");
    }
}
