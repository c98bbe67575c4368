//! What an exhibit's label says.

use crate::scenario::Explicit;
use serde::{Deserialize, Serialize};

/// The table `[exhibit]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The crate on the registry that has the bug.
    pub engine: String,
    /// The last published release that has it.
    pub bad: String,
    /// What the same schedule is green with.
    pub cure: Cure,
    /// Where it was reported or mended upstream.
    pub reports: Vec<Report>,
    /// How the testbed found it.
    pub found: Found,
    /// What the run says of the release with the bug: the certificate of its first violation.
    pub certificate: String,
    /// The shrunk run against the source, step by step.
    pub steps: Vec<Step>,
}

/// What takes the bug away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cure {
    /// The first published release without it.
    Release(String),
    /// No release: what a user of the crate can do, as this system does.
    System(String),
}

/// A report or a change upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Its short name: `openraft #1802`.
    pub name: String,
    /// Its address.
    pub address: String,
}

/// How the testbed found it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The scenario that was swept.
    pub scenario: String,
    /// The seeds that were run, from 0.
    pub seeds: u64,
    /// Those of them that showed it.
    pub red: Vec<u64>,
    /// How the schedule came about, if it is no seed's of a scenario, and how upstream found it, if that is published.
    #[serde(default)]
    pub remark: String,
}

/// A step of the run, and the source that takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What happens.
    pub what: String,
    /// Where in the crate's published source: `src/progress/mod.rs:309`. Empty: the network's or the testbed's doing.
    #[serde(default)]
    pub at: String,
}

impl Label {
    /// Checks what can be checked without the crate: (problem, what is allowed).
    pub(super) fn check(&self, recorded: &Explicit) -> Result<(), (String, String)> {
        let wrong = |problem: String, help: &str| Err((problem, help.to_string()));
        if recorded.verdict.checks.is_empty() {
            return wrong("the recorded run has no violation".into(), "record one that the bug breaks");
        }
        let numbered =
            |release: &str| release.split(['.', '-']).filter_map(|part| part.parse::<u64>().ok()).count() >= 3;
        let releases = [
            Some(&self.bad),
            match &self.cure {
                Cure::Release(release) => Some(release),
                Cure::System(_) => None,
            },
        ];
        if let Some(release) = releases.into_iter().flatten().find(|release| !numbered(release)) {
            return wrong(format!("`{release}` is no release"), "write a whole version, such as \"0.9.24\"");
        }
        if let Cure::System(system) = &self.cure
            && (*system == recorded.system || system.parse::<crate::systems::System>().is_err())
        {
            return wrong(format!("`{system}` cures nothing"), "name a system other than the recorded one");
        }
        let secure = |report: &Report| report.address.starts_with("https://");
        if self.reports.is_empty() || !self.reports.iter().all(secure) {
            return wrong(
                "it is not said where upstream knows it".into(),
                "name reports with their https:// addresses",
            );
        }
        let is_place = |at: &str| {
            at.rsplit_once(':').is_some_and(|(file, line)| {
                file.ends_with(".rs")
                    && line.split('-').all(|number| number.parse::<u32>().is_ok_and(|number| number > 0))
            })
        };
        if let Some(step) = self.steps.iter().find(|step| !step.at.is_empty() && !is_place(&step.at)) {
            return wrong(format!("`{}` is no place in a source", step.at), "write file and line: src/raft.rs:943");
        }
        if !self.steps.iter().any(|step| !step.at.is_empty()) {
            return wrong("no step names the source".into(), "give one of `steps` the file and line that are at fault");
        }
        match self.found.red.iter().any(|seed| *seed >= self.found.seeds) {
            true => wrong("a seed that was not run cannot have shown it".into(), "list seeds below `seeds`"),
            false => Ok(()),
        }
    }
}
