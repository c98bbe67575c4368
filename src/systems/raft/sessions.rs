//! Which commands this process has appended, and what the wrappers of `observe` need to know of the store's entries.

use super::observe::Commands;
use super::types::{Entry, Types};
use crate::host::lock;
use crate::kv::{Applied, Key, Tag};
use openraft::EntryPayload;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The newest sequence number of each session that this process has appended to its log.
///
/// openraft answers `ForwardToLeader` in two cases: the command was never appended, or its entry was appended and then
/// truncated. In the second case another node may still hold the entry and get it committed under a later leader. So
/// only the first case is a definite refusal.
#[derive(Debug, Clone, Default)]
pub struct AppendedCommands(Arc<Mutex<BTreeMap<u64, u64>>>);

impl AppendedCommands {
    /// Whether this process has appended the command to its log.
    pub fn contains(&self, tag: Tag) -> bool {
        lock(&self.0).get(&tag.session).is_some_and(|last| *last >= tag.sequence)
    }
}

impl Commands<Types> for AppendedCommands {
    fn appended(&self, entry: &Entry) {
        if let Some((tag, _)) = self.command(entry) {
            let mut sessions = lock(&self.0);
            let last = sessions.entry(tag.session).or_default();
            *last = tag.sequence.max(*last);
        }
    }

    fn command(&self, entry: &Entry) -> Option<(Tag, Key)> {
        match &entry.payload {
            EntryPayload::Normal(command) => Some((command.tag, command.op.key())),
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        }
    }

    fn compares_snapshots(&self) -> bool {
        true
    }

    fn took_effect(&self, response: &Option<Applied>) -> bool {
        matches!(response, Some(Applied::Fresh(_)))
    }
}
