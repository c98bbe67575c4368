//! Tests with oracles that simulate nothing: what a failure needs is known, so what shrinking leaves can be checked.

use super::search::with_explicit;
use super::*;
use crate::fault::chaos::{Act, ActKind, Place};
use crate::fault::kinds::{Kill, MajoritiesRing, OneWay, Partition};
use crate::fault::model::{Fault, FaultKind, Target};
use crate::kv::{Key, Op};
use crate::rng;
use crate::scenario::{Explicit, Recorded, ScriptedOp, load, materialise};
use crate::trace::digest::Digest;
use crate::trace::{HostId, MessageKind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Fails where the function says so; every candidate must be one that could have been written by hand.
struct Fake<F>(F);

impl<F: Fn(&Scenario) -> bool + Sync> Oracle for Fake<F> {
    fn run(&self, candidate: &Scenario) -> Trial {
        if let Err(error) = candidate.check() {
            panic!("an invalid candidate was run: {}", error.plain());
        }
        let fails = (self.0)(candidate);
        Trial {
            failed: fails.then(|| Failed::named("broken", "")).into_iter().collect(),
            verdict: if fails { "broken" } else { "passes" }.to_owned(),
            at_ns: Some(20_000_000_000),
            simulated_ms: candidate.timing.duration_ms,
            explicit: Some(candidate.clone()),
        }
    }
}

const LIMITS: Limits = Limits { jobs: 1, simulated_ms: u64::MAX };

/// A minute of chaos in explicit form, with a small script, and an act on every tenth message of a link.
fn recorded(seed: u64) -> Scenario {
    let mut scenario = load("chaos").unwrap();
    scenario.workload.operations = 200;
    let made = materialise(&scenario, seed);
    let act = |n: u64| {
        let place = Place { from: HostId(1), to: HostId(5), kind: MessageKind::AppendEntries, n: n * 10 };
        Act { place, what: ActKind::Delay, us: 500 }
    };
    scenario.explicit = Some(Explicit {
        seed,
        system: "raft".into(),
        schedule: made.schedule.faults,
        script: made.script,
        acts: Some((0..30).map(act).collect()),
        verdict: Recorded { verdict: "violation".into(), checks: vec!["broken".into()], digest: Digest(0) },
    });
    scenario
}

fn has_kind(scenario: &Scenario, kind: &FaultKind) -> bool {
    explicit(scenario).schedule.iter().any(|fault| fault.kind.name() == kind.name())
}

fn has_operation(scenario: &Scenario, id: u32) -> bool {
    explicit(scenario).script.iter().any(|op| op.id == id)
}

#[test]
fn exactly_what_is_needed_is_left() {
    let recorded = recorded(3);
    let form = explicit(&recorded);
    let (one, other) = (form.schedule[1].kind.clone(), form.schedule[4].kind.clone());
    let op = form.script[50].id;
    let delayed = |scenario: &Scenario| explicit(scenario).acts.iter().flatten().any(|act| act.place.n == 70);
    let oracle = Fake(|scenario: &Scenario| {
        has_kind(scenario, &one) && has_kind(scenario, &other) && has_operation(scenario, op) && delayed(scenario)
    });
    let shrunk = shrink(&recorded, "broken", &oracle, &LIMITS).unwrap();
    assert!(shrunk.finished);
    let Size { faults, acts, operations, clients, keys, .. } = shrunk.after;
    let kinds = if one.name() == other.name() { 1 } else { 2 };
    assert_eq!((faults, acts, operations, clients, keys), (kinds, 1, 1, 1, 1), "{:?}", shrunk.scenario);
    assert_eq!(shrunk.before.operations, 200);
    assert!(shrunk.necessity.iter().all(|row| row.needed && row.without == "passes"), "{:?}", shrunk.necessity);
    assert_eq!(shrunk.necessity.len(), kinds + 1, "jitter is gone, faults and acts have a row each");
    assert_eq!(explicit(&shrunk.scenario).seed, 3, "the seed stays");
    assert!(shrunk.scenario.expect.is_empty() && shrunk.scenario.nemesis.is_none());
    // What was written can be read.
    let text = shrunk.scenario.to_toml();
    assert_eq!(Scenario::parse("shrunk.toml", &text).unwrap(), shrunk.scenario);
}

#[test]
fn a_fault_without_effect_is_not_left_where_the_budget_ends() {
    let recorded = recorded(3);
    let form = explicit(&recorded);
    let (kind, op) = (form.schedule[4].kind.clone(), form.script[50].id);
    let oracle = Fake(|scenario: &Scenario| has_kind(scenario, &kind) && has_operation(scenario, op));
    // Two runs of the whole: too little for anything.
    let limits = Limits { jobs: 1, simulated_ms: 2 * recorded.timing.duration_ms };
    let shrunk = shrink(&recorded, "broken", &oracle, &limits).unwrap();
    assert!(!shrunk.finished && shrunk.after.operations > 1, "{:?}", shrunk.after);
    assert_eq!((shrunk.before.faults > 1, shrunk.after.faults, shrunk.after.acts), (true, 1, 0));
    assert!(shrunk.necessity.iter().all(|row| row.needed), "{:?}", shrunk.necessity);
}

/// An oracle whose failure needs a few parts, drawn from a number: faults, operations, nodes, some length.
fn whimsical(seed: u64) -> impl Fn(&Scenario) -> bool + Sync {
    move |scenario: &Scenario| {
        let ask = |question: u64, bound: u64| rng::below(rng::hash(seed, &[question]), bound);
        let size = Size::of(scenario);
        let needs_operation =
            |question| seed.is_multiple_of(3) || has_operation(scenario, 1 + ask(question, 60) as u32);
        size.faults as u64 >= ask(1, 4)
            && size.nodes as u64 > ask(2, 5)
            && size.clients as u64 > ask(3, 3)
            && size.duration_ms >= ask(4, 9000)
            && size.acts as u64 >= ask(5, 3)
            && needs_operation(6)
            && needs_operation(7)
    }
}

#[test]
fn whatever_matters_candidates_are_valid_and_the_result_fails_and_is_minimal() {
    for seed in 0..6 {
        let fails = whimsical(seed);
        let shrunk = shrink(&recorded(seed), "broken", &Fake(&fails), &LIMITS).unwrap();
        let left = &shrunk.scenario;
        assert!(shrunk.finished && fails(left), "seed {seed}: {:?}", shrunk.after);
        for fault in 0..shrunk.after.faults {
            assert!(!fails(&plain::without_faults(left, fault, fault + 1)), "seed {seed}: fault {fault}");
        }
        for op in 0..shrunk.after.operations {
            assert!(!fails(&plain::without_operations(left, op, op + 1)), "seed {seed}: operation {op}");
        }
        for node in 0..shrunk.after.nodes {
            let fewer = hosts::without_nodes(left, node, node + 1).filter(|fewer| fewer.check().is_ok());
            assert!(!fewer.is_some_and(|fewer| fails(&fewer)), "seed {seed}: node {node}");
        }
    }
}

#[test]
fn how_many_run_at_once_changes_nothing() {
    for seed in 0..3 {
        let shrunk = |jobs, simulated_ms| {
            shrink(&recorded(seed), "broken", &Fake(whimsical(seed)), &Limits { jobs, simulated_ms }).unwrap()
        };
        assert_eq!(shrunk(1, u64::MAX), shrunk(4, u64::MAX));
        // Nor where the budget ends in the middle of it.
        let (one, four) = (shrunk(1, 2_000_000), shrunk(4, 2_000_000));
        assert_eq!(one.scenario, four.scenario);
        assert_eq!((one.trials, one.finished), (four.trials, four.finished));
    }
}

#[test]
fn a_spent_budget_leaves_something_that_fails() {
    let cost = AtomicU64::new(0);
    let fails = whimsical(4);
    let oracle = Fake(|scenario: &Scenario| {
        cost.fetch_add(scenario.timing.duration_ms, Ordering::Relaxed);
        fails(scenario)
    });
    let shrunk = shrink(&recorded(4), "broken", &oracle, &Limits { jobs: 1, simulated_ms: 100_000 }).unwrap();
    assert!(!shrunk.finished && fails(&shrunk.scenario));
    // The table of what is needed is made in any case: a trial for each thing that is left.
    let table = shrunk.after.duration_ms * shrunk.necessity.len() as u64;
    // And parts without effect are left out in any case: at most two passes over faults, acts and jitter.
    let leftovers = shrunk.after.duration_ms * 2 * (shrunk.before.faults as u64 + 2);
    assert!(cost.into_inner() <= 160_000 + table + leftovers);
}

#[test]
fn a_run_that_does_not_fail_so_is_refused() {
    let error = shrink(&recorded(1), "broken", &Fake(|_: &Scenario| false), &LIMITS).unwrap_err();
    assert_eq!(error.to_string(), "the run does not fail broken: it passes");
    assert!(shrink(&recorded(1), "split_brain", &Fake(|_: &Scenario| true), &LIMITS).is_err());
}

#[test]
fn a_panic_is_shrunk_though_it_leaves_no_run_behind() {
    struct Panics;
    impl Oracle for Panics {
        fn run(&self, candidate: &Scenario) -> Trial {
            let panics = has_operation(candidate, 5);
            let failed = panics.then(|| Failed::named(PANIC, "")).into_iter().collect();
            Trial { failed, verdict: "panics".into(), simulated_ms: 1, ..Trial::default() }
        }
    }
    let recorded = with_explicit(&recorded(1), |explicit| explicit.acts = None);
    let shrunk = shrink(&recorded, PANIC, &Panics, &LIMITS).unwrap();
    let Size { faults, acts, operations, nodes, .. } = shrunk.after;
    assert_eq!((faults, acts, operations, nodes), (0, 0, 1, 1));
    assert_eq!(shrunk.scenario.messages, Default::default(), "no act is left to a hash either");
}

#[test]
fn of_two_successes_the_first_is_taken_and_only_its_cost_counted() {
    let recorded = recorded(2);
    let oracle = Fake(|scenario: &Scenario| Size::of(scenario).operations != 190);
    for jobs in [1, 3] {
        let limits = Limits { jobs, ..LIMITS };
        let mut search = Search::new(&recorded, "broken", &oracle, &limits).unwrap();
        let without = |count| Some(plain::without_operations(&recorded, 0, count));
        assert_eq!(search.first([None, without(10), without(20), without(30)]), Some(2));
        assert_eq!((Size::of(search.best()).operations, search.trials()), (180, 3));
    }
}

#[test]
fn what_is_needed_in_pairs_is_found_by_delta_debugging() {
    let recorded = recorded(2);
    let needed = [7, 8, 150];
    let oracle = Fake(|scenario: &Scenario| needed.iter().all(|id| has_operation(scenario, *id)));
    let mut search = Search::new(&recorded, "broken", &oracle, &LIMITS).unwrap();
    let removed = ddmin(
        &mut search,
        1,
        |scenario| explicit(scenario).script.len(),
        |base, from, to| Some(plain::without_operations(base, from, to)),
    );
    assert!(removed);
    let ids: Vec<u32> = explicit(search.best()).script.iter().map(|op| op.id).collect();
    assert_eq!(ids, needed);
    assert!(search.trials() < 100, "{} trials for 3 of 200", search.trials());
}

/// East (3 nodes, 2 clients) and west (2 nodes, 1 client): hosts 1 to 5, then the clients' 6 and 7.
fn two_sites() -> Scenario {
    let mut scenario = recorded(1);
    scenario.sites[0].clients = 2;
    scenario.sites[1].clients = 1;
    let group = |names: &[&str]| -> Vec<Target> { names.iter().map(|name| Target((*name).into())).collect() };
    let fault = |at_ms, kind| Fault { at_ms, for_ms: Some(500), kind, when: None };
    let op = |id, client, at_us, op| ScriptedOp { id, client, at_us, op, fixed_expectation: false };
    let act = |from, to| {
        let place = Place { from: HostId(from), to: HostId(to), kind: MessageKind::Request, n: 0 };
        Act { place, what: ActKind::Lose, us: 0 }
    };
    with_explicit(&scenario, |explicit| {
        explicit.schedule = vec![
            fault(1000, Partition { groups: vec![group(&["n2", "n4"]), group(&["n5"])] }.into()),
            fault(2000, Kill { target: Target("n2".into()) }.into()),
            fault(3000, OneWay { from: group(&["west"]), to: group(&["east.clients"]) }.into()),
            fault(4000, MajoritiesRing { order: group(&["n5", "n4", "n3", "n2", "n1"]) }.into()),
        ];
        explicit.script = vec![
            op(1, 0, 1_000_000, Op::Get { key: Key(2) }),
            op(4, 1, 2_000_000, Op::Put { key: Key(7), value: 4 }),
            op(9, 2, 5_000_000, Op::Cas { key: Key(2), expected: None, new: 9 }),
        ];
        explicit.acts = Some(vec![act(2, 3), act(3, 5), act(6, 1), act(7, 4)]);
    })
}

fn told(scenario: &Scenario) -> Vec<String> {
    scenario.check().unwrap();
    explicit(scenario).schedule.iter().map(|fault| fault.kind.to_string()).collect()
}

fn acts(scenario: &Scenario) -> Vec<(u16, u16)> {
    let acts = explicit(scenario).acts.as_deref().unwrap();
    acts.iter().map(|act| (act.place.from.0, act.place.to.0)).collect()
}

#[test]
fn whoever_stays_is_renamed_everywhere() {
    let base = two_sites();
    let fewer = hosts::without_nodes(&base, 1, 2).unwrap();
    assert_eq!(
        told(&fewer),
        ["partition n3 | n4", "one-way cut west -> east.clients", "ring of majorities n4, n3, n2, n1"]
    );
    assert_eq!(acts(&fewer), [(2, 4), (5, 1), (6, 3)]);

    let west_alone = hosts::without_site(&base, 0).unwrap();
    assert_eq!(told(&west_alone), ["partition n1 | n2"]);
    assert_eq!(acts(&west_alone), [(3, 1)]);
    let script = &explicit(&west_alone).script;
    assert_eq!(script.iter().map(|op| (op.id, op.client)).collect::<Vec<_>>(), [(9, 0)]);
    assert_eq!((west_alone.workload.operations, west_alone.workload.cas), (1, 1));

    // East without clients has no client host either, and west's moves up.
    let quiet_east = hosts::without_clients(&base, 0, 2).unwrap();
    assert_eq!(acts(&quiet_east), [(2, 3), (3, 5), (6, 4)]);
    assert_eq!(told(&quiet_east).len(), 3, "nobody is left to be cut off by the one-way cut");
    assert_eq!(hosts::without_clients(&base, 0, 3), None);
    assert_eq!(hosts::without_nodes(&base, 0, 5), None);
    assert_eq!(hosts::clients(&hosts::merged(&base, 1, 2).unwrap()), 2);
}

#[test]
fn keys_are_renumbered_or_the_unused_ones_dropped() {
    let mut base = two_sites();
    base.workload.keys = 20;
    let [compact, lowered, middle] = plain::fewer_keys(&base).try_into().unwrap();
    let keys = |scenario: &Scenario| explicit(scenario).script.iter().map(|op| op.op.key().0).collect::<Vec<_>>();
    assert_eq!((keys(&compact), compact.workload.keys), (vec![0, 1, 0], 2));
    assert_eq!((keys(&lowered), lowered.workload.keys), (vec![2, 7, 2], 8));
    assert_eq!(middle.workload.keys, 16);
    let put = plain::put_for_cas(&two_sites(), 2).unwrap();
    assert_eq!(explicit(&put).script[2].op, Op::Put { key: Key(2), value: 9 });
    assert_eq!(plain::put_for_cas(&put, 2), None);
}

#[test]
fn time_is_cut_at_the_end_and_taken_out_of_the_middle() {
    let base = plain::bare(&two_sites(), "short");
    let times = |scenario: &Scenario| -> Vec<(u64, Option<u64>)> {
        scenario.check().unwrap();
        explicit(scenario).schedule.iter().map(|fault| (fault.at_ms, fault.for_ms)).collect()
    };
    let planned = |scenario: &Scenario| explicit(scenario).script.iter().map(|op| op.at_us / 1000).collect::<Vec<_>>();
    let short = time::cut(&base, 2200).unwrap();
    assert_eq!(times(&short), [(1000, Some(500)), (2000, Some(200))]);
    assert_eq!((planned(&short), short.timing.duration_ms), (vec![1000, 2000], 2200));
    assert_eq!(time::cut(&base, 60_000), None);

    // From the middle of the second fault to the middle of the third.
    let less = time::excise(&base, 2300, 3100).unwrap();
    assert_eq!(times(&less), [(1000, Some(500)), (2000, Some(300)), (2300, Some(400)), (3200, Some(500))]);
    assert_eq!((planned(&less), less.timing.duration_ms), (vec![1000, 2000, 4200], 59_200));
    assert_eq!(times(&time::halved(&base, 0, false).unwrap())[0], (1000, Some(250)));
    assert_eq!(times(&time::halved(&base, 0, true).unwrap())[0], (1250, Some(250)));
    let odd = with_explicit(&base, |explicit| {
        explicit.schedule[0].at_ms = 1013;
        explicit.schedule[1].for_ms = Some(7);
        explicit.script[0].at_us = 1_012_345;
    });
    assert_eq!(times(&time::rounded_faults(&odd, 10))[..2], [(1010, Some(500)), (2000, Some(7))]);
    assert_eq!(planned(&time::rounded(&odd, 10))[0], 1010);
}
