//! A class's answers as one HTML file without a script: for each question how the predictions were distributed, beside what
//! the runs showed; then each student's score.

use crate::report::page::{escaped, source};
use crate::stories::StoryFile;
use crate::stories::question::{Judged, Question};
use std::fmt::Write;

const STYLE: &str = concat!(include_str!("told.css"), include_str!("class.css"));

/// How many bars a distribution of numbers has.
const BINS: usize = 10;

/// One file that was handed in.
#[derive(Debug, Clone, PartialEq)]
pub struct HandedIn {
    /// Who answered; `None`: the file does not say.
    pub student: Option<String>,
    /// Which lesson.
    pub lesson: Option<String>,
    /// How each answer was marked; none if it was not scored.
    pub judged: Vec<Judged>,
    /// Why it was not scored.
    pub why: Option<String>,
    /// Its file.
    pub file: String,
}

/// The page of a class's answers to these lessons; `command` makes it again.
pub fn page(lessons: &[&StoryFile], answers: &[HandedIn], command: &str) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; img-src data:; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>What the class predicted</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>What the class predicted</h1>\n<p class=\"faint\">{} files handed in. Made by <code>{}</code></p>\n",
        source(STYLE),
        answers.len(),
        escaped(command)
    );
    for story in lessons {
        let of: Vec<&HandedIn> = answers.iter().filter(|answer| is_to(answer, story)).collect();
        if !of.is_empty() {
            lesson(story, &of, &mut html);
        }
    }
    table(answers, &mut html);
    html + "</main>\n</body>\n</html>\n"
}

/// Whether an answer was scored and is to this lesson.
fn is_to(answer: &HandedIn, story: &StoryFile) -> bool {
    answer.lesson.as_ref() == Some(&story.name) && answer.judged.len() == story.lesson.questions.len()
}

fn lesson(story: &StoryFile, answers: &[&HandedIn], html: &mut String) {
    let (title, name) = (escaped(&story.title), escaped(&story.name));
    write(html, &format!("<section><h2>{title}</h2><p class=\"faint\">{name}, {} scored</p>\n", answers.len()));
    for (at, question) in story.lesson.questions.iter().enumerate() {
        let judged: Vec<&Judged> = answers.iter().map(|answer| &answer.judged[at]).collect();
        let right = judged.iter().filter(|judged| judged.right).count();
        let ask = escaped(&question.ask);
        write(html, &format!("<h3>{}. {ask}</h3><p><b>{right} of {} right</b></p>\n", at + 1, judged.len()));
        if question.choices.is_empty() { numbers(question, &judged, html) } else { choices(question, &judged, html) }
    }
    html.push_str("</section>\n");
}

/// How many chose each, as bars.
fn choices(question: &Question, judged: &[&Judged], html: &mut String) {
    html.push_str("<ol class=\"answers\">\n");
    for (choice, letter) in question.choices.iter().zip('a'..) {
        let count = judged.iter().filter(|judged| judged.answer == letter.to_string()).count();
        let (class, mark) = if choice.right { ("right", " (right)") } else { ("wrong", "") };
        let bar = bar(count, judged.len(), class);
        write(html, &format!("<li><span>{letter}){mark} {}</span>{bar}<b>{count}</b></li>\n", escaped(&choice.text)));
    }
    html.push_str("</ol>\n");
}

fn bar(count: usize, all: usize, class: &str) -> String {
    let width = 100.0 * count as f64 / all.max(1) as f64;
    format!(
        "<svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"ground\" width=\"100\" \
         height=\"10\"/><rect class=\"{class}\" width=\"{width:.1}\" height=\"10\"/></svg>"
    )
}

/// How predicted numbers lie, and between which values their own runs were measured.
fn numbers(question: &Question, judged: &[&Judged], html: &mut String) {
    let unit = question.unit();
    let number = |text: &str| text.split(' ').next().and_then(|number| number.parse::<f64>().ok());
    let predicted: Vec<f64> = judged.iter().filter_map(|judged| number(&judged.answer)).collect();
    let measured: Vec<f64> = judged.iter().filter_map(|judged| number(&judged.solution)).collect();
    let largest = predicted.iter().chain(&measured).copied().fold(0.0, f64::max);
    let most = if unit == "%" { 100.0 } else { rounded_up(largest) };
    let mut bins = [0_usize; BINS];
    predicted.iter().for_each(|value| bins[((value / most * BINS as f64) as usize).min(BINS - 1)] += 1);
    let highest = bins.iter().copied().max().unwrap_or(0).max(1);
    let (low, high) = (measured.iter().copied().fold(most, f64::min), measured.iter().copied().fold(0.0, f64::max));
    let x = |value: f64| 10.0 + 300.0 * value / most;
    let label = format!("Predictions from 0 to {most} {unit}; their runs measured {low:.1} to {high:.1} {unit}");
    write(
        html,
        &format!("<svg class=\"bins\" viewBox=\"0 0 320 120\" role=\"img\" aria-label=\"{}\">", escaped(&label)),
    );
    let (from, width) = (x(low) - 1.5, x(high) - x(low) + 3.0);
    write(html, &format!("<rect class=\"measured\" x=\"{from:.1}\" y=\"8\" width=\"{width:.1}\" height=\"92\"/>"));
    for (at, count) in bins.into_iter().enumerate() {
        let (left, height) = (x(most * at as f64 / BINS as f64) + 2.0, 80.0 * count as f64 / highest as f64);
        let top = 100.0 - height;
        write(
            html,
            &format!("<rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"26\" height=\"{height:.1}\"/>"),
        );
        if count > 0 {
            write(html, &format!("<text x=\"{:.1}\" y=\"{:.1}\">{count}</text>", left + 13.0, top - 3.0));
        }
    }
    html.push_str("<line class=\"axis\" x1=\"10\" x2=\"310\" y1=\"100.5\" y2=\"100.5\"/>");
    for value in [0.0, most / 2.0, most] {
        write(html, &format!("<text x=\"{:.1}\" y=\"114\">{value}</text>", x(value)));
    }
    write(html, &format!("</svg><p class=\"faint\">{}.</p>\n", escaped(&label)));
}

/// The least of 1, 2 and 5 times a power of ten that is not below a number.
fn rounded_up(number: f64) -> f64 {
    let power = 10_f64.powf(number.max(0.1).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|most| *most >= number).unwrap_or(10.0 * power)
}

fn table(answers: &[HandedIn], html: &mut String) {
    html.push_str(
        "<section><h2>Each file</h2><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Each file\">\
         <table><thead><tr><th scope=\"col\">student</th><th scope=\"col\">lesson</th><th scope=\"col\">answers</th>\
         <th scope=\"col\">right</th><th scope=\"col\">why it was not scored</th></tr></thead>\n<tbody>\n",
    );
    for answer in answers {
        let text = |text: &Option<String>| escaped(text.as_deref().unwrap_or("-"));
        let given: Vec<&str> = answer.judged.iter().map(|judged| judged.answer.as_str()).collect();
        let right = answer.judged.iter().filter(|judged| judged.right).count();
        let (score, given) = match answer.judged.len() {
            0 => ("-".to_owned(), "-".to_owned()),
            of => (format!("{right} of {of}"), escaped(&given.join(", "))),
        };
        let why = answer.why.as_ref().map_or(String::new(), |why| escaped(&format!("{}: {why}", answer.file)));
        let (student, lesson) = (text(&answer.student), text(&answer.lesson));
        let cells = [lesson, given, score, why].map(|cell| format!("<td>{cell}</td>")).concat();
        write(html, &format!("<tr><th scope=\"row\">{student}</th>{cells}</tr>\n"));
    }
    html.push_str("</tbody></table></div></section>\n");
}

fn write(html: &mut String, text: &str) {
    html.write_str(text).expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stories::find;

    fn answer(student: &str, answers: [&str; 2], is_right: [bool; 2]) -> HandedIn {
        let judged = |at: usize, solution: &str| Judged {
            answer: answers[at].into(),
            right: is_right[at],
            solution: solution.into(),
            because: String::new(),
        };
        HandedIn {
            student: Some(student.into()),
            lesson: Some("retry-storm".into()),
            judged: vec![judged(0, "0.4 %"), judged(1, "c")],
            why: None,
            file: format!("{student}-retry-storm.json"),
        }
    }

    fn made(answers: &[HandedIn]) -> String {
        page(&[&find("retry-storm").unwrap()], answers, "schism lesson grade answers --html class.html")
    }

    #[test]
    fn predictions_are_counted_where_they_lie() {
        let all = [
            answer("ada", ["0", "c"], [true, true]),
            answer("bob", ["98", "a"], [false, false]),
            answer("eve", ["100", "a"], [false, false]),
        ];
        let html = made(&all);
        assert!(html.contains("<b>1 of 3 right</b>") && html.contains("their runs measured 0.4 to 0.4 %"), "{html}");
        // One in the first of ten bars, two in the last.
        assert!(html.contains("y=\"57.0\">1</text>") && html.contains("y=\"17.0\">2</text>"), "{html}");
        let counts: Vec<&str> = html.split("</svg><b>").skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(counts, ["2", "0", "1", "0"]);
    }

    #[test]
    fn what_was_handed_in_is_text_and_what_was_not_scored_says_why() {
        let hostile = HandedIn {
            student: Some("<script>alert(1)</script>".into()),
            lesson: None,
            judged: Vec::new(),
            why: Some("it is no answer".into()),
            file: "x.json".into(),
        };
        let html = made(&[hostile]);
        assert!(!html.contains("<script") && html.contains("x.json: it is no answer"), "{html}");
        assert!(html.contains("default-src 'none'") && !html.contains(" style=\"") && !html.contains("http://"));
    }

    #[test]
    fn a_scale_ends_at_a_round_number() {
        assert_eq!([0.0, 0.3, 7.0, 4900.0, 10.0].map(rounded_up), [0.1, 0.5, 10.0, 5000.0, 10.0]);
    }
}
