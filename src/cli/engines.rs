//! `schism engines`: the store on each engine, under the same faults.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::grid::Grid;
use super::terminal::Terminal;
use clap::Args;
use schism::report::engines::{ENGINES, Engines, Figures, SCENARIOS};
use schism::report::file::write_whole;
use schism::report::json;
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, run};
use schism::scenario::{Scenario, load};
use std::path::PathBuf;

/// Arguments of `schism engines`.
#[derive(Args)]
pub struct EnginesOf {
    /// The seeds: a range such as 0..5, or a count from 0.
    #[arg(long, env = SEEDS, default_value = "5")]
    seeds: Seeds,
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
        let grid = Grid {
            name: "engines",
            rows: SCENARIOS.iter().map(|(name, _)| *name).collect(),
            columns: ENGINES.iter().map(|engine| engine.name()).collect(),
            seeds: self.seeds,
            jobs: self.jobs,
        };
        let made = move |scenario: usize, engine: usize, seed| {
            run(&scenarios[scenario], ENGINES[engine], seed, &Options::default()).map(|run| Figures::of(&run))
        };
        let mut engines = Engines::new(self.seeds);
        grid.fill(terminal, made, |scenario, engine, figures| engines.add(scenario, engine, figures))?;
        if let Some(file) = &self.markdown {
            write_whole(file, engines.markdown())?;
        }
        if terminal.json {
            for cell in engines.cells() {
                terminal.line(&json::line("engine", cell))?;
            }
        } else {
            terminal.print(&engines.text(terminal.style))?;
        }
        Ok(if engines.is_safe() { Exit::Expected } else { Exit::Violation })
    }
}
