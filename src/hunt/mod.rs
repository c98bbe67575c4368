//! A search for failing schedules, guided by what runs reach.
//!
//! Random seeds spend most of their runs on what earlier ones have shown. A schedule is data, so it can be changed a little:
//! the search keeps the schedules whose runs reached something new, and makes new ones of them (coverage-guided fuzzing,
//! as AFL does it; for distributed systems ModelFuzz and Mallory). A failing run is an ordinary recorded run.
//!
//! A search is a pure function of scenario, system, seed and number of runs: candidates are made in batches of a fixed size,
//! and what a batch shows is learned in order, however many run at once.
//!
//! * [`coverage`]: what counts as reached. [`mutate`]: how schedules are changed.
//! * [`exhaust`]: not a search at all: every single fault at every instant of one small run.

pub mod coverage;
pub mod exhaust;
pub mod mutate;

use crate::check::CheckName;
use crate::fault::draw::Draw;
use crate::fault::ranges::Ranges;
use crate::rng::seeds::Seeds;
use crate::run::{Options, Verdict, run};
use crate::scenario::{Scenario, Swarm};
use crate::sweep::{Fate, Pool, sweep};
use crate::systems::System;
use mutate::Mutator;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many candidates are made before the results of any of them are learned: a constant, or the result would depend on how
/// many run at once.
const BATCH: u64 = 8;
/// One candidate in so many is drawn afresh, as a random seed would be: what no change of a known schedule leads to.
const FRESH: u64 = 8;
/// Of the others one in so many is drawn afresh too, and then aimed faults are laid in it. Several at once, as each waits
/// for one moment out of many.
const AMBUSHED: u64 = 4;
/// A run that overran the watchdog is run again, alone, with so many times the time.
const SECOND_TRY: u32 = 4;
/// The search begins with so many fresh candidates.
const FIRST: u64 = 8;
/// What so many runs reached, or fewer, is rare.
const RARE: u64 = 2;
/// Of so many schedules drawn from the corpus the best one is changed.
const TOURNAMENT: u64 = 4;

/// What a search hunts in.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The scenario, with a nemesis.
    pub scenario: Scenario,
    /// The system.
    pub system: System,
    /// Decides every draw of the search.
    pub seed: u64,
    /// What the checks may cost.
    pub options: Options,
    /// Whether every candidate is drawn afresh: random seeds, which the search has to beat.
    pub random: bool,
}

/// A schedule of the corpus.
struct Kept {
    scenario: Arc<Scenario>,
    features: Vec<u64>,
    /// How often it was changed.
    used: u64,
}

/// How far a search has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Runs.
    pub runs: u64,
    /// Simulated seconds.
    pub simulated_s: f64,
    /// Different things that runs reached.
    pub features: u64,
    /// Pairs of situations that were in one run.
    pub situation_pairs: u64,
    /// Schedules in the corpus.
    pub corpus: u64,
    /// Runs in which a check failed.
    pub violations: u64,
    /// Runs that prove nothing.
    pub inconclusive: u64,
    /// Runs in which the harness panicked or refused.
    pub panics: u64,
    /// Runs that overran the watchdog twice: together with others, and then alone and with more time.
    pub hangs: u64,
    /// Runs that overran it once, and ended when they were run again: the machine was slow, or busy.
    pub retried: u64,
}

/// A run in which a check failed.
#[derive(Debug, Clone)]
pub struct Find {
    /// Its number in the search, from 0.
    pub run: u64,
    /// What failed, the strongest first, each once.
    pub checks: Vec<CheckName>,
    /// What failed first, in a sentence.
    pub sentence: String,
    /// The run, recorded.
    pub recorded: Scenario,
}

/// A run of which nothing is known, because the harness failed.
#[derive(Debug, Clone)]
pub struct Mishap {
    /// Its number in the search, from 0.
    pub run: u64,
    /// What happened, in a few words.
    pub what: String,
    /// The schedule, as it was to be run.
    pub scenario: Scenario,
}

/// What a search tells of while it goes on.
#[derive(Debug, Clone)]
pub enum News {
    /// A check failed.
    Find(Find),
    /// The harness did.
    Mishap(Mishap),
}

impl Find {
    /// Whether a check of the history or of the protocol failed, and not only a process.
    pub fn is_by_a_check(&self) -> bool {
        self.checks.iter().any(|check| *check != CheckName::Panic)
    }
}

/// What one run showed.
#[derive(PartialEq)]
struct Shown {
    verdict: Verdict,
    simulated_s: f64,
    features: Vec<u64>,
    pairs: Vec<u64>,
    find: Option<(Vec<CheckName>, String, Box<Scenario>)>,
}

/// A search.
pub struct Search {
    terms: Terms,
    mutator: Mutator,
    corpus: Vec<Kept>,
    /// In how many runs each feature was reached.
    reached: BTreeMap<u64, u64>,
    pairs: BTreeSet<u64>,
    progress: Progress,
}

/// Why a scenario cannot be hunted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has no nemesis.
    #[error("it has no `[nemesis]`, which says from which kinds of fault and when a search may choose")]
    NoNemesis,
    /// It is a recorded run.
    #[error("it is a recorded run, and a search makes schedules of its own; give the scenario that it came from")]
    Recorded,
}

impl Search {
    /// A search that has not run anything.
    ///
    /// # Errors
    /// If the scenario says nothing that could be searched.
    pub fn new(terms: Terms) -> Result<Search, Unfit> {
        if terms.scenario.explicit.is_some() {
            return Err(Unfit::Recorded);
        }
        let nemesis = terms.scenario.nemesis.clone().ok_or(Unfit::NoNemesis)?;
        let Ranges { drift_ppm, offset_ms, .. } = nemesis.ranges;
        let own = || Swarm { max_drift_ppm: drift_ppm, max_offset_ms: offset_ms, ..Swarm::default() };
        let bounds = terms.scenario.swarm.clone().unwrap_or_else(own);
        let mutator = Mutator { nemesis, bounds };
        let (corpus, reached, pairs) = Default::default();
        Ok(Search { terms, mutator, corpus, reached, pairs, progress: Progress::default() })
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Runs batch after batch, and hands each run in which a check or the harness failed to `each`, in order; until `goes_on`,
    /// which is asked before each batch, says no, or `each` does.
    pub fn run(&mut self, pool: &Pool, mut goes_on: impl FnMut(&Progress) -> bool, mut each: impl FnMut(News) -> bool) {
        let mut wanted = true;
        while wanted && goes_on(&self.progress) {
            let candidates: Vec<Arc<Scenario>> =
                (0..BATCH).map(|index| Arc::new(self.candidate(self.progress.runs + index))).collect();
            let (system, options, given) = (self.terms.system, self.terms.options, candidates.clone());
            let job = move |index: u64| show(&given[index as usize], system, &options);
            sweep(Seeds::first(BATCH), pool, job, |index, fate| {
                // What comes after the last wanted find is not counted.
                if wanted {
                    let candidate = &candidates[index as usize];
                    let fate = if fate == Fate::Hung { self.again(candidate, pool) } else { fate };
                    wanted = self.learn(candidate, fate).is_none_or(&mut each);
                }
            });
        }
    }

    /// Runs a candidate again that overran the watchdog, which goes by the wall clock: on a busy machine a sound run may.
    fn again(&mut self, candidate: &Arc<Scenario>, pool: &Pool) -> Fate<Result<Shown, String>> {
        let alone = Pool { jobs: 1, watchdog: pool.watchdog * SECOND_TRY };
        let (system, options, given) = (self.terms.system, self.terms.options, candidate.clone());
        let mut again = Fate::Hung;
        sweep(Seeds::first(1), &alone, move |_| show(&given, system, &options), |_, fate| again = fate);
        self.progress.retried += u64::from(again != Fate::Hung);
        again
    }

    /// The candidate of this number.
    fn candidate(&mut self, number: u64) -> Scenario {
        let Terms { scenario, system, seed, random, .. } = &self.terms;
        let seed = *seed;
        // As far from each other as those of a zoo's starts.
        let fresh = || scenario.materialised(system.name(), seed.wrapping_mul(1_000_000).wrapping_add(number));
        let (topology, ranges) = (scenario.topology(), Ranges::default());
        let mut draw = Draw::named(&format!("hunt {number}"), &topology, &ranges, seed);
        if *random || number < FIRST || self.corpus.is_empty() || draw.one_in(FRESH) {
            return fresh();
        }
        if draw.one_in(AMBUSHED) {
            return self.mutator.ambushed(&fresh(), &mut draw).unwrap_or_else(fresh);
        }
        let at = self.pick(&mut draw);
        self.corpus[at].used += 1;
        let other = draw.between(0, self.corpus.len() as u64 - 1) as usize;
        let (parent, other) = (self.corpus[at].scenario.clone(), self.corpus[other].scenario.clone());
        self.mutator.child(&parent, &other, number, &mut draw).unwrap_or_else(fresh)
    }

    /// Where the schedule to change next is in the corpus: of some, the one that reached most of what few runs did, and that
    /// was not changed often.
    fn pick(&self, draw: &mut Draw) -> usize {
        let tried = (0..TOURNAMENT).map(|_| draw.between(0, self.corpus.len() as u64 - 1) as usize);
        let worth = |at: &usize| {
            let kept = &self.corpus[*at];
            let rare = kept.features.iter().filter(|feature| self.reached[feature] <= RARE).count() as u64;
            // Nearly every run reaches something that no other has, so what counts is how much.
            (rare * 1000 / (1 + kept.used), *at)
        };
        tried.max_by_key(worth).expect("it tries some")
    }

    /// Learns from a run.
    fn learn(&mut self, candidate: &Arc<Scenario>, fate: Fate<Result<Shown, String>>) -> Option<News> {
        let run = self.progress.runs;
        self.progress.runs += 1;
        let mishap = |what| Some(News::Mishap(Mishap { run, what, scenario: (**candidate).clone() }));
        let shown = match fate {
            Fate::Done(Ok(shown)) => shown,
            Fate::Done(Err(why)) | Fate::Panicked(why) => {
                self.progress.panics += 1;
                return mishap(why);
            }
            Fate::Hung => {
                self.progress.hangs += 1;
                return mishap("it overran the watchdog twice".to_owned());
            }
        };
        self.progress.simulated_s += shown.simulated_s;
        self.progress.inconclusive += u64::from(shown.verdict == Verdict::Inconclusive);
        self.pairs.extend(&shown.pairs);
        let features: Vec<u64> = shown.features;
        let is_new = features.iter().any(|feature| !self.reached.contains_key(feature));
        features.iter().for_each(|feature| *self.reached.entry(*feature).or_default() += 1);
        let found = shown.find.map(|(checks, sentence, recorded)| {
            self.progress.violations += 1;
            Find { run, checks, sentence, recorded: *recorded }
        });
        // A failing schedule is done: its children would mostly fail alike.
        if is_new && found.is_none() {
            self.corpus.push(Kept { scenario: candidate.clone(), features, used: 0 });
        }
        self.progress.features = self.reached.len() as u64;
        self.progress.situation_pairs = self.pairs.len() as u64;
        self.progress.corpus = self.corpus.len() as u64;
        found.map(News::Find)
    }
}

/// Runs a candidate. The error is why it cannot be run.
fn show(candidate: &Scenario, system: System, options: &Options) -> Result<Shown, String> {
    let seed = candidate.explicit.as_ref().expect("candidates are explicit").seed;
    let run = run(candidate, system, seed, options).map_err(|error| error.to_string())?;
    let mut seen = BTreeSet::new();
    let checks: Vec<CheckName> =
        run.outcome.violations.iter().map(|found| found.check).filter(|check| seen.insert(*check)).collect();
    let sentence = run.outcome.violations.first().map(|found| found.certificate.sentence.clone());
    Ok(Shown {
        verdict: run.outcome.verdict,
        simulated_s: run.outcome.simulated_s,
        features: coverage::features(&run),
        pairs: coverage::situation_pairs(&run),
        find: sentence.map(|sentence| (checks, sentence, Box::new(run.recording()))),
    })
}

#[cfg(test)]
mod tests;
