//! A node that answers itself at once and for ever is stopped, and no other node with it.

use schism::fault::fold::{SiteShape, Topology};
use schism::fault::model::{Chaos, Schedule};
use schism::host::Host;
use schism::host::task::Process;
use schism::sim::{SimulationError, World, simulate};
use schism::trace::{HostId, What};
use std::time::Duration;

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

fn world(duration_ms: u64) -> World {
    let site = SiteShape { name: "here".into(), nodes: 2, clients: false, witness: false };
    let topology = Topology::of([site]);
    World {
        seed: 1,
        tick_ms: 1,
        duration_ms,
        latency_ns: vec![1_000_000; topology.hosts() * topology.hosts()],
        baseline: Chaos::default(),
        schedule: Schedule { faults: Vec::new() },
        acts: None,
        topology,
    }
}

#[test]
fn a_node_that_goes_on_for_ever_at_one_instant_panics() {
    let (evidence, ()) = simulate(&world(100), &spinning).unwrap();
    assert_eq!(evidence.panics.len(), 1, "it starts again a second later, which is after the end");
    let panic = &evidence.panics[0];
    assert_eq!((panic.host, panic.t_ns), (HostId(1), 0));
    assert!(panic.said.contains("livelock: 100001 events of n1 at one instant"), "{}", panic.said);
    assert_eq!(evidence.ended_ns, 100_000_000, "the others lived on");
}

/// Its nodes record more than can be kept, though some time passes now and then.
fn chattering(host: Host) -> Process {
    Box::pin(async move {
        loop {
            (0..50_000).for_each(|_| host.record(What::Sync { writes: 1 }));
            host.sleep(Duration::from_millis(1)).await;
        }
    })
}

#[test]
fn a_run_that_comes_to_more_events_than_are_kept_is_given_up() {
    let error = simulate(&world(3_600_000), &chattering).err().expect("an hour of this is too much");
    assert!(matches!(error, SimulationError::TooLong { after_s: 0, of_s: 3600 }), "{error}");
    assert!(error.to_string().contains("more events than are kept (5000000) after 0 of 3600 simulated seconds"));
}
