//! Replays an exhibit of the museum on the releases of this crate's lock file.

use schism::museum::{Cure, Exhibit};
use schism::report::recording::save_scenario;
use schism::report::{Style, event, outcome};
use schism::rng::seeds::Seeds;
use schism::run::{Options, Outcome, Run, RunError, run};
use schism::scenario::{self, Scenario};
use schism::shrink::{Limits, RunOracle, shrink};
use schism::sweep::{Fate, Pool, sweep};
use schism::systems::System;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: museum show FILE            replay an exhibit: 0 if no check fails, 1 if those of the exhibit do, 2 if others do
       museum cure FILE            the same on the system that the exhibit names as the cure
       museum events FILE FROM TO  print what happened, from a second of the run to another
       museum hunt SCENARIO SYSTEM SEEDS   list the seeds that fail
       museum shrink SCENARIO SYSTEM SEED CHECK OUT   write the smallest run that still fails that check";

/// What could not be done at all.
const HARNESS: u8 = 70;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    told(&arguments).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(HARNESS)
    })
}

fn told(arguments: &[String]) -> Result<ExitCode, Box<dyn Error>> {
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
        ["events", file, from, to] => events(&scenario::load(file)?, from.parse()?, to.parse()?),
        ["shrink", scenario, system, seed, check, out] => {
            smallest(&scenario::load(scenario)?, system.parse()?, seed.parse()?, check, Path::new(out))
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
    let recorded = exhibit.recorded();
    let Run { outcome: found, .. } = run(&exhibit.scenario, system, recorded.seed, &Options::default())?;
    print!("{}", outcome::outcome(&found, Style::PLAIN));
    let failed = found.failed_checks();
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else if failed == recorded.verdict.checks {
        ExitCode::from(1)
    } else {
        println!("the exhibit has other checks fail: {}", recorded.verdict.checks.join(", "));
        ExitCode::from(2)
    })
}

/// Runs many seeds, and prints each that fails.
fn hunt(scenario: &str, system: System, seeds: Seeds) -> Result<ExitCode, Box<dyn Error>> {
    let scenario = scenario::load(scenario)?;
    let pool = Pool { jobs: jobs(), watchdog: Duration::from_secs(120) };
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

/// Prints the events of a recorded run, for those who tell it against the source.
fn events(recorded: &Scenario, from_s: f64, to_s: f64) -> Result<ExitCode, Box<dyn Error>> {
    let explicit = recorded.explicit.as_ref().ok_or("it carries no recorded run")?;
    let Run { trace, .. } = run(recorded, explicit.system.parse()?, explicit.seed, &Options::default())?;
    let shown = from_s * 1e9..to_s * 1e9;
    for found in trace.events.iter().filter(|found| shown.contains(&(found.t_ns as f64))) {
        println!("{}", event::event(&trace, found));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shrinks a failing run, which is how an exhibit begins.
fn smallest(
    scenario: &Scenario,
    system: System,
    seed: u64,
    check: &str,
    out: &Path,
) -> Result<ExitCode, Box<dyn Error>> {
    let oracle = RunOracle { system, options: Options::default() };
    let recorded =
        if scenario.explicit.is_some() { scenario.clone() } else { scenario.materialised(system.name(), seed) };
    let limits = Limits { jobs: jobs(), simulated_ms: 4_000_000 };
    let shrunk = shrink(&recorded, check, &oracle, &limits)?;
    for needed in &shrunk.necessity {
        println!("without {}: {}", needed.what, needed.without);
    }
    println!("{:?}\n{}", shrunk.after, shrunk.sentence.unwrap_or_default());
    save_scenario(&shrunk.scenario, out)?;
    Ok(ExitCode::SUCCESS)
}

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn certificates(outcome: &Outcome) -> String {
    let violations = outcome.violations.iter();
    violations
        .map(|found| format!("{}: {}", found.check.name(), found.certificate.sentence))
        .collect::<Vec<_>>()
        .join("; ")
}
