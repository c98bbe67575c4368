//! What the design promises, under real runs.

use crate::check::CheckName;
use crate::run::{Options, Run, Verdict, run};
use crate::scenario::{Scenario, Situation, load};
use crate::systems::System;
use crate::systems::bugs::{Bug, Ground, Transplant};
use crate::trace::{MessageKind, Role, What};
use std::collections::BTreeSet;

const ENGINES: [System; 2] = [System::RaftRs, System::OmniPaxos];

fn ran(scenario: &str, system: System, seed: u64) -> Run {
    run(&load(scenario).expect("it is embedded"), system, seed, &Options::default()).expect("it runs")
}

#[test]
fn a_cut_and_a_death_lose_nothing_and_a_run_replays() {
    for system in ENGINES {
        for scenario in ["split-brain", "failover", "power-loss"] {
            let outcome = ran(scenario, system, 3).outcome;
            assert_eq!(outcome.verdict, Verdict::Pass, "{scenario} under {system}: {:?}", outcome.violations);
            assert!(outcome.acked > 0 && outcome.converged, "{scenario} under {system}");
        }
        let digests: BTreeSet<_> = (0..2).map(|_| ran("failover", system, 5).outcome.digest.to_string()).collect();
        assert_eq!(digests.len(), 1, "{system}");
    }
}

#[test]
fn raft_rs_records_all_that_rafts_checks_read() {
    let run = ran("chaos", System::RaftRs, 1);
    assert_eq!(run.outcome.failed_checks(), Vec::<String>::new());
    assert_eq!(run.outcome.inapplicable, []);
    let has = |wanted: fn(&What) -> bool| run.trace.events.iter().any(|event| wanted(&event.what));
    assert!(has(|what| matches!(what, What::Vote { committed: true, .. })));
    assert!(has(|what| matches!(what, What::Role { role: Role::Primary, .. })));
    assert!(has(|what| matches!(what, What::Append { at, .. } if at.leader.0 > 0)), "entries have their leaders");
    assert!(!has(|what| matches!(what, What::Append { at, .. } if at.leader.0 == 0)), "all of them");
    assert!(has(|what| matches!(what, What::Commit { .. })) && has(|what| matches!(what, What::Members { .. })));
    assert!(has(|what| matches!(what, What::SnapshotBuilt { payload: Some(_), .. })));
    assert!(has(|what| matches!(what, What::Send { class: MessageKind::Heartbeat, .. })));
}

#[test]
fn of_omnipaxos_the_checks_that_need_rafts_log_say_that_they_do_not_apply() {
    let run = ran("failover", System::OmniPaxos, 1);
    assert!(run.outcome.inapplicable.contains(&CheckName::LogMatching));
    assert!(!run.outcome.inapplicable.contains(&CheckName::Linearizability));
    let has = |wanted: fn(&What) -> bool| run.trace.events.iter().any(|event| wanted(&event.what));
    assert!(has(|what| matches!(what, What::ApplyEntry { .. })) && has(|what| matches!(what, What::Vote { .. })));
}

#[test]
fn a_leader_that_answers_reads_by_belief_is_caught_and_the_sound_one_is_not() {
    let checks = |system, seed| ran("clock-drift", system, seed).outcome.failed_checks();
    let believing = Transplant::of(Bug::ReadWithoutReadIndex, Ground::RaftRs).map(System::Transplanted).unwrap();
    let seed = (0..20).find(|seed| !checks(believing, *seed).is_empty());
    let seed = seed.expect("a leader whose clock is slow answers reads after its time, under one of twenty seeds");
    assert_eq!(checks(System::RaftRs, seed), Vec::<String>::new());
}

/// A node is brought back when the latest snapshot is from the time without it, and then nothing more is written.
#[test]
fn a_node_that_joins_raft_rs_gets_a_snapshot_that_it_is_in() {
    let run = ran("zoo", System::RaftRs, 111);
    assert_eq!(run.outcome.failed_checks(), Vec::<String>::new());
    assert!(run.outcome.situations.contains_key(&Situation::MembersChanged), "{:?}", run.outcome.situations);
}

/// Members leave while their leader is cut off.
const REMOVED: &str = r#"
version = 1
name = "removed"
title = "Members leave while their leader is cut off"
[[sites]]
name = "here"
nodes = 5
clients = 2
[latency]
local_ms = 5
wan_ms = 10
[timing]
tick_ms = 5
duration_ms = 8000
heartbeat_ms = 100
election_min_ms = 300
election_max_ms = 600
attempt_timeout_ms = 500
operation_timeout_ms = 2000
[workload]
operations = 200
start_ms = 0
keys = 3
[messages]
jitter_ms = 3
[[faults]]
fault = "membership"
at_ms = 1000
for_ms = 2000
voters = ["n1","n2","n3"]
[[faults]]
fault = "isolate"
target = "@leader"
at_ms = 1015
for_ms = 1500
"#;

/// With this seed the removed leader's last follower is removed too, and knows of no other leader.
#[test]
fn a_removed_node_sends_nobody_to_a_removed_leader() {
    let scenario = Scenario::parse("removed.toml", REMOVED).unwrap();
    let outcome = run(&scenario, System::RaftRs, 6, &Options::default()).unwrap().outcome;
    assert_eq!(outcome.failed_checks(), Vec::<String>::new());
    assert!(outcome.situations.contains_key(&Situation::MembersChanged), "{:?}", outcome.situations);
}
