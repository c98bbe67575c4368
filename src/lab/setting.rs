//! What the page requests to run.

use crate::fault::model::Fault;
use crate::fault::timeline::flaps;
use crate::rng::seeds::parse_seed;
use crate::scenario::{self, Scenario, Site};
use crate::systems::System;
use serde::Deserialize;

/// Limits of one question: runs that a browser's tab, or a laptop that serves a class, does in seconds.
mod limits {
    /// Simulated milliseconds.
    pub const DURATION_MS: u64 = 120_000;
    /// Operations in all.
    pub const OPERATIONS: u32 = 10_000;
    /// Nodes.
    pub const NODES: usize = 9;
    /// Clients.
    pub const CLIENTS: usize = 64;
    /// Faults.
    pub const FAULTS: usize = 200;
    /// Systems side by side.
    pub const SYSTEMS: usize = 7;
    /// Keys: every node holds all of them, and the checks go through them one by one.
    pub const KEYS: u32 = 1_000;
    /// Messages that the chaos layer acts upon by name.
    pub const ACTS: usize = 10_000;
    /// Simulated milliseconds of the longest election time-out: ten of them pass before a run is given up.
    pub const ELECTION_MS: u64 = 30_000;
    /// Times that a flapping link goes up or down.
    pub const FLAPS: u64 = 10_000;
}

/// The longest question in bytes: two settings (a fork names its origin too), each a scenario file in explicit form with
/// as many operations, acts and faults as are allowed, and a story of some length.
pub const QUESTION_BYTES: usize =
    2 * (64 * (limits::OPERATIONS as usize + limits::ACTS) + 512 * limits::FAULTS + (64 << 10));

/// How the name of an edited scenario ends.
const CHANGED: &str = "-changed";
/// The name of the page's request in errors, since it is no file.
const PAGE: &str = "the playground";

/// A scenario, a seed, and what is changed about it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The name of a scenario that is built in.
    #[serde(default)]
    scenario: Option<String>,
    /// The text of a scenario file, instead.
    #[serde(default)]
    toml: Option<String>,
    /// The seed, as text or as a number: a script's numbers end at 2^53.
    seed: Seed,
    /// Other sites than the scenario's.
    #[serde(default)]
    sites: Option<Vec<Site>>,
    /// Other faults than the scenario's, its nemesis's included.
    #[serde(default)]
    faults: Option<Vec<Fault>>,
}

/// A seed: a script's numbers end at 2^53, so text is one too.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Seed {
    /// A number.
    Number(u64),
    /// A number in one of the forms of the command line.
    Text(String),
}

impl Seed {
    /// The number.
    ///
    /// # Errors
    /// If the text is none.
    pub fn number(&self) -> Result<u64, String> {
        match self {
            Seed::Number(seed) => Ok(*seed),
            Seed::Text(text) => parse_seed(text).map_err(|error| error.to_string()),
        }
    }
}

impl Setting {
    /// The seed.
    ///
    /// # Errors
    /// If it is none.
    pub fn seed(&self) -> Result<u64, String> {
        self.seed.number()
    }

    /// Whether it is more than the name of a scenario.
    pub fn is_changed(&self) -> bool {
        self.toml.is_some() || self.sites.is_some() || self.faults.is_some()
    }

    /// The resulting scenario. If sites or faults differ from those that title, story and expectations were written
    /// for, these are not kept: the title says what is changed, and nothing is expected.
    ///
    /// # Errors
    /// If there is no such scenario, it makes no sense, or it is too large, in words for people.
    pub fn scenario(&self) -> Result<Scenario, String> {
        let names = System::names();
        let read = match (&self.scenario, &self.toml) {
            // By name only: a path here would let a browser read this machine's files.
            (Some(name), None) => {
                let known = scenario::embedded().iter().find(|(known, _)| known == name);
                let (_, text) = known.ok_or_else(|| {
                    let all: Vec<&str> = scenario::embedded().iter().map(|(name, _)| *name).collect();
                    format!("there is no scenario `{name}`: the scenarios are {}", all.join(", "))
                })?;
                Scenario::parse_for(name, text, Some(&names))
            }
            (None, Some(text)) => Scenario::parse_for(PAGE, text, Some(&names)),
            _ => return Err("give the name of a scenario, or the text of one".into()),
        };
        let mut scenario = read.map_err(|error| error.plain())?;
        if self.sites.is_some() || self.faults.is_some() {
            self.change(&mut scenario);
            scenario.check().map_err(|error| error.plain())?;
        }
        bounded(&scenario)?;
        Ok(scenario)
    }

    fn change(&self, scenario: &mut Scenario) {
        if let Some(sites) = &self.sites {
            scenario.sites.clone_from(sites);
        }
        if let Some(faults) = &self.faults {
            match &mut scenario.explicit {
                Some(explicit) => explicit.schedule.clone_from(faults),
                None => scenario.faults.clone_from(faults),
            }
            scenario.nemesis = None;
        }
        scenario.expect.clear();
        scenario.situations.clear();
        scenario.story.clear();
        let changed = match (&self.sites, &self.faults) {
            (Some(_), Some(_)) => "another cluster and other faults",
            (Some(_), None) => "another cluster",
            _ => "other faults",
        };
        let base = scenario.name.strip_suffix(CHANGED).unwrap_or(&scenario.name).to_owned();
        scenario.title = format!("{base} with {changed}");
        scenario.name = base + CHANGED;
    }
}

fn bounded(scenario: &Scenario) -> Result<(), String> {
    let nodes: usize = scenario.sites.iter().map(|site| usize::from(site.nodes)).sum();
    let clients: usize = scenario.sites.iter().map(|site| usize::from(site.clients)).sum();
    let explicit = scenario.explicit.as_ref();
    let operations = explicit.map_or(u64::from(scenario.workload.operations), |explicit| explicit.script.len() as u64);
    let schedule = explicit.map_or(&scenario.faults, |explicit| &explicit.schedule);
    let drawn = scenario.nemesis.as_ref().map_or(0, |nemesis| nemesis.faults as usize);
    let faults = explicit.map_or(scenario.faults.len() + drawn, |explicit| explicit.schedule.len());
    let acts = explicit.and_then(|explicit| explicit.acts.as_ref()).map_or(0, Vec::len);
    let sizes = [
        (scenario.timing.duration_ms / 1000, limits::DURATION_MS / 1000, "simulated seconds"),
        (operations, u64::from(limits::OPERATIONS), "operations"),
        (nodes as u64, limits::NODES as u64, "nodes"),
        (clients as u64, limits::CLIENTS as u64, "clients"),
        (faults as u64, limits::FAULTS as u64, "faults"),
        (u64::from(scenario.workload.keys), u64::from(limits::KEYS), "keys"),
        (acts as u64, limits::ACTS as u64, "acts upon messages"),
        (scenario.timing.election_max_ms / 1000, limits::ELECTION_MS / 1000, "seconds of an election time-out"),
        (flaps(schedule, scenario.timing.duration_ms), limits::FLAPS, "times that a flapping link goes up or down"),
    ];
    match sizes.iter().find(|(size, most, _)| size > most) {
        Some((size, most, what)) => Err(format!(
            "{size} {what} are more than the playground runs ({most}); save the scenario and run it on the command line"
        )),
        None => Ok(()),
    }
}

/// The systems of these names.
///
/// # Errors
/// If there are none, too many, or one that does not exist.
pub fn systems(names: &[String]) -> Result<Vec<System>, String> {
    if names.is_empty() {
        return Err("choose at least one system".into());
    }
    if names.len() > limits::SYSTEMS {
        return Err(format!("{} systems are too many at once ({})", names.len(), limits::SYSTEMS));
    }
    let known = |name: &String| {
        name.parse::<System>()
            .map_err(|_| format!("there is no system `{name}`: the systems are {}", System::names().join(", ")))
    };
    names.iter().map(known).collect()
}
