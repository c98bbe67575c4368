//! Aimed faults: a fault that begins when something happens, instead of at a time of its own.
//!
//! An aim is a moment and a delay. It is data like the rest of a fault, and the watch is deterministic: the simulator
//! looks at the events of each step once the step is over, so a fault begins between two steps, as every fault does.
//! [`acted`](super::acted) says what is recorded of it.

use crate::trace::{Event, MessageKind, Role, What};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The moment at which a fault begins: an event, and a delay after it. The first one at or after the fault's `at_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aim {
    /// What it waits for.
    pub event: Moment,
    /// How long after that it begins, in milliseconds. For [`Moment::PrimaryUnheard`]: how long the silence lasts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
}

fn is_zero(ms: &u64) -> bool {
    *ms == 0
}

macro_rules! moments {
    ($($(#[$($doc:tt)*])* $moment:ident = $name:literal, $what:literal;)*) => {
        /// What an aimed fault waits for. Each happens at a node, which the target `@there` names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Moment {
            $(#[doc = $what] #[serde(rename = $name)] $moment,)*
        }

        impl Moment {
            /// Every moment.
            pub const ALL: &'static [Moment] = &[$(Moment::$moment),*];

            /// The name in scenario files.
            pub fn name(self) -> &'static str {
                match self { $(Moment::$moment => $name,)* }
            }

            /// What it is, in words that go on after "when".
            pub fn what(self) -> &'static str {
                match self { $(Moment::$moment => $what,)* }
            }
        }
    };
}

moments! {
    PrimaryElected = "primary_elected", "a node becomes primary";
    Candidacy = "candidacy", "a node asks to become primary";
    VoteSaved = "vote_saved", "a node saves a vote";
    EntryAppended = "entry_appended", "an entry is in a node's log";
    WriteUnsynced = "write_unsynced", "a node's disk holds writes that are not synced";
    LogTruncated = "log_truncated", "a node deletes entries of its log";
    SnapshotBuilt = "snapshot_built", "a node has built a snapshot";
    SnapshotArriving = "snapshot_arriving", "a node gets a part of a snapshot";
    SnapshotInstalled = "snapshot_installed", "a node has installed a snapshot";
    MembersJoint = "members_joint", "two configurations hold at once";
    CommandAcknowledged = "command_acknowledged", "a primary acknowledges a command";
    ReplySent = "reply_sent", "a node answers another node, and the answer is under way";
    PrimaryUnheard = "primary_unheard", "nothing from another node has reached the primary for so long";
    Restarted = "restarted", "a node's process has started again";
}

impl Moment {
    /// Whether this event is the moment. [`Moment::WriteUnsynced`] and [`Moment::PrimaryUnheard`] are no events: the
    /// simulator asks disks and clocks.
    pub fn is(self, event: &Event) -> bool {
        match (self, event.what) {
            (Moment::PrimaryElected, What::Role { role: Role::Primary, .. })
            | (Moment::Candidacy, What::Role { role: Role::Candidate, .. })
            | (Moment::VoteSaved, What::Vote { .. })
            | (Moment::EntryAppended, What::Append { .. })
            | (Moment::LogTruncated, What::Truncate { .. })
            | (Moment::SnapshotBuilt, What::SnapshotBuilt { .. })
            | (Moment::SnapshotArriving, What::Deliver { class: MessageKind::InstallSnapshot, .. })
            | (Moment::SnapshotInstalled, What::SnapshotInstalled { .. })
            | (Moment::CommandAcknowledged, What::Acknowledge { .. }) => true,
            (Moment::MembersJoint, What::Members { joint, .. }) => !joint.is_empty(),
            (Moment::ReplySent, What::Send { class, .. }) => {
                class == class.reply()
                    && !matches!(class, MessageKind::RequestReply | MessageKind::MembersReply | MessageKind::Segment)
            }
            (Moment::Restarted, What::Start) => event.seq > 0,
            _ => false,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "when {}", self.event.what())?;
        match self.delay_ms {
            0 => Ok(()),
            ms if self.event == Moment::PrimaryUnheard => write!(f, " ({ms} ms)"),
            ms => write!(f, ", {ms} ms later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_files() {
        for moment in Moment::ALL {
            assert_eq!(serde_json::to_value(moment).unwrap(), moment.name());
        }
    }
}
