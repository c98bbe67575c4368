//! A disk returns corrupt reads.

use crate::fault::check::{Check, Wrong, wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::Field;
use crate::fault::kind::{Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::state::DiskState;
use crate::fault::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node's disk returns reads with a flipped bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorruptReads {
    /// The node or role.
    pub target: Target,
    /// Probability that a read is corrupted, in parts per million.
    pub ppm: u32,
}

impl fmt::Display for CorruptReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disk of {} corrupting {} % of reads", self.target.0, f64::from(self.ppm) / 1e4)
    }
}

impl Kind for CorruptReads {
    const SORT: Sort = Sort {
        name: "corrupt_reads",
        family: Family::Disk,
        title: "bad disk",
        does: "reads come back with a flipped bit",
        fields: &[Field::TARGET, Field::number("ppm", 1, 1_000_000, "probability that a read is hit")],
        drawn: Drawn::Never("no system survives it on a majority of the disks"),
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        if !(1..=1_000_000).contains(&self.ppm) {
            return wrong("ppm", "it is no probability", "allowed: 1 to 1000000 parts per million");
        }
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Disk(scene.one(&self.target), DiskState { corrupt_ppm: self.ppm, ..DiskState::default() })
    }

    fn draw(draw: &mut Draw) -> Self {
        CorruptReads { target: draw.victim(), ppm: draw.between(1000, 100_000) as u32 }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(CorruptReads { target: remaining.target(&self.target)?, ..*self })
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
            CorruptReads { target: target("n2"), ppm: 70 },
            DiskState { corrupt_ppm: 70, ..DiskState::default() },
        );
    }

    #[test]
    fn a_mistake_is_named() {
        for ppm in [0, 1_000_001] {
            assert!(mistake(CorruptReads { target: target("n2"), ppm }).contains("it is no probability"));
        }
    }
}
