//! Situations: what must have happened in a run for it to prove something.
//!
//! A sweep without a violation says little about situations that never occurred in it. Each situation is counted from
//! the trace (see `run::situations`). A scenario may require some, and a run without them is inconclusive.

use serde::{Deserialize, Serialize};

macro_rules! situations {
    ($($situation:ident = $name:literal, $what:literal;)*) => {
        /// A situation worth testing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Situation {
            $(#[doc = $what] #[serde(rename = $name)] $situation,)*
        }

        impl Situation {
            /// Every situation, in declaration order.
            pub const ALL: &'static [Situation] = &[$(Situation::$situation),*];

            /// The name used in files and JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $(Situation::$situation => $name,)*
                }
            }

            /// What it is, in words.
            pub fn what(self) -> &'static str {
                match self {
                    $(Situation::$situation => $what,)*
                }
            }
        }
    };
}

situations! {
    LeaderCutOffMidCommit = "leader_cut_off_mid_commit",
        "A primary is cut off from a majority while its log holds entries that it does not know to be committed.";
    LeaderKilled = "leader_killed", "The process of a primary dies.";
    LeaderPaused = "leader_paused", "The process of a primary stands still for a while.";
    TwoLeadersAtOnce = "two_leaders_at_once", "A node becomes primary while another still takes itself for one.";
    SplitVote = "split_vote", "Two nodes stand for election in one term.";
    EntriesTruncated = "entries_truncated", "A node throws away entries that conflict with its leader's.";
    SnapshotInstalled = "snapshot_installed", "A node that is far behind gets a snapshot.";
    ElectionDuringSnapshotInstall = "election_during_snapshot_install",
        "Somebody becomes primary after a node began to receive a snapshot and before it has installed it.";
    PowerLostBeforeSync = "power_lost_before_sync", "The power goes while a disk holds writes that are not synced.";
    NodeStopped = "node_stopped_by_itself", "A node stops by itself: its storage failed, or it panicked.";
    ClockWrongOnLeader = "clock_wrong_on_leader", "The clock of a primary is wrong.";
    MembersChanged = "members_changed", "A configuration with other members is appended.";
    JointMembersDuringCut = "joint_members_during_cut",
        "Two configurations hold at once while links are cut.";
    LearnerBySnapshot = "learner_by_snapshot", "A node that does not vote catches up by a snapshot.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_files() {
        for situation in Situation::ALL {
            let name = serde_json::to_value(situation).unwrap();
            assert_eq!(name, situation.name());
            assert!(situation.what().ends_with('.'));
        }
    }
}
