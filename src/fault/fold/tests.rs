use super::*;
use crate::fault::draw::Draw;
use crate::fault::kinds::tests::{both, cuts, target, targets};
use crate::fault::kinds::{Flapping, Hold, Isolate, Kill, Latency, MajoritiesRing, Messages, OneWay, Partition, Pause};
use crate::fault::model::Fault;
use crate::fault::ranges::Ranges;
use crate::fault::topology::Target;
use crate::fault::topology::tests::two_sites;
use proptest::prelude::*;

fn active(kinds: Vec<FaultKind>) -> Active {
    let faults = kinds.into_iter().map(|kind| Fault { at_ms: 0, for_ms: None, kind, when: None }).collect();
    Active::new(&two_sites(), &Schedule { faults }, Chaos::default(), 1000).unwrap()
}

#[test]
fn cut_wins_over_hold_and_hold_over_delay() {
    let ends = || (targets(&["n1"]), targets(&["n2"]));
    let ((a, b), (c, d), (e, f)) = (ends(), ends(), ends());
    let mut active = active(vec![
        Latency { a, b, extra_ms: 7 }.into(),
        Latency { a: c, b: d, extra_ms: 5 }.into(),
        Hold { a: e, b: f }.into(),
        Partition { groups: vec![targets(&["n1"]), targets(&["n2"])] }.into(),
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
    let kill = |name| Kill { target: target(name) }.into();
    let mut active =
        active(vec![kill("n4"), kill("west.nodes"), Pause { target: target("n4") }.into(), kill("@leader")]);
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
    let flapping = Flapping { groups: vec![targets(&["n1"]), targets(&["n2", "n3"])], down_ms: 10, up_ms: 10 }.into();
    let mut active = active(vec![flapping, Partition { groups: vec![targets(&["n1"]), targets(&["n2"])] }.into()]);
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

/// A fault of any kind, as the nemesis draws it in [`two_sites`].
fn drawn() -> impl Strategy<Value = FaultKind> {
    (prop::sample::select(FaultKind::NAMES), any::<u64>())
        .prop_map(|(name, seed)| FaultKind::draw(name, &mut Draw::new(&two_sites(), &Ranges::default(), seed)))
}

/// Any fault that validates in [`two_sites`]: faults of links and processes with arbitrary hosts, and all kinds as
/// drawn.
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
        groups().prop_map(|groups| Partition { groups }.into()),
        pair.clone().prop_map(|(from, to)| OneWay { from, to }.into()),
        Just(MajoritiesRing { order: targets(&["n3", "n1", "n5", "n2", "n4"]) }.into()),
        groups().prop_map(|groups| Flapping { groups, down_ms: 10, up_ms: 10 }.into()),
        (prop_oneof![node.clone(), Just(target("@leader"))], any::<bool>())
            .prop_map(|(target, from_clients)| Isolate { target, from_clients }.into()),
        (pair.clone(), 1u64..100).prop_map(|((a, b), extra_ms)| Latency { a, b, extra_ms }.into()),
        pair.clone().prop_map(|(a, b)| Hold { a, b }.into()),
        (pair, kinds, chaos).prop_map(|((from, to), kinds, chaos)| Messages { from, to, kinds, chaos }.into()),
        prop_oneof![node.clone(), Just(target("@leader"))].prop_map(|target| Kill { target }.into()),
        node.prop_map(|target| Pause { target }.into()),
        drawn(),
    ]
}

proptest! {
    /// After any history of beginnings and ends, the state is that of the active faults.
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
        // And compared with what each fault does on its own, combined by hand.
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
