//! The text and the questions of a story's lesson, and how an answer is graded.
//!
//! A lesson's text is in the story's file. A question is a choice, or a number that a run decides. The outcome and the
//! reasons are available only from [`grade`], which needs an answer.

use super::claim::Claim;
use super::model::{Complaint, Model};
use super::question::{Judged, Question};
use super::trial;
use crate::rng;
use serde::{Deserialize, Serialize};

/// The text and the questions for a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    /// The version: raised with every change that gives an old answer another meaning.
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

impl Lesson {
    /// Checks that each question can be asked and answered.
    ///
    /// # Errors
    /// If one cannot.
    pub fn check(&self, model: &dyn Model) -> Result<(), Complaint> {
        let predictions = model.predict();
        if model.variant(&self.evidence).is_none() {
            let help = format!("allowed: {}", model.variant_names().join(", "));
            return Err((format!("there is no variant `{}`", self.evidence), help));
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
            } else if question.answers.is_some() {
                return Err((wrong("it has `answers` and asks for no number"), "remove `answers`".into()));
            } else if question.choices.iter().filter(|choice| choice.right).count() != 1 || question.choices.len() > 26
            {
                let help = "give `claim`, `variant` and `within`, or `choices` of which one has `right = true`";
                return Err((wrong("exactly one of its choices must be right"), help.into()));
            }
            trial::check(model, question).map_err(|(problem, help)| (wrong(&problem), help))?;
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

/// Grades the answers to all questions by what was measured.
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
        let letter = |index: usize| super::super::question::letter(index).to_string();
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
