//! A node that answers itself at once and for ever is ended, and takes nobody along.

use schism::fault::fold::{SiteShape, Topology};
use schism::fault::model::{Chaos, Schedule};
use schism::host::Host;
use schism::kv::{Key, Value};
use schism::scenario::Timing;
use schism::sim::{Plan, SimulationError, simulate};
use schism::systems::{Cluster, Process};
use schism::trace::{HostId, What};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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

fn plan(duration_ms: u64) -> Plan {
    let site = SiteShape { name: "here".into(), nodes: 2, clients: false, witness: false };
    let topology = Topology::of([site]);
    Plan {
        seed: 1,
        clients: vec![0],
        latency_ns: vec![1_000_000; topology.hosts() * topology.hosts()],
        timing: Timing { duration_ms, ..Timing::default() },
        baseline: Chaos::default(),
        schedule: Schedule { faults: Vec::new() },
        script: Vec::new(),
        acts: None,
        keys: 1,
        topology,
    }
}

#[test]
fn a_node_that_goes_on_for_ever_at_one_instant_panics() {
    let evidence = simulate(&plan(100), Arc::new(Spinning)).unwrap();
    assert_eq!(evidence.panics.len(), 1, "it starts again a second later, which is after the end");
    let panic = &evidence.panics[0];
    assert_eq!((panic.host, panic.t_ns), (HostId(1), 0));
    assert!(panic.said.contains("livelock: 100001 events of n1 at one instant"), "{}", panic.said);
    assert_eq!(evidence.ended_ns, 100_000_000, "the others lived on");
}

/// Its nodes write down more than anybody can keep, though some time passes now and then.
struct Chattering;

impl Cluster for Chattering {
    fn process(&self, host: Host) -> Process {
        Box::pin(async move {
            loop {
                (0..50_000).for_each(|_| host.record(What::Sync { writes: 1 }));
                host.sleep(Duration::from_millis(1)).await;
            }
        })
    }

    fn state(&self, _: HostId) -> BTreeMap<Key, Value> {
        BTreeMap::new()
    }
}

#[test]
fn a_run_that_comes_to_more_events_than_are_kept_is_given_up() {
    let error = simulate(&plan(3_600_000), Arc::new(Chattering)).err().expect("an hour of this is too much");
    assert!(matches!(error, SimulationError::TooLong { after_s: 0, of_s: 3600 }), "{error}");
    assert!(error.to_string().contains("more events than are kept (5000000) after 0 of 3600 simulated seconds"));
}
