//! A run as a Chrome trace (JSON object format), which ui.perfetto.dev and chrome://tracing open.
//!
//! A process per host. A node's process shows its roles, its messages, and its other events; a client host's process
//! has a thread per client, with the operations as slices. A delivered message is a flow from its sender's slice to
//! its receiver's. Times are simulated microseconds.

use super::event::event;
use crate::history::{Operation, Status};
use crate::run::Run;
use crate::trace::{Event, HostId, MessageId, Role, Scope, What};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Threads of a node; a client's thread is its number behind these.
const ROLE: u32 = 1;
const MESSAGES: u32 = 2;
const EVENTS: u32 = 3;
const CLIENTS: u32 = 10;

/// How long a message's slice is drawn, in microseconds: a flow needs a slice at either end.
const SHOWN_US: f64 = 200.0;

/// The trace and the history of a run.
pub fn perfetto(run: &Run) -> String {
    let trace = &run.trace;
    let mut slices = Vec::new();
    for (pid, name) in trace.names.iter().enumerate() {
        slices.push(json!({ "ph": "M", "name": "process_name", "pid": pid, "args": { "name": name } }));
        slices.push(json!({ "ph": "M", "name": "process_sort_index", "pid": pid, "args": { "sort_index": pid } }));
        for (tid, thread) in [(ROLE, "role"), (MESSAGES, "messages"), (EVENTS, "events")] {
            slices
                .push(json!({ "ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": { "name": thread } }));
        }
    }
    slices.extend(roles(run));
    let delivered: BTreeSet<MessageId> = trace
        .events
        .iter()
        .filter_map(|found| match found.what {
            What::Deliver { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    let mut handled = BTreeSet::new();
    for found in &trace.events {
        slices.extend(of_event(run, found, &delivered, &mut handled));
    }
    slices.extend(run.history.operations.iter().filter_map(|operation| of_operation(run, operation)));
    json!({ "displayTimeUnit": "ms", "traceEvents": slices }).to_string() + "\n"
}

fn us(t_ns: u64) -> f64 {
    t_ns as f64 / 1000.0
}

fn slice(name: String, host: HostId, tid: u32, from_ns: u64, dur_us: f64) -> Value {
    json!({ "ph": "X", "name": name, "pid": host.0, "tid": tid, "ts": us(from_ns), "dur": dur_us })
}

/// One slice per role that a node held, shard by shard.
fn roles(run: &Run) -> Vec<Value> {
    let end_ns = run.trace.events.last().map_or(0, |event| event.t_ns);
    let mut open: BTreeMap<(HostId, Scope), (u64, String)> = BTreeMap::new();
    let mut slices = Vec::new();
    let close = |slices: &mut Vec<Value>, (host, scope): (HostId, Scope), (from_ns, name): (u64, String), t_ns: u64| {
        // Slices of one thread may only nest: each shard has a thread of its own.
        let tid = match scope {
            Scope::All => ROLE,
            Scope::Shard(shard) => CLIENTS + u32::from(shard),
        };
        slices.push(slice(name, host, tid, from_ns, us(t_ns - from_ns)));
    };
    for event in &run.trace.events {
        match event.what {
            What::Role { role, scope, term } => {
                if let Some(held) = open.remove(&(event.host, scope)) {
                    close(&mut slices, (event.host, scope), held, event.t_ns);
                }
                let name = match role {
                    Role::Primary => "primary",
                    Role::Candidate => "candidate",
                    Role::Backup => "backup",
                };
                let of = match scope {
                    Scope::All => String::new(),
                    Scope::Shard(shard) => format!(" of shard {shard}"),
                };
                open.insert((event.host, scope), (event.t_ns, format!("{name}{of}, term {term}")));
            }
            What::Crash => {
                let ended: Vec<_> = open.keys().filter(|(host, _)| *host == event.host).copied().collect();
                for key in ended {
                    let held = open.remove(&key).expect("it is open");
                    close(&mut slices, key, held, event.t_ns);
                }
            }
            _ => {}
        }
    }
    for (key, held) in open {
        close(&mut slices, key, held, end_ns);
    }
    slices
}

/// An event as a slice or an instant; a message that arrives is a flow, from its sending to its first handling.
fn of_event(
    run: &Run,
    found: &Event,
    delivered: &BTreeSet<MessageId>,
    handled: &mut BTreeSet<MessageId>,
) -> Vec<Value> {
    let flow = |phase: &str, message: MessageId| {
        json!({
            "ph": phase, "bp": "e", "cat": "message", "name": "message", "id": message.to_string(),
            "pid": found.host.0, "tid": MESSAGES, "ts": us(found.t_ns),
        })
    };
    let shown = |name: String| slice(name, found.host, MESSAGES, found.t_ns, SHOWN_US);
    match found.what {
        What::Send { to, message, class, .. } => {
            let sent = shown(format!("{class} {message} to {}", run.trace.name(to)));
            std::iter::once(sent).chain(delivered.contains(&message).then(|| flow("s", message))).collect()
        }
        What::Deliver { from, message, class } => {
            let got = shown(format!("{class} {message} from {}", run.trace.name(from)));
            std::iter::once(got).chain(handled.insert(message).then(|| flow("f", message))).collect()
        }
        What::Role { .. } | What::Invoke { .. } | What::Ok { .. } | What::Fail { .. } | What::Info { .. } => Vec::new(),
        _ => {
            let text = event(&run.trace, found);
            // Without its time and host, which the position of the mark shows.
            let name = text.splitn(4, ' ').nth(3).unwrap_or(&text).to_owned();
            vec![json!({ "ph": "i", "s": "t", "name": name, "pid": found.host.0, "tid": EVENTS, "ts": us(found.t_ns) })]
        }
    }
}

fn of_operation(run: &Run, operation: &Operation) -> Option<Value> {
    let site = *run.scenario.client_sites().get(operation.client as usize)?;
    let host = run.plan.world.topology.sites.get(site)?.clients?;
    let end = match operation.status {
        Status::Ok { outcome, by } => {
            let by = by.map_or(String::new(), |by| format!(" at {}", run.trace.name(by.node)));
            format!("{outcome}{by}")
        }
        Status::Fail => "failed".into(),
        Status::Info => "unknown".into(),
    };
    let name = format!("#{} {}: {end}", operation.id, operation.op);
    let dur_us = us(operation.end_ns - operation.start_ns);
    Some(slice(name, host, CLIENTS + operation.client, operation.start_ns, dur_us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_operation_is_a_slice_and_every_flow_has_both_ends() {
        let mut run = sample::run(&sample::scenario(), "dual-primary", 7);
        let message = MessageId { host: HostId(1), number: 1 };
        let class = crate::trace::MessageKind::Replicate;
        let sent = What::Send { to: HostId(2), message, class, cause: None, payload: 0 };
        let got = What::Deliver { from: HostId(1), message, class };
        for (t_ns, host, what) in [(5, 1, sent), (6, 2, got), (7, 2, got)] {
            run.trace.events.push(Event { t_ns, host: HostId(host), seq: 0, what });
        }
        run.trace.sort();
        let read: Value = serde_json::from_str(&perfetto(&run)).unwrap();
        let of = |phase: &str| {
            let slices = read["traceEvents"].as_array().unwrap();
            slices.iter().filter(|slice| slice["ph"] == phase).cloned().collect::<Vec<_>>()
        };
        let operations = of("X").iter().filter(|slice| slice["name"].as_str().unwrap().starts_with('#')).count();
        assert_eq!(operations, run.history.operations.len());
        assert_eq!((of("s").len(), of("f").len()), (1, 1), "a doubled message is one flow");
        assert_eq!(of("s")[0]["id"], of("f")[0]["id"]);
        let primaries = of("X").iter().filter(|slice| slice["name"].as_str().unwrap().starts_with("primary")).count();
        assert_eq!(primaries, 4);
    }
}
