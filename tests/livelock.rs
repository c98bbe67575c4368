//! A node that answers itself at once and for ever is ended, and takes nobody along.

use schism::fault::fold::{SiteShape, Topology};
use schism::fault::model::{Chaos, Schedule};
use schism::host::Host;
use schism::kv::{Key, Value};
use schism::scenario::Timing;
use schism::sim::{Plan, simulate};
use schism::systems::{Cluster, Process};
use schism::trace::{HostId, What};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Its first node goes on without any time passing.
struct Spinning;

impl Cluster for Spinning {
    fn process(&self, host: Host) -> Process {
        Box::pin(async move {
            while host.id() == HostId(1) {
                host.record(What::Sync { writes: 1 });
                tokio::task::yield_now().await;
            }
            std::future::pending().await
        })
    }

    fn state(&self, _: HostId) -> BTreeMap<Key, Value> {
        BTreeMap::new()
    }
}

#[test]
fn a_node_that_goes_on_for_ever_at_one_instant_panics() {
    let site = SiteShape { name: "here".into(), nodes: 2, clients: false, witness: false };
    let topology = Topology::of([site]);
    let plan = Plan {
        seed: 1,
        clients: vec![0],
        latency_ns: vec![1_000_000; topology.hosts() * topology.hosts()],
        timing: Timing { duration_ms: 100, ..Timing::default() },
        baseline: Chaos::default(),
        schedule: Schedule { faults: Vec::new() },
        script: Vec::new(),
        acts: None,
        keys: 1,
        topology,
    };
    let evidence = simulate(&plan, Arc::new(Spinning)).unwrap();
    assert_eq!(evidence.panics.len(), 1, "it starts again a second later, which is after the end");
    let panic = &evidence.panics[0];
    assert_eq!((panic.host, panic.t_ns), (HostId(1), 0));
    assert!(panic.said.contains("livelock: 100001 events of n1 at one instant"), "{}", panic.said);
    assert_eq!(evidence.ended_ns, 100_000_000, "the others lived on");
}
