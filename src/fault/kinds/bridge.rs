//! Two halves that are connected only through one node.

use crate::fault::check::{Check, Wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::all;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Two halves that cannot talk to each other, and one node that talks to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {
    /// One half.
    pub left: Vec<Target>,
    /// The node in between.
    pub middle: Target,
    /// The other half.
    pub right: Vec<Target>,
}

impl fmt::Display for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} | {} with {} as a bridge", all(&self.left), all(&self.right), self.middle.0)
    }
}

impl Kind for Bridge {
    const SORT: Sort = Sort {
        name: "bridge",
        family: Family::Cut,
        title: "bridge",
        does: "two halves, connected only through one node",
        fields: &[
            Field::new("left", Holds::Hosts, "one half"),
            Field::new("middle", Holds::Host, "the node in between"),
            Field::new("right", Holds::Hosts, "the other half"),
        ],
        drawn: Drawn::Freely,
        least_nodes: 3,
        leaves: Leaves::Able,
    };

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        let left = check.hosts("left", &self.left)?;
        let right = check.hosts("right", &self.right)?;
        let middle = check.hosts("middle", std::slice::from_ref(&self.middle))?;
        check.apart("right", left, right)?;
        check.apart("middle", left.union(right), middle)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Cut(scene.both_ways(scene.set(&self.left), scene.set(&self.right)))
    }

    fn draw(draw: &mut Draw) -> Self {
        let mut nodes = draw.nodes();
        let middle = nodes.swap_remove(0);
        let (left, right) = draw.split(nodes);
        Bridge { left, middle, right }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        let (left, right) = (remaining.targets(&self.left)?, remaining.targets(&self.right)?);
        Some(Bridge { left, middle: remaining.target(&self.middle)?, right })
    }

    fn plain_cut(&self) -> Option<Vec<Vec<Target>>> {
        Some(vec![self.left.clone(), self.right.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, both, cuts, mistake, target, targets};
    use crate::fault::kinds::{FaultKind, Partition};

    fn bridge(left: &[&str], middle: &str, right: &[&str]) -> Bridge {
        Bridge { left: targets(left), middle: target(middle), right: targets(right) }
    }

    #[test]
    fn its_middle_is_kept() {
        let bridge = begun(bridge(&["n1", "n2"], "n3", &["west.nodes"]), None);
        assert_eq!(cuts(&bridge), both(&[(1, 4), (1, 5), (2, 4), (2, 5)]));
    }

    #[test]
    fn a_mistake_is_named() {
        assert!(mistake(bridge(&["east"], "n3", &["west"])).contains("in two groups"));
        assert!(mistake(bridge(&["n1"], "n3", &["n1"])).contains("in two groups"));
    }

    #[test]
    fn without_the_one_in_between_the_two_halves_are_simply_apart() {
        let bridge: FaultKind = bridge(&["n1"], "n3", &["n4", "n5"]).into();
        let without = |gone: &'static str| {
            bridge.among(&Remaining(&move |target: &Target| (target.0 != gone).then(|| target.clone())))
        };
        let apart = Partition { groups: vec![targets(&["n1"]), targets(&["n4", "n5"])] };
        assert_eq!(without("n3"), Some(apart.into()));
        assert_eq!(without("n1"), None);
    }
}
