//! Each node sees a majority, and no two nodes see the same one.

use crate::fault::check::{Check, Wrong, wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::all;
use crate::trace::HostSet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// With fewer nodes there is no such ring.
const LEAST_NODES: usize = 3;

/// Every node sees a majority, and no two see the same one (Jepsen's "majorities ring"). Each node talks only to its
/// nearest neighbours in this order, as many as make a majority. Clients are not affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MajoritiesRing {
    /// The order of the nodes around the ring.
    pub order: Vec<Target>,
}

impl fmt::Display for MajoritiesRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ring of majorities {}", all(&self.order))
    }
}

impl Kind for MajoritiesRing {
    const SORT: Sort = Sort {
        name: "majorities_ring",
        family: Family::Cut,
        title: "ring",
        does: "each node sees a majority, and no two see the same",
        fields: &[Field::new("order", Holds::Nodes, "all nodes, each once, in their order around the ring")],
        drawn: Drawn::Freely,
        least_nodes: LEAST_NODES,
        leaves: Leaves::Able,
    };

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        let topology = check.topology;
        let help = format!("allowed: each of {} exactly once", topology.names[1..=topology.nodes].join(", "));
        let mut seen = HostSet::EMPTY;
        for target in &self.order {
            let set = check.hosts("order", std::slice::from_ref(target))?;
            if set.len() != 1 || !set.minus(topology.all_nodes()).is_empty() {
                return wrong("order", format!("`{}` is not one node", target.0), help);
            }
            if !seen.intersection(set).is_empty() {
                return wrong("order", format!("`{}` is in it twice", target.0), help);
            }
            seen = seen.union(set);
        }
        if topology.nodes < LEAST_NODES {
            return wrong("order", "a ring of majorities needs three nodes", "use `partition` instead");
        }
        match topology.all_nodes().minus(seen).iter().next() {
            Some(missing) => wrong("order", format!("`{}` is missing", topology.name(missing)), help),
            None => Ok(()),
        }
    }

    fn effect(&self, scene: &Scene) -> Effect {
        // As in Jepsen: the node in the middle of each window of a majority hears from that window only.
        let ring: Vec<HostSet> = self.order.iter().map(|target| scene.one(target)).collect();
        let majority = ring.len() / 2 + 1;
        let mut links = scene.no_links();
        for (index, hears) in ring.iter().enumerate() {
            for step in majority..ring.len() {
                let deaf_to = ring[(index + ring.len() - majority / 2 + step) % ring.len()];
                links.add(deaf_to, *hears);
            }
        }
        Effect::Cut(links)
    }

    fn draw(draw: &mut Draw) -> Self {
        MajoritiesRing { order: draw.nodes() }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        let order = remaining.targets(&self.order)?;
        (order.len() >= LEAST_NODES).then_some(MajoritiesRing { order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, begun_in, both, cuts, mistake, target, targets};
    use crate::fault::topology::{SiteShape, Topology};
    use crate::trace::HostId;

    #[test]
    fn every_node_hears_a_majority_and_no_two_the_same() {
        for nodes in 3u16..=9 {
            let shape = SiteShape { name: "all".into(), nodes, clients: true, witness: false };
            let topology = Topology::of([shape]);
            let order: Vec<Target> = topology.node_ids().map(|id| target(topology.name(id))).collect();
            let active = begun_in(&topology, MajoritiesRing { order }, None);
            let mut views: Vec<Vec<u16>> = Vec::new();
            for to in topology.node_ids() {
                let hears = topology.node_ids().filter(|from| !active.link(*from, to).cut).map(|from| from.0).collect();
                views.push(hears);
                let client = HostId(nodes + 1);
                assert!(!active.link(client, to).cut && !active.link(to, client).cut);
            }
            assert!(views.iter().all(|view| view.len() == usize::from(nodes / 2 + 1)), "{nodes}: {views:?}");
            assert!((0..views.len()).all(|index| views[index].contains(&(index as u16 + 1))));
            views.sort();
            views.dedup();
            assert_eq!(views.len(), usize::from(nodes));
        }
    }

    #[test]
    fn a_ring_of_five_is_the_classic_one() {
        let ring = begun(MajoritiesRing { order: targets(&["n1", "n2", "n3", "n4", "n5"]) }, None);
        assert_eq!(cuts(&ring), both(&[(1, 3), (1, 4), (2, 4), (2, 5), (3, 5)]));
    }

    #[test]
    fn a_mistake_is_named() {
        let ring = |order: &[&str]| MajoritiesRing { order: targets(order) };
        assert!(mistake(ring(&["n1", "n2", "n3", "n4"])).contains("`n5` is missing"));
        assert!(mistake(ring(&["n1", "n1", "n3", "n4", "n5"])).contains("twice"));
        assert!(mistake(ring(&["east"])).contains("not one node"));
    }
}
