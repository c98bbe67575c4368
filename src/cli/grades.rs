//! `schism lesson grade`: the answers of a class, run again and scored.

use super::answer::read;
use super::exit::{Exit, Failure};
use super::recordings;
use super::terminal::Terminal;
use super::unwritten::Unwritten;
use clap::Args;
use schism::history::visible::visible;
use schism::report::json;
use schism::report::story::answer::HandedIn;
use schism::report::story::class;
use schism::stories::lesson::{grade, score, seed_of};
use schism::stories::question::Judged;
use schism::stories::{self, StoryFile};
use schism::trace::digest::Digest;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Arguments of `schism lesson grade`.
#[derive(Args)]
pub struct Grade {
    /// The folder with the answers; folders within it are looked through, too.
    folder: PathBuf,
    /// Print comma-separated values.
    #[arg(long)]
    csv: bool,
    /// Write how the class's predictions were distributed as a page: one HTML file that needs no server.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// The state of an answer's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
enum State {
    /// It was run again and scored.
    Ok,
    /// It does not say what `schism lesson` wrote.
    Edited,
    /// Another answer of the same student to the same lesson is in the folder, or it is a copy of one.
    Duplicate,
    /// It was given to another version of the lesson.
    WrongVersion,
    /// It is no answer.
    Unreadable,
}

impl State {
    fn name(self) -> &'static str {
        self.into()
    }
}

/// How an answer was marked; or the state of one that is not ok, and why.
type Checked = Result<Vec<Judged>, (State, String)>;

/// One file, graded.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    file: String,
    student: Option<String>,
    lesson: Option<String>,
    state: State,
    score: Option<usize>,
    of: Option<usize>,
    answer: Option<String>,
    why: Option<String>,
    #[serde(skip)]
    judged: Vec<Judged>,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    ok: usize,
    edited: usize,
    duplicate: usize,
    wrong_version: usize,
    unreadable: usize,
}

impl Grade {
    /// Grades every file: 0 if all could be scored, else 1.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let files = answers(&self.folder)?;
        if files.is_empty() {
            let folder = self.folder.display();
            return Err(Failure::input(format!(
                "{folder} holds no .json file; `schism lesson NAME --student ID` writes one"
            )));
        }
        let lessons: BTreeMap<String, StoryFile> =
            stories::catalogue().into_iter().map(|story| (story.name.clone(), story)).collect();
        let read: Vec<(PathBuf, Result<HandedIn, String>)> =
            files.into_iter().map(|file| (file.clone(), read(&file))).collect();
        let bar = terminal.progress(read.len() as u64, "grade");
        let mut rows = Vec::new();
        for (file, answer) in &read {
            rows.push(self.grade(file, answer, &read, &lessons)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.print(&rows, terminal)?;
        let mut unwritten = Unwritten::default();
        if let Some(path) = &self.html {
            let page = self.page(&rows, &lessons);
            unwritten.attempt(recordings::write_page(&page, path, terminal), "name another file with --html")?;
        }
        Ok(unwritten.exit(if rows.iter().all(|row| row.state == State::Ok) { Exit::Expected } else { Exit::Violation }))
    }

    /// What the class predicted, as a page.
    fn page(&self, rows: &[Row], lessons: &BTreeMap<String, StoryFile>) -> String {
        let handed_in = |row: &Row| {
            let Row { student, lesson, judged, why, file, .. } = row.clone();
            class::HandedIn { student, lesson, judged, why, file }
        };
        let answers: Vec<class::HandedIn> = rows.iter().map(handed_in).collect();
        let folder = recordings::portable(&self.folder.display().to_string());
        let in_order: Vec<&StoryFile> = stories::list::names().iter().filter_map(|name| lessons.get(*name)).collect();
        class::page(&in_order, &answers, &format!("schism lesson grade {folder} --html FILE"))
    }

    fn shown(&self, file: &Path) -> String {
        file.strip_prefix(&self.folder).unwrap_or(file).display().to_string()
    }

    fn grade(
        &self,
        file: &Path,
        answer: &Result<HandedIn, String>,
        all_read: &[(PathBuf, Result<HandedIn, String>)],
        lessons: &BTreeMap<String, StoryFile>,
    ) -> Result<Row, Failure> {
        let shown = self.shown(file);
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                let (state, why) = (State::Unreadable, Some(why.clone()));
                let none = None;
                return Ok(Row {
                    file: shown,
                    student: none,
                    lesson: None,
                    state,
                    score: None,
                    of: None,
                    answer: None,
                    why,
                    judged: Vec::new(),
                });
            }
        };
        let is_named = |file: &Path| file.file_name().and_then(|name| name.to_str()) == Some(&answer.file_name());
        // Of several files with the same content, the first counts as the original.
        let at = all_read.iter().position(|(other, _)| other == file);
        let twin = all_read.iter().enumerate().find(|(other, (path, read))| {
            let same = |read: &HandedIn| read.student == answer.student && read.lesson == answer.lesson;
            let is_copy = |read: &HandedIn| read == answer && at.is_some_and(|at| at < *other);
            path != file && is_named(path) && read.as_ref().is_ok_and(|read| same(read) && !is_copy(read))
        });
        let (state, judged, why) = match twin {
            Some((_, (other, _))) => {
                (State::Duplicate, None, Some(format!("{} is the same student's", self.shown(other))))
            }
            None if !is_named(file) => {
                (State::Edited, None, Some(format!("the file was to be called {}", answer.file_name())))
            }
            None => match self.check(answer, lessons)? {
                Ok(judged) => (State::Ok, Some(judged), None),
                Err((state, why)) => (state, None, Some(why)),
            },
        };
        Ok(Row {
            file: shown,
            student: Some(answer.student.clone()),
            lesson: Some(answer.lesson.clone()),
            state,
            score: judged.as_deref().map(score),
            of: judged.as_ref().map(Vec::len),
            answer: Some(answer.answer.join(",")),
            why,
            judged: judged.unwrap_or_default(),
        })
    }

    /// Whether an answer is what it claims to be; if so, how it was marked.
    fn check(&self, answer: &HandedIn, lessons: &BTreeMap<String, StoryFile>) -> Result<Checked, Failure> {
        let Some(story) = lessons.get(&answer.lesson) else {
            return Ok(Err((State::Unreadable, format!("there is no lesson `{}`", answer.lesson))));
        };
        if answer.lesson_version != story.lesson.version {
            let (theirs, ours) = (answer.lesson_version, story.lesson.version);
            return Ok(Err((State::WrongVersion, format!("version {theirs} was answered, this build has {ours}"))));
        }
        let edited = |why: &str| Ok(Err((State::Edited, why.to_string())));
        if answer.seal != answer.sealed() {
            return edited("the seal does not fit what is in the file");
        }
        if answer.seed != seed_of(&answer.student, &answer.lesson) {
            return edited("the seed does not follow from the ID");
        }
        if story.lesson.read(&answer.answer.join(",")).as_ref() != Ok(&answer.answer) {
            return edited("the answer does not fit the questions");
        }
        let told = stories::tell(&*story.model, story.model.variants(), answer.seed)?;
        if told.digest() != answer.digest {
            return edited(&different(told.digest()));
        }
        Ok(Ok(grade(&story.lesson, &answer.answer, &told.claims)))
    }

    fn print(&self, rows: &[Row], terminal: &mut Terminal) -> Result<(), Failure> {
        let count = |state: State| rows.iter().filter(|row| row.state == state).count();
        if self.csv {
            return terminal.print(&csv(rows)?);
        }
        if terminal.json {
            for row in rows {
                terminal.line(&json::line("grade", row))?;
            }
            let summary = Summary {
                files: rows.len(),
                ok: count(State::Ok),
                edited: count(State::Edited),
                duplicate: count(State::Duplicate),
                wrong_version: count(State::WrongVersion),
                unreadable: count(State::Unreadable),
            };
            return terminal.line(&json::line("grades", summary));
        }
        let width = rows.iter().map(|row| row.file.chars().count()).max().unwrap_or(0) + 2;
        for row in rows {
            let score =
                row.score.zip(row.of).map_or(row.state.name().to_string(), |(score, of)| format!("{score} of {of}"));
            let why = row.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
            terminal.line(&format!("{:width$}{score}{why}", row.file))?;
        }
        let ok = count(State::Ok);
        terminal.line(&format!("{} files, {ok} scored, {} not", rows.len(), rows.len() - ok))
    }
}

/// Explains a digest that differs from this build's: an edit with a correct seal, or another build.
fn different(ours: Digest) -> String {
    format!("the runs of this build have the digest {ours}: made by another build, or by hand")
}

/// Every JSON file below a folder, those of a folder before those of its subfolders. Links to folders are not followed,
/// since a folder may contain itself, and only regular files are read, since reading a pipe may block for ever.
fn answers(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let refused = |error| Failure::input(format!("{}: {error}", folder.display()));
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let path = entry.path();
        if entry.file_type().map_err(refused)?.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    for folder in folders {
        files.extend(answers(&folder)?);
    }
    Ok(files)
}

/// A cell as a spreadsheet shows it: what it would take for a formula begins with an apostrophe (OWASP, "CSV injection").
pub fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("{}{}", if is_formula { "'" } else { "" }, visible(text))
}

fn csv(rows: &[Row]) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Harness(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(["student", "lesson", "score", "of", "answer", "state", "why", "file"])
        .map_err(|error| failed(&error))?;
    for row in rows {
        let number = |number: Option<usize>| number.map_or(String::new(), |number| number.to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            text(&row.student),
            text(&row.lesson),
            number(row.score),
            number(row.of),
            text(&row.answer),
            row.state.name().into(),
            text(&row.why),
            row.file.clone(),
        ];
        writer.write_record(cells.map(|text: String| cell(&text))).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}
