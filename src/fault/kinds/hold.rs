//! Messages are held back, and all released at the end.

use crate::fault::check::{Check, Wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::all;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Messages between `a` and `b`, both ways, are held back and all released when the fault ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// One end.
    pub a: Vec<Target>,
    /// The other end.
    pub b: Vec<Target>,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hold between {} and {}", all(&self.a), all(&self.b))
    }
}

impl Kind for Hold {
    const SORT: Sort = Sort {
        name: "hold",
        family: Family::Delay,
        title: "hold",
        does: "messages are held back, and all released at the end",
        fields: &[Field::new("a", Holds::Hosts, "one end"), Field::new("b", Holds::Hosts, "the other end")],
        drawn: Drawn::Freely,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    const CLICKS: &'static [Click<Self>] = &[Click::Link("hold its messages", |a, b| Hold { a: vec![a], b: vec![b] })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.hosts("a", &self.a)?;
        check.hosts("b", &self.b).map(|_| ())
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Hold(scene.both_ways(scene.set(&self.a), scene.set(&self.b)))
    }

    fn draw(draw: &mut Draw) -> Self {
        let (a, b) = draw.ends();
        Hold { a, b }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Hold { a: remaining.targets(&self.a)?, b: remaining.targets(&self.b)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::fold::Passage;
    use crate::fault::kinds::tests::{begun, targets};
    use crate::trace::HostId;

    #[test]
    fn both_ways_are_held_and_no_other() {
        let active = begun(Hold { a: targets(&["n1"]), b: targets(&["n2"]) }, None);
        let passage = |from, to| active.link(HostId(from), HostId(to)).passage();
        assert_eq!([passage(1, 2), passage(2, 1)], [Passage::Held; 2]);
        assert_eq!(passage(1, 3), Passage::Open { extra_ns: 0 });
    }
}
