//! What a sweep found, in figures.

use super::log::How;
use crate::check::CheckName;
use crate::run::{Counters, Liveness, Outcome, Verdict};
use crate::scenario::Situation;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Totals over the seeds of a sweep. Field names are those of the JSON summary.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The scenario.
    pub scenario: String,
    /// The system.
    pub system: String,
    /// How many seeds were run.
    pub seeds: u64,
    /// Seeds in which a check failed.
    pub violations: u64,
    /// Seeds that prove nothing.
    pub inconclusive: u64,
    /// Seeds after whose faults the system did not come back in time.
    pub liveness_failures: u64,
    /// Seeds per failed check.
    pub checks: BTreeMap<CheckName, u64>,
    /// Seeds in which the harness panicked or refused to run.
    pub panics: u64,
    /// Seeds that overran the watchdog.
    pub hangs: u64,
    /// Seeds that crashed their process: an abort, a stack overflow, no memory left.
    pub deaths: u64,
    /// Seeds that ran twice, alone in a process and after others in one.
    pub compared: u64,
    /// Those of them whose two runs differ: some state is kept from run to run.
    pub differing: Vec<u64>,
    /// Seeds that were asked for and not run, because the sweep was stopped.
    pub not_run: u64,
    /// How many of the seeds ran before the sweep was resumed.
    pub resumed: u64,
    /// What ended the sweep before its last seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Operations acknowledged.
    pub acked: u64,
    /// Operations that definitely failed.
    pub failed: u64,
    /// Operations of unknown outcome.
    pub unknown: u64,
    /// Acknowledged writes proven gone.
    pub lost_acked_writes: u64,
    /// Operations in split-brain certificates.
    pub conflicting_acks: u64,
    /// What happened to messages, links and processes.
    #[serde(flatten)]
    pub counters: Counters,
    /// In how many seeds each situation occurred.
    pub situations: BTreeMap<Situation, u64>,
    /// Pairs of kinds of fault that were never in the schedule of one seed, though each was in some: a bug that needs both
    /// had no chance.
    pub never_together: Vec<[String; 2]>,
    /// How often another node became primary.
    pub leader_changes: u64,
    /// Operations in all.
    pub operations: u64,
    /// Simulated seconds.
    pub simulated_s: f64,
    /// Wall-clock seconds.
    pub wall_s: f64,
    /// Seeds per minute of wall-clock time.
    pub seeds_per_minute: f64,
    /// The simulator's step.
    pub tick_ms: u64,
    /// Seeds that ran at once.
    pub jobs: usize,
    /// Nodes.
    pub nodes: usize,
    /// Nodes and client hosts.
    pub hosts: usize,
    /// `debug` or `release`: whether assertions were on.
    pub profile: &'static str,
    /// The distribution of each figure over the seeds: a total hides that a fault never happened in most runs.
    pub per_seed: BTreeMap<&'static str, Spread>,
    /// In nanoseconds: whole numbers add up to the same in any order.
    #[serde(skip)]
    simulated_ns: u128,
    /// Of those, before the sweep was resumed.
    #[serde(skip)]
    resumed_ns: u128,
    /// The sets of kinds that were together in a seed.
    #[serde(skip)]
    together: BTreeSet<BTreeSet<String>>,
    #[serde(skip)]
    values: BTreeMap<&'static str, Vec<u64>>,
}

/// How a count is distributed over the seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// The median (the lower of the middle two).
    pub median: u64,
    /// The largest.
    pub max: u64,
    /// Seeds in which it is zero.
    pub zero: u64,
}

impl Spread {
    fn of(values: &mut [u64]) -> Spread {
        values.sort_unstable();
        let Some(last) = values.len().checked_sub(1) else { return Spread::default() };
        let zero = values.iter().filter(|value| **value == 0).count() as u64;
        Spread { min: values[0], median: values[last / 2], max: values[last], zero }
    }
}

impl Summary {
    /// An empty summary.
    pub fn new(scenario: &str, system: &str, jobs: usize) -> Summary {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        Summary { scenario: scenario.into(), system: system.into(), jobs, profile, ..Summary::default() }
    }

    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.violations += u64::from(outcome.verdict == Verdict::Violation);
        self.inconclusive += u64::from(outcome.verdict == Verdict::Inconclusive);
        self.liveness_failures += u64::from(outcome.liveness == Liveness::Failed);
        let failed: BTreeSet<CheckName> = outcome.violations.iter().map(|violation| violation.check).collect();
        for check in failed {
            *self.checks.entry(check).or_insert(0) += 1;
        }
        for (situation, count) in &outcome.situations {
            *self.situations.entry(*situation).or_default() += u64::from(*count > 0);
        }
        self.together.insert(outcome.fault_kinds.clone());
        self.acked += outcome.acked;
        self.failed += outcome.failed;
        self.unknown += outcome.unknown;
        self.operations += outcome.acked + outcome.failed + outcome.unknown;
        self.lost_acked_writes += outcome.lost_acked_writes;
        self.conflicting_acks += outcome.conflicting_acks;
        self.leader_changes += outcome.leader_changes;
        self.simulated_ns += (outcome.simulated_s * 1e9).round() as u128;
        (self.tick_ms, self.nodes, self.hosts) = (outcome.tick_ms, outcome.nodes, outcome.hosts);
        let counters = &outcome.counters;
        self.counters += *counters;
        for (name, value) in [
            ("operations", outcome.acked + outcome.failed + outcome.unknown),
            ("acked", outcome.acked),
            ("dropped_ppm", counters.messages_dropped * 1_000_000 / counters.messages_sent.max(1)),
            ("messages_reordered", counters.messages_reordered),
            ("messages_duplicated", counters.messages_duplicated),
            ("cuts", counters.cuts),
            ("one_way_cuts", counters.one_way_cuts),
            ("crashes", counters.crashes),
            ("pauses", counters.pauses),
            ("leader_changes", outcome.leader_changes),
        ] {
            self.values.entry(name).or_default().push(value);
        }
    }

    /// Adds a seed that has no outcome.
    pub fn add_none(&mut self, how: How) {
        match how {
            How::Refused => self.add_panic(),
            How::Died => self.add_death(),
            How::Hung => self.add_hang(),
        }
    }

    /// Adds a seed that yielded no run because the harness panicked or refused.
    pub fn add_panic(&mut self) {
        self.seeds += 1;
        self.panics += 1;
    }

    /// Adds a seed that hung.
    pub fn add_hang(&mut self) {
        self.seeds += 1;
        self.hangs += 1;
    }

    /// Adds a seed that crashed its process.
    pub fn add_death(&mut self) {
        self.seeds += 1;
        self.deaths += 1;
    }

    /// Adds whether the same seed gave the same in another process.
    pub fn add_compared(&mut self, seed: u64, is_same: bool) {
        self.compared += 1;
        if !is_same {
            self.differing.push(seed);
        }
    }

    /// Says that what was added so far ran before the sweep was resumed: its time is not this sweep's.
    pub fn resume(&mut self) {
        (self.resumed, self.resumed_ns) = (self.seeds, self.simulated_ns);
    }

    /// Simulated seconds since the sweep began or was resumed.
    pub fn simulated_now_s(&self) -> f64 {
        (self.simulated_ns - self.resumed_ns) as f64 / 1e9
    }

    /// How many seeds failed because of the harness: with any of them, no other figure can be trusted.
    pub fn faults_of_the_harness(&self) -> u64 {
        self.panics + self.hangs + self.deaths + self.differing.len() as u64
    }

    /// Fills in what is known only at the end: how long it took (zero: unknown), and how many seeds were asked for.
    pub fn finish(&mut self, wall: Duration, asked: u64) {
        self.not_run = asked.saturating_sub(self.seeds);
        self.differing.sort_unstable();
        self.simulated_s = self.simulated_ns as f64 / 1e9;
        self.wall_s = wall.as_secs_f64();
        self.seeds_per_minute =
            if wall.is_zero() { 0.0 } else { (self.seeds - self.resumed) as f64 * 60.0 / self.wall_s };
        self.never_together = never_together(&self.together);
        self.per_seed = self.values.iter_mut().map(|(name, values)| (*name, Spread::of(values))).collect();
    }
}

/// The pairs of kinds of which no set has both.
fn never_together(sets: &BTreeSet<BTreeSet<String>>) -> Vec<[String; 2]> {
    let kinds: BTreeSet<&String> = sets.iter().flatten().collect();
    let pairs = kinds.iter().flat_map(|one| kinds.range::<&String, _>(one..).skip(1).map(move |other| (*one, *other)));
    let never = pairs.filter(|(one, other)| !sets.iter().any(|set| set.contains(*one) && set.contains(*other)));
    never.map(|(one, other)| [one.clone(), other.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_summary_counts_seeds_by_what_became_of_them() {
        let mut summary = Summary::new("split-brain", "dual-primary", 2);
        let scenario = sample::scenario();
        for seed in 0..3 {
            summary.add(&sample::run(&scenario, "dual-primary", seed).outcome);
        }
        let mut fine = sample::run(&scenario, "raft", 3).outcome;
        fine.liveness = Liveness::Failed;
        summary.add(&fine);
        summary.add_panic();
        summary.add_hang();
        summary.add_death();
        summary.add_compared(2, true);
        summary.add_compared(1, false);
        summary.finish(Duration::from_secs(2), 9);
        assert_eq!((summary.deaths, summary.compared, summary.not_run), (1, 2, 2));
        assert_eq!((summary.differing.as_slice(), summary.faults_of_the_harness()), ([1].as_slice(), 4));
        assert_eq!((summary.seeds, summary.violations, summary.panics, summary.hangs), (7, 3, 1, 1));
        assert_eq!(summary.liveness_failures, 1);
        assert_eq!(summary.checks, BTreeMap::from([(CheckName::SplitBrain, 3)]));
        assert_eq!(summary.operations, 4000);
        assert_eq!(summary.seeds_per_minute, 210.0);
        assert_eq!(summary.per_seed["leader_changes"], Spread { min: 0, median: 0, max: 1, zero: 3 });
    }

    #[test]
    fn the_speed_of_a_resumed_sweep_is_that_of_its_own_seeds() {
        let mut summary = Summary::new("split-brain", "raft", 2);
        let outcome = sample::run(&sample::scenario(), "raft", 3).outcome;
        summary.add(&outcome);
        summary.add_hang();
        summary.resume();
        summary.add(&outcome);
        summary.finish(Duration::from_secs(1), 3);
        assert_eq!((summary.seeds, summary.resumed, summary.seeds_per_minute), (3, 2, 60.0));
        assert_eq!(summary.simulated_now_s() * 2.0, summary.simulated_s);
    }

    #[test]
    fn the_median_is_the_lower_of_the_middle_two() {
        assert_eq!(Spread::of(&mut [9, 0, 4, 5]), Spread { min: 0, median: 4, max: 9, zero: 1 });
        assert_eq!(Spread::of(&mut []), Spread::default());
    }

    #[test]
    fn a_summary_names_the_pairs_of_kinds_that_were_never_together() {
        let set = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<BTreeSet<String>>();
        let sets = BTreeSet::from([set(&["kill", "pause"]), set(&["clock", "kill"]), set(&[])]);
        assert_eq!(never_together(&sets), [["clock".to_owned(), "pause".to_owned()]]);
        assert!(never_together(&BTreeSet::from([set(&["clock", "kill", "pause"])])).is_empty());
    }
}
