//! Clusters in which one rule is broken: the [bugs](crate::systems::bugs) of these systems.

use super::replica::{Replica, Update};
use super::rules::{Rules, Sound};
use super::tenure::Tenure;
use super::{Policy, PrimaryBackupCluster};
use crate::systems::Deployment;
use crate::systems::bugs::Bug;
use crate::systems::storage::rows::Change;

/// A fresh cluster with a bug.
pub fn cluster(deployment: &Deployment, policy: Policy, bug: Bug) -> PrimaryBackupCluster {
    PrimaryBackupCluster::with_rules(deployment, policy, Planted(bug))
}

/// The rules with a bug.
struct Planted(Bug);

impl Rules for Planted {
    fn confirmed(&self, policy: Policy, tenure: &Tenure) -> u64 {
        match self.0 {
            Bug::AcknowledgedBeforeBackup => u64::MAX,
            Bug::QuorumOffByOne => tenure.held_by((tenure.majority() - 1).max(1)),
            _ => Sound.confirmed(policy, tenure),
        }
    }

    fn free_from_ns(&self, until_ns: u64, lease_ns: u64) -> u64 {
        if self.0 == Bug::EarlyTakeover { until_ns.saturating_sub(lease_ns / 2) } else { until_ns }
    }

    fn apply(&self, replica: &mut Replica, update: &Update) -> Vec<Change> {
        let is_older = replica.stamp(update.key).is_some_and(|stamp| update.stamp < stamp);
        if self.0 == Bug::LastWriterWins && is_older {
            return replica.apply(&Update { write: None, ..*update });
        }
        replica.apply(update)
    }

    fn apply_late(&self, replica: &mut Replica, update: &Update) -> Option<Change> {
        if self.0 == Bug::LateDuplicateApplied { replica.write(update) } else { None }
    }
}
