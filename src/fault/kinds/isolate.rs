//! One host is cut off from all others.

use crate::fault::check::{Check, Wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::trace::HostSet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One host, or the holder of a role, is cut off from every other node; with `from_clients`, from clients too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Isolate {
    /// The host or role.
    pub target: Target,
    /// Whether client hosts are cut off as well.
    #[serde(default)]
    pub from_clients: bool,
}

impl fmt::Display for Isolate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "isolation of {}{}", self.target.0, if self.from_clients { ", from clients too" } else { "" })
    }
}

impl Isolate {
    /// An isolation of the leader, as the nemesis draws it.
    pub fn of_leader(draw: &mut Draw) -> Isolate {
        Isolate { target: Draw::leader(), from_clients: draw.one_in(4) }
    }
}

impl Kind for Isolate {
    const SORT: Sort = Sort {
        name: "isolate",
        family: Family::Cut,
        title: "isolation",
        does: "one host is cut off from all nodes; from clients too, if requested",
        fields: &[
            Field::new("target", Holds::HostOrRole, "the host or role"),
            Field::new("from_clients", Holds::Flag, "whether client hosts are cut off as well").optional(),
        ],
        drawn: Drawn::Freely,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    const CLICKS: &'static [Click<Self>] = &[
        Click::Node("cut it from the other nodes", |target| Isolate { target, from_clients: false }),
        Click::Node("cut it from everybody", |target| Isolate { target, from_clients: true }),
    ];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.hosts_or_role("target", std::slice::from_ref(&self.target)).map(|_| ())
    }

    fn effect(&self, scene: &Scene) -> Effect {
        let inside = scene.one(&self.target);
        let clients = if self.from_clients { scene.topology.all_clients() } else { HostSet::EMPTY };
        let outside = scene.topology.all_nodes().union(clients).minus(inside);
        Effect::Cut(scene.both_ways(inside, outside))
    }

    fn draw(draw: &mut Draw) -> Self {
        Isolate { target: draw.victim(), from_clients: draw.one_in(4) }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Isolate { target: remaining.target(&self.target)?, ..self.clone() })
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, both, cuts, target};

    #[test]
    fn clients_are_spared_unless_told() {
        let isolate = |from_clients| Isolate { target: target("@leader"), from_clients };
        assert_eq!(cuts(&begun(isolate(false), Some(5))), both(&[(1, 5), (2, 5), (3, 5), (4, 5)]));
        let all = both(&[(1, 5), (2, 5), (3, 5), (4, 5), (5, 6), (5, 7)]);
        assert_eq!(cuts(&begun(isolate(true), Some(5))), all);
        let site = cuts(&begun(Isolate { target: target("west"), from_clients: false }, None));
        assert!(site.contains(&(4, 1)) && site.contains(&(7, 1)) && !site.contains(&(4, 5)) && !site.contains(&(6, 4)));
    }
}
