//! What a class is told and asked about a story, and how an answer is judged.
//!
//! A lesson's text is in the story's file. A question is a choice, or a number that a run decides; the outcome and the
//! reasons are behind [`grade`], which wants an answer.

use super::claim::{Claim, Prediction};
use super::file::StoryFile;
use super::trial::{self, Play, Trial};
use crate::rng;
use serde::{Deserialize, Serialize};

/// What a class is told and asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    /// Raised with every change after which an old answer means something else.
    pub version: u32,
    /// What is known before anything is run; gives nothing away.
    pub setting: String,
    /// The variant whose evidence is shown.
    pub evidence: String,
    /// What is to be learned; shown at the end.
    pub moral: String,
    /// What is asked, in order.
    pub questions: Vec<Question>,
}

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
    /// The claim's unit, known once the file has been read.
    #[serde(skip)]
    unit: &'static str,
    /// What must come of the choice that is right, and of no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
    /// What can be chosen; one is right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
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
    /// Why no run can show what comes of it, where the question has trials and this cannot be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplayed: Option<String>,
}

/// How one answer was judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What was answered.
    pub answer: String,
    /// Whether it is right.
    pub right: bool,
    /// What would have been: a letter, or what was measured.
    pub solution: String,
    /// Why.
    pub because: String,
}

/// What can be wrong with a lesson or an answer: the problem, and what is allowed.
pub type Complaint = (String, String);

impl Lesson {
    /// Checks that each question can be asked and answered.
    ///
    /// # Errors
    /// If one cannot.
    pub fn check(&self, story: &StoryFile) -> Result<(), Complaint> {
        let predictions = story.predict();
        if story.variant(&self.evidence).is_none() {
            let names: Vec<_> = story.variants().iter().map(|variant| variant.name).collect();
            return Err((format!("there is no variant `{}`", self.evidence), format!("allowed: {}", names.join(", "))));
        }
        if self.questions.is_empty() {
            return Err(("a lesson asks something".into(), "write `[[lesson.questions]]`".into()));
        }
        for (number, question) in (1..).zip(&self.questions) {
            let wrong = |why: &str| format!("question {number}: {why}");
            if let Some((claim, variant, _)) = question.number() {
                if !question.choices.is_empty() {
                    return Err((wrong("it asks for a number and offers choices"), "make two questions of it".into()));
                }
                if !predictions.iter().any(|known| known.claim == claim && known.variant == variant) {
                    let known = predictions.iter().map(|known| format!("`{}` of `{}`", known.claim, known.variant));
                    let known: Vec<_> = known.collect();
                    return Err((wrong("nothing measures this"), format!("allowed: {}", known.join(", "))));
                }
            } else if question.choices.iter().filter(|choice| choice.right).count() != 1 || question.choices.len() > 26
            {
                let help = "give `claim`, `variant` and `within`, or `choices` of which one has `right = true`";
                return Err((wrong("exactly one of its choices must be right"), help.into()));
            }
            trial::check(story, question).map_err(|(problem, help)| (wrong(&problem), help))?;
        }
        Ok(())
    }

    /// Reads an answer to all questions, separated by commas: letters and numbers.
    ///
    /// # Errors
    /// If it does not answer each question with what can be chosen.
    pub fn read(&self, text: &str) -> Result<Vec<String>, Complaint> {
        let parts: Vec<String> = text.split(',').map(|part| part.trim().to_lowercase()).collect();
        if parts.len() != self.questions.len() {
            let help = format!("answer like this: {}", self.example());
            return Err((format!("there are {} questions and {} answers", self.questions.len(), parts.len()), help));
        }
        self.questions.iter().zip(parts).map(|(question, part)| question.read(&part)).collect()
    }

    /// An answer of the right form.
    pub fn example(&self) -> String {
        let one = |question: &Question| if question.choices.is_empty() { "50" } else { "a" };
        self.questions.iter().map(one).collect::<Vec<_>>().join(",")
    }
}

impl Question {
    /// The claim, variant and allowance, if a number is asked for.
    pub fn number(&self) -> Option<(&str, &str, f64)> {
        Some((self.claim.as_deref()?, self.variant.as_deref()?, self.within?))
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
        let is_offered = text.len() == 1 && self.choices.iter().zip('a'..).any(|(_, letter)| text.starts_with(letter));
        let letters: Vec<String> = self.choices.iter().zip('a'..).map(|(_, letter)| letter.to_string()).collect();
        if is_offered {
            Ok(text)
        } else {
            Err((format!("`{text}` is no choice"), format!("allowed: {}", letters.join(", "))))
        }
    }

    fn judge(&self, answer: &str, claims: &[Claim]) -> Judged {
        let answer = answer.to_string();
        let Some((name, variant, within)) = self.number() else {
            let solution = self.choices.iter().position(|choice| choice.right).unwrap_or_default();
            let chosen = self.choices.iter().zip('a'..).find(|(_, letter)| answer == letter.to_string());
            let because = chosen.map_or(String::new(), |(choice, _)| choice.because.clone());
            let letter = (b'a' + solution as u8) as char;
            return Judged { right: answer == letter.to_string(), solution: letter.to_string(), answer, because };
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

/// Judges an answer to every question by what was measured.
pub fn grade(lesson: &Lesson, answer: &[String], claims: &[Claim]) -> Vec<Judged> {
    lesson.questions.iter().zip(answer).map(|(question, answer)| question.judge(answer, claims)).collect()
}

/// How many answers are right.
pub fn score(judged: &[Judged]) -> usize {
    judged.iter().filter(|judged| judged.right).count()
}

/// The seed of a student's run: each has a run of their own, and the teacher can make it again.
pub fn seed_of(student: &str, lesson: &str) -> u64 {
    rng::hash_bytes(rng::hash_bytes(0, lesson.as_bytes()), student.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::file::find;
    use super::*;

    fn lesson() -> Lesson {
        find("retry-storm").unwrap().lesson
    }

    #[test]
    fn an_answer_is_read_or_told_what_is_allowed() {
        let lesson = lesson();
        assert_eq!(lesson.read(" 12.50% , B").unwrap(), ["12.5", "b"]);
        for (text, part) in [
            ("1", "1 answers"),
            ("x,a", "no number"),
            ("nan,a", "no number"),
            ("1,z", "allowed: a, b"),
            ("150,a", "`150` is a percentage that cannot be allowed: 0 to 100"),
            ("100.1 %,a", "allowed: 0 to 100"),
            ("-1,a", "allowed: 0 to 100"),
        ] {
            let (problem, help) = lesson.read(text).unwrap_err();
            assert!(format!("{problem} {help}").contains(part), "{text}: {problem}, {help}");
        }
        assert_eq!(lesson.read("100%,a").unwrap(), ["100", "a"]);
        assert!(lesson.read(&lesson.example()).is_ok());
        let page = find("latency-not-bandwidth").unwrap().lesson;
        assert_eq!(page.read("4900 ms,a").unwrap(), ["4900", "a"]);
        assert!(page.read("-1,a").unwrap_err().1.contains("0 or more ms"));
    }

    #[test]
    fn a_number_is_judged_by_the_run_and_a_choice_by_the_file() {
        let lesson = lesson();
        let (claim, variant, within) = lesson.questions[0].number().unwrap();
        let claims = [Claim {
            name: claim.into(),
            variant: variant.into(),
            predicted: 0.0,
            measured: Some(40.0),
            unit: "%".into(),
            tolerance: 1.0,
            holds: false,
            because: String::new(),
        }];
        let right = lesson.questions[1].choices.iter().position(|choice| choice.right).unwrap();
        let letter = |index: usize| ((b'a' + index as u8) as char).to_string();
        let near = [(40.0 + within).to_string(), letter(right)];
        assert!(grade(&lesson, &near, &claims).iter().all(|judged| judged.right));
        let far = [(40.1 + within).to_string(), letter((right + 1) % 3)];
        let judged = grade(&lesson, &far, &claims);
        assert!(judged.iter().all(|judged| !judged.right && !judged.solution.is_empty()), "{judged:?}");
        assert!(!grade(&lesson, &near, &[])[0].right, "what was not measured decides nothing");
    }

    #[test]
    fn students_have_seeds_of_their_own() {
        assert_ne!(seed_of("ada", "retry-storm"), seed_of("bob", "retry-storm"));
        assert_ne!(seed_of("ada", "retry-storm"), seed_of("ada", "dns-outage"));
    }
}
