//! Validates a scenario. Each error says where, what, and what is allowed.

use super::suggest::allowed;
use super::{Expectation, Explicit, Scenario, Site, Swarm, bounds};
use crate::fault::generate::Nemesis;
use crate::fault::model::Fault;
use crate::fault::timeline::flaps;
use crate::fault::topology::Topology;
use crate::fault::validate::{ScheduleError, message_chaos, validate as validate_faults};
use std::collections::BTreeSet;
use std::fmt;

/// One step on the path to a value in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of the format.
    Field(&'static str),
    /// A key that the file's author chose.
    Key(String),
    /// An element of a list.
    Index(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Field(name) => f.write_str(name),
            Step::Key(name) => f.write_str(name),
            Step::Index(index) => write!(f, "{index}"),
        }
    }
}

/// An error of validation: where, what, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) path: Vec<Step>,
    pub(super) problem: String,
    pub(super) help: String,
}

type Checked = Result<(), Complaint>;

/// Simulated milliseconds in a day: no duration may be longer, so that nanoseconds never overflow.
const DAY_MS: u64 = 86_400_000;

/// Clients write values above this on their own, once the script is over.
const SCRIPT_VALUES_END: u64 = 1 << 40;

macro_rules! path {
    ($($step:expr),*) => { vec![$(Step::from($step)),*] };
}

impl From<&'static str> for Step {
    fn from(field: &'static str) -> Step {
        Step::Field(field)
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Step {
        Step::Index(index)
    }
}

impl From<String> for Step {
    fn from(key: String) -> Step {
        Step::Key(key)
    }
}

fn complain<T>(path: Vec<Step>, problem: impl Into<String>, help: impl Into<String>) -> Result<T, Complaint> {
    Err(Complaint { path, problem: problem.into(), help: help.into() })
}

/// The first error of a scenario, if any. `systems`, if given, are the only ones that may be named.
pub(super) fn validate(scenario: &Scenario, systems: Option<&[&str]>) -> Checked {
    if !is_name(&scenario.name) {
        return complain(path!["name"], format!("`{}` is no name", scenario.name), NAME);
    }
    if scenario.title.chars().count() > bounds::TITLE {
        let problem = format!("a title of {} characters", scenario.title.chars().count());
        return complain(path!["title"], problem, format!("allowed: {}; `story` may be long", bounds::TITLE));
    }
    if scenario.title.trim().is_empty() || scenario.title.contains('\n') {
        return complain(path!["title"], "the title is not one line", "write one line that says what happens");
    }
    sites(scenario)?;
    let topology = scenario.topology();
    timing(scenario)?;
    latency(scenario)?;
    workload(scenario)?;
    message_chaos(&scenario.messages)
        .or_else(|(field, problem, help)| complain(path!["messages", field], problem, help))?;
    let duration_ms = scenario.timing.duration_ms;
    faults(&scenario.faults, &topology, duration_ms)
        .or_else(|error| complain(path!["faults", error.fault, error.field], error.problem, error.help))?;
    if let Some(Err((field, problem, help))) = scenario.swarm.as_ref().map(Swarm::check) {
        return complain(path!["swarm", field], problem, help);
    }
    if scenario.snapshot_entries == Some(0) {
        return complain(path!["snapshot_entries"], "a snapshot after no entries", "allowed: 1 and more");
    }
    if scenario.disk_bytes.is_some_and(|bytes| bytes < 512) {
        return complain(path!["disk_bytes"], "a disk that holds next to nothing", "allowed: 512 and more");
    }
    if let Some(nemesis) = &scenario.nemesis {
        check_nemesis(nemesis, &topology, duration_ms)?;
    }
    for (system, expectation) in &scenario.expect {
        known_system(system, systems, || path!["expect", system.clone()])?;
        expected(system, expectation, &scenario.sites)?;
    }
    match &scenario.explicit {
        Some(recorded) => {
            known_system(&recorded.system, systems, || path!["explicit", "system"])?;
            explicit(recorded, scenario, &topology)
        }
        None => Ok(()),
    }
}

const NAME: &str = "allowed: up to 64 lower-case letters, digits and hyphens, beginning with a letter";

fn is_name(name: &str) -> bool {
    name.len() <= bounds::NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Whether a name is that of a system made of a program: any command line may be one.
fn is_program(name: &str) -> bool {
    ["nodes:", "nodes/", "maelstrom:", "maelstrom/"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether all parts of `a+b` are systems. Which of them go together is for whoever runs them to say.
fn is_combined(name: &str, systems: &[&str]) -> bool {
    name.contains('+') && name.split('+').all(|part| systems.contains(&part))
}

fn known_system(name: &str, systems: Option<&[&str]>, path: impl Fn() -> Vec<Step>) -> Checked {
    match systems {
        Some(systems) if !systems.contains(&name) && !is_program(name) && !is_combined(name, systems) => {
            complain(path(), format!("there is no system `{name}`"), allowed(name, systems.to_vec()))
        }
        _ => Ok(()),
    }
}

/// Validates a schedule: its size, and each of its faults.
fn faults(schedule: &[Fault], topology: &Topology, duration_ms: u64) -> Result<(), ScheduleError> {
    let too_much = |fault: usize, problem: String, most: u64| {
        let Fault { at_ms, kind, .. } = &schedule[fault];
        Err(ScheduleError {
            fault,
            kind: kind.name(),
            at_ms: *at_ms,
            field: "fault",
            problem,
            help: format!("allowed: {most}"),
        })
    };
    if schedule.len() > bounds::FAULTS {
        return too_much(bounds::FAULTS, format!("{} faults are too many", schedule.len()), bounds::FAULTS as u64);
    }
    let flaps = flaps(schedule, duration_ms);
    let first = schedule.iter().position(|fault| fault.kind.flaps().is_some());
    match first.filter(|_| flaps > bounds::FLAPS) {
        Some(first) => too_much(first, format!("links go up or down {flaps} times in all"), bounds::FLAPS),
        None => validate_faults(schedule, topology, duration_ms),
    }
}

/// Validates the sites.
pub(super) fn sites(scenario: &Scenario) -> Checked {
    let mut names = BTreeSet::new();
    for (index, site) in scenario.sites.iter().enumerate() {
        let at = |field| path!["sites", index, field];
        let looks_like_a_node = site.name.strip_prefix('n').is_some_and(|rest| rest.parse::<u32>().is_ok());
        if !is_name(&site.name) || looks_like_a_node || site.name == "world" {
            let help = format!("{NAME}; not `world`, and not like a node's name (`n1`)");
            return complain(at("name"), format!("`{}` is no name for a site", site.name), help);
        }
        if !names.insert(&site.name) {
            return complain(at("name"), format!("there are two sites `{}`", site.name), "give each its own name");
        }
        if site.nodes == 0 {
            return complain(at("nodes"), "a site without nodes", "allowed: 1 and more");
        }
        if site.witness && site.clients > 0 {
            return complain(at("clients"), "a witness site is nobody's home", "allowed: 0, or `witness = false`");
        }
    }
    let hosts: usize = scenario.sites.iter().map(|site| usize::from(site.nodes) + usize::from(site.clients > 0)).sum();
    if hosts >= Topology::MAX_HOSTS {
        let help = format!("allowed: {} nodes and client hosts in all", Topology::MAX_HOSTS - 1);
        return complain(path!["sites"], format!("{hosts} hosts are too many"), help);
    }
    let clients: usize = scenario.sites.iter().map(|site| usize::from(site.clients)).sum();
    if clients > bounds::CLIENTS {
        let help = format!("allowed: {} in all sites", bounds::CLIENTS);
        return complain(path!["sites"], format!("{clients} clients are too many"), help);
    }
    if !scenario.sites.iter().any(|site| site.clients > 0) {
        return complain(path!["sites"], "nobody asks anything", "give at least one site `clients = 1`");
    }
    Ok(())
}

fn timing(scenario: &Scenario) -> Checked {
    let timing = &scenario.timing;
    let at = |field| path!["timing", field];
    let durations = [
        ("tick_ms", timing.tick_ms),
        ("duration_ms", timing.duration_ms),
        ("heartbeat_ms", timing.heartbeat_ms),
        ("election_min_ms", timing.election_min_ms),
        ("election_max_ms", timing.election_max_ms),
        ("takeover_after_ms", timing.takeover_after_ms.unwrap_or(1)),
        ("attempt_timeout_ms", timing.attempt_timeout_ms),
        ("operation_timeout_ms", timing.operation_timeout_ms),
    ];
    for (field, ms) in durations {
        if !(1..=DAY_MS).contains(&ms) {
            return complain(at(field), format!("{ms} ms is out of range"), format!("allowed: 1 to {DAY_MS} (a day)"));
        }
    }
    if timing.heartbeat_ms >= timing.election_min_ms {
        let problem = format!(
            "heartbeats every {} ms, but elections already after {} ms of silence",
            timing.heartbeat_ms, timing.election_min_ms
        );
        let help = "allowed: a heartbeat below `election_min_ms`; a third of it or less is usual";
        return complain(at("heartbeat_ms"), problem, help);
    }
    if timing.election_min_ms >= timing.election_max_ms {
        let problem = format!("the longest time-out, {} ms, is not above the shortest", timing.election_max_ms);
        let help = format!("allowed: above `election_min_ms`, which is {}", timing.election_min_ms);
        return complain(at("election_max_ms"), problem, help);
    }
    if timing.attempt_timeout_ms > timing.operation_timeout_ms {
        let help = format!("allowed: up to `operation_timeout_ms`, which is {}", timing.operation_timeout_ms);
        return complain(at("attempt_timeout_ms"), "one attempt outlasts its operation", help);
    }
    Ok(())
}

fn latency(scenario: &Scenario) -> Checked {
    let latency = &scenario.latency;
    let mut all = vec![(path!["latency", "local_ms"], latency.local_ms), (path!["latency", "wan_ms"], latency.wan_ms)];
    let site_names = || scenario.sites.iter().map(|site| site.name.as_str()).collect::<Vec<_>>();
    let mut pairs = BTreeSet::new();
    for (index, between) in latency.between.iter().enumerate() {
        for (field, name) in [("a", &between.a), ("b", &between.b)] {
            if !site_names().contains(&name.as_str()) {
                let help = allowed(name, site_names());
                return complain(path!["latency", "between", index, field], format!("there is no site `{name}`"), help);
            }
        }
        if between.a == between.b {
            let help = "allowed: two sites; `local_ms` holds within each";
            return complain(path!["latency", "between", index, "b"], "a site and itself", help);
        }
        if !pairs.insert((between.a.clone().min(between.b.clone()), between.a.clone().max(between.b.clone()))) {
            let problem = format!("the latency between `{}` and `{}` is given twice", between.a, between.b);
            return complain(path!["latency", "between", index], problem, "give each pair once; it holds both ways");
        }
        all.push((path!["latency", "between", index, "ms"], between.ms));
    }
    for (at, ms) in &all {
        if !(1..=DAY_MS).contains(ms) {
            let help = format!("allowed: 1 to {DAY_MS}; a message never arrives in the step in which it was sent");
            return complain(at.clone(), format!("a latency of {ms} ms is out of range"), help);
        }
    }
    let smallest = all.iter().map(|(_, ms)| *ms).min().unwrap_or(1);
    let tick_ms = scenario.timing.tick_ms;
    if tick_ms > smallest {
        let problem = format!("a tick of {tick_ms} ms is above the smallest latency, {smallest} ms");
        let help = format!("allowed: 1 to {smallest}; else messages would arrive before they were sent");
        return complain(path!["timing", "tick_ms"], problem, help);
    }
    Ok(())
}

fn workload(scenario: &Scenario) -> Checked {
    let workload = &scenario.workload;
    let at = |field| path!["workload", field];
    for (field, count, most) in
        [("keys", workload.keys, bounds::KEYS), ("operations", workload.operations, bounds::OPERATIONS)]
    {
        if !(1..=most).contains(&count) {
            return complain(at(field), format!("{count} {field} are out of range"), format!("allowed: 1 to {most}"));
        }
    }
    let clients: u64 = scenario.sites.iter().map(|site| u64::from(site.clients)).sum();
    if clients * u64::from(workload.keys) > bounds::CLIENT_KEYS {
        let problem = format!("{} keys are too many for {clients} clients", workload.keys);
        return complain(at("keys"), problem, format!("allowed: 1 to {}", bounds::CLIENT_KEYS / clients));
    }
    if [workload.get, workload.put, workload.delete, workload.cas] == [0; 4] {
        let help = "give at least one of `get`, `put`, `delete`, `cas` a weight above 0";
        return complain(path!["workload"], "the weights of all operations are zero", help);
    }
    if workload.start_ms >= scenario.timing.duration_ms {
        let help = format!("allowed: below `timing.duration_ms`, which is {}", scenario.timing.duration_ms);
        return complain(at("start_ms"), "clients would start after the run's end", help);
    }
    Ok(())
}

fn check_nemesis(nemesis: &Nemesis, topology: &Topology, duration_ms: u64) -> Checked {
    let at = |field| path!["nemesis", field];
    if !(1..=1000).contains(&nemesis.faults) {
        let problem = format!("{} faults are out of range", nemesis.faults);
        return complain(at("faults"), problem, "allowed: 1 to 1000; leave `[nemesis]` out for none");
    }
    if nemesis.until_ms > duration_ms {
        let help = format!("allowed: up to `timing.duration_ms`, which is {duration_ms}");
        return complain(at("until_ms"), "faults would outlast the run", help);
    }
    if nemesis.min_ms == 0 || nemesis.min_ms > nemesis.max_ms {
        let help = format!("allowed: 1 to `max_ms`, which is {}", nemesis.max_ms);
        return complain(at("min_ms"), format!("a shortest fault of {} ms", nemesis.min_ms), help);
    }
    let window = nemesis.until_ms.saturating_sub(nemesis.start_ms);
    if nemesis.max_ms > window {
        let problem = format!("a fault of {} ms does not fit", nemesis.max_ms);
        return complain(at("max_ms"), problem, format!("allowed: up to `until_ms` - `start_ms`, which is {window}"));
    }
    if let Err((field, problem, help)) = nemesis.ranges.check(window) {
        return complain(path!["nemesis", "ranges", field], problem, help);
    }
    if nemesis.aimed_percent > 100 {
        return complain(
            at("aimed_percent"),
            format!("{} % of the faults", nemesis.aimed_percent),
            "allowed: 0 to 100",
        );
    }
    let possible = Nemesis::possible_kinds(topology);
    for (index, kind) in nemesis.kinds.iter().enumerate() {
        if !possible.contains(&kind.as_str()) {
            let problem = format!("no fault `{kind}` can be generated here");
            return complain(path!["nemesis", "kinds", index], problem, allowed(kind, possible));
        }
    }
    if possible.is_empty() {
        return complain(path!["nemesis"], "one node alone has no links to break", "leave `[nemesis]` out");
    }
    Ok(())
}

fn expected(system: &str, expectation: &Expectation, sites: &[Site]) -> Checked {
    for (index, bound) in expectation.availability.iter().enumerate() {
        let at = |field: &'static str| path!["expect", system.to_string(), "availability", index, field];
        let homes: Vec<&str> = sites.iter().filter(|site| site.clients > 0).map(|site| site.name.as_str()).collect();
        if !homes.contains(&bound.site.as_str()) {
            let problem = format!("there is no site `{}` with clients", bound.site);
            return complain(at("site"), problem, allowed(&bound.site, homes));
        }
        for (field, share) in [("at_least", bound.at_least), ("at_most", bound.at_most)] {
            if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
                return complain(at(field), "it is no share", "allowed: 0.0 to 1.0");
            }
        }
        match (bound.at_least, bound.at_most) {
            (None, None) => return complain(at("site"), "it bounds nothing", "give `at_least`, `at_most` or both"),
            (Some(least), Some(most)) if least > most => {
                let help = format!("allowed: {least} (`at_least`) to 1.0");
                return complain(at("at_most"), "no share is that high and that low", help);
            }
            _ => {}
        }
    }
    Ok(())
}

fn explicit(explicit: &Explicit, scenario: &Scenario, topology: &Topology) -> Checked {
    let duration_ms = scenario.timing.duration_ms;
    faults(&explicit.schedule, topology, duration_ms).or_else(|error| {
        complain(path!["explicit", "schedule", error.fault, error.field], error.problem, error.help)
    })?;
    let sizes = [
        ("script", explicit.script.len(), bounds::OPERATIONS as usize),
        ("acts", explicit.acts.as_ref().map_or(0, Vec::len), bounds::ACTS),
    ];
    for (field, size, most) in sizes {
        if size > most {
            return complain(path!["explicit", field], format!("{size} rows are too many"), format!("allowed: {most}"));
        }
    }
    let clients = scenario.client_sites().len();
    let mut written = BTreeSet::new();
    let mut last = None;
    for (index, op) in explicit.script.iter().enumerate() {
        let at = || path!["explicit", "script", index];
        if op.client as usize >= clients {
            let problem = format!("there is no client {}", op.client);
            return complain(at(), problem, format!("allowed: 0 to {}", clients - 1));
        }
        if op.at_us >= duration_ms * 1000 {
            let help = format!("allowed: below {} microseconds", duration_ms * 1000);
            return complain(at(), "it is planned after the run's end", help);
        }
        if last.is_some_and(|(id, at_us)| op.id <= id || op.at_us < at_us) {
            return complain(at(), "it is out of order", "allowed: ascending ids with ascending times");
        }
        last = Some((op.id, op.at_us));
        if let Some(value) = op.op.written().filter(|value| !(1..SCRIPT_VALUES_END).contains(value)) {
            let help = format!("allowed: 1 to {}; larger ones are kept for probes", SCRIPT_VALUES_END - 1);
            return complain(at(), format!("the value {value} is out of range"), help);
        }
        if let Some(value) = op.op.written().filter(|value| !written.insert(*value)) {
            let help = "write each value once: that is how a read tells which write it saw";
            return complain(at(), format!("the value {value} is written twice"), help);
        }
    }
    let verdicts = ["pass", "violation", "inconclusive"];
    let verdict = explicit.verdict.verdict.as_str();
    if !verdicts.contains(&verdict) {
        let help = allowed(verdict, verdicts.to_vec());
        return complain(path!["explicit", "verdict", "verdict"], format!("`{verdict}` is no verdict"), help);
    }
    Ok(())
}
