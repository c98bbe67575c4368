//! The embedded scenarios are sound, and every scenario survives its own file.

use proptest::prelude::*;
use schism::fault::aim::Moment;
use schism::fault::chaos::{Act, ActKind, Place};
use schism::fault::check::Check;
use schism::fault::draw::Draw;
use schism::fault::field::Holds;
use schism::fault::fold::{Active, SiteShape, Timeline, Topology};
use schism::fault::kinds::{Messages, OneWay, Partition};
use schism::fault::model::{Chaos, Fault, FaultKind, Target};
use schism::fault::ranges::Ranges;
use schism::kv::transaction::Consistency;
use schism::kv::{Key, Op};
use schism::scenario::{
    AvailabilityBound, Between, Expectation, Explicit, Latency, Nemesis, Recorded, Safety, Scenario, ScriptedOp, Site,
    Situation, SubjectProgram, Timing, Workload, catalogue, embedded, load, materialise,
};
use schism::systems::System;
use schism::trace::digest::Digest;
use schism::trace::{HostId, MessageKind};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Scenarios about what dual-primary has not: data on its host's disk, a leader whose reads could be cheaper; and those
/// that compare other rungs of the ladder.
const WITHOUT_DUAL_PRIMARY: [&str; 7] =
    ["stale-reads", "power-loss", "failover", "clock-drift", "concurrent-cas", "zoo", "swarm"];

fn all() -> impl Iterator<Item = (&'static str, Scenario)> {
    embedded().iter().map(|(name, text)| {
        let file = format!("sims/{name}.toml");
        (*name, Scenario::parse_for(&file, text, Some(&System::names())).unwrap())
    })
}

#[test]
fn every_embedded_scenario_tells_its_story_and_says_what_it_expects() {
    assert_eq!(all().map(|(_, scenario)| scenario).collect::<Vec<_>>(), catalogue());
    assert_eq!(all().count(), 18);
    for (name, scenario) in all() {
        assert_eq!(scenario.name, name);
        assert!(scenario.story.lines().count() >= 8, "{name} tells a story");
        assert!(scenario.story.contains("Watch for"), "{name} says what to watch for");
        assert!(
            scenario.expect.contains_key("dual-primary") || WITHOUT_DUAL_PRIMARY.contains(&name),
            "{name} compares"
        );
        assert!(scenario.expect.len() >= 2, "{name} compares");
        for (system, expectation) in &scenario.expect {
            assert!(expectation.because.ends_with('.'), "{name} says why {system} does what it does");
        }
        assert_eq!(scenario.expect["raft"].safety, Safety::Holds);
        assert!(scenario.workload.cas > 0 && scenario.workload.get > 0, "{name} has cas and reads");
        assert_eq!(load(name).unwrap(), scenario);
    }
}

#[test]
fn the_files_in_sims_are_the_embedded_ones() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sims");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    assert_eq!(files, embedded().iter().map(|(name, _)| name.to_string()).collect());
}

#[test]
fn every_embedded_scenario_survives_its_own_file() {
    for (name, scenario) in all() {
        let text = scenario.to_toml();
        let again = Scenario::parse(name, &text).unwrap();
        assert_eq!(again, scenario);
        assert_eq!(again.to_toml(), text, "canonical text is a fixed point");
    }
}

#[test]
fn materialising_is_deterministic_and_fits_the_topology() {
    for (name, scenario) in all() {
        let topology = scenario.topology();
        for seed in [0, 1, 42, u64::MAX] {
            let run = materialise(&scenario, seed);
            assert_eq!(run, materialise(&scenario, seed));
            assert!(run.acts.is_none());
            assert_eq!(run.script.len(), scenario.workload.operations as usize);
            assert!(run.schedule.faults.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
            assert!(run.schedule.all_end(), "{name} gives the cluster back");
            let duration_ms = scenario.timing.duration_ms;
            let mut active = Active::new(&topology, &run.schedule, scenario.messages, duration_ms).unwrap();
            let idle = active.clone();
            for edge in &Timeline::of(&run.schedule, duration_ms).edges {
                active.apply(edge, Some(HostId(1)));
            }
            assert_eq!(active, idle, "{name} is whole again after its last fault");
        }
        assert_ne!(materialise(&scenario, 1).script, materialise(&scenario, 2).script);
    }
}

#[test]
fn cuts_of_the_headline_scenarios_outlast_the_takeover() {
    for name in ["split-brain", "split-brain-witness", "five-data-centres"] {
        let scenario = load(name).unwrap();
        let longest = scenario.faults.iter().filter(|fault| fault.kind.is_cut()).filter_map(|fault| fault.for_ms).max();
        assert!(longest.unwrap() > 3 * scenario.takeover_ms(), "{name}");
    }
}

#[test]
fn chaos_is_as_large_as_it_claims() {
    let chaos = load("chaos").unwrap();
    assert_eq!(chaos.sites.iter().map(|site| site.nodes).sum::<u16>(), 5);
    assert!(chaos.timing.duration_ms >= 60_000 && chaos.workload.operations >= 5_000);
    for seed in 0..50 {
        let faults = materialise(&chaos, seed).schedule.faults;
        let process_or_link = faults.iter().filter(|fault| !matches!(fault.kind, FaultKind::Messages { .. }));
        assert!(process_or_link.count() >= 8);
    }
}

#[test]
fn a_materialised_run_of_five_thousand_operations_is_readable_and_quick_to_read() {
    let mut chaos = load("chaos").unwrap();
    let run = materialise(&chaos, 7);
    let operations = run.script.len();
    chaos.explicit = Some(Explicit {
        seed: u64::MAX,
        system: "raft".into(),
        schedule: run.schedule.faults.clone(),
        script: run.script.clone(),
        acts: None,
        verdict: Recorded { verdict: "pass".into(), checks: Vec::new(), digest: Digest(1) },
    });
    let text = chaos.to_toml();
    assert!(text.lines().all(|line| line.len() <= 400), "no line is endless");
    let rows = text.lines().filter(|line| line.starts_with("  [") && line.len() < 60).count();
    assert!(rows >= operations, "one short line an operation");
    let quickest = (0..5).map(|_| {
        let start = Instant::now();
        assert_eq!(Scenario::parse("chaos-explicit", &text).unwrap(), chaos);
        start.elapsed()
    });
    let quickest = quickest.min().unwrap();
    assert!(quickest < Duration::from_millis(100), "took {quickest:?}");
    // Explicit: neither the seed nor the generators matter any more.
    assert_eq!(materialise(&chaos, 99), run);
}

#[test]
fn latencies_are_looked_up_by_site_both_ways() {
    let world = load("five-data-centres").unwrap();
    let topology = world.topology();
    let at = |a: &str, b: &str| world.one_way_ns(&topology, topology.host(a).unwrap(), topology.host(b).unwrap());
    assert_eq!(at("n1", "n5"), 115_000_000);
    assert_eq!(at("n5", "n1"), 115_000_000);
    assert_eq!(at("n5", "frankfurt.clients"), 115_000_000);
    assert_eq!(at("n1", "frankfurt.clients"), 5_000_000);
    assert_eq!(load("chaos").unwrap().latency.one_way_ms("west", "east"), 10);
}

fn any_chaos() -> impl Strategy<Value = Chaos> {
    (0u32..=1_000_000, 0u32..=1_000_000, 1u64..500, 0u32..=1_000_000, 1u64..50).prop_map(
        |(loss_ppm, reorder_ppm, reorder_ms, duplicate_ppm, jitter_ms)| Chaos {
            loss_ppm,
            reorder_ppm,
            reorder_ms,
            duplicate_ppm,
            jitter_ms,
        },
    )
}

fn targets(names: &[&str]) -> Vec<Target> {
    names.iter().map(|name| Target(name.to_string())).collect()
}

/// The sites of [`any_scenario`].
fn any_sites() -> Topology {
    let site = |name: &str, nodes, clients| SiteShape { name: name.into(), nodes, clients, witness: false };
    Topology::of([site("a", 3, true), site("b", 3, true), site("c", 1, false)])
}

/// A fault of any kind as the nemesis draws it, but with numbers from all of what is allowed.
fn any_drawn() -> impl Strategy<Value = FaultKind> {
    let numbers = prop::collection::vec((any::<bool>(), 0.0..=1.0f64), 8);
    (prop::sample::select(FaultKind::NAMES), any::<u64>(), numbers).prop_map(|(name, seed, numbers)| {
        let sites = any_sites();
        let mut kind = FaultKind::draw(name, &mut Draw::new(&sites, &Ranges::default(), seed));
        for (field, (is_changed, share)) in kind.sort().fields.iter().zip(numbers) {
            let Holds::Number { least, most } = field.holds else { continue };
            // Written as a share, so that no range is too wide.
            let value = least.saturating_add(((most as f64 - least as f64) * share) as i64).clamp(least, most);
            let mut object = serde_json::to_value(&kind).unwrap();
            object[field.name] = value.into();
            let changed: FaultKind = serde_json::from_value(object).unwrap();
            let check = Check { topology: &sites, role_takers: &[] };
            if is_changed && changed.check(&check).is_ok() {
                kind = changed;
            }
        }
        kind
    })
}

/// Faults that fit sites `a` and `b` of three nodes each, with clients, and `c` of one, in a run of 20 s.
fn any_fault() -> impl Strategy<Value = Fault> {
    let pair = || (Just(targets(&["a"])), Just(targets(&["b", "n2"])));
    let groups = || Just(vec![targets(&["n1", "b.clients"]), targets(&["n2", "n6"]), targets(&["a.clients"])]);
    let kinds = prop::sample::subsequence(MessageKind::ALL.to_vec(), 0..5);
    let kind = prop_oneof![
        6 => any_drawn(),
        1 => groups().prop_map(|groups| Partition { groups }.into()),
        1 => pair().prop_map(|(from, to)| OneWay { from, to }.into()),
        1 => (pair(), any::<bool>(), kinds, any_chaos()).prop_map(|((from, to), all, kinds, chaos)| {
            Messages { from: if all { Vec::new() } else { from }, to, kinds, chaos }.into()
        }),
    ];
    (0u64..10_000, prop::option::of(1u64..10_000), kind).prop_map(|(at_ms, for_ms, kind)| Fault {
        at_ms,
        for_ms,
        kind,
        when: None,
    })
}

fn any_script() -> impl Strategy<Value = Vec<ScriptedOp>> {
    let op = (0u32..9, 0u8..4, prop::option::of(any::<u64>()), any::<bool>(), 0u32..4, 0u64..1000);
    prop::collection::vec(op, 0..30).prop_map(|ops| {
        let mut at_us = 0;
        let ops = ops.into_iter().enumerate().map(|(index, (key, verb, expected, fixed, client, gap))| {
            at_us += gap;
            let (key, value) = (Key(key), index as u64 + 1);
            let op = match verb {
                0 => Op::Get { key },
                1 => Op::Put { key, value },
                2 => Op::Delete { key },
                _ => Op::Cas { key, expected, new: value },
            };
            let fixed_expectation = fixed && verb == 3;
            ScriptedOp { id: index as u32 * 2, client, at_us, op, fixed_expectation }
        });
        ops.collect()
    })
}

fn any_act() -> impl Strategy<Value = Act> {
    let kind = prop::sample::select(MessageKind::ALL.to_vec());
    let n = prop_oneof![0u64..100_000, (any::<u32>(), 0u64..9).prop_map(|(op, attempt)| u64::from(op) << 32 | attempt)];
    let what = prop::sample::select(vec![ActKind::Lose, ActKind::Delay, ActKind::Duplicate]);
    (1u16..=8, 1u16..=8, kind, n, what, 1u64..1_000_000).prop_map(|(from, to, kind, n, what, us)| Act {
        place: Place { from: HostId(from), to: HostId(to), kind, n },
        what,
        us: if what == ActKind::Lose { 0 } else { us },
    })
}

prop_compose! {
    fn any_explicit()(
        seed in any::<u64>(),
        schedule in prop::collection::vec(any_fault(), 0..5),
        script in any_script(),
        acts in prop::option::of(prop::collection::vec(any_act(), 0..20)),
        digest in any::<u128>(),
        checks in prop::collection::vec("[a-z_]{1,12}", 0..3),
    ) -> Explicit {
        let verdict = Recorded { verdict: "violation".into(), checks, digest: Digest(digest) };
        Explicit { seed, system: "dual-primary".into(), schedule, script, acts, verdict }
    }
}

prop_compose! {
    fn any_scenario()(
        name in "[a-z][a-z0-9-]{0,20}",
        title in "[a-zA-Z\"'\\\\é#][^\\n\\r]{0,30}",
        story in "(?s).{0,120}",
        clients in 1u16..4,
        witness in any::<bool>(),
        latency in (5u64..20, 5u64..200, prop::option::of(5u64..100)),
        timing in (1u64..=5, 1u64..300, 301u64..600, 601u64..2000, prop::option::of(1u64..9000)),
        weights in (0u32..9, 0u32..9, 0u32..9, 1u32..9),
        messages in any_chaos(),
        faults in prop::collection::vec(any_fault(), 0..6),
        nemesis in prop::option::of((1u32..20, prop::sample::subsequence(FaultKind::NAMES[..13].to_vec(), 0..5))),
        bound in (0.0..0.5f64, 0.5..=1.0f64),
        safety in prop::sample::select(vec![Safety::Holds, Safety::SplitBrain, Safety::Violated, Safety::MayBreak]),
        live in prop::option::of(any::<bool>()),
        explicit in prop::option::of(any_explicit()),
    ) -> Scenario {
        let site = |name: &str, nodes, clients, witness| Site { name: name.into(), nodes, clients, witness };
        let (local_ms, wan_ms, between) = latency;
        let between = between.map(|ms| Between { a: "b".into(), b: "a".into(), ms }).into_iter().collect();
        let (tick_ms, heartbeat_ms, election_min_ms, election_max_ms, takeover_after_ms) = timing;
        let nemesis = nemesis.map(|(faults, kinds)| Nemesis {
            faults,
            start_ms: 1000,
            until_ms: 20_000,
            min_ms: 1,
            max_ms: 19_000,
            // One that is left out, one that is not.
            ranges: Ranges { drift_ppm: 600_000 - u64::from(faults % 2), ..Ranges::default() },
            aimed_percent: 30,
            kinds: kinds.into_iter().map(str::to_string).collect(),
        });
        let (get, put, delete, cas) = weights;
        let consistency = if witness { Consistency::Serializable } else { Consistency::default() };
        let availability = vec![
            AvailabilityBound { site: "a".into(), at_least: Some(bound.0), at_most: Some(bound.1) },
            AvailabilityBound { site: "b".into(), at_least: None, at_most: Some(1.0) },
        ];
        let expectation = Expectation { safety, live, because: "So.".into(), availability };
        Scenario {
            subject: Some(SubjectProgram { nodes: "python3 'my raft.py'".into(), service: "echo".into() }),
            situations: vec![Situation::SnapshotInstalled],
            swarm: None,
            snapshot_entries: None,
            kept_entries: None,
            disk_bytes: None,
            version: 1,
            name,
            title,
            story,
            sites: vec![site("a", 3, clients, false), site("b", 3, 4, false), site("c", 1, 0, witness)],
            latency: Latency { local_ms, wan_ms, between },
            timing: Timing {
                tick_ms,
                duration_ms: 20_000,
                heartbeat_ms,
                election_min_ms,
                election_max_ms,
                takeover_after_ms,
                ..Timing::default()
            },
            workload: Workload { operations: 77, start_ms: 0, keys: 3, get, put, delete, cas, consistency },
            messages,
            faults,
            nemesis,
            expect: [("raft".to_string(), expectation)].into(),
            explicit,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_scenario_survives_its_own_file(scenario in any_scenario()) {
        let text = scenario.to_toml();
        let again = Scenario::parse("generated", &text);
        prop_assert!(again.is_ok(), "{:?}\n{text}", again);
        prop_assert_eq!(again.unwrap(), scenario);
    }
}

/// The tables of `docs/` name everything, and nothing else.
#[test]
fn the_documents_list_every_moment_every_fault_and_every_situation() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FAULTS.md")).unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let rows: Vec<String> = document.lines().filter_map(row).collect();
    let situations = Situation::ALL.iter().map(|situation| situation.name());
    let moments = Moment::ALL.iter().map(|moment| moment.name());
    let names: Vec<&str> = FaultKind::NAMES.iter().copied().chain(moments).chain(situations).collect();
    assert_eq!(rows, names);
}
