use super::*;
use crate::fault::model::Fault;
use crate::fault::topology::tests::two_sites;
use proptest::prelude::*;

fn targets(names: &[&str]) -> Vec<Target> {
    names.iter().map(|name| Target(name.to_string())).collect()
}

fn target(name: &str) -> Target {
    Target(name.into())
}

fn active(kinds: Vec<FaultKind>) -> Active {
    let faults = kinds.into_iter().map(|kind| Fault { at_ms: 0, for_ms: None, kind }).collect();
    Active::new(&two_sites(), &Schedule { faults }, Chaos::default(), 1000).unwrap()
}

fn begun(kind: FaultKind, resolved: Option<u16>) -> Active {
    let mut active = active(vec![kind]);
    active.begin(0, resolved.map(HostId));
    active
}

/// The links that are cut, as (from, to).
fn cuts(active: &Active) -> Vec<(u16, u16)> {
    let hosts = || 1..active.topology.hosts() as u16;
    hosts()
        .flat_map(|from| hosts().map(move |to| (from, to)))
        .filter(|(from, to)| active.link(HostId(*from), HostId(*to)).cut)
        .collect()
}

fn both(pairs: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut all: Vec<_> = pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_site_is_cut_with_its_clients() {
    let partition = begun(FaultKind::Partition { groups: vec![targets(&["east"]), targets(&["west"])] }, None);
    let across: Vec<(u16, u16)> =
        [1, 2, 3, 6].into_iter().flat_map(|east| [4, 5, 7].map(|west| (east, west))).collect();
    assert_eq!(cuts(&partition), both(&across));
}

#[test]
fn a_host_in_no_group_talks_to_all() {
    let partition = begun(FaultKind::Partition { groups: vec![targets(&["n1"]), targets(&["n2"])] }, None);
    assert_eq!(cuts(&partition), both(&[(1, 2)]));
}

#[test]
fn a_one_way_cut_leaves_the_other_direction() {
    let kind = FaultKind::OneWay { from: targets(&["@leader"]), to: targets(&["west.nodes"]) };
    assert_eq!(active(vec![kind.clone()]).role(0), Some(TargetRole::Leader));
    assert_eq!(cuts(&begun(kind.clone(), Some(2))), [(2, 4), (2, 5)]);
    // The leader within the other end is not cut from itself; a role that nobody holds cuts nothing.
    assert_eq!(cuts(&begun(kind.clone(), Some(4))), [(4, 5)]);
    assert_eq!(cuts(&begun(kind, None)), []);
}

#[test]
fn in_the_ring_every_node_hears_a_majority_and_no_two_the_same() {
    for nodes in 3u16..=9 {
        let shape = SiteShape { name: "all".into(), nodes, clients: true, witness: false };
        let topology = Topology::of([shape]);
        let order: Vec<Target> = topology.node_ids().map(|id| target(topology.name(id))).collect();
        let faults = vec![Fault { at_ms: 0, for_ms: None, kind: FaultKind::MajoritiesRing { order } }];
        let mut active = Active::new(&topology, &Schedule { faults }, Chaos::default(), 1000).unwrap();
        active.begin(0, None);
        let mut views: Vec<Vec<u16>> = Vec::new();
        for to in topology.node_ids() {
            let hears = topology.node_ids().filter(|from| !active.link(*from, to).cut).map(|from| from.0).collect();
            views.push(hears);
            let client = HostId(nodes + 1);
            assert!(!active.link(client, to).cut && !active.link(to, client).cut);
        }
        assert!(views.iter().all(|view| view.len() == usize::from(nodes / 2 + 1)), "{nodes}: {views:?}");
        assert!((0..views.len()).all(|index| views[index].contains(&(index as u16 + 1))));
        views.sort();
        views.dedup();
        assert_eq!(views.len(), usize::from(nodes));
    }
}

#[test]
fn a_ring_of_five_is_the_classic_one() {
    let ring = begun(FaultKind::MajoritiesRing { order: targets(&["n1", "n2", "n3", "n4", "n5"]) }, None);
    assert_eq!(cuts(&ring), both(&[(1, 3), (1, 4), (2, 4), (2, 5), (3, 5)]));
}

#[test]
fn a_bridge_keeps_its_middle() {
    let kind =
        FaultKind::Bridge { left: targets(&["n1", "n2"]), middle: target("n3"), right: targets(&["west.nodes"]) };
    assert_eq!(cuts(&begun(kind, None)), both(&[(1, 4), (1, 5), (2, 4), (2, 5)]));
}

#[test]
fn isolation_spares_clients_unless_told() {
    let isolate = |from_clients| FaultKind::Isolate { target: target("@leader"), from_clients };
    assert_eq!(cuts(&begun(isolate(false), Some(5))), both(&[(1, 5), (2, 5), (3, 5), (4, 5)]));
    let all = both(&[(1, 5), (2, 5), (3, 5), (4, 5), (5, 6), (5, 7)]);
    assert_eq!(cuts(&begun(isolate(true), Some(5))), all);
    let site = FaultKind::Isolate { target: target("west"), from_clients: false };
    let site = cuts(&begun(site, None));
    assert!(site.contains(&(4, 1)) && site.contains(&(7, 1)) && !site.contains(&(4, 5)) && !site.contains(&(6, 4)));
}

#[test]
fn cut_wins_over_hold_and_hold_over_delay() {
    let ends = || (targets(&["n1"]), targets(&["n2"]));
    let ((a, b), (c, d), (e, f)) = (ends(), ends(), ends());
    let mut active = active(vec![
        FaultKind::Latency { a, b, extra_ms: 7 },
        FaultKind::Latency { a: c, b: d, extra_ms: 5 },
        FaultKind::Hold { a: e, b: f },
        FaultKind::Partition { groups: vec![targets(&["n1"]), targets(&["n2"])] },
    ]);
    (0..4).for_each(|fault| active.begin(fault, None));
    let passage = |active: &Active| active.link(HostId(2), HostId(1)).passage();
    assert_eq!(passage(&active), Passage::Cut);
    active.end(3);
    assert_eq!(passage(&active), Passage::Held);
    active.end(2);
    assert_eq!(passage(&active), Passage::Open { extra_ns: 7_000_000 });
    active.end(0);
    assert_eq!(passage(&active), Passage::Open { extra_ns: 5_000_000 });
    active.end(1);
    assert_eq!(passage(&active), Passage::Open { extra_ns: 0 });
}

#[test]
fn a_process_stays_down_until_every_kill_has_ended() {
    let kill = |name| FaultKind::Kill { target: target(name) };
    let mut active =
        active(vec![kill("n4"), kill("west.nodes"), FaultKind::Pause { target: target("n4") }, kill("@leader")]);
    (0..3).for_each(|fault| active.begin(fault, None));
    active.begin(3, Some(HostId(1)));
    let states = |active: &Active| [1, 4, 5].map(|host| active.process(HostId(host)));
    use ProcessState::{Down, Paused, Running};
    assert_eq!(states(&active), [Down, Down, Down]);
    active.end(0);
    assert_eq!(states(&active), [Down, Down, Down]);
    active.end(1);
    assert_eq!(states(&active), [Down, Paused, Running]);
    active.end(3);
    active.end(2);
    assert_eq!(states(&active), [Running; 3]);
}

#[test]
fn flapping_comes_and_goes_without_touching_another_cut() {
    let flapping =
        FaultKind::Flapping { groups: vec![targets(&["n1"]), targets(&["n2", "n3"])], down_ms: 10, up_ms: 10 };
    let mut active = active(vec![flapping, FaultKind::Partition { groups: vec![targets(&["n1"]), targets(&["n2"])] }]);
    active.flap(0, true);
    assert_eq!(cuts(&active), [], "a flap of a fault that is not active does nothing");
    active.begin(0, None);
    active.begin(1, None);
    assert_eq!(cuts(&active), both(&[(1, 2), (1, 3)]));
    active.flap(0, false);
    assert_eq!(cuts(&active), both(&[(1, 2)]));
    active.flap(0, true);
    active.end(1);
    assert_eq!(cuts(&active), both(&[(1, 2), (1, 3)]));
}

#[test]
fn message_faults_add_to_the_baseline() {
    let baseline = Chaos { loss_ppm: 100_000, reorder_ppm: 0, reorder_ms: 5, duplicate_ppm: 0, jitter_ms: 1 };
    let chaos = Chaos { loss_ppm: 500_000, reorder_ppm: 1, reorder_ms: 3, duplicate_ppm: 1_000_000, jitter_ms: 2 };
    let kind = FaultKind::Messages {
        from: targets(&["n1"]),
        to: vec![],
        kinds: vec![MessageKind::Vote, MessageKind::Vote],
        chaos,
    };
    let faults = vec![Fault { at_ms: 0, for_ms: None, kind }];
    let mut active = Active::new(&two_sites(), &Schedule { faults }, baseline, 1000).unwrap();
    let at = |active: &Active, from, to, kind| active.chaos(HostId(from), HostId(to), kind);
    assert_eq!(at(&active, 1, 7, MessageKind::Vote), baseline);
    active.begin(0, None);
    let both = Chaos { loss_ppm: 550_000, reorder_ppm: 1, reorder_ms: 5, duplicate_ppm: 1_000_000, jitter_ms: 2 };
    assert_eq!(at(&active, 1, 7, MessageKind::Vote), both);
    assert_eq!(at(&active, 1, 7, MessageKind::VoteReply), baseline);
    assert_eq!(at(&active, 7, 1, MessageKind::Vote), baseline);
    active.end(0);
    assert_eq!(at(&active, 1, 7, MessageKind::Vote), baseline);
}

/// Any fault that validates in [`two_sites`].
fn any_kind() -> impl Strategy<Value = FaultKind> {
    let node = (1u16..=5).prop_map(|node| target(&format!("n{node}")));
    let some = proptest::sample::subsequence(vec!["n1", "n2", "n3", "n4", "n5", "east.clients", "west.clients"], 1..=4);
    let some = some.prop_map(|names| targets(&names));
    let groups = || {
        prop::collection::vec(0usize..3, 7).prop_filter_map("two groups", |groups| {
            let hosts = ["n1", "n2", "n3", "n4", "n5", "east.clients", "west.clients"];
            let group = |wanted| -> Vec<Target> {
                let members = hosts.iter().zip(&groups).filter(|(_, group)| **group == wanted);
                members.map(|(host, _)| target(host)).collect()
            };
            let (left, right) = (group(0), group(1));
            (!left.is_empty() && !right.is_empty()).then(|| vec![left, right])
        })
    };
    let chaos = (0u32..=1_000_000, 0u32..=1_000_000, 1u64..50, 0u32..=1_000_000, 1u64..5).prop_map(
        |(loss_ppm, reorder_ppm, reorder_ms, duplicate_ppm, jitter_ms)| Chaos {
            loss_ppm,
            reorder_ppm,
            reorder_ms,
            duplicate_ppm,
            jitter_ms,
        },
    );
    let kinds = proptest::sample::subsequence(MessageKind::ALL.to_vec(), 0..=MessageKind::ALL.len());
    let pair = (some.clone(), some.clone());
    prop_oneof![
        groups().prop_map(|groups| FaultKind::Partition { groups }),
        pair.clone().prop_map(|(from, to)| FaultKind::OneWay { from, to }),
        Just(FaultKind::MajoritiesRing { order: targets(&["n3", "n1", "n5", "n2", "n4"]) }),
        groups().prop_map(|groups| FaultKind::Flapping { groups, down_ms: 10, up_ms: 10 }),
        (prop_oneof![node.clone(), Just(target("@leader"))], any::<bool>())
            .prop_map(|(target, from_clients)| FaultKind::Isolate { target, from_clients }),
        (pair.clone(), 1u64..100).prop_map(|((a, b), extra_ms)| FaultKind::Latency { a, b, extra_ms }),
        pair.clone().prop_map(|(a, b)| FaultKind::Hold { a, b }),
        (pair, kinds, chaos).prop_map(|((from, to), kinds, chaos)| FaultKind::Messages { from, to, kinds, chaos }),
        prop_oneof![node.clone(), Just(target("@leader"))].prop_map(|target| FaultKind::Kill { target }),
        node.prop_map(|target| FaultKind::Pause { target }),
    ]
}

proptest! {
    /// Whatever the history of beginnings and ends, the state is that of the faults that are active.
    #[test]
    fn the_state_is_a_function_of_the_active_set(
        kinds in prop::collection::vec(any_kind(), 1..8),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 0..40),
    ) {
        let fresh = active(kinds);
        let faults = fresh.engaged.len();
        let mut lived = fresh.clone();
        let mut state: Vec<Option<bool>> = vec![None; faults];
        for (index, step) in &steps {
            let index = index.index(faults);
            match step {
                // Beginnings are as common as ends, so that sets of every size occur.
                0 => { lived.end(index as u32); state[index] = None; }
                1 if state[index].is_some() => { lived.flap(index as u32, false); state[index] = Some(true); }
                _ => { lived.begin(index as u32, Some(HostId(3))); state[index] = Some(false); }
            }
        }
        // The same set, begun at once in the opposite order.
        let mut direct = fresh.clone();
        for (index, dormant) in state.iter().enumerate().rev() {
            if let Some(dormant) = dormant {
                direct.begin(index as u32, Some(HostId(3)));
                if *dormant { direct.flap(index as u32, false); }
            }
        }
        prop_assert_eq!(&lived, &direct);
        // And what each fault does on its own, put together by hand.
        let alone: Vec<Active> = (0..faults).filter(|index| state[*index] == Some(false)).map(|index| {
            let mut alone = fresh.clone();
            alone.begin(index as u32, Some(HostId(3)));
            alone
        }).collect();
        for (from, to) in (1..=7).flat_map(|from| (1..=7).map(move |to| (HostId(from), HostId(to)))) {
            let links = || alone.iter().map(|alone| alone.link(from, to));
            prop_assert_eq!(lived.link(from, to), LinkState {
                cut: links().any(|link| link.cut),
                hold: links().any(|link| link.hold),
                extra_ns: links().map(|link| link.extra_ns).max().unwrap_or(0),
            });
            let processes = alone.iter().map(|alone| alone.process(from));
            prop_assert_eq!(lived.process(from), processes.max().unwrap_or_default());
        }
        prop_assert_eq!(lived.faults().count(), state.iter().flatten().count());
        for (index, on) in state.iter().enumerate() {
            if on.is_some() { lived.end(index as u32); }
        }
        prop_assert_eq!(lived, fresh);
    }
}
