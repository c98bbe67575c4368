//! Choices that can be run: what a choice stands for, and what a run must show for it to be the cure.
//!
//! A lesson that marks a choice wrong makes a claim about the world, as a prediction does. So a choice that is a variant
//! or a parameter says which, its question says which results are required, and a test runs every one: the right choice
//! meets all requirements, each wrong one fails at least one.

use super::claim::{Measurement, claims, is_claimed};
use super::model::{Complaint, Model};
use super::question::{Choice, Play, Question, Trial};
use super::tell::run_setup;
use crate::run::RunError;
use crate::scenario::suggest::allowed;
use serde::Serialize;
use std::sync::Arc;

/// The result of a trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// What was measured.
    pub claim: String,
    /// Its value, in the claim's unit; `None`: nothing was measured.
    pub measured: Option<f64>,
    /// Whether it meets the requirement.
    pub met: bool,
}

/// Checks that each choice of a question can be run, or says why it cannot.
///
/// # Errors
/// If one does neither.
pub fn check(model: &dyn Model, question: &Question) -> Result<(), Complaint> {
    if question.trials.is_empty() {
        return match question.choices.iter().any(|choice| choice.plays.is_some()) {
            true => Err(("a choice `plays`, and nothing is asked of its run".into(), "give `trials`".into())),
            false => Ok(()),
        };
    }
    let predictions = model.predict();
    for trial in &question.trials {
        if !is_claimed(&predictions, &trial.claim) {
            let help = allowed(&trial.claim, claims(&predictions));
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
                if model.variant(&play.variant).is_none() {
                    let help = allowed(&play.variant, model.variant_names());
                    return Err((format!("there is no variant `{}`", play.variant), help));
                }
                question.trials.iter().try_for_each(|trial| played(model, play, trial).map(drop))?;
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

/// What a choice and the circumstances change about the parameters; the choice takes precedence.
fn changes(play: &Play, trial: &Trial) -> toml::Table {
    trial.parameters.clone().into_iter().chain(play.parameters.clone()).collect()
}

/// The story with what a choice and the circumstances change.
fn played(model: &dyn Model, play: &Play, trial: &Trial) -> Result<Arc<dyn Model>, Complaint> {
    model.with(&changes(play, trial))
}

/// Runs a choice under all trials of its question; `None` if it cannot be run. Trials of one run share it.
///
/// # Errors
/// As [`crate::run::run`].
///
/// # Panics
/// If code of the story panics.
pub fn play(
    model: &dyn Model,
    question: &Question,
    choice: &Choice,
    seed: u64,
) -> Result<Option<Vec<Tried>>, RunError> {
    let Some(play) = &choice.plays else { return Ok(None) };
    let variant = model.variant(&play.variant).expect("a choice is checked when its file is read");
    let mut ran: Vec<(toml::Table, Vec<Measurement>)> = Vec::new();
    let mut tried = Vec::new();
    for trial in &question.trials {
        let changes = changes(play, trial);
        let known = ran.iter().position(|(known, _)| *known == changes);
        let at = known.unwrap_or(ran.len());
        if known.is_none() {
            let model = played(model, play, trial).expect("a choice is checked when its file is read");
            let run = run_setup(&*model, model.setup(variant, seed))?;
            ran.push((changes, run.observed.measured));
        }
        let measured = ran[at].1.iter().find(|found| found.claim == trial.claim).map(|found| found.value);
        let met = measured.is_some_and(|measured| trial.is_met(measured));
        tried.push(Tried { claim: trial.claim.clone(), measured, met });
    }
    Ok(Some(tried))
}

#[cfg(test)]
mod tests {
    use super::super::file::StoryFile;
    use super::super::list::listed;

    #[test]
    fn a_choice_that_cannot_be_run_says_so() {
        let text = listed("retry-storm").unwrap().text;
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
