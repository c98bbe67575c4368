//! `schism ledger`: what each kind of fault costs under each system.

use super::cores;
use super::exit::{Exit, Failure};
use super::recordings;
use super::terminal::Terminal;
use clap::Args;
use schism::report::json;
use schism::report::ledger::{Cost, KINDS, Ledger, scenario, systems};
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, run};
use schism::sweep::{Fate, Pool, sweep};
use std::path::PathBuf;
use std::time::Duration;

/// Wall-clock time after which a run counts as hung.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Arguments of `schism ledger`.
#[derive(Args)]
pub struct LedgerOf {
    /// The seeds: a range such as 0..5, or a count from 0.
    #[arg(long, env = SEEDS, default_value = "3")]
    seeds: Seeds,
    /// How many runs are made at once [default: all cores].
    #[arg(long, env = "SCHISM_JOBS", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Draw it as well: one HTML file with a cloud of seeds for each system.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl LedgerOf {
    /// Makes every run and prints the table.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let pool = Pool { jobs: self.jobs.map_or_else(cores, usize::from), watchdog: WATCHDOG };
        let scenarios = KINDS.map(scenario);
        let (first, count) = (self.seeds.iter().start, self.seeds.count());
        let systems = systems();
        // One number names a run: kind, system and seed, the seed counting fastest.
        let place = move |number: u64| {
            let cell = (number / count) as usize;
            (cell / systems.len(), cell % systems.len(), first + number % count)
        };
        let job = move |number: u64| {
            let (kind, system, seed) = place(number);
            let scenario = &scenarios[kind];
            run(scenario, systems[system], seed, &Options::default()).map(|run| Cost::of(scenario, &run))
        };
        let all = Seeds::first(count * (KINDS.len() * systems.len()) as u64);
        let bar = terminal.progress(all.count(), "ledger");
        let mut ledger = Ledger::default();
        let mut wrong = None;
        sweep(all, &pool, job, |number, fate| {
            let (kind, system, seed) = place(number);
            let problem = match fate {
                Fate::Done(Ok(cost)) => {
                    ledger.add(kind, system, cost);
                    None
                }
                Fate::Done(Err(error)) => Some(error.to_string()),
                Fate::Panicked(message) => Some(message),
                Fate::Hung => Some("it hung".to_string()),
            };
            if let Some(problem) = problem {
                let name = systems[system];
                wrong = wrong.take().or(Some(format!("{name} under {}, seed {seed}: {problem}", KINDS[kind])));
            }
            bar.inc(1);
        });
        bar.finish_and_clear();
        if let Some(wrong) = wrong {
            return Err(Failure::Harness(wrong));
        }
        if terminal.json {
            for account in ledger.accounts() {
                terminal.line(&json::line("account", account))?;
            }
            terminal.line(&json::line("ledger", ledger.summary()))?;
        } else {
            terminal.print(&ledger.text())?;
        }
        if let Some(path) = &self.html {
            let last = first + count;
            recordings::write_page(&ledger.html(&format!("schism ledger --seeds {first}..{last}")), path, terminal)?;
        }
        Ok(if ledger.is_raft_harmless() { Exit::Expected } else { Exit::Violation })
    }
}
