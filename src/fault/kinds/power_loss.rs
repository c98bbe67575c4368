//! The power goes, and writes that were not synced are lost.

use crate::fault::check::{Check, Wrong, positive};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The node loses power. Its process dies, writes that were not synced are lost, and it starts again from its disk when
/// the fault ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerLoss {
    /// The node or role.
    pub target: Target,
    /// Whether some of the unsynced writes reached the disk, whole or in part, in any order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub torn: bool,
    /// Strikes at the n-th write or sync of the node's disk after the fault's beginning, n from 1, instead of at once.
    /// If there are fewer operations, it never strikes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_operation: Option<u64>,
}

impl fmt::Display for PowerLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power loss of {}{}", self.target.0, if self.torn { ", torn writes" } else { "" })?;
        self.at_operation.map_or(Ok(()), |n| write!(f, ", at disk operation {n}"))
    }
}

impl Kind for PowerLoss {
    const SORT: Sort = Sort {
        name: "power_loss",
        family: Family::Disk,
        title: "power",
        does: "the process dies, and what was not synced is gone or torn; at once, or at the n-th write or sync",
        fields: &[
            Field::TARGET,
            Field::new("torn", Holds::Flag, "whether unsynced writes may have reached the disk in part").optional(),
            Field::positive("at_operation", "at which write or sync of the disk; without it, at once").optional(),
        ],
        drawn: Drawn::IfNamed,
        least_nodes: 3,
        leaves: Leaves::Stopped,
    };

    const CLICKS: &'static [Click<Self>] =
        &[Click::Node("take its power", |target| PowerLoss { target, torn: false, at_operation: None })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        positive("at_operation", self.at_operation.unwrap_or(1))?;
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Power { set: scene.one(&self.target), torn: self.torn, at_operation: self.at_operation }
    }

    fn draw(draw: &mut Draw) -> Self {
        let at_operation = if draw.one_in(2) { Some(draw.between(1, 60)) } else { None };
        PowerLoss { target: draw.victim(), torn: draw.one_in(2), at_operation }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(PowerLoss { target: remaining.target(&self.target)?, ..*self })
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, mistake, target};
    use crate::fault::state::{DiskState, ProcessState};
    use crate::trace::HostId;

    fn power_loss(torn: bool, at_operation: Option<u64>) -> PowerLoss {
        PowerLoss { target: target("n2"), torn, at_operation }
    }

    #[test]
    fn at_once_or_when_the_disk_comes_to_it() {
        let off = begun(power_loss(true, None), None);
        assert_eq!(off.process(HostId(2)), ProcessState::Off);
        assert_eq!(off.disk(HostId(2)), DiskState { torn: true, ..DiskState::default() });
        let mut waits = begun(power_loss(false, Some(3)), None);
        assert_eq!(waits.process(HostId(2)), ProcessState::Running);
        assert_eq!(waits.disk(HostId(2)), DiskState { power_at: Some((0, 3)), ..DiskState::default() });
        waits.strike(0);
        assert_eq!(waits.process(HostId(2)), ProcessState::Off);
        assert_eq!(waits.disk(HostId(2)), DiskState::default());
    }

    #[test]
    fn operations_count_from_one() {
        assert!(mistake(power_loss(false, Some(0))).contains("`at_operation`"));
    }
}
