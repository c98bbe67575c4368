//! What a course's programs are worth, as a table, JSON lines, CSV, Gradescope's `results.json`, and JUnit XML.

use super::exit::{Exit, Failure};
use super::grades::cell;
use super::hand_in::HandIn;
use super::recordings::quoted;
use super::terminal::Terminal;
use super::unwritten::Unwritten;
use clap::Args;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use schism::course::grade::Graded;
use schism::course::{Part, Step, Trial};
use schism::history::visible::visible;
use schism::report::file::write_whole;
use schism::report::json;
use schism::report::style::{Tone, hang};
use schism::systems::nodes::Program;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The forms that were asked for.
#[derive(Args)]
pub struct Outputs {
    /// Print comma-separated values, a line for each part of a trial.
    #[arg(long)]
    csv: bool,
    /// Write Gradescope's results to this file (in an autograder: /autograder/results/results.json). For one program.
    #[arg(long, value_name = "FILE")]
    gradescope: Option<PathBuf>,
    /// Write a JUnit XML report to this file, a test suite for each student.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// A part of a trial, graded.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    student: String,
    step: String,
    trial: String,
    part: Part,
    /// `passed`, `failed`, `no_answer`, `too_slow`, `not_run`, or what is wrong with the folder.
    state: &'static str,
    points: u32,
    of: u32,
    seeds: u64,
    run: usize,
    /// How many of those that were run failed: the first that does ends the part.
    failed: usize,
    /// What it is about: a check, or what the run lacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The command that shows the run, from the student's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<String>,
}

#[derive(Serialize)]
struct Total<'a> {
    student: &'a str,
    points: u32,
    of: u32,
}

#[derive(Serialize)]
struct Summary {
    students: usize,
    complete: usize,
    held_out: bool,
}

impl Row {
    /// What the runs of a program showed.
    pub fn graded(
        step: &Step,
        trial: &Trial,
        graded: Graded,
        hint: Option<&str>,
        hand_in: &HandIn,
        program: &Program,
    ) -> Row {
        let first = graded.failed.first();
        let state = match first {
            _ if graded.passed() => "passed",
            Some(failed) if failed.reason.is_about_time() => failed.reason.name(),
            Some(_) => "failed",
            None => "not_run",
        };
        let scenario = &trial.scenario;
        let again = |seed: u64| format!("{scenario} --system {} --seed {seed} --timeline", quoted(program.name()));
        Row {
            state,
            points: graded.points,
            of: graded.of,
            run: graded.run,
            failed: graded.failed.len(),
            reason: first.map(|failed| failed.reason.name()),
            seed: first.map(|failed| failed.seed),
            why: first.map(|failed| failed.sentence.clone()),
            hint: hint.map(|hint| hint.trim().to_owned()),
            again: first.map(|failed| again(failed.seed)),
            seeds: graded.seeds as u64,
            ..Row::without(step, trial, graded.part, state, "", hand_in)
        }
    }

    /// A row without points, for a program that could not be tried.
    pub fn without(step: &Step, trial: &Trial, part: Part, state: &'static str, why: &str, hand_in: &HandIn) -> Row {
        let seeds = match part {
            Part::Practice => trial.practice_seeds().map_or(0, |seeds| seeds.len() as u64),
            Part::HeldOut => trial.held_out,
        };
        Row {
            student: hand_in.student.clone(),
            step: step.name.clone(),
            trial: trial.name.clone(),
            part,
            state,
            points: 0,
            of: trial.points,
            seeds,
            run: 0,
            failed: 0,
            reason: None,
            seed: None,
            why: Some(why.to_owned()),
            hint: None,
            again: None,
        }
    }

    /// What a student may not see: which held-out seed it was, and what happened in its run.
    fn hide(&mut self) {
        if self.part == Part::HeldOut && self.run > 0 {
            (self.seed, self.why, self.again) = (None, None, None);
        }
    }

    fn part(&self) -> &'static str {
        match self.part {
            Part::Practice => "practice",
            Part::HeldOut => "held out",
        }
    }

    /// What became of it, for people.
    fn told(&self) -> String {
        match self.state {
            "passed" => format!("all {} seeds passed", self.seeds),
            "failed" => format!("failed in run {} of {}", self.run, self.seeds),
            "no_answer" => "a node gave no answer in time".to_owned(),
            "too_slow" => "a run took longer than it may".to_owned(),
            "not_run" => "not run, since another gave no answer in time".to_owned(),
            "not_handed_in" => "no program for this step".to_owned(),
            "does_not_start" => "the program does not start".to_owned(),
            other => format!("not graded: {}", other.replace('_', " ")),
        }
    }

    /// What is behind it: why, the hint, and the command that shows it.
    fn behind(&self) -> Vec<String> {
        let reason = self.reason.map_or(String::new(), |reason| format!("{reason}: "));
        let seed = self.seed.map_or(String::new(), |seed| format!("seed {seed}, "));
        let why = match &self.why {
            Some(why) => Some(format!("{seed}{reason}{why}")),
            None => self.reason.map(str::to_owned),
        };
        let hint = self.hint.as_ref().map(|hint| format!("Hint: {hint}"));
        let again = self.again.as_ref().map(|again| format!("Again: schism run {again}"));
        why.filter(|why| !why.is_empty()).into_iter().chain(hint).chain(again).collect()
    }

    /// The same, with whatever acts on a terminal written out.
    fn plain_lines(&self) -> Vec<String> {
        self.behind().iter().map(|line| visible(line).into_owned()).collect()
    }
}

/// All rows, by student.
pub struct Book {
    reveals: bool,
    has_held_out: bool,
    /// The course's folder, from the root.
    course: PathBuf,
    students: Vec<(String, Vec<Row>)>,
}

impl Book {
    /// An empty one.
    pub fn new(reveals: bool, has_held_out: bool, course: PathBuf) -> Book {
        Book { reveals, has_held_out, course, students: Vec::new() }
    }

    /// Enters a student's rows.
    pub fn add(&mut self, student: &str, mut rows: Vec<Row>) {
        for row in &mut rows {
            // What the command names is found from the student's folder.
            row.again = row.again.take().map(|again| format!("{}/{again}", self.course.display()));
            if !self.reveals {
                row.hide();
            }
        }
        self.students.push((student.to_owned(), rows));
    }

    fn total<'a>(student: &'a str, rows: &[Row]) -> Total<'a> {
        let sum = |of: fn(&Row) -> u32| rows.iter().map(of).sum();
        Total { student, points: sum(|row| row.points), of: sum(|row| row.of) }
    }

    /// How many students have all points.
    fn complete(&self) -> usize {
        let has_all = |rows: &[Row]| rows.iter().all(|row| row.points == row.of);
        self.students.iter().filter(|(_, rows)| has_all(rows)).count()
    }
}

impl Outputs {
    /// Prints and writes what was asked for: 0 if every program has all points, else 1.
    pub fn write(&self, book: &Book, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if self.gradescope.is_some() && book.students.len() != 1 {
            let count = book.students.len();
            return Err(Failure::Usage(format!("--gradescope is for one program, and {count} were handed in")));
        }
        if self.csv {
            terminal.print(&csv(book)?)?;
        } else if terminal.json {
            for (student, rows) in &book.students {
                rows.iter().try_for_each(|row| terminal.line(&json::line("trial", row)))?;
                terminal.line(&json::line("student", Book::total(student, rows)))?;
            }
            let (students, complete, held_out) = (book.students.len(), book.complete(), book.has_held_out);
            terminal.line(&json::line("course", Summary { students, complete, held_out }))?;
        } else {
            print(book, terminal)?;
        }
        let mut unwritten = Unwritten::default();
        let files = [(&self.gradescope, gradescope as fn(&Book) -> String), (&self.junit, junit)];
        for (path, text) in files.into_iter().filter_map(|(path, text)| Some((path.as_ref()?, text))) {
            unwritten.attempt(write_whole(path, text(book)).map_err(Failure::from), "name another file")?;
        }
        Ok(unwritten.exit(if book.complete() == book.students.len() { Exit::Expected } else { Exit::Violation }))
    }
}

fn print(book: &Book, terminal: &mut Terminal) -> Result<(), Failure> {
    let style = terminal.style;
    let mut text = String::new();
    for (student, rows) in &book.students {
        let Total { points, of, .. } = Book::total(student, rows);
        let title = format!("{}: {points} of {of} points", visible(student));
        text.push_str(&format!("{}\n", style.paint(Tone::Strong, &title)));
        let width = |of: fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
        let (step, trial) = (width(|row| row.step.len()), width(|row| row.trial.len()));
        let mut behind_before = Vec::new();
        for row in rows {
            let tone = if row.points == row.of { Tone::Good } else { Tone::Bad };
            let told = style.paint(tone, &row.told());
            let points = format!("{:>2} of {:<2}", row.points, row.of);
            text.push_str(&format!("  {:step$}  {:trial$}  {:8}  {points}  {told}\n", row.step, row.trial, row.part()));
            let behind = row.behind();
            // What is wrong with a folder is the same for each trial, and is said once.
            if behind != behind_before {
                behind.iter().for_each(|line| text.push_str(&format!("{}\n", hang("      ", &visible(line), 8))));
            }
            behind_before = behind;
        }
        text.push('\n');
    }
    if !book.has_held_out {
        let why = "Only the practice seeds were run: the held-out ones need the salt (--salt-file).";
        text.push_str(&format!("{}\n", hang("", why, 0)));
    }
    terminal.print(&style.plain_text(&text))
}

fn csv(book: &Book) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Harness(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header =
        ["student", "step", "trial", "part", "state", "points", "of", "seeds", "failed", "reason", "seed", "why"];
    writer.write_record(header).map_err(|error| failed(&error))?;
    for row in book.students.iter().flat_map(|(_, rows)| rows) {
        let cells = [
            row.student.clone(),
            row.step.clone(),
            row.trial.clone(),
            row.part().replace(' ', "_"),
            row.state.to_owned(),
            row.points.to_string(),
            row.of.to_string(),
            row.seeds.to_string(),
            row.failed.to_string(),
            row.reason.unwrap_or_default().to_owned(),
            row.seed.map_or(String::new(), |seed| seed.to_string()),
            row.why.clone().unwrap_or_default(),
        ];
        writer.write_record(cells.map(|text| cell(&text))).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// The form that Gradescope's autograders write. Of held-out seeds students see the points once the assignment is over.
fn gradescope(book: &Book) -> String {
    let test = |row: &Row| -> Value {
        let output: Vec<String> = std::iter::once(row.told()).chain(row.plain_lines()).collect();
        json!({
            "name": format!("{}: {} ({})", row.step, row.trial, row.part()),
            "score": row.points,
            "max_score": row.of,
            "status": if row.points == row.of { "passed" } else { "failed" },
            "output": output.join("\n"),
            "visibility": if row.part == Part::Practice { "visible" } else { "after_due_date" },
        })
    };
    let tests: Vec<Value> = book.students.iter().flat_map(|(_, rows)| rows).map(test).collect();
    let results = json!({ "tests": tests });
    format!("{}\n", serde_json::to_string_pretty(&results).expect("a value is JSON"))
}

fn junit(book: &Book) -> String {
    let mut report = Report::new("schism course");
    for (student, rows) in &book.students {
        let mut suite = TestSuite::new(visible(student).into_owned());
        for row in rows {
            let status = match row.state {
                "passed" => TestCaseStatus::success(),
                "not_run" => TestCaseStatus::skipped(),
                _ => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(row.told()).set_type(row.reason.unwrap_or(row.state));
                    status.set_description(row.plain_lines().join("\n"));
                    status
                }
            };
            let mut case = TestCase::new(format!("{} ({})", row.trial, row.part()), status);
            case.set_classname(format!("course.{}", row.step));
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string().expect("the report is made of text")
}
