//! The museum: bugs that nobody planted, in releases of engines that anybody can download.
//!
//! An exhibit is one file in `sims/museum/`: a recorded run, as a shrunk failure is kept, with a table `[exhibit]` that
//! says which release of which crate fails under it and which does not, who reported it upstream, and step by step which
//! lines of the published source do it. `examples/museum/run` builds the releases and shows one red and the other green.
//! The engine of this build is not one with the bug, so that here the same file passes.

mod label;

pub use label::{Cure, Found, Label, Report, Step};

use crate::scenario::{Document, Explicit, Scenario, ScenarioError};
use toml::de::DeTable;

macro_rules! exhibits {
    ($($name:literal),* $(,)?) => {
        /// The files of `sims/museum/`, by name, in the order in which to walk past them.
        const EXHIBITS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../sims/museum/", $name, ".toml")))),*];
    };
}

exhibits![
    "commit-without-quorum",
    "replication-panics",
    "vote-seen-is-vote-granted",
    "orphaned-replication",
    "read-after-restart",
    "removed-leader",
    "only-voter",
    "removed-leader-is-needed",
    "follower-behind-purged-log",
    "decided-index-goes-back",
    "restored-leader",
];

/// A bug of a published release, and the run that shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exhibit {
    /// The run, in explicit form. Its story is what the bug does.
    pub scenario: Scenario,
    /// Which releases, whose report, which lines.
    pub label: Label,
}

impl Exhibit {
    /// Reads an exhibit and checks it. `file` names the text in errors.
    ///
    /// # Errors
    /// If it is no recorded run, has no `[exhibit]`, or makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Exhibit, ScenarioError> {
        let scenario = Scenario::parse(file, text)?;
        let document = Document { file, text };
        let root = DeTable::parse(text).expect("it was just read").into_inner();
        let Some(table) = root.get("exhibit") else {
            return Err(document.error(
                0..0,
                "the table `exhibit` is missing",
                "write `[exhibit]`, as sims/museum does",
            ));
        };
        let label: Label = document.value(table)?;
        let Some(explicit) = &scenario.explicit else {
            let help = "save a run with `schism run --save`, or shrink one";
            return Err(document.error(0..0, "an exhibit is a recorded run, and this file has none", help));
        };
        label.check(explicit).map_err(|(problem, help)| document.error(table.span(), problem, help))?;
        Ok(Exhibit { scenario, label })
    }

    /// The name on the command line.
    pub fn name(&self) -> &str {
        &self.scenario.name
    }

    /// What was recorded: seed, system, schedule, and which checks failed.
    ///
    /// # Panics
    /// Never: [`parse`](Exhibit::parse) refuses a file without.
    pub fn recorded(&self) -> &Explicit {
        self.scenario.explicit.as_ref().expect("an exhibit is a recorded run")
    }
}

/// The exhibits, in order.
///
/// # Panics
/// Never in a build that passed its tests: each file is read by one.
pub fn exhibits() -> Vec<Exhibit> {
    EXHIBITS.iter().map(read).collect()
}

/// The exhibit of this name.
///
/// # Panics
/// As [`exhibits`].
pub fn exhibit(name: &str) -> Option<Exhibit> {
    EXHIBITS.iter().find(|(known, _)| *known == name).map(read)
}

/// The names of all exhibits.
pub fn names() -> Vec<&'static str> {
    EXHIBITS.iter().map(|(name, _)| *name).collect()
}

fn read((name, text): &(&str, &str)) -> Exhibit {
    let exhibit = Exhibit::parse(&format!("sims/museum/{name}.toml"), text).expect("an exhibit is sound");
    assert_eq!(exhibit.name(), *name, "an exhibit has the name of its file");
    exhibit
}
