//! A partition that comes and goes.

use crate::fault::check::{Check, Wrong, positive};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Drawn, Family, Flaps, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::apart;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A partition that comes and goes: cut for `down_ms`, then whole for `up_ms`, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flapping {
    /// Disjoint groups of hosts.
    pub groups: Vec<Vec<Target>>,
    /// Milliseconds cut.
    pub down_ms: u64,
    /// Milliseconds whole.
    pub up_ms: u64,
}

impl fmt::Display for Flapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Flapping { groups, down_ms, up_ms } = self;
        write!(f, "flapping partition {}, {down_ms} ms cut and {up_ms} ms whole", apart(groups))
    }
}

impl Kind for Flapping {
    const SORT: Sort = Sort {
        name: "flapping",
        family: Family::Cut,
        title: "flapping",
        does: "a partition that comes and goes",
        fields: &[
            Field::new("groups", Holds::Groups, "disjoint groups of hosts"),
            Field::positive("down_ms", "milliseconds cut"),
            Field::positive("up_ms", "milliseconds whole"),
        ],
        drawn: Drawn::Freely,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.groups(&self.groups)?;
        positive("down_ms", self.down_ms)?;
        positive("up_ms", self.up_ms)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Cut(scene.between_groups(&self.groups))
    }

    fn draw(draw: &mut Draw) -> Self {
        let range = draw.ranges.flap_ms;
        Flapping { groups: draw.groups(), down_ms: draw.within(range), up_ms: draw.within(range) }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Flapping { groups: remaining.groups(&self.groups)?, ..*self })
    }

    fn plain_cut(&self) -> Option<Vec<Vec<Target>>> {
        Some(self.groups.clone())
    }

    fn flaps(&self) -> Option<Flaps> {
        Some(Flaps { down_ms: self.down_ms, up_ms: self.up_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, both, cuts, mistake, targets};

    fn flapping(down_ms: u64, up_ms: u64) -> Flapping {
        Flapping { groups: vec![targets(&["n1"]), targets(&["n2"])], down_ms, up_ms }
    }

    #[test]
    fn it_is_cut_until_it_flaps_and_then_again() {
        let mut active = begun(flapping(5, 5), None);
        assert_eq!(cuts(&active), both(&[(1, 2)]));
        active.flap(0, false);
        assert_eq!(cuts(&active), []);
        active.flap(0, true);
        assert_eq!(cuts(&active), both(&[(1, 2)]));
    }

    #[test]
    fn a_mistake_is_named() {
        assert!(mistake(flapping(0, 1)).contains("`down_ms`"));
        assert!(mistake(flapping(1, 86_400_001)).contains("`up_ms`"));
    }
}
