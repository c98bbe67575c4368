//! `schism list`: the scenarios, the story of one, or the kinds of fault.

use super::exit::{Exit, Failure};
use super::named::load;
use super::terminal::Terminal;
use clap::Args;
use schism::fault::kinds::FaultKind;
use schism::report::faults;
use schism::report::file::write_whole;
use schism::report::json;
use schism::report::style::{Tone, WIDTH, hang, wrap};
use schism::scenario::{self, Safety, Scenario};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `schism list`.
#[derive(Args)]
pub struct List {
    /// Show the story of this scenario, and what it expects of each system.
    scenario: Option<String>,
    /// Show the kinds of fault instead, with their fields.
    #[arg(long, conflicts_with = "scenario")]
    faults: bool,
    /// Write their table into this document, in the place of the one that it has (docs/FAULTS.md).
    #[arg(long, value_name = "FILE", requires = "faults")]
    markdown: Option<PathBuf>,
}

#[derive(Serialize)]
struct Kinds {
    kinds: usize,
}

#[derive(Serialize)]
struct Summary {
    scenarios: usize,
}

impl List {
    /// Prints the list.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if self.faults {
            return self.faults(terminal);
        }
        let scenarios = match &self.scenario {
            Some(name) => vec![load(name)?],
            None => scenario::catalogue(),
        };
        if terminal.json {
            for scenario in &scenarios {
                terminal.line(&json::scenario(scenario))?;
            }
            terminal.line(&json::line("list", Summary { scenarios: scenarios.len() }))?;
            return Ok(Exit::Expected);
        }
        if self.scenario.is_some() {
            for scenario in &scenarios {
                story(scenario, terminal)?;
            }
            return Ok(Exit::Expected);
        }
        let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0) + 2;
        for scenario in &scenarios {
            let text = hang(&format!("{:width$}", scenario.name), &scenario.title, width);
            terminal.line(&terminal.style.plain_text(&text))?;
        }
        terminal.line("\nschism list NAME tells the story, schism compare NAME shows it.")?;
        terminal.line("schism lesson list names stories of other failures.")?;
        Ok(Exit::Expected)
    }

    fn faults(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if let Some(file) = &self.markdown {
            let refused = |why: String| Failure::input(format!("{}: {why}", file.display()));
            let document = std::fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
            write_whole(file, faults::written(&document).map_err(refused)?)?;
        }
        if !terminal.json {
            terminal.print(&faults::text(terminal.style))?;
            return Ok(Exit::Expected);
        }
        for kind in FaultKind::catalogue() {
            terminal.line(&json::line("fault_kind", kind))?;
        }
        terminal.line(&json::line("faults", Kinds { kinds: FaultKind::NAMES.len() }))?;
        Ok(Exit::Expected)
    }
}

fn story(scenario: &Scenario, terminal: &mut Terminal) -> Result<(), Failure> {
    let style = terminal.style;
    let mut text = format!("{}\n", style.paint(Tone::Strong, &format!("{}: {}", scenario.name, scenario.title)));
    let sites: Vec<String> = scenario
        .sites
        .iter()
        .map(|site| format!("{} ({} nodes, {} clients)", site.name, site.nodes, site.clients))
        .collect();
    text.push_str(&format!("{}\n", wrap(&format!("Sites: {}.", sites.join(", ")), WIDTH, 2)));
    for paragraph in scenario.story.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        text.push_str(&format!("\n{}\n", wrap(paragraph, WIDTH, 0)));
    }
    for (system, expected) in &scenario.expect {
        let safety = match expected.safety {
            Safety::Holds => "stays safe",
            Safety::SplitBrain => "shows a certified split-brain",
            Safety::Violated => "violates safety",
            Safety::MayBreak => "may violate safety",
        };
        let because = expected.because.trim();
        text.push_str(&format!("\n{}\n", wrap(&format!("{system} {safety}. {because}"), WIDTH, 2)));
    }
    terminal.print(&style.plain_text(&text))
}
