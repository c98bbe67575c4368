//! `schism lesson`: a story for a class, with a question before the answer.

use super::OneSeed;
use super::answer::hand_in;
use super::catalogue;
use super::exit::{Exit, Failure};
use super::grades::Grade;
use super::named::{Named, named};
use super::terminal::Terminal;
use clap::{Args, Subcommand};
use schism::report;
use schism::report::json;
use schism::report::story::answer::{HandedIn, file_name, student};
use schism::report::style::{Tone, WIDTH, hang, wrap};
use schism::scenario::suggest::allowed;
use schism::stories::claim::Claim;
use schism::stories::evidence::Table;
use schism::stories::lesson::{grade, score, seed_of};
use schism::stories::model::Complaint;
use schism::stories::question::{Judged, Question};
use schism::stories::{self, StoryFile, Telling};
use schism::trace::digest::Digest;
use serde::Serialize;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

/// Arguments of `schism lesson`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Lesson {
    #[command(subcommand)]
    also: Option<Also>,
    /// The name of a lesson (see `schism lesson list`), or the path of a story's file.
    #[arg(required = true)]
    name: Option<String>,
    #[command(flatten)]
    seed: OneSeed,
    /// Derive the seed from this ID, and write the answer to ID-NAME.json.
    #[arg(long, value_name = "ID", value_parser = student)]
    student: Option<String>,
    /// The folder for the answer's file.
    #[arg(long, value_name = "FOLDER", default_value = ".", requires = "student")]
    out: PathBuf,
    /// Answer to all questions, separated by commas: numbers and letters.
    #[arg(long)]
    answer: Option<String>,
    /// Show what happens without an answer.
    #[arg(long, conflicts_with_all = ["answer", "student"])]
    reveal: bool,
}

#[derive(Subcommand)]
enum Also {
    /// Show the lessons.
    List,
    /// Run the answers in a folder again, and score them.
    Grade(Grade),
}

#[derive(Serialize)]
struct ToldLine<'a> {
    name: &'a str,
    title: &'a str,
    version: u32,
    seed: u64,
    variants: Vec<&'a str>,
    setting: &'a str,
    evidence: &'a [Table],
    questions: Vec<AskedLine<'a>>,
}

/// A question without its answer.
#[derive(Serialize)]
struct AskedLine<'a> {
    ask: &'a str,
    choices: Vec<&'a str>,
}

#[derive(Serialize)]
struct RevealedLine<'a> {
    name: &'a str,
    version: u32,
    seed: u64,
    student: Option<&'a str>,
    answer: Option<&'a [String]>,
    judged: &'a [Judged],
    score: usize,
    of: usize,
    claims: &'a [Claim],
    moral: &'a str,
    digest: Digest,
    file: Option<String>,
}

impl Lesson {
    /// Tells, asks, and shows what happened.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.also {
            Some(Also::List) => catalogue::lessons(terminal),
            Some(Also::Grade(grade)) => grade.run(terminal),
            None => self.teach(terminal),
        }
    }

    fn teach(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        // The parser demands a name where there is no subcommand.
        let name = self.name.as_deref().unwrap_or_default();
        let story = lesson(name)?;
        let seed = self.student.as_deref().map_or(self.seed.seed, |student| seed_of(student, &story.name));
        let answer = self.answer.as_deref().map(|text| story.lesson.read(text)).transpose().map_err(usage)?;
        let file = self.file(&story)?;
        let needs_all = answer.is_some() || self.reveal;
        let all = story.model.variants();
        let shown = all.iter().filter(|variant| needs_all || variant.name == story.lesson.evidence);
        let told = stories::tell(&*story.model, shown, seed)?;
        tell(&story, &told, terminal)?;
        let answer = match answer {
            None if !self.reveal && !terminal.json && std::io::stdin().is_terminal() => Some(ask(&story, terminal)?),
            answer => answer,
        };
        if answer.is_none() && !self.reveal {
            if !terminal.json {
                let who =
                    self.student.as_ref().map_or(format!("--seed {seed}"), |student| format!("--student {student}"));
                let example = story.lesson.example();
                terminal.line(&format!("\nAnswer with: schism lesson {name} {who} --answer {example}"))?;
            }
            return Ok(Exit::Expected);
        }
        let told = if needs_all { told } else { stories::tell(&*story.model, all, seed)? };
        if let (Some(path), Some(student), Some(answer)) = (&file, &self.student, &answer) {
            hand_in(&HandedIn::new(&story, student, seed, answer.clone(), told.digest()), path)?;
        }
        self.reveal(&story, &told, answer.as_deref(), file.as_deref(), terminal)?;
        Ok(if told.holds() { Exit::Expected } else { Exit::Violation })
    }

    /// Where the answer goes; there must be none yet, since the first one counts.
    fn file(&self, story: &StoryFile) -> Result<Option<PathBuf>, Failure> {
        let Some(student) = &self.student else { return Ok(None) };
        let path = self.out.join(file_name(student, &story.name));
        if path.exists() {
            let path = path.display();
            return Err(Failure::Usage(format!(
                "{path} holds an answer already, and the first one counts; to look again: \
                 schism lesson {} --seed {} --reveal",
                story.name,
                seed_of(student, &story.name)
            )));
        }
        Ok(Some(path))
    }

    fn reveal(
        &self,
        story: &StoryFile,
        told: &Telling,
        answer: Option<&[String]>,
        file: Option<&Path>,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let judged = answer.map_or(Vec::new(), |answer| grade(&story.lesson, answer, &told.claims));
        if terminal.json {
            return terminal.line(&json::line(
                "revealed",
                RevealedLine {
                    name: &story.name,
                    version: story.lesson.version,
                    seed: told.seed,
                    student: self.student.as_deref(),
                    answer,
                    judged: &judged,
                    score: score(&judged),
                    of: story.lesson.questions.len(),
                    claims: &told.claims,
                    moral: &story.lesson.moral,
                    digest: told.digest(),
                    file: file.map(|file| file.display().to_string()),
                },
            ));
        }
        let style = terminal.style;
        let mut text = format!("\n{}\n", style.paint(Tone::Strong, "What happened"));
        text.push_str(&format!("{}\n", report::story::claims(story, &told.claims, style)));
        for (number, judged) in (1..).zip(&judged) {
            let (tone, word) = if judged.right { (Tone::Good, "right") } else { (Tone::Bad, "not so") };
            let because = hang("   ", &format!("{}.", judged.because.trim_end_matches('.')), 3);
            let verdict =
                format!("{number}. {}, {}: it is {}.", judged.answer, style.paint(tone, word), judged.solution);
            text.push_str(&format!("\n{verdict}\n{because}\n"));
        }
        for (number, question) in (1..).zip(&story.lesson.questions) {
            for (choice, letter) in question.choices.iter().zip('a'..) {
                let chosen = judged.get(number - 1).is_some_and(|judged| judged.answer == letter.to_string());
                if !chosen {
                    text.push_str(&format!("\n{}\n", choice_text(letter, &choice.because)));
                }
            }
        }
        text.push_str(&paragraphs(&story.lesson.moral));
        if !judged.is_empty() {
            text.push_str(&format!("\n{} of {} right", score(&judged), judged.len()));
            text.push_str(&file.map_or(".\n".into(), |file| format!("; handed in as {}\n", file.display())));
        }
        let again = format!("seed {}, lesson version {}, digest {}", told.seed, story.lesson.version, told.digest());
        text.push_str(&format!("{}\n", style.paint(Tone::Dim, &again)));
        terminal.print(&style.plain_text(&text))
    }
}

/// The lesson of this name or in the file at this path; if there is none, the error is that of unusable input.
fn lesson(name: &str) -> Result<Box<StoryFile>, Failure> {
    match named(name) {
        Ok(Named::Story(story, _)) => Ok(story),
        _ if !Path::new(name).exists() => {
            let allowed = allowed(name, stories::list::names());
            Err(Failure::input(format!("there is neither a lesson `{name}` nor such a file; {allowed}")))
        }
        Ok(Named::Scenario(_)) => {
            let help = format!("it is run by: schism compare {name}");
            Err(Failure::input(format!("{name} holds a scenario and no lesson; {help}")))
        }
        Err(failure) => Err(failure),
    }
}

/// A complaint about an argument.
pub fn usage((problem, help): Complaint) -> Failure {
    Failure::Usage(format!("{problem}; {help}"))
}

/// The story up to the questions; gives nothing away.
fn tell(story: &StoryFile, told: &Telling, terminal: &mut Terminal) -> Result<(), Failure> {
    let evidence = told.runs.iter().filter(|run| run.setup.variant == story.lesson.evidence);
    let tables: Vec<Table> = evidence.flat_map(|run| run.observed.evidence.clone()).collect();
    let questions = &story.lesson.questions;
    if terminal.json {
        return terminal.line(&json::line(
            "lesson",
            ToldLine {
                name: &story.name,
                title: &story.title,
                version: story.lesson.version,
                seed: told.seed,
                variants: story.model.variant_names(),
                setting: &story.lesson.setting,
                evidence: &tables,
                questions: questions
                    .iter()
                    .map(|question| AskedLine {
                        ask: &question.ask,
                        choices: question.choices.iter().map(|choice| choice.text.as_str()).collect(),
                    })
                    .collect(),
            },
        ));
    }
    let style = terminal.style;
    let mut text =
        format!("{}\n", style.paint(Tone::Strong, &wrap(&format!("{}: {}", story.name, story.title), WIDTH, 2)));
    text.push_str(&paragraphs(&story.lesson.setting));
    tables.iter().for_each(|table| text.push_str(&format!("\n{}\n", report::story::table(table))));
    for (number, question) in (1..).zip(questions) {
        text.push_str(&format!("\n{}\n", question_text(number, question)));
    }
    terminal.print(&style.plain_text(&text))
}

/// The paragraphs of a text, each after an empty line.
fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|paragraph| format!("\n{}\n", wrap(paragraph, WIDTH, 0))).collect()
}

fn question_text(number: usize, question: &Question) -> String {
    let mut lines = vec![wrap(&format!("{number}. {}", question.ask), WIDTH, 3)];
    lines.extend(question.choices.iter().zip('a'..).map(|(choice, letter)| choice_text(letter, &choice.text)));
    lines.join("\n")
}

/// The explanation of a choice, after its letter.
pub fn choice_text(letter: char, text: &str) -> String {
    hang(&format!("   {letter}) "), text, 6)
}

/// Asks the user at the terminal, until each question has an answer.
fn ask(story: &StoryFile, terminal: &mut Terminal) -> Result<Vec<String>, Failure> {
    let mut answers = Vec::new();
    let mut lines = std::io::stdin().lock().lines();
    terminal.line("")?;
    for (number, question) in (1..).zip(&story.lesson.questions) {
        loop {
            terminal.print(&format!("Your answer to {number}: "))?;
            terminal.flush()?;
            let Some(line) = lines.next() else {
                return Err(Failure::Usage("the answers ended before the questions did".into()));
            };
            match question.read(&line?) {
                Ok(answer) => break answers.push(answer),
                Err((problem, help)) => terminal.line(&format!("{problem}; {help}"))?,
            }
        }
    }
    Ok(answers)
}
