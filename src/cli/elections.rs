//! `schism elections`: how long there is no leader and nobody is served, over many seeds.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::grid::Grid;
use super::terminal::Terminal;
use clap::Args;
use schism::report::elections::{Elections, Owed, SYSTEMS, scenario};
use schism::report::file::write_whole;
use schism::report::json;
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, run};
use std::path::PathBuf;

/// Arguments of `schism elections`.
#[derive(Args)]
pub struct ElectionsOf {
    /// The seeds: a range such as 0..50, or a count from 0.
    #[arg(long, env = SEEDS, default_value = "50")]
    seeds: Seeds,
    #[command(flatten)]
    jobs: Jobs,
    /// Write the table as Markdown to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl ElectionsOf {
    /// Makes every run and prints the distributions. A system that waits longer than chance explains is a finding, not an
    /// error.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = scenario();
        let grid = Grid {
            name: "elections",
            rows: vec![&scenario.name],
            columns: SYSTEMS.iter().map(|system| system.name()).collect(),
            seeds: self.seeds,
            jobs: self.jobs,
        };
        let played = scenario.clone();
        let made = move |_, system: usize, seed| {
            run(&played, SYSTEMS[system], seed, &Options::default()).map(|run| Owed::ALL.map(|owed| owed.wait_ms(&run)))
        };
        let mut elections = Elections::new(self.seeds);
        grid.fill(terminal, made, |_, system, waits| elections.add(system, waits))?;
        if let Some(file) = &self.markdown {
            write_whole(file, elections.markdown())?;
        }
        if terminal.json {
            for waits in elections.waits() {
                terminal.line(&json::line("election", waits))?;
            }
        } else {
            terminal.print(&elections.text(terminal.style))?;
        }
        Ok(Exit::Expected)
    }
}
