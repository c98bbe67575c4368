//! What can happen in a run.

use super::{HostId, HostSet};
use crate::kv::{Key, Tag};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Identifies a message: its sender and the sender's count, which goes on across restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// The host that sent it.
    pub host: HostId,
    /// The sender's message count, from 1.
    pub number: u32,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}.{}", self.host.0, self.number)
    }
}

/// The kind of a frame's content, for faults and pictures. A reply's kind is that of its request with `Reply` appended.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MessageKind {
    /// A client's request to a node, or one node passing a client's command to another.
    Request,
    /// Its answer.
    RequestReply,
    /// Raft: replicate entries, or a heartbeat (Raft paper, figure 2).
    AppendEntries,
    /// Its answer.
    AppendEntriesReply,
    /// Raft: a candidate asks for a vote.
    Vote,
    /// Its answer.
    VoteReply,
    /// Raft: a chunk of a snapshot.
    InstallSnapshot,
    /// Its answer.
    InstallSnapshotReply,
    /// A sign of life between primaries.
    Heartbeat,
    /// Its answer.
    HeartbeatReply,
    /// An update from a primary to a backup or to another site.
    Replicate,
    /// Its answer.
    ReplicateReply,
    /// A full exchange of state between replicas.
    AntiEntropy,
    /// Its answer.
    AntiEntropyReply,
    /// Anything else a system sends.
    Other,
    /// Its answer.
    OtherReply,
    /// A piece of a byte stream between two hosts, whatever protocol it carries.
    Segment,
    /// An administrator's request to change the members.
    Members,
    /// Its answer.
    MembersReply,
}

impl MessageKind {
    /// Every kind, in declaration order.
    pub const ALL: &'static [MessageKind] = <MessageKind as strum::VariantArray>::VARIANTS;

    /// The kind of this request's answer; for a reply, its own kind.
    pub fn reply(self) -> MessageKind {
        use MessageKind::*;
        match self {
            Request => RequestReply,
            AppendEntries => AppendEntriesReply,
            Vote => VoteReply,
            InstallSnapshot => InstallSnapshotReply,
            Heartbeat => HeartbeatReply,
            Replicate => ReplicateReply,
            AntiEntropy => AntiEntropyReply,
            Other => OtherReply,
            Members => MembersReply,
            reply => reply,
        }
    }

    /// The name used in scenario files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a frame never reached its receiver's handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The chaos layer lost it.
    Loss,
    /// The link was cut in this direction, or was cut while the frame was under way.
    Cut,
    /// The connection it was written to had lost an earlier frame, or was closed before it arrived.
    Connection,
    /// Its sender or its receiver died first.
    Crash,
}

/// A position in a Raft log: the leader that created the entry, and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPosition {
    /// The term of the leader that created the entry.
    pub term: u64,
    /// That leader.
    pub leader: HostId,
    /// The entry's index in the log.
    pub index: u64,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@T{}-{}", self.index, self.term, self.leader)
    }
}

/// What a node believes itself to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Accepts and acknowledges operations on its own authority.
    Primary,
    /// Asks to become primary.
    Candidate,
    /// Neither.
    Backup,
}

/// The part of the key space that a role is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All keys.
    All,
    /// The keys of one shard (in dual-primary: the keys whose home is the site of this index).
    Shard(u16),
}

/// One event of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Simulated time since the start of the run, in nanoseconds.
    pub t_ns: u64,
    /// Where it happened.
    pub host: HostId,
    /// Count of this host's events, going on across restarts.
    pub seq: u32,
    /// What happened.
    pub what: What,
}

/// The kinds of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// This host sent a frame.
    Send {
        /// The receiver.
        to: HostId,
        /// The frame.
        message: MessageId,
        /// What it carries.
        class: MessageKind,
        /// The message being handled or answered when it was sent, if any.
        cause: Option<MessageId>,
        /// Hash of its payload.
        payload: u64,
    },
    /// This host's handler, or the caller waiting for a reply, got a frame; a handler gets it twice if
    /// it was duplicated.
    Deliver {
        /// The sender.
        from: HostId,
        /// The frame.
        message: MessageId,
        /// What it carries.
        class: MessageKind,
    },
    /// A reply reached this host after its caller had stopped waiting, or a second time, and was discarded.
    Discard {
        /// The sender.
        from: HostId,
        /// The frame.
        message: MessageId,
        /// What it carries.
        class: MessageKind,
    },
    /// A frame this host sent will never arrive.
    Drop {
        /// The receiver it will not reach.
        to: HostId,
        /// The frame.
        message: MessageId,
        /// What it carries.
        class: MessageKind,
        /// Why.
        reason: DropReason,
    },
    /// The chaos layer delays a frame this host sent, so that later ones may overtake it.
    Delay {
        /// The receiver.
        to: HostId,
        /// The frame.
        message: MessageId,
        /// Extra time before it leaves, in nanoseconds.
        by_ns: u64,
    },
    /// A frame this host sent is held back until its link is released.
    Hold {
        /// The receiver.
        to: HostId,
        /// The frame.
        message: MessageId,
    },
    /// The chaos layer will deliver a frame this host sent a second time.
    Duplicate {
        /// The receiver.
        to: HostId,
        /// The frame.
        message: MessageId,
        /// Extra time before the second copy leaves, in nanoseconds.
        by_ns: u64,
    },
    /// A fault begins (on the world).
    FaultBegin {
        /// Its index in the schedule.
        fault: u32,
        /// The host that a target named by role resolved to, if any.
        resolved: Option<HostId>,
    },
    /// A fault ends (on the world).
    FaultEnd {
        /// Its index in the schedule.
        fault: u32,
    },
    /// A Raft node saved a vote: `committed` when a quorum is known to have granted it.
    Vote {
        /// The term voted in.
        term: u64,
        /// The candidate voted for.
        candidate: HostId,
        /// Whether the vote is known to be granted by a quorum.
        committed: bool,
    },
    /// A log entry was appended.
    Append {
        /// Where.
        at: LogPosition,
        /// Hash of its payload.
        payload: u64,
        /// The client's command that it carries, if it carries one and the system can tell.
        command: Option<Tag>,
    },
    /// The log was truncated from this index on, inclusive.
    Truncate {
        /// The first index removed.
        from: u64,
    },
    /// The log was purged up to this position, inclusive (it is covered by a snapshot).
    Purge {
        /// The last position removed.
        upto: LogPosition,
    },
    /// The node learned that the log is committed up to this position.
    Commit {
        /// The last committed position.
        upto: LogPosition,
    },
    /// A log entry was applied to the state machine.
    ApplyEntry {
        /// Its position.
        at: LogPosition,
        /// Hash of its payload.
        payload: u64,
        /// The client's command that it carries, if it carries one and the system can tell.
        command: Option<Tag>,
    },
    /// A command took effect in this node's store, directly or by replication.
    Apply {
        /// The command.
        tag: Tag,
        /// The key it touched.
        key: Key,
        /// The log entry through which it took effect; none in a system without a log.
        entry: Option<LogPosition>,
    },
    /// This node, acting as primary, acknowledged a command to its caller.
    Acknowledge {
        /// The command.
        tag: Tag,
        /// The key it touched.
        key: Key,
        /// The term or epoch in which it acted.
        term: u64,
    },
    /// A snapshot of the state up to this position was built here.
    SnapshotBuilt {
        /// The last position it covers.
        upto: Option<LogPosition>,
        /// Hash of its content, where that is the same on every node.
        payload: Option<u64>,
    },
    /// A snapshot received from another node replaced the state.
    SnapshotInstalled {
        /// The last position it covers.
        upto: Option<LogPosition>,
        /// Hash of its content.
        payload: u64,
    },
    /// Writes became durable.
    Sync {
        /// Count of writes that this made durable.
        writes: u32,
    },
    /// The node changed its role.
    Role {
        /// The new role.
        role: Role,
        /// The keys it is about.
        scope: Scope,
        /// The term or epoch.
        term: u64,
    },
    /// The process was killed.
    Crash,
    /// The process started (again).
    Start,
    /// The process stopped running (as if by SIGSTOP).
    Pause,
    /// The process runs again.
    Resume,
    /// A client invoked an operation.
    Invoke {
        /// The operation's id in the script.
        operation: u32,
        /// The client.
        client: u32,
        /// The command's identity.
        tag: Tag,
    },
    /// The operation was acknowledged.
    Ok {
        /// The operation's id in the script.
        operation: u32,
        /// Hash of the outcome.
        outcome: u64,
    },
    /// The operation definitely did not take effect.
    Fail {
        /// The operation's id in the script.
        operation: u32,
    },
    /// The operation's outcome is unknown.
    Info {
        /// The operation's id in the script.
        operation: u32,
    },
    /// A node's final state, read at the end of the run.
    Final {
        /// Hash of its key-value map.
        state: u64,
    },
    /// The disk lost power.
    PowerOff {
        /// How many writes were not synced, and are lost or torn.
        lost: u32,
    },
    /// A starting process found its state machine on disk, with every entry up to here applied.
    Restored {
        /// The last position applied; none if nothing ever was.
        upto: Option<LogPosition>,
    },
    /// A starting process found its log on disk.
    FoundLog {
        /// Its last position, purged or not; none if nothing was ever appended.
        last: Option<LogPosition>,
    },
    /// The process panicked. It is killed a moment later.
    Panic,
    /// The entry appended just before this event changes the membership.
    Members {
        /// The entry's position.
        at: LogPosition,
        /// The nodes that vote.
        voters: HostSet,
        /// While two configurations hold, the voters of the other (Raft paper, section 6).
        joint: HostSet,
        /// The nodes that receive entries and do not vote.
        learners: HostSet,
    },
}
