//! Cases in a browser: what `schism case` tells, as far as it has been asked for, as data for a page to draw.
//!
//! A question repeats all that was asked before: the engine remembers nothing, and the run that a case is comes out the
//! same.

use super::lesson::{SEED, paragraphs};
use super::setting::Seed;
use super::target;
use crate::report::json;
use crate::report::lives::Lives;
use crate::report::story::case::{InquiryLine, Verdict, cause_verdict, cure_verdict, inquiries, outcome, sentence};
use crate::scenario::suggest::allowed;
use crate::stories::case::{Case, Opened, case, names};
use crate::stories::question::chosen;
use crate::trace::digest::Digest;
use serde::{Deserialize, Serialize};

/// A case, what was asked for, and what was decided.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Asked {
    /// The case's name.
    case: String,
    /// The seed of its run.
    #[serde(default)]
    seed: Option<Seed>,
    /// Numbers of inquiries, from 1.
    #[serde(default)]
    asked: Vec<usize>,
    /// The letter of the cause.
    #[serde(default)]
    cause: Option<String>,
    /// The letter of the cure.
    #[serde(default)]
    cure: Option<String>,
}

/// A case as far as it is solved.
#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    title: &'a str,
    seed: String,
    minutes: u32,
    used: u32,
    situation: Vec<String>,
    symptom: String,
    inquiries: Vec<InquiryLine<'a>>,
    /// If requests were followed.
    requests: Option<Requests>,
    causes: Vec<&'a str>,
    cause: Option<Verdict<'a>>,
    /// What can be done about the cause, once one was named.
    cure: Option<Choices<'a>>,
    outcome: Option<Outcome<'a>>,
    command: String,
    target: &'static str,
}

/// The requests of the run.
#[derive(Serialize)]
struct Requests {
    lives: Lives,
    until_us: u64,
}

#[derive(Serialize)]
struct Choices<'a> {
    ask: &'a str,
    choices: Vec<&'a str>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    verdict: Verdict<'a>,
    ran: String,
    moral: Vec<String>,
    digest: Digest,
}

/// The case, as a line of JSON.
///
/// # Errors
/// If there is no such case or seed, if all that was asked for takes too long, if a letter is none, or if the run fails.
pub fn told(asked: &Asked) -> Result<String, String> {
    let complaint = |(problem, help): (String, String)| format!("{problem}; {help}");
    let unknown = || format!("there is no case `{}`; {}", asked.case, allowed(&asked.case, names()));
    let case = case(&asked.case).ok_or_else(unknown)?;
    let used = case.minutes_for(&asked.asked).map_err(complaint)?;
    let letter =
        |text: &Option<String>, of| text.as_deref().map(|text| chosen(text, of)).transpose().map_err(complaint);
    let cause = letter(&asked.cause, case.causes.len())?;
    let cure = letter(&asked.cure, case.cure.choices.len())?;
    if cause.is_none() && cure.is_some() {
        return Err("name the cause before you choose a cure".into());
    }
    let seed = asked.seed.as_ref().map_or(Ok(SEED), Seed::number)?;
    let opened = case.open(seed).map_err(|error| error.to_string())?;
    let follows = asked.asked.iter().any(|number| case.inquiries[number - 1].follow);
    let choices = || Choices {
        ask: &case.cure.ask,
        choices: case.cure.choices.iter().map(|choice| choice.text.as_str()).collect(),
    };
    let outcome = cure.map(|cure| cured(&case, &opened, cure, seed)).transpose()?;
    Ok(json::line(
        "case",
        Told {
            name: &case.name,
            title: &case.title,
            seed: seed.to_string(),
            minutes: case.minutes,
            used,
            situation: paragraphs(&case.situation),
            symptom: sentence(&opened.symptom),
            inquiries: inquiries(&case, &opened, &asked.asked),
            requests: follows.then(|| requests(&opened)),
            causes: case.causes.iter().map(|cause| cause.text.as_str()).collect(),
            cause: cause.map(|cause| cause_verdict(&case, cause)),
            cure: cause.map(|_| choices()),
            outcome,
            command: command(asked, seed),
            target: target(),
        },
    ))
}

fn requests(opened: &Opened) -> Requests {
    let until_us = (opened.simulated_s * 1e6) as u64;
    Requests { lives: Lives::of(&opened.lives), until_us }
}

fn cured<'a>(case: &'a Case, opened: &Opened, cure: usize, seed: u64) -> Result<Outcome<'a>, String> {
    let tried = case.try_cure(cure, seed).map_err(|error| error.to_string())?;
    Ok(Outcome {
        verdict: cure_verdict(case, cure),
        ran: outcome(case, cure, tried.as_deref()),
        moral: paragraphs(&case.moral),
        digest: opened.digest,
    })
}

/// What shows the same in a terminal.
fn command(asked: &Asked, seed: u64) -> String {
    let numbers: Vec<String> = asked.asked.iter().map(usize::to_string).collect();
    let ask = if numbers.is_empty() { String::new() } else { format!(" --ask {}", numbers.join(",")) };
    let option = |name: &str, letter: &Option<String>| {
        letter.as_ref().map_or(String::new(), |letter| format!(" --{name} {letter}"))
    };
    let decided = option("cause", &asked.cause) + &option("cure", &asked.cure);
    format!("schism case {} --seed {seed}{ask}{decided}", asked.case)
}

#[cfg(test)]
mod tests {
    use crate::lab::answer;
    use crate::stories::case::cases;
    use serde_json::{Value, json};

    fn ask(question: &Value) -> Value {
        serde_json::from_str(&answer(&question.to_string())).expect("an answer is JSON")
    }

    #[test]
    fn what_was_not_asked_for_stays_unsaid() {
        for case in cases() {
            let told = ask(&json!({"ask": "case", "case": case.name}));
            assert_eq!((&told["kind"], &told["used"]), (&json!("case"), &json!(0)), "{told}");
            let text = told.to_string();
            let reasons = case.causes.iter().map(|cause| &cause.because);
            let cures = case.cure.choices.iter().flat_map(|choice| [&choice.because, &choice.text]);
            let finds = case.inquiries.iter().filter(|inquiry| inquiry.finds.claim.is_none());
            let secrets = reasons.chain(cures).chain(finds.map(|inquiry| &inquiry.finds.text)).chain([&case.story]);
            for secret in secrets {
                let secret = json!(secret.trim()).to_string();
                assert!(!text.contains(secret.trim_matches('"')), "{}: {secret}", case.name);
            }
            for unsaid in ["requests", "cause", "cure", "outcome"] {
                assert_eq!(told[unsaid], Value::Null, "{}: {unsaid}", case.name);
            }
        }
    }

    #[test]
    fn a_case_is_solved_step_by_step() {
        let mut question = json!({"ask": "case", "case": "service-is-slow", "seed": "7", "asked": [6]});
        let told = ask(&question);
        assert_eq!(told["used"], 10);
        assert!(told["requests"]["lives"]["rows"].as_array().unwrap().len() > 1000, "requests to follow");
        assert!(told["inquiries"][5]["finds"].is_string() && told["inquiries"][0]["finds"].is_null());
        question["cause"] = json!("a");
        let told = ask(&question);
        assert_eq!((&told["cause"]["right"], &told["cause"]["solution"]), (&json!(false), &json!("c")));
        assert_eq!((told["cure"]["choices"].as_array().unwrap().len(), &told["outcome"]), (4, &Value::Null));
        question["cure"] = json!("b");
        let told = ask(&question);
        assert_eq!(told["outcome"]["verdict"]["right"], true, "{told}");
        assert!(told["outcome"]["ran"].as_str().unwrap().contains("100.0 %, which is enough"), "{told}");
        assert_eq!(told["command"], "schism case service-is-slow --seed 7 --ask 6 --cause a --cure b");
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        for (asked, part) in [
            (json!({"case": "dns-is-slo"}), "did you mean `dns-is-slow`?"),
            (json!({"case": "dns-is-slow", "asked": [9]}), "nothing to ask for under 9"),
            (json!({"case": "dns-is-slow", "asked": [1, 2, 3, 4, 5]}), "minutes"),
            (json!({"case": "dns-is-slow", "cause": "z"}), "allowed: a, b, c"),
            (json!({"case": "dns-is-slow", "cure": "a"}), "name the cause"),
        ] {
            let mut question = json!({"ask": "case"});
            question.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
            let answer = ask(&question);
            assert!(answer["kind"] == "refused" && answer["message"].as_str().unwrap().contains(part), "{answer}");
        }
    }
}
