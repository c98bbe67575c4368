//! No message passes in one direction.

use crate::fault::check::{Check, Wrong, wrong};
use crate::fault::draw::{Draw, sorted};
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::all;
use serde::{Deserialize, Serialize};
use std::fmt;

/// No message passes from `from` to `to`; the other direction is untouched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneWay {
    /// The senders whose messages are lost.
    pub from: Vec<Target>,
    /// The receivers that do not get them.
    pub to: Vec<Target>,
}

impl fmt::Display for OneWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one-way cut {} -> {}", all(&self.from), all(&self.to))
    }
}

impl Kind for OneWay {
    const SORT: Sort = Sort {
        name: "one_way",
        family: Family::Cut,
        title: "one-way cut",
        does: "no message passes in this direction",
        fields: &[
            Field::new("from", Holds::HostsOrRole, "the senders whose messages are lost"),
            Field::new("to", Holds::HostsOrRole, "the receivers that do not get them"),
        ],
        drawn: Drawn::Freely,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    const CLICKS: &'static [Click<Self>] =
        &[Click::Link("cut it one way", |a, b| OneWay { from: vec![a], to: vec![b] })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        if self.role_targets().into_iter().filter(|target| check.is_role(target)).count() > 1 {
            return wrong("to", "a fault resolves one role", "allowed: one role at one end, hosts at the other");
        }
        check.hosts_or_role("from", &self.from)?;
        check.hosts_or_role("to", &self.to).map(|_| ())
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Cut(scene.one_way(scene.set(&self.from), scene.set(&self.to)))
    }

    fn draw(draw: &mut Draw) -> Self {
        let (from, to) = match draw.between(1, 3) {
            // A leader that no node hears, or that hears no node.
            1 => (vec![Draw::leader()], draw.nodes()),
            2 => (draw.nodes(), vec![Draw::leader()]),
            _ => draw.halves(),
        };
        OneWay { from: sorted(from), to: sorted(to) }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(OneWay { from: remaining.targets(&self.from)?, to: remaining.targets(&self.to)? })
    }

    fn role_targets(&self) -> Vec<&Target> {
        self.from.iter().chain(&self.to).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, cuts, mistake, targets};
    use crate::fault::topology::TargetRole;

    #[test]
    fn the_other_direction_is_left() {
        let cut = || OneWay { from: targets(&["@leader"]), to: targets(&["west.nodes"]) };
        assert_eq!(begun(cut(), None).role(0), Some(TargetRole::Leader));
        assert_eq!(cuts(&begun(cut(), Some(2))), [(2, 4), (2, 5)]);
        // A leader at the other end is not cut off from itself; a role that no host holds cuts nothing.
        assert_eq!(cuts(&begun(cut(), Some(4))), [(4, 5)]);
        assert_eq!(cuts(&begun(cut(), None)), []);
    }

    #[test]
    fn a_mistake_is_named() {
        let cut = |from: &[&str], to: &[&str]| OneWay { from: targets(from), to: targets(to) };
        assert!(mistake(cut(&["@leader"], &["@follower"])).contains("one role"));
        assert!(mistake(cut(&[], &["west"])).contains("it is empty"));
    }
}
