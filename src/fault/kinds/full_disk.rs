//! A disk is full.

use crate::fault::check::{Check, Wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::Field;
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::state::DiskState;
use crate::fault::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node's disk is full: writes that need more space fail, and what it holds can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullDisk {
    /// The node or role.
    pub target: Target,
}

impl fmt::Display for FullDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disk of {} full", self.target.0)
    }
}

impl Kind for FullDisk {
    const SORT: Sort = Sort {
        name: "full_disk",
        family: Family::Disk,
        title: "full disk",
        does: "the disk is full: writes that need more space fail",
        fields: &[Field::TARGET],
        drawn: Drawn::IfNamed,
        least_nodes: 3,
        leaves: Leaves::Unable,
    };

    const CLICKS: &'static [Click<Self>] = &[Click::Node("fill its disk", |target| FullDisk { target })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Disk(scene.one(&self.target), DiskState { full: true, ..DiskState::default() })
    }

    fn draw(draw: &mut Draw) -> Self {
        FullDisk { target: draw.victim() }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(FullDisk { target: remaining.target(&self.target)? })
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
        acts_on_the_disk_of_n2(FullDisk { target: target("n2") }, DiskState { full: true, ..DiskState::default() });
    }
}
