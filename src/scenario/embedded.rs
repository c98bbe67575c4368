//! The scenarios that the binary carries, and loading one by name or path.

use super::{Scenario, ScenarioError, bounds};
use std::path::Path;

macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../sims/", $name, ".toml")))),*]
    };
}

/// The embedded scenarios as (name, TOML text), in the order in which to teach them.
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    embed![
        "split-brain",
        "split-brain-witness",
        "minority-partition",
        "asymmetric-partition",
        "flapping-link",
        "lossy-wan",
        "leader-isolation",
        "deposed-leader",
        "five-data-centres",
        "stale-reads",
        "power-loss",
        "failover",
        "clock-drift",
        "concurrent-cas",
        "chaos",
        "zoo",
        "swarm",
        "reference",
    ]
}

/// The embedded scenarios, read: what `schism list` shows.
///
/// # Panics
/// Never in a build that passed its tests: each embedded file is read by one.
pub fn catalogue() -> Vec<Scenario> {
    embedded().iter().map(read).collect()
}

fn read((name, text): &(&str, &str)) -> Scenario {
    Scenario::parse(&format!("sims/{name}.toml"), text).expect("an embedded scenario is sound")
}

/// The scenario embedded under this name.
///
/// # Panics
/// As [`catalogue`].
pub fn find(name: &str) -> Option<Scenario> {
    embedded().iter().find(|(known, _)| *known == name).map(read)
}

/// The scenario embedded under this name, or else the one in the file at this path.
///
/// # Errors
/// If there is neither, or the file cannot be used.
pub fn load(name_or_path: &str) -> Result<Scenario, ScenarioError> {
    load_for(name_or_path, None)
}

/// As [`load`]; but expectations and recordings may name only these systems.
///
/// # Errors
/// As [`load`], and if another system is named.
pub fn load_for(name_or_path: &str, systems: Option<&[&str]>) -> Result<Scenario, ScenarioError> {
    if let Some((name, text)) = embedded().iter().find(|(name, _)| *name == name_or_path) {
        return Scenario::parse_for(&format!("sims/{name}.toml"), text, systems);
    }
    let names: Vec<&str> = embedded().iter().map(|(name, _)| *name).collect();
    if !Path::new(name_or_path).exists() {
        let problem = "there is neither a scenario of this name nor such a file".to_string();
        return Err(ScenarioError::without_text(name_or_path, problem, super::suggest::allowed(name_or_path, names)));
    }
    let text = bounds::read(Path::new(name_or_path)).map_err(|error| {
        let help = "give a file of UTF-8 text, or the name of a scenario".to_string();
        ScenarioError::without_text(name_or_path, format!("it cannot be read: {error}"), help)
    })?;
    Scenario::parse_for(name_or_path, &text, systems)
}
