//! `schism ladder`: systems one idea apart, under faults one kind apart.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::grid::Grid;
use super::terminal::Terminal;
use clap::Args;
use schism::report::file::write_whole;
use schism::report::json;
use schism::report::ladder::{COLUMNS, Figures, Ladder, RUNGS};
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, run};
use schism::scenario::Scenario;
use std::path::PathBuf;

/// Arguments of `schism ladder`.
#[derive(Args)]
pub struct LadderOf {
    /// The seeds: a range such as 0..5, or a count from 0.
    #[arg(long, env = SEEDS, default_value = "5")]
    seeds: Seeds,
    #[command(flatten)]
    jobs: Jobs,
    /// Write the table as Markdown to this file, with what each rung buys and still loses.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl LadderOf {
    /// Makes every run and prints the table.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenarios: Vec<Scenario> = COLUMNS.iter().map(|column| column.scenario()).collect();
        let grid = Grid {
            name: "ladder",
            rows: RUNGS.iter().map(|rung| rung.system.name()).collect(),
            columns: COLUMNS.iter().map(|column| column.name).collect(),
            seeds: self.seeds,
            jobs: self.jobs,
        };
        let made = move |rung: usize, column: usize, seed| {
            run(&scenarios[column], RUNGS[rung].system, seed, &Options::default()).map(|run| Figures::of(&run))
        };
        let mut ladder = Ladder::new(self.seeds);
        grid.fill(terminal, made, |rung, column, figures| ladder.add(rung, column, &figures))?;
        if let Some(file) = &self.markdown {
            write_whole(file, ladder.markdown())?;
        }
        if terminal.json {
            for cell in ladder.cells() {
                terminal.line(&json::line("rung", cell))?;
            }
            terminal.line(&json::line("ladder", ladder.summary()))?;
        } else {
            terminal.print(&ladder.text(terminal.style))?;
        }
        Ok(if ladder.is_top_safe() { Exit::Expected } else { Exit::Violation })
    }
}
