//! One bug, one line: failing runs in groups that fail alike.
//!
//! The smallest seed that is in no group founds one. Its *symptom* is, of what it shows, what most of the others show
//! too, in the protocol if it can be. Its *kinds* of fault are those that it takes: without faults of any other kind, the
//! run still shows the symptom; without one of these, it does not. Another seed belongs to the group if it has the same
//! symptom and the same kinds are what it takes to show it. That costs a seed as many runs as the group has kinds, and one
//! more.
//!
//! The groups depend on the failing runs, and not on how many are tried at once.

use super::signature::{Symptom, kinds, only};
use crate::run::{Options, run};
use crate::scenario::Scenario;
use crate::systems::System;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A run that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The seed.
    pub seed: u64,
    /// The system.
    pub system: System,
    /// What it shows, the strongest first.
    pub symptoms: Vec<Symptom>,
}

/// What the runs of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Signature {
    /// What all show.
    #[serde(flatten)]
    pub symptom: Symptom,
    /// The kinds of fault that it takes; `None` if the first run does not fail when it is run again.
    pub faults: Option<BTreeSet<&'static str>>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = match &self.faults {
            None => "does not fail when it is run again".into(),
            Some(faults) if faults.is_empty() => "without faults".into(),
            Some(faults) => format!("with {}", faults.iter().copied().collect::<Vec<_>>().join(" and ")),
        };
        write!(f, "{} {faults}", self.symptom)
    }
}

/// Runs that fail alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub signature: Signature,
    /// Which they are, as indices into what was given, the smallest seed first.
    pub members: Vec<usize>,
    /// The run of the smallest in explicit form, with the kinds of fault that it takes and no others.
    pub smallest: Scenario,
}

/// Failing runs that are being grouped: an iterator of the groups, in the order of their smallest seeds.
pub struct Groups<'a> {
    scenario: &'a Scenario,
    options: &'a Options,
    failing: &'a [Failing],
    jobs: usize,
    /// Those that are in no group, by seed.
    rest: Vec<usize>,
    /// What runs with faults of some kinds only have shown.
    known: BTreeMap<Trial, Vec<Symptom>>,
}

/// A failing run, and the kinds of fault that are left in it.
type Trial = (usize, BTreeSet<&'static str>);

impl<'a> Groups<'a> {
    /// Groups runs of one scenario, each of which has a symptom; so many are tried at once.
    pub fn new(scenario: &'a Scenario, options: &'a Options, failing: &'a [Failing], jobs: usize) -> Groups<'a> {
        let mut rest: Vec<usize> = (0..failing.len()).filter(|at| !failing[*at].symptoms.is_empty()).collect();
        rest.sort_by_key(|at| (failing[*at].seed, failing[*at].system.name()));
        Groups { scenario, options, failing, jobs: jobs.max(1), rest, known: BTreeMap::new() }
    }

    /// Those that are in no group yet, the smallest seed first.
    pub fn rest(&self) -> &[usize] {
        &self.rest
    }

    fn explicit(&self, at: usize) -> Scenario {
        self.scenario.materialised(self.failing[at].system.name(), self.failing[at].seed)
    }

    /// The symptom of each of the rest: of what it shows, what broke in the protocol, if anything did, since what clients see
    /// of it takes luck, and two bugs may look alike to them. Of several, what most of the rest show; of two that are equally
    /// common, the stronger.
    fn symptoms(&self) -> BTreeMap<usize, Symptom> {
        let shown = |at: usize| &self.failing[at].symptoms;
        let mut counts: BTreeMap<Symptom, usize> = BTreeMap::new();
        for symptom in self.rest.iter().flat_map(|at| shown(*at)) {
            *counts.entry(*symptom).or_default() += 1;
        }
        let weight = |symptom: &&Symptom| (symptom.is_of_the_protocol(), counts[*symptom]);
        let chosen =
            |at: usize| *shown(at).iter().rev().max_by_key(weight).expect("runs without a symptom are left out");
        self.rest.iter().map(|at| (*at, chosen(*at))).collect()
    }

    /// Makes the runs that have not been made.
    fn try_all(&mut self, mut trials: Vec<Trial>) {
        trials.retain(|trial| !self.known.contains_key(trial));
        for batch in trials.chunks(self.jobs) {
            let this = &*self;
            let shown: Vec<Vec<Symptom>> = std::thread::scope(|scope| {
                let running: Vec<_> = batch.iter().map(|trial| scope.spawn(move || this.shown(trial))).collect();
                running.into_iter().map(|thread| thread.join().expect("panics of a run are caught")).collect()
            });
            self.known.extend(batch.iter().cloned().zip(shown));
        }
    }

    fn shown(&self, (at, kinds): &Trial) -> Vec<Symptom> {
        let Failing { seed, system, .. } = self.failing[*at];
        let candidate = only(&self.explicit(*at), kinds);
        // A run that is refused, or panics in the harness, shows none of the symptoms.
        let run = catch_unwind(AssertUnwindSafe(|| run(&candidate, system, seed, self.options)));
        run.ok().and_then(Result::ok).map_or_else(Vec::new, |run| Symptom::all(&run.outcome))
    }

    fn shows(&self, trial: &Trial, symptom: Symptom) -> bool {
        self.known[trial].contains(&symptom)
    }

    fn shows_now(&mut self, trial: Trial, symptom: Symptom) -> bool {
        self.try_all(vec![trial.clone()]);
        self.shows(&trial, symptom)
    }

    /// Kinds that it takes to show the symptom: none if that will do, else one, else what is left when as many as
    /// possible are left out, one after the other. `None` if not even all will do.
    fn taken(&mut self, at: usize, symptom: Symptom) -> Option<BTreeSet<&'static str>> {
        let mut left = kinds(&self.explicit(at));
        let few: Vec<Trial> = std::iter::once(BTreeSet::new())
            .chain(left.iter().map(|kind| BTreeSet::from([*kind])))
            .map(|kinds| (at, kinds))
            .collect();
        for batch in few.chunks(self.jobs) {
            self.try_all(batch.to_vec());
            if let Some((_, kinds)) = batch.iter().find(|trial| self.shows(trial, symptom)) {
                return Some(kinds.clone());
            }
        }
        if !self.shows_now((at, left.clone()), symptom) {
            return None;
        }
        for kind in left.clone() {
            let without: BTreeSet<&str> = left.iter().copied().filter(|other| *other != kind).collect();
            if self.shows_now((at, without.clone()), symptom) {
                left = without;
            }
        }
        Some(left)
    }

    /// Those of these that show the symptom with these kinds, and with none of them left out.
    fn alike(&mut self, show: Vec<usize>, symptom: Symptom, kinds: &BTreeSet<&'static str>) -> Vec<usize> {
        self.try_all(show.iter().map(|at| (*at, kinds.clone())).collect());
        let with: Vec<usize> = show.into_iter().filter(|at| self.shows(&(*at, kinds.clone()), symptom)).collect();
        let without = |at: usize| {
            kinds.iter().map(move |kind| (at, kinds.iter().copied().filter(|other| other != kind).collect()))
        };
        self.try_all(with.iter().flat_map(|at| without(*at)).collect());
        with.into_iter().filter(|at| !without(*at).any(|trial| self.shows(&trial, symptom))).collect()
    }
}

impl Iterator for Groups<'_> {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let founder = *self.rest.first()?;
        let symptoms = self.symptoms();
        let symptom = symptoms[&founder];
        let faults = self.taken(founder, symptom);
        let same = self.rest.iter().copied().filter(|at| symptoms[at] == symptom).collect();
        let mut members = faults.as_ref().map_or_else(Vec::new, |kinds| self.alike(same, symptom, kinds));
        // What was left out one after the other may be more than it takes.
        if !members.contains(&founder) {
            members.insert(0, founder);
        }
        self.rest.retain(|at| !members.contains(at));
        let whole = self.explicit(founder);
        let smallest = faults.as_ref().map(|kinds| only(&whole, kinds)).unwrap_or(whole);
        Some(Group { signature: Signature { symptom, faults }, members, smallest })
    }
}
