//! No message passes between groups of hosts.

use crate::fault::check::{Check, Wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::apart;
use serde::{Deserialize, Serialize};
use std::fmt;

/// No message passes between hosts of different groups. A host in no group talks to all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Disjoint groups of hosts.
    pub groups: Vec<Vec<Target>>,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {}", apart(&self.groups))
    }
}

impl Kind for Partition {
    const SORT: Sort = Sort {
        name: "partition",
        family: Family::Cut,
        title: "partition",
        does: "no message passes between hosts of different groups",
        fields: &[Field::new("groups", Holds::Groups, "disjoint groups of hosts")],
        drawn: Drawn::Freely,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    const CLICKS: &'static [Click<Self>] =
        &[Click::Link("cut it", |a, b| Partition { groups: vec![vec![a], vec![b]] })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.groups(&self.groups)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Cut(scene.between_groups(&self.groups))
    }

    fn draw(draw: &mut Draw) -> Self {
        Partition { groups: draw.groups() }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Partition { groups: remaining.groups(&self.groups)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, both, cuts, mistake, targets};

    fn partition(groups: &[&[&str]]) -> Partition {
        Partition { groups: groups.iter().map(|group| targets(group)).collect() }
    }

    #[test]
    fn a_site_is_cut_with_its_clients() {
        let across: Vec<(u16, u16)> =
            [1, 2, 3, 6].into_iter().flat_map(|east| [4, 5, 7].map(|west| (east, west))).collect();
        assert_eq!(cuts(&begun(partition(&[&["east"], &["west"]]), None)), both(&across));
    }

    #[test]
    fn a_host_in_no_group_talks_to_all() {
        assert_eq!(cuts(&begun(partition(&[&["n1"], &["n2"]]), None)), both(&[(1, 2)]));
    }

    #[test]
    fn a_mistake_is_named_with_what_is_allowed() {
        assert_eq!(
            mistake(partition(&[&["east"], &["wset"]])),
            "fault 0 (`partition` at 5000 ms), `groups`: `wset` names no node or site; allowed: n1, n2, n3, n4, n5, \
             east, east.nodes, east.clients, west, west.nodes, west.clients"
        );
        assert_eq!(
            mistake(partition(&[&["east"], &["west", "n2"]])),
            "fault 0 (`partition` at 5000 ms), `groups`: `n2` is in two groups; allowed: groups that share no host"
        );
        assert!(mistake(partition(&[&["east"]])).contains("give two or more groups"));
        let role = mistake(partition(&[&["@leader"], &["west"]]));
        assert!(role.contains("not allowed here") && role.contains("roles only in one_way, isolate, kill"), "{role}");
    }
}
