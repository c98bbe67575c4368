//! `schism course`: what a course asks for, and what the programs that were handed in are worth.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::gradebook::{Book, Outputs, Row};
use super::hand_in::{HandIn, hand_ins};
use super::named::load;
use super::terminal::Terminal;
use clap::{Args, Subcommand};
use schism::course::grade::{Graded, Tried, try_seed};
use schism::course::{Course, Part, Ready, Step, Trial};
use schism::report::json;
use schism::report::style::{Tone, WIDTH, hang, wrap};
use schism::scenario::Scenario;
use schism::scenario::suggest::allowed;
use schism::systems::nodes::{Program, SALT, starts};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The course of this repository, from its root.
const OURS: &str = "examples/course";
/// The file that makes a folder a course.
const FILE: &str = "course.toml";

/// Arguments of `schism course`.
#[derive(Args)]
pub struct CourseOf {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the steps, or one of them in full: what to build, and what will be thrown at it.
    List(List),
    /// Run the programs in a folder, and say what each step is worth.
    Grade(Grade),
}

/// Which course.
#[derive(Args)]
struct Place {
    /// The course's folder.
    #[arg(long, value_name = "FOLDER", default_value = OURS)]
    course: PathBuf,
}

#[derive(Args)]
struct List {
    /// The name of a step.
    step: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Grade {
    /// The folder of one program, with its `nodes.toml`; or a folder of such folders, one for each student.
    folder: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Grade this step only; may be given again.
    #[arg(long, value_name = "NAME")]
    step: Vec<String>,
    /// The salt of the held-out seeds is the first line of this file, or of standard input (`-`). Without a salt only the
    /// practice seeds are run. The variable SCHISM_COURSE_SALT may have it, too.
    #[arg(long, value_name = "FILE")]
    salt_file: Option<PathBuf>,
    /// Say which held-out seed failed and how, and not only what failed. For the teacher's eyes.
    #[arg(long)]
    reveal: bool,
    /// How many seconds of real time one run may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    outputs: Outputs,
}

#[derive(Serialize)]
struct StepLine<'a> {
    name: &'a str,
    title: &'a str,
    service: &'static str,
    build: &'a str,
    trials: Vec<TrialLine<'a>>,
}

#[derive(Serialize)]
struct TrialLine<'a> {
    name: &'a str,
    scenario: &'a str,
    thrown: &'a str,
    points: u32,
    practice: &'a str,
    held_out: u64,
}

impl CourseOf {
    /// Shows or grades.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.what {
            What::List(list) => list.run(terminal),
            What::Grade(grade) => grade.run(terminal),
        }
    }
}

impl Place {
    fn read(&self) -> Result<Course, Failure> {
        let path = self.course.join(FILE);
        let shown = path.display();
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::input(format!(
                "{shown}: {error}; name the folder of a course with --course (this repository has {OURS})"
            ))
        })?;
        Course::parse(&text).map_err(|why| Failure::input(format!("{shown}: {why}")))
    }

    /// The steps of these names, or all, each with its scenarios.
    fn ready<'a>(&self, course: &'a Course, names: &[String]) -> Result<Vec<Ready<'a>>, Failure> {
        for name in names {
            step(course, name)?;
        }
        let steps = course.steps.iter().filter(|step| names.is_empty() || names.contains(&step.name));
        steps
            .map(|step| {
                let trials = step
                    .trials
                    .iter()
                    .map(|trial| Ok((trial, load(&self.course.join(&trial.scenario).display().to_string())?)));
                Ok(Ready { step, trials: trials.collect::<Result<_, Failure>>()? })
            })
            .collect()
    }
}

fn step<'a>(course: &'a Course, name: &str) -> Result<&'a Step, Failure> {
    let names = || course.steps.iter().map(|step| step.name.as_str()).collect();
    let unknown = || Failure::Usage(format!("there is no step `{name}`; {}", allowed(name, names())));
    course.steps.iter().find(|step| step.name == name).ok_or_else(unknown)
}

impl List {
    fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let course = self.place.read()?;
        let only = self.step.as_deref().map(|name| step(&course, name)).transpose()?;
        let shown = course.steps.iter().filter(|step| only.is_none_or(|only| only.name == step.name));
        if terminal.json {
            for step in shown.clone() {
                terminal.line(&json::line("step", line(step)))?;
            }
            terminal.line(&json::line("steps", serde_json::json!({ "steps": shown.count() })))?;
            return Ok(Exit::Expected);
        }
        let style = terminal.style;
        if let Some(step) = only {
            return terminal.print(&style.plain_text(&in_full(step))).map(|()| Exit::Expected);
        }
        let mut text = format!("{}\n\n", style.paint(Tone::Strong, &course.title));
        for (number, step) in (1..).zip(shown) {
            let points: u32 = step.trials.iter().map(|trial| trial.points).sum();
            let trials: Vec<&str> = step.trials.iter().map(|trial| trial.name.as_str()).collect();
            let title = format!("{}: {}", step.name, step.title);
            text.push_str(&format!("{}\n", hang(&format!("{number}. "), &title, 3)));
            text.push_str(&format!("{}\n", hang("   ", &format!("{points} points: {}", trials.join(", ")), 3)));
        }
        text.push_str("\nA step in full: schism course list NAME\n");
        terminal.print(&style.plain_text(&text)).map(|()| Exit::Expected)
    }
}

fn line(step: &Step) -> StepLine<'_> {
    let trials = step.trials.iter().map(|trial| {
        let Trial { name, scenario, thrown, points, practice, held_out } = trial;
        TrialLine { name, scenario, thrown, points: *points, practice, held_out: *held_out }
    });
    StepLine {
        name: &step.name,
        title: &step.title,
        service: step.service.name(),
        build: &step.build,
        trials: trials.collect(),
    }
}

/// A step for a person: what to build, and what will be thrown at it.
fn in_full(step: &Step) -> String {
    let mut text = format!("{}\n", wrap(&format!("{}: {}", step.name, step.title), WIDTH, 2));
    for paragraph in step.build.trim().split("\n\n") {
        text.push_str(&format!("\n{}\n", wrap(&paragraph.replace('\n', " "), WIDTH, 0)));
    }
    text.push_str(&format!("\nService: {}\n\nWhat will be thrown at it\n", step.service.name()));
    for trial in &step.trials {
        text.push_str(&format!("\n{}\n", hang("  ", &format!("{}: {}", trial.name, trial.thrown.trim()), 4)));
        let Trial { points, practice, held_out, scenario, .. } = trial;
        let seeds = format!("practice seeds {practice}, held out {held_out}; {points} points for each of the two");
        text.push_str(&format!("{}\n", hang("    ", &format!("{scenario}; {seeds}"), 4)));
    }
    text
}

impl Grade {
    fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let course = self.place.read()?;
        let ready = self.place.ready(&course, &self.step)?;
        let salt = self.salt()?;
        let sims = std::path::absolute(&self.place.course)?;
        let hand_ins = hand_ins(&self.folder)?;
        let home = std::env::current_dir()?;
        let mut book = Book::new(self.reveal, salt.is_some(), sims);
        for hand_in in &hand_ins {
            // The programs of a folder are started in it.
            let entered = std::env::set_current_dir(&hand_in.folder);
            let rows = match entered {
                Ok(()) => self.grade(&course, &ready, hand_in, salt.as_deref(), terminal)?,
                Err(error) => {
                    let why = format!("the folder cannot be entered: {error}");
                    none(&ready, hand_in, "unreadable", &why, salt.is_some())
                }
            };
            std::env::set_current_dir(&home)?;
            book.add(&hand_in.student, rows);
        }
        self.outputs.write(&book, terminal)
    }

    /// The salt, if there is one.
    fn salt(&self) -> Result<Option<String>, Failure> {
        let (text, place) = match &self.salt_file {
            None => match std::env::var(SALT) {
                Ok(text) => (text, SALT.to_owned()),
                Err(std::env::VarError::NotPresent) => return Ok(None),
                Err(error) => return Err(Failure::Usage(format!("{SALT}: {error}"))),
            },
            Some(path) if path == Path::new("-") => (std::io::read_to_string(std::io::stdin())?, "-".to_owned()),
            Some(path) => {
                let refused = |error| Failure::input(format!("{}: {error}", path.display()));
                (std::fs::read_to_string(path).map_err(refused)?, path.display().to_string())
            }
        };
        let salt = text.lines().next().unwrap_or_default().trim();
        if salt.len() < 8 {
            let why = "a salt of fewer than 8 characters is guessed; `openssl rand -hex 16` makes one";
            return Err(Failure::Usage(format!("{place}: {why}")));
        }
        Ok(Some(salt.to_owned()))
    }

    /// What a student's program is worth, step by step.
    fn grade(
        &self,
        course: &Course,
        ready: &[Ready],
        hand_in: &HandIn,
        salt: Option<&str>,
        terminal: &mut Terminal,
    ) -> Result<Vec<Row>, Failure> {
        let commands = match &hand_in.commands {
            Ok(commands) => commands,
            Err((state, why)) => return Ok(none(ready, hand_in, state, why, salt.is_some())),
        };
        let mut rows = Vec::new();
        for ready in ready {
            let step = ready.step;
            let one = std::slice::from_ref(ready);
            let program = match commands.of(&step.name) {
                None => Err(("not_handed_in", format!("nodes.toml names no program for the step `{}`", step.name))),
                Some(command) => Program::new(command, step.service)
                    .map_err(|error| ("unreadable", format!("nodes.toml, step `{}`: {error}", step.name)))
                    .and_then(|program| starts(program).map(|()| program).map_err(|why| ("does_not_start", why))),
            };
            match program {
                Ok(program) => rows.extend(self.try_step(course, ready, program, hand_in, salt, terminal)?),
                Err((state, why)) => rows.extend(none(one, hand_in, state, &why, salt.is_some())),
            }
        }
        Ok(rows)
    }

    /// A step's trials. After a program gave no answer in time its other trials are not run: each would cost as much.
    fn try_step(
        &self,
        course: &Course,
        ready: &Ready,
        program: &'static Program,
        hand_in: &HandIn,
        salt: Option<&str>,
        terminal: &mut Terminal,
    ) -> Result<Vec<Row>, Failure> {
        let step = ready.step;
        let (mut rows, mut is_over) = (Vec::new(), false);
        for (trial, scenario) in &ready.trials {
            let practice = trial.practice_seeds().map_err(Failure::input)?;
            let held_out = salt.map(|salt| (Part::HeldOut, trial.held_out_seeds(step, salt)));
            for (part, seeds) in std::iter::once((Part::Practice, practice)).chain(held_out) {
                let what = format!("{} {} {}", hand_in.student, step.name, trial.name);
                let tried =
                    if is_over { Vec::new() } else { self.try_seeds(scenario, program, &seeds, &what, terminal)? };
                let graded = Graded::new(part, trial, seeds.len(), tried);
                is_over |= graded.failed.iter().any(|failed| failed.reason.is_about_time());
                let hint = graded.failed.first().and_then(|failed| course.hint(step, &failed.reason));
                rows.push(Row::graded(step, trial, graded, hint, hand_in, program));
            }
        }
        Ok(rows)
    }

    /// Runs the seeds in their order, several at once, up to the first that fails: no later one earns points. What had been
    /// begun beside it is forgotten, so that the result does not depend on how many ran at once.
    fn try_seeds(
        &self,
        scenario: &Scenario,
        program: &'static Program,
        seeds: &[u64],
        what: &str,
        terminal: &Terminal,
    ) -> Result<Vec<Tried>, Failure> {
        let bar = terminal.progress(seeds.len() as u64, what);
        let (next, is_over, done) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(BTreeMap::new()));
        let limit = Duration::from_secs(self.limit);
        let work = || {
            while !is_over.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(seed) = seeds.get(at) else { return };
                let begun = Instant::now();
                let tried = try_seed(scenario, program, *seed, &|| begun.elapsed() < limit);
                is_over.fetch_or(tried.as_ref().map_or(true, |tried| tried.failed.is_some()), Ordering::Relaxed);
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(at, tried);
                bar.inc(1);
            }
        };
        std::thread::scope(|scope| (0..self.jobs.count().min(seeds.len())).for_each(|_| drop(scope.spawn(work))));
        bar.finish_and_clear();
        let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut tried = Vec::new();
        for result in done.into_values() {
            let result = result?;
            let is_last = result.failed.is_some();
            tried.push(result);
            if is_last {
                break;
            }
        }
        Ok(tried)
    }
}

/// Rows without points, for steps that could not be tried.
fn none(ready: &[Ready], hand_in: &HandIn, state: &'static str, why: &str, has_salt: bool) -> Vec<Row> {
    let parts: &[Part] = if has_salt { &[Part::Practice, Part::HeldOut] } else { &[Part::Practice] };
    let trials = ready.iter().flat_map(|ready| ready.trials.iter().map(|(trial, _)| (ready.step, *trial)));
    trials
        .flat_map(|of| parts.iter().map(move |part| (of, *part)))
        .map(|((step, trial), part)| Row::without(step, trial, part, state, why, hand_in))
        .collect()
}
