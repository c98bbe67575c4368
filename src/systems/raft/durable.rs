//! What openraft calls the parts of a node's state ([`crate::systems::storage::durable`]).

use super::types::{Entry, NodeId, Types};
use crate::systems::storage::durable::{self, Engine, Payload};
use openraft::{EmptyNode, EntryPayload, LogId, Snapshot, SnapshotMeta, StoredMembership, Vote};
use std::io::Cursor;

/// What a node's disk holds beside the state machine.
pub type Disk = durable::Disk<Types>;
/// A snapshot on disk.
pub type StoredSnapshot = durable::StoredSnapshot<Types>;
/// The state machine.
pub type Machine = durable::Machine<Types>;
/// One change of a node's durable state.
pub type Change = durable::Change<Types>;
/// The changes that applying some entries made.
pub type Effects = durable::Effects<Types>;

impl Engine for Types {
    const FORMAT: &'static str = "schism raft storage 1";
    type Vote = Vote<NodeId>;
    type Position = LogId<NodeId>;
    type Members = StoredMembership<NodeId, EmptyNode>;
    type Entry = Entry;
    type SnapshotMeta = SnapshotMeta<NodeId, EmptyNode>;

    fn index(position: &LogId<NodeId>) -> u64 {
        position.index
    }

    fn position(entry: &Entry) -> LogId<NodeId> {
        entry.log_id
    }

    fn payload(entry: Entry) -> Payload<Types> {
        match entry.payload {
            EntryPayload::Blank => Payload::Blank,
            EntryPayload::Normal(command) => Payload::Command(command),
            EntryPayload::Membership(members) => Payload::Members(StoredMembership::new(Some(entry.log_id), members)),
        }
    }

    fn meta(applied: Option<LogId<NodeId>>, members: &Self::Members) -> Self::SnapshotMeta {
        let snapshot_id = applied.map_or_else(String::new, |log_id| log_id.to_string());
        SnapshotMeta { last_log_id: applied, last_membership: members.clone(), snapshot_id }
    }
}

impl From<StoredSnapshot> for Snapshot<Types> {
    fn from(stored: StoredSnapshot) -> Snapshot<Types> {
        Snapshot { meta: stored.meta, snapshot: Box::new(Cursor::new(stored.data)) }
    }
}
