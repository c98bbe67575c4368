//! Subject files: how a node of somebody's store is started, and how it is talked to.

use crate::fault::fold::Topology;
use crate::host::address::address;
use crate::scenario::{Expectation, Scenario};
use crate::trace::HostId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The version of the format.
const VERSION: u32 = 1;

/// What is run as a node, and what it speaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The version of the format: 1.
    pub version: u32,
    /// The name in outcomes.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// What to do if its programs are not there.
    pub install: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// On which node it starts as primary, if that is set at the start.
    #[serde(default)]
    pub starts_on: Start,
    /// Text for each node, joined by commas: a placeholder of the commands by this name.
    #[serde(default)]
    pub lists: BTreeMap<String, String>,
    /// The processes of a node, in the order in which they start.
    pub process: Vec<Program>,
    /// What is expected of it under a scenario, by the scenario's name.
    #[serde(default)]
    pub expect: BTreeMap<String, Expectation>,
}

/// What a store speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "speaks", rename_all = "snake_case", deny_unknown_fields)]
pub enum Protocol {
    /// etcd's version 3, through its JSON gateway.
    Etcd {
        /// Its port for clients.
        port: u16,
        /// Whether a read is answered from what the asked node has applied (`serializable`), without asking a quorum.
        #[serde(default)]
        local_reads: bool,
    },
    /// That of Redis.
    Redis {
        /// The server's port.
        port: u16,
        /// The port of the sentinel on the same node, whom clients ask for the primary; absent: clients ask the node.
        #[serde(default)]
        sentinel: Option<u16>,
    },
}

/// The node on which a store starts as primary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The first node of the first site.
    #[default]
    FirstSite,
    /// The first node of the last site.
    LastSite,
}

/// A process of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The program and its arguments, with placeholders in braces.
    pub command: Vec<String>,
    /// Further arguments on nodes that do not start as primary.
    #[serde(default)]
    pub backups: Vec<String>,
    /// How many milliseconds after the node's start it starts.
    #[serde(default)]
    pub after_ms: u64,
    /// Files in the node's data folder, by name, with placeholders; written before the first start only.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// A subject that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct SubjectError {
    /// The file's name.
    pub file: String,
    /// What is wrong with it, and what is allowed.
    pub problem: String,
}

/// The subjects that the binary carries, as (name, TOML text).
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    macro_rules! embed {
        ($($name:literal),*) => {
            &[$(($name, include_str!(concat!("../../sims/subjects/", $name, ".toml")))),*]
        };
    }
    embed!["etcd", "etcd-local-reads", "redis-sentinel", "redis-sentinel-min-replicas"]
}

/// The subject embedded under this name, or else the one in the file at this path.
///
/// # Errors
/// If there is neither, or the file cannot be used.
pub fn load(name_or_path: &str) -> Result<Subject, SubjectError> {
    if let Some((name, text)) = embedded().iter().find(|(name, _)| *name == name_or_path) {
        return Subject::parse(&format!("sims/subjects/{name}.toml"), text);
    }
    let refused = |problem: String| SubjectError { file: name_or_path.to_owned(), problem };
    if !Path::new(name_or_path).exists() {
        let names: Vec<&str> = embedded().iter().map(|(name, _)| *name).collect();
        return Err(refused(format!(
            "there is neither a subject of this name nor such a file; subjects: {}",
            names.join(", ")
        )));
    }
    let text = crate::scenario::bounds::read(Path::new(name_or_path))
        .map_err(|error| refused(format!("it cannot be read: {error}")))?;
    Subject::parse(name_or_path, &text)
}

impl Subject {
    /// Reads a subject from TOML and checks it. `file` names the text in errors.
    ///
    /// # Errors
    /// If it is no TOML, has another version, or names a placeholder that does not exist.
    pub fn parse(file: &str, text: &str) -> Result<Subject, SubjectError> {
        let refused = |problem: String| SubjectError { file: file.to_owned(), problem };
        let subject: Subject =
            toml::from_str(text).map_err(|error| refused(error.to_string().trim_end().to_owned()))?;
        if subject.version != VERSION {
            return Err(refused(format!("version {} is unknown; this build reads {VERSION}", subject.version)));
        }
        if subject.process.is_empty() || subject.process.iter().any(|program| program.command.is_empty()) {
            return Err(refused("each [[process]] needs a `command`, and there must be one".to_owned()));
        }
        let plain = |name: &String| !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..";
        if let Some(name) = subject.process.iter().flat_map(|program| program.files.keys()).find(|name| !plain(name)) {
            return Err(refused(format!("`{name}` is no name of a file in the data folder: give a plain name")));
        }
        subject.check_placeholders().map_err(refused)?;
        Ok(subject)
    }

    fn check_placeholders(&self) -> Result<(), String> {
        let mut known: Vec<&str> = Layout::PLACEHOLDERS.to_vec();
        for text in self.lists.values() {
            fill(text, &|name| known.contains(&name).then(String::new)).map_err(|name| unknown(&name, &known))?;
        }
        known.extend(self.lists.keys().map(String::as_str));
        for program in &self.process {
            for text in program.command.iter().chain(&program.backups).chain(program.files.values()) {
                fill(text, &|name| known.contains(&name).then(String::new)).map_err(|name| unknown(&name, &known))?;
            }
        }
        Ok(())
    }

    /// The scenario, with what is expected of this subject in it.
    pub fn expected_of(&self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        if let Some(expectation) = self.expect.get(&scenario.name) {
            scenario.expect.insert(self.name.clone(), expectation.clone());
        }
        scenario
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    format!("there is no placeholder {{{name}}}; there are: {}", known.join(", "))
}

/// Puts values in the place of `{names}`.
///
/// # Errors
/// The first name that has no value.
fn fill(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&value(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Where a subject's nodes are, and what they are told.
#[derive(Debug, Clone)]
pub struct Layout {
    nodes: Vec<HostId>,
    /// The node that starts as primary.
    pub first: HostId,
    heartbeat_ms: u64,
    election_ms: u64,
    takeover_ms: u64,
    data: String,
}

/// A process, ready to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How many milliseconds after the node's start it starts.
    pub after_ms: u64,
    /// Files to be in the data folder before the first start, by name.
    pub files: BTreeMap<String, String>,
    /// What it gets on standard input; it then tells events on standard output.
    pub input: Option<String>,
}

impl Layout {
    /// The names of the placeholders that every file may use.
    const PLACEHOLDERS: [&str; 8] =
        ["node", "address", "data", "first", "quorum", "heartbeat_ms", "election_ms", "takeover_ms"];

    /// The layout of a scenario, with the nodes' data folders in the folder `data`.
    pub fn of(scenario: &Scenario, topology: &Topology, starts_on: Start, data: &str) -> Layout {
        let mut sites = topology.sites.iter().filter(|site| !site.nodes.is_empty());
        let site = match starts_on {
            Start::FirstSite => sites.next(),
            Start::LastSite => sites.next_back(),
        };
        Layout {
            nodes: topology.node_ids().collect(),
            first: site.map_or(HostId(1), |site| site.nodes[0]),
            heartbeat_ms: scenario.timing.heartbeat_ms,
            election_ms: scenario.timing.election_max_ms,
            takeover_ms: scenario.takeover_ms(),
            data: data.to_owned(),
        }
    }

    /// The data folder of a node.
    pub fn folder(&self, node: HostId) -> String {
        format!("{}/{node}", self.data)
    }

    fn value(&self, node: HostId, name: &str) -> Option<String> {
        Some(match name {
            "node" => node.to_string(),
            "address" => address(node).to_string(),
            "data" => self.folder(node),
            "first" => address(self.first).to_string(),
            "quorum" => (self.nodes.len() / 2 + 1).to_string(),
            "heartbeat_ms" => self.heartbeat_ms.to_string(),
            "election_ms" => self.election_ms.to_string(),
            "takeover_ms" => self.takeover_ms.to_string(),
            _ => return None,
        })
    }

    /// The processes of a node.
    ///
    /// # Panics
    /// If the subject was not checked.
    pub fn lines(&self, subject: &Subject, node: HostId) -> Vec<Line> {
        let list = |text: &String| {
            let one = |node: &HostId| fill(text, &|name| self.value(*node, name)).expect("the subject was checked");
            self.nodes.iter().map(one).collect::<Vec<_>>().join(",")
        };
        let lists: BTreeMap<&str, String> =
            subject.lists.iter().map(|(name, text)| (name.as_str(), list(text))).collect();
        let filled = |text: &String| {
            let value = |name: &str| self.value(node, name).or_else(|| lists.get(name).cloned());
            fill(text, &value).expect("the subject was checked")
        };
        let line = |program: &Program| {
            let backups = program.backups.iter().filter(|_| node != self.first);
            Line {
                command: program.command.iter().chain(backups).map(filled).collect(),
                after_ms: program.after_ms,
                files: program.files.iter().map(|(name, text)| (name.clone(), filled(text))).collect(),
                input: None,
            }
        };
        subject.process.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    const FILE: &str = r#"
version = 1
name = "mine"
title = "a store of mine"
install = "make install"
starts_on = "last_site"
protocol = { speaks = "redis", port = 6379 }
lists = { all = "{node}={address}" }

[[process]]
command = ["store", "--me", "{node}", "--of", "{all}", "--dir", "{data}"]
backups = ["--follow", "{first}"]
files = { "store.conf" = "quorum {quorum}" }
"#;

    #[test]
    fn every_embedded_subject_can_be_used_and_is_found_by_its_name() {
        let scenarios: Vec<String> = scenario::catalogue().into_iter().map(|scenario| scenario.name).collect();
        for (name, _) in embedded() {
            let subject = load(name).expect("it is sound");
            assert_eq!(subject.name, *name);
            let strange: Vec<_> = subject.expect.keys().filter(|name| !scenarios.contains(name)).collect();
            assert!(strange.is_empty(), "{name} expects something of {strange:?}");
        }
    }

    #[test]
    fn placeholders_are_filled_for_each_node() {
        let subject = Subject::parse("mine.toml", FILE).expect("it is sound");
        let scenario = scenario::find("split-brain").expect("it is embedded");
        let layout = Layout::of(&scenario, &scenario.topology(), subject.starts_on, "/data");
        let all = "n1=10.0.0.1,n2=10.0.0.2,n3=10.0.0.3,n4=10.0.0.4,n5=10.0.0.5";
        let command = |node| layout.lines(&subject, HostId(node))[0].command.join(" ");
        assert_eq!(command(1), format!("store --me n1 --of {all} --dir /data/n1 --follow 10.0.0.4"));
        assert_eq!(command(4), format!("store --me n4 --of {all} --dir /data/n4"));
        assert_eq!(layout.lines(&subject, HostId(1))[0].files["store.conf"], "quorum 3");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let error =
            |from: &str, to: &str| Subject::parse("mine.toml", &FILE.replace(from, to)).unwrap_err().to_string();
        assert!(
            error("{node}\", \"--of", "{nude}\", \"--of")
                .starts_with("mine.toml: there is no placeholder {nude}; there are: node, ")
        );
        assert!(error("version = 1", "version = 2").contains("version 2 is unknown; this build reads 1"));
        assert!(error("store.conf", "../store.conf").contains("no name of a file in the data folder"));
        let typo = error("title =", "titel =");
        assert!(typo.contains("line 4") && typo.contains("titel"), "{typo}");
        assert!(error("\"redis\"", "\"memcached\"").contains("line 7"), "the line is named");
        let missing = load("no-such-subject").unwrap_err().to_string();
        assert!(missing.contains("subjects: etcd, "), "{missing}");
    }
}
