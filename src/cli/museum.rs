//! `schism museum`: bugs of published engines that nobody planted.

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use clap::{Args, Subcommand};
use schism::museum::{self, Cure, Exhibit, Found, Report, Step};
use schism::report::json;
use schism::report::style::{Tone, WIDTH, count, hang, seconds, wrap};
use schism::scenario::suggest::allowed;
use schism::shrink::Size;
use serde::Serialize;

/// Arguments of `schism museum`.
#[derive(Args)]
pub struct Museum {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the exhibits.
    List,
    /// Show one: what the bug does, who reported it, and which lines of the source do it.
    Show {
        /// The name of an exhibit; `list` shows them.
        name: String,
    },
}

#[derive(Serialize)]
struct ExhibitLine<'a> {
    name: &'a str,
    title: &'a str,
    engine: &'a str,
    bad: &'a str,
    cure: &'a Cure,
    checks: &'a [String],
    reports: &'a [Report],
}

#[derive(Serialize)]
struct StoryLine<'a> {
    #[serde(flatten)]
    exhibit: ExhibitLine<'a>,
    story: &'a str,
    system: &'a str,
    seed: u64,
    faults: Vec<String>,
    operations: usize,
    nodes: usize,
    duration_ms: u64,
    found: &'a Found,
    certificate: &'a str,
    steps: &'a [Step],
    file: String,
}

#[derive(Serialize)]
struct Summary {
    exhibits: usize,
}

impl Museum {
    /// Prints the list, or one exhibit.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.what {
            What::List => list(terminal)?,
            What::Show { name } => {
                let unknown =
                    || Failure::input(format!("there is no exhibit `{name}`; {}", allowed(name, museum::names())));
                show(&museum::exhibit(name).ok_or_else(unknown)?, terminal)?;
            }
        }
        Ok(Exit::Expected)
    }
}

fn list(terminal: &mut Terminal) -> Result<(), Failure> {
    let exhibits = museum::exhibits();
    if terminal.json {
        for exhibit in &exhibits {
            terminal.line(&json::line("exhibit", line(exhibit)))?;
        }
        return terminal.line(&json::line("museum", Summary { exhibits: exhibits.len() }));
    }
    let width = exhibits.iter().map(|exhibit| exhibit.name().len()).max().unwrap_or(0) + 2;
    for exhibit in &exhibits {
        let text = format!("{}: {}", releases(exhibit), exhibit.scenario.title);
        let text = hang(&format!("{:width$}", exhibit.name()), &text, width);
        terminal.line(&terminal.style.plain_text(&text))?;
    }
    terminal.line("\nschism museum show NAME tells what it is.")?;
    terminal.line("examples/museum/run NAME, in a checkout, shows it fail, and not fail.")
}

/// The releases, or the systems, that fail and do not.
fn releases(exhibit: &Exhibit) -> String {
    let label = &exhibit.label;
    match &label.cure {
        Cure::Release(good) => format!("{} {}, not {good}", label.engine, label.bad),
        Cure::System(_) => format!("{} {}, the newest release when this was written", label.engine, label.bad),
    }
}

fn line(exhibit: &Exhibit) -> ExhibitLine<'_> {
    let label = &exhibit.label;
    ExhibitLine {
        name: exhibit.name(),
        title: &exhibit.scenario.title,
        engine: &label.engine,
        bad: &label.bad,
        cure: &label.cure,
        checks: &exhibit.recorded().verdict.checks,
        reports: &label.reports,
    }
}

fn show(exhibit: &Exhibit, terminal: &mut Terminal) -> Result<(), Failure> {
    let (label, recorded) = (&exhibit.label, exhibit.recorded());
    let size = Size::of(&exhibit.scenario);
    let file = format!("sims/museum/{}.toml", exhibit.name());
    if terminal.json {
        let (story, system) = (exhibit.scenario.story.trim(), recorded.system.as_str());
        let (found, certificate, steps) = (&label.found, label.certificate.trim(), &label.steps[..]);
        let (seed, faults) = (recorded.seed, faults(exhibit));
        let Size { operations, nodes, duration_ms, .. } = size;
        let exhibit = line(exhibit);
        let line = StoryLine {
            exhibit,
            story,
            system,
            seed,
            faults,
            operations,
            nodes,
            duration_ms,
            found,
            certificate,
            steps,
            file,
        };
        return terminal.line(&json::line("label", line));
    }
    let style = terminal.style;
    let mut text =
        style.paint(Tone::Strong, &wrap(&format!("{}: {}", exhibit.name(), exhibit.scenario.title), WIDTH, 2));
    text += &format!("\n{}\n", wrap(&format!("{}.", releases(exhibit)), WIDTH, 2));
    for paragraph in exhibit.scenario.story.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        text += &format!("\n{}\n", wrap(paragraph, WIDTH, 0));
    }
    let run = format!(
        "{} and {} under {} for {}; {}.",
        count(size.nodes as u64, "node"),
        count(size.operations as u64, "operation"),
        count(size.faults as u64, "fault"),
        seconds(size.duration_ms * 1_000_000),
        faults(exhibit).join("; ")
    );
    text += &format!("\n{}\n", hang("The run: ", &run, 2));
    for (number, step) in (1..).zip(&label.steps) {
        let place = if step.at.is_empty() { String::new() } else { format!(" [{}]", step.at) };
        text += &format!("{}\n", hang(&format!("{number:>2}. "), &format!("{}{place}", step.what.trim()), 4));
    }
    let checks = recorded.verdict.checks.join(", ");
    let certificate = wrap(&format!("{checks}: {}", label.certificate.trim()), WIDTH, 2);
    text += &format!("\n{}\n", style.paint(Tone::Bad, &certificate));
    text += &format!("\n{}\n", hang("Found: ", &found(&label.found), 2));
    for report in &label.reports {
        text += &format!("{}\n", hang(&format!("{}: ", report.name), &report.address, 2));
    }
    let cure = match &label.cure {
        Cure::Release(good) => format!("not with {} {good}", label.engine),
        Cure::System(system) => format!("not as system `{system}`"),
    };
    let again =
        format!("examples/museum/run {} shows it with {} {}, and {cure}.", exhibit.name(), label.engine, label.bad);
    text += &format!("{}\n{}\n", wrap(&again, WIDTH, 2), hang("File: ", &file, 2));
    terminal.print(&style.plain_text(&text))
}

/// The faults of the recorded run, in words.
fn faults(exhibit: &Exhibit) -> Vec<String> {
    exhibit.recorded().schedule.iter().map(ToString::to_string).collect()
}

/// How it was found, in a sentence or two.
fn found(found: &Found) -> String {
    let Found { scenario, seeds, red, remark } = found;
    let rate = match (red.len(), red.first()) {
        (0, _) | (_, None) => format!("no seed of {seeds} of `{scenario}` shows it."),
        (many, Some(first)) => format!("{many} of {seeds} seeds of `{scenario}` show it, first seed {first}."),
    };
    format!("{rate} {}", remark.trim())
}
