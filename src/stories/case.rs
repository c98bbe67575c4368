//! A case: one question of the sort "the service is slow, and the servers are fine", to be solved from evidence.
//!
//! What is the matter is a run of a story, which the student does not see. There is first evidence, and more for a price in
//! minutes; then a cause is named and a cure chosen, and the cure is run. Every figure of the evidence is measured in that
//! run: a fact that measures nothing may hold no digit, which a test checks. A wrong cause is one that the first evidence
//! allows: it names the run of another story in which the same symptom shows, and which evidence rules it out.

use super::file::find;
use super::model::{Complaint, Model};
use super::question::{Play, Question, Trial};
use super::tell::run_setup;
use super::trial::{self, Tried};
use crate::run::RunError;
use crate::run::life::Life;
use crate::scenario::suggest::allowed;
use crate::trace::digest::Digest;
use serde::Deserialize;
use std::sync::Arc;

/// The files of `sims/cases/`, by name.
const CASES: &[(&str, &str)] = &[
    ("service-is-slow", include_str!("../../sims/cases/service-is-slow.toml")),
    ("dns-is-slow", include_str!("../../sims/cases/dns-is-slow.toml")),
    ("sites-are-cut-apart", include_str!("../../sims/cases/sites-are-cut-apart.toml")),
];

/// A case as its file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name on the command line.
    pub name: String,
    /// One line.
    pub title: String,
    /// What is known at first.
    pub situation: String,
    /// The minutes that asking for evidence may take.
    pub minutes: u32,
    /// The story of which this is a run.
    pub story: String,
    /// What is the matter.
    pub truth: Play,
    /// The symptom: what the first evidence measures.
    pub symptom: Fact,
    /// What can be asked for.
    pub inquiries: Vec<Inquiry>,
    /// What may be the cause; one is.
    pub causes: Vec<Suspect>,
    /// What can be done about it.
    pub cure: Question,
    /// What is to be learned.
    pub moral: String,
}

/// A sentence about the run that is the case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The sentence; `{}` stands for what was measured.
    pub text: String,
    /// What is measured.
    pub claim: Option<String>,
}

/// Evidence that can be asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inquiry {
    /// What is asked for.
    pub ask: String,
    /// How many minutes it takes.
    pub minutes: u32,
    /// What is found.
    pub finds: Fact,
    /// Whether the requests of the run are shown: what each was doing, and for how long.
    #[serde(default)]
    pub follow: bool,
}

/// A possible cause.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspect {
    /// What would be the matter.
    pub text: String,
    /// Why it is, or is not.
    pub because: String,
    /// Whether it is.
    #[serde(default)]
    pub right: bool,
    /// Numbers of the inquiries, from 1, that rule it out; of the right cause, that point to it.
    pub seen_by: Vec<usize>,
    /// A run of another story in which the symptom shows for this cause.
    pub mimic: Option<Mimic>,
}

/// A run with the same symptom and another cause.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mimic {
    /// The story.
    pub story: String,
    /// Which variant, with which parameters.
    pub plays: Play,
    /// What the symptom is there.
    pub shows: Trial,
}

/// A sentence with the measurement in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The text, in which `{}` stands for the value.
    pub text: String,
    /// The value and its unit.
    pub value: Option<(f64, &'static str)>,
}

/// The run that a case is.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The first evidence.
    pub symptom: Known,
    /// What each inquiry finds, in order.
    pub finds: Vec<Known>,
    /// The requests of the run, for an inquiry that follows them.
    pub lives: Vec<Life>,
    /// How long the run lasted, in simulated seconds.
    pub simulated_s: f64,
    /// The digest of the run.
    pub digest: Digest,
}

/// The cases, in the order in which a class would meet them.
///
/// # Panics
/// Never in a build that passed its tests: each file is read by one.
pub fn cases() -> Vec<Case> {
    CASES.iter().map(|(name, text)| read(name, text)).collect()
}

/// The case of this name.
///
/// # Panics
/// As [`cases`].
pub fn case(name: &str) -> Option<Case> {
    CASES.iter().find(|(known, _)| *known == name).map(|(name, text)| read(name, text))
}

/// The names of all cases.
pub fn names() -> Vec<&'static str> {
    CASES.iter().map(|(name, _)| *name).collect()
}

fn read(name: &str, text: &str) -> Case {
    let case: Case = toml::from_str(text).unwrap_or_else(|error| panic!("sims/cases/{name}.toml: {error}"));
    assert_eq!(case.name, name, "a case has the name of its file");
    case
}

impl Opened {
    /// Of the requests that ended without being served the one that took longest, and of those that were served the median.
    pub fn telling(&self) -> Vec<&Life> {
        let ended = self.lives.iter().filter(|life| life.ended_ns.is_some());
        let (mut served, mut unserved): (Vec<&Life>, Vec<&Life>) = ended.partition(|life| life.served.unwrap_or(true));
        served.sort_by_key(|life| (life.took_ns(), life.at_ns));
        unserved.sort_by_key(|life| (life.took_ns(), life.at_ns));
        unserved.last().into_iter().chain(served.get(served.len() / 2)).copied().collect()
    }
}

impl Case {
    /// The story with the parameters of this case.
    fn model(&self) -> Arc<dyn Model> {
        played(&self.story, &self.truth)
    }

    /// The unit of what the case's story measures.
    pub fn unit(&self, claim: &str) -> &'static str {
        self.model().predict().iter().find(|known| known.claim == claim).map_or("", |known| known.unit)
    }

    /// Runs what is the matter, and fills the evidence in.
    ///
    /// # Errors
    /// As [`crate::run::run`].
    ///
    /// # Panics
    /// If code of the story panics, or its file does not fit: a test reads every case.
    pub fn open(&self, seed: u64) -> Result<Opened, RunError> {
        let model = self.model();
        let variant = model.variant(&self.truth.variant).expect("a case names a variant of its story");
        let run = run_setup(&*model, model.setup(variant, seed))?;
        let predictions = model.predict();
        let known = |fact: &Fact| {
            let value = fact.claim.as_ref().map(|claim| {
                let measured = run.observed.measured.iter().find(|measured| measured.claim == claim);
                let unit = predictions.iter().find(|known| known.claim == claim).map(|known| known.unit);
                measured.map(|measured| measured.value).zip(unit).expect("a case asks for what its run measures")
            });
            Known { text: fact.text.trim().to_string(), value }
        };
        Ok(Opened {
            symptom: known(&self.symptom),
            finds: self.inquiries.iter().map(|inquiry| known(&inquiry.finds)).collect(),
            lives: run.observed.lives,
            simulated_s: run.observed.simulated_s,
            digest: run.digest,
        })
    }

    /// Runs a cure; `None` if it cannot be run.
    ///
    /// # Errors
    /// As [`crate::run::run`].
    ///
    /// # Panics
    /// As [`open`](Case::open).
    pub fn try_cure(&self, choice: usize, seed: u64) -> Result<Option<Vec<Tried>>, RunError> {
        trial::play(&*self.model(), &self.cure, &self.cure.choices[choice], seed)
    }

    /// The minutes that these inquiries take together, by number from 1.
    ///
    /// # Errors
    /// If there is no such inquiry, or they take longer than there is time.
    pub fn minutes_for(&self, asked: &[usize]) -> Result<u32, Complaint> {
        let mut minutes = 0;
        for number in asked {
            let inquiry = number.checked_sub(1).and_then(|index| self.inquiries.get(index));
            let none = || {
                (
                    format!("there is nothing to ask for under {number}"),
                    format!("allowed: 1 to {}", self.inquiries.len()),
                )
            };
            minutes += inquiry.ok_or_else(none)?.minutes;
        }
        if minutes > self.minutes {
            let help = format!("leave something out: there are {}", self.minutes);
            return Err((format!("asking for all that takes {minutes} minutes"), help));
        }
        Ok(minutes)
    }
}

/// A story with changed parameters.
fn played(story: &str, play: &Play) -> Arc<dyn Model> {
    let file =
        find(story).unwrap_or_else(|| panic!("there is no story `{story}`; {}", allowed(story, super::list::names())));
    file.model.with(&play.parameters).unwrap_or_else(|(problem, help)| panic!("{story}: {problem}; {help}"))
}

#[cfg(test)]
mod tests {
    use super::super::question::chosen;
    use super::*;

    const SEED: u64 = 3;

    #[test]
    fn every_figure_of_the_evidence_is_measured() {
        for case in cases() {
            let opened = case.open(SEED).unwrap();
            for known in opened.finds.iter().chain([&opened.symptom]) {
                let sentence = format!("{}: {}", case.name, known.text);
                assert_eq!(known.text.matches("{}").count(), usize::from(known.value.is_some()), "{sentence}");
                let told = if known.value.is_none() { known.text.as_str() } else { "" };
                assert!(!told.contains(|c: char| c.is_ascii_digit()), "a figure that nothing measured: {sentence}");
            }
            assert_eq!(case.open(SEED).unwrap().digest, opened.digest, "{}", case.name);
            if case.inquiries.iter().any(|inquiry| inquiry.follow) {
                let told: Vec<_> = opened.telling().iter().map(|life| life.served).collect();
                assert_eq!(told, [Some(false), Some(true)], "{}: one that was not served, and one that was", case.name);
            }
        }
    }

    #[test]
    fn the_first_evidence_allows_each_cause_and_what_is_asked_for_decides() {
        for case in cases() {
            assert_eq!(case.causes.iter().filter(|cause| cause.right).count(), 1, "{}", case.name);
            for cause in &case.causes {
                let place = format!("{}: {}", case.name, cause.text);
                assert!(!cause.seen_by.is_empty(), "{place}: nothing speaks of it");
                let is_there = |number: &usize| (1..=case.inquiries.len()).contains(number);
                assert!(cause.seen_by.iter().all(is_there), "{place}");
                assert_eq!(cause.right, cause.mimic.is_none(), "{place}: a wrong cause shows the symptom elsewhere");
                let Some(mimic) = &cause.mimic else { continue };
                assert_ne!(mimic.story, case.story, "{place}");
                let model = played(&mimic.story, &mimic.plays);
                let variant = model.variant(&mimic.plays.variant).unwrap();
                let run = run_setup(&*model, model.setup(variant, SEED)).unwrap();
                let measured = run.observed.measured.iter().find(|measured| measured.claim == mimic.shows.claim);
                let value = measured.unwrap_or_else(|| panic!("{place}: {} is not measured", mimic.shows.claim)).value;
                assert!(mimic.shows.is_met(value), "{place}: {} is {value}", mimic.shows.claim);
            }
        }
    }

    #[test]
    fn only_the_right_cure_cures_and_asking_for_everything_takes_too_long() {
        for case in cases() {
            trial::check(&*case.model(), &case.cure).unwrap();
            for (index, choice) in case.cure.choices.iter().enumerate() {
                let Some(tried) = case.try_cure(index, SEED).unwrap() else { continue };
                let cured = tried.iter().all(|tried| tried.met);
                assert_eq!(cured, choice.right, "{}: {}: {tried:?}", case.name, choice.text);
            }
            let all: Vec<usize> = (1..=case.inquiries.len()).collect();
            assert!(case.minutes_for(&all).is_err(), "{}", case.name);
            let needed = &case.causes.iter().find(|cause| cause.right).unwrap().seen_by;
            assert!(case.minutes_for(needed).is_ok(), "{}", case.name);
            assert!(case.minutes_for(&[0]).is_err() && case.minutes_for(&[99]).is_err());
        }
        assert_eq!(chosen(" B", 2), Ok(1));
        assert!(chosen("c", 2).unwrap_err().1.contains("a, b"));
    }
}
