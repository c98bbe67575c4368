//! What overlapping quorums guarantee, and what they do not.

use crate::check::CheckName;
use crate::fault::generate::Nemesis;
use crate::run::{Options, Run, Verdict, run};
use crate::scenario::{Scenario, load};
use crate::systems::System;

fn assert_clean(scenario: &Scenario, seed: u64) -> Run {
    let run = run(scenario, System::Quorum, seed, &Options::default()).unwrap();
    assert_ne!(run.outcome.verdict, Verdict::Violation, "seed {seed}: {:?}", run.outcome.violations);
    assert!(run.outcome.converged, "seed {seed}");
    run
}

/// The scenario with writes instead of every cas.
fn without_cas(name: &str) -> Scenario {
    let mut scenario = load(name).unwrap();
    scenario.expect.clear();
    scenario.workload.put += std::mem::take(&mut scenario.workload.cas);
    scenario
}

/// Twenty seconds of the faults of a scenario.
fn chaos(name: &str, kinds: &[&str]) -> Scenario {
    let mut scenario = without_cas(name);
    scenario.timing.duration_ms = 20_000;
    scenario.workload.operations = 1600;
    scenario.faults.clear();
    let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let (start_ms, until_ms, min_ms, max_ms) = (3000, 17_000, 500, 4000);
    scenario.nemesis = Some(Nemesis { start_ms, until_ms, min_ms, max_ms, kinds, ..Nemesis::default() });
    scenario
}

#[test]
fn reads_and_writes_are_linearizable_in_health() {
    let scenario = without_cas("concurrent-cas");
    for seed in 0..20 {
        let run = assert_clean(&scenario, seed);
        assert!(run.outcome.acked * 100 >= run.history.operations.len() as u64 * 95, "{}", run.outcome.acked);
    }
}

#[test]
fn reads_and_writes_are_linearizable_whatever_happens_to_links_processes_and_clocks() {
    let links = ["partition", "one_way", "majorities_ring", "bridge", "flapping", "hold", "kill", "pause"];
    let power = ["partition", "kill", "slow_disk", "disk_errors", "full_disk", "power_loss", "clock"];
    for seed in 0..20 {
        assert_clean(&chaos("chaos", &links), seed);
        assert_clean(&chaos("power-loss", &power), seed);
    }
}

#[test]
fn two_swaps_of_one_value_may_both_be_acknowledged() {
    let scenario = load("concurrent-cas").unwrap();
    for seed in 0..5 {
        let run = run(&scenario, System::Quorum, seed, &Options::default()).unwrap();
        assert!(run.outcome.violates(CheckName::Linearizability), "seed {seed}");
    }
}

#[test]
fn a_seed_determines_a_run() {
    let scenario = chaos("chaos", &["partition", "kill"]);
    let digest = || run(&scenario, System::Quorum, 3, &Options::default()).unwrap().outcome.digest;
    assert_eq!(digest(), digest());
}
