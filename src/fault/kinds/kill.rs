//! The process dies and starts again.

use crate::fault::check::{Check, Wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::Field;
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::state::ProcessState;
use crate::fault::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The process is killed (its disk stays as written) and started again when the fault ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// The node or role.
    pub target: Target,
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kill of {}", self.target.0)
    }
}

impl Kind for Kill {
    const SORT: Sort = Sort {
        name: "kill",
        family: Family::Process,
        title: "kill",
        does: "the process dies and starts again at the end; the disk is as written",
        fields: &[Field::TARGET],
        drawn: Drawn::Freely,
        least_nodes: 3,
        leaves: Leaves::Stopped,
    };

    const CLICKS: &'static [Click<Self>] = &[Click::Node("kill it", |target| Kill { target })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Process(scene.one(&self.target), ProcessState::Down)
    }

    fn draw(draw: &mut Draw) -> Self {
        Kill { target: draw.victim() }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Kill { target: remaining.target(&self.target)? })
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, mistake, target};
    use crate::trace::HostId;

    #[test]
    fn the_process_is_down_and_its_disk_is_not() {
        let active = begun(Kill { target: target("@leader") }, Some(3));
        assert_eq!(active.process(HostId(3)), ProcessState::Down);
        assert_eq!(active.process(HostId(1)), ProcessState::Running);
        assert_eq!(active.disk(HostId(3)), Default::default());
    }

    #[test]
    fn a_client_is_not_killed() {
        assert_eq!(
            mistake(Kill { target: target("east") }),
            "fault 0 (`kill` at 5000 ms), `target`: `east` includes `east.clients`, which is no node; allowed: a node, \
             the nodes of a site (`SITE.nodes`), or a role"
        );
    }
}
