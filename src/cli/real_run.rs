//! Runs on real processes for the commands, and this program in the roles that such a run gives it.

use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use schism::real::{self, Real, Roles, What};
use schism::run::Options;
use schism::scenario::Scenario;
use std::path::Path;

/// The hidden commands that serve as the conductor, and as a node of our own systems.
const CONDUCTOR: &str = "real-conductor";
const NODE: &str = "real-node";

/// Serves as the conductor of a run.
pub fn conductor() -> Result<Exit, Failure> {
    real::conductor::serve()?;
    Ok(Exit::Expected)
}

/// Serves as a node of one of our own systems.
pub fn node() -> Result<Exit, Failure> {
    real::own::serve()?;
    Ok(Exit::Expected)
}

/// This program in its other roles.
pub fn roles(program: &Path) -> Roles<'_> {
    Roles { program, conductor: CONDUCTOR, node: NODE }
}

/// The subject or the system of this name.
pub fn named(name: &str) -> Result<What, Failure> {
    What::named(name).map_err(Failure::input)
}

/// Makes a run, which takes as long as the scenario lasts.
pub fn make(
    options: &Options,
    scenario: &Scenario,
    what: &What,
    seed: u64,
    terminal: &Terminal,
) -> Result<Real, Failure> {
    let program = std::env::current_exe()?;
    let bar =
        terminal.progress(None, &format!("{}: {} s in real time", what.name(), scenario.timing.duration_ms / 1000));
    bar.enable_steady_tick(std::time::Duration::from_millis(500));
    let made = real::run(scenario, what, seed, options, roles(&program));
    bar.finish_and_clear();
    made.map_err(|error| Failure::Harness(error.to_string()))
}
