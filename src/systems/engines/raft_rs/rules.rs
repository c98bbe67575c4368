//! What a node does beside raft-rs, as a set of rules, so that the same node can be run with one of them changed.

use super::state::{Change, Disk, Machine, RaftRs, StoredSnapshot};
use crate::host::Host;
use crate::kv::Command;
use crate::systems::engines::desk::Asked;
use crate::systems::storage::journal::Commit;
use crate::systems::storage::rows::Database;
use crate::systems::storage::tables::{self, OpenError};

/// What a node does before it answers a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// ReadIndex: a majority confirms that it leads.
    Confirmed,
    /// Nothing: it believes that it leads.
    Believing,
}

/// The rules of a node.
#[derive(Clone, Copy)]
pub struct Rules {
    /// Opens the database on a host's disk.
    pub open: fn(&Host) -> Result<Database, OpenError>,
    /// What a process remembers of what it found there.
    pub remember: fn(Disk) -> Disk,
    /// Makes changes durable.
    pub commit: Commit<Change>,
    /// Whether a node waits for its disk before it speaks.
    pub waits_for_disk: bool,
    /// What a state machine does before it applies a command.
    pub prepare: fn(&mut Machine, &Command),
    /// Takes a snapshot.
    pub snapshot: fn(&Machine) -> Result<StoredSnapshot, postcard::Error>,
    /// What a node does before it answers a read.
    pub reads: Reads,
    /// Whether a leader steps down when it is removed, which raft-rs leaves to its caller.
    pub removed_steps_down: bool,
    /// Whether the first election time-out that a process draws is its last.
    pub draws_once: bool,
    /// What a client is told whose command is in the log of a leader that was deposed.
    pub deposed: fn(Asked),
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            open: |host| tables::open::<RaftRs>(host.disk()),
            remember: |disk| disk,
            commit: tables::commit,
            waits_for_disk: true,
            prepare: |_, _| (),
            snapshot: Machine::snapshot,
            reads: Reads::Confirmed,
            removed_steps_down: true,
            draws_once: false,
            // Another leader may still get it committed.
            deposed: Asked::leave_open,
        }
    }
}
