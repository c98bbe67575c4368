//! An administrator changes the members of the cluster.

use crate::fault::check::{Check, Wrong, wrong};
use crate::fault::draw::{Draw, sorted};
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::all;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An administrator makes these nodes the voters, and all nodes again when the fault ends. The other nodes are removed,
/// and come back as learners before they vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The voters while it is active.
    pub voters: Vec<Target>,
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "membership {}", all(&self.voters))
    }
}

impl Kind for Membership {
    const SORT: Sort = Sort {
        name: "membership",
        family: Family::Members,
        title: "members",
        does: "an administrator makes these the voters, and all nodes again at the end",
        fields: &[Field::new("voters", Holds::Nodes, "the voters, while it is active")],
        drawn: Drawn::IfNamed,
        least_nodes: 3,
        leaves: Leaves::Able,
    };

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        let set = check.hosts("voters", &self.voters)?;
        match set.minus(check.topology.all_nodes()).iter().next() {
            Some(client) => wrong(
                "voters",
                format!("`{}` is no node", check.topology.name(client)),
                "allowed: nodes, or the nodes of a site (`SITE.nodes`)",
            ),
            None => Ok(()),
        }
    }

    fn effect(&self, scene: &Scene) -> Effect {
        Effect::Voters(scene.set(&self.voters))
    }

    fn draw(draw: &mut Draw) -> Self {
        let mut voters = draw.nodes();
        // At least two voters stay, and they are a majority of all nodes: whichever others are down, some voters are
        // up.
        let most = voters.len() - 1;
        voters.truncate(draw.between((most / 2 + 1).max(2) as u64, most as u64) as usize);
        Membership { voters: sorted(voters) }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Membership { voters: remaining.targets(&self.voters)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::kinds::tests::{begun, mistake, targets};
    use crate::trace::HostId;

    #[test]
    fn these_are_the_voters_until_it_ends() {
        let mut active = begun(Membership { voters: targets(&["n2", "west.nodes"]) }, None);
        assert_eq!(active.voters(), [2, 4, 5].map(HostId).into_iter().collect());
        active.end(0);
        assert_eq!(active.voters(), active.topology().all_nodes());
    }

    #[test]
    fn a_client_does_not_vote() {
        assert!(mistake(Membership { voters: targets(&["west"]) }).contains("`west.clients` is no node"));
    }
}
