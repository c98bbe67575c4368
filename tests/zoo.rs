//! A small, fixed version of the zoo: one bug per layer, few seeds; and the system without a bug.

use schism::check::CheckName;
use schism::run::{Options, Verdict, run};
use schism::scenario::load;
use schism::sweep::Pool;
use schism::systems::System;
use schism::systems::bugs::Bug;
use schism::zoo::SCENARIO;
use schism::zoo::hunt::{Terms, hunt};
use std::time::Duration;

#[test]
fn plain_bugs_are_found_within_a_few_seeds_and_the_clean_system_passes_them() {
    let scenario = load(SCENARIO).unwrap();
    let pool = Pool { jobs: 1, watchdog: Duration::from_secs(600) };
    let terms = Terms { starts: 1, budget: 12, pool };
    for (bug, check) in [
        (Bug::VoteNotSynced, CheckName::Monotonic),
        (Bug::AcknowledgedBeforeSync, CheckName::LogDurability),
        (Bug::SnapshotWithoutSessions, CheckName::ExactlyOnce),
        (Bug::ReplyToWrongRequest, CheckName::CommitQuorum),
        (Bug::VoteIgnoresLog, CheckName::Monotonic),
        (Bug::SessionsExpireByClock, CheckName::ExactlyOnce),
        (Bug::ReadWithoutReadIndex, CheckName::Linearizability),
        (Bug::AcknowledgedBeforeCommit, CheckName::Linearizability),
    ] {
        let hunted = hunt(&scenario, bug, &terms, &Options::default(), || ());
        assert!(hunted.is_found(), "{bug} is not found in {} seeds", hunted.seeds());
        assert!(hunted.checks.contains_key(&check), "{bug} is found by {:?}", hunted.checks);
    }
    for seed in 0..6 {
        let outcome = run(&scenario, System::Raft, seed, &Options::default()).unwrap().outcome;
        assert_eq!(outcome.verdict, Verdict::Pass, "seed {seed}: {:?} {:?}", outcome.violations, outcome.inconclusive);
    }
}

/// A `committed` that may be lost serves a stale read here; the system `raft` makes it durable, and is not caught.
#[test]
fn a_leader_that_restarts_reads_only_what_it_has_applied_again() {
    let scenario = load("sims/regressions/zoo-read-after-restart-1939-shrunk.toml").unwrap();
    let verdict = |system| run(&scenario, system, 1939, &Options::default()).unwrap().outcome.failed_checks();
    assert!(verdict(System::Bugged(Bug::ReadAfterRestart.into())).contains(&"linearizability".to_string()));
    assert!(verdict(System::Raft).is_empty());
}

/// A fault of each: votes that are lost with the process, and a compare-and-set that no kill is needed for.
#[test]
fn two_bugs_in_one_system_both_show_and_the_recording_names_both() {
    use schism::fault::kinds::Kill;
    use schism::fault::model::{Fault, Target};
    use schism::scenario::Scenario;
    let mut scenario = load("split-brain").unwrap();
    let kill = |at_ms, node: &str| {
        let kind = Kill { target: Target(node.into()) }.into();
        Fault { at_ms, for_ms: Some(4_000), kind, when: None }
    };
    let all = ["n1", "n2", "n3", "n4", "n5"].map(|node| kill(9_000, node));
    scenario.faults = std::iter::once(kill(3_000, "n1")).chain(all).collect();
    (scenario.timing.duration_ms, scenario.workload.operations) = (16_000, 400);
    let both: System = "cas-outside-log+raft-amnesia".parse().unwrap();
    let found = run(&scenario, both, 0, &Options::default()).unwrap();
    let checks = found.outcome.failed_checks();
    assert!(
        ["election_safety", "linearizability"].iter().all(|check| checks.contains(&(*check).to_owned())),
        "{checks:?}"
    );
    let recorded = Scenario::parse("recorded", &found.recording().to_toml()).unwrap();
    assert_eq!(recorded.explicit.as_ref().unwrap().system, "raft-amnesia+cas-outside-log");
    let again = run(&recorded, recorded.explicit.as_ref().unwrap().system.parse().unwrap(), 0, &Options::default());
    assert_eq!(again.unwrap().outcome.digest, found.outcome.digest);
}

/// The page says of each bug what the list says, and has the measurements between.
#[test]
fn the_page_tells_of_each_bug_what_the_list_does() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ZOO.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `") && line.contains("](https://")).collect();
    assert_eq!(rows.len(), Bug::tuned().count());
    for (row, bug) in rows.iter().zip(Bug::tuned()) {
        let species = bug.species();
        let (layer, (place, address)) = (species.layer.name(), species.seen);
        assert!(
            row.starts_with(&format!("| `{bug}` | {} | {layer} | {} | ", species.base.system(), species.does)),
            "{row}"
        );
        assert!(row.ends_with(&format!(" | [{place}]({address}) |")), "{row}");
    }
}

/// Other members, and back again, under a schedule that does nothing else.
#[test]
fn members_change_by_joint_consensus_and_back_again() {
    use schism::fault::kinds::Membership;
    use schism::fault::model::{Fault, Target};
    use schism::scenario::Situation;
    use schism::trace::{HostSet, What};
    let mut scenario = load(SCENARIO).unwrap();
    scenario.nemesis = None;
    scenario.workload.operations = 400;
    let voters = ["n1", "n2", "n3"].map(|name| Target(name.into())).to_vec();
    scenario.faults = vec![Fault { at_ms: 4000, for_ms: Some(6000), kind: Membership { voters }.into(), when: None }];
    let changed = run(&scenario, System::Raft, 1, &Options::default()).unwrap();
    assert_eq!(changed.outcome.verdict, Verdict::Pass, "{:?}", changed.outcome.violations);
    assert!(changed.outcome.situations[&Situation::MembersChanged] >= 2);
    let mut sizes: Vec<(usize, bool)> = changed
        .trace
        .events
        .iter()
        .filter_map(|event| match event.what {
            What::Members { voters, joint, .. } => Some((voters.len(), joint != HostSet::EMPTY)),
            _ => None,
        })
        .collect();
    sizes.dedup();
    sizes.sort_unstable();
    sizes.dedup();
    assert_eq!(sizes, [(3, false), (3, true), (5, false), (5, true)]);
    // Where members are fixed, such a run proves nothing.
    let fixed = run(&scenario, System::PrimaryBackupAsync, 1, &Options::default()).unwrap().outcome;
    assert_eq!(fixed.verdict, Verdict::Inconclusive);
    assert!(fixed.inconclusive.iter().any(|why| why.contains("members of this system are fixed")), "{fixed:?}");
}

/// A required situation that does not occur makes a run inconclusive.
#[test]
fn a_run_without_a_required_situation_is_inconclusive() {
    use schism::scenario::Situation;
    let mut scenario = load("split-brain").unwrap();
    scenario.workload.operations = 300;
    scenario.situations = vec![Situation::SnapshotInstalled, Situation::LeaderPaused];
    let outcome = run(&scenario, System::Raft, 1, &Options::default()).unwrap().outcome;
    assert_eq!(outcome.verdict, Verdict::Inconclusive);
    assert!(outcome.inconclusive.iter().any(|why| why.starts_with("leader_paused never occurred")), "{outcome:?}");
}

/// The other page does so of the bugs on which nothing was tuned.
#[test]
fn the_page_of_the_hunt_tells_of_each_untuned_bug_what_the_list_does() {
    let page = include_str!("../docs/HUNTING.md");
    for bug in Bug::UNTUNED {
        let species = bug.species();
        let (system, layer, (place, address)) = (species.base.system(), species.layer.name(), species.seen);
        let row = format!("| `{bug}` | {system} | {layer} | {} | [{place}]({address}) |", species.does);
        assert!(page.lines().any(|line| line == row), "{row}");
    }
}
