//! Log durability: after a restart a log is as it was, as far as it was reported durable.
//!
//! Raft paper, figure 2: the log is persistent state, "updated on stable storage before responding to RPCs". An append
//! is recorded when the storage reports it durable. So the log that a process finds may be longer (a last append
//! arrived, or a truncation did not). But it may not be shorter, may not end in another entry at the same index, and
//! may not end in an entry of an older leader than before.

use super::{LeaderId, Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::trace::{Event, What};

/// See the module's header.
#[derive(Default)]
pub struct LogDurability;

impl Property for LogDurability {
    fn observe(&mut self, event: &Event, before: &Replicas) -> Option<Violation> {
        let What::FoundLog { last: found } = event.what else { return None };
        let (index, entry) = before.node(event.host).log.last_key_value()?;
        let is_intact = found.is_some_and(|found| {
            let leader = LeaderId::from(found);
            found.index > *index && leader >= entry.leader || found.index == *index && leader == entry.leader
        });
        if is_intact {
            return None;
        }
        let what =
            found.map_or("nothing".to_owned(), |found| format!("index {} from {}", found.index, LeaderId::from(found)));
        let sentence = format!(
            "{} found {what} at the end of its log at {}, where index {index} from {} was durable",
            event.host,
            seconds(event.t_ns),
            entry.leader
        );
        Some(violation(CheckName::LogDurability, event, &[event.host], &[entry.leader.term], sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::trace::LogPosition;

    fn is_lost(found: Option<LogPosition>) -> bool {
        let log = [(1, append(at(1, 1, 1), 1)), (1, append(at(2, 2, 2), 2)), (1, What::Crash), (1, What::Start)];
        violated(&[&log[..], &[(1, What::FoundLog { last: found })]].concat()) == [CheckName::LogDurability]
    }

    #[test]
    fn a_log_may_come_back_longer_but_not_shorter_nor_other() {
        assert!(!is_lost(Some(at(2, 2, 2))));
        assert!(!is_lost(Some(at(2, 2, 5))), "under way when the process died");
        assert!(is_lost(Some(at(1, 1, 1))));
        assert!(is_lost(None));
        assert!(is_lost(Some(at(1, 1, 2))), "another entry");
        assert!(is_lost(Some(at(1, 1, 5))), "a tail that had been replaced");
    }

    #[test]
    fn a_truncation_may_not_have_reached_the_disk_and_purged_entries_need_not_come_back() {
        let truncated = |last: What| {
            let log = [(1, append(at(1, 1, 1), 1)), (1, append(at(1, 1, 2), 2)), (1, What::Truncate { from: 2 })];
            [&log[..], &[(1, What::Start), (1, last)]].concat()
        };
        for index in [1, 2] {
            assert_eq!(violated(&truncated(What::FoundLog { last: Some(at(1, 1, index)) })), []);
        }
        assert_eq!(violated(&truncated(What::FoundLog { last: None })), [CheckName::LogDurability]);
        let built = (1, What::SnapshotBuilt { upto: Some(at(1, 1, 1)), payload: None });
        let steps = [(1, append(at(1, 1, 1), 1)), built, (1, What::Purge { upto: at(1, 1, 1) })];
        assert_eq!(violated(&[&steps[..], &[(1, What::FoundLog { last: None })]].concat()), []);
    }
}
