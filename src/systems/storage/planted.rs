//! The [bugs](crate::systems::bugs) that are no matter of an engine: each changes one rule of the node around it.

use super::durable::{Disk, Engine, Machine};
use super::rules::{Reads, Rules};
use super::tables;
use crate::kv::Store;
use crate::systems::bugs::Bug;
use redb::backends::InMemoryBackend;
use std::collections::BTreeMap;

/// The rules of a node that has this bug; `None` for a bug that changes none of them.
pub fn rules<E: Engine>(bug: Bug) -> Option<Rules<E>> {
    let sound = Rules::default();
    Some(match bug {
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
            open: |host| match tables::open::<E>(host.disk()) {
                Err(_) => tables::open::<E>(InMemoryBackend::new()),
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
        Bug::ReadWithoutReadIndex => Rules { reads: Reads::Believing, ..sound },
        _ => return None,
    })
}
