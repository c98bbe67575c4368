//! A disk acknowledges syncs that it has not done.

use crate::fault::check::{Check, Wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::Field;
use crate::fault::kind::{Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::state::DiskState;
use crate::fault::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node's disk reports syncs as done without doing them. What is written meanwhile survives a kill, but not a power
/// loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostSync {
    /// The node or role.
    pub target: Target,
}

impl fmt::Display for LostSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disk of {} not syncing", self.target.0)
    }
}

impl Kind for LostSync {
    const SORT: Sort = Sort {
        name: "lost_sync",
        family: Family::Disk,
        title: "no sync",
        does: "the disk reports syncs as done without doing them",
        fields: &[Field::TARGET],
        drawn: Drawn::Never("no system survives it on a majority of the disks"),
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Disk(scene.one(&self.target), DiskState { loses_syncs: true, ..DiskState::default() })
    }

    fn draw(draw: &mut Draw) -> Self {
        LostSync { target: draw.victim() }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(LostSync { target: remaining.target(&self.target)? })
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{acts_on_the_disk_of_n2, target};

    #[test]
    fn it_is_this_disk_and_no_other() {
        acts_on_the_disk_of_n2(
            LostSync { target: target("n2") },
            DiskState { loses_syncs: true, ..DiskState::default() },
        );
    }
}
