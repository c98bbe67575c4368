//! The decisions that the policies' promises rest on, in one place.

use super::Policy;
use super::replica::{Replica, Update};
use super::tenure::Tenure;
use crate::systems::storage::rows::Change;

/// How a node decides. Each rule is as it must be by default.
pub trait Rules {
    /// How many updates a primary may call confirmed: acknowledge them, and show them to readers.
    fn confirmed(&self, policy: Policy, tenure: &Tenure) -> u64 {
        match policy {
            Policy::Asynchronous => tenure.durable,
            Policy::Synchronous => tenure.held_by_all(),
            Policy::Lease => tenure.held_by_majority(),
        }
    }

    /// From when on a node may grant the lease to another one, of a lease of this length that lasts until `until_ns`.
    fn free_from_ns(&self, until_ns: u64, _lease_ns: u64) -> u64 {
        until_ns
    }

    /// Makes an update that follows the state; with it what changes on the disk.
    fn apply(&self, replica: &mut Replica, update: &Update) -> Vec<Change> {
        replica.apply(update)
    }

    /// What a backup makes of an update that it is past already, which comes late or a second time: nothing.
    fn apply_late(&self, _replica: &mut Replica, _update: &Update) -> Option<Change> {
        None
    }
}

/// Every rule by default.
pub struct Sound;

impl Rules for Sound {}
