//! `schism zoo`: how many seeds it takes to find each planted bug.

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use super::{Jobs, parse_bugs};
use clap::Args;
use schism::check::CheckName;
use schism::report::file::write_whole;
use schism::report::json;
use schism::report::style::hang;
use schism::rng::seeds::Seeds;
use schism::run::{Options, Verdict, run};
use schism::scenario::{self, Scenario};
use schism::shrink::{Limits, RunOracle, Size, shrink};
use schism::sweep::{Fate, Pool, sweep};
use schism::systems::System;
use schism::systems::bugs::Bug;
use schism::systems::together::Bugs;
use schism::zoo::hunt::{Terms, hunt};
use schism::zoo::rates::Rates;
use schism::zoo::{Census, Clean, Entry, SCENARIO, table};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// Files that `--write` writes, in a checkout.
const PAGE: &str = "docs/ZOO.md";
const RATES: &str = "src/zoo/rates.json";
const UNTUNED: &str = "src/zoo/untuned.json";
/// Simulated seconds that shrinking one failure may spend.
const SHRINK_BUDGET_S: u64 = 3000;

/// Arguments of `schism zoo`.
#[derive(Args)]
pub struct Zoo {
    /// Only these bugs, separated by commas [default: those on which nemesis and checks were tuned]; a+b is a system that has
    /// both.
    #[arg(long, value_name = "NAME", value_parser = parse_bugs, value_delimiter = ',')]
    bug: Vec<Bugs>,
    /// Only the bugs on which neither nemesis nor checks were tuned.
    #[arg(long, conflicts_with = "bug")]
    untuned: bool,
    /// List the bugs, and hunt none.
    #[arg(long)]
    list: bool,
    /// From how many starting seeds each bug is hunted.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    starts: u64,
    /// The most seeds that one bug gets, over all starts.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    budget: u64,
    /// How many seeds of the system without a bug must be clean.
    #[arg(long, default_value_t = 300)]
    clean: u64,
    /// Do not shrink what was found.
    #[arg(long)]
    no_shrink: bool,
    #[command(flatten)]
    jobs: Jobs,
    /// Wall-clock seconds after which a seed counts as hung.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    watchdog: u64,
    /// Write docs/ZOO.md and the measured rates of the checkout in the working directory.
    #[arg(long, conflicts_with = "bug")]
    write: bool,
}

#[derive(Serialize)]
struct BugLine {
    name: &'static str,
    system: &'static str,
    layer: String,
    found: bool,
    seeds_to_detection: Option<u64>,
    starts: u64,
    seeds: u64,
    first_seed: Option<u64>,
    check: Option<&'static str>,
    checks: Vec<&'static str>,
    faults_needed: Option<usize>,
    acts_needed: Option<usize>,
    panics: u64,
    hangs: u64,
    excused: u64,
}

#[derive(Serialize)]
struct Summary {
    bugs: usize,
    found: usize,
    found_within_50: usize,
    budget: u64,
    median_faults: Option<usize>,
    clean_seeds: u64,
    false_alarms: u64,
    inconclusive: u64,
}

impl Zoo {
    /// Hunts, shrinks, runs the clean system, prints.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let bugs: Vec<Bugs> = match (self.bug.is_empty(), self.untuned) {
            (false, _) => self.bug.clone(),
            (_, true) => Bug::UNTUNED.iter().copied().map(Bugs::from).collect(),
            (true, false) if self.list => Bug::ALL.iter().copied().map(Bugs::from).collect(),
            (true, false) => Bug::tuned().map(Bugs::from).collect(),
        };
        if self.list {
            let listed: Vec<Bug> = bugs.iter().flat_map(|bugs| bugs.iter()).collect();
            return list(&listed, terminal);
        }
        let places = [PAGE, RATES].map(Path::new);
        if let Some(missing) =
            places.iter().filter(|_| self.write).find(|path| path.parent().is_none_or(|dir| !dir.is_dir()))
        {
            return Err(Failure::Usage(format!(
                "--write writes {} of a checkout, and here is none",
                missing.display()
            )));
        }
        let scenario = scenario::load(SCENARIO).map_err(|error| Failure::Input(Box::new(error)))?;
        let pool = Pool { jobs: self.jobs.count(), watchdog: Duration::from_secs(self.watchdog) };
        let terms = Terms { starts: self.starts, budget: self.budget, pool };
        if !terminal.json {
            terminal.line(&table::head())?;
        }
        let mut entries = Vec::new();
        for bugs in bugs {
            let bar = terminal.progress(self.budget, bugs.name());
            let hunted = hunt(&scenario, bugs, &terms, &Options::default(), || bar.inc(1));
            bar.finish_and_clear();
            let first = hunted.first.zip(hunted.strongest).filter(|_| !self.no_shrink);
            let shrunk = first.and_then(|(seed, check)| shrunk(&scenario, bugs, seed, check, pool.jobs));
            let entry = Entry { bugs, hunted, shrunk };
            terminal.line(&if terminal.json { json::line("bug", line(&entry)) } else { table::line(&entry) })?;
            entries.push(entry);
            if terminal.is_closed() {
                // The reader has gone, and a partial table proves nothing.
                return Ok(Exit::Inconclusive);
            }
        }
        let clean = self.clean(&scenario, &pool, terminal);
        let census = Census { entries, clean, budget: self.budget };
        if terminal.json {
            terminal.line(&json::line("zoo", summary(&census)))?;
        } else {
            terminal.line(&terminal.style.plain_text(&table::summary(&census)))?;
        }
        if self.write {
            self.write(&census)?;
        }
        Ok(match (census.clean.false_alarms, census.found() == census.entries.len()) {
            (1.., _) => Exit::Violation,
            (0, false) => Exit::Inconclusive,
            (0, true) => Exit::Expected,
        })
    }

    fn write(&self, census: &Census) -> Result<(), Failure> {
        let rates = serde_json::to_string_pretty(&Rates::of(census)).expect("rates are plain data") + "\n";
        if self.untuned {
            return Ok(write_whole(Path::new(UNTUNED), rates)?);
        }
        let command =
            format!("schism zoo --starts {} --budget {} --clean {} --write", self.starts, self.budget, self.clean);
        write_whole(Path::new(PAGE), table::markdown(census, &command))?;
        Ok(write_whole(Path::new(RATES), rates)?)
    }

    fn clean(&self, scenario: &Scenario, pool: &Pool, terminal: &Terminal) -> Clean {
        let mut clean = Clean::default();
        let bar = terminal.progress(self.clean, "raft without a bug");
        let scenario = scenario.clone();
        let job = move |seed| run(&scenario, System::Raft, seed, &Options::default()).map(|run| run.outcome.verdict);
        if self.clean > 0 {
            sweep(Seeds::first(self.clean), pool, job, |_, fate| {
                bar.inc(1);
                clean.seeds += 1;
                match fate {
                    Fate::Done(Ok(Verdict::Pass)) => {}
                    Fate::Done(Ok(Verdict::Inconclusive)) => clean.inconclusive += 1,
                    Fate::Done(Ok(Verdict::Violation) | Err(_)) | Fate::Panicked(_) | Fate::Hung => {
                        clean.false_alarms += 1;
                    }
                }
            });
        }
        bar.finish_and_clear();
        clean
    }
}

/// The sizes before and after shrinking.
fn shrunk(scenario: &Scenario, bugs: Bugs, seed: u64, check: CheckName, jobs: usize) -> Option<(Size, Size)> {
    let system = System::Bugged(bugs);
    let recorded = run(scenario, system, seed, &Options::default()).ok()?.recording();
    let oracle = RunOracle { system, options: Options::default() };
    let limits = Limits { jobs, simulated_ms: SHRINK_BUDGET_S * 1000 };
    let shrunk = shrink(&recorded, check.name(), &oracle, &limits).ok()?;
    Some((shrunk.before, shrunk.after))
}

fn line(entry: &Entry) -> BugLine {
    let (bugs, hunted) = (entry.bugs, &entry.hunted);
    let layers: Vec<&str> = bugs.iter().map(|bug| bug.species().layer.name()).collect();
    BugLine {
        name: bugs.name(),
        system: bugs.base().system().name(),
        layer: layers.join("+"),
        found: hunted.is_found(),
        seeds_to_detection: hunted.median(),
        starts: hunted.detections(),
        seeds: hunted.seeds(),
        first_seed: hunted.first,
        check: hunted.strongest.map(CheckName::name),
        checks: hunted.checks.keys().map(|check| check.name()).collect(),
        faults_needed: entry.shrunk.map(|(_, after)| after.faults),
        acts_needed: entry.shrunk.map(|(_, after)| after.acts),
        panics: hunted.panics,
        hangs: hunted.hangs,
        excused: hunted.excused,
    }
}

fn summary(census: &Census) -> Summary {
    Summary {
        bugs: census.entries.len(),
        found: census.found(),
        found_within_50: census.found_within(50),
        budget: census.budget,
        median_faults: census.median_faults(),
        clean_seeds: census.clean.seeds,
        false_alarms: census.clean.false_alarms,
        inconclusive: census.clean.inconclusive,
    }
}

fn list(bugs: &[Bug], terminal: &mut Terminal) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    struct Listed {
        name: &'static str,
        system: &'static str,
        layer: &'static str,
        does: &'static str,
        seen: &'static str,
        address: &'static str,
    }
    let width = bugs.iter().map(|bug| bug.name().len()).max().unwrap_or(0) + 2;
    for bug in bugs {
        let species = bug.species();
        let (seen, address) = species.seen;
        if terminal.json {
            let (name, system, layer) = (species.name, species.base.system().name(), species.layer.name());
            terminal.line(&json::line("species", Listed { name, system, layer, does: species.does, seen, address }))?;
        } else {
            let text = format!("{} Seen in {seen}.", species.does);
            let text = hang(&format!("{:width$}", species.name), &text, width);
            terminal.line(&terminal.style.plain_text(&text))?;
        }
    }
    if !terminal.json {
        terminal.line("\nschism sweep zoo --bug NAME hunts one of them, schism zoo hunts them all.")?;
    }
    Ok(Exit::Expected)
}
