//! `schism compare`: several systems under the same faults and the same clients.

use super::exit::{Exit, Failure};
use super::recordings;
use super::terminal::Terminal;
use super::{OneSeed, Subject, parse_system};
use clap::Args;
use schism::report::page::page;
use schism::report::{comparison, json};
use schism::run::{Comparison, compare};
use schism::scenario::Scenario;
use schism::systems::System;
use std::path::Path;

/// Arguments of `schism compare`.
#[derive(Args)]
pub struct Compare {
    #[command(flatten)]
    subject: Subject,
    /// The systems to compare, separated by commas [default: those of which the scenario expects something].
    #[arg(long, value_parser = parse_system, value_delimiter = ',')]
    systems: Vec<System>,
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
        let scenario = self.subject.load()?;
        let systems = if self.systems.is_empty() { named_by(&scenario) } else { self.systems.clone() };
        let compared = compare(&scenario, &systems, self.seed.seed, &self.subject.options())?;
        if let Some(folder) = &self.out {
            self.write(&compared, folder)?;
        }
        if terminal.json {
            for line in json::comparison(&compared) {
                terminal.line(&line)?;
            }
        } else {
            terminal.print(&comparison::comparison(&compared, self.verbose, terminal.style))?;
        }
        if let Some(path) = &self.html {
            let command = format!("schism {}", self.again());
            recordings::write_page(&page(&compared.runs, Some(&compared), &command), path, terminal)?;
        }
        Ok(exit(&compared))
    }

    /// The arguments that make this comparison again.
    fn again(&self) -> String {
        let mut again = format!("compare {} --seed {}", recordings::portable(&self.subject.scenario), self.seed.seed);
        if !self.systems.is_empty() {
            let names: Vec<&str> = self.systems.iter().map(|system| system.name()).collect();
            again.push_str(&format!(" --systems {}", names.join(",")));
        }
        again
    }

    fn write(&self, compared: &Comparison, folder: &Path) -> Result<(), Failure> {
        for run in &compared.runs {
            let path = folder.join(schism::report::recording::file_name(run));
            schism::report::recording::save(run, &path)?;
            eprintln!("recorded: {}", recordings::replay_command(&path));
        }
        Ok(())
    }
}

/// The systems of which a scenario expects something, or else the two of the first lesson.
fn named_by(scenario: &Scenario) -> Vec<System> {
    let named = System::all().filter(|system| scenario.expect.contains_key(system.name()));
    let named: Vec<System> = named.collect();
    if named.is_empty() { vec![System::Raft, System::DualPrimary] } else { named }
}

/// 0 when every system behaved as expected; what is wrong outweighs what is inconclusive.
fn exit(compared: &Comparison) -> Exit {
    if compared.as_expected {
        Exit::Expected
    } else if compared.unexpected.is_empty() {
        Exit::Inconclusive
    } else {
        Exit::Violation
    }
}
