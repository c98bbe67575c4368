//! What a test may conclude from seeds that prove nothing.
//!
//! A run may lack some things by chance: no second leader acknowledged anything, or a situation did not occur. It is
//! enough if one seed of the test had them, so they are required of the test as a whole. Everything else that a run
//! may lack (an answer of the checker, acknowledgements, a fault that had an effect) counts against its seed, and the
//! author of the test decides how many such seeds it tolerates.

use super::failure::Failure;
use super::runner::Ran;
use super::settings::Inconclusive;
use crate::run::Lack;
use std::collections::BTreeMap;

/// What the seeds of a test lacked.
#[derive(Default)]
pub(super) struct Tally {
    seeds: u64,
    /// Seeds that lack something that every seed needs, and why.
    own: Vec<(u64, String)>,
    /// What seeds may lack by chance: how many lacked it, and the reason that the first of them gave.
    luck: BTreeMap<Lack, (u64, u64, String)>,
}

impl Tally {
    /// Adds a seed without failures.
    pub fn add(&mut self, seed: u64, ran: &Ran) {
        self.seeds += 1;
        let is_luck = |lack: Lack| matches!(lack, Lack::SecondLeader | Lack::Situation(_));
        for doubt in ran.doubts.iter().filter(|doubt| is_luck(doubt.lack)) {
            self.luck.entry(doubt.lack).or_insert_with(|| (0, seed, doubt.why.clone())).0 += 1;
        }
        let own = ran.doubts.iter().find(|doubt| !is_luck(doubt.lack));
        self.own.extend(own.map(|doubt| (seed, doubt.why.clone())));
    }

    /// Why the test fails because of what its seeds lacked, if it does. `is_whole` says whether these are all seeds of
    /// the test: a few of them need not have everything.
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

    /// The remark about a test that passes although some seeds prove nothing.
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
