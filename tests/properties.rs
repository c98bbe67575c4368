//! Split-brain never occurs under Raft, whatever the schedule, the workload, the cluster and the seed; and
//! dual-primary forks under a cut longer than its takeover, and only then.
//!
//! Each case is a pure function of its seed. `SCHISM_SEEDS=1000 cargo test` widens every property,
//! `SCHISM_SEED=17` runs one case. A failing case is shrunk over its schedule and written as an explicit
//! scenario.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use schism::check::CheckName;
use schism::fault::kinds::{self, Flapping, Hold, Isolate, Kill, MajoritiesRing, Messages, OneWay, Partition, Pause};
use schism::fault::model::{Chaos, Fault, FaultKind, Target};
use schism::report::recording;
use schism::rng::seeds::{SEED, Seeds, parse_seed};
use schism::run::{Options, Run, run};
use schism::scenario::{Latency, Scenario, Site, Timing, VERSION, Workload};
use schism::systems::System;
use schism::systems::bugs::Bug;
use schism::trace::{HostId, MessageKind, Role, What};
use std::collections::BTreeMap;
use std::path::Path;

/// The parameters of one case; smaller values are simpler cases.
#[derive(Debug, Clone)]
struct Case {
    /// Nodes per site.
    sites: Vec<u16>,
    faults: Vec<Fault>,
    messages: Chaos,
    operations: u32,
    keys: u32,
    seed: u64,
}

const DURATION_MS: u64 = 8_000;
const ELECTION_MAX_MS: u64 = 600;

impl Case {
    fn scenario(&self) -> Scenario {
        let site = |(index, nodes): (usize, &u16)| Site {
            name: format!("s{}", index + 1),
            nodes: *nodes,
            clients: 2,
            witness: false,
        };
        Scenario {
            situations: Vec::new(),
            swarm: None,
            snapshot_entries: None,
            kept_entries: None,
            disk_bytes: None,
            version: VERSION,
            name: "property".into(),
            title: "A generated case".into(),
            story: String::new(),
            sites: self.sites.iter().enumerate().map(site).collect(),
            latency: Latency { local_ms: 2, wan_ms: 8, between: Vec::new() },
            timing: Timing {
                tick_ms: 2,
                duration_ms: DURATION_MS,
                heartbeat_ms: 100,
                election_min_ms: 300,
                election_max_ms: ELECTION_MAX_MS,
                ..Timing::default()
            },
            workload: Workload {
                operations: self.operations,
                start_ms: 500,
                keys: self.keys,
                delete: 1,
                ..Workload::default()
            },
            messages: self.messages,
            faults: self.faults.clone(),
            nemesis: None,
            expect: BTreeMap::new(),
            subject: None,
            explicit: None,
        }
    }

    fn run(&self, system: System) -> Run {
        run(&self.scenario(), system, self.seed, &Options::default()).expect("a generated scenario is valid")
    }
}

fn node(index: u16) -> Target {
    Target(format!("n{}", index + 1))
}

fn layouts() -> impl Strategy<Value = Vec<u16>> {
    prop_oneof![Just(vec![3]), Just(vec![1, 1, 1]), Just(vec![3, 2]), Just(vec![2, 2, 1])]
}

/// A split of the nodes into two groups, neither of them empty.
fn halves(nodes: u16) -> impl Strategy<Value = (Vec<Target>, Vec<Target>)> {
    (1u16..(1 << nodes) - 1).prop_map(move |bits| {
        let side = |wanted: u16| (0..nodes).filter(|index| bits >> index & 1 == wanted).map(node).collect();
        (side(0), side(1))
    })
}

fn role_or_node(nodes: u16) -> impl Strategy<Value = Target> {
    prop_oneof![Just(Target("@leader".into())), Just(Target("@follower".into())), (0..nodes).prop_map(node)]
}

fn fault_kinds(nodes: u16) -> impl Strategy<Value = FaultKind> {
    let chaos = (0u32..200_000, 0u32..300_000, 1u64..300, 0u32..200_000).prop_map(
        |(loss_ppm, reorder_ppm, reorder_ms, duplicate_ppm)| Chaos {
            loss_ppm,
            reorder_ppm,
            reorder_ms,
            duplicate_ppm,
            jitter_ms: 2,
        },
    );
    let ring = Just((0..nodes).map(node).collect::<Vec<_>>()).prop_shuffle();
    prop_oneof![
        3 => halves(nodes).prop_map(|(one, other)| Partition { groups: vec![one, other] }.into()),
        3 => halves(nodes).prop_map(|(from, to)| OneWay { from, to }.into()),
        1 => ring.prop_map(|order| MajoritiesRing { order }.into()),
        2 => (role_or_node(nodes), any::<bool>())
            .prop_map(|(target, from_clients)| Isolate { target, from_clients }.into()),
        1 => (halves(nodes), 200u64..900, 200u64..900).prop_map(|((one, other), down_ms, up_ms)| {
            Flapping { groups: vec![one, other], down_ms, up_ms }.into()
        }),
        1 => (halves(nodes), 10u64..300).prop_map(|((a, b), extra_ms)| kinds::Latency { a, b, extra_ms }.into()),
        1 => halves(nodes).prop_map(|(a, b)| Hold { a, b }.into()),
        2 => chaos.prop_map(|chaos| Messages { from: vec![], to: vec![], kinds: vec![], chaos }.into()),
        3 => role_or_node(nodes).prop_map(|target| Kill { target }.into()),
        1 => role_or_node(nodes).prop_map(|target| Pause { target }.into()),
    ]
}

fn faults(nodes: u16, most: usize) -> impl Strategy<Value = Vec<Fault>> {
    let fault = (1_000u64..6_500, 200u64..3_500, fault_kinds(nodes)).prop_map(|(at_ms, for_ms, kind)| Fault {
        at_ms,
        for_ms: Some(for_ms.min(DURATION_MS - at_ms)),
        kind,
        when: None,
    });
    vec(fault, 0..=most).prop_map(|mut faults| {
        faults.sort_by_key(|fault| fault.at_ms);
        faults
    })
}

fn baseline() -> impl Strategy<Value = Chaos> {
    (0u32..30_000, 0u32..100_000, 0u32..60_000, 0u64..4).prop_map(
        |(loss_ppm, reorder_ppm, duplicate_ppm, jitter_ms)| Chaos {
            loss_ppm,
            reorder_ppm,
            reorder_ms: 60,
            duplicate_ppm,
            jitter_ms,
        },
    )
}

fn any_case() -> impl Strategy<Value = Case> {
    case_on(layouts())
}

/// Faults that fit the sites.
fn case_on(sites: impl Strategy<Value = Vec<u16>>) -> impl Strategy<Value = Case> {
    sites.prop_flat_map(|sites| {
        let nodes = sites.iter().sum();
        (Just(sites), faults(nodes, 6), baseline(), 80u32..400, 2u32..6, any::<u64>()).prop_map(
            |(sites, faults, messages, operations, keys, seed)| Case {
                sites,
                faults,
                messages,
                operations,
                keys,
                seed,
            },
        )
    })
}

/// Draws this many cases from a seed. Nothing is written into the source tree.
fn runner(seed: u64, cases: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    // Shrinking runs the case again and again: bounded, since each run takes a moment.
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Runs a property on one generated case for each seed; a failing case is shrunk, written, and named.
fn for_each_seed(
    test: &str,
    default: u64,
    cases: impl Strategy<Value = Case>,
    system: System,
    holds: impl Fn(&Run) -> Result<(), String>,
) {
    let rotted = crate::regressions::rotted();
    assert!(rotted.is_empty(), "kept runs first: {}", rotted.join("\n"));
    let seeds: Vec<u64> = match std::env::var(SEED) {
        Ok(text) => vec![parse_seed(&text).expect("SCHISM_SEED is a seed")],
        Err(_) => Seeds::from_environment(default).expect("SCHISM_SEEDS is a range or a count").iter().collect(),
    };
    for seed in seeds {
        let outcome = runner(seed, 1).run(&cases, |case| holds(&case.run(system)).map_err(TestCaseError::fail));
        if let Err(TestError::Fail(reason, case)) = outcome {
            let run = case.run(system);
            let folder = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
            let file = Path::new(&folder).join("schism").join(format!("{test}-{seed}.toml"));
            recording::save(&run, &file).expect("the target folder is writable");
            panic!(
                "{reason}\nshrunk to {} faults, {} operations on {:?} nodes\n\
                 SCHISM_SEED={seed} cargo test -p schism --test schism -- --exact properties::{test}\n\
                 schism replay {}",
                case.faults.len(),
                case.operations,
                case.sites,
                file.display()
            );
        }
    }
}

fn is_clean(run: &Run) -> Result<(), String> {
    match run.outcome.violations.first() {
        None => Ok(()),
        Some(violation) => Err(format!("{}: {}", violation.check.name(), violation.certificate.sentence)),
    }
}

#[test]
fn raft_never_violates_anything_under_any_mixture_of_faults() {
    for_each_seed("raft_never_violates_anything_under_any_mixture_of_faults", 40, any_case(), System::Raft, is_clean);
}

#[test]
fn raft_is_safe_and_live_under_message_chaos_alone() {
    let cases = any_case().prop_map(|case| Case { faults: Vec::new(), ..case });
    for_each_seed("raft_is_safe_and_live_under_message_chaos_alone", 10, cases, System::Raft, is_clean);
}

const TWO_SITES: [u16; 2] = [3, 2];

fn two_sites(case: Case) -> Case {
    Case { sites: TWO_SITES.to_vec(), operations: case.operations.max(200), ..case }
}

#[test]
fn dual_primary_is_linearizable_in_health() {
    // Lost, late and duplicated messages, but never silence long enough to be taken for death.
    let cases = any_case().prop_map(|case| two_sites(Case { faults: Vec::new(), ..case }));
    for_each_seed("dual_primary_is_linearizable_in_health", 20, cases, System::DualPrimary, is_clean);
}

#[test]
fn dual_primary_forks_or_loses_under_a_cut_longer_than_its_takeover() {
    let cut = (1_000u64..2_000, ELECTION_MAX_MS + 2_500..4_500).prop_map(|(at_ms, for_ms)| Fault {
        at_ms,
        for_ms: Some(for_ms),
        kind: Partition { groups: vec![vec![Target("s1".into())], vec![Target("s2".into())]] }.into(),
        when: None,
    });
    let cases = (any_case(), cut).prop_map(|(case, cut)| two_sites(Case { faults: vec![cut], ..case }));
    for_each_seed(
        "dual_primary_forks_or_loses_under_a_cut_longer_than_its_takeover",
        15,
        cases,
        System::DualPrimary,
        |run| {
            let broke = run.outcome.violates(CheckName::SplitBrain) || run.outcome.violates(CheckName::LostWrite);
            if broke { Ok(()) } else { Err("neither a fork nor a lost write".into()) }
        },
    );
}

#[test]
fn a_failing_case_shrinks_to_a_short_schedule() {
    // The same search that guards Raft, applied to a system that does fork.
    let cases = case_on(Just(TWO_SITES.to_vec())).prop_map(two_sites);
    let outcome =
        runner(3, 50).run(&cases, |case| is_clean(&case.run(System::DualPrimary)).map_err(TestCaseError::fail));
    match outcome {
        Err(TestError::Fail(_, case)) => assert!(case.faults.len() <= 2, "shrunk only to {:?}", case.faults),
        other => panic!("dual-primary survived 50 mixtures of faults: {other:?}"),
    }
}

/// Whether a request of this kind was handled by a node that had already moved to a higher term than the
/// sender had when it sent it.
fn handles_stale(run: &Run, kind: MessageKind) -> bool {
    let mut terms: BTreeMap<HostId, u64> = BTreeMap::new();
    let mut sent_in = BTreeMap::new();
    run.trace.events.iter().any(|event| {
        let term = terms.entry(event.host).or_default();
        match event.what {
            What::Vote { term: now, .. } => *term = now,
            What::Send { message, class, .. } if class == kind => {
                sent_in.insert(message, *term);
            }
            What::Deliver { message, class, .. } if class == kind => {
                return sent_in.get(&message).is_some_and(|sent| *term > *sent);
            }
            _ => {}
        }
        false
    })
}

#[test]
fn stale_append_entries_and_votes_reach_openraft() {
    let chaos = schism::scenario::load("chaos").unwrap();
    let runs = (0..8).map(|seed| run(&chaos, System::Raft, seed, &Options::default()).unwrap());
    let (mut append, mut vote) = (false, false);
    for run in runs {
        append |= handles_stale(&run, MessageKind::AppendEntries);
        vote |= handles_stale(&run, MessageKind::Vote);
        if append && vote {
            return;
        }
    }
    panic!("in 8 seeds: stale AppendEntries handled: {append}, stale Vote handled: {vote}");
}

#[test]
fn the_fence_closes_a_race_that_breaks_log_matching() {
    let scenario = schism::scenario::load("deposed-leader").unwrap();
    // About one seed in twenty takes this course.
    let breaks = |system| {
        let run = |seed| run(&scenario, system, seed, &Options::default()).unwrap();
        (0..100).any(|seed| run(seed).outcome.violates(CheckName::LogMatching))
    };
    assert!(breaks(System::Bugged(Bug::RaftUnfenced.into())), "openraft without the fence breaks log matching");
    assert!(!breaks(System::Raft));
}

#[test]
fn a_leader_is_seen_as_primary_exactly_once_per_term() {
    let case =
        Case { sites: vec![3], faults: Vec::new(), messages: Chaos::default(), operations: 100, keys: 2, seed: 1 };
    let run = case.run(System::Raft);
    let primaries =
        run.trace.events.iter().filter(|event| matches!(event.what, What::Role { role: Role::Primary, .. }));
    assert_eq!(primaries.count(), 1);
}
