//! What the bugs of the state machine do, kept out of its way.

use super::state_machine::Machine;
use super::tables::{self, Change};
use super::types::NodeId;
use crate::host::{Host, lock};
use crate::kv::{Command, Store};
use crate::systems::bugs::Bug;
use crate::systems::storage::journal::Commit;
use openraft::{EmptyNode, StoredMembership};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// How long a session may be idle before a replica forgets it, with [`Bug::SessionsExpireByClock`].
const IDLE_NS: u64 = 1_000_000_000;

/// Makes changes in one commit, or does not, and says that it did ([`Bug::SyncErrorIgnored`]).
pub const COMMIT_OR_NOT: Commit<Change> = |database, changes| {
    if let Err(error) = tables::commit(database, changes) {
        tracing::warn!("a commit failed: {error}");
    }
    Ok(())
};

/// The bug of a state machine, if it has one.
#[derive(Clone)]
pub struct Planted {
    bug: Option<Bug>,
    host: Host,
    /// The configuration that the cluster was founded with.
    first: StoredMembership<NodeId, EmptyNode>,
    /// When each session was last used, by this node's clock.
    used_ns: Arc<Mutex<BTreeMap<u64, u64>>>,
}

impl Planted {
    /// The bug of a process on `host` that starts with `machine`.
    pub fn new(
        bug: Option<Bug>,
        host: Host,
        first: StoredMembership<NodeId, EmptyNode>,
        machine: &mut Machine,
    ) -> Planted {
        let planted = Planted { bug, host, first, used_ns: Arc::default() };
        planted.forgets_members(machine);
        planted
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn forgets_members(&self, machine: &mut Machine) {
        if self.is(Bug::MembershipNotSaved) && machine.applied.is_some() {
            machine.membership = self.first.clone();
        }
    }

    /// Whether what is known to be committed may be lost with the process.
    pub fn forgets_committed(&self) -> bool {
        self.is(Bug::ReadAfterRestart)
    }

    /// Before a command is applied.
    pub fn before_apply(&self, machine: &mut Machine, command: &Command) {
        let session = command.tag.session;
        let is_forgotten = match self.bug {
            Some(Bug::RetryAppliedAgain) => true,
            Some(Bug::SessionsExpireByClock) => {
                let now_ns = self.host.local_ns();
                let used_ns = lock(&self.used_ns).insert(session, now_ns);
                used_ns.is_some_and(|used_ns| now_ns.saturating_sub(used_ns) > IDLE_NS)
            }
            _ => false,
        };
        if is_forgotten {
            let mut sessions = machine.store.sessions().clone();
            sessions.remove(&session);
            machine.store = Store::from_parts(machine.store.values().clone(), sessions);
        }
    }

    /// What goes into a snapshot of `machine`.
    pub fn for_snapshot(&self, mut machine: Machine) -> Machine {
        self.forgets_members(&mut machine);
        if self.is(Bug::SnapshotWithoutSessions) {
            machine.store = Store::from_parts(machine.store.values().clone(), BTreeMap::new());
        }
        machine
    }

    /// Whether the label of a snapshot is made after its data was written.
    pub fn labels_late(&self) -> bool {
        self.is(Bug::SnapshotBehindItsLabel)
    }

    /// What becomes of the machine `old` when `new` is installed.
    pub fn installed(&self, old: &Machine, mut new: Machine) -> Machine {
        if self.is(Bug::SnapshotMerged) {
            let mut values = old.store.values().clone();
            values.extend(new.store.values());
            new.store = Store::from_parts(values, new.store.sessions().clone());
        }
        new
    }
}
