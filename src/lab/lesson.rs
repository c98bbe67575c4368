//! Lessons in a browser: what `schism lesson` asks and shows, as data for a page to draw.
//!
//! What comes before an answer gives nothing away: it has neither the claims nor what is right.

use super::setting::Seed;
use super::target;
use crate::report::story::answer::{HandedIn, student};
use crate::report::story::drawn::Chart;
use crate::report::story::page::{Shown, until_us};
use crate::stories::case::{Case, cases};
use crate::stories::claim::Claim;
use crate::stories::lesson::{grade, score, seed_of};
use crate::stories::list::names;
use crate::stories::question::Judged;
use crate::stories::{StoryFile, Telling, catalogue, find, tell_in_turn};
use crate::trace::digest::Digest;
use serde::{Deserialize, Serialize};

/// A lesson, and the seed of its runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Asked {
    /// The lesson's name.
    lesson: String,
    /// The ID of the student, who then has runs of their own and can hand in an answer.
    #[serde(default)]
    student: Option<String>,
    /// The seed, where there is no student.
    #[serde(default)]
    seed: Option<Seed>,
}

/// The seed of those who neither say who they are nor name one: that of the chapters of `docs/lessons/`.
pub(super) const SEED: u64 = 7;

impl Asked {
    fn story(&self) -> Result<StoryFile, String> {
        find(&self.lesson)
            .ok_or_else(|| format!("there is no lesson `{}`: the lessons are {}", self.lesson, names().join(", ")))
    }

    fn seed(&self) -> Result<u64, String> {
        match (&self.student, &self.seed) {
            (Some(id), None) => Ok(seed_of(&student(id)?, &self.lesson)),
            (None, Some(seed)) => seed.number(),
            (None, None) => Ok(SEED),
            (Some(_), Some(_)) => Err("a student's seed follows from the ID: give one of the two".into()),
        }
    }
}

/// The lessons and the cases.
#[derive(Serialize)]
pub struct List {
    lessons: Vec<Entry>,
    cases: Vec<CaseEntry>,
}

#[derive(Serialize)]
struct CaseEntry {
    name: String,
    title: String,
    minutes: u32,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    title: String,
    questions: usize,
}

/// A lesson before an answer.
#[derive(Serialize)]
pub struct Told {
    name: String,
    title: String,
    version: u32,
    /// As text: a script's numbers end at 2^53.
    seed: String,
    student: Option<String>,
    setting: Vec<String>,
    evidence: Vec<Chart>,
    questions: Vec<Open>,
    target: &'static str,
}

/// A question without its answer.
#[derive(Serialize)]
struct Open {
    ask: String,
    /// Of the number that is asked for; empty for a choice.
    unit: &'static str,
    choices: Vec<String>,
}

/// A lesson after an answer.
#[derive(Serialize)]
pub struct Answered {
    name: String,
    seed: String,
    judged: Vec<Judged>,
    score: usize,
    /// For each question the reasons of its choices.
    reasons: Vec<Vec<String>>,
    /// For each question the claim and the variant that it asks about, if it asks for a number.
    asked_about: Vec<Option<(String, String)>>,
    variants: Vec<Shown>,
    /// When the longest run ends, in simulated microseconds.
    until_us: u64,
    claims: Vec<Claim>,
    assumptions: Vec<String>,
    modelled: &'static [&'static str],
    moral: Vec<String>,
    digest: Digest,
    command: String,
    /// The file to hand in, if a student answered.
    file: Option<File>,
    target: &'static str,
}

#[derive(Serialize)]
struct File {
    name: String,
    text: String,
}

/// The lessons and the cases, in the order in which a class would meet them.
pub fn list() -> List {
    let entry =
        |story: StoryFile| Entry { questions: story.lesson.questions.len(), name: story.name, title: story.title };
    let case = |case: Case| CaseEntry { minutes: case.minutes, name: case.name, title: case.title };
    List { lessons: catalogue().into_iter().map(entry).collect(), cases: cases().into_iter().map(case).collect() }
}

/// Paragraphs, each in one line.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split("\n\n").map(one_line).filter(|text| !text.is_empty()).collect()
}

/// A lesson up to its questions; only the variant that an engineer on call would look at is run.
///
/// # Errors
/// If there is no such lesson, the ID or the seed is none, or the run is not wanted any more.
pub fn told(asked: &Asked, is_wanted: &dyn Fn() -> bool) -> Result<Told, String> {
    let (story, seed) = (asked.story()?, asked.seed()?);
    let shown = story.model.variant(&story.lesson.evidence);
    let told = tell_in_turn(&*story.model, shown, seed, is_wanted).map_err(|error| error.to_string())?;
    let open = |question: &crate::stories::question::Question| Open {
        ask: question.ask.clone(),
        unit: question.unit(),
        choices: question.choices.iter().map(|choice| choice.text.clone()).collect(),
    };
    Ok(Told {
        version: story.lesson.version,
        seed: seed.to_string(),
        student: asked.student.clone(),
        setting: paragraphs(&story.lesson.setting),
        evidence: told.runs.iter().flat_map(|run| &run.observed.evidence).map(Chart::of).collect(),
        questions: story.lesson.questions.iter().map(open).collect(),
        target: target(),
        name: story.name,
        title: story.title,
    })
}

/// Runs all variants and marks an answer.
///
/// # Errors
/// As [`told`]; and if the answer does not fit the questions, with what is allowed.
pub fn answered(asked: &Asked, answer: &[String], is_wanted: &dyn Fn() -> bool) -> Result<Answered, String> {
    let (story, seed) = (asked.story()?, asked.seed()?);
    let answer = story.lesson.read(&answer.join(",")).map_err(|(problem, help)| format!("{problem}; {help}"))?;
    let variants = story.model.variants();
    let told = tell_in_turn(&*story.model, variants, seed, is_wanted).map_err(|error| error.to_string())?;
    Ok(marked(asked, &story, answer, told))
}

fn marked(asked: &Asked, story: &StoryFile, answer: Vec<String>, told: Telling) -> Answered {
    let judged = grade(&story.lesson, &answer, &told.claims);
    let questions = &story.lesson.questions;
    let (digest, given) = (told.digest(), answer.join(","));
    let who = asked.student.as_ref().map_or(format!("--seed {}", told.seed), |id| format!("--student {id}"));
    let file = asked.student.as_ref().map(|id| HandedIn::new(story, id, told.seed, answer, digest));
    let about = |question: &crate::stories::question::Question| {
        question.number().map(|(claim, variant, _)| (claim.to_owned(), variant.to_owned()))
    };
    Answered {
        name: story.name.clone(),
        seed: told.seed.to_string(),
        score: score(&judged),
        judged,
        reasons: questions
            .iter()
            .map(|question| question.choices.iter().map(|choice| choice.because.clone()).collect())
            .collect(),
        asked_about: questions.iter().map(about).collect(),
        variants: told.runs.iter().map(|run| Shown::of(story, run)).collect(),
        until_us: until_us(&told),
        assumptions: story.model.assumptions(),
        modelled: story.model.modelled(),
        moral: paragraphs(&story.lesson.moral),
        digest,
        command: format!("schism lesson {} {who} --answer {given}", story.name),
        file: file.map(|file| File { name: file.file_name(), text: file.text() }),
        target: target(),
        claims: told.claims,
    }
}

#[cfg(test)]
mod tests {
    use crate::lab::answer;
    use crate::report::story::answer::HandedIn;
    use serde_json::{Value, json};

    fn ask(question: &Value) -> Value {
        serde_json::from_str(&answer(&question.to_string())).expect("an answer is JSON")
    }

    #[test]
    fn the_list_has_every_lesson() {
        let list = ask(&json!({"ask": "lessons"}));
        assert_eq!(list["lessons"].as_array().unwrap().len(), crate::stories::list::names().len());
        assert_eq!(list["lessons"][0]["name"], "split-brain");
        assert_eq!(list["cases"].as_array().unwrap().len(), crate::stories::case::names().len());
    }

    #[test]
    fn what_comes_before_an_answer_gives_nothing_away() {
        for story in crate::stories::catalogue() {
            let told = ask(&json!({"ask": "lesson", "lesson": story.name}));
            assert_eq!(told["kind"], "lesson", "{told}");
            let text = told.to_string();
            let reasons = story.lesson.questions.iter().flat_map(|question| &question.choices);
            let secrets = reasons.map(|choice| &choice.because).chain([&story.lesson.moral]);
            for secret in secrets {
                let secret = json!(secret.trim()).to_string();
                assert!(!text.contains(secret.trim_matches('"')), "{}: {secret}", story.name);
            }
            for word in ["right", "claims", "because", "moral"] {
                assert!(!text.contains(&format!("\"{word}\":")), "{}: {word}", story.name);
            }
        }
    }

    #[test]
    fn an_answer_is_marked_and_can_be_handed_in() {
        let run = json!({"ask": "answer", "lesson": "retry-storm", "student": "ada", "answer": ["0", "c"]});
        let marked = ask(&run);
        assert_eq!((&marked["kind"], &marked["score"]), (&json!("answered"), &json!(2)), "{marked}");
        assert!(marked["claims"].as_array().unwrap().iter().all(|claim| claim["holds"] == true));
        let file: HandedIn = serde_json::from_str(marked["file"]["text"].as_str().unwrap()).unwrap();
        assert_eq!((file.seal, marked["file"]["name"].as_str()), (file.sealed(), Some(&*file.file_name())));
        assert_eq!(json!(file.digest), marked["digest"]);
        let anonymous = ask(&json!({"ask": "answer", "lesson": "retry-storm", "seed": "7", "answer": ["50", "a"]}));
        assert_eq!((&anonymous["score"], &anonymous["file"]), (&json!(0), &Value::Null));
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let refused = |question: Value| {
            let answer = ask(&question);
            assert_eq!(answer["kind"], "refused", "{answer}");
            answer["message"].as_str().unwrap().to_owned()
        };
        assert!(refused(json!({"ask": "lesson", "lesson": "retry-strom"})).contains("retry-storm"));
        assert!(refused(json!({"ask": "lesson", "lesson": "retry-storm", "student": "../ada"})).contains("64"));
        let both = json!({"ask": "lesson", "lesson": "retry-storm", "student": "ada", "seed": 1});
        assert!(refused(both).contains("one of the two"));
        let answer = |answer: Value| json!({"ask": "answer", "lesson": "retry-storm", "answer": answer});
        assert!(refused(answer(json!(["150", "a"]))).contains("allowed: 0 to 100"));
        assert!(refused(answer(json!(["1"]))).contains("2 questions"));
    }
}
