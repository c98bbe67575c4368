//! What a node that replicates a log does beside its engine, as a set of rules, so that the same node can be run with
//! one of them changed.

use super::durable::{Change, Disk, Engine, Machine, StoredSnapshot};
use super::journal::Commit;
use super::rows::Database;
use super::tables::{self, OpenError};
use crate::host::Host;
use crate::kv::Command;

/// What a node does before it answers a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// ReadIndex: a majority confirms that it leads.
    Confirmed,
    /// Nothing: it believes that it leads.
    Believing,
}

/// The rules of a node.
pub struct Rules<E: Engine> {
    /// Opens the database on a host's disk.
    pub open: fn(&Host) -> Result<Database, OpenError>,
    /// What a process remembers of what it found there.
    pub remember: fn(Disk<E>) -> Disk<E>,
    /// Makes changes durable.
    pub commit: Commit<Change<E>>,
    /// Whether a node waits for its disk before it speaks of entries.
    pub waits_for_disk: bool,
    /// What a state machine does before it applies a command.
    pub prepare: fn(&mut Machine<E>, &Command),
    /// Takes a snapshot.
    pub snapshot: fn(&Machine<E>) -> Result<StoredSnapshot<E>, postcard::Error>,
    /// What a node does before it answers a read.
    pub reads: Reads,
}

// Derived impls would ask it of the engine, too.
impl<E: Engine> Clone for Rules<E> {
    fn clone(&self) -> Rules<E> {
        *self
    }
}

impl<E: Engine> Copy for Rules<E> {}

impl<E: Engine> Default for Rules<E> {
    fn default() -> Rules<E> {
        Rules {
            open: |host| tables::open::<E>(host.disk()),
            remember: |disk| disk,
            commit: tables::commit,
            waits_for_disk: true,
            prepare: |_, _| (),
            snapshot: Machine::snapshot,
            reads: Reads::Confirmed,
        }
    }
}
