//! Generates the client script from a workload and a seed.

use super::{ScriptedOp, Workload};
use crate::kv::{Key, Op};
use crate::rng;
use rand::RngCore;
use rand::seq::SliceRandom;

/// The open-loop script of `clients` clients until `until_ms`.
///
/// Planned times are spread evenly, each jittered within its slot. The clients take turns, in a new order every round.
/// Each client goes through a shuffled deck of all keys, again and again. The value that an operation writes is its id,
/// so values are unique in the run and never 0.
pub fn generate(workload: &Workload, clients: u32, until_ms: u64, seed: u64) -> Vec<ScriptedOp> {
    let mut stream = rng::stream(seed, "script");
    let start_us = workload.start_ms * 1000;
    let window_us = (until_ms * 1000).saturating_sub(start_us);
    let operations = u64::from(workload.operations);
    let slot_start = |index: u64| start_us + window_us * index / operations;
    let mut turns: Vec<u32> = Vec::new();
    let mut decks: Vec<Vec<u32>> = vec![Vec::new(); clients as usize];
    let mut script = Vec::with_capacity(workload.operations as usize);
    for index in 0..workload.operations {
        if turns.is_empty() {
            turns = (0..clients).collect();
            turns.shuffle(&mut stream);
        }
        let client = turns.pop().expect("there is at least one client");
        let deck = &mut decks[client as usize];
        if deck.is_empty() {
            deck.extend(0..workload.keys);
            deck.shuffle(&mut stream);
        }
        let key = Key(deck.pop().expect("there is at least one key"));
        let (from_us, to_us) = (slot_start(u64::from(index)), slot_start(u64::from(index) + 1));
        let at_us = from_us + rng::below(stream.next_u64(), to_us - from_us);
        let id = index + 1;
        let op = operation(workload, key, u64::from(id), stream.next_u64());
        script.push(ScriptedOp { id, client, at_us, op, fixed_expectation: false });
    }
    script
}

fn operation(workload: &Workload, key: Key, value: u64, draw: u64) -> Op {
    let Workload { get, put, delete, cas, .. } = *workload;
    let [get, put, delete, cas] = [get, put, delete, cas].map(u64::from);
    let at = rng::below(draw, get + put + delete + cas);
    if at < get {
        Op::Get { key }
    } else if at < get + put {
        Op::Put { key, value }
    } else if at < get + put + delete {
        Op::Delete { key }
    } else {
        Op::Cas { key, expected: None, new: value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::transaction::Consistency;
    use std::collections::{BTreeMap, BTreeSet};

    const WORKLOAD: Workload = Workload {
        operations: 997,
        start_ms: 2000,
        keys: 7,
        get: 4,
        put: 3,
        delete: 1,
        cas: 2,
        consistency: Consistency::StrictSerializable,
    };

    #[test]
    fn a_script_is_ordered_unique_and_fair() {
        let script = generate(&WORKLOAD, 6, 30_000, 11);
        assert_eq!(script.len(), 997);
        assert!(script.windows(2).all(|pair| pair[0].id + 1 == pair[1].id && pair[0].at_us <= pair[1].at_us));
        assert!(script.iter().all(|op| (2_000_000..30_000_000).contains(&op.at_us)));
        let values: Vec<u64> = script.iter().filter_map(|op| op.op.written()).collect();
        assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), values.len());
        assert!(!values.contains(&0));
        let mut by_client: BTreeMap<u32, Vec<&ScriptedOp>> = BTreeMap::new();
        script.iter().for_each(|op| by_client.entry(op.client).or_default().push(op));
        assert_eq!(by_client.len(), 6);
        for ops in by_client.values() {
            assert!((166..=167).contains(&ops.len()), "round-robin is fair, got {}", ops.len());
            assert_eq!(
                ops.iter().map(|op| op.op.key()).collect::<BTreeSet<_>>().len(),
                7,
                "every client uses all keys"
            );
        }
    }

    #[test]
    fn the_mix_follows_the_weights() {
        let script = generate(&Workload { operations: 10_000, ..WORKLOAD }, 6, 30_000, 11);
        let count = |wanted: fn(&Op) -> bool| script.iter().filter(|op| wanted(&op.op)).count();
        assert!((3_800..4_200).contains(&count(|op| matches!(op, Op::Get { .. }))));
        assert!((2_800..3_200).contains(&count(|op| matches!(op, Op::Put { .. }))));
        assert!((900..1_100).contains(&count(|op| matches!(op, Op::Delete { .. }))));
        assert!((1_850..2_150).contains(&count(|op| matches!(op, Op::Cas { .. }))));
        let only = |get, put, delete, cas| Workload { get, put, delete, cas, ..WORKLOAD };
        let script = generate(&only(0, 0, 0, 1), 2, 30_000, 1);
        assert!(script.iter().all(|op| matches!(op.op, Op::Cas { expected: None, .. }) && !op.fixed_expectation));
    }

    #[test]
    fn planned_times_are_spread_evenly() {
        let script = generate(&Workload { operations: 1000, ..WORKLOAD }, 3, 12_000, 5);
        for (second, expected) in (2..12).map(|second| (second, 100)) {
            let planned = script.iter().filter(|op| op.at_us / 1_000_000 == second).count();
            assert_eq!(planned, expected, "second {second}");
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        assert_eq!(generate(&WORKLOAD, 4, 9_000, 3), generate(&WORKLOAD, 4, 9_000, 3));
        assert_ne!(generate(&WORKLOAD, 4, 9_000, 3), generate(&WORKLOAD, 4, 9_000, 4));
    }
}
