//! `schism ladder`: systems one idea apart, under faults one kind apart.

use super::cores;
use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use clap::Args;
use schism::report::json;
use schism::report::ladder::{COLUMNS, Figures, Ladder, RUNGS};
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, run};
use schism::scenario::Scenario;
use schism::sweep::{Fate, Pool, sweep};
use std::path::PathBuf;
use std::time::Duration;

/// Wall-clock time after which a run counts as hung.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Arguments of `schism ladder`.
#[derive(Args)]
pub struct LadderOf {
    /// The seeds: a range such as 0..5, or a count from 0.
    #[arg(long, env = SEEDS, default_value = "5")]
    seeds: Seeds,
    /// How many runs are made at once [default: all cores].
    #[arg(long, env = "SCHISM_JOBS", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write the table as Markdown to this file, with what each rung buys and still loses.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl LadderOf {
    /// Makes every run and prints the table.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let pool = Pool { jobs: self.jobs.map_or_else(cores, usize::from), watchdog: WATCHDOG };
        let scenarios: Vec<Scenario> = COLUMNS.iter().map(|column| column.scenario()).collect();
        let (first, count) = (self.seeds.iter().start, self.seeds.count());
        // One number names a run: rung, column and seed, the seed counting fastest.
        let place = move |number: u64| {
            let cell = (number / count) as usize;
            (cell / COLUMNS.len(), cell % COLUMNS.len(), first + number % count)
        };
        let job = move |number: u64| {
            let (rung, column, seed) = place(number);
            run(&scenarios[column], RUNGS[rung].system, seed, &Options::default()).map(|run| Figures::of(&run))
        };
        let all = Seeds::first(count * (RUNGS.len() * COLUMNS.len()) as u64);
        let bar = terminal.progress(all.count(), "ladder");
        let mut ladder = Ladder::new(self.seeds);
        let mut wrong = None;
        sweep(all, &pool, job, |number, fate| {
            let (rung, column, seed) = place(number);
            let problem = match fate {
                Fate::Done(Ok(figures)) => {
                    ladder.add(rung, column, &figures);
                    None
                }
                Fate::Done(Err(error)) => Some(error.to_string()),
                Fate::Panicked(message) => Some(message),
                Fate::Hung => Some("it hung".to_string()),
            };
            if let Some(problem) = problem {
                let (system, column) = (RUNGS[rung].system, COLUMNS[column].name);
                wrong = wrong.take().or(Some(format!("{system} under {column}, seed {seed}: {problem}")));
            }
            bar.inc(1);
        });
        bar.finish_and_clear();
        if let Some(wrong) = wrong {
            return Err(Failure::Harness(wrong));
        }
        if let Some(file) = &self.markdown {
            std::fs::write(file, ladder.markdown())?;
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
