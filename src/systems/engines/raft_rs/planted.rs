//! The store on raft-rs with one of the [bugs](crate::systems::bugs) that are not openraft's: each changes one rule.

use super::rules::{Reads, Rules};
use super::state::{Disk, Machine, RaftRs};
use crate::kv::Store;
use crate::systems::bugs::Bug;
use crate::systems::storage::tables;
use redb::backends::InMemoryBackend;
use std::collections::BTreeMap;

/// The rules of a node that has this bug.
///
/// # Panics
/// For a bug that is not in [`Bug::ON_RAFT_RS`].
pub fn rules(bug: Bug) -> Rules {
    let sound = Rules::default();
    match bug {
        Bug::RaftAmnesia => Rules { remember: |disk| Disk { vote: None, ..disk }, ..sound },
        Bug::AcknowledgedBeforeSync => Rules { waits_for_disk: false, ..sound },
        Bug::SyncErrorIgnored => {
            let commit = |database: &_, changes: &[_]| {
                if let Err(error) = tables::commit(database, changes) {
                    tracing::warn!("a commit failed: {error}");
                }
                Ok(())
            };
            Rules { commit, ..sound }
        }
        Bug::BlankStart => Rules {
            open: |host| match tables::open::<RaftRs>(host.disk()) {
                Err(_) => tables::open::<RaftRs>(InMemoryBackend::new()),
                opened => opened,
            },
            ..sound
        },
        Bug::SnapshotWithoutSessions => Rules {
            snapshot: |machine| {
                let store = Store::from_parts(machine.store.values().clone(), BTreeMap::new());
                Machine { store, ..machine.clone() }.snapshot()
            },
            ..sound
        },
        Bug::RetryAppliedAgain => Rules {
            prepare: |machine, command| {
                let mut sessions = machine.store.sessions().clone();
                sessions.remove(&command.tag.session);
                machine.store = Store::from_parts(machine.store.values().clone(), sessions);
            },
            ..sound
        },
        Bug::RefusedAfterAppend => Rules { deposed: |asked| asked.refuse(None), ..sound },
        Bug::ReadWithoutReadIndex => Rules { reads: Reads::Believing, ..sound },
        other => unreachable!("{other} is not planted in raft-rs"),
    }
}
