//! The stories about the systems of the testbed: their scenarios with other sites and faults, run and checked as
//! everywhere.

use super::claim::Measurement;
use super::evidence::{Table, percent};
use super::model::{Observed, Setup};
use super::world::lasting;
use crate::fault::kinds::Partition;
use crate::fault::model::{Fault, Target};
use crate::history::{Operation, Status};
use crate::run::life::Life;
use crate::run::operations;
use crate::run::{Options, Outcome, Run, RunError, run};
use crate::scenario::{Scenario, ScriptedOp, Site, find};
use crate::systems::System;
use crate::trace::{HostId, What};
use std::collections::BTreeSet;

/// The embedded scenario of this name.
pub fn scenario(name: &str) -> Scenario {
    find(name).expect("a story's scenario is embedded")
}

/// A site with nodes and clients.
pub fn site(name: &str, nodes: u16, clients: u16) -> Site {
    Site { name: name.into(), nodes, clients, witness: false }
}

/// How many of `voters` are a majority.
pub fn majority(voters: u16) -> u16 {
    voters / 2 + 1
}

/// A cut between two groups of hosts.
pub fn cut(groups: [&[&str]; 2], at_s: f64, for_s: f64) -> Fault {
    let targets = |names: &[&str]| names.iter().map(|name| Target(name.to_string())).collect();
    lasting(at_s, for_s, Partition { groups: groups.map(targets).to_vec() }.into())
}

/// How long after a cut every node has reacted to it, in maximum election time-outs.
pub const SETTLED: f64 = 3.0;
/// How long clients go on after the last fault, in seconds.
const AFTER_S: f64 = 8.0;

/// How long a client waits for an answer, in seconds.
pub fn timeout_s(scenario: &Scenario) -> f64 {
    scenario.timing.operation_timeout_ms as f64 / 1000.0
}

/// The part of a cut in which every node has reacted to it, in seconds. It ends a client's time-out before the cut
/// does, so that no operation offered in it can still be answered in time when the cut ends.
pub fn settled_s(scenario: &Scenario, cut_at_s: f64, cut_s: f64) -> (f64, f64) {
    let election_s = scenario.timing.election_max_ms as f64 / 1000.0;
    (cut_at_s + SETTLED * election_s, cut_at_s + cut_s - timeout_s(scenario))
}

/// Describes what [`settled_s`] and [`served`] measure.
pub fn settled(scenario: &Scenario, cut_at_s: f64, cut_s: f64) -> String {
    let (from_s, until_s) = settled_s(scenario, cut_at_s, cut_s);
    let timeout_s = timeout_s(scenario);
    format!(
        "a share is of the operations offered (planned) from {from_s:.1} s to {until_s:.1} s, when all have noticed the \
         cut; served in time: acknowledged within {timeout_s} s of when it was planned"
    )
}

/// Makes a scenario as long as its faults need, with as many operations a second as before.
pub fn last_until(scenario: &mut Scenario, fault_ends_s: f64) {
    let (before_ms, ms) = (scenario.timing.duration_ms, ((fault_ends_s + AFTER_S) * 1000.0) as u64);
    scenario.workload.operations = (u64::from(scenario.workload.operations) * ms / before_ms) as u32;
    scenario.timing.duration_ms = ms;
}

/// Runs a system under a scenario, for one variant of a story.
pub fn judged(
    scenario: &Scenario,
    system: System,
    setup: &Setup,
    evidence: impl Fn(&Run) -> Table,
    measure: impl Fn(&Run) -> Vec<Measurement>,
) -> Result<Observed, RunError> {
    let run = run(scenario, system, setup.seed, &Options::default())?;
    let outcome = &run.outcome;
    Ok(Observed {
        measured: measure(&run),
        evidence: vec![evidence(&run)],
        lives: lives(&run),
        trace: outcome.digest,
        simulated_s: outcome.simulated_s,
        tick_ms: outcome.tick_ms,
        hosts: outcome.hosts,
        scenario: Some(Box::new(run.recording())),
    })
}

/// The lives of the operations of the script, in order of their planned instants.
fn lives(run: &Run) -> Vec<Life> {
    let scripted: BTreeSet<_> = run.plan.load.script.iter().map(|op| op.id).collect();
    let mut operations: Vec<&Operation> =
        run.history.operations.iter().filter(|operation| scripted.contains(&operation.id)).collect();
    operations.sort_by_key(|operation| (operation.planned_ns, operation.id));
    operations::lives(run, operations)
}

/// The operations that some clients offered in a period.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// Clients of these sites.
    pub sites: &'a [&'a str],
    /// Planned at or after the first instant and before the second, in seconds.
    pub period_s: (f64, f64),
    /// Writes only, or reads only; `None`: both.
    pub writes: Option<bool>,
}

/// The percentage of the operations offered that were served in time: acknowledged within the client's time-out of the
/// planned instant. An operation that is never sent, because its client is stuck in the one before, is not served.
pub fn served(run: &Run, offered: Offered<'_>) -> f64 {
    let Offered { sites, period_s: (from_s, until_s), writes } = offered;
    let clients = run.scenario.client_sites();
    let of_site = |client: u32| {
        let site = clients.get(client as usize).map(|site| run.scenario.sites[*site].name.as_str());
        site.is_some_and(|site| sites.contains(&site))
    };
    let ns = |s: f64| (s * 1e9) as u64;
    let script = &run.plan.load.script;
    let is_offered = |op: &&ScriptedOp| {
        let is_planned = (ns(from_s)..ns(until_s)).contains(&(op.at_us * 1000));
        of_site(op.client) && is_planned && writes.is_none_or(|writes| op.op.is_write() == writes)
    };
    let offered: BTreeSet<u32> = script.iter().filter(is_offered).map(|op| op.id).collect();
    let timeout_ns = ns(timeout_s(&run.scenario));
    let is_in_time = |operation: &&Operation| {
        let is_acknowledged = matches!(operation.status, Status::Ok { .. });
        offered.contains(&operation.id) && is_acknowledged && operation.end_ns <= operation.planned_ns + timeout_ns
    };
    percent(run.history.operations.iter().filter(is_in_time).count(), offered.len())
}

/// 1 if true, 0 if not: the measurement of a claim that something happens.
pub fn yes(it_is: bool) -> f64 {
    f64::from(u8::from(it_is))
}

/// Whether a split-brain was certified.
pub fn forked(outcome: &Outcome) -> bool {
    outcome.conflicting_acks > 0
}

/// What clients of each site saw while faults began: two seconds at a time.
pub fn seen(run: &Run) -> Table {
    let sites: Vec<&str> =
        run.scenario.sites.iter().filter(|site| site.clients > 0).map(|site| site.name.as_str()).collect();
    let mut header = vec!["offered at second"];
    header.extend(&sites);
    let mut table =
        Table::new("share of the operations offered by each site's clients that were served in time", &header);
    let schedule = run.plan.faults();
    let first_s = schedule.iter().map(|fault| fault.at_ms).min().unwrap_or(8000) as f64 / 1000.0;
    for step in -2..3 {
        let from_s = first_s + 2.0 * f64::from(step);
        let share = |site: &&str| {
            let share = served(run, Offered { sites: &[site], period_s: (from_s, from_s + 2.0), writes: None });
            if share.is_nan() { "-".into() } else { format!("{share:.0} %") }
        };
        let second = format!("{from_s:.0} to {:.0}", from_s + 2.0);
        table.row([second].into_iter().chain(sites.iter().map(share)));
    }
    table
}

/// For how long each node has heard nothing, at an instant, in seconds: what its log would show, and all that it knows.
pub fn silence(run: &Run, at_s: f64) -> Table {
    let at_ns = (at_s * 1e9) as u64;
    let nodes: Vec<HostId> = run.trace.node_ids().collect();
    let mut header = vec!["heard by".to_string()];
    header.extend(nodes.iter().map(|node| format!("of {}", run.trace.name(*node))));
    let title = format!("what the servers log at {at_s:.1} s: milliseconds since the last message");
    let mut table = Table { title, header, rows: Vec::new() };
    for by in &nodes {
        let since = |of: &HostId| {
            let heard =
                run.trace.events.iter().take_while(|event| event.t_ns <= at_ns).filter(|event| event.host == *by);
            let heard = heard.filter(|event| matches!(event.what, What::Deliver { from, .. } if from == *of));
            heard.last().map_or("-".into(), |event| ((at_ns - event.t_ns) / 1_000_000).to_string())
        };
        let topology = &run.plan.world.topology;
        let site = topology.site_of(*by).map(|site| topology.sites[site].name.clone());
        let name = format!("{} ({})", run.trace.name(*by), site.unwrap_or_default());
        table.row([name].into_iter().chain(nodes.iter().map(since)));
    }
    table
}
