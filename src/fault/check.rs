//! Checks of a fault's fields: the hosts they name, and the range of a number.

use super::chaos::Chaos;
use super::topology::{Resolved, Target, Topology};
use crate::trace::HostSet;
use std::ops::RangeInclusive;

/// What is wrong with one field: (field, problem, what is allowed).
pub type Wrong = (&'static str, String, String);

/// Lengths and counts of a fault. The upper bound, a day in milliseconds, keeps nanoseconds from overflowing.
pub const UP_TO_A_DAY: RangeInclusive<u64> = 1..=86_400_000;
/// Probabilities in parts per million, 0 included.
pub const PROBABILITY_PPM: RangeInclusive<u32> = 0..=1_000_000;
/// Delays of single messages, in milliseconds: up to an hour.
pub const DELAY_MS: RangeInclusive<u64> = 0..=3_600_000;

/// The complaint about a field.
///
/// # Errors
/// Always.
pub fn wrong<T>(field: &'static str, problem: impl Into<String>, help: impl Into<String>) -> Result<T, Wrong> {
    Err((field, problem.into(), help.into()))
}

/// Whether a length or a count is within [`UP_TO_A_DAY`].
///
/// # Errors
/// If not.
pub fn positive(field: &'static str, value: u64) -> Result<(), Wrong> {
    if UP_TO_A_DAY.contains(&value) {
        Ok(())
    } else {
        wrong(field, format!("{value} ms is out of range"), "allowed: 1 to 86400000 (a day)")
    }
}

/// Checks the probabilities and lengths of a chaos setting.
///
/// # Errors
/// The first one that is out of range.
pub fn message_chaos(chaos: &Chaos) -> Result<(), Wrong> {
    let probabilities =
        [("loss_ppm", chaos.loss_ppm), ("reorder_ppm", chaos.reorder_ppm), ("duplicate_ppm", chaos.duplicate_ppm)];
    for (field, ppm) in probabilities {
        if !PROBABILITY_PPM.contains(&ppm) {
            return wrong(field, format!("{ppm} is more than certain"), "allowed: 0 to 1000000 parts per million");
        }
    }
    if chaos.reorder_ppm > 0 && chaos.reorder_ms == 0 {
        return wrong("reorder_ms", "messages are reordered by no time at all", "allowed: 1 and more");
    }
    for (field, ms) in [("reorder_ms", chaos.reorder_ms), ("jitter_ms", chaos.jitter_ms)] {
        if !DELAY_MS.contains(&ms) {
            return wrong(field, format!("{ms} ms is longer than an hour"), "allowed: 0 to 3600000");
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Roles {
    Allowed,
    Refused,
}

/// What names of hosts are checked against.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// The hosts of the run.
    pub topology: &'a Topology,
    /// The kinds of fault that may name a role, for the error of a kind that may not.
    pub role_takers: &'a [&'static str],
}

impl Check<'_> {
    /// The hosts that these targets name: at least one target, no roles.
    ///
    /// # Errors
    /// What is wrong with the names.
    pub fn hosts(&self, field: &'static str, targets: &[Target]) -> Result<HostSet, Wrong> {
        not_empty(field, targets)?;
        self.resolve(field, targets, Roles::Refused)
    }

    /// The hosts that these targets name: perhaps none, no roles.
    ///
    /// # Errors
    /// What is wrong with the names.
    pub fn any_hosts(&self, field: &'static str, targets: &[Target]) -> Result<HostSet, Wrong> {
        self.resolve(field, targets, Roles::Refused)
    }

    /// The hosts that these targets name: at least one target. Roles are allowed and left out of the result.
    ///
    /// # Errors
    /// What is wrong with the names.
    pub fn hosts_or_role(&self, field: &'static str, targets: &[Target]) -> Result<HostSet, Wrong> {
        not_empty(field, targets)?;
        self.resolve(field, targets, Roles::Allowed)
    }

    /// Checks the `target` of a fault of processes, disks or clocks: a node, the nodes of a site, or a role.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn node_or_role(&self, target: &Target) -> Result<(), Wrong> {
        let set = self.hosts_or_role("target", std::slice::from_ref(target))?;
        match set.minus(self.topology.all_nodes()).iter().next() {
            Some(client) => wrong(
                "target",
                format!("`{}` includes `{}`, which is no node", target.0, self.topology.name(client)),
                "allowed: a node, the nodes of a site (`SITE.nodes`), or a role",
            ),
            None => Ok(()),
        }
    }

    /// Whether a target names a role.
    pub fn is_role(&self, target: &Target) -> bool {
        matches!(self.topology.resolve(target), Ok(Resolved::Role(_)))
    }

    /// Checks groups: at least two, and no host in two of them.
    ///
    /// # Errors
    /// What is wrong with the groups.
    pub fn groups(&self, groups: &[Vec<Target>]) -> Result<(), Wrong> {
        if groups.len() < 2 {
            return wrong(
                "groups",
                format!("{} group(s) cannot be cut apart", groups.len()),
                "give two or more groups",
            );
        }
        let mut seen = HostSet::EMPTY;
        for group in groups {
            let set = self.hosts("groups", group)?;
            self.apart("groups", seen, set)?;
            seen = seen.union(set);
        }
        Ok(())
    }

    /// Checks that two sets share no host.
    ///
    /// # Errors
    /// If they do; the error is about `field`.
    pub fn apart(&self, field: &'static str, one: HostSet, other: HostSet) -> Result<(), Wrong> {
        match one.intersection(other).iter().next() {
            Some(host) => {
                let problem = format!("`{}` is in two groups", self.topology.name(host));
                wrong(field, problem, "allowed: groups that share no host")
            }
            None => Ok(()),
        }
    }

    fn resolve(&self, field: &'static str, targets: &[Target], roles: Roles) -> Result<HostSet, Wrong> {
        let hosts = self.topology.names.len();
        if targets.len() > 3 * hosts {
            return wrong(field, format!("{} names for {} hosts", targets.len(), hosts - 1), "name each once");
        }
        let mut set = HostSet::EMPTY;
        for target in targets {
            match self.topology.resolve(target) {
                Ok(Resolved::Hosts(hosts)) => set = set.union(hosts),
                Ok(Resolved::Role(_)) if roles == Roles::Allowed => {}
                Ok(Resolved::Role(role)) => {
                    return wrong(
                        field,
                        format!("the role `{role}` is not allowed here"),
                        format!("allowed: nodes and sites; roles only in {}", self.role_takers.join(", ")),
                    );
                }
                Err(unknown) => {
                    let roles = |name: &&String| roles == Roles::Allowed || !name.starts_with('@');
                    let allowed: Vec<&str> = unknown.allowed.iter().filter(roles).map(String::as_str).collect();
                    let allowed = format!("allowed: {}", allowed.join(", "));
                    return wrong(field, format!("`{}` names no node or site", unknown.name), allowed);
                }
            }
        }
        Ok(set)
    }
}

fn not_empty(field: &'static str, targets: &[Target]) -> Result<(), Wrong> {
    if targets.is_empty() {
        return wrong(field, "it is empty", "name at least one node or site");
    }
    Ok(())
}
