//! `schism export`: a history in a form that other checkers read, so that they can check us; or a run for viewers
//! of traces.

use super::exit::{Exit, Failure};
use super::histories::Reading;
use super::terminal::Terminal;
use super::{load, parse_system};
use clap::{Args, ValueEnum};
use schism::history::{Columns, formats};
use schism::report::file::write_whole;
use schism::report::perfetto::perfetto;
use schism::report::shiviz::shiviz;
use schism::rng::seeds::{SEED, parse_seed};
use schism::run::{Options, Run, run};
use schism::systems::System;
use std::path::PathBuf;

/// Arguments of `schism export`.
#[derive(Args)]
pub struct Export {
    /// A history to convert; with --system, a scenario to run instead.
    source: String,
    /// The form to write.
    #[arg(long, value_enum)]
    to: To,
    /// Run the scenario with this system, and export what its clients saw.
    #[arg(long, value_parser = parse_system, conflicts_with_all = ["input", "input_limit"])]
    system: Option<System>,
    /// The seed of that run.
    #[arg(long, env = SEED, value_parser = parse_seed, default_value = "0")]
    seed: u64,
    #[command(flatten)]
    reading: Reading,
    /// Write to this file [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The forms that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    /// Jepsen's EDN events with independent keys.
    Jepsen,
    /// Porcupine's operations as JSON.
    Porcupine,
    /// JSON lines, as `schism check` reads them.
    Json,
    /// The whole run as a Chrome trace, for ui.perfetto.dev; needs --system.
    Perfetto,
    /// The whole run as a log with vector clocks, for ShiViz; needs --system.
    Shiviz,
}

impl Export {
    /// Writes the history.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let made = match self.system {
            Some(system) => Some(run(&load(&self.source)?, system, self.seed, &Options::default())?),
            None => None,
        };
        let columns = || match &made {
            Some(run) => Ok(Columns::from(&run.history)),
            None => self.reading.read(&self.source, terminal),
        };
        let of_run = |form: fn(&Run) -> String| {
            let run = made.as_ref();
            run.map(form).ok_or_else(|| Failure::Usage("this form shows a run: name a scenario, and --system".into()))
        };
        let text = match self.to {
            To::Jepsen => formats::write_jepsen(&columns()?),
            To::Porcupine => formats::write_porcupine(&columns()?),
            To::Json => formats::write_json(&columns()?),
            To::Perfetto => of_run(perfetto)?,
            To::Shiviz => of_run(|run| shiviz(&run.trace))?,
        };
        match &self.out {
            Some(path) => write_whole(path, text)?,
            None => terminal.print(&text)?,
        }
        Ok(Exit::Expected)
    }
}
