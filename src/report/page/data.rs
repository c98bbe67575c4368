//! The data of the runs in the page: everything that the trace and the history hold, but of hashes only which are
//! equal.
//!
//! The result is JSON in columns (see [`columns`](super::columns)), compressed (zlib) and as base64. A new kind of
//! event needs nothing here but [`words`] of its own, which are embedded with it.

use super::columns::{Hashes, Table, deltas, variant};
use crate::check::primaries::overlaps;
use crate::fault::fold::links_of;
use crate::fault::model::{Fault, FaultKind};
use crate::fault::timeline::Phase;
use crate::fault::topology::Topology;
use crate::history::columns::LATEST_NS;
use crate::history::{Operation, Status};
use crate::kv::{Op, Response};
use crate::report::comparison;
use crate::report::lives::Lives;
use crate::report::words::words;
use crate::run::compare::{is_safety, unmet};
use crate::run::operations::lives;
use crate::run::{Comparison, Difference, Plan, Run};
use crate::scenario::Scenario;
use crate::trace::{Event, HostId, MessageId, What};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// The runs, compressed and as text that HTML can hold.
pub fn packed(runs: &[Run], comparison: Option<&Comparison>) -> String {
    packed_text(&data(runs, comparison).to_string())
}

/// Text, compressed and as text that HTML can hold; `inflate` in `decode.mjs` unpacks it.
pub(in crate::report) fn packed_text(plain: &str) -> String {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = packed.write_all(plain.as_bytes()).and_then(|()| packed.finish()).expect("a vector takes all");
    STANDARD.encode(packed)
}

/// The runs as JSON.
pub fn data(runs: &[Run], comparison: Option<&Comparison>) -> Value {
    let Some(first) = runs.first() else { return Value::Null };
    let (scenario, plan) = (&first.scenario, &first.plan);
    json!({
        "format": 1,
        "scenario": {
            "name": scenario.name,
            "title": scenario.title,
            "story": scenario.story,
            "duration_ns": scenario.timing.duration_ms * 1_000_000,
            "sites": sites(scenario, &plan.world.topology),
        },
        "faults": faults(plan),
        "comparison": comparison.map(|comparison| json!({
            "as_expected": comparison.as_expected,
            "availability": comparison.first_availability_difference.as_ref().map(difference),
            "safety": comparison.first_safety_difference.as_ref().map(difference),
        })),
        "systems": runs.iter().map(system).collect::<Vec<_>>(),
    })
}

fn difference(found: &Difference) -> Value {
    json!({ "operation": found.operation, "sentence": comparison::sentence(found) })
}

fn sites(scenario: &Scenario, topology: &Topology) -> Vec<Value> {
    let client_sites = scenario.client_sites();
    let clients = |index| client_sites.iter().enumerate().filter(move |(_, site)| **site == index).map(|(id, _)| id);
    let site = |(index, site): (usize, &crate::fault::topology::SiteHosts)| {
        json!({
            "name": site.name,
            "nodes": site.nodes,
            "client_host": site.clients,
            "clients": clients(index).collect::<Vec<_>>(),
            "witness": site.witness,
        })
    };
    topology.sites.iter().enumerate().map(site).collect()
}

fn faults(plan: &Plan) -> Vec<Value> {
    let timeline = plan.world.timeline();
    let fault = |(index, fault): (usize, &Fault)| {
        // A flapping link is whole between these.
        let edges = timeline.edges.iter().filter(|edge| edge.fault as usize == index);
        let flaps = edges.filter_map(|edge| match edge.phase {
            Phase::FlapUp => Some(json!([edge.t_ns, 0])),
            Phase::FlapDown => Some(json!([edge.t_ns, 1])),
            Phase::Begin | Phase::End => None,
        });
        json!({
            "name": fault.kind.sort().title,
            "kind": fault.kind.name(),
            "text": fault.to_string(),
            "from_ns": fault.at_ms * 1_000_000,
            "until_ns": fault.ends_ms().map(|ms| ms.saturating_mul(1_000_000)),
            "cut": fault.kind.is_cut(),
            "flaps": flaps.collect::<Vec<_>>(),
            "target": fault.kind.target().map(|target| &target.0),
            "links": links(&fault.kind, &plan.world.topology, None),
        })
    };
    plan.faults().iter().enumerate().map(fault).collect()
}

/// The directed links that a cut concerns; other kinds concern links too, but do not separate sides.
fn links(kind: &FaultKind, topology: &Topology, resolved: Option<HostId>) -> Vec<(HostId, HostId)> {
    if kind.is_cut() { links_of(kind, topology, resolved) } else { Vec::new() }
}

fn system(run: &Run) -> Value {
    let mut hashes = Hashes::default();
    let (faults, topology) = (run.plan.faults(), &run.plan.world.topology);
    // The links of a fault whose target is a role are known only once it has begun.
    let resolved = run.trace.events.iter().filter_map(|event| match event.what {
        What::FaultBegin { fault, resolved: Some(host) } => {
            let kind = &faults.get(fault as usize)?.kind;
            Some(json!({ "fault": fault, "host": host, "links": links(kind, topology, Some(host)) }))
        }
        _ => None,
    });
    json!({
        "outcome": run.outcome,
        "because": run.scenario.expect.get(&run.outcome.system).map(|expected| &expected.because),
        "as_expected": unmet(&run.scenario, &run.outcome).is_empty(),
        "safety_checks": run.outcome.violations.iter().map(|found| is_safety(found.check)).collect::<Vec<_>>(),
        "names": run.trace.names,
        "nodes": run.trace.nodes,
        "resolved": resolved.collect::<Vec<_>>(),
        "events": events(run, &mut hashes),
        "operations": operations(run, &mut hashes),
        // In the order of the operations.
        "lives": Lives::of(&lives(run, &run.history.operations)),
        "overlaps": overlaps(&run.trace).iter().map(|overlap| json!({
            "from_ns": overlap.from_ns,
            "until_ns": overlap.until_ns,
            "nodes": overlap.nodes.iter().collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

/// All events: when, where and of which kind in the order of the trace; their fields in one table per name of a kind, in
/// the same order. Events of one name with different wording are different kinds.
fn events(run: &Run, hashes: &mut Hashes) -> Value {
    let events = &run.trace.events;
    let unit_ns = events.iter().fold(0, |unit, event| gcd(unit, event.t_ns)).max(1);
    let mut kinds: Vec<(String, &str)> = Vec::new();
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let mut of_kind = Vec::with_capacity(events.len());
    let mut own_words = OwnWords::default();
    for event in events {
        let (name, mut fields) = variant(&event.what);
        if let Some(word) = own_words.of(run, event) {
            fields["label"] = word.into();
        }
        let told = words(&event.what);
        let kind = kinds.iter().position(|known| (known.0.as_str(), known.1) == (&name, told));
        let kind = kind.unwrap_or_else(|| {
            kinds.push((name.clone(), told));
            kinds.len() - 1
        });
        of_kind.push(kind);
        tables.entry(name).or_default().push(&fields);
    }
    let tables: BTreeMap<_, _> = tables.iter().map(|(name, table)| (name, table.encode(hashes))).collect();
    json!({
        "unit_ns": unit_ns,
        "t": deltas(events.iter().map(|event| Some((event.t_ns / unit_ns) as i64))),
        "host": events.iter().map(|event| event.host).collect::<Vec<_>>(),
        "kind": of_kind,
        "kinds": kinds.iter().map(|(name, words)| json!({ "name": name, "words": words })).collect::<Vec<_>>(),
        "tables": tables,
    })
}

/// The words of a system's own for messages, also where these arrive or are lost, and for roles.
#[derive(Default)]
struct OwnWords<'a>(BTreeMap<MessageId, &'a str>);

impl<'a> OwnWords<'a> {
    fn of(&mut self, run: &'a Run, event: &Event) -> Option<&'a str> {
        match event.what {
            What::Send { message, .. } => {
                let word = run.trace.labels.of(event)?;
                self.0.insert(message, word);
                Some(word)
            }
            What::Deliver { message, .. } | What::Discard { message, .. } | What::Drop { message, .. } => {
                self.0.get(&message).copied()
            }
            _ => run.trace.labels.of(event),
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn operations(run: &Run, hashes: &mut Hashes) -> Value {
    let mut table = Table::default();
    run.history.operations.iter().for_each(|operation| table.push(&row(operation)));
    table.encode(hashes)
}

/// `value` is what is written; `found` is what was observed; `absent` says that nothing was found.
fn row(operation: &Operation) -> Value {
    let (kind, value, expected) = match operation.op {
        Op::Get { .. } => ("get", None, None),
        Op::Put { value, .. } => ("put", Some(value), None),
        Op::Delete { .. } => ("delete", None, None),
        Op::Cas { expected, new, .. } => ("cas", Some(new), expected),
    };
    let (status, by) = match operation.status {
        Status::Ok { by, .. } => ("ok", by),
        Status::Fail => ("fail", None),
        Status::Info => ("info", None),
    };
    let (result, found) = match operation.outcome() {
        Some(Response::Value(found)) => (Some("value"), found),
        Some(Response::Done) => (Some("done"), None),
        Some(Response::Swapped) => (Some("swapped"), None),
        Some(Response::Mismatch { found }) => (Some("mismatch"), found),
        None => (None, None),
    };
    json!({
        "id": operation.id,
        "client": operation.client,
        "session": operation.tag.session,
        "sequence": operation.tag.sequence,
        "op": kind,
        "key": operation.key(),
        "value": value,
        "expected": expected,
        "planned_ns": operation.planned_ns,
        "start_ns": operation.start_ns,
        // An operation that was under way when the run was given up has no end.
        "end_ns": (operation.end_ns < LATEST_NS).then_some(operation.end_ns),
        "status": status,
        "result": result,
        "found": found,
        "by": by.map(|by| by.node),
        "term": by.map(|by| by.term),
        "attempts": operation.attempts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::run::compare::judge;
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    fn unpacked(text: &str) -> Value {
        let mut plain = String::new();
        ZlibDecoder::new(&STANDARD.decode(text).unwrap()[..]).read_to_string(&mut plain).unwrap();
        serde_json::from_str(&plain).unwrap()
    }

    fn undelta(column: &Value) -> Vec<Option<i64>> {
        let mut last = 0;
        let mut add = |delta: i64| {
            last += delta;
            last
        };
        column.as_array().unwrap().iter().map(|delta| delta.as_i64().map(&mut add)).collect()
    }

    fn both() -> (Vec<Run>, Comparison) {
        let scenario = sample::scenario();
        let runs = ["raft", "dual-primary"].map(|system| sample::run(&scenario, system, 7)).to_vec();
        (runs.clone(), judge(&scenario, runs))
    }

    #[test]
    fn nothing_of_the_trace_is_dropped() {
        let (runs, comparison) = both();
        let data = unpacked(&packed(&runs, Some(&comparison)));
        for (run, system) in runs.iter().zip(data["systems"].as_array().unwrap()) {
            let embedded = &system["events"];
            let unit = embedded["unit_ns"].as_i64().unwrap();
            let times: Vec<_> = undelta(&embedded["t"]).into_iter().map(|t| (t.unwrap() * unit) as u64).collect();
            assert_eq!(times, run.trace.events.iter().map(|event| event.t_ns).collect::<Vec<_>>());
            let mut next: BTreeMap<&str, usize> = BTreeMap::new();
            for (index, event) in run.trace.events.iter().enumerate() {
                assert_eq!(embedded["host"][index], event.host.0);
                let kind = &embedded["kinds"][embedded["kind"][index].as_u64().unwrap() as usize];
                assert_eq!(kind["words"], words(&event.what));
                let kind = kind["name"].as_str().unwrap();
                *next.entry(kind).or_default() += 1;
                assert_eq!(kind, variant(&event.what).0);
            }
            for (kind, rows) in next {
                assert_eq!(embedded["tables"][kind]["rows"], rows, "{kind}");
            }
            let keys = undelta(&embedded["tables"]["acknowledge"]["columns"]["key"]["numbers"]);
            let recorded = run.trace.events.iter().filter_map(|event| match event.what {
                What::Acknowledge { key, .. } => Some(Some(i64::from(key.0))),
                _ => None,
            });
            assert_eq!(keys, recorded.collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_operation_without_an_end_has_none() {
        let (mut runs, _) = both();
        runs[0].history.operations[1].end_ns = u64::MAX;
        let ends = undelta(&data(&runs, None)["systems"][0]["operations"]["columns"]["end_ns"]["numbers"]);
        assert_eq!((ends[0], ends[1]), (Some(2_005_000_000), None));
    }

    #[test]
    fn nothing_of_the_history_is_dropped() {
        let (runs, comparison) = both();
        let data = unpacked(&packed(&runs, Some(&comparison)));
        for (run, system) in runs.iter().zip(data["systems"].as_array().unwrap()) {
            let columns = &system["operations"]["columns"];
            let history = &run.history.operations;
            let recorded = |field: fn(&Operation) -> Option<i64>| history.iter().map(field).collect::<Vec<_>>();
            let embedded = |name: &str| undelta(&columns[name]["numbers"]);
            assert_eq!(embedded("id"), recorded(|operation| Some(i64::from(operation.id))));
            assert_eq!(embedded("end_ns"), recorded(|operation| Some(operation.end_ns as i64)));
            assert_eq!(
                embedded("found"),
                recorded(|operation| operation.observed().flatten().map(|found| found as i64))
            );
            assert_eq!(embedded("by"), recorded(|operation| operation.acknowledger().map(|by| i64::from(by.node.0))));
            assert_eq!(system["outcome"], serde_json::to_value(&run.outcome).unwrap());
        }
        // Every operation has a life, whose spans add up to its latency.
        for (run, system) in runs.iter().zip(data["systems"].as_array().unwrap()) {
            let rows = system["lives"]["rows"].as_array().unwrap();
            assert_eq!(rows.len(), run.history.operations.len());
            for (row, operation) in rows.iter().zip(&run.history.operations) {
                let row: Vec<u64> =
                    row.as_array().unwrap().iter().map(|field| field.as_i64().unwrap() as u64).collect();
                assert_eq!((row[0], row[1]), (operation.planned_ns / 1000, operation.end_ns / 1000));
                assert_eq!(row[3..].chunks(2).map(|span| span[1]).sum::<u64>(), row[1] - row[0], "{operation:?}");
            }
        }
        assert_eq!(data["comparison"]["safety"]["operation"], 267);
        assert_eq!(data["faults"][0]["cut"], true);
        // Every host of west with every host of east, both ways: 4 times 3, twice.
        assert_eq!(data["faults"][0]["links"].as_array().unwrap().len(), 24);
    }
}
