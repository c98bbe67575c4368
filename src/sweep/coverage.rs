//! Which situations the seeds of a sweep met: whether further seeds still show something new.

use crate::run::Outcome;
use crate::scenario::Situation;
use std::collections::BTreeMap;

/// What each seed met. A seed takes 16 bytes: a night's outcomes are too much to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The seeds, each with the situations that it met, one bit each.
    seeds: Vec<(u64, u64)>,
}

/// How the seeds of a sweep met one situation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// The situation.
    pub situation: Situation,
    /// How many seeds met it.
    pub seeds: u64,
    /// How many had run, in their order, when it was met first, that one included; `None`: it never was.
    pub first: Option<u64>,
    /// For consecutive stretches of the seeds, how many met it and how many there are.
    pub stretches: Vec<(u64, u64)>,
}

impl Coverage {
    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        let met = |situation: &Situation| outcome.situations.get(situation).is_some_and(|count| *count > 0);
        let bits = Situation::ALL.iter().enumerate().filter(|(_, situation)| met(situation));
        self.seeds.push((outcome.seed, bits.fold(0, |bits, (at, _)| bits | 1 << at)));
    }

    /// How many seeds there are.
    pub fn count(&self) -> u64 {
        self.seeds.len() as u64
    }

    /// Each situation over the seeds in their order, which are cut into so many stretches, or fewer.
    pub fn met(&self, stretches: usize) -> Vec<Met> {
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        let length = seeds.len().div_ceil(stretches.max(1)).max(1);
        let each = |(at, situation): (usize, &Situation)| {
            let is_met = |(_, bits): &(u64, u64)| bits >> at & 1 == 1;
            let met = |seeds: &[(u64, u64)]| seeds.iter().filter(|seed| is_met(seed)).count() as u64;
            Met {
                situation: *situation,
                seeds: met(&seeds),
                first: seeds.iter().position(is_met).map(|at| at as u64 + 1),
                stretches: seeds.chunks(length).map(|chunk| (met(chunk), chunk.len() as u64)).collect(),
            }
        };
        Situation::ALL.iter().enumerate().map(each).collect()
    }
}

/// How many situations had been met after so many seeds, at each seed that met a new one.
pub fn growth(met: &[Met]) -> BTreeMap<u64, u64> {
    let mut firsts: Vec<u64> = met.iter().filter_map(|met| met.first).collect();
    firsts.sort_unstable();
    firsts.into_iter().zip(1..).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn situations_are_counted_over_the_seeds_in_their_order() {
        assert!(Situation::ALL.len() <= 64, "a bit for each");
        let mut coverage = Coverage::default();
        let [rare, usual, never] = [0, 3, 5].map(|at| Situation::ALL[at]);
        // In the order in which they ended.
        for seed in [4, 0, 2, 1, 3] {
            let mut outcome = sample::run(&sample::scenario(), "raft", seed).outcome;
            outcome.situations = [(rare, u64::from(seed == 2)), (usual, 7), (never, 0)].into();
            coverage.add(&outcome);
        }
        let met = coverage.met(2);
        let of = |situation| met.iter().find(|met| met.situation == situation).unwrap();
        assert_eq!(*of(rare), Met { situation: rare, seeds: 1, first: Some(3), stretches: vec![(1, 3), (0, 2)] });
        assert_eq!((of(usual).first, of(usual).stretches.as_slice()), (Some(1), [(3, 3), (2, 2)].as_slice()));
        assert_eq!((of(never).first, of(never).seeds), (None, 0));
        assert_eq!(growth(&met), BTreeMap::from([(1, 1), (3, 2)]));
        assert_eq!(Coverage::default().met(9)[0].stretches, []);
    }
}
