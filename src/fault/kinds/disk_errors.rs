//! A disk fails.

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

/// Each operation of a node's disk fails with an I/O error and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskErrors {
    /// The node or role.
    pub target: Target,
}

impl fmt::Display for DiskErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disk of {} failing", self.target.0)
    }
}

impl Kind for DiskErrors {
    const SORT: Sort = Sort {
        name: "disk_errors",
        family: Family::Disk,
        title: "bad disk",
        does: "each operation of the disk fails",
        fields: &[Field::TARGET],
        drawn: Drawn::IfNamed,
        least_nodes: 3,
        leaves: Leaves::Unable,
    };

    const CLICKS: &'static [Click<Self>] = &[Click::Node("let its disk fail", |target| DiskErrors { target })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Disk(scene.one(&self.target), DiskState { fails: true, ..DiskState::default() })
    }

    fn draw(draw: &mut Draw) -> Self {
        DiskErrors { target: draw.victim() }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(DiskErrors { target: remaining.target(&self.target)? })
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
        acts_on_the_disk_of_n2(DiskErrors { target: target("n2") }, DiskState { fails: true, ..DiskState::default() });
    }
}
