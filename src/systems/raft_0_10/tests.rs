//! What the design promises, under real runs.

use crate::check::CheckName;
use crate::museum;
use crate::run::{Options, Run, Verdict, run};
use crate::scenario::{Situation, load};
use crate::systems::System;
use crate::systems::bugs::{Bug, Ground, Transplant};
use crate::trace::{MessageKind, Role, What};
use std::collections::BTreeSet;

fn ran(scenario: &str, system: System, seed: u64) -> Run {
    run(&load(scenario).expect("it is embedded"), system, seed, &Options::default()).expect("it runs")
}

fn planted(bug: Bug) -> System {
    Transplant::of(bug, Ground::Raft010).map(System::Transplanted).expect("it is planted here")
}

#[test]
fn a_cut_and_a_death_lose_nothing_and_a_run_replays() {
    for scenario in ["split-brain", "failover", "power-loss"] {
        let outcome = ran(scenario, System::Raft010, 3).outcome;
        assert_eq!(outcome.verdict, Verdict::Pass, "{scenario}: {:?}", outcome.violations);
        assert!(outcome.acked > 0 && outcome.converged, "{scenario}");
    }
    let digests: BTreeSet<_> = (0..2).map(|_| ran("failover", System::Raft010, 5).outcome.digest.to_string()).collect();
    assert_eq!(digests.len(), 1);
}

#[test]
fn it_records_all_that_rafts_checks_read() {
    let run = ran("zoo", System::Raft010, ZOO_WITH_MEMBERS);
    assert_eq!(run.outcome.failed_checks(), Vec::<String>::new());
    assert_eq!(run.outcome.inapplicable, Vec::<CheckName>::new());
    let has = |wanted: fn(&What) -> bool| run.trace.events.iter().any(|event| wanted(&event.what));
    assert!(has(|what| matches!(what, What::Vote { committed: true, .. })));
    assert!(has(|what| matches!(what, What::Role { role: Role::Primary, .. })));
    assert!(has(|what| matches!(what, What::Append { at, .. } if at.leader.0 > 0)), "entries have their leaders");
    assert!(has(|what| matches!(what, What::Commit { .. })) && has(|what| matches!(what, What::Purge { .. })));
    assert!(has(|what| matches!(what, What::SnapshotBuilt { payload: Some(_), .. })));
    assert!(has(|what| matches!(what, What::SnapshotInstalled { .. })));
    assert!(has(|what| matches!(what, What::Send { class: MessageKind::Heartbeat, .. })));
    assert!(has(|what| matches!(what, What::Members { joint, .. } if !joint.is_empty())));
    assert!(run.outcome.situations.contains_key(&Situation::MembersChanged), "{:?}", run.outcome.situations);
}

/// A seed of `zoo` whose schedule changes the members.
const ZOO_WITH_MEMBERS: u64 = 2;

#[test]
fn entries_that_are_acknowledged_before_they_are_synced_are_missed_and_a_sound_node_keeps_them() {
    let checks = |system, seed| ran("power-loss", system, seed).outcome.failed_checks();
    let hasty = planted(Bug::AcknowledgedBeforeSync);
    let seed = (0..20).find(|seed| checks(hasty, *seed).contains(&CheckName::LogDurability.name().to_owned()));
    let seed = seed.expect("under one of twenty seeds the power goes between the two");
    assert_eq!(checks(System::Raft010, seed), Vec::<String>::new());
}

/// The power of a leader goes between sending an entry and syncing it.
#[test]
fn a_leader_that_is_restored_may_give_one_place_in_its_log_to_two_entries() {
    let exhibit = museum::exhibit("restored-leader").expect("there is such an exhibit");
    let recorded = exhibit.recorded();
    let outcome = |system| run(&exhibit.scenario, system, recorded.seed, &Options::default()).expect("it runs").outcome;
    let restored = outcome(System::Raft010Restored);
    assert_eq!(restored.failed_checks(), recorded.verdict.checks);
    let certificates: Vec<_> = restored.violations.iter().map(|found| found.certificate.sentence.as_str()).collect();
    assert!(certificates.contains(&exhibit.label.certificate.trim()), "{certificates:?}");
    assert_eq!(outcome(System::Raft010).failed_checks(), Vec::<String>::new());
}
