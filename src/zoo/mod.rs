//! What the testbed finds, measured: every planted bug is hunted with one nemesis.
//!
//! * [`hunt`](mod@hunt): how many seeds it takes to find a bug.
//! * [`rates`]: how rare bugs are, and how much a clean sweep therefore proves.
//! * [`table`]: the result, for people.

pub mod hunt;
pub mod rates;
pub mod table;

use crate::shrink::Size;
use crate::systems::together::Bugs;
use hunt::Hunted;

/// The scenario whose nemesis hunts all bugs.
pub const SCENARIO: &str = "zoo";

/// What is known of one bug after a hunt.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The bug, or those that were in the system together.
    pub bugs: Bugs,
    /// How the hunt went.
    pub hunted: Hunted,
    /// The first run that showed it, shrunk: its size before and after.
    pub shrunk: Option<(Size, Size)>,
}

/// Runs of the system without a bug.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clean {
    /// How many seeds.
    pub seeds: u64,
    /// In how many of them a check failed, or a process panicked or hung.
    pub false_alarms: u64,
    /// How many prove nothing.
    pub inconclusive: u64,
}

/// A whole census.
#[derive(Debug, Clone, PartialEq)]
pub struct Census {
    /// The bugs, in their order.
    pub entries: Vec<Entry>,
    /// The system without a bug, under the same nemesis.
    pub clean: Clean,
    /// The most seeds that one bug was given.
    pub budget: u64,
}

impl Census {
    /// How many bugs were found.
    pub fn found(&self) -> usize {
        self.entries.iter().filter(|entry| entry.hunted.is_found()).count()
    }

    /// How many bugs were found within so many seeds, by the median over the starting seeds.
    pub fn found_within(&self, seeds: u64) -> usize {
        self.entries.iter().filter(|entry| entry.hunted.median().is_some_and(|median| median <= seeds)).count()
    }

    /// The median number of faults in the shrunk runs (the lower of the middle two); `None` if nothing was shrunk.
    pub fn median_faults(&self) -> Option<usize> {
        let mut faults: Vec<usize> =
            self.entries.iter().filter_map(|entry| entry.shrunk.map(|(_, after)| after.faults)).collect();
        faults.sort_unstable();
        faults.get(faults.len().checked_sub(1)? / 2).copied()
    }
}
