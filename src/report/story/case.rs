//! A case as far as it is solved: sentences with what was measured in them, verdicts, and the request that was followed.

use super::quantity;
use crate::report::style::{count, hang};
use crate::run::life::{Life, Span};
use crate::stories::case::{Case, Inquiry, Known, Opened};
use crate::stories::question;
use crate::stories::trial::Tried;
use serde::Serialize;

/// What can be asked for, and what was found if it was.
#[derive(Debug, Serialize)]
pub struct InquiryLine<'a> {
    ask: &'a str,
    minutes: u32,
    finds: Option<String>,
}

/// What can be asked for in a case; `asked`: for what was, by number from 1.
pub fn inquiries<'a>(case: &'a Case, opened: &Opened, asked: &[usize]) -> Vec<InquiryLine<'a>> {
    let finds = (1..).zip(&opened.finds).map(|(number, found)| asked.contains(&number).then(|| sentence(found)));
    let line = |(inquiry, finds): (&'a Inquiry, _)| InquiryLine { ask: &inquiry.ask, minutes: inquiry.minutes, finds };
    case.inquiries.iter().zip(finds).map(line).collect()
}

/// How a choice was judged.
#[derive(Debug, Serialize)]
pub struct Verdict<'a> {
    /// The letter that was chosen.
    pub chosen: char,
    /// Whether it is the right one.
    pub right: bool,
    /// The letter of the right one.
    pub solution: char,
    /// Why the chosen one is right, or not.
    pub because: &'a str,
}

/// Judges the cause that was named: an index.
pub fn cause_verdict(case: &Case, chosen: usize) -> Verdict<'_> {
    let right = case.causes.iter().map(|cause| cause.right);
    verdict(chosen, right, &case.causes[chosen].because)
}

/// Judges the cure that was chosen: an index.
pub fn cure_verdict(case: &Case, chosen: usize) -> Verdict<'_> {
    let right = case.cure.choices.iter().map(|choice| choice.right);
    verdict(chosen, right, &case.cure.choices[chosen].because)
}

fn verdict<'a>(chosen: usize, right: impl Iterator<Item = bool>, because: &'a str) -> Verdict<'a> {
    let solution = right.take_while(|right| !right).count();
    Verdict {
        chosen: question::letter(chosen),
        right: chosen == solution,
        solution: question::letter(solution),
        because,
    }
}

/// A sentence with what was measured in it.
pub fn sentence(known: &Known) -> String {
    let value = known.value.map_or(String::new(), |(value, unit)| quantity(value, unit));
    known.text.replace("{}", value.trim_end())
}

/// What came of a cure: measured in its run, or why it was not run.
pub fn outcome(case: &Case, cure: usize, tried: Option<&[Tried]>) -> String {
    let said = |tried: &Tried| {
        let unit = case.unit(&tried.claim);
        let value = tried.measured.map_or("nothing".into(), |value| quantity(value, unit));
        format!("{} {}, which {} enough", tried.claim, value.trim_end(), if tried.met { "is" } else { "is not" })
    };
    match (&case.cure.choices[cure].unplayed, tried) {
        (Some(why), _) => format!("It was not run: {why}"),
        (None, tried) => {
            let said: Vec<String> = tried.unwrap_or_default().iter().map(said).collect();
            format!("It was run: {}.", said.join("; "))
        }
    }
}

/// The spans that are listed of a request, one a line.
const LISTED: usize = 12;

/// The lives of requests that tell most, as lines of text after so many spaces: [`Opened::telling`].
pub fn followed(opened: &Opened, indent: usize) -> String {
    opened.telling().into_iter().map(|life| format!("\n{}", waterfall(life, indent))).collect()
}

fn waterfall(life: &Life, indent: usize) -> String {
    let which = match life.served {
        Some(false) => "The slowest of those that were not served",
        _ => "The median of those that were served",
    };
    let head = format!("{which}, offered at {:.2} s: {}.", life.at_ns as f64 / 1e9, took(life.took_ns()));
    let mut lines = vec![hang(&" ".repeat(indent), &head, indent)];
    let line = |part: &str, ns: u64, what: &str| {
        let lead = format!("{:indent$}{:>9}  {part:<10}  ", "", took(ns));
        hang(&lead, what, lead.len())
    };
    let length = |span: &Span| span.until_ns - span.from_ns;
    lines.extend(life.spans.iter().take(LISTED).map(|span| line(span.part.into(), length(span), &span.what)));
    if let Some(rest) = life.spans.get(LISTED..).filter(|rest| !rest.is_empty()) {
        let steps = count(rest.len() as u64, "more step");
        lines.push(line("", rest.iter().map(length).sum(), &format!("in {steps}")));
    }
    lines.join("\n")
}

/// How long something took.
fn took(ns: u64) -> String {
    match ns {
        1_000_000_000.. => format!("{:.2} s", ns as f64 / 1e9),
        _ => format!("{:.2} ms", ns as f64 / 1e6),
    }
}
