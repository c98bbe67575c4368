//! How much a simulated run resembles the same run on real processes: the same scenario, system and seed, both ways.

use crate::history::History;
use crate::run::{Run, Verdict};
use serde::Serialize;

/// A run both ways.
pub struct Pair {
    /// The seed of both.
    pub seed: u64,
    /// In the simulator.
    pub simulated: Run,
    /// On real processes.
    pub real: Run,
}

/// What the pairs of one system under one scenario say together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// The system.
    pub system: String,
    /// How many seeds were run both ways.
    pub pairs: usize,
    /// In how many the verdict and the failed checks of safety were the same.
    pub same_verdict: usize,
    /// In how many the same sites were served while faults were active: more or less than half of what was offered.
    pub same_sites: usize,
    /// Half of the acknowledged operations were answered within this many milliseconds: simulated, real.
    pub latency_ms: (f64, f64),
    /// The Kolmogorov-Smirnov distance of the two distributions of latency: 0 alike, 1 disjoint.
    pub latency_distance: f64,
    /// Milliseconds from the last fault's end until every site was served again: simulated, real.
    pub recovered: (Recovered, Recovered),
    /// The Kolmogorov-Smirnov distance of the two: 0 alike, 1 disjoint. A seed that never recovered counts as the longest.
    pub recovered_distance: f64,
    /// Lost acknowledged writes, median over the seeds: simulated, real.
    pub lost: (u64, u64),
}

/// How long it took over the seeds, in milliseconds; of those that recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// The shortest.
    pub least: u64,
    /// Half were no longer.
    pub median: u64,
    /// The longest.
    pub most: u64,
    /// Seeds with which it never recovered.
    pub never: usize,
}

impl Recovered {
    /// Of sorted times, where `None` is never.
    fn of(sorted: &[u64]) -> Recovered {
        let times = &sorted[..sorted.partition_point(|time| *time < NEVER)];
        Recovered {
            least: times.first().copied().unwrap_or(0),
            median: median(times.to_vec()).unwrap_or(0),
            most: times.last().copied().unwrap_or(0),
            never: sorted.len() - times.len(),
        }
    }
}

/// Stands for a time that did not end.
const NEVER: u64 = u64::MAX;

impl Row {
    /// Sums up pairs of one system under one scenario; `None` if there are none.
    pub fn of(pairs: &[Pair]) -> Option<Row> {
        let first = &pairs.first()?.real.outcome;
        let latencies = |side: fn(&Pair) -> &Run| -> Vec<u64> {
            let mut all: Vec<u64> = pairs.iter().flat_map(|pair| latencies(&side(pair).history)).collect();
            all.sort_unstable();
            all
        };
        let (simulated, real) = (latencies(|pair| &pair.simulated), latencies(|pair| &pair.real));
        let over = |side: fn(&Pair) -> &Run, of: fn(&Run) -> u64| -> Vec<u64> {
            let mut all: Vec<u64> = pairs.iter().map(|pair| of(side(pair))).collect();
            all.sort_unstable();
            all
        };
        let both = |of: fn(&Run) -> u64| (over(|pair| &pair.simulated, of), over(|pair| &pair.real, of));
        let (lost_simulated, lost_real) = both(|run| run.outcome.lost_acked_writes);
        let recovered = both(|run| run.outcome.recovered_ms.unwrap_or(NEVER));
        let ms = |ns: &[u64]| median(ns.to_vec()).unwrap_or(0) as f64 / 1e6;
        Some(Row {
            scenario: first.scenario.clone(),
            system: first.system.clone(),
            pairs: pairs.len(),
            same_verdict: pairs.iter().filter(|pair| found(&pair.simulated) == found(&pair.real)).count(),
            same_sites: pairs.iter().filter(|pair| served(&pair.simulated) == served(&pair.real)).count(),
            latency_ms: (ms(&simulated), ms(&real)),
            latency_distance: distance(&simulated, &real),
            recovered: (Recovered::of(&recovered.0), Recovered::of(&recovered.1)),
            recovered_distance: distance(&recovered.0, &recovered.1),
            lost: (median(lost_simulated).unwrap_or(0), median(lost_real).unwrap_or(0)),
        })
    }
}

/// The verdict, and whether each of the three checks of clients' safety failed.
fn found(run: &Run) -> (Verdict, Vec<String>) {
    (run.outcome.verdict, run.outcome.failed_checks())
}

/// The sites of which most operations were served in time while faults were active.
fn served(run: &Run) -> Vec<&str> {
    let figures = run.outcome.availability.iter().filter(|figure| figure.during == "faults");
    figures
        .filter(|figure| figure.served.served_in_time * 2 > figure.served.offered)
        .map(|figure| figure.site.as_str())
        .collect()
}

/// How long each acknowledged operation took, in nanoseconds.
fn latencies(history: &History) -> impl Iterator<Item = u64> + '_ {
    let acknowledged = history.operations.iter().filter(|operation| operation.outcome().is_some());
    acknowledged.map(|operation| operation.end_ns.saturating_sub(operation.start_ns))
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// The Kolmogorov-Smirnov distance of two sorted samples: the largest difference of their distribution functions.
fn distance(a: &[u64], b: &[u64]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return f64::from(u8::from(a.len() != b.len()));
    }
    let share = |of: &[u64], up_to: u64| of.partition_point(|value| *value <= up_to) as f64 / of.len() as f64;
    a.iter().chain(b).map(|value| (share(a, *value) - share(b, *value)).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_distance_of_two_samples_is_between_alike_and_disjoint() {
        assert_eq!(distance(&[1, 2, 3], &[1, 2, 3]), 0.0);
        assert_eq!(distance(&[1, 2], &[3, 4]), 1.0);
        assert_eq!(distance(&[1, 2, 3, 4], &[3, 4, 5, 6]), 0.5);
        assert_eq!((distance(&[], &[]), distance(&[], &[1])), (0.0, 1.0));
    }

    #[test]
    fn a_run_resembles_itself_and_not_another_system() {
        let scenario = sample::scenario();
        let [raft, dual] = ["raft", "dual-primary"].map(|system| sample::run(&scenario, system, 7));
        let pair = |real: &Run| Pair { seed: 7, simulated: raft.clone(), real: real.clone() };
        let same = Row::of(&[pair(&raft), pair(&raft)]).expect("there are pairs");
        assert_eq!((same.pairs, same.same_verdict, same.same_sites, same.latency_distance), (2, 2, 2, 0.0));
        let other = Row::of(&[pair(&raft), pair(&dual)]).expect("there are pairs");
        assert_eq!((other.pairs, other.same_verdict), (2, 1), "a violation is no pass");
        assert!(Row::of(&[]).is_none());
        assert_eq!(same.recovered_distance, 0.0);
        let never = {
            let mut run = raft.clone();
            run.outcome.recovered_ms = None;
            run
        };
        let one = Row::of(&[pair(&raft), pair(&never)]).expect("there are pairs");
        assert_eq!((one.recovered.0.never, one.recovered.1.never, one.recovered_distance), (0, 1, 0.5));
        assert_eq!(one.recovered.0.median, one.recovered.1.most, "what never recovered is no time");
    }
}
