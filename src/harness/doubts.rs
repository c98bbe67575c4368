//! What a test may conclude from seeds that prove nothing.
//!
//! Some of what a run lacks is a matter of luck: that a second leader acknowledged anything, that a situation occurred. Of
//! that it is enough if one seed of the test had it, so it is asked of the test as a whole. What else a run may lack (an
//! answer of the checker, acknowledgements, a fault that acted) is its own affair, and how many such seeds a test bears
//! is its author's decision.

use super::failure::Failure;
use super::runner::Ran;
use super::settings::Inconclusive;
use crate::run::Lack;
use std::collections::BTreeMap;

/// What the seeds of a test lacked.
#[derive(Default)]
pub(super) struct Tally {
    seeds: u64,
    /// Seeds that prove nothing on their own account, and why.
    own: Vec<(u64, String)>,
    /// What may be a matter of luck: in how many seeds it was lacking, and what the first of them said.
    luck: BTreeMap<Lack, (u64, u64, String)>,
}

impl Tally {
    /// Enters a seed that failed nothing.
    pub fn add(&mut self, seed: u64, ran: &Ran) {
        self.seeds += 1;
        let is_luck = |lack: Lack| matches!(lack, Lack::SecondLeader | Lack::Situation(_));
        for doubt in ran.doubts.iter().filter(|doubt| is_luck(doubt.lack)) {
            self.luck.entry(doubt.lack).or_insert_with(|| (0, seed, doubt.why.clone())).0 += 1;
        }
        let own = ran.doubts.iter().find(|doubt| !is_luck(doubt.lack));
        self.own.extend(own.map(|doubt| (seed, doubt.why.clone())));
    }

    /// Why the test fails for what its seeds lacked, if it does. `is_whole` says whether they are all that it asks for:
    /// of a few of them nobody expects everything.
    pub fn verdict(&self, policy: Inconclusive, is_whole: bool) -> Result<(), Failure> {
        let most = match policy {
            Inconclusive::Fail => 0,
            Inconclusive::UpTo(share) => (share * self.seeds as f64) as u64,
            Inconclusive::Allow => return Ok(()),
        };
        if let Some((seed, why)) = self.own.first().filter(|_| self.own.len() as u64 > most) {
            let (seed, why, count) = (*seed, why.clone(), self.own.len() as u64);
            return Err(Failure::Inconclusive { seed, why, count, seeds: self.seeds, most });
        }
        let never = self.luck.values().find(|(count, ..)| is_whole && *count == self.seeds);
        match never {
            Some((_, seed, why)) => Err(Failure::Never { seed: *seed, why: why.clone(), seeds: self.seeds }),
            None => Ok(()),
        }
    }

    /// What is to be said of a test that passes all the same.
    pub fn note(&self) -> Option<String> {
        let (seed, why) = self.own.first()?;
        Some(format!("{} of {} seeds prove nothing; seed {seed}: {why}", self.own.len(), self.seeds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Doubt;

    fn ran(lacks: &[Lack]) -> Ran {
        let doubts = lacks.iter().map(|lack| Doubt { lack: *lack, why: format!("{lack:?}") }).collect();
        Ran { doubts, ..Ran::default() }
    }

    fn verdict(seeds: &[&[Lack]], policy: Inconclusive, is_whole: bool) -> Option<String> {
        let mut tally = Tally::default();
        seeds.iter().zip(10..).for_each(|(lacks, seed)| tally.add(seed, &ran(lacks)));
        match tally.verdict(policy, is_whole) {
            Ok(()) => None,
            Err(Failure::Inconclusive { seed, count, most, .. }) => Some(format!("{count} > {most}, first {seed}")),
            Err(Failure::Never { why, .. }) => Some(why),
            Err(_) => unreachable!("no other failure comes from here"),
        }
    }

    #[test]
    fn luck_is_asked_of_all_seeds_together() {
        let lucky: &[&[Lack]] = &[&[Lack::SecondLeader], &[], &[Lack::SecondLeader]];
        assert_eq!(verdict(lucky, Inconclusive::Fail, true), None);
        let one: &[Lack] = &[Lack::SecondLeader];
        let never = &[one; 3];
        assert_eq!(verdict(never, Inconclusive::Fail, true), Some("SecondLeader".into()));
        assert_eq!(verdict(never, Inconclusive::UpTo(1.0), true), Some("SecondLeader".into()));
        assert_eq!(verdict(never, Inconclusive::Allow, true), None);
        assert_eq!(verdict(never, Inconclusive::Fail, false), None, "one seed is not the test");
    }

    #[test]
    fn what_a_seed_lacks_itself_counts_against_the_quota() {
        let seeds: &[&[Lack]] = &[&[], &[Lack::Service, Lack::SecondLeader], &[], &[Lack::Power]];
        assert_eq!(verdict(seeds, Inconclusive::Fail, false), Some("2 > 0, first 11".into()));
        assert_eq!(verdict(seeds, Inconclusive::UpTo(0.49), true), Some("2 > 1, first 11".into()));
        assert_eq!(verdict(seeds, Inconclusive::UpTo(0.5), true), None);
        assert_eq!(verdict(seeds, Inconclusive::Allow, true), None);
    }
}
