//! A course: steps to a replicated store, each with trials that a student's program must stand, and what is said to whom
//! it fails (`docs/COURSE.md`).
//!
//! A course is data: a file in TOML and the scenarios that it names. A *trial* is a scenario with seeds. Those for
//! *practice* everybody knows; the *held-out* ones follow from a salt that the teacher keeps. [`grade`](mod@grade) runs them.

pub mod grade;

use crate::check::CheckName;
use crate::rng::seeds::Seeds;
use crate::scenario::Scenario;
use crate::systems::nodes::Service;
use grade::Reason;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use strum::VariantNames;

/// The version of the file format that this build reads.
pub const VERSION: u32 = 1;
/// The most seeds of one kind in a trial.
const SEEDS: u64 = 10_000;
/// Held-out seeds have so many bits, so that a person can copy one.
const SEED_BITS: u32 = 40;

/// A course, as its file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// The file format's version, [`VERSION`].
    pub version: u32,
    /// One line.
    pub title: String,
    /// In the order in which they are to be done.
    pub steps: Vec<Step>,
    /// What is said to whoever fails, by what failed; a step may say something else.
    #[serde(default)]
    pub hints: BTreeMap<String, String>,
}

/// A step: something to build.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Lower case, digits and hyphens.
    pub name: String,
    /// One line.
    pub title: String,
    /// What the nodes are asked.
    #[serde(default)]
    pub service: Service,
    /// What to build.
    pub build: String,
    /// What it is tried with.
    pub trials: Vec<Trial>,
    /// What is said to whoever fails, by what failed.
    #[serde(default)]
    pub hints: BTreeMap<String, String>,
}

/// A scenario under some seeds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Lower case, digits and hyphens.
    pub name: String,
    /// The path of the scenario's file, from the course's folder.
    pub scenario: String,
    /// What is thrown at the program.
    pub thrown: String,
    /// For all practice seeds passed, and as many for all held-out seeds passed.
    pub points: u32,
    /// The seeds that everybody knows, as `schism sweep --seeds` takes them.
    pub practice: String,
    /// How many seeds nobody but the teacher knows.
    pub held_out: u64,
}

/// Which seeds of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Part {
    /// Those that everybody knows.
    Practice,
    /// Those that follow from the salt.
    HeldOut,
}

impl Course {
    /// Reads a course's file.
    ///
    /// # Errors
    /// What is wrong, with its line where it has one, and what helps.
    pub fn parse(text: &str) -> Result<Course, String> {
        let course: Course = toml::from_str(text).map_err(|error| problem(text, &error))?;
        if course.version != VERSION {
            return Err(format!("version {} of the format is unknown; this build reads {VERSION}", course.version));
        }
        let names = course.steps.iter().map(|step| step.name.as_str());
        named_once("step", names)?;
        known_reasons(&course.hints)?;
        for step in &course.steps {
            let wrong = |why: String| format!("step `{}`: {why}", step.name);
            known_reasons(&step.hints).map_err(wrong)?;
            named_once("trial", step.trials.iter().map(|trial| trial.name.as_str())).map_err(wrong)?;
            for trial in &step.trials {
                trial.practice_seeds().map_err(|why| wrong(format!("trial `{}`: {why}", trial.name)))?;
                if trial.held_out > SEEDS {
                    return Err(wrong(format!("trial `{}`: at most {SEEDS} seeds are held out", trial.name)));
                }
            }
        }
        Ok(course)
    }

    /// What helps a student whose program failed in this way at a step.
    pub fn hint<'a>(&'a self, step: &'a Step, reason: &Reason) -> Option<&'a str> {
        let name = reason.name();
        step.hints.get(name).or_else(|| self.hints.get(name)).map(String::as_str)
    }
}

impl Trial {
    /// The seeds that everybody knows.
    ///
    /// # Errors
    /// When the text in the file is not of that form.
    pub fn practice_seeds(&self) -> Result<Vec<u64>, String> {
        let seeds: Seeds =
            self.practice.parse().map_err(|error| format!("practice = \"{}\": {error}", self.practice))?;
        if seeds.count() > SEEDS {
            return Err(format!("practice = \"{}\": at most {SEEDS} seeds", self.practice));
        }
        Ok(seeds.iter().collect())
    }

    /// The seeds that follow from a salt; others for each step and trial.
    pub fn held_out_seeds(&self, step: &Step, salt: &str) -> Vec<u64> {
        let seed = |number: u64| {
            let mut hasher = Sha256::new();
            for part in [salt, &step.name, &self.name, &number.to_string()] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            let first: [u8; 8] = hasher.finalize()[..8].try_into().expect("a hash has 32 bytes");
            u64::from_le_bytes(first) >> (u64::BITS - SEED_BITS)
        };
        (0..self.held_out).map(seed).collect()
    }
}

/// What is wrong with a file in TOML, in one line.
pub fn problem(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let message = error.message();
    before.map_or_else(|| message.to_owned(), |before| format!("line {}: {message}", before.matches('\n').count() + 1))
}

/// A step with its trials' scenarios, ready to be run.
pub struct Ready<'a> {
    /// The step.
    pub step: &'a Step,
    /// Each trial with its scenario.
    pub trials: Vec<(&'a Trial, Scenario)>,
}

/// Names become parts of tables and files.
fn named_once<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        let is_fit = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || !name.chars().all(is_fit) {
            return Err(format!("the {what} `{name}`: names have lower case letters, digits and hyphens"));
        }
        if !seen.insert(name) {
            return Err(format!("the {what} `{name}` is there twice"));
        }
    }
    if seen.is_empty() { Err(format!("it has no {what}")) } else { Ok(()) }
}

/// Hints go by what can fail.
fn known_reasons(hints: &BTreeMap<String, String>) -> Result<(), String> {
    let known: Vec<&str> = CheckName::VARIANTS.iter().chain(Reason::OTHERS).copied().collect();
    match hints.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("[hints] has `{name}`, and what can fail is {}", known.join(", "))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
version = 1
title = "A course"

[[steps]]
name = "one"
title = "One"
build = "Build it."
hints = { linearizability = "think" }

[[steps.trials]]
name = "calm"
scenario = "calm.toml"
thrown = "Nothing."
points = 2
practice = "0..3"
held_out = 4
"#;

    #[test]
    fn held_out_seeds_follow_from_salt_step_and_trial() {
        let course = Course::parse(SMALL).unwrap();
        let step = &course.steps[0];
        let trial = &step.trials[0];
        assert_eq!(trial.practice_seeds(), Ok(vec![0, 1, 2]));
        let seeds = trial.held_out_seeds(step, "a salt");
        // A salt that is kept from one term to the next must go on meaning the same seeds.
        assert_eq!(seeds, trial.held_out_seeds(step, "a salt"));
        assert_eq!(seeds, PINNED);
        assert_ne!(seeds, trial.held_out_seeds(step, "another"));
        let other = Step { name: "two".into(), ..step.clone() };
        assert_ne!(seeds, trial.held_out_seeds(&other, "a salt"));
    }

    const PINNED: [u64; 4] = [604_422_968_975, 559_126_177_593, 106_709_663_253, 459_687_200_849];

    #[test]
    fn a_course_that_is_wrong_is_told_why() {
        let told = |from: &str, to: &str| {
            assert!(SMALL.contains(from));
            Course::parse(&SMALL.replace(from, to)).unwrap_err()
        };
        assert!(told("version = 1", "version = 2").contains("version 2 of the format"));
        assert!(told("points = 2", "points = -2").contains("`-2`"));
        assert!(told("0..3", "x..3").contains("step `one`: trial `calm`: practice"));
        assert!(told("held_out = 4", "held_out = 99999").contains("at most 10000"));
        assert!(told("linearizability", "linearisability").contains("what can fail is linearizability"));
        assert!(told("name = \"calm\"", "name = \"Calm\"").contains("lower case"));
        assert!(told("title = \"One\"", "titel = \"One\"").contains("unknown field"));
        assert!(Course::parse("version = 1\ntitle = \"x\"\nsteps = []").unwrap_err().contains("no step"));
    }
}
