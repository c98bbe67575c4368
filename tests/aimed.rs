//! Faults that begin when something happens: they act at that moment, and what is recorded replays without them.

use schism::fault::aim::{Aim, Moment};
use schism::fault::kinds::{Clock, FaultKind, Isolate, Kill, Messages, PowerLoss};
use schism::fault::model::{Chaos, Fault, Target};
use schism::run::{Options, Run, compare, run};
use schism::scenario::{Scenario, load};
use schism::systems::System;
use schism::trace::What;

/// Three nodes for four seconds; the first leader is there well before the second second.
fn small(faults: Vec<Fault>) -> Scenario {
    let mut scenario = load("zoo").unwrap();
    scenario.sites.truncate(1);
    scenario.nemesis = None;
    scenario.timing.duration_ms = 4000;
    scenario.workload.operations = 120;
    scenario.faults = faults;
    scenario.check().unwrap();
    scenario
}

fn aimed(at_ms: u64, (event, delay_ms): (Moment, u64), kind: impl Into<FaultKind>) -> Fault {
    Fault { at_ms, for_ms: Some(600), kind: kind.into(), when: Some(Aim { event, delay_ms }) }
}

fn there() -> Target {
    Target("@there".into())
}

fn ran(scenario: &Scenario, seed: u64) -> Run {
    run(scenario, System::Raft, seed, &Options::default()).unwrap()
}

#[test]
fn a_fault_acts_at_its_moment_and_its_record_replays_without_it() {
    let kinds = vec![];
    let chaos = Chaos { loss_ppm: 300_000, ..Chaos::NONE };
    let faults = vec![
        // Given the wrong way round: what is recorded is in the order of the beginnings.
        aimed(1500, (Moment::Candidacy, 10), Clock { target: there(), drift_ppm: 200_000, offset_ms: 0 }),
        aimed(1400, (Moment::CommandAcknowledged, 7), PowerLoss { target: there(), torn: true, at_operation: Some(3) }),
        aimed(1500, (Moment::Restarted, 0), Isolate { target: there(), from_clients: false }),
        aimed(0, (Moment::PrimaryElected, 0), Messages { from: vec![], to: vec![], kinds, chaos }),
        aimed(2000, (Moment::SnapshotInstalled, 0), Kill { target: there() }),
    ];
    let scenario = small(faults);
    for seed in 0..3 {
        let first = ran(&scenario, seed);
        let acted = first.plan.faults();
        assert!((2..5).contains(&acted.len()), "the last one never acts: {acted:?}");
        assert!(acted.iter().all(|fault| fault.when.is_none() && !fault.kind.names_there()));
        assert!(acted.is_sorted_by_key(|fault| fault.at_ms));
        // It begins at the step after the event.
        let elected = first.trace.events.iter().find(|event| Moment::PrimaryElected.is(event)).unwrap().t_ns;
        assert_eq!(acted[0].at_ms, elected.div_ceil(5_000_000) * 5, "{acted:?}");
        let begins = first.trace.events.iter().filter_map(|event| match event.what {
            What::FaultBegin { fault, resolved } => Some((fault, resolved)),
            _ => None,
        });
        assert_eq!(begins.collect::<Vec<_>>(), (0..acted.len() as u32).map(|fault| (fault, None)).collect::<Vec<_>>());
        let text = first.recording().to_toml();
        let again = ran(&Scenario::parse("again", &text).unwrap(), seed);
        assert_eq!(again.outcome, first.outcome);
        assert_eq!(again.trace.events, first.trace.events);
        assert_eq!(again.recording().to_toml(), text);
    }
}

/// Every moment comes in one of these runs, or the list has one that nothing can wait for.
#[test]
fn every_moment_can_come() {
    let unreached = |moments: Vec<Moment>, system| {
        let mut scenario = load("zoo").unwrap();
        scenario.timing.duration_ms = 12_000;
        let slow = schism::fault::kinds::SlowDisk { target: Target("n1".into()), extra_ms: 100 };
        let plain = |at_ms, for_ms, kind: FaultKind| Fault { at_ms, for_ms: Some(for_ms), kind, when: None };
        scenario.nemesis = None;
        scenario.faults = vec![
            plain(1500, 2000, slow.into()),
            plain(2000, 4000, Isolate { target: Target("n3".into()), from_clients: true }.into()),
            plain(5000, 2500, Isolate { target: Target("@leader".into()), from_clients: false }.into()),
            plain(8000, 500, Kill { target: Target("n2".into()) }.into()),
            plain(9000, 2000, schism::fault::kinds::Membership { voters: vec![Target("east.nodes".into())] }.into()),
        ];
        // A fault that does nothing to speak of.
        let harmless = || schism::fault::kinds::Latency {
            a: vec![Target("n1".into())],
            b: vec![Target("n2".into())],
            extra_ms: 1,
        };
        let of = |moment: &Moment| {
            aimed(1000, (*moment, if *moment == Moment::PrimaryUnheard { 150 } else { 0 }), harmless())
        };
        scenario.faults.extend(moments.iter().map(of));
        scenario.check().unwrap();
        let run = run(&scenario, system, 1, &Options::default()).unwrap();
        moments.len() + 5 - run.plan.faults().len()
    };
    let unreached_alone = |moment: &Moment| unreached(vec![*moment], System::Raft) > 0;
    if unreached(Moment::ALL.to_vec(), System::Raft) > 0 {
        let never: Vec<&Moment> = Moment::ALL.iter().filter(|moment| unreached_alone(moment)).collect();
        panic!("these never come: {never:?}");
    }
}

#[test]
fn the_page_tells_of_each_moment() {
    let page = include_str!("../docs/FAULTS.md");
    for moment in Moment::ALL {
        assert!(page.contains(&format!("| `{}` | {}", moment.name(), moment.what())), "{}", moment.name());
    }
    let rows = page.lines().skip_while(|line| *line != "| event | when |").skip(2);
    assert_eq!(rows.take_while(|line| line.starts_with('|')).count(), Moment::ALL.len());
}

/// The mirror run: all systems get the faults where they acted under the first.
#[test]
fn systems_that_are_compared_get_the_same_faults() {
    let scenario = small(vec![aimed(1000, (Moment::PrimaryElected, 40), Kill { target: there() })]);
    let systems = [System::Raft, System::RaftMemory];
    let compared = compare(&scenario, &systems, 2, &Options::default()).unwrap();
    let schedules: Vec<_> = compared.runs.iter().map(|run| run.outcome.schedule_digest).collect();
    assert_eq!(schedules[0], schedules[1]);
}

#[test]
fn what_cannot_be_aimed_is_refused() {
    let wrong = |fault: Fault| {
        let mut scenario = small(vec![]);
        scenario.faults = vec![fault];
        scenario.check().unwrap_err().to_string()
    };
    let kill = || Kill { target: there() };
    let unaimed = Fault { when: None, ..aimed(1000, (Moment::Candidacy, 0), kill()) };
    assert!(wrong(unaimed).contains("this fault is not aimed"));
    assert!(wrong(aimed(1000, (Moment::Candidacy, 4001), kill())).contains("longer than the run"));
    assert!(wrong(aimed(1000, (Moment::PrimaryUnheard, 0), kill())).contains("silence of no time"));
    let text = small(vec![aimed(1000, (Moment::Candidacy, 0), kill())]).to_toml().replace("candidacy", "candidate");
    let error = Scenario::parse("file", &text).unwrap_err().plain();
    assert!(error.contains("unknown name `candidate`") && error.contains("candidacy"), "{error}");
}
