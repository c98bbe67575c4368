//! `schism ledger`: what each kind of fault costs under each system.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::grid::Grid;
use super::recordings;
use super::terminal::Terminal;
use clap::Args;
use schism::report::json;
use schism::report::ledger::{Cost, Ledger, kinds, scenario, systems};
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, run};
use schism::scenario::Scenario;
use std::ops::Range;
use std::path::PathBuf;

/// Arguments of `schism ledger`.
#[derive(Args)]
pub struct LedgerOf {
    /// The seeds: a range such as 0..5, or a count from 0.
    #[arg(long, env = SEEDS, default_value = "3")]
    seeds: Seeds,
    #[command(flatten)]
    jobs: Jobs,
    /// Draw it as well: one HTML file with a cloud of seeds for each system.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl LedgerOf {
    /// Makes every run and prints the table.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let (kinds, systems) = (kinds(), systems());
        let scenarios: Vec<Scenario> = kinds.iter().map(|kind| scenario(kind)).collect();
        let grid = Grid {
            name: "ledger",
            rows: systems.iter().map(|system| system.name()).collect(),
            columns: kinds.iter().map(String::as_str).collect(),
            seeds: self.seeds,
            jobs: self.jobs,
        };
        let made = move |system: usize, kind: usize, seed| {
            let scenario = &scenarios[kind];
            run(scenario, systems[system], seed, &Options::default()).map(|run| Cost::of(scenario, &run))
        };
        let mut ledger = Ledger::new(kinds.clone());
        grid.fill(terminal, made, |system, kind, cost| ledger.add(kind, system, cost))?;
        if terminal.json {
            for account in ledger.accounts() {
                terminal.line(&json::line("account", account))?;
            }
            terminal.line(&json::line("ledger", ledger.summary()))?;
        } else {
            terminal.print(&ledger.text())?;
        }
        if let Some(path) = &self.html {
            let Range { start, end } = self.seeds.iter();
            recordings::write_page(&ledger.html(&format!("schism ledger --seeds {start}..{end}")), path, terminal)?;
        }
        Ok(if ledger.is_raft_harmless() { Exit::Expected } else { Exit::Violation })
    }
}
