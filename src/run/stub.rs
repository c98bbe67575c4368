//! STUB, dropped when `run` is merged.
use super::Run;
use crate::scenario::Scenario;
use crate::systems::System;

/// Options of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Budget of the search checker, in steps.
    pub check_steps: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { check_steps: 1_000_000 }
    }
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);

/// STUB.
///
/// # Errors
/// Never.
pub fn run(scenario: &Scenario, system: System, seed: u64, _options: &Options) -> Result<Run, RunError> {
    if seed == 666 {
        panic!("seed 666");
    }
    if seed == 667 {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    Ok(crate::report::sample::run(scenario, system.name(), seed))
}
