//! Shrinking: the same violation from fewer faults, acts, operations and hosts, and in less time.
//!
//! It works on the *explicit form* of a failing run: schedule, script and acts are lists, and leaving
//! something out changes nothing else. The seed stays; everything else gets smaller as long as the check
//! that failed still fails. Every candidate is a scenario that could have been written by hand, and is
//! really run: the result carries the verdict and the digest of its own run.
//!
//! * `oracle`: runs a candidate and says what failed.
//! * `search`: tries candidates in parallel, within a budget; the result does not depend on how many run at once.
//! * `ddmin`: leaves out parts of a list, large ones first.
//! * `plain`, `time`, `hosts`: the reductions.
//! * `leap`: draws for violations that depend on a race.
//! * `necessity`: what would happen without each remaining part.
//! * `groups`: failing runs that fail alike, by their `signature`.

mod ddmin;
mod groups;
mod hosts;
mod leap;
mod necessity;
mod oracle;
mod plain;
mod search;
mod signature;
#[cfg(test)]
mod tests;
mod time;

pub use groups::{Failing, Group, Groups, Signature};
pub use oracle::{Failed, Oracle, PANIC, RunOracle, Trial, names};
pub use signature::{Few, Shape, Symptom};

use crate::scenario::Scenario;
use ddmin::ddmin;
use search::{Search, explicit};

/// The resources that shrinking may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many candidates run at once; the result does not depend on it.
    pub jobs: usize,
    /// The budget, in simulated milliseconds over all candidates.
    pub simulated_ms: u64,
}

/// How large a scenario in explicit form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Faults in the schedule.
    pub faults: usize,
    /// Acts on single messages.
    pub acts: usize,
    /// Operations in the script.
    pub operations: usize,
    /// Nodes.
    pub nodes: usize,
    /// Clients.
    pub clients: usize,
    /// Keys.
    pub keys: usize,
    /// How long faults and clients go on, in simulated milliseconds.
    pub duration_ms: u64,
}

/// A shrunk run.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The smallest scenario found, in explicit form, with the verdict and the digest of its own run.
    pub scenario: Scenario,
    /// How large the recorded run was.
    pub before: Size,
    /// How large it is now.
    pub after: Size,
    /// The evidence of the failure that shrinking kept, in a sentence, if there is any.
    pub sentence: Option<String>,
    /// What would happen without each remaining fault and act, and without the jitter.
    pub necessity: Vec<Necessity>,
    /// How many candidates were run.
    pub trials: u64,
    /// Whether nothing more could be left out; if not, the budget ended first.
    pub finished: bool,
}

/// What would happen without one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Necessity {
    /// The fault or act in words.
    pub what: String,
    /// What the run without it shows.
    pub without: String,
    /// Whether the violation is gone without it.
    pub needed: bool,
}

/// The run does not fail in the given way, so there is nothing to shrink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the run does not fail {kept}: it {verdict}")]
pub struct NotReproduced {
    /// The failure that was to be kept.
    pub kept: String,
    /// What the run shows instead.
    pub verdict: String,
}

impl Size {
    /// The size of a scenario; without an explicit form it has no faults, acts or operations.
    pub fn of(scenario: &Scenario) -> Size {
        let explicit = scenario.explicit.as_ref();
        Size {
            faults: explicit.map_or(0, |explicit| explicit.schedule.len()),
            acts: explicit.and_then(|explicit| explicit.acts.as_ref()).map_or(0, Vec::len),
            operations: explicit.map_or(0, |explicit| explicit.script.len()),
            nodes: hosts::nodes(scenario),
            clients: hosts::clients(scenario),
            keys: scenario.workload.keys as usize,
            duration_ms: scenario.timing.duration_ms,
        }
    }
}

/// Shrinks a recorded run; the failure called `kept` stays.
///
/// # Errors
/// If the recorded run does not fail that way.
///
/// # Panics
/// If `recorded` is not in explicit form.
pub fn shrink(recorded: &Scenario, kept: &str, oracle: &dyn Oracle, limits: &Limits) -> Result<Shrunk, NotReproduced> {
    let mut search = Search::new(recorded, kept, oracle, limits)?;
    let before = Size::of(search.best());
    let title = format!("{kept} under {}, shrunk from a run of {}", explicit(recorded).system, recorded.name);
    begin(&mut search, &title);
    to_the_end(&mut search);
    // If the budget is too small for a failure that rests on the script alone, one that the run's closing operations
    // show is accepted.
    if search.is_spent() && search.give_up_the_script() {
        to_the_end(&mut search);
    }
    let finished = !search.is_spent();
    if !finished {
        drop_what_has_no_effect(&mut search);
    }
    let necessity = necessity::table(&mut search);
    let scenario = search.best().clone();
    Ok(Shrunk {
        before,
        after: Size::of(&scenario),
        sentence: search.trial().failure(kept).map(|failed| failed.sentence.clone()),
        necessity,
        trials: search.trials(),
        finished,
        scenario,
    })
}

/// Leaves out what the violation does not need, one part after the other, if the budget ended before that was tried:
/// readers take a fault in a shrunk run for a cause. Costs at most two runs for each remaining fault.
fn drop_what_has_no_effect(search: &mut Search<'_>) {
    for _ in 0..2 {
        let faults = explicit(search.best()).schedule.len();
        let mut changed = false;
        // From the end, so that the indices of earlier ones stay valid.
        for at in (0..faults).rev() {
            let without = plain::without_faults(search.best(), at, at + 1);
            changed |= search.at_any_price(without);
        }
        for without in [plain::without_acts, plain::without_jitter] {
            let without = without(search.best());
            changed |= search.at_any_price(without);
        }
        if !changed {
            return;
        }
    }
}

/// Rounds of every reduction until nothing changes or the budget ends; coarse ones first, since fine reductions would
/// cost too much while each run is still long.
fn to_the_end(search: &mut Search<'_>) {
    let mut grain = 8;
    loop {
        let changed = round(search, grain);
        if search.is_spent() || !changed && grain == usize::MAX {
            break;
        }
        grain = grain.saturating_mul(if changed { 8 } else { usize::MAX });
    }
}

/// Leaves out what no run looks at, and cuts the time short: together, since each trial is expensive here.
fn begin(search: &mut Search<'_>, title: &str) {
    let bare = plain::bare(search.best(), title);
    // The expectations only decide whether liveness is required.
    let unexpecting = Scenario { expect: Default::default(), ..bare.clone() };
    let at_ms = search.trial().at_ns.map(|ns| ns / 1_000_000);
    for base in [unexpecting, bare] {
        let cuts = time::ends(base.timing.duration_ms, at_ms).into_iter().map(|end| time::cut(&base, end));
        if search.first(cuts.chain([Some(base.clone())])).is_some() {
            return;
        }
    }
}

/// More operations or acts than this are too many for a person to read.
const LARGE: usize = 8;

/// How often a leap is tried in a round.
const LEAPS: u64 = 2;

/// One round of every reduction; lists are cut into up to `grain` parts. Returns whether anything got smaller.
fn round(search: &mut Search<'_>, grain: usize) -> bool {
    let size = |search: &Search<'_>| Size::of(search.best());
    let finest = |items: usize| (items / grain).max(1);
    let mut changed = false;

    let base = search.best().clone();
    changed |= search.first([Some(plain::without_acts(&plain::without_jitter(&base)))]).is_some();
    let base = search.best().clone();
    changed |= search.first([Some(plain::without_acts(&base))]).is_some();
    let base = search.best().clone();
    changed |= search.first([Some(plain::without_jitter(&base))]).is_some();
    let base = search.best().clone();
    changed |= search.first([Some(plain::without_message_faults(&base))]).is_some();

    changed |= ddmin(
        search,
        1,
        |scenario| explicit(scenario).schedule.len(),
        |base, from, to| Some(plain::without_faults(base, from, to)),
    );
    let selections = plain::around_the_evidence(search.best(), &search.trial().evidence());
    changed |= search.first(selections.into_iter().map(Some)).is_some();
    // A scenario that is still large after that depends on a race, or takes long to shrink.
    for draw in 0..LEAPS {
        if size(search).operations > LARGE || size(search).acts > LARGE {
            let base = search.best().clone();
            changed |= search.first(leap::leaps(&base, grain as u64 ^ draw)).is_some();
        }
    }
    changed |= operations(search, finest(size(search).operations));
    let acts = finest(size(search).acts);
    changed |= ddmin(
        search,
        acts,
        |scenario| Size::of(scenario).acts,
        |base, from, to| Some(plain::without_some_acts(base, from, to)),
    );
    changed |= cast(search);
    changed |= moments(search, grain);
    changed
}

/// Fewer and simpler operations.
fn operations(search: &mut Search<'_>, finest: usize) -> bool {
    let mut changed = ddmin(
        search,
        finest,
        |scenario| explicit(scenario).script.len(),
        |base, from, to| Some(plain::without_operations(base, from, to)),
    );
    let mut at = 0;
    while finest == 1 && at < explicit(search.best()).script.len() {
        let base = search.best().clone();
        let simpler = (at..explicit(&base).script.len()).map(|at| plain::put_for_cas(&base, at));
        match search.first(simpler) {
            Some(place) => at += place + 1,
            None => break,
        }
        changed = true;
    }
    changed
}

/// Fewer clients, sites, nodes and keys.
fn cast(search: &mut Search<'_>) -> bool {
    let base = search.best().clone();
    let mut changed = search.first([hosts::without_idle_clients(&base)]).is_some();
    changed |= ddmin(search, 1, hosts::clients, hosts::without_clients);
    changed |= ddmin(
        search,
        1,
        |scenario| scenario.sites.len(),
        |base, from, to| {
            if to == from + 1 { hosts::without_site(base, from) } else { None }
        },
    );
    changed |= ddmin(search, 1, hosts::nodes, hosts::without_nodes);
    loop {
        let base = search.best().clone();
        let clients = hosts::clients(&base);
        let pairs = (0..clients).flat_map(|gone| (0..clients).map(move |into| (gone, into)));
        // Many clients make too many pairs, and leaving operations out removes most clients anyway.
        let merged = pairs.filter(|(gone, into)| gone != into && clients <= 6);
        if search.first(merged.map(|(gone, into)| hosts::merged(&base, gone, into))).is_none() {
            break;
        }
        changed = true;
    }
    let base = search.best().clone();
    changed |= search.first(plain::fewer_keys(&base).into_iter().map(Some)).is_some();
    changed
}

/// Less time, and fewer and rounder instants. Slices are at least a `grain`-th of the run.
fn moments(search: &mut Search<'_>, grain: usize) -> bool {
    const SLICE_MS: u64 = 50;
    let base = search.best().clone();
    let at_ms = search.trial().at_ns.map(|ns| ns / 1_000_000);
    let cuts = time::ends(base.timing.duration_ms, at_ms);
    let mut changed = search.first(cuts.into_iter().map(|end| time::cut(&base, end))).is_some();
    let slices = |scenario: &Scenario| (scenario.timing.duration_ms / SLICE_MS) as usize;
    let finest = (slices(search.best()) / grain).max(1);
    changed |= ddmin(search, finest, slices, |base, from, to| {
        time::excise(base, from as u64 * SLICE_MS, to as u64 * SLICE_MS)
    });
    loop {
        let base = search.best().clone();
        let faults = 0..explicit(&base).schedule.len();
        let shorter = faults.flat_map(|fault| {
            [time::plain(&base, fault), time::halved(&base, fault, false), time::halved(&base, fault, true)]
        });
        if search.first(shorter).is_none() {
            break;
        }
        changed = true;
    }
    let base = search.best().clone();
    changed |= search.first([100, 10, 1].map(|ms| Some(time::rounded(&base, ms)))).is_some();
    let base = search.best().clone();
    let units = [100, 10, base.timing.tick_ms];
    changed |= search.first(units.map(|ms| Some(time::rounded_faults(&base, ms)))).is_some();
    changed
}
