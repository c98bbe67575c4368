//! Reductions that leave out whole parts: what the explicit form replaces, acts, faults, operations, keys.

use super::search::{explicit, with_explicit};
use crate::fault::kind::Family;
use crate::fault::model::Chaos;
use crate::kv::{Key, Op};
use crate::scenario::{Scenario, Workload};
use std::collections::BTreeSet;

/// The scenario without what the explicit form replaces and no run looks at: generators, hand-written faults,
/// the story, probabilities that the acts replace.
pub(super) fn bare(base: &Scenario, title: &str) -> Scenario {
    let mut bare = truthful(base);
    bare.title = title.to_owned();
    bare.story = String::new();
    bare.faults = Vec::new();
    bare.nemesis = None;
    if explicit(base).acts.is_some() {
        // Jitter is not listed as acts: it stays a hash.
        bare.messages = Chaos { jitter_ms: base.messages.jitter_ms, ..Chaos::default() };
    }
    bare
}

/// The scenario with the workload that its script amounts to. Only `keys` has a meaning beside a script.
pub(super) fn truthful(base: &Scenario) -> Scenario {
    let script = &explicit(base).script;
    let count = |is: fn(&Op) -> bool| script.iter().filter(|scripted| is(&scripted.op)).count() as u32;
    let mut scenario = base.clone();
    scenario.workload = Workload {
        operations: (script.len() as u32).max(1),
        start_ms: script.first().map_or(0, |first| first.at_us / 1000),
        keys: base.workload.keys,
        // A workload without any weight would be refused.
        get: count(|op| matches!(op, Op::Get { .. })).max(u32::from(script.is_empty())),
        put: count(|op| matches!(op, Op::Put { .. })),
        delete: count(|op| matches!(op, Op::Delete { .. })),
        cas: count(|op| matches!(op, Op::Cas { .. })),
        consistency: base.workload.consistency,
    };
    scenario
}

/// Without acts.
pub(super) fn without_acts(base: &Scenario) -> Scenario {
    with_explicit(base, |explicit| explicit.acts = Some(Vec::new()))
}

/// Without the acts from one index up to another.
pub(super) fn without_some_acts(base: &Scenario, from: usize, to: usize) -> Scenario {
    with_explicit(base, |explicit| drop(explicit.acts.as_mut().map(|acts| acts.drain(from..to))))
}

/// Without jitter throughout the run.
pub(super) fn without_jitter(base: &Scenario) -> Scenario {
    let messages = if explicit(base).acts.is_some() { Chaos::default() } else { base.messages };
    Scenario { messages: Chaos { jitter_ms: 0, ..messages }, ..base.clone() }
}

/// Without faults that only concern single messages.
pub(super) fn without_message_faults(base: &Scenario) -> Scenario {
    with_explicit(base, |explicit| {
        explicit.schedule.retain(|fault| fault.kind.sort().family != Family::Messages);
    })
}

/// Without the faults from one index up to another.
pub(super) fn without_faults(base: &Scenario, from: usize, to: usize) -> Scenario {
    with_explicit(base, |explicit| drop(explicit.schedule.drain(from..to)))
}

/// Without the operations from one index up to another.
pub(super) fn without_operations(base: &Scenario, from: usize, to: usize) -> Scenario {
    truthful(&with_explicit(base, |explicit| drop(explicit.script.drain(from..to))))
}

/// Small selections of operations around those that a certificate names, the smallest first.
pub(super) fn around_the_evidence(base: &Scenario, evidence: &[u32]) -> Vec<Scenario> {
    let script = &explicit(base).script;
    let named = || script.iter().filter(|op| evidence.contains(&op.id));
    let keys: BTreeSet<Key> = named().map(|op| op.op.key()).collect();
    let clients: BTreeSet<u32> = named().map(|op| op.client).collect();
    let only = |keep: &dyn Fn(u32, u32, Key) -> bool| {
        truthful(&with_explicit(base, |explicit| explicit.script.retain(|op| keep(op.id, op.client, op.op.key()))))
    };
    let mut selections = vec![
        only(&|_, _, _| false),
        only(&|id, _, _| evidence.contains(&id)),
        only(&|_, client, key| keys.contains(&key) && clients.contains(&client)),
        only(&|_, client, _| clients.contains(&client)),
        only(&|_, _, key| keys.contains(&key)),
    ];
    selections.sort_by_key(|selection| explicit(selection).script.len());
    selections
}

/// With keys numbered without gaps, or else without some of those above the last one in use: every key is read
/// when a run closes, so even keys that are never written have an effect.
pub(super) fn fewer_keys(base: &Scenario) -> Vec<Scenario> {
    let used: BTreeSet<Key> = explicit(base).script.iter().map(|op| op.op.key()).collect();
    let used: Vec<Key> = used.into_iter().collect();
    let mut compact = with_explicit(base, |explicit| {
        for scripted in &mut explicit.script {
            let key = Key(used.iter().position(|key| *key == scripted.op.key()).unwrap_or(0) as u32);
            scripted.op = with_key(scripted.op, key);
        }
    });
    compact.workload.keys = (used.len() as u32).max(1);
    let least = used.last().map_or(1, |last| last.0 + 1);
    let doubled = std::iter::successors(Some(least), |keys| keys.checked_mul(2));
    let lowered = doubled.take_while(|keys| *keys < base.workload.keys).map(|keys| {
        let mut lowered = base.clone();
        lowered.workload.keys = keys;
        lowered
    });
    std::iter::once(compact).chain(lowered).collect()
}

fn with_key(op: Op, key: Key) -> Op {
    match op {
        Op::Get { .. } => Op::Get { key },
        Op::Put { value, .. } => Op::Put { key, value },
        Op::Delete { .. } => Op::Delete { key },
        Op::Cas { expected, new, .. } => Op::Cas { key, expected, new },
    }
}

/// With the cas at this place of the script replaced by a put of the same value.
pub(super) fn put_for_cas(base: &Scenario, at: usize) -> Option<Scenario> {
    let Op::Cas { key, new: value, .. } = explicit(base).script.get(at)?.op else { return None };
    Some(truthful(&with_explicit(base, |explicit| {
        explicit.script[at].op = Op::Put { key, value };
        explicit.script[at].fixed_expectation = false;
    })))
}
