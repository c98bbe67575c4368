//! Tests of the search itself; what it finds is measured in docs/HUNTING.md.

use super::*;
use crate::fault::aim::Moment;
use crate::scenario::load;
use crate::systems::bugs::Bug;
use std::time::Duration;

fn scenario() -> Scenario {
    let mut scenario = load("zoo").unwrap();
    scenario.timing.duration_ms = 4000;
    scenario.workload.operations = 60;
    let nemesis = scenario.nemesis.as_mut().unwrap();
    (nemesis.faults, nemesis.until_ms, nemesis.min_ms, nemesis.max_ms) = (3, 3800, 200, 1500);
    scenario.check().unwrap();
    scenario
}

fn searched(system: System, random: bool, jobs: usize, runs: u64) -> (Progress, Vec<Find>) {
    let terms = Terms { scenario: scenario(), system, seed: 3, options: Options::default(), random };
    let mut search = Search::new(terms).unwrap();
    let pool = Pool { jobs, watchdog: Duration::from_secs(600) };
    let mut finds = Vec::new();
    search.run(
        &pool,
        |progress| progress.runs < runs,
        |news| {
            match news {
                News::Find(find) => finds.push(find),
                News::Mishap(mishap) => panic!("run {}: {}", mishap.run, mishap.what),
            }
            true
        },
    );
    (search.progress().clone(), finds)
}

/// The same with one job and with two, and not what random seeds do.
#[test]
fn a_search_is_a_function_of_its_seed() {
    let (one, _) = searched(System::RaftMemory, false, 1, 24);
    let (two, _) = searched(System::RaftMemory, false, 2, 24);
    assert_eq!(one, two);
    assert_eq!((one.runs, one.violations), (24, 0), "{one:?}");
    assert!(one.corpus > 0 && one.features > one.corpus);
    let (random, _) = searched(System::RaftMemory, true, 1, 24);
    assert_ne!(one.features, random.features);
}

#[test]
fn what_is_found_is_a_recorded_run() {
    let (progress, finds) = searched(System::Bugged(Bug::AcknowledgedBeforeSync.into()), false, 1, 16);
    assert_eq!(progress.violations, finds.len() as u64);
    let find = finds.first().expect("it shows in most runs");
    assert!(find.is_by_a_check() && !find.sentence.is_empty());
    let text = find.recorded.to_toml();
    let read = Scenario::parse("found", &text).unwrap();
    let explicit = read.explicit.clone().unwrap();
    assert!(explicit.schedule.iter().all(|fault| fault.when.is_none()), "no trigger is needed any more");
    let system = explicit.system.parse().unwrap();
    assert_eq!(run(&read, system, explicit.seed, &Options::default()).unwrap().recording(), read);
}

#[test]
fn changed_schedules_are_sound_and_fair() {
    let base = load("swarm").unwrap();
    let terms =
        Terms { scenario: base.clone(), system: System::Raft, seed: 1, options: Options::default(), random: false };
    let search = Search::new(terms).unwrap();
    let (topology, ranges) = (base.topology(), Ranges::default());
    let mut draw = Draw::named("test", &topology, &ranges, 5);
    let (mut child, mut aimed, mut children) = (base.materialised("raft", 1), 0, 0);
    let other = base.materialised("raft", 2);
    for number in 0..400 {
        if let Some(next) = search.mutator.child(&child, &other, number, &mut draw) {
            next.check().unwrap();
            let explicit = next.explicit.as_ref().unwrap();
            let kinds = &base.nemesis.as_ref().unwrap().kinds;
            assert!(explicit.schedule.iter().all(|fault| kinds.contains(&fault.kind.name().to_owned())));
            assert!(explicit.schedule.iter().all(|fault| fault.ends_ms().is_some()));
            aimed += explicit.schedule.iter().filter(|fault| fault.when.is_some()).count();
            children += 1;
            // Back to the first now and then, or it would only grow.
            child = if number % 20 == 0 { base.materialised("raft", number) } else { next };
        }
    }
    assert!(children > 300 && aimed > 300, "{children} children, {aimed} aimed faults");
}

#[test]
fn what_is_stored_is_put_to_the_test_by_disks_and_what_is_said_by_links() {
    let suited = |kinds: &[&str], moment| {
        let mut scenario = load("zoo").unwrap();
        scenario.nemesis.as_mut().unwrap().kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let terms = Terms {
            scenario: scenario.clone(),
            system: System::Raft,
            seed: 1,
            options: Options::default(),
            random: false,
        };
        let mut kinds = Search::new(terms).unwrap().mutator.suited(&scenario, moment);
        kinds.sort_unstable();
        kinds
    };
    let kinds = ["kill", "latency", "power_loss", "clock"];
    assert_eq!(suited(&kinds, Moment::VoteSaved), ["kill", "power_loss"]);
    assert_eq!(suited(&kinds, Moment::PrimaryElected), ["clock", "kill", "latency"]);
    assert_eq!(suited(&["latency"], Moment::VoteSaved), ["latency"], "nothing is suited, so all is");
}

#[test]
fn a_scenario_that_says_nothing_to_search_is_refused() {
    let refused = |scenario| {
        let terms = Terms { scenario, system: System::Raft, seed: 1, options: Options::default(), random: false };
        Search::new(terms).err()
    };
    assert_eq!(refused(load("split-brain").unwrap()), Some(Unfit::NoNemesis));
    assert_eq!(refused(load("zoo").unwrap().materialised("raft", 1)), Some(Unfit::Recorded));
}

/// A watchdog goes by the wall clock. A run that overran it on a busy machine is tried again before it counts as hung.
#[test]
fn a_run_that_overran_the_watchdog_gets_a_second_try() {
    let terms =
        Terms { scenario: scenario(), system: System::RaftMemory, seed: 3, options: Options::default(), random: true };
    let hunted = |watchdog| {
        let mut search = Search::new(terms.clone()).unwrap();
        let mut mishaps = Vec::new();
        let pool = Pool { jobs: 1, watchdog };
        search.run(
            &pool,
            |progress| progress.runs < 1,
            |news| {
                mishaps.extend(match news {
                    News::Mishap(mishap) => Some(mishap),
                    News::Find(_) => None,
                });
                true
            },
        );
        (search.progress().clone(), mishaps)
    };
    let candidate = terms.scenario.materialised("raft-memory", 3_000_000);
    let mut search = Search::new(terms.clone()).unwrap();
    // Alone it ends: nothing was wrong with it.
    let patient = Pool { jobs: 1, watchdog: Duration::from_secs(150) };
    assert!(matches!(search.again(&Arc::new(candidate.clone()), &patient), Fate::Done(Ok(_))));
    assert_eq!((search.progress().retried, search.progress().hangs), (1, 0));
    // No time at all is not enough the second time either, and then the schedule is handed over.
    let (progress, mishaps) = hunted(Duration::from_nanos(1));
    assert_eq!((progress.hangs, progress.retried, mishaps.len()), (BATCH, 0, BATCH as usize));
    assert_eq!(mishaps[0].scenario, candidate);
}
