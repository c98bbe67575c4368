//! Exactly once: a command takes effect once, through the same log entry on every node.
//!
//! Raft dissertation, section 6.3: clients retry, so a log may hold a command twice. The state machine's sessions make
//! it take effect at the first of its entries and never again. Sessions are part of the replicated state and of its
//! snapshots: if one node forgets what another remembers, their states diverge. After a restart a node may apply again
//! what it had not saved.

use super::{Property, Replicas, seconds, violation};
use crate::check::{CheckName, Violation};
use crate::kv::Tag;
use crate::trace::{Event, HostId, What};
use std::collections::BTreeMap;

/// See the module's header.
#[derive(Default)]
pub struct ExactlyOnce {
    /// The index at which a command took effect first of all, and where.
    effects: BTreeMap<Tag, (u64, HostId)>,
}

impl Property for ExactlyOnce {
    fn observe(&mut self, event: &Event, _: &Replicas) -> Option<Violation> {
        let What::Apply { tag, entry: Some(at), .. } = event.what else { return None };
        let index = at.index;
        let (first, by) = *self.effects.entry(tag).or_insert((index, event.host));
        if first == index {
            return None;
        }
        let sentence = format!(
            "command {tag} took effect at index {index} on {} at {}, and at index {first} on {by}",
            event.host,
            seconds(event.t_ns)
        );
        Some(violation(CheckName::ExactlyOnce, event, &[event.host, by], &[], sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::kv::Key;

    fn effect(node: u16, index: u64, sequence: u64) -> [(u16, What); 2] {
        let (tag, at) = (Tag { session: 1, sequence }, at(1, 1, index));
        let applied = What::ApplyEntry { at, payload: index, command: Some(tag) };
        [(node, applied), (node, What::Apply { tag, key: Key(0), entry: Some(at) })]
    }

    fn is_violated(steps: &[&[(u16, What)]]) -> bool {
        violated(&steps.concat()).contains(&CheckName::ExactlyOnce)
    }

    #[test]
    fn the_same_entry_may_have_its_effect_everywhere_and_another_one_nowhere() {
        assert!(!is_violated(&[&effect(1, 1, 1), &effect(2, 1, 1), &effect(1, 2, 2)]));
        let restart = [(1, What::Crash), (1, What::Start)];
        assert!(!is_violated(&[&effect(1, 1, 1), &restart, &effect(1, 1, 1)]), "it was not saved");
        assert!(is_violated(&[&effect(1, 1, 1), &effect(1, 2, 1)]), "twice on one node");
        let retry = [(2, apply(at(1, 1, 1), 1))];
        assert!(is_violated(&[&effect(1, 1, 1), &retry, &effect(2, 2, 1)]), "on another node through another entry");
    }
}
