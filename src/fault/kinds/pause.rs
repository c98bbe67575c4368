//! The process is paused.

use crate::fault::check::{Check, Wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::Field;
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::ranges::Ranges;
use crate::fault::remaining::Remaining;
use crate::fault::state::ProcessState;
use crate::fault::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The process stops running, as by SIGSTOP, and goes on when the fault ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The node or role.
    pub target: Target,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pause of {}", self.target.0)
    }
}

impl Kind for Pause {
    const SORT: Sort = Sort {
        name: "pause",
        family: Family::Process,
        title: "pause",
        does: "the process is paused, as by SIGSTOP",
        fields: &[Field::TARGET],
        drawn: Drawn::Freely,
        least_nodes: 3,
        leaves: Leaves::Stopped,
    };

    const CLICKS: &'static [Click<Self>] = &[Click::Node("pause it", |target| Pause { target })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Process(scene.one(&self.target), ProcessState::Paused)
    }

    fn draw(draw: &mut Draw) -> Self {
        Pause { target: draw.victim() }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Pause { target: remaining.target(&self.target)? })
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }

    fn lasts(ranges: &Ranges) -> Option<[u64; 2]> {
        ranges.pause_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, target};
    use crate::trace::HostId;

    #[test]
    fn every_process_of_a_site_stands_still() {
        let active = begun(Pause { target: target("west.nodes") }, None);
        let states = [1, 4, 5].map(|host| active.process(HostId(host)));
        assert_eq!(states, [ProcessState::Running, ProcessState::Paused, ProcessState::Paused]);
    }
}
