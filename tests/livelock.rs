//! A node that answers itself at once and for ever is ended, and takes nobody along.

use schism::fault::fold::{SiteShape, Topology};
use schism::fault::model::{Chaos, Schedule};
use schism::host::Host;
use schism::host::task::Process;
use schism::sim::{World, simulate};
use schism::trace::{HostId, What};

/// The first node goes on without any time passing.
fn spinning(host: Host) -> Process {
    Box::pin(async move {
        while host.id() == HostId(1) {
            host.record(What::Sync { writes: 1 });
            tokio::task::yield_now().await;
        }
        std::future::pending().await
    })
}

#[test]
fn a_node_that_goes_on_for_ever_at_one_instant_panics() {
    let site = SiteShape { name: "here".into(), nodes: 2, clients: false, witness: false };
    let topology = Topology::of([site]);
    let world = World {
        seed: 1,
        tick_ms: 1,
        duration_ms: 100,
        latency_ns: vec![1_000_000; topology.hosts() * topology.hosts()],
        baseline: Chaos::default(),
        schedule: Schedule { faults: Vec::new() },
        acts: None,
        topology,
    };
    let (evidence, ()) = simulate(&world, &spinning).unwrap();
    assert_eq!(evidence.panics.len(), 1, "it starts again a second later, which is after the end");
    let panic = &evidence.panics[0];
    assert_eq!((panic.host, panic.t_ns), (HostId(1), 0));
    assert!(panic.said.contains("livelock: 100001 events of n1 at one instant"), "{}", panic.said);
    assert_eq!(evidence.ended_ns, 100_000_000, "the others lived on");
}
