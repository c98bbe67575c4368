//! A question of a lesson: the possible answers, and how an answer is graded.

use super::claim::{Claim, Prediction};
use super::model::Complaint;
use serde::{Deserialize, Serialize};

/// One question: either `choices`, or the number that `claim` of `variant` measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is asked.
    pub ask: String,
    /// The claim whose measurement is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The variant it is asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How far an answer may be off, in the claim's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<f64>,
    /// Answers to it, held to the runs by a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// The claim's unit, known once the file has been read.
    #[serde(skip)]
    unit: &'static str,
    /// The results that the right choice must have, and no other choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
    /// What can be chosen; one is right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

/// Answers to a question that asks for a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// What a student can reach from the lesson's text, exactly or with a shortcut that a teacher would let pass.
    pub right: Vec<f64>,
    /// What comes of the mistakes that the lesson is about.
    pub wrong: Vec<f64>,
}

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What is chosen.
    pub text: String,
    /// Why it is right or wrong; shown after the answer.
    pub because: String,
    /// Whether it is right.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub right: bool,
    /// What it stands for in a run, where the question has trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plays: Option<Play>,
    /// Why no run can show its result, if the question has trials and this choice cannot be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplayed: Option<String>,
}

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

/// A result that the right choice must have.
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

/// How one answer was graded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What was answered.
    pub answer: String,
    /// Whether it is right.
    pub right: bool,
    /// What would have been right: a letter, or what was measured.
    pub solution: String,
    /// Why.
    pub because: String,
}

impl Trial {
    /// Whether a measurement meets the trial; NaN, a share of nothing, does not.
    pub(super) fn is_met(&self, measured: f64) -> bool {
        measured >= self.at_least.unwrap_or(f64::NEG_INFINITY) && measured <= self.at_most.unwrap_or(f64::INFINITY)
    }
}

impl Question {
    /// The claim, variant and allowance, if a number is asked for.
    pub fn number(&self) -> Option<(&str, &str, f64)> {
        Some((self.claim.as_deref()?, self.variant.as_deref()?, self.within?))
    }

    /// The unit of the number that is asked for; empty for a choice.
    pub fn unit(&self) -> &'static str {
        self.unit
    }

    /// Takes over the unit of what is asked for.
    pub(super) fn measure_by(&mut self, predictions: &[Prediction]) {
        let Some((claim, variant, _)) = self.number() else { return };
        let known = predictions.iter().find(|known| known.claim == claim && known.variant == variant);
        self.unit = known.map_or("", |known| known.unit);
    }

    /// Reads one answer.
    ///
    /// # Errors
    /// If it is no letter of the choices, no number, or a number that the unit cannot have: every quantity that is asked
    /// for is 0 or more, a share at most 100 %.
    pub fn read(&self, text: &str) -> Result<String, Complaint> {
        let text = text.trim().to_lowercase();
        if self.choices.is_empty() {
            let bare = text.strip_suffix(self.unit).unwrap_or(&text).trim();
            let (least, most) = (0.0, if self.unit == "%" { 100.0 } else { f64::MAX });
            let help = match self.unit {
                "%" => "allowed: 0 to 100, like 12.5".to_string(),
                "" => "allowed: 0 or more, like 12.5".to_string(),
                unit => format!("allowed: 0 or more {unit}, like 12.5"),
            };
            return match bare.parse::<f64>().ok().filter(|number| number.is_finite()) {
                None => Err((format!("`{text}` is no number"), help)),
                Some(number) if !(least..=most).contains(&number) => {
                    let quantity = if self.unit == "%" { "a percentage" } else { "a quantity" };
                    Err((format!("`{text}` is {quantity} that cannot be"), help))
                }
                Some(number) => Ok(number.to_string()),
            };
        }
        chosen(&text, self.choices.len()).map(|_| text)
    }

    pub(super) fn judge(&self, answer: &str, claims: &[Claim]) -> Judged {
        let answer = answer.to_string();
        let Some((name, variant, within)) = self.number() else {
            let solution = self.choices.iter().position(|choice| choice.right).unwrap_or_default();
            let chosen = self.choices.iter().zip('a'..).find(|(_, letter)| answer == letter.to_string());
            let because = chosen.map_or(String::new(), |(choice, _)| choice.because.clone());
            let solution = letter(solution).to_string();
            return Judged { right: answer == solution, solution, answer, because };
        };
        let claim = claims.iter().find(|claim| claim.variant == variant && claim.name == name);
        let measured = claim.and_then(|claim| claim.measured);
        let number = answer.parse::<f64>().ok();
        let right = measured.zip(number).is_some_and(|(measured, number)| (measured - number).abs() <= within);
        let unit = claim.map_or("", |claim| claim.unit.as_str());
        let solution = measured
            .map_or("nothing was measured".into(), |measured| format!("{measured:.1} {unit}").trim_end().to_string());
        Judged { answer, right, solution, because: claim.map_or(String::new(), |claim| claim.because.clone()) }
    }
}

/// Reads the letter of one of so many choices; which it is, from 0.
///
/// # Errors
/// If it is the letter of none.
pub fn chosen(text: &str, choices: usize) -> Result<usize, Complaint> {
    let text = text.trim().to_lowercase();
    let letters: Vec<String> = (0..choices).map(|index| letter(index).to_string()).collect();
    let wrong = || (format!("`{text}` is no choice"), format!("allowed: {}", letters.join(", ")));
    letters.iter().position(|letter| *letter == text).ok_or_else(wrong)
}

/// The letter of a choice, by its index.
///
/// # Panics
/// If there are more choices than letters.
pub fn letter(index: usize) -> char {
    ('a'..='z').nth(index).expect("a question has no more choices than there are letters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_met_within_its_bounds() {
        let trial =
            |at_least, at_most| Trial { parameters: toml::Table::new(), claim: "served".into(), at_least, at_most };
        assert!(trial(Some(95.0), None).is_met(95.0) && !trial(Some(95.0), None).is_met(94.9));
        assert!(trial(None, Some(1.0)).is_met(0.0) && !trial(None, Some(1.0)).is_met(1.1));
        assert!(!trial(Some(0.0), None).is_met(f64::NAN) && !trial(None, Some(0.0)).is_met(f64::NAN));
    }
}
