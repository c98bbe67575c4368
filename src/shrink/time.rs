//! Reductions of time: an early end, stretches cut out, shorter faults, rounder instants.

use super::plain::truthful;
use super::search::{explicit, with_explicit};
use crate::fault::model::Fault;
use crate::scenario::Scenario;

/// Ends the run's activity at `until_ms`: later faults and operations are left out, longer faults end then.
pub(super) fn cut(base: &Scenario, until_ms: u64) -> Option<Scenario> {
    let until_ms = on_tick(base, until_ms);
    if until_ms == 0 || until_ms >= base.timing.duration_ms {
        return None;
    }
    let mut shorter = with_explicit(base, |explicit| {
        explicit.script.retain(|op| op.at_us < until_ms * 1000);
        explicit.schedule.retain(|fault| fault.at_ms < until_ms);
        for fault in &mut explicit.schedule {
            fault.for_ms = fault.for_ms.map(|length| length.min(until_ms - fault.at_ms));
        }
    });
    shorter.timing.duration_ms = until_ms;
    Some(truthful(&shorter))
}

/// When to end a run whose violation was undeniable at `at_ms`: the earliest, and cheapest, first. Also earlier
/// than that, since the reads that close a run find most damage by themselves.
pub(super) fn ends(duration_ms: u64, at_ms: Option<u64>) -> Vec<u64> {
    let mut ends: Vec<u64> = match at_ms {
        Some(at_ms) => {
            let after = [100, 700, 2000, 5000, 10_000, 20_000].map(|margin| at_ms + margin);
            let before = [at_ms / 2, at_ms * 3 / 4];
            after.into_iter().chain(before).collect()
        }
        None => (1..8).map(|eighth| duration_ms * eighth / 8).collect(),
    };
    ends.retain(|end| *end < duration_ms);
    ends.sort_unstable();
    ends
}

/// Takes out the time between two instants: events within it happen at its beginning, later ones that much earlier.
pub(super) fn excise(base: &Scenario, from_ms: u64, to_ms: u64) -> Option<Scenario> {
    let (from_ms, to_ms) = (on_tick(base, from_ms), on_tick(base, to_ms.min(base.timing.duration_ms)));
    if from_ms >= to_ms || to_ms - from_ms >= base.timing.duration_ms {
        return None;
    }
    let moved = |t: u64, unit: u64| t.min(from_ms * unit).max(t.saturating_sub((to_ms - from_ms) * unit));
    let mut shorter = with_explicit(base, |explicit| {
        explicit.script.iter_mut().for_each(|op| op.at_us = moved(op.at_us, 1000));
        for fault in &mut explicit.schedule {
            let end_ms = fault.ends_ms();
            fault.at_ms = moved(fault.at_ms, 1);
            fault.for_ms = end_ms.map(|end_ms| (moved(end_ms, 1) - fault.at_ms).max(1));
        }
    });
    shorter.timing.duration_ms = moved(base.timing.duration_ms, 1);
    Some(truthful(&shorter))
}

/// With a fault half as long, from its beginning or from its end.
pub(super) fn halved(base: &Scenario, fault: usize, late: bool) -> Option<Scenario> {
    let Fault { at_ms, for_ms, .. } = explicit(base).schedule[fault];
    let half = on_tick(base, for_ms? / 2);
    let at_ms = if late { at_ms + for_ms? - half } else { at_ms };
    (half > 0).then(|| {
        with_explicit(base, |explicit| {
            explicit.schedule[fault].for_ms = Some(half);
            explicit.schedule[fault].at_ms = at_ms;
            explicit.schedule.sort_by_key(|fault| fault.at_ms);
        })
    })
}

/// With a cut that flaps, or has a bridge, simply a cut.
pub(super) fn plain(base: &Scenario, fault: usize) -> Option<Scenario> {
    let kind = explicit(base).schedule[fault].kind.plain_cut()?;
    Some(with_explicit(base, |explicit| explicit.schedule[fault].kind = kind))
}

/// With every operation planned at a multiple of this many milliseconds, none later than before.
pub(super) fn rounded(base: &Scenario, ms: u64) -> Scenario {
    truthful(&with_explicit(base, |explicit| {
        explicit.script.iter_mut().for_each(|op| op.at_us -= op.at_us % (ms * 1000));
    }))
}

/// With every fault's beginning and length at a multiple of this many milliseconds; neither grows, so that this
/// and halving cannot go round in circles.
pub(super) fn rounded_faults(base: &Scenario, ms: u64) -> Scenario {
    let floor = |t: u64| t - t % ms.max(1);
    with_explicit(base, |explicit| {
        for fault in &mut explicit.schedule {
            fault.at_ms = floor(fault.at_ms);
            fault.for_ms = fault.for_ms.map(|length| if length < ms { length } else { floor(length) });
        }
    })
}

/// The tick at or before a moment: between two ticks nothing happens.
fn on_tick(base: &Scenario, ms: u64) -> u64 {
    ms - ms % base.timing.tick_ms.max(1)
}
