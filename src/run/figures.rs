//! What is counted in a run: from its trace, its history and its schedule.

use super::{Availability, Counters};
use crate::fault::fold::Timeline;
use crate::fault::model::{FaultKind, Schedule};
use crate::history::History;
use crate::scenario::{Scenario, ScriptedOp};
use crate::sim::Plan;
use crate::trace::{HostId, MessageId, Trace, What};
use std::collections::{BTreeMap, BTreeSet};

/// Counts what happened to messages, links and processes.
pub fn counters(trace: &Trace, schedule: &Schedule) -> Counters {
    let mut counters = Counters::default();
    // Newest frame handled so far on each directed pair, and how often each frame was handled.
    let mut newest: BTreeMap<(HostId, HostId), u32> = BTreeMap::new();
    let mut handled: Vec<Vec<u8>> = vec![Vec::new(); trace.names.len()];
    // Hosts that have lost power and whose process has not been seen to die of it yet.
    let mut powerless = BTreeSet::new();
    for event in &trace.events {
        match event.what {
            What::Send { .. } => counters.messages_sent += 1,
            What::Drop { .. } => counters.messages_dropped += 1,
            What::Deliver { from, message, .. } => {
                let newest = newest.entry((from, event.host)).or_default();
                counters.messages_reordered += u64::from(message.number < *newest);
                *newest = message.number.max(*newest);
                counters.messages_duplicated += u64::from(note(&mut handled, message) == 2);
            }
            What::Crash if powerless.remove(&event.host) => {}
            What::Crash => counters.crashes += 1,
            What::PowerOff { .. } => {
                powerless.insert(event.host);
                counters.power_losses += 1;
            }
            What::Pause => counters.pauses += 1,
            What::FaultBegin { fault, .. } => {
                let kind = schedule.faults.get(fault as usize).map(|fault| &fault.kind);
                counters.cuts += u64::from(kind.is_some_and(FaultKind::is_cut));
                counters.one_way_cuts += u64::from(kind.is_some_and(FaultKind::is_one_way_cut));
            }
            _ => {}
        }
    }
    counters
}

/// Notes that a frame was handled, and tells how often it has been.
fn note(handled: &mut [Vec<u8>], message: MessageId) -> u8 {
    let counts = &mut handled[message.host.index()];
    let at = message.number as usize;
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    counts[at] = counts[at].saturating_add(1);
    counts[at]
}

/// Availability per site and period, in the order of sites: the whole run; while faults are active; and
/// the same once three maximum election time-outs have passed. Offered is what the script planned for the
/// period, whether or not a client stuck in earlier operations found time for it: so the figure is the
/// same for every system, and waiting counts as being refused.
pub fn availability(scenario: &Scenario, plan: &Plan, timeline: &Timeline, history: &History) -> Vec<Availability> {
    let end_ns = plan.timing.duration_ms * 1_000_000;
    let mut periods = vec![("run", 0, u64::MAX)];
    if let Some(first_ns) = timeline.first_begin_ns() {
        let until_ns = timeline.last_end_ns().unwrap_or(end_ns);
        periods.push(("faults", first_ns, until_ns));
        periods.push(("settled", first_ns + 3 * plan.timing.election_max_ms * 1_000_000, until_ns));
    }
    let sites = scenario.client_sites();
    let acked_ns: BTreeMap<u32, u64> = history
        .operations
        .iter()
        .filter(|operation| operation.outcome().is_some())
        .map(|operation| (operation.id, operation.end_ns))
        .collect();
    let mut rows = Vec::new();
    for (site, spec) in scenario.sites.iter().enumerate().filter(|(_, site)| site.clients > 0) {
        for (during, from_ns, until_ns) in &periods {
            let offered = || {
                plan.script.iter().filter(|op| {
                    sites.get(op.client as usize) == Some(&site) && (*from_ns..*until_ns).contains(&(op.at_us * 1000))
                })
            };
            let in_time = |op: &&ScriptedOp| acked_ns.get(&op.id).is_some_and(|end_ns| end_ns <= until_ns);
            rows.push(Availability {
                site: spec.name.clone(),
                during: (*during).to_owned(),
                acked: offered().filter(in_time).count() as u64,
                offered: offered().count() as u64,
            });
        }
    }
    rows
}
