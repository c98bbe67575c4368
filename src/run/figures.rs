//! What is counted in a run: from its trace, its history and its schedule.

use super::outcome::{Availability, Counters, Served};
use super::plan::Plan;
use crate::fault::model::{FaultKind, Schedule};
use crate::history::History;
use crate::scenario::Scenario;
use crate::trace::{HostId, MessageId, Trace, What};
use std::collections::{BTreeMap, BTreeSet};

/// Counts what happened to messages, links and processes.
pub fn counters(trace: &Trace, schedule: &Schedule) -> Counters {
    let mut counters = Counters::default();
    // Newest frame handled so far on each directed pair, and how often each frame was handled.
    let mut newest: BTreeMap<(HostId, HostId), u32> = BTreeMap::new();
    let mut handled: Vec<Vec<u8>> = vec![Vec::new(); trace.names.len()];
    // Hosts that have lost power and whose process has not been seen to die of it yet.
    let mut without_power = BTreeSet::new();
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
            What::Crash if without_power.remove(&event.host) => {}
            What::Crash => counters.crashes += 1,
            What::PowerOff { .. } => {
                without_power.insert(event.host);
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

/// Notes that a frame was handled, and returns how often it has been.
fn note(handled: &mut [Vec<u8>], message: MessageId) -> u8 {
    let counts = &mut handled[message.host.index()];
    let at = message.number as usize;
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    counts[at] = counts[at].saturating_add(1);
    counts[at]
}

/// Availability per site and period, in the order of sites. The periods are the whole run, the time while faults are
/// active, and the same from three maximum election time-outs on. Offered are all operations that the script planned
/// for the period, even if a client was too busy with earlier ones to send them: so the figure is the same for every
/// system, and waiting counts like a refusal. The deadline is the planned instant plus the scenario's time-out of an
/// operation, which is the same for every system too.
pub fn availability(scenario: &Scenario, plan: &Plan, history: &History) -> Vec<Availability> {
    let (end_ns, timeline) = (plan.world.duration_ms * 1_000_000, plan.world.timeline());
    let mut periods = vec![("run", 0, None)];
    if let Some(first_ns) = timeline.first_begin_ns() {
        let until_ns = timeline.last_end_ns().unwrap_or(end_ns);
        periods.push(("faults", first_ns, Some(until_ns)));
        periods.push(("settled", first_ns + 3 * scenario.timing.election_max_ms * 1_000_000, Some(until_ns)));
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
            let window = *from_ns..until_ns.unwrap_or(u64::MAX);
            let offered = plan
                .load
                .script
                .iter()
                .filter(|op| sites.get(op.client as usize) == Some(&site) && window.contains(&(op.at_us * 1000)));
            let mut served = Served::default();
            for op in offered {
                let deadline_ns = op.at_us * 1000 + plan.load.operation_timeout_ms * 1_000_000;
                served.offered += 1;
                *match acked_ns.get(&op.id) {
                    Some(ns) if *ns <= deadline_ns.min(window.end) => &mut served.served_in_time,
                    Some(_) => &mut served.late,
                    None => &mut served.unserved,
                } += 1;
            }
            rows.push(Availability {
                site: spec.name.clone(),
                during: (*during).to_owned(),
                from_ms: from_ns / 1_000_000,
                until_ms: until_ns.unwrap_or(end_ns) / 1_000_000,
                served,
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Operation, Status};
    use crate::kv::{Response, Tag};
    use crate::report::sample;

    #[test]
    fn what_was_offered_is_served_in_time_or_late_or_unserved() {
        let scenario = sample::scenario();
        let plan = crate::run::plan(&scenario, 7);
        let script = &plan.load.script;
        let deadline_ns = plan.load.operation_timeout_ms * 1_000_000;
        let mut history = History::default();
        // Four cases in turn: in time to the nanosecond, a nanosecond late, unknown, never sent.
        for op in script.iter().filter(|op| op.id % 4 != 3) {
            let planned_ns = op.at_us * 1000;
            let status = match op.id % 4 {
                2 => Status::Info,
                _ => Status::Ok { outcome: Response::Done, by: None },
            };
            let end_ns = planned_ns + deadline_ns + u64::from(op.id % 4);
            let tag = Tag { session: 1, sequence: 1 };
            let (id, client, op) = (op.id, op.client, op.op);
            let start_ns = planned_ns;
            history.operations.push(Operation {
                id,
                client,
                tag,
                op,
                planned_ns,
                start_ns,
                end_ns,
                status,
                attempts: 1,
            });
        }
        let rows = availability(&scenario, &plan, &history);
        let sum = |during: &str| {
            let mut all = Served::default();
            rows.iter().filter(|row| row.during == during).for_each(|row| all += row.served);
            all
        };
        let of = |rest: u32| script.iter().filter(|op| op.id % 4 == rest).count() as u64;
        let run = sum("run");
        assert_eq!((run.offered, run.served_in_time, run.late), (script.len() as u64, of(0), of(1)));
        assert_eq!(run.unserved, of(2) + of(3));
        for during in ["faults", "settled"] {
            let Served { offered, served_in_time, late, unserved } = sum(during);
            assert_eq!(offered, served_in_time + late + unserved, "{during}");
            // An operation that is acknowledged only after the cut was not served during the cut.
            assert!(late > served_in_time / 2 && served_in_time > 0 && late > offered / 4, "{during}: {late}");
        }
        assert_eq!((rows[1].from_ms, rows[1].until_ms), (8000, 20_000));
    }
}
