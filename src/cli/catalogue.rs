//! The lessons and the cases, one a line.

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use schism::report::json;
use schism::report::style::hang;
use schism::stories;
use schism::stories::case::{self, Case};
use serde::Serialize;

#[derive(Serialize)]
struct LessonLine<'a> {
    name: &'a str,
    title: &'a str,
    version: u32,
    variants: Vec<&'static str>,
}

#[derive(Serialize)]
struct CaseLine<'a> {
    name: &'a str,
    title: &'a str,
    minutes: u32,
}

/// Shows the lessons, then the cases.
pub fn lessons(terminal: &mut Terminal) -> Result<Exit, Failure> {
    let (lessons, cases) = (stories::catalogue(), case::cases());
    let rows: Vec<_> = lessons.iter().map(|story| (story.name.as_str(), story.title.as_str())).collect();
    if terminal.json {
        for story in &lessons {
            let (variants, version) = (story.model.variant_names(), story.lesson.version);
            let line = LessonLine { name: &story.name, title: &story.title, version, variants };
            terminal.line(&json::line("lesson", line))?;
        }
        case_lines(&cases, terminal)?;
        let counts = serde_json::json!({"lessons": lessons.len(), "cases": cases.len()});
        terminal.line(&json::line("lessons", counts))?;
        return Ok(Exit::Expected);
    }
    table(&rows, terminal)?;
    terminal.line("\nCases, to be solved from evidence:")?;
    table(&case_rows(&cases), terminal)?;
    terminal.line(
        "\nschism lesson NAME asks, schism compare NAME shows the prediction and the run.\n\
         schism case NAME gives you evidence, and asks what is the matter.",
    )?;
    Ok(Exit::Expected)
}

/// Shows the cases.
pub fn cases(terminal: &mut Terminal) -> Result<Exit, Failure> {
    let cases = case::cases();
    if terminal.json {
        case_lines(&cases, terminal)?;
        terminal.line(&json::line("cases", serde_json::json!({"cases": cases.len()})))?;
    } else {
        table(&case_rows(&cases), terminal)?;
        terminal.line("\nschism case NAME gives you evidence, and asks what is the matter.")?;
    }
    Ok(Exit::Expected)
}

fn case_lines(cases: &[Case], terminal: &mut Terminal) -> Result<(), Failure> {
    for case in cases {
        let (name, title) = (case.name.as_str(), case.title.as_str());
        terminal.line(&json::line("case", CaseLine { name, title, minutes: case.minutes }))?;
    }
    Ok(())
}

fn case_rows(cases: &[Case]) -> Vec<(&str, &str)> {
    cases.iter().map(|case| (case.name.as_str(), case.title.as_str())).collect()
}

fn table(rows: &[(&str, &str)], terminal: &mut Terminal) -> Result<(), Failure> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    for (name, title) in rows {
        terminal.line(&terminal.style.plain_text(&hang(&format!("{name:width$}"), title, width)))?;
    }
    Ok(())
}
