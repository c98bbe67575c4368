//! Clusters in which one rule is broken: the [bugs](crate::systems::bugs) of these systems.

use super::replica::{Replica, Update};
use super::rules::{Rules, Sound};
use super::tenure::Tenure;
use super::{Policy, PrimaryBackupCluster};
use crate::systems::Deployment;
use crate::systems::bugs::Bug;
use crate::systems::storage::rows::Change;
use crate::systems::together::Bugs;

/// A fresh cluster with bugs.
pub fn cluster(deployment: &Deployment, policy: Policy, bugs: Bugs) -> PrimaryBackupCluster {
    PrimaryBackupCluster::with_rules(deployment, policy, Planted(bugs))
}

/// The rules with bugs.
struct Planted(Bugs);

impl Rules for Planted {
    fn confirmed(&self, policy: Policy, tenure: &Tenure) -> u64 {
        if self.0.has(Bug::AcknowledgedBeforeBackup) {
            u64::MAX
        } else if self.0.has(Bug::QuorumOffByOne) {
            tenure.held_by((tenure.majority() - 1).max(1))
        } else {
            Sound.confirmed(policy, tenure)
        }
    }

    fn free_at_start_ns(&self, now_ns: u64, lease_ns: u64) -> u64 {
        if self.0.has(Bug::GrantForgotten) { 0 } else { Sound.free_at_start_ns(now_ns, lease_ns) }
    }

    fn free_from_ns(&self, until_ns: u64, lease_ns: u64) -> u64 {
        if self.0.has(Bug::EarlyTakeover) { until_ns.saturating_sub(lease_ns / 2) } else { until_ns }
    }

    fn apply(&self, replica: &mut Replica, update: &Update) -> Vec<Change> {
        let is_older = replica.stamp(update.key).is_some_and(|stamp| update.stamp < stamp);
        if self.0.has(Bug::LastWriterWins) && is_older {
            return replica.apply(&Update { write: None, ..*update });
        }
        replica.apply(update)
    }

    fn apply_late(&self, replica: &mut Replica, update: &Update) -> Option<Change> {
        if self.0.has(Bug::LateDuplicateApplied) { replica.write(update) } else { None }
    }
}
