use schism::fault::fold::*;
use schism::fault::model::*;
use schism::kv::*;
use schism::scenario::*;
use schism::sim::*;
use schism::systems::*;
use std::time::{Duration, Instant};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seed: u64 = args.get(1).map_or(1, |s| s.parse().unwrap());
    let tick: u64 = args.get(2).map_or(1, |s| s.parse().unwrap());
    let chaos = args.get(3).is_some();
    let topology = Topology::of([
        SiteShape { name: "east".into(), nodes: 3, clients: true, witness: false },
        SiteShape { name: "west".into(), nodes: 2, clients: true, witness: false },
    ]);
    let hosts = topology.hosts();
    let mut latency_ns = vec![0; hosts * hosts];
    for a in 1..hosts {
        for b in 1..hosts {
            if a != b {
                let same = topology.site_of(schism::trace::HostId(a as u16))
                    == topology.site_of(schism::trace::HostId(b as u16));
                latency_ns[a * hosts + b] = if same { tick.max(1) } else { 10 } * 1_000_000;
            }
        }
    }
    let mut script = vec![];
    let n = 5400u32;
    for id in 0..n {
        let r = schism::rng::hash(seed, &[id as u64]);
        let key = Key((r % 12) as u32);
        let op = match (r >> 8) % 10 {
            0..=3 => Op::Get { key },
            4..=6 => Op::Put { key, value: id as u64 + 1 },
            _ => Op::Cas { key, expected: None, new: id as u64 + 1 },
        };
        script.push(ScriptedOp {
            id,
            client: id % 10,
            at_us: 2_000_000 + id as u64 * 58_000_000 / n as u64,
            op,
            fixed_expectation: false,
        });
    }
    let t = |s: &str| Target(s.into());
    let faults = if chaos {
        vec![
            Fault {
                at_ms: 5000,
                for_ms: Some(5000),
                kind: FaultKind::Isolate { target: t("@leader"), from_clients: false },
            },
            Fault {
                at_ms: 15000,
                for_ms: Some(5000),
                kind: FaultKind::Partition { groups: vec![vec![t("east")], vec![t("west")]] },
            },
            Fault { at_ms: 25000, for_ms: Some(5000), kind: FaultKind::Kill { target: t("@leader") } },
            Fault {
                at_ms: 35000,
                for_ms: Some(5000),
                kind: FaultKind::OneWay { from: vec![t("n1")], to: vec![t("n2"), t("n3")] },
            },
            Fault { at_ms: 45000, for_ms: Some(3000), kind: FaultKind::Pause { target: t("@leader") } },
            Fault {
                at_ms: 50000,
                for_ms: Some(3000),
                kind: FaultKind::Hold { a: vec![t("east")], b: vec![t("west")] },
            },
        ]
    } else {
        vec![]
    };
    let baseline = if chaos {
        Chaos { loss_ppm: 15000, reorder_ppm: 30000, reorder_ms: 60, duplicate_ppm: 20000, jitter_ms: 2 }
    } else {
        Chaos::default()
    };
    let timing = Timing {
        tick_ms: tick,
        duration_ms: 60_000,
        heartbeat_ms: 250,
        election_min_ms: 750,
        election_max_ms: 1500,
        ..Timing::default()
    };
    let plan = Plan {
        seed,
        clients: vec![6, 4],
        latency_ns,
        timing,
        baseline,
        schedule: Schedule { faults },
        script,
        acts: None,
        keys: 12,
        topology,
    };
    let deployment = Deployment {
        sites: plan
            .topology
            .sites
            .iter()
            .map(|s| SiteNodes { name: s.name.clone(), nodes: s.nodes.clone(), witness: s.witness })
            .collect(),
        heartbeat: Duration::from_millis(250),
        election: (Duration::from_millis(750), Duration::from_millis(1500)),
        takeover_after: Duration::from_millis(1500),
    };
    let start = Instant::now();
    let e = simulate(&plan, System::Raft.cluster(&deployment).into()).unwrap();
    let wall = start.elapsed().as_secs_f64();
    let sim_s = e.ended_ns as f64 / 1e9;
    let mut h = schism::trace::digest::Hasher::default();
    let s2 = Instant::now();
    for ev in &e.trace.events {
        h.add(ev);
    }
    let d = h.finish();
    println!(
        "sim {sim_s}s wall {wall:.2}s = {:.0}x; events {} digest {d} in {:?}",
        sim_s / wall,
        e.trace.events.len(),
        s2.elapsed()
    );
    use schism::history::Status;
    let c = |f: fn(&Status) -> bool| e.history.operations.iter().filter(|o| f(&o.status)).count();
    println!(
        "ok {} fail {} info {} acts {}",
        c(|s| matches!(s, Status::Ok { .. })),
        c(|s| matches!(s, Status::Fail)),
        c(|s| matches!(s, Status::Info)),
        e.acts.len()
    );
    let mut kinds = std::collections::BTreeMap::new();
    for ev in &e.trace.events {
        let k = format!("{:?}", ev.what);
        let k = k.split([' ', '{']).next().unwrap().to_string();
        *kinds.entry(k).or_insert(0) += 1;
    }
    println!("{kinds:?}");
    let mut sends = std::collections::BTreeMap::new();
    for ev in &e.trace.events {
        if let schism::trace::What::Send { class, .. } = ev.what {
            *sends.entry(class).or_insert(0) += 1;
        }
        if let schism::trace::What::Role { role, term, .. } = ev.what {
            println!("{:.3} {} {:?} {}", ev.t_ns as f64 / 1e9, ev.host, role, term);
        }
    }
    println!("{sends:?}");
    let mut drops = std::collections::BTreeMap::new();
    for ev in &e.trace.events {
        if let schism::trace::What::Drop { class, to, reason, .. } = ev.what {
            *drops.entry((format!("{reason:?}"), ev.host, to, class, ev.t_ns / 10_000_000_000)).or_insert(0) += 1;
        }
    }
    for (k, v) in &drops {
        if *v > 60 {
            println!("{k:?} {v}");
        }
    }
}
