//! `schism engines`: the store on each engine, under the same faults.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::grid::Grid;
use super::terminal::Terminal;
use clap::Args;
use schism::check::CheckName;
use schism::report::engines::{Engines, Figures, HUNT, SCENARIOS, engines, transplants};
use schism::report::file::write_whole;
use schism::report::json;
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, RunError, run};
use schism::scenario::{Scenario, load};
use schism::systems::System;
use std::path::PathBuf;

/// Arguments of `schism engines`.
#[derive(Args)]
pub struct EnginesOf {
    /// The seeds: a range such as 0..5, or a count from 0.
    #[arg(long, env = SEEDS, default_value = "5")]
    seeds: Seeds,
    /// Also hunt each of the bugs that are planted in the store on other engines, under so many seeds.
    #[arg(long, value_name = "SEEDS", default_value_t = 0)]
    hunt: u64,
    #[command(flatten)]
    jobs: Jobs,
    /// Write the tables as Markdown to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl EnginesOf {
    /// Makes every run and prints the tables.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let embedded = |(name, _): &(&str, &str)| load(name).expect("an embedded scenario is sound");
        let scenarios: Vec<Scenario> = SCENARIOS.iter().map(embedded).collect();
        let systems = engines();
        let grid = Grid {
            name: "engines",
            rows: SCENARIOS.iter().map(|(name, _)| *name).collect(),
            columns: systems.iter().map(|system| system.name()).collect(),
            seeds: self.seeds,
            jobs: self.jobs,
        };
        let made = move |scenario: usize, engine: usize, seed| {
            run(&scenarios[scenario], systems[engine], seed, &Options::default()).map(|run| Figures::of(&run))
        };
        let mut engines = Engines::new(self.seeds);
        grid.fill(terminal, made, |scenario, engine, figures| engines.add(scenario, engine, figures))?;
        if self.hunt > 0 {
            self.hunt(terminal, &mut engines)?;
        }
        if let Some(file) = &self.markdown {
            write_whole(file, engines.markdown())?;
        }
        if terminal.json {
            for cell in engines.cells() {
                terminal.line(&json::line("engine", cell))?;
            }
            for planted in engines.planted().iter().filter(|planted| planted.seeds > 0) {
                terminal.line(&json::line("planted", planted))?;
            }
        } else {
            terminal.print(&engines.text(terminal.style))?;
        }
        Ok(if engines.is_safe() { Exit::Expected } else { Exit::Violation })
    }

    /// Runs every planted bug; where a check fails, the system without the bug must pass.
    fn hunt(&self, terminal: &Terminal, engines: &mut Engines) -> Result<(), Failure> {
        let planted = transplants();
        let grid = Grid {
            name: "bugs",
            rows: planted.iter().map(|transplant| transplant.name).collect(),
            columns: vec![HUNT],
            seeds: Seeds::first(self.hunt),
            jobs: self.jobs,
        };
        let scenario = load(HUNT).expect("an embedded scenario is sound");
        let checks = move |system, seed| -> Result<Vec<String>, RunError> {
            let mut checks = run(&scenario, system, seed, &Options::default())?.outcome.failed_checks();
            checks.retain(|check| check != CheckName::Panic.name());
            Ok(checks)
        };
        let made = move |bug: usize, _, seed| {
            let mut found = checks(System::Transplanted(planted[bug]), seed)?;
            if !found.is_empty() && !checks(planted[bug].ground.system(), seed)?.is_empty() {
                found.clear();
            }
            Ok((seed, found))
        };
        grid.fill(terminal, made, |bug, _, (seed, found)| engines.add_planted(bug, seed, found))
    }
}
