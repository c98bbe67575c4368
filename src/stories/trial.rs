//! Choices that can be run: what a choice stands for, and what a run must show for it to be the cure.
//!
//! A lesson that marks a choice wrong makes a claim about the world, as a prediction does. So a choice that is a variant
//! or a parameter says which, its question says what must come of it, and a test runs every one: the right choice meets
//! all that is asked, each wrong one fails some of it.

use super::file::StoryFile;
use super::lesson::{Choice, Complaint, Question};
use super::{Setup, run_setup};
use crate::run::RunError;
use crate::scenario::suggest::allowed;
use serde::{Deserialize, Serialize};

/// What a choice stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// The variant that is run.
    pub variant: String,
    /// What is changed about the story's parameters.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub parameters: toml::Table,
}

/// What must come of a choice that is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// What the circumstances change about the parameters, whatever is chosen.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub parameters: toml::Table,
    /// The measurement that decides.
    pub claim: String,
    /// The least that cures, in the claim's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The most that cures, in the claim's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// What was measured.
    pub claim: String,
    /// Its value, in the claim's unit; `None`: nothing was measured.
    pub measured: Option<f64>,
    /// Whether that is what is asked.
    pub met: bool,
}

impl Trial {
    /// Whether a measurement is what is asked; NaN, a share of nothing, is not.
    fn is_met(&self, measured: f64) -> bool {
        measured >= self.at_least.unwrap_or(f64::NEG_INFINITY) && measured <= self.at_most.unwrap_or(f64::INFINITY)
    }
}

/// Checks that each choice of a question can be run, or says why it cannot.
///
/// # Errors
/// If one does neither.
pub fn check(story: &StoryFile, question: &Question) -> Result<(), Complaint> {
    if question.trials.is_empty() {
        return match question.choices.iter().any(|choice| choice.plays.is_some()) {
            true => Err(("a choice `plays`, and nothing is asked of its run".into(), "give `trials`".into())),
            false => Ok(()),
        };
    }
    let predictions = story.predict();
    for trial in &question.trials {
        if !predictions.iter().any(|known| known.claim == trial.claim) {
            let names: std::collections::BTreeSet<_> = predictions.iter().map(|known| known.claim).collect();
            let help = allowed(&trial.claim, names.into_iter().collect());
            return Err((format!("nothing measures `{}`", trial.claim), help));
        }
        if trial.at_least.is_none() && trial.at_most.is_none() {
            return Err((
                format!("anything meets the trial of `{}`", trial.claim),
                "give `at_least`, `at_most`".into(),
            ));
        }
    }
    for choice in &question.choices {
        match (&choice.plays, &choice.unplayed) {
            (Some(play), None) => {
                if story.variant(&play.variant).is_none() {
                    let names = story.variants().iter().map(|variant| variant.name).collect();
                    return Err((format!("there is no variant `{}`", play.variant), allowed(&play.variant, names)));
                }
                question.trials.iter().try_for_each(|trial| played(story, play, trial).map(drop))?;
            }
            (None, Some(_)) if !choice.right => {}
            _ => {
                let help = "give `plays`, or, if it is wrong and cannot be run, `unplayed` with the reason";
                return Err((format!("`{}` is not run", choice.text), help.into()));
            }
        }
    }
    Ok(())
}

/// The story with what a choice and the circumstances change.
fn played(story: &StoryFile, play: &Play, trial: &Trial) -> Result<StoryFile, Complaint> {
    let changes = trial.parameters.clone().into_iter().chain(play.parameters.clone()).collect();
    story.with(&changes)
}

/// Runs a choice under all trials of its question; `None` if it cannot be run. Trials of one run share it.
///
/// # Errors
/// As [`crate::run::run`].
///
/// # Panics
/// If code of the story panics.
pub fn play(
    story: &StoryFile,
    question: &Question,
    choice: &Choice,
    seed: u64,
) -> Result<Option<Vec<Tried>>, RunError> {
    let Some(play) = &choice.plays else { return Ok(None) };
    let variant = story.variant(&play.variant).expect("a choice is checked when its file is read").name;
    let mut ran: Vec<(toml::Table, Vec<super::claim::Measurement>)> = Vec::new();
    let mut tried = Vec::new();
    for trial in &question.trials {
        let file = played(story, play, trial).expect("a choice is checked when its file is read");
        let known = ran.iter().position(|(parameters, _)| *parameters == file.parameters);
        let at = known.unwrap_or(ran.len());
        if known.is_none() {
            let (load, faults) = file.materialise(seed);
            let run = run_setup(&file, Setup { variant, seed, load, faults })?;
            ran.push((file.parameters, run.observed.measured));
        }
        let measured = ran[at].1.iter().find(|found| found.claim == trial.claim).map(|found| found.value);
        let met = measured.is_some_and(|measured| trial.is_met(measured));
        tried.push(Tried { claim: trial.claim.clone(), measured, met });
    }
    Ok(Some(tried))
}

#[cfg(test)]
mod tests {
    use super::super::file::embedded;
    use super::*;

    #[test]
    fn a_trial_is_met_within_its_bounds() {
        let trial =
            |at_least, at_most| Trial { parameters: toml::Table::new(), claim: "served".into(), at_least, at_most };
        assert!(trial(Some(95.0), None).is_met(95.0) && !trial(Some(95.0), None).is_met(94.9));
        assert!(trial(None, Some(1.0)).is_met(0.0) && !trial(None, Some(1.0)).is_met(1.1));
        assert!(!trial(Some(0.0), None).is_met(f64::NAN) && !trial(None, Some(0.0)).is_met(f64::NAN));
    }

    #[test]
    fn a_choice_that_cannot_be_run_says_so() {
        let (_, text) = embedded().iter().find(|(name, _)| *name == "retry-storm").unwrap();
        for (from, to, part) in [
            ("plays = { variant = \"budget\" }", "", "is not run"),
            ("plays = { variant = \"budget\" }", "unplayed = \"it is obvious\"", "is not run"),
            ("plays = { variant = \"budget\" }", "plays = { variant = \"bugdet\" }", "did you mean `budget`?"),
            ("retries = 5", "retries = 500", "`retries` is 500"),
            ("retries = 5", "retrys = 5", "unknown field `retrys`"),
            ("at_least = 95.0\n", "", "anything meets the trial"),
        ] {
            assert!(text.contains(from), "`{from}` is in the story");
            let said = StoryFile::parse("own.toml", &text.replacen(from, to, 1)).unwrap_err().plain();
            assert!(said.starts_with("own.toml:") && said.contains(part), "{part} in:\n{said}");
        }
    }
}
