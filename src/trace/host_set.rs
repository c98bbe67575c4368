//! Sets of hosts.

use super::HostId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A set of hosts, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostSet(u64);

impl HostSet {
    /// No host.
    pub const EMPTY: HostSet = HostSet(0);

    /// The set of one host.
    pub fn one(host: HostId) -> HostSet {
        HostSet(1 << host.index())
    }

    /// Whether `host` is in it.
    pub fn contains(self, host: HostId) -> bool {
        self.0 >> host.index() & 1 == 1
    }

    /// Whether it has no host.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many hosts it has.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The hosts of either.
    pub fn union(self, other: HostSet) -> HostSet {
        HostSet(self.0 | other.0)
    }

    /// The hosts of both.
    pub fn intersection(self, other: HostSet) -> HostSet {
        HostSet(self.0 & other.0)
    }

    /// The hosts of this one that are not in `other`.
    pub fn minus(self, other: HostSet) -> HostSet {
        HostSet(self.0 & !other.0)
    }

    /// The hosts, ascending.
    pub fn iter(self) -> impl Iterator<Item = HostId> {
        (0..64u16).map(HostId).filter(move |host| self.contains(*host))
    }
}

impl FromIterator<HostId> for HostSet {
    fn from_iter<I: IntoIterator<Item = HostId>>(hosts: I) -> Self {
        hosts.into_iter().fold(HostSet::EMPTY, |set, host| set.union(HostSet::one(host)))
    }
}

impl fmt::Display for HostSet {
    /// `n1, n3`; the names of nodes, as [`HostId`] gives them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.iter().map(|host| host.to_string()).collect();
        f.write_str(&names.join(", "))
    }
}
