//! Runs of a table: every row under every column, over some seeds.

use super::Jobs;
use super::exit::Failure;
use super::terminal::Terminal;
use schism::rng::seeds::Seeds;
use schism::run::RunError;
use schism::sweep::{Fate, Pool, sweep};
use std::time::Duration;

/// Wall-clock time after which a run counts as hung.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Which runs are made, and their names.
pub struct Grid<'a> {
    /// The command, for the progress bar.
    pub name: &'static str,
    /// The names of the rows.
    pub rows: Vec<&'a str>,
    /// The names of the columns.
    pub columns: Vec<&'a str>,
    /// The seeds of each cell.
    pub seeds: Seeds,
    /// How the machine is used.
    pub jobs: Jobs,
}

impl Grid<'_> {
    /// Makes every run by row, column and seed, and hands what it gives to `add`, in that order.
    ///
    /// # Errors
    /// For the first run that is refused, panics or hangs.
    pub fn fill<T: Send + 'static>(
        &self,
        terminal: &Terminal,
        run: impl Fn(usize, usize, u64) -> Result<T, RunError> + Send + Sync + 'static,
        mut add: impl FnMut(usize, usize, T),
    ) -> Result<(), Failure> {
        let pool = Pool { jobs: self.jobs.count(), watchdog: WATCHDOG };
        let (first, seeds, columns) = (self.seeds.iter().start, self.seeds.count(), self.columns.len());
        // One number names a run, the seed counting fastest.
        let place = move |number: u64| {
            let cell = (number / seeds) as usize;
            (cell / columns, cell % columns, first + number % seeds)
        };
        let job = move |number: u64| {
            let (row, column, seed) = place(number);
            run(row, column, seed)
        };
        let all = Seeds::first(seeds * (self.rows.len() * columns) as u64);
        let bar = terminal.progress(all.count(), self.name);
        let mut wrong = None;
        sweep(all, &pool, job, |number, fate| {
            let (row, column, seed) = place(number);
            let problem = match fate {
                Fate::Done(Ok(done)) => {
                    add(row, column, done);
                    None
                }
                Fate::Done(Err(error)) => Some(error.to_string()),
                Fate::Panicked(message) => Some(message),
                Fate::Hung => Some("it hung".to_string()),
            };
            if let Some(problem) = problem {
                let (row, column) = (self.rows[row], self.columns[column]);
                wrong = wrong.take().or(Some(format!("{row} under {column}, seed {seed}: {problem}")));
            }
            bar.inc(1);
        });
        bar.finish_and_clear();
        wrong.map_or(Ok(()), |wrong| Err(Failure::Harness(wrong)))
    }
}
