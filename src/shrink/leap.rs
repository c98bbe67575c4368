//! Leaps for violations that depend on a race.
//!
//! Where a violation needs two events within milliseconds, leaving anything out moves them apart, and every part
//! seems to be needed. But small scenarios hit races too, if enough are tried, and each costs little. So small
//! scenarios are drawn, with a few neighbouring operations, no acts, and the edges of faults moved by some ticks.
//! A draw is a hash of its number, so shrinking stays a pure function.

use super::hosts::without_idle_clients;
use super::plain::{truthful, without_acts, without_jitter};
use super::search::{explicit, with_explicit};
use crate::fault::model::Fault;
use crate::rng;
use crate::scenario::Scenario;

/// How many scenarios are drawn of each size.
const DRAWS: u64 = 24;
/// How far an edge of a fault may move, in ticks; the draws alternate between these limits.
const TICKS: [u64; 3] = [3, 12, 60];
/// Sizes of scripts to draw.
const OPERATIONS: [usize; 7] = [0, 1, 2, 4, 8, 16, 32];

/// Small scenarios near this one, the smallest first; others for each `round`.
pub(super) fn leaps(base: &Scenario, round: u64) -> impl Iterator<Item = Option<Scenario>> {
    let calm = without_acts(&without_jitter(base));
    let uneasy = (calm.messages != base.messages).then(|| without_acts(base));
    let most = explicit(base).script.len();
    let sizes = OPERATIONS.into_iter().filter(move |size| size * 2 <= most);
    let bases: Vec<Scenario> = std::iter::once(calm).chain(uneasy).collect();
    sizes.flat_map(move |size| {
        let bases = bases.clone();
        (0..DRAWS).flat_map(move |number| {
            let near = |(kind, base): (usize, &Scenario)| Some(draw(base, size, number * 2 + kind as u64, round));
            bases.iter().enumerate().map(near).collect::<Vec<_>>()
        })
    })
}

fn draw(base: &Scenario, size: usize, number: u64, round: u64) -> Scenario {
    let form = explicit(base);
    let ask =
        |question: u64, bound: u64| rng::below(rng::hash(form.seed, &[size as u64, number, round, question]), bound);
    let edges: Vec<u64> =
        form.schedule.iter().flat_map(|fault| [Some(fault.at_ms), fault.ends_ms()]).flatten().collect();
    let count = form.script.len();
    // Half of the draws are about what clients do when a fault begins or ends.
    let first = match edges.is_empty() || number % 4 < 2 {
        true => ask(1, count.saturating_sub(size) as u64 + 1) as usize,
        false => {
            let edge_us = edges[ask(2, edges.len() as u64) as usize] * 1000;
            let at = form.script.partition_point(|op| op.at_us < edge_us);
            at.saturating_sub(ask(3, size as u64 + 1) as usize).min(count.saturating_sub(size))
        }
    };
    let tick_ms = base.timing.tick_ms;
    let most_ms = TICKS[ask(4, TICKS.len() as u64) as usize] * tick_ms;
    let end_ms = base.timing.duration_ms;
    let shifted = |ms: u64, question: u64| {
        let by_ms = ask(question, 2 * most_ms / tick_ms + 1) * tick_ms;
        (ms + by_ms).saturating_sub(most_ms)
    };
    let drawn = truthful(&with_explicit(base, |explicit| {
        explicit.script = explicit.script[first..(first + size).min(count)].to_vec();
        for (index, fault) in (0u64..).zip(&mut explicit.schedule) {
            let Fault { at_ms, .. } = *fault;
            let until_ms = fault.ends_ms();
            fault.at_ms = shifted(at_ms, 10 + 2 * index).min(end_ms.saturating_sub(tick_ms));
            fault.for_ms = until_ms.map(|until_ms| {
                let until_ms = shifted(until_ms, 11 + 2 * index).min(end_ms);
                until_ms.saturating_sub(fault.at_ms).max(1)
            });
        }
        explicit.schedule.sort_by_key(|fault| fault.at_ms);
    }));
    // Many draws fail, so each has to be cheap.
    without_idle_clients(&drawn).unwrap_or(drawn)
}
