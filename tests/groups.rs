//! Failing seeds of two planted bugs at once come out as two groups.

use schism::rng::seeds::Seeds;
use schism::run::{Options, run};
use schism::scenario::{Scenario, load};
use schism::shrink::{Failing, Group, Groups, Symptom};
use schism::systems::System;
use schism::systems::bugs::Bug;
use schism::zoo::SCENARIO;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// One bug needs no fault, the other messages that come twice; and both may break linearizability.
const BUGS: [Bug; 2] = [Bug::CasOutsideLog, Bug::RetryAppliedAgain];

/// A few seconds of the zoo.
fn brief() -> Scenario {
    let mut scenario = load(SCENARIO).unwrap();
    let nemesis = scenario.nemesis.as_mut().unwrap();
    (nemesis.faults, nemesis.start_ms, nemesis.until_ms, nemesis.max_ms) = (3, 500, 3000, 2000);
    (scenario.timing.duration_ms, scenario.workload.operations) = (4000, 480);
    // So few that clients meet: neither bug needs luck.
    scenario.workload.keys = 3;
    scenario.check().unwrap();
    scenario
}

/// The runs of the bugs that fail, of these seeds.
fn failing(scenario: &Scenario, seeds: impl Iterator<Item = u64> + Send, jobs: usize) -> Vec<Failing> {
    let todo = Mutex::new(seeds.flat_map(|seed| BUGS.map(|bug| (seed, System::Bugged(bug.into())))));
    let next = || todo.lock().unwrap().next();
    let failing = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((seed, system)) = next() {
                    let outcome = run(scenario, system, seed, &Options::default()).unwrap().outcome;
                    let symptoms = Symptom::all(&outcome);
                    if !symptoms.is_empty() {
                        failing.lock().unwrap().push(Failing { seed, system, symptoms });
                    }
                }
            });
        }
    });
    failing.into_inner().unwrap()
}

#[test]
fn two_bugs_are_two_groups() {
    let scenario = brief();
    let seeds = Seeds::from_environment(2).expect("SCHISM_SEEDS is a range or a count");
    let failing = failing(&scenario, seeds.iter(), 2);
    let options = Options::default();
    let found: Vec<Group> = Groups::new(&scenario, &options, &failing, 2).collect();
    for group in &found {
        println!("{}: {} of {}", group.signature, group.members.len(), failing.len());
        let systems: BTreeSet<&str> = group.members.iter().map(|at| failing[*at].system.name()).collect();
        assert_eq!(systems.len(), 1, "{} is two bugs: {systems:?}", group.signature);
    }
    let signatures: Vec<String> = found.iter().map(|group| group.signature.to_string()).collect();
    assert_eq!(signatures.len(), 2, "{signatures:?}");
    assert_eq!(found.iter().map(|group| group.members.len()).sum::<usize>(), failing.len());
}
