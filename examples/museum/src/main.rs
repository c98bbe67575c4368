//! Replays an exhibit of the museum on the releases of this crate's lock file.

use schism::museum::{Cure, Exhibit};
use schism::report::{Style, outcome};
use schism::rng::seeds::Seeds;
use schism::run::{Options, Outcome, Run, RunError, run};
use schism::scenario;
use schism::sweep::{Fate, Pool, sweep};
use schism::systems::System;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: museum show FILE            replay an exhibit: 1 if a check fails, else 0
       museum cure FILE            the same on the system that the exhibit names as the cure
       museum hunt SCENARIO SYSTEM SEEDS   list the seeds that fail";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["show", file] => {
            let exhibit = read(file)?;
            let system = exhibit.recorded().system.parse()?;
            Ok(shown(&exhibit, system)?)
        }
        ["cure", file] => {
            let exhibit = read(file)?;
            match &exhibit.label.cure {
                Cure::System(system) => Ok(shown(&exhibit, system.parse()?)?),
                Cure::Release(release) => Err(format!("{file}: its cure is release {release}, no system").into()),
            }
        }
        ["hunt", scenario, system, seeds] => hunt(scenario, system.parse()?, seeds.parse()?),
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(64))
        }
    }
}

fn read(file: &str) -> Result<Exhibit, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(Exhibit::parse(file, &text).map_err(|error| error.plain())?)
}

/// Replays an exhibit on a system, and prints what its checks say.
fn shown(exhibit: &Exhibit, system: System) -> Result<ExitCode, RunError> {
    let Run { outcome: found, .. } = run(&exhibit.scenario, system, exhibit.recorded().seed, &Options::default())?;
    print!("{}", outcome::outcome(&found, Style::PLAIN));
    Ok(if found.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Runs many seeds, and prints each that fails.
fn hunt(scenario: &str, system: System, seeds: Seeds) -> Result<ExitCode, Box<dyn Error>> {
    let scenario = scenario::load(scenario)?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = Pool { jobs, watchdog: Duration::from_secs(120) };
    let job = move |seed| run(&scenario, system, seed, &Options::default()).map(|run| run.outcome);
    let mut red = Vec::new();
    sweep(seeds, &pool, job, |seed, fate| {
        let said = match fate {
            Fate::Done(Ok(outcome)) if outcome.violations.is_empty() => return,
            Fate::Done(Ok(outcome)) => certificates(&outcome),
            Fate::Done(Err(error)) => error.to_string(),
            Fate::Panicked(said) => said,
            Fate::Hung => "no answer after two minutes".into(),
        };
        println!("seed {seed}: {said}");
        red.push(seed);
    });
    println!("{} seeds fail: {red:?}", red.len());
    Ok(if red.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn certificates(outcome: &Outcome) -> String {
    let violations = outcome.violations.iter();
    violations.map(|found| format!("{}: {}", found.check.name(), found.certificate.sentence)).collect::<Vec<_>>().join("; ")
}
