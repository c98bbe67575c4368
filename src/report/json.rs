//! JSON lines: one object a line, each with `"schema":1` and a `kind`, the summary last.

use crate::run::compare::{Resolved, resolved_targets};
use crate::run::{Comparison, Difference, Outcome};
use crate::scenario::Scenario;
use crate::trace::digest::Digest;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the output format.
pub const SCHEMA: u32 = 1;

/// One line: the fields of `content` under a kind and the schema version.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    schema: u32,
    kind: &'a str,
    #[serde(flatten)]
    content: T,
}

/// One object as a line of JSON, without its newline. `content` must serialize as a map.
pub fn line<T: Serialize>(kind: &str, content: T) -> String {
    // A map with string keys and plain numbers cannot fail to serialize.
    serde_json::to_string(&Line { schema: SCHEMA, kind, content }).expect("output types serialize as JSON")
}

/// The line of one run.
pub fn outcome(outcome: &Outcome) -> String {
    line("outcome", outcome)
}

#[derive(Serialize)]
struct ComparisonLine<'a, T> {
    scenario: &'a str,
    seed: u64,
    schedule_digest: Digest,
    script_digest: Digest,
    as_expected: bool,
    unexpected: &'a [String],
    inconclusive: &'a [String],
    first_availability_difference: &'a Option<Difference>,
    first_safety_difference: &'a Option<Difference>,
    targets: BTreeMap<&'a str, Vec<Resolved>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<T>,
}

/// The lines of a comparison: every outcome, then the comparison itself, with the `claims` of the story if it tells one.
pub fn comparison<T: Serialize>(comparison: &Comparison, claims: Option<T>) -> Vec<String> {
    let mut lines: Vec<String> = comparison.runs.iter().map(|run| outcome(&run.outcome)).collect();
    let Some(run) = comparison.runs.first() else { return lines };
    lines.push(line(
        "comparison",
        ComparisonLine {
            scenario: &run.outcome.scenario,
            seed: run.outcome.seed,
            schedule_digest: run.outcome.schedule_digest,
            script_digest: run.outcome.script_digest,
            as_expected: comparison.as_expected,
            unexpected: &comparison.unexpected,
            inconclusive: &comparison.inconclusive,
            first_availability_difference: &comparison.first_availability_difference,
            first_safety_difference: &comparison.first_safety_difference,
            targets: comparison.runs.iter().map(|run| (run.outcome.system.as_str(), resolved_targets(run))).collect(),
            claims,
        },
    ));
    lines
}

#[derive(Serialize)]
struct ScenarioLine<'a> {
    name: &'a str,
    title: &'a str,
    story: &'a str,
    sites: &'a [crate::scenario::Site],
    duration_ms: u64,
    operations: u32,
    expect: &'a BTreeMap<String, crate::scenario::Expectation>,
}

/// The line of one scenario in a list.
pub fn scenario(scenario: &Scenario) -> String {
    line(
        "scenario",
        ScenarioLine {
            name: &scenario.name,
            title: &scenario.title,
            story: &scenario.story,
            sites: &scenario.sites,
            duration_ms: scenario.timing.duration_ms,
            operations: scenario.workload.operations,
            expect: &scenario.expect,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::run::compare::judge;
    use serde_json::Value;

    #[test]
    fn an_outcome_has_every_promised_field_and_reads_back() {
        let run = sample::run(&sample::scenario(), "dual-primary", 7);
        let text = outcome(&run.outcome);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value["schema"].as_u64(), value["kind"].as_str()), (Some(1), Some("outcome")));
        let fields = "scenario system seed verdict violations liveness converged digest schedule_digest script_digest \
                      acked failed unknown lost_acked_writes conflicting_acks linearizable leader_changes \
                      acting_primaries_overlap_s acks_by_node availability recovered_ms simulated_s tick_ms nodes hosts";
        for field in fields.split_whitespace() {
            assert!(value.get(field).is_some(), "{field} in {text}");
        }
        assert_eq!(value["violations"][0]["check"], "split_brain");
        assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), run.outcome);
    }

    #[test]
    fn a_comparison_ends_with_its_summary() {
        let scenario = sample::scenario();
        let runs = ["raft", "dual-primary"].map(|system| sample::run(&scenario, system, 7)).to_vec();
        let lines = comparison(&judge(&scenario, runs), None::<()>);
        assert_eq!(lines.len(), 3);
        let last: Value = serde_json::from_str(&lines[2]).unwrap();
        assert_eq!(last["kind"], "comparison");
        assert_eq!(last["first_safety_difference"]["operation"], 267);
        let fields = "scenario seed schedule_digest script_digest as_expected first_availability_difference targets";
        for field in fields.split_whitespace() {
            assert!(last.get(field).is_some(), "{field}");
        }
    }
}
