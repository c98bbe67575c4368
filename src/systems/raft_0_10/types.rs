//! openraft's type parameters, what it calls the parts of a node's state ([`crate::systems::storage::durable`]), and how
//! its ids map to those of the trace.

use crate::kv::{Applied, Command};
use crate::systems::runtime::HostRuntime;
use crate::systems::storage::durable::{self, Engine, Payload};
use crate::trace::{HostId, LogPosition};
use openraft_0_10::type_config::alias::{EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use openraft_0_10::{EmptyNode, EntryPayload, StoredMembership};

/// A Raft node's id: its host id.
pub type NodeId = u64;

openraft_0_10::declare_raft_types!(
    /// The store's Raft types. The response to membership and blank entries is `None`.
    pub Types:
        D = Command,
        R = Option<Applied>,
        NodeId = u64,
        Node = EmptyNode,
        AsyncRuntime = HostRuntime,
);

/// A log entry.
pub type Entry = EntryOf<Types>;
/// The identity of a log entry.
pub type LogId = LogIdOf<Types>;
/// Who a node has voted for, and whether a quorum has.
pub type Vote = VoteOf<Types>;
/// Members, and where the log says so.
pub type Members = StoredMembershipOf<Types>;
/// What a snapshot covers.
pub type SnapshotMeta = SnapshotMetaOf<Types>;
/// A snapshot, in bytes.
pub type Snapshot = openraft_0_10::type_config::alias::SnapshotOf<Types, Vec<u8>>;

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
    const FORMAT: &'static str = "schism raft-0.10 storage 1";
    type Vote = Vote;
    type Position = LogId;
    type Members = Members;
    type Entry = Entry;
    type SnapshotMeta = SnapshotMeta;

    fn index(position: &LogId) -> u64 {
        position.index
    }

    fn position(entry: &Entry) -> LogId {
        entry.log_id
    }

    fn payload(entry: Entry) -> Payload<Types> {
        match entry.payload {
            EntryPayload::Blank => Payload::Blank,
            EntryPayload::Normal(command) => Payload::Command(command),
            EntryPayload::Membership(members) => Payload::Members(StoredMembership::new(Some(entry.log_id), members)),
        }
    }

    fn meta(applied: Option<LogId>, members: &Members) -> SnapshotMeta {
        SnapshotMeta { last_log_id: applied, last_membership: members.clone() }
    }
}

impl From<StoredSnapshot> for Snapshot {
    fn from(stored: StoredSnapshot) -> Snapshot {
        Snapshot { meta: stored.meta, snapshot: stored.data }
    }
}

/// The host of a Raft node.
pub fn host_id(node: NodeId) -> HostId {
    HostId(node as u16)
}

/// The Raft node of a host.
pub fn node_id(host: HostId) -> NodeId {
    u64::from(host.0)
}

/// A log id as the trace has it.
pub fn position(log_id: &LogId) -> LogPosition {
    LogPosition { term: log_id.leader_id.term, leader: host_id(log_id.leader_id.node_id), index: log_id.index }
}
