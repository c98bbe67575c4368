//! `schism compare`: several systems under the same faults and the same clients.

use super::exit::{Exit, Failure};
use super::named::{Named, named};
use super::recordings;
use super::story;
use super::terminal::Terminal;
use super::unwritten::Unwritten;
use super::warn::warn;
use super::{OneSeed, Subject, parse_system, subject_of};
use clap::Args;
use schism::report::page::page;
use schism::report::{self, comparison, json};
use schism::run::{Comparison, compare};
use schism::scenario::Scenario;
use schism::stories::{self, StoryFile, Telling, Variant};
use schism::systems::System;
use std::path::Path;

/// Arguments of `schism compare`.
#[derive(Args)]
pub struct Compare {
    #[command(flatten)]
    subject: Subject,
    /// The systems to compare, or a story's variants, separated by commas [default: those of which the scenario
    /// expects something; all variants].
    #[arg(long, value_delimiter = ',')]
    systems: Vec<String>,
    #[command(flatten)]
    seed: OneSeed,
    /// Show every figure, every certificate and every fault.
    #[arg(long, short)]
    verbose: bool,
    /// Write each run in explicit form into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<std::path::PathBuf>,
    /// Write the comparison as a page to look into: one HTML file that needs no server.
    #[arg(long, value_name = "FILE")]
    html: Option<std::path::PathBuf>,
}

impl Compare {
    /// Runs every system and prints the comparison.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let (story, scenario) = match named(&self.subject.scenario)? {
            Named::Story(story, None) => return self.tell(&story, terminal),
            Named::Story(story, Some(scenario)) => (Some(story), scenario),
            Named::Scenario(scenario) => (None, scenario),
        };
        // Claims are about the variants of the story; with systems of the caller's choice it is another one.
        let story = story.filter(|_| self.systems.is_empty());
        let named = self.systems.iter().map(|name| parse_system(name).map_err(Failure::Usage));
        let named: Vec<System> = named.collect::<Result<_, _>>()?;
        let systems = if named.is_empty() { named_by(&scenario)? } else { named };
        let compared = compare(&scenario, &systems, self.seed.seed, &self.subject.options())?;
        let mut unwritten = Unwritten::default();
        if let Some(folder) = &self.out {
            unwritten.attempt(self.write(&compared, folder), "name another folder with --out")?;
        }
        let told = story.as_ref().map(|story| self.told(story, story.model.variants())).transpose()?;
        if terminal.json {
            for line in json::comparison(&compared, told.as_ref().map(|told| &told.claims[..])) {
                terminal.line(&line)?;
            }
        } else {
            terminal.print(&comparison::comparison(&compared, self.verbose, terminal.style))?;
            if let (Some(story), Some(told)) = (&story, &told) {
                terminal.print(&report::story::beside(story, told, terminal.style))?;
            }
        }
        if let Some(path) = &self.html {
            let command = format!("schism {}", self.again());
            let page = page(&compared.runs, Some(&compared), &command);
            unwritten.attempt(recordings::write_page(&page, path, terminal), "name another file with --html")?;
        }
        let found = if told.is_none_or(|told| told.holds()) { exit(&compared) } else { Exit::Violation };
        Ok(unwritten.exit(found))
    }

    /// Runs a story's variants and prints what was predicted beside what was measured.
    fn tell(&self, story: &StoryFile, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let named: Vec<_> = self.systems.iter().map(|name| story::variant(story, name)).collect::<Result<_, _>>()?;
        let told = if named.is_empty() { self.told(story, story.model.variants())? } else { self.told(story, named)? };
        let mut unwritten = Unwritten::default();
        if let Some(folder) = &self.out {
            unwritten.attempt(story::write(story, &told, folder), "name another folder with --out")?;
        }
        if terminal.json {
            for line in report::story::lines(story, &told) {
                terminal.line(&line)?;
            }
        } else {
            terminal.print(&report::story::telling(story, &told, self.verbose, terminal.style))?;
        }
        if let Some(path) = &self.html {
            let page = report::story::page::page(story, &told, &format!("schism {}", self.again()));
            unwritten.attempt(recordings::write_page(&page, path, terminal), "name another file with --html")?;
        }
        Ok(unwritten.exit(if told.holds() { Exit::Expected } else { Exit::Violation }))
    }

    fn told(
        &self,
        story: &StoryFile,
        variants: impl IntoIterator<Item = &'static Variant>,
    ) -> Result<Telling, Failure> {
        Ok(stories::tell(&*story.model, variants, self.seed.seed)?)
    }

    /// The arguments that make this comparison again.
    fn again(&self) -> String {
        let mut again = format!("compare {} --seed {}", recordings::portable(&self.subject.scenario), self.seed.seed);
        if !self.systems.is_empty() {
            again.push_str(&format!(" --systems {}", self.systems.join(",")));
        }
        again
    }

    fn write(&self, compared: &Comparison, folder: &Path) -> Result<(), Failure> {
        for run in &compared.runs {
            let path = folder.join(schism::report::recording::file_name(run));
            schism::report::recording::save(run, &path)?;
            warn(&format!("recorded: {}", recordings::replay_command(&path)));
        }
        Ok(())
    }
}

/// The systems of which a scenario expects something, or else the two of the first lesson; the scenario's own program, if it
/// has one, in place of the second.
fn named_by(scenario: &Scenario) -> Result<Vec<System>, Failure> {
    if let Some(program) = subject_of(scenario)? {
        return Ok(vec![System::Raft, program]);
    }
    let named = System::all().filter(|system| scenario.expect.contains_key(system.name()));
    let named: Vec<System> = named.collect();
    Ok(if named.is_empty() { vec![System::Raft, System::DualPrimary] } else { named })
}

/// 0 when every system behaved as expected; a failed expectation outweighs an inconclusive run.
pub fn exit(compared: &Comparison) -> Exit {
    if compared.as_expected {
        Exit::Expected
    } else if compared.unexpected.is_empty() {
        Exit::Inconclusive
    } else {
        Exit::Violation
    }
}
