//! How many seeds it takes to find a bug.
//!
//! A seed finds a bug if a check of the history or of the protocol fails under it, the same run shows it again, and
//! the system without the bug passes the same seed. A panic or a hang alone does not count: no checks are needed to
//! find those.

use crate::check::CheckName;
use crate::rng::seeds::Seeds;
use crate::run::{Options, Outcome, Verdict, run};
use crate::scenario::Scenario;
use crate::sweep::{Fate, Pool, sweep};
use crate::systems::System;
use crate::systems::together::Bugs;
use std::collections::{BTreeMap, BTreeSet};

/// How far the starting seeds of one hunt lie apart.
const APART: u64 = 1_000_000;

/// The terms of a hunt.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// From how many starting seeds the bug is hunted, one after the other.
    pub starts: u64,
    /// The most seeds, over all starts.
    pub budget: u64,
    /// How the machine is used.
    pub pool: Pool,
}

/// How a hunt went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunted {
    /// Seeds to detection, for each start that led to one.
    pub seeds_to_detection: Vec<u64>,
    /// Seeds of a last start that were spent in vain.
    pub in_vain: u64,
    /// The first seed that found it.
    pub first: Option<u64>,
    /// The checks that failed at the detections, and at how many of them.
    pub checks: BTreeMap<CheckName, u64>,
    /// The check that failed first at the first detection.
    pub strongest: Option<CheckName>,
    /// Seeds in which a process panicked and no check failed.
    pub panics: u64,
    /// Seeds that hung.
    pub hangs: u64,
    /// Seeds in which the system without the bug fails too.
    pub excused: u64,
}

impl Hunted {
    /// Whether it was found at all.
    pub fn is_found(&self) -> bool {
        !self.seeds_to_detection.is_empty()
    }

    /// Detections.
    pub fn detections(&self) -> u64 {
        self.seeds_to_detection.len() as u64
    }

    /// All seeds that were run.
    pub fn seeds(&self) -> u64 {
        self.seeds_to_detection.iter().sum::<u64>() + self.in_vain
    }

    /// The median of the seeds to detection over the starts (the lower of the middle two).
    pub fn median(&self) -> Option<u64> {
        let mut seeds = self.seeds_to_detection.clone();
        seeds.sort_unstable();
        seeds.get(seeds.len().checked_sub(1)? / 2).copied()
    }
}

/// What one seed shows of a bug.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sighting {
    Nothing,
    /// These checks, the strongest first.
    Found(Vec<CheckName>),
    Panic,
    Excused,
}

/// The checks that count, strongest first.
fn failed(outcome: &Outcome) -> Vec<CheckName> {
    let mut seen = BTreeSet::new();
    let checks = outcome.violations.iter().map(|violation| violation.check);
    checks.filter(|check| *check != CheckName::Panic && seen.insert(*check)).collect()
}

/// Runs a seed with the bugs, and again (with them and without) as often as needed to decide what it shows.
///
/// # Panics
/// If a run is refused, or two runs of the seed differ: the bug causes neither.
fn look(scenario: &Scenario, bugs: Bugs, seed: u64, options: &Options) -> Sighting {
    let ran = |system| run(scenario, system, seed, options).expect("the embedded scenario fits itself").outcome;
    let outcome = ran(System::Bugged(bugs));
    let checks = failed(&outcome);
    if checks.is_empty() {
        return if outcome.verdict == Verdict::Violation { Sighting::Panic } else { Sighting::Nothing };
    }
    if ran(bugs.base().system()).verdict == Verdict::Violation {
        return Sighting::Excused;
    }
    assert_eq!(ran(System::Bugged(bugs)).digest, outcome.digest, "seed {seed} of {bugs} does not replay");
    Sighting::Found(checks)
}

/// Hunts bugs that are in the system together, mostly a single one; calls `each` for every seed that was run.
pub fn hunt(
    scenario: &Scenario,
    bugs: impl Into<Bugs>,
    terms: &Terms,
    options: &Options,
    mut each: impl FnMut(),
) -> Hunted {
    let (bugs, mut hunted) = (bugs.into(), Hunted::default());
    let chunk = terms.pool.jobs.max(1) as u64 * 2;
    for start in (0..terms.starts).map(|start| start * APART) {
        let mut spent = 0;
        let mut is_found = false;
        while !is_found && hunted.seeds() + spent < terms.budget {
            let end = (spent + chunk).min(terms.budget - hunted.seeds());
            let seeds = Seeds::new(start + spent, start + end).expect("it is not empty");
            let (scenario, options) = (scenario.clone(), *options);
            sweep(
                seeds,
                &terms.pool,
                move |seed| look(&scenario, bugs, seed, &options),
                |seed, fate| {
                    // Seeds of a chunk after the one that found it are not counted.
                    if is_found {
                        return;
                    }
                    spent += 1;
                    each();
                    match fate {
                        Fate::Done(Sighting::Found(checks)) => {
                            is_found = true;
                            hunted.first = hunted.first.or(Some(seed));
                            hunted.strongest = hunted.strongest.or(checks.first().copied());
                            checks.into_iter().for_each(|check| *hunted.checks.entry(check).or_default() += 1);
                        }
                        Fate::Done(Sighting::Nothing) => {}
                        Fate::Done(Sighting::Excused) => hunted.excused += 1,
                        Fate::Done(Sighting::Panic) | Fate::Panicked(_) => hunted.panics += 1,
                        Fate::Hung => hunted.hangs += 1,
                    }
                },
            );
        }
        if !is_found {
            hunted.in_vain = spent;
            break;
        }
        hunted.seeds_to_detection.push(spent);
    }
    hunted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::bugs::Bug;
    use std::time::Duration;

    #[test]
    fn the_figures_of_a_hunt_add_up() {
        let hunted = Hunted { seeds_to_detection: vec![5, 1, 9, 2], in_vain: 3, ..Hunted::default() };
        assert_eq!((hunted.detections(), hunted.seeds(), hunted.median()), (4, 20, Some(2)));
        assert_eq!(Hunted { in_vain: 3, ..Hunted::default() }.median(), None);
    }

    /// One bug that every seed shows, and the budget of a hunt that finds nothing.
    #[test]
    fn a_plain_bug_is_found_at_once_and_a_hunt_ends_with_its_budget() {
        let mut scenario = crate::scenario::load(crate::zoo::SCENARIO).expect("it is embedded");
        scenario.workload.operations = 300;
        let pool = Pool { jobs: 1, watchdog: Duration::from_secs(600) };
        let terms = Terms { starts: 2, budget: 6, pool };
        let found = hunt(&scenario, Bug::CasOutsideLog, &terms, &Options::default(), || ());
        assert!(found.is_found() && found.first.is_some() && found.seeds() <= 6, "{found:?}");
        assert!(found.checks.contains_key(&CheckName::Linearizability), "{found:?}");
        // No disks fail where there are no faults.
        scenario.nemesis = None;
        let vain = hunt(&scenario, Bug::TruncationLost, &Terms { budget: 3, ..terms }, &Options::default(), || ());
        assert_eq!(vain, Hunted { in_vain: 3, ..Hunted::default() });
    }
}
