//! How many puts a second a store of three nodes acknowledges, and how soon: the same clients, one after the other over
//! the same network, data on the same disk. Nothing is broken and no latency is added; packets go through the router as ever.

use super::conductor::{Job, Order, What};
use super::error::RealError;
pub use super::load::{Load, Round};
use super::start::{Roles, conduct, explained};
use std::path::Path;

/// Three nodes and the host of all clients, as a scenario without an end that matters and without faults.
pub const SCENARIO: &str = r#"
version = 1
name = "bench"
title = "Three nodes, puts as fast as they are answered"
[[sites]]
name = "here"
nodes = 3
clients = 1
[timing]
duration_ms = 10000
heartbeat_ms = 100
election_min_ms = 1000
election_max_ms = 2000
attempt_timeout_ms = 5000
operation_timeout_ms = 5000
[workload]
operations = 10
start_ms = 500
keys = 1
"#;

/// Starts a store of three nodes, and measures it once.
///
/// # Errors
/// See [`RealError`].
pub fn bench(what: &What, load: &Load, roles: Roles<'_>) -> Result<Round, RealError> {
    let job = Job { scenario: SCENARIO.to_owned(), seed: 0, what: what.clone(), node: roles.node.to_owned() };
    conduct(&Order::Bench(Box::new(job), load.clone()), roles).map_err(|error| explained(error, what))
}

/// Empties a folder for a round: makes it anew.
///
/// # Errors
/// When it cannot be removed or made.
pub fn fresh(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan;
    use crate::scenario::Scenario;

    #[test]
    fn the_bench_is_a_scenario_without_faults() {
        let scenario = Scenario::parse("the bench", SCENARIO).expect("it is sound");
        assert!(plan(&scenario, 0).world.schedule.faults.is_empty());
        assert_eq!(scenario.topology().nodes, 3);
    }
}
