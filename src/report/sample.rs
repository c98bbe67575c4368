//! A made-up run, shaped like the `split-brain` scenario, with which the renderings are tested.

use crate::check::{Certificate, CheckName, Violation};
use crate::fault::kinds::Partition;
use crate::fault::model::{Fault, Target};
use crate::history::{Acknowledger, History, Operation, Status};
use crate::kv::{self, Key, Op, Tag};
use crate::run::{Availability, Counters, Liveness, Outcome, Plan, Run, Served, Verdict};
use crate::scenario::{AvailabilityBound, Expectation, Safety, Scenario, ScriptedOp, Site};
use crate::trace::{Event, HostId, Role, Scope, Trace, What, digest};
use std::collections::BTreeMap;

const CUT_MS: u64 = 8000;
const HEALED_MS: u64 = 20_000;
const TAKEN_OVER_MS: u64 = CUT_MS + 1200;
const END_MS: u64 = 34_000;
const OPERATIONS: u32 = 1000;

/// Two data centres, three voters and two, cut from each other for twelve seconds.
pub fn scenario() -> Scenario {
    let site = |name: &str, nodes, clients| Site { name: name.into(), nodes, clients, witness: false };
    let group = |site: &str| vec![Target(site.into())];
    let bound = |site: &str, at_least, at_most| AvailabilityBound { site: site.into(), at_least, at_most };
    Scenario {
        situations: Vec::new(),
        swarm: None,
        snapshot_entries: None,
        kept_entries: None,
        disk_bytes: None,
        version: crate::scenario::VERSION,
        name: "split-brain".into(),
        title: "Two data centres lose the link between them".into(),
        story: "The link between west and east is cut for twelve seconds.".into(),
        sites: vec![site("west", 3, 3), site("east", 2, 3)],
        latency: Default::default(),
        timing: Default::default(),
        workload: Default::default(),
        messages: Default::default(),
        faults: vec![Fault {
            at_ms: CUT_MS,
            for_ms: Some(HEALED_MS - CUT_MS),
            kind: Partition { groups: vec![group("west"), group("east")] }.into(),
            when: None,
        }],
        nemesis: None,
        expect: BTreeMap::from([
            (
                "raft".into(),
                Expectation {
                    because: "Only the side with a quorum may acknowledge.".into(),
                    availability: vec![bound("west", Some(0.95), None), bound("east", None, Some(0.1))],
                    ..Expectation::default()
                },
            ),
            (
                "dual-primary".into(),
                Expectation {
                    safety: Safety::SplitBrain,
                    because: "Both sides acknowledge.".into(),
                    ..Expectation::default()
                },
            ),
        ]),
        subject: None,
        explicit: None,
    }
}

/// The faults, and which node leads when.
fn roles(forks: bool) -> Trace {
    let mut trace = Trace {
        names: ["world", "n1", "n2", "n3", "n4", "n5", "west.clients", "east.clients"].map(String::from).to_vec(),
        nodes: 5,
        ..Trace::default()
    };
    let mut record = |t_ms: u64, host: u16, what: What| record(&mut trace, t_ms, host, what);
    record(CUT_MS, 0, What::FaultBegin { fault: 0, resolved: None });
    record(HEALED_MS, 0, What::FaultEnd { fault: 0 });
    let primary = |scope, term| What::Role { role: Role::Primary, scope, term };
    if forks {
        record(100, 1, primary(Scope::Shard(0), 1));
        record(100, 4, primary(Scope::Shard(1), 1));
        record(TAKEN_OVER_MS, 1, primary(Scope::Shard(1), 2));
        record(TAKEN_OVER_MS, 4, primary(Scope::Shard(0), 2));
        record(HEALED_MS + 100, 1, What::Role { role: Role::Backup, scope: Scope::Shard(1), term: 3 });
        record(HEALED_MS + 100, 4, What::Role { role: Role::Backup, scope: Scope::Shard(0), term: 3 });
    } else {
        record(900, 1, What::Role { role: Role::Candidate, scope: Scope::All, term: 1 });
        record(950, 1, primary(Scope::All, 1));
        record(12_000, 2, What::Crash);
        record(14_000, 2, What::Start);
        record(15_000, 3, What::Pause);
        record(16_000, 3, What::Resume);
    }
    trace
}

fn record(trace: &mut Trace, t_ms: u64, host: u16, what: What) {
    let seq = trace.events.len() as u32;
    trace.events.push(Event { t_ns: t_ms * 1_000_000, host: HostId(host), seq, what });
}

/// A run of `scenario` as if by `system` ("dual-primary" forks; any other name behaves as Raft does).
pub fn run(scenario: &Scenario, system: &str, seed: u64) -> Run {
    let forks = system == "dual-primary";
    let mut trace = roles(forks);
    let mut history = History::default();
    let mut script = Vec::new();
    for id in 0..OPERATIONS {
        let t_ms = 2000 + u64::from(id) * 28;
        let (client, east) = (id % 6, id % 6 >= 3);
        let (cut, settled) = ((CUT_MS..HEALED_MS).contains(&t_ms), (TAKEN_OVER_MS..HEALED_MS).contains(&t_ms));
        let key = Key(id % 8);
        let op = if id % 2 == 0 { Op::Put { key, value: u64::from(id) + 1000 } } else { Op::Get { key } };
        let tag = Tag { session: u64::from(client), sequence: u64::from(id / 6 + 1) };
        let shard = key.0 % 2;
        let node = match (forks, east) {
            (false, _) => 1,
            (true, true) if settled || shard == 1 => 4,
            (true, false) if !settled && shard == 1 => 4,
            (true, _) => 1,
        };
        let reachable = !cut || (node == 4) == east;
        let status = match (reachable, op) {
            (false, _) if settled => Status::Fail,
            (false, _) => Status::Info,
            (true, Op::Get { .. }) => Status::Ok {
                outcome: kv::Response::Value(Some(seed + u64::from(node))),
                by: Some(Acknowledger { node: HostId(node), term: 1 }),
            },
            (true, _) => {
                Status::Ok { outcome: kv::Response::Done, by: Some(Acknowledger { node: HostId(node), term: 1 }) }
            }
        };
        if reachable {
            record(&mut trace, t_ms + 4, node, What::Acknowledge { tag, key, term: 1 });
        }
        script.push(ScriptedOp { id, client, at_us: t_ms * 1000, op, fixed_expectation: false });
        let (planned_ns, end_ns) = (t_ms * 1_000_000, (t_ms + 5) * 1_000_000);
        history.operations.push(Operation {
            id,
            client,
            tag,
            op,
            planned_ns,
            start_ns: planned_ns,
            end_ns,
            status,
            attempts: 1,
        });
    }
    record(&mut trace, END_MS, 1, What::Final { state: seed });
    trace.sort();
    let mut plan = crate::run::plan(scenario, seed);
    plan.load.script = script;
    let outcome = outcome(system, &plan, &trace, &history);
    Run {
        outcome: Outcome { scenario: scenario.name.clone(), ..outcome },
        scenario: scenario.clone(),
        plan,
        acts: Vec::new(),
        trace,
        history,
        doubts: Vec::new(),
        bytes_between_nodes: 0,
    }
}

/// What a scenario of any name would say of it.
fn outcome(system: &str, plan: &Plan, trace: &Trace, history: &History) -> Outcome {
    let forks = system == "dual-primary";
    let violations = Vec::from_iter(forks.then(split_brain));
    let verdict = if forks { Verdict::Violation } else { Verdict::Pass };
    let count = |wanted: fn(&Status) -> bool| {
        history.operations.iter().filter(|operation| wanted(&operation.status)).count() as u64
    };
    let mut acks_by_node = BTreeMap::new();
    for by in history.operations.iter().filter_map(Operation::acknowledger) {
        *acks_by_node.entry(trace.name(by.node).to_string()).or_insert(0) += 1;
    }
    let mut hasher = digest::Hasher::default();
    hasher.add(&trace.events);
    hasher.add(history);
    Outcome {
        fault_kinds: Default::default(),
        situations: BTreeMap::new(),
        scenario: String::new(),
        system: system.into(),
        seed: plan.world.seed,
        verdict,
        violations,
        inconclusive: Vec::new(),
        inapplicable: Vec::new(),
        liveness: Liveness::Ok,
        converged: true,
        digest: hasher.finish(),
        // As JSON: postcard cannot encode flattened fields.
        schedule_digest: digest::of(&serde_json::to_string(plan.faults()).expect("faults serialize")),
        script_digest: digest::of(&plan.load.script),
        acked: count(|status| matches!(status, Status::Ok { .. })),
        failed: count(|status| *status == Status::Fail),
        unknown: count(|status| *status == Status::Info),
        lost_acked_writes: if forks { 31 } else { 0 },
        conflicting_acks: if forks { 2 } else { 0 },
        linearizable: Some(!forks),
        leader_changes: u64::from(!forks),
        acting_primaries_overlap_s: if forks { 10.9 } else { 0.0 },
        acks_by_node,
        availability: availability(history),
        recovered_ms: Some(840),
        simulated_s: END_MS as f64 / 1000.0,
        tick_ms: 1,
        nodes: trace.nodes,
        hosts: trace.names.len() - 1,
        counters: Counters { messages_sent: 12_000, messages_dropped: 900, cuts: 1, ..Counters::default() },
    }
}

fn split_brain() -> Violation {
    Violation {
        check: CheckName::SplitBrain,
        certificate: Certificate {
            sentence:
                "client 0 put k0=1264 through n1 (epoch 2) at 9.396 s and client 3 read k0 = 4 through n4 (epoch 2) \
                       at 9.480 s, and neither node had applied the other's operation"
                    .into(),
            operations: vec![264, 267],
            nodes: vec![HostId(1), HostId(4)],
            terms: vec![2, 2],
            messages: Vec::new(),
            at_ns: Some(9_480_000_000),
        },
    }
}

fn availability(history: &History) -> Vec<Availability> {
    let mut availability = Vec::new();
    for (site, east) in [("west", false), ("east", true)] {
        for (during, from, to) in
            [("run", 0, END_MS), ("faults", CUT_MS, HEALED_MS), ("settled", CUT_MS + 3600, HEALED_MS)]
        {
            let offered = history.operations.iter().filter(|operation| {
                (operation.client >= 3) == east && (from..to).contains(&(operation.planned_ns / 1_000_000))
            });
            let served_in_time = offered.clone().filter(|operation| operation.outcome().is_some()).count() as u64;
            let offered = offered.count() as u64;
            availability.push(Availability {
                site: site.into(),
                during: during.into(),
                from_ms: from,
                until_ms: to,
                served: Served { offered, served_in_time, late: 0, unserved: offered - served_in_time },
            });
        }
    }
    availability
}
