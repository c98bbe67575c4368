//! The decisions on which the policies' promises rest, in one place.

use super::Policy;
use super::replica::{Replica, Update};
use super::tenure::Tenure;
use crate::systems::storage::rows::Change;

/// The rules by which a node decides. Each default is the correct one.
pub trait Rules {
    /// How many updates a primary may count as confirmed: those it may acknowledge and show to readers.
    fn confirmed(&self, policy: Policy, tenure: &Tenure) -> u64 {
        match policy {
            Policy::Asynchronous => tenure.durable,
            Policy::Synchronous => tenure.held_by_all(),
            Policy::Lease => tenure.held_by_majority(),
        }
    }

    /// When a node may grant the lease to another node, given that a lease of this length lasts until `until_ns`.
    fn free_from_ns(&self, until_ns: u64, _lease_ns: u64) -> u64 {
        until_ns
    }

    /// Until when a process that finds a state on its disk grants no lease: the last one may have granted one.
    fn free_at_start_ns(&self, now_ns: u64, lease_ns: u64) -> u64 {
        now_ns + lease_ns
    }

    /// Applies an update that follows the state; returns the changes on the disk.
    fn apply(&self, replica: &mut Replica, update: &Update) -> Vec<Change> {
        replica.apply(update)
    }

    /// Handles an update that a backup already has, because it came late or a second time. The correct rule ignores it.
    fn apply_late(&self, _replica: &mut Replica, _update: &Update) -> Option<Change> {
        None
    }
}

/// The correct rules: every default.
pub struct Sound;

impl Rules for Sound {}
