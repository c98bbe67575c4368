//! openraft's type parameters, and how its ids map to those of the trace.

use super::runtime::HostRuntime;
use crate::kv::{Applied, Command};
use crate::trace::{HostId, LogPosition};
use openraft::{EmptyNode, LogId};
use std::io::Cursor;

/// A Raft node's id: its host id.
pub type NodeId = u64;

openraft::declare_raft_types!(
    /// The store's Raft types. The response to membership and blank entries is `None`.
    pub Types:
        D = Command,
        R = Option<Applied>,
        NodeId = u64,
        Node = EmptyNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = HostRuntime,
);

/// A running Raft node.
pub type Raft = openraft::Raft<Types>;
/// A log entry.
pub type Entry = openraft::Entry<Types>;
/// An error of the storage.
pub type StorageError = openraft::StorageError<NodeId>;

/// The host of a Raft node.
pub fn host_id(node: NodeId) -> HostId {
    HostId(node as u16)
}

/// The Raft node of a host.
pub fn node_id(host: HostId) -> NodeId {
    u64::from(host.0)
}

/// A log id as the trace has it.
pub fn position(log_id: &LogId<NodeId>) -> LogPosition {
    LogPosition { term: log_id.leader_id.term, leader: host_id(log_id.leader_id.node_id), index: log_id.index }
}
