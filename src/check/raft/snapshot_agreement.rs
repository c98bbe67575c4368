//! Snapshot agreement: two snapshots of one position have the same content.
//!
//! Raft paper, sections 2 and 7: replicated state machines are deterministic, so all nodes are in the same state once
//! they have applied the same entries, and a snapshot is that state. If a state machine reads a clock, or a snapshot
//! omits a part or is labelled with a position that it has not reached, the nodes have diverged, though perhaps no
//! client has seen it yet. Only content that applications offer for comparison is compared: bytes that depend on the
//! node, or on the order in a hash map, are no state.

use super::{Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, HostId, LogPosition, What};
use std::collections::BTreeMap;

/// See the module's header.
#[derive(Default)]
pub struct SnapshotAgreement {
    /// The content seen first, and where.
    seen: BTreeMap<LogPosition, (u64, HostId)>,
}

impl Property for SnapshotAgreement {
    fn observe(&mut self, event: &Event, _: &Replicas) -> Option<Violation> {
        let What::SnapshotBuilt { upto: Some(upto), payload: Some(payload) } = event.what else { return None };
        let (first, by) = *self.seen.entry(upto).or_insert((payload, event.host));
        if first == payload {
            return None;
        }
        let sentence = format!(
            "{} built a snapshot up to index {} at {} that holds something else than that of {by}",
            event.host,
            upto.index,
            seconds(event.t_ns)
        );
        Some(violation(CheckName::SnapshotAgreement, event, &[by, event.host], &[upto.term], sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn equal_positions_need_equal_contents() {
        let built = |node, index, payload| (node, What::SnapshotBuilt { upto: Some(at(1, 1, index)), payload });
        assert_eq!(violated(&[built(1, 5, Some(7)), built(2, 5, Some(7)), built(2, 6, Some(8))]), []);
        assert_eq!(violated(&[built(1, 5, Some(7)), built(2, 5, Some(8))]), [CheckName::SnapshotAgreement]);
        assert_eq!(violated(&[built(1, 5, Some(7)), built(2, 5, None)]), [], "not offered for comparison");
        let restart = [(1, What::Crash), (1, What::Start)];
        let again = |payload| [&[built(1, 5, Some(7))][..], &restart, &[built(1, 5, Some(payload))]].concat();
        assert_eq!(violated(&again(7)), []);
        assert_eq!(violated(&again(8)), [CheckName::SnapshotAgreement], "two lives of one node");
    }
}
