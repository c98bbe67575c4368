//! What each policy keeps and loses; and each planted flaw is found.

use super::{Policy, PrimaryBackupCluster, planted};
use crate::check::CheckName;
use crate::fault::generate::Nemesis;
use crate::fault::kinds::{Clock, DiskErrors, Isolate, Kill, PowerLoss, SlowDisk};
use crate::fault::model::{Chaos, Fault, FaultKind, Target};
use crate::run::compare::is_safety;
use crate::run::{Options, Run, Subject, Verdict, deployment, plan, run_subject};
use crate::scenario::{Scenario, load};
use crate::systems::Cluster;
use crate::systems::bugs::Bug;
use crate::trace::{Role, What};

/// Eight seconds of two sites, in which nothing happens.
fn quiet() -> Scenario {
    let mut scenario = load("failover").unwrap();
    scenario.faults.clear();
    scenario.expect.clear();
    scenario.timing.tick_ms = 4;
    scenario.timing.duration_ms = 8000;
    scenario.latency.local_ms = 4;
    scenario.latency.wan_ms = 12;
    scenario.workload.operations = 500;
    scenario.workload.start_ms = 500;
    scenario
}

/// Twenty seconds of everything, with these kinds of fault.
fn chaos(name: &str, without: &[&str]) -> Scenario {
    let mut scenario = load(name).unwrap();
    scenario.expect.clear();
    scenario.timing.duration_ms = 20_000;
    scenario.workload.operations = 1600;
    scenario.faults.retain(|fault| fault.at_ms < 10_000);
    let kinds = scenario.nemesis.take().unwrap().kinds;
    let kinds = kinds.into_iter().filter(|kind| !without.contains(&kind.as_str())).collect();
    let (start_ms, until_ms, min_ms, max_ms) = (3000, 17_000, 500, 4000);
    scenario.nemesis = Some(Nemesis { start_ms, until_ms, min_ms, max_ms, kinds, ..Nemesis::default() });
    scenario
}

fn fault(at_ms: u64, for_ms: u64, kind: FaultKind) -> Fault {
    Fault { at_ms, for_ms: Some(for_ms), kind, when: None }
}

fn n1() -> Target {
    Target("n1".to_owned())
}

fn run(scenario: &Scenario, policy: Policy, bug: Option<Bug>, seed: u64) -> Run {
    let deployment = deployment(scenario, &plan(scenario, seed));
    let cluster = match bug {
        Some(bug) => planted::cluster(&deployment, policy, bug.into()),
        None => PrimaryBackupCluster::new(&deployment, policy),
    };
    let cluster: Box<dyn Cluster> = Box::new(cluster);
    let subject = Subject { name: format!("{policy:?}"), cluster: cluster.into(), object: None };
    run_subject(scenario, &subject, seed, &Options::default()).unwrap()
}

fn is_safe(run: &Run) -> bool {
    !run.outcome.violations.iter().any(|violation| is_safety(violation.check))
}

/// No check fails, and every client is served again.
fn assert_clean(run: &Run) {
    let (seed, system) = (run.outcome.seed, &run.outcome.system);
    assert_ne!(run.outcome.verdict, Verdict::Violation, "{system}, seed {seed}: {:?}", run.outcome.violations);
    assert!(run.outcome.converged, "{system}, seed {seed}");
}

const POLICIES: [Policy; 3] = [Policy::Asynchronous, Policy::Synchronous, Policy::Lease];

#[test]
fn in_health_each_is_linearizable_and_nobody_takes_over() {
    let (quiet, mut rough) = (quiet(), quiet());
    rough.messages =
        Chaos { loss_ppm: 10_000, reorder_ppm: 30_000, reorder_ms: 60, duplicate_ppm: 20_000, jitter_ms: 2 };
    for policy in POLICIES {
        for seed in 0..20 {
            let run = run(if seed % 2 == 0 { &quiet } else { &rough }, policy, None, seed);
            assert_clean(&run);
            assert_eq!(run.outcome.leader_changes, 0, "{policy:?}, seed {seed}");
            // A primary that waits for every backup also waits for every lost message.
            let least = if policy == Policy::Synchronous { 250 } else { 485 };
            assert!(run.outcome.acked >= least, "{policy:?}, seed {seed}: {} of 500", run.outcome.acked);
        }
    }
}

#[test]
fn a_seed_determines_a_run() {
    for policy in POLICIES {
        let digest = || run(&chaos("chaos", &[]), policy, None, 3).outcome.digest;
        assert_eq!(digest(), digest(), "{policy:?}");
    }
}

#[test]
fn with_a_lease_or_all_backups_nothing_is_lost_in_any_chaos_of_messages_links_and_processes() {
    let chaos = chaos("chaos", &[]);
    for seed in 0..20 {
        assert_clean(&run(&chaos, Policy::Lease, None, seed));
        assert_clean(&run(&chaos, Policy::Synchronous, None, seed));
    }
}

#[test]
fn nor_when_the_power_goes_and_disks_fail() {
    let chaos = chaos("power-loss", &["clock", "isolate", "one_way", "pause"]);
    let mut power_losses = 0;
    for seed in 0..20 {
        let lease = run(&chaos, Policy::Lease, None, seed);
        power_losses += lease.outcome.counters.power_losses;
        assert_clean(&lease);
        assert_clean(&run(&chaos, Policy::Synchronous, None, seed));
    }
    assert!(power_losses >= 10, "{power_losses}");
}

#[test]
fn everybody_losing_power_at_once_costs_nothing_that_was_acknowledged() {
    let mut dark = quiet();
    let target = || Target("east.nodes".to_owned());
    dark.faults = vec![
        fault(4000, 700, PowerLoss { target: target(), torn: true, at_operation: None }.into()),
        fault(4000, 900, PowerLoss { target: Target("west.nodes".into()), torn: true, at_operation: None }.into()),
    ];
    for seed in 0..5 {
        for policy in POLICIES {
            assert_clean(&run(&dark, policy, None, seed));
        }
    }
}

#[test]
fn a_disk_that_fails_stops_its_node_for_a_while_and_no_longer() {
    let mut broken = quiet();
    broken.faults = vec![fault(3000, 1500, DiskErrors { target: n1() }.into())];
    for policy in POLICIES {
        let run = run(&broken, policy, None, 1);
        assert_clean(&run);
        let starts = run.trace.events.iter().filter(|event| event.host.0 == 1 && event.what == What::Start).count();
        assert!(starts >= 2, "{policy:?}: {starts}");
    }
}

#[test]
fn asynchronous_replication_loses_what_was_not_shipped() {
    let failover = load("failover").unwrap();
    for seed in 0..3 {
        let lossy = run(&failover, Policy::Asynchronous, None, seed);
        assert!(lossy.outcome.violates(CheckName::LostWrite), "seed {seed}");
        assert_clean(&run(&failover, Policy::Synchronous, None, seed));
        assert_clean(&run(&failover, Policy::Lease, None, seed));
    }
}

#[test]
fn a_primary_that_was_cut_off_forks_from_its_successor_unless_it_needs_a_majority() {
    let cut = load("split-brain").unwrap();
    for seed in 0..3 {
        let forked = run(&cut, Policy::Asynchronous, None, seed);
        assert!(forked.outcome.violates(CheckName::SplitBrain), "seed {seed}");
        assert_clean(&run(&cut, Policy::Lease, None, seed));
    }
}

#[test]
fn a_lease_is_worth_as_much_as_the_slowest_clock() {
    let drift = load("clock-drift").unwrap();
    for seed in 0..3 {
        assert!(!is_safe(&run(&drift, Policy::Lease, None, seed)), "seed {seed}");
        assert_clean(&run(&drift, Policy::Synchronous, None, seed));
        let mut right = drift.clone();
        right.faults.remove(0);
        assert_clean(&run(&right, Policy::Lease, None, seed));
    }
}

#[test]
fn a_lease_that_nobody_renews_is_over_before_another_begins() {
    let mut cut = quiet();
    cut.faults = vec![fault(2500, 4000, Isolate { target: n1(), from_clients: false }.into())];
    let run = run(&cut, Policy::Lease, None, 4);
    assert_clean(&run);
    assert!(run.outcome.leader_changes >= 1);
    assert_eq!(run.outcome.acting_primaries_overlap_s, 0.0);
    let lapses = run
        .trace
        .events
        .iter()
        .filter(|event| event.host.0 == 1 && matches!(event.what, What::Role { role: Role::Backup, .. }));
    assert!(lapses.count() >= 1, "n1 knows by itself that its lease is over");
}

/// Some seed shows the flaw, and the same seeds show nothing without it.
fn assert_found(scenario: &Scenario, policy: Policy, bug: Bug, seeds: u64) {
    let found = (0..seeds).filter(|seed| !is_safe(&run(scenario, policy, Some(bug), *seed))).count();
    assert!(found > 0, "{policy:?} with {bug} shows nothing in {seeds} seeds");
    for seed in 0..seeds {
        assert_clean(&run(scenario, policy, None, seed));
    }
}

#[test]
fn last_writer_wins_is_found_where_a_successor_has_an_earlier_time_of_day() {
    let mut skewed = quiet();
    let ahead = Clock { target: n1(), offset_ms: 3000, drift_ppm: 0 }.into();
    skewed.faults = vec![fault(500, 7000, ahead), fault(3000, 3000, Kill { target: n1() }.into())];
    assert_found(&skewed, Policy::Lease, Bug::LastWriterWins, 4);
    let mut set_back = quiet();
    let ahead = Clock { target: n1(), offset_ms: 2000, drift_ppm: 0 }.into();
    set_back.faults = vec![fault(500, 3000, ahead)];
    assert_found(&set_back, Policy::Synchronous, Bug::LastWriterWins, 4);
}

#[test]
fn a_late_duplicate_is_found_once_the_backup_that_applied_it_is_primary() {
    let mut doubled = quiet();
    doubled.messages =
        Chaos { loss_ppm: 5000, reorder_ppm: 20_000, reorder_ms: 400, duplicate_ppm: 200_000, jitter_ms: 2 };
    let kill = |at_ms| fault(at_ms, 1200, Kill { target: Target("@leader".to_owned()) }.into());
    doubled.faults = vec![kill(2500), kill(5500)];
    assert_found(&doubled, Policy::Lease, Bug::LateDuplicateApplied, 6);
}

#[test]
fn a_takeover_before_the_lease_is_over_is_found() {
    let mut cut = quiet();
    cut.timing.heartbeat_ms = 60;
    cut.timing.takeover_after_ms = Some(1500);
    cut.sites.iter_mut().for_each(|site| site.clients = 6);
    (cut.workload.keys, cut.workload.get, cut.workload.put, cut.workload.cas) = (2, 8, 2, 0);
    let isolate =
        |at_ms, name: &str| fault(at_ms, 1800, Isolate { target: Target(name.to_owned()), from_clients: false }.into());
    cut.faults = vec![isolate(2000, "@leader"), isolate(5000, "@leader")];
    assert_found(&cut, Policy::Lease, Bug::EarlyTakeover, 10);
}

#[test]
fn an_acknowledgement_before_the_backups_have_it_is_found() {
    let mut slow = quiet();
    (slow.workload.keys, slow.workload.get, slow.workload.put, slow.workload.cas) = (12, 6, 4, 0);
    slow.faults = vec![
        fault(2000, 2000, SlowDisk { target: n1(), extra_ms: 150 }.into()),
        fault(3000, 600, Kill { target: n1() }.into()),
    ];
    assert_found(&slow, Policy::Synchronous, Bug::AcknowledgedBeforeBackup, 4);
    assert_found(&load("failover").unwrap(), Policy::Lease, Bug::AcknowledgedBeforeBackup, 2);
}
