//! The mirror run: the same fault schedule and the same client script drive each system in turn.
//!
//! Because nothing but the system differs, the first operation that ends differently is where the two
//! designs part, and it is reported by its id. Two kinds are told apart:
//!
//! * *availability*: one system acknowledged the operation and another did not;
//! * *safety*: the operation ended differently **and** is evidence in a safety violation of one of them.
//!   A result that merely differs proves nothing: two concurrent writes may take either order, and the
//!   systems answer after different delays. Only what a check proves wrong is reported as unsafe.

use super::{Liveness, Options, Outcome, Run, RunError, Verdict, run_while};
use crate::check::CheckName;
use crate::history::{Operation, Status};
use crate::kv::{self, Op};
use crate::scenario::{AvailabilityBound, Expectation, Safety, Scenario, materialise};
use crate::systems::System;
use crate::trace::What;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Several systems under one schedule and one script.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// One run per system, in the order asked for.
    pub runs: Vec<Run>,
    /// The lowest operation id that one system acknowledged and another did not.
    pub first_availability_difference: Option<Difference>,
    /// The lowest operation id that ended differently and that a safety violation rests on.
    pub first_safety_difference: Option<Difference>,
    /// Whether every system behaved as the scenario expects.
    pub as_expected: bool,
    /// What was not as expected, one sentence each.
    pub unexpected: Vec<String>,
    /// Why a run proves nothing, one sentence each.
    pub inconclusive: Vec<String>,
}

/// One operation that ended differently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The operation's id in the script.
    pub operation: u32,
    /// The client that ran it.
    pub client: u32,
    /// When the script planned its start, in simulated nanoseconds.
    pub planned_ns: u64,
    /// How it ended under each system, in the order of the runs.
    pub saw: Vec<Seen>,
}

/// How an operation ended under one system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The system.
    pub system: String,
    /// What was asked: a cas expects the last value its client saw, which may differ between systems.
    pub op: Op,
    /// How it ended.
    pub status: Ended,
    /// What it returned, if it was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<kv::Response>,
    /// The node that acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The three ways in which an operation can end, without details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Acknowledged.
    Ok,
    /// Definitely did not take effect.
    Fail,
    /// Unknown.
    Info,
}

/// Which host a target named by role ("the leader") was when its fault began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The fault's index in the schedule.
    pub fault: u32,
    /// The target as the schedule names it, where the fault has a single one.
    pub target: Option<String>,
    /// The host it was.
    pub host: String,
}

/// Runs every system under the same schedule and script, and compares the histories.
///
/// # Errors
/// As [`run`](super::run()), for the first system that cannot be run.
pub fn compare(scenario: &Scenario, systems: &[System], seed: u64, options: &Options) -> Result<Comparison, RunError> {
    compare_while(scenario, systems, seed, options, &|| true)
}

/// As [`compare`], as long as `is_wanted` says so: it is asked before each step of the simulator.
///
/// # Errors
/// As [`compare`]; and when the runs are not wanted any more.
pub fn compare_while(
    scenario: &Scenario,
    systems: &[System],
    seed: u64,
    options: &Options,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Comparison, RunError> {
    let mut runs: Vec<Run> = Vec::new();
    // Aimed faults would act at other times under each system: all get them where they acted under the first.
    let mut same = None;
    for system in systems {
        let run = run_while(same.as_ref().unwrap_or(scenario), *system, seed, options, is_wanted)?;
        if same.is_none() && materialise(&run.scenario, seed).schedule.faults.iter().any(|fault| fault.when.is_some()) {
            let mut given = run.scenario.materialised(system.name(), seed);
            given.explicit.as_mut().expect("it is materialised").schedule = run.plan.faults().to_vec();
            same = Some(given);
        }
        runs.push(run);
    }
    Ok(judge(scenario, runs))
}

/// Compares runs that have already been made.
pub fn judge(scenario: &Scenario, runs: Vec<Run>) -> Comparison {
    let evidence: BTreeSet<u32> = runs
        .iter()
        .flat_map(|run| &run.outcome.violations)
        .filter(|violation| is_safety(violation.check))
        .flat_map(|violation| violation.certificate.operations.iter().copied())
        .collect();
    let mut unexpected = Vec::new();
    let mut inconclusive = Vec::new();
    for run in &runs {
        unexpected.extend(unmet(scenario, &run.outcome));
        if run.outcome.verdict == Verdict::Inconclusive {
            let why = run.outcome.inconclusive.iter().map(|why| format!("{}: {why}", run.outcome.system));
            inconclusive.extend(why);
        }
    }
    Comparison {
        first_availability_difference: first(&runs, |_, statuses| {
            statuses.contains(&Ended::Ok) && statuses.iter().any(|status| *status != Ended::Ok)
        }),
        first_safety_difference: first(&runs, |operation, _| evidence.contains(&operation)),
        as_expected: unexpected.is_empty() && runs.iter().all(|run| run.outcome.verdict != Verdict::Inconclusive),
        unexpected,
        inconclusive,
        runs,
    }
}

/// Whether a check is about safety: waiting can never repair what it finds.
pub fn is_safety(check: CheckName) -> bool {
    !matches!(check, CheckName::Liveness | CheckName::Convergence)
}

/// What each role-named target of a run's faults resolved to, in the order the faults began.
pub fn resolved_targets(run: &Run) -> Vec<Resolved> {
    let faults = run.plan.faults();
    run.trace
        .events
        .iter()
        .filter_map(|event| match event.what {
            What::FaultBegin { fault, resolved: Some(host) } => Some(Resolved {
                fault,
                target: faults.get(fault as usize).and_then(|fault| fault.kind.target()).map(|t| t.0.clone()),
                host: run.trace.name(host).to_string(),
            }),
            _ => None,
        })
        .collect()
}

/// The lowest operation id that ended differently under two of the runs and that `wanted` accepts.
fn first(runs: &[Run], wanted: impl Fn(u32, &[Ended]) -> bool) -> Option<Difference> {
    let mut by_id: BTreeMap<u32, Vec<(&Run, &Operation)>> = BTreeMap::new();
    for run in runs {
        for operation in &run.history.operations {
            by_id.entry(operation.id).or_default().push((run, operation));
        }
    }
    by_id.into_iter().find_map(|(id, ends)| {
        // An operation that one run never invoked shows that the run was cut off, not that the systems differ.
        let (_, one) = ends.first().filter(|_| ends.len() == runs.len())?;
        let statuses: Vec<Ended> = ends.iter().map(|(_, operation)| Ended::of(operation)).collect();
        let same = ends.iter().all(|(_, other)| {
            Ended::of(other) == Ended::of(one) && other.outcome() == one.outcome() && other.op == one.op
        });
        (!same && wanted(id, &statuses)).then(|| Difference {
            operation: id,
            client: one.client,
            planned_ns: one.planned_ns,
            saw: ends.iter().map(|(run, operation)| Seen::new(run, operation)).collect(),
        })
    })
}

impl Ended {
    fn of(operation: &Operation) -> Ended {
        match operation.status {
            Status::Ok { .. } => Ended::Ok,
            Status::Fail => Ended::Fail,
            Status::Info => Ended::Info,
        }
    }
}

impl Seen {
    fn new(run: &Run, operation: &Operation) -> Seen {
        Seen {
            system: run.outcome.system.clone(),
            op: operation.op,
            status: Ended::of(operation),
            outcome: operation.outcome(),
            by: operation.acknowledger().map(|by| run.trace.name(by.node).to_string()),
        }
    }
}

/// Each way in which an outcome is not what its scenario expects of the system, as a sentence. A system
/// that the scenario does not mention is expected to be safe and live.
pub fn unmet(scenario: &Scenario, outcome: &Outcome) -> Vec<String> {
    let default = Expectation::default();
    let expected = scenario.expect.get(&outcome.system).unwrap_or(&default);
    let system = &outcome.system;
    let mut unmet = Vec::new();
    let broken: Vec<_> = outcome.violations.iter().filter(|violation| is_safety(violation.check)).collect();
    match expected.safety {
        Safety::Holds => unmet.extend(
            broken
                .iter()
                .take(1)
                .map(|found| format!("{system} was to stay safe, but: {}", found.certificate.sentence)),
        ),
        Safety::SplitBrain => {
            if !broken.iter().any(|found| found.check == CheckName::SplitBrain) {
                unmet.push(format!("{system} was to show a certified split-brain, but none was found"));
            }
        }
        Safety::Violated => {
            if broken.is_empty() {
                unmet.push(format!("{system} was to violate safety, but no violation was found"));
            }
        }
        Safety::MayBreak => {}
    }
    match (expected.live, outcome.liveness) {
        (Some(true) | None, Liveness::Failed) => {
            unmet.push(format!("{system} was to serve every client again after the last fault, but did not in time"));
        }
        (Some(true), Liveness::NotRequired) => {
            unmet
                .push(format!("{system} was to be live, but the faults left no quorum, so nothing was required of it"));
        }
        (Some(false), Liveness::Ok) => {
            unmet.push(format!("{system} was not to come back after the last fault, but it did"));
        }
        _ => {}
    }
    unmet.extend(expected.availability.iter().filter_map(|bound| out_of_bounds(bound, outcome)));
    unmet
}

fn out_of_bounds(bound: &AvailabilityBound, outcome: &Outcome) -> Option<String> {
    let (system, site) = (&outcome.system, &bound.site);
    let figure = |during: &str| {
        outcome
            .availability
            .iter()
            .find(|figure| figure.site == *site && figure.during == during && figure.served.offered > 0)
    };
    let Some(figure) = figure("faults") else {
        return Some(format!("{system}: no operation was offered at {site} while a fault was active"));
    };
    let (in_time, offered) = (figure.served.served_in_time, figure.served.offered);
    let share = in_time as f64 / offered as f64;
    let measured = format!("{in_time} of {offered} offered ({:.1} %)", share * 100.0);
    match (bound.at_least, bound.at_most) {
        (Some(least), _) if share < least => Some(format!(
            "{system} was to serve at least {:.1} % at {site} in time during the faults, but served {measured}",
            least * 100.0
        )),
        (_, Some(most)) if share > most => Some(format!(
            "{system} was to serve at most {:.1} % at {site} in time during the faults, but served {measured}",
            most * 100.0
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::run::{Availability, Served};

    fn both() -> (Scenario, Vec<Run>) {
        let scenario = sample::scenario();
        let runs = ["raft", "dual-primary"].map(|system| sample::run(&scenario, system, 7)).to_vec();
        (scenario, runs)
    }

    #[test]
    fn the_first_differences_are_the_lowest_ids_of_their_kind() {
        let (scenario, runs) = both();
        let comparison = judge(&scenario, runs);
        let available = comparison.first_availability_difference.unwrap();
        // The cut begins at 8 s; #215, planned at 8.020 s, is the first that only one system could serve.
        assert_eq!((available.operation, available.client), (215, 5));
        assert_eq!(available.saw[0].status, Ended::Info);
        assert_eq!((available.saw[1].status, available.saw[1].by.as_deref()), (Ended::Ok, Some("n4")));
        // The certificate rests on #264, which ended alike under both, and on #267, which did not.
        assert_eq!(comparison.first_safety_difference.unwrap().operation, 267);
        assert!(comparison.as_expected, "{:?}", comparison.unexpected);
    }

    #[test]
    fn equal_runs_do_not_differ_and_latency_is_no_difference() {
        let scenario = sample::scenario();
        let one = sample::run(&scenario, "raft", 7);
        let mut other = one.clone();
        other.history.operations.iter_mut().for_each(|operation| operation.end_ns += 1);
        let comparison = judge(&scenario, vec![one, other]);
        assert_eq!(comparison.first_availability_difference, None);
        assert_eq!(comparison.first_safety_difference, None);
    }

    #[test]
    fn a_result_that_no_check_proves_wrong_is_not_called_unsafe() {
        let scenario = sample::scenario();
        let one = sample::run(&scenario, "raft", 7);
        // Another seed makes other reads in the sample; no violation is attached to them.
        let other = sample::run(&scenario, "raft", 8);
        let comparison = judge(&scenario, vec![one, other]);
        assert_eq!(comparison.first_safety_difference, None);
    }

    #[test]
    fn each_kind_of_expectation_can_be_missed() {
        let (mut scenario, mut runs) = both();
        let missed = |scenario: &Scenario, run: &Run| unmet(scenario, &run.outcome).join("; ");
        assert_eq!(missed(&scenario, &runs[0]), "");

        scenario.expect.insert("dual-primary".into(), Expectation::default());
        assert!(missed(&scenario, &runs[1]).contains("was to stay safe, but: client 0 put"));
        scenario.expect.remove("dual-primary");
        assert!(missed(&scenario, &runs[1]).contains("was to stay safe"), "an unmentioned system is to be safe");

        let raft = scenario.expect.get_mut("raft").unwrap();
        raft.safety = Safety::Violated;
        assert!(missed(&scenario, &runs[0]).contains("was to violate safety"));
        scenario.expect.get_mut("raft").unwrap().safety = Safety::Holds;
        scenario.expect.get_mut("raft").unwrap().live = Some(false);
        assert!(missed(&scenario, &runs[0]).contains("was not to come back"));
        scenario.expect.get_mut("raft").unwrap().live = None;
        runs[0].outcome.liveness = Liveness::Failed;
        assert!(missed(&scenario, &runs[0]).contains("was to serve every client again"));
        runs[0].outcome.liveness = Liveness::Ok;

        let figure = |site: &str, served_in_time| Availability {
            site: site.into(),
            during: "faults".into(),
            from_ms: 8000,
            until_ms: 20_000,
            served: Served { offered: 200, served_in_time, late: 0, unserved: 200 - served_in_time },
        };
        runs[0].outcome.availability = vec![figure("west", 189), figure("east", 21)];
        let both = missed(&scenario, &runs[0]);
        assert!(both.contains("at least 95.0 % at west") && both.contains("at most 10.0 % at east"), "{both}");
        runs[0].outcome.availability = vec![figure("west", 190), figure("east", 20)];
        assert_eq!(missed(&scenario, &runs[0]), "");
        runs[0].outcome.availability.pop();
        assert!(missed(&scenario, &runs[0]).contains("no operation was offered at east"));
    }

    #[test]
    fn a_run_that_proves_nothing_is_not_as_expected() {
        let (scenario, mut runs) = both();
        runs[0].outcome.verdict = Verdict::Inconclusive;
        runs[0].outcome.inconclusive = vec!["too few operations".into()];
        let comparison = judge(&scenario, runs);
        assert!(!comparison.as_expected && comparison.unexpected.is_empty());
        assert_eq!(comparison.inconclusive, ["raft: too few operations"]);
    }
}
