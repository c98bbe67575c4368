//! A disk takes longer.

use crate::fault::check::{Check, Wrong, positive};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::Field;
use crate::fault::kind::{Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::state::DiskState;
use crate::fault::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Each operation of a node's disk takes longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowDisk {
    /// The node or role.
    pub target: Target,
    /// Extra time of each operation, in milliseconds.
    pub extra_ms: u64,
}

impl fmt::Display for SlowDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disk of {} slower by {} ms", self.target.0, self.extra_ms)
    }
}

impl Kind for SlowDisk {
    const SORT: Sort = Sort {
        name: "slow_disk",
        family: Family::Disk,
        title: "slow disk",
        does: "each sync takes longer",
        fields: &[Field::TARGET, Field::positive("extra_ms", "extra time of each operation, in milliseconds")],
        drawn: Drawn::IfNamed,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        positive("extra_ms", self.extra_ms)?;
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Disk(
            scene.one(&self.target),
            DiskState { extra_ns: self.extra_ms.saturating_mul(1_000_000), ..DiskState::default() },
        )
    }

    fn draw(draw: &mut Draw) -> Self {
        SlowDisk { target: draw.victim(), extra_ms: draw.within(draw.ranges.slow_disk_ms) }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(SlowDisk { target: remaining.target(&self.target)?, ..*self })
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{acts_on_the_disk_of_n2, mistake, target};

    #[test]
    fn it_is_this_disk_and_no_other() {
        acts_on_the_disk_of_n2(
            SlowDisk { target: target("n2"), extra_ms: 3 },
            DiskState { extra_ns: 3_000_000, ..DiskState::default() },
        );
    }

    #[test]
    fn a_mistake_is_named() {
        assert!(mistake(SlowDisk { target: target("n2"), extra_ms: 0 }).contains("0 ms is out of range"));
    }
}
