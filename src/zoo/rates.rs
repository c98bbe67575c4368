//! How rare bugs are, and how much a clean sweep therefore proves.
//!
//! A hunt that found a bug `k` times in `n` seeds bounds its rate from below, with 95 % confidence on one side, by the
//! rate `p` at which `k` or more detections in `n` seeds have a probability of 5 % (Clopper and Pearson 1934). `N` clean
//! seeds would have missed a bug of that rate with a probability of at most (1 - p)^N. Without a hunt, `N` clean seeds
//! exclude, with 95 % confidence, every rate above 1 - 0.05^(1/N), which is about 3 / N.

use super::{Census, SCENARIO};
use crate::scenario::{self, Scenario};
use crate::trace::digest::{self, Digest};
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

/// One minus the confidence.
const ALPHA: f64 = 0.05;
/// The latest measurements of `schism zoo --write`.
const MEASURED: &str = include_str!("rates.json");
/// The same of the bugs on which nothing was tuned: `schism zoo --untuned --write`.
const UNTUNED: &str = include_str!("untuned.json");

/// How often a hunt found a bug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// The bug's name.
    pub bug: String,
    /// Detections.
    pub found: u64,
    /// Seeds.
    pub seeds: u64,
}

impl Rate {
    /// The lower end of the one-sided 95 % interval of the probability that a seed finds the bug.
    pub fn at_least(&self) -> f64 {
        if self.found == 0 {
            return 0.0;
        }
        let (found, seeds) = (self.found as f64, self.seeds as f64);
        Beta::new(found, seeds - found + 1.0).map_or(0.0, |beta| beta.inverse_cdf(ALPHA))
    }

    /// The upper end of the one-sided 95 % interval of the probability that so many seeds miss the bug.
    pub fn missed_at_most(&self, seeds: u64) -> f64 {
        (1.0 - self.at_least()).powf(seeds as f64)
    }
}

/// The rates of all bugs that a census found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Digest of the scenario under which they were measured.
    pub scenario: Digest,
    /// The rates.
    pub bugs: Vec<Rate>,
}

impl Rates {
    /// The rates that a census measured.
    pub fn of(census: &Census) -> Rates {
        let rate = |entry: &super::Entry| Rate {
            bug: entry.bugs.name().to_owned(),
            found: entry.hunted.detections(),
            seeds: entry.hunted.seeds(),
        };
        Rates { scenario: scenario_digest(), bugs: census.entries.iter().map(rate).collect() }
    }

    /// The latest rates, if they were measured with the zoo's scenario as it is now.
    pub fn measured() -> Option<Rates> {
        Rates::read(MEASURED)
    }

    /// The latest rates of the bugs on which neither nemesis nor checks were tuned, if they were measured with it too.
    pub fn untuned() -> Option<Rates> {
        Rates::read(UNTUNED).filter(|rates| rates.bugs.iter().any(|rate| rate.seeds > 0))
    }

    fn read(text: &str) -> Option<Rates> {
        let rates: Rates = serde_json::from_str(text).ok()?;
        (rates.scenario == scenario_digest()).then_some(rates)
    }
}

/// Digest of those parts of the zoo's scenario that affect a run.
fn scenario_digest() -> Digest {
    let scenario = scenario::load(SCENARIO).expect("it is embedded");
    let (title, story, expect) = Default::default();
    let decisive = Scenario { title, story, expect, ..scenario };
    digest::of(&serde_json::to_string(&decisive).expect("a scenario is plain data"))
}

/// What a clean sweep is worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Power {
    /// Seeds that passed, without the inconclusive ones.
    pub clean_seeds: u64,
    /// With 95 % confidence no failure occurs in a larger share of seeds than this.
    pub excluded_rate: f64,
    /// The rarest bug of the zoo that was ever found, where its rate was measured under this scenario.
    pub rarest: Option<Missed>,
    /// How many of the zoo's bugs these seeds would have missed with at most 5 % probability, and how many there are.
    pub hardly_missed: Option<(usize, usize)>,
    /// The same of the bugs on which nothing was tuned.
    pub untuned_hardly_missed: Option<(usize, usize)>,
}

/// A bug that a sweep may have missed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missed {
    /// Its rate.
    #[serde(flatten)]
    pub rate: Rate,
    /// The probability that the sweep would have missed it is at most this, with 95 % confidence.
    pub missed_at_most: f64,
}

impl Power {
    /// What `clean_seeds` clean seeds of a scenario are worth; `None` if there are none.
    pub fn of(scenario: &str, clean_seeds: u64) -> Option<Power> {
        if clean_seeds == 0 {
            return None;
        }
        let rates = Rates::measured().filter(|_| scenario == SCENARIO);
        let missed = |rate: &Rate| Missed { rate: rate.clone(), missed_at_most: rate.missed_at_most(clean_seeds) };
        let untuned = Rates::untuned().filter(|_| scenario == SCENARIO).map(|rates| {
            let hardly = rates.bugs.iter().filter(|rate| rate.missed_at_most(clean_seeds) <= ALPHA);
            (hardly.count(), rates.bugs.len())
        });
        let all: Vec<Missed> = rates.iter().flat_map(|rates| &rates.bugs).map(missed).collect();
        let found = all.iter().filter(|missed| missed.rate.found > 0);
        Some(Power {
            clean_seeds,
            excluded_rate: 1.0 - ALPHA.powf(1.0 / clean_seeds as f64),
            rarest: found.max_by(|a, b| a.missed_at_most.total_cmp(&b.missed_at_most)).cloned(),
            hardly_missed: rates
                .is_some()
                .then(|| (all.iter().filter(|missed| missed.missed_at_most <= ALPHA).count(), all.len())),
            untuned_hardly_missed: untuned,
        })
    }

    /// The statement in words.
    pub fn sentence(&self) -> String {
        let Power { clean_seeds, excluded_rate, .. } = self;
        let mut sentence = format!(
            "{clean_seeds} clean seeds: with 95 % confidence nothing fails in more than {} of seeds",
            percent(*excluded_rate)
        );
        match (&self.hardly_missed, &self.rarest) {
            (Some((hardly, all)), Some(Missed { rate, missed_at_most })) => {
                sentence += &format!(
                    "; of the zoo's {all} bugs, on which nemesis and checks were tuned, {hardly} would have been missed \
                     with a probability of at most 5 %, and the rarest that was ever found, {} ({} of {} seeds), with \
                     at most {}",
                    rate.bug,
                    rate.found,
                    rate.seeds,
                    percent(*missed_at_most)
                );
                if let Some((hardly, all)) = self.untuned_hardly_missed {
                    sentence += &format!("; of {all} other bugs, on which nothing was tuned, {hardly} would have been");
                }
            }
            _ => sentence += "; how rare bugs are was measured under `zoo`, so only a sweep of it says more",
        }
        sentence
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        percent if percent < 0.001 => "0.001 %".to_owned(),
        percent if percent < 0.1 => format!("{percent:.3} %"),
        percent if percent < 10.0 => format!("{percent:.2} %"),
        percent => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::bugs::Bug;

    fn rate(found: u64, seeds: u64) -> Rate {
        Rate { bug: "x".into(), found, seeds }
    }

    #[test]
    fn bounds_are_those_of_the_binomial_distribution() {
        // P(Bin(10, p) >= 10) = p^10 = 5 %, and P(Bin(n, p) >= 1) = 1 - (1 - p)^n = 5 %.
        assert!((rate(10, 10).at_least() - 0.05_f64.powf(0.1)).abs() < 1e-6);
        assert!((rate(1, 100).at_least() - (1.0 - 0.95_f64.powf(0.01))).abs() < 1e-6);
        assert_eq!(rate(0, 100).at_least(), 0.0);
        assert_eq!(rate(0, 100).missed_at_most(1_000_000), 1.0);
        assert!((rate(10, 10).missed_at_most(2) - (1.0 - 0.05_f64.powf(0.1)).powi(2)).abs() < 1e-6);
    }

    #[test]
    fn clean_seeds_exclude_a_rate_of_about_three_in_as_many() {
        assert_eq!(Power::of("chaos", 0), None);
        let power = Power::of("chaos", 3000).unwrap();
        assert!((power.excluded_rate * 3000.0 - 3.0).abs() < 0.01, "{power:?}");
        assert!(
            power.sentence().starts_with("3000 clean seeds: with 95 % confidence nothing fails in more than 0.100 %")
        );
        assert!(power.sentence().contains("measured under `zoo`"), "{}", power.sentence());
    }

    #[test]
    fn the_rates_were_measured_with_this_scenario_and_these_bugs() {
        let rates = Rates::measured().expect("run `schism zoo --write`: the scenario has changed");
        let names: Vec<&str> = rates.bugs.iter().map(|rate| rate.bug.as_str()).collect();
        let bugs: Vec<&str> = Bug::tuned().map(Bug::name).collect();
        assert_eq!(names, bugs);
        let untuned = Rates::read(UNTUNED).expect("run `schism zoo --untuned --write`: the scenario has changed");
        let names: Vec<&str> = untuned.bugs.iter().map(|rate| rate.bug.as_str()).collect();
        assert_eq!(names, Bug::UNTUNED.iter().map(|bug| bug.name()).collect::<Vec<_>>());
        let power = Power::of(SCENARIO, 1000).unwrap();
        assert!(power.rarest.is_some() && power.sentence().contains("on which nemesis and checks were tuned"));
    }
}
