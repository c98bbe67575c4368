//! `schism engines`: the store on each engine, under the same faults.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::grid::Grid;
use super::terminal::Terminal;
use clap::Args;
use schism::check::CheckName;
use schism::report::engines::{self as report, Engines, Figures, HUNT, SCENARIOS, Sections, transplants};
use schism::report::file::write_whole;
use schism::report::json;
use schism::rng::seeds::{SEEDS, Seeds};
use schism::run::{Options, RunError, run};
use schism::scenario::suggest::allowed;
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
    /// Make only these, separated by commas: scenarios, and systems with a planted bug.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    jobs: Jobs,
    /// Write the tables as Markdown to this file. What people added under headings of their own stays there, and with
    /// --only all rows that are not made.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl EnginesOf {
    /// Makes every run and prints the tables.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        self.check_names()?;
        let mut engines = Engines::new(self.seeds, self.hunt);
        let before = self.before(&engines)?;
        self.compare(terminal, &mut engines)?;
        if self.hunt > 0 {
            self.hunt(terminal, &mut engines)?;
        }
        if let Some(file) = &self.markdown {
            write_whole(file, engines.markdown(&before))?;
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

    /// Whether this row is to be made.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }

    fn check_names(&self) -> Result<(), Failure> {
        let scenarios = SCENARIOS.iter().map(|(name, _)| *name);
        let names: Vec<&str> = scenarios.chain(transplants().iter().map(|planted| planted.name)).collect();
        for name in &self.only {
            if !names.contains(&name.as_str()) {
                return Err(Failure::Usage(format!("--only: there is no `{name}` here; {}", allowed(name, names))));
            }
            if self.hunt == 0 && !SCENARIOS.iter().any(|(scenario, _)| scenario == name) {
                return Err(Failure::Usage(format!("--only: `{name}` is a planted bug; say --hunt SEEDS, too")));
            }
        }
        Ok(())
    }

    /// The file as it was, unless what it has would be lost.
    fn before(&self, engines: &Engines) -> Result<Sections, Failure> {
        let Some(file) = self.markdown.as_ref().filter(|file| file.is_file()) else { return Ok(Sections::default()) };
        let (name, command) = (file.display(), engines.command());
        let text = std::fs::read_to_string(file).map_err(|error| Failure::input(format!("{name}: {error}")))?;
        let before = Sections::of(&text);
        if let Some(system) = before.not_built() {
            let text =
                format!("{name} has rows of `{system}`, which this build cannot make: add --features openraft-0-10");
            return Err(Failure::input(text));
        }
        match self.only.is_empty() || before.is_of(&command) {
            true => Ok(before),
            false => Err(Failure::input(format!(
                "{name} was not made by `{command}`: give the seeds that it was made with, or make all of it, without --only"
            ))),
        }
    }

    /// Runs every engine under every scenario.
    fn compare(&self, terminal: &Terminal, engines: &mut Engines) -> Result<(), Failure> {
        let wanted: Vec<usize> = (0..SCENARIOS.len()).filter(|place| self.wants(SCENARIOS[*place].0)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let embedded = |place: &usize| load(SCENARIOS[*place].0).expect("an embedded scenario is sound");
        let scenarios: Vec<Scenario> = wanted.iter().map(embedded).collect();
        let systems = report::engines();
        let grid = Grid {
            name: "engines",
            rows: wanted.iter().map(|place| SCENARIOS[*place].0).collect(),
            columns: systems.iter().map(|system| system.name()).collect(),
            seeds: self.seeds,
            jobs: self.jobs,
        };
        let made = move |scenario: usize, engine: usize, seed| {
            run(&scenarios[scenario], systems[engine], seed, &Options::default()).map(|run| Figures::of(&run))
        };
        grid.fill(terminal, made, |row, engine, figures| engines.add(wanted[row], engine, figures))
    }

    /// Runs every planted bug; where a check fails, the system without the bug must pass.
    fn hunt(&self, terminal: &Terminal, engines: &mut Engines) -> Result<(), Failure> {
        let mut planted = transplants();
        planted.retain(|transplant| self.wants(transplant.name));
        if planted.is_empty() {
            return Ok(());
        }
        let names: Vec<&'static str> = planted.iter().map(|transplant| transplant.name).collect();
        let grid = Grid {
            name: "bugs",
            rows: names.clone(),
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
        grid.fill(terminal, made, |bug, _, (seed, found)| engines.add_planted(names[bug], seed, found))
    }
}
