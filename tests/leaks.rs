//! The determinism check catches what makes runs differ: each leak is planted in a small cluster, and
//! the repeated runs must disagree; without a leak they must agree.

use schism::clients::{Clients, Load};
use schism::fault::fold::{SiteShape, Topology};
use schism::fault::kinds::Kill;
use schism::fault::model::{Chaos, Fault, Schedule, Target};
use schism::host::transport::Incoming;
use schism::host::{Host, task};
use schism::kv::{Applied, Command, Key, Op, Store, Value};
use schism::run::{Plan, repeat};
use schism::scenario::ScriptedOp;
use schism::sim::{World, simulate};
use schism::systems::protocol::{Reply, Request};
use schism::systems::{Cluster, Process};
use schism::trace::digest::{Digest, Hasher};
use schism::trace::{HostId, MessageKind, Trace, What};
use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Leak {
    None,
    HashOrder,
    RealClock,
    UnbiasedSelect,
    TokioSpawn,
    ProcessCounter,
}

/// Primary n1 acknowledges and then informs the others, which only redirect clients.
struct Leaky {
    leak: Leak,
    nodes: Vec<HostId>,
    store: Arc<Mutex<Store>>,
    started: Instant,
}

static PROCESS_COUNTER: AtomicU64 = AtomicU64::new(0);

/// Records when it is dropped; the order of several drops is the one in which a crash drops them.
struct Ends(Host, u32);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.record(What::Sync { writes: self.1 });
    }
}

impl Leaky {
    fn peers(&self) -> Vec<HostId> {
        let peers = self.nodes[1..].iter().copied();
        match self.leak {
            Leak::HashOrder => peers.collect::<HashSet<_>>().into_iter().collect(),
            _ => peers.collect(),
        }
    }

    /// What the leak adds to each message between nodes.
    async fn stain(&self) -> u64 {
        match self.leak {
            Leak::RealClock => self.started.elapsed().as_nanos() as u64,
            Leak::ProcessCounter => PROCESS_COUNTER.fetch_add(1, Ordering::Relaxed),
            // The select of the futures crate draws from a generator of the thread, which no seed reaches
            // (tokio's own is seeded through its runtime).
            Leak::UnbiasedSelect => futures::select! {
                one = futures::future::ready(1) => one,
                two = futures::future::ready(2) => two,
            },
            _ => 0,
        }
    }
}

impl Cluster for Leaky {
    fn process(&self, host: Host) -> Process {
        let this = Rc::new(Leaky {
            leak: self.leak,
            nodes: self.nodes.clone(),
            store: self.store.clone(),
            started: self.started,
        });
        Box::pin(async move {
            if this.leak == Leak::TokioSpawn {
                for number in 0..40 {
                    let ends = Ends(host.clone(), number);
                    tokio::spawn(async move {
                        std::future::pending::<()>().await;
                        drop(ends);
                    });
                }
            }
            let serving = host.clone();
            let handler = Rc::new(move |incoming: Incoming| {
                let (this, host) = (this.clone(), host.clone());
                let answer: Pin<Box<dyn Future<Output = Option<Vec<u8>>>>> = Box::pin(async move {
                    if incoming.kind != MessageKind::Request {
                        return Some(Vec::new());
                    }
                    let Request { command } = postcard::from_bytes(&incoming.payload).ok()?;
                    postcard::to_stdvec(&this.answer(&host, command).await).ok()
                });
                answer
            });
            serving.serve(handler).await.unwrap();
        })
    }

    fn state(&self, _node: HostId) -> Option<BTreeMap<Key, Value>> {
        Some(self.store.lock().unwrap().values().clone())
    }
}

impl Leaky {
    async fn answer(&self, host: &Host, command: Command) -> Reply {
        if host.id() != self.nodes[0] {
            return Reply::Refused { hint: Some(self.nodes[0]) };
        }
        let applied = self.store.lock().unwrap().apply(&command);
        for peer in self.peers() {
            let payload = postcard::to_stdvec(&(command, self.stain().await)).unwrap();
            let transport = host.transport();
            task::spawn(host.clone(), async move {
                let deadline = Duration::from_millis(200);
                let _ = transport.call(peer, MessageKind::Replicate, payload, deadline, None).await;
            });
        }
        match applied {
            Applied::Fresh(outcome) | Applied::Repeated(outcome) => {
                Reply::Ok { outcome, acknowledged_by: host.id(), term: 1 }
            }
            Applied::Stale => Reply::Unknown,
        }
    }
}

fn plan(seed: u64) -> Plan {
    let site = SiteShape { name: "here".into(), nodes: 4, clients: true, witness: false };
    let topology = Topology::of([site]);
    let hosts = topology.hosts();
    let script = (0..60u32).map(|id| ScriptedOp {
        id,
        client: id % 2,
        at_us: 200_000 + u64::from(id) * 10_000,
        op: Op::Put { key: Key(id % 3), value: u64::from(id) + 1 },
        fixed_expectation: false,
    });
    let target = |name: &str| Target(name.to_owned());
    let kill = Fault { at_ms: 500, for_ms: Some(200), kind: Kill { target: target("n3") }.into(), when: None };
    let world = World {
        seed,
        tick_ms: 1,
        duration_ms: 1000,
        latency_ns: vec![1_000_000; hosts * hosts],
        baseline: Chaos { loss_ppm: 20_000, reorder_ppm: 50_000, reorder_ms: 20, ..Chaos::default() },
        schedule: Schedule { faults: vec![kill] },
        acts: None,
        topology,
    };
    let load = Load {
        clients: vec![2],
        script: script.collect(),
        keys: 3,
        attempt_timeout_ms: 500,
        operation_timeout_ms: 2000,
        recovery_ms: 12_000,
    };
    Plan { world, load }
}

fn simulate_with(leak: Leak, seed: u64) -> Trace {
    let plan = plan(seed);
    let nodes = plan.world.topology.node_ids().collect();
    let cluster = Leaky { leak, nodes, store: Arc::default(), started: Instant::now() };
    let clients = Clients::new(&plan.world, &plan.load, Arc::new(cluster));
    simulate(&plan.world, &clients).unwrap().0.trace
}

fn digest(trace: &Trace) -> Digest {
    let mut hasher = Hasher::default();
    trace.events.iter().for_each(|event| hasher.add(event));
    hasher.finish()
}

/// Whether some repetition of the run differs from the first.
fn is_caught(leak: Leak) -> bool {
    let run = |seed| Ok::<_, ()>(digest(&simulate_with(leak, seed)));
    let first = run(7).unwrap();
    // Process-wide state may happen to come back to where it was: a leak has several rounds to show.
    let rounds = if leak == Leak::None { 1 } else { 10 };
    (0..rounds).any(|_| repeat::in_process(7, run).unwrap().iter().any(|(_, again)| *again != first))
}

#[test]
fn a_clean_cluster_repeats_itself() {
    assert!(!is_caught(Leak::None));
}

#[test]
fn hash_map_order_on_a_send_path_is_caught() {
    assert!(is_caught(Leak::HashOrder));
}

#[test]
fn the_real_clock_is_caught() {
    assert!(is_caught(Leak::RealClock));
}

#[test]
fn an_unbiased_select_is_caught() {
    assert!(is_caught(Leak::UnbiasedSelect));
}

#[test]
fn tokio_spawn_with_a_kill_is_caught() {
    assert!(is_caught(Leak::TokioSpawn));
}

#[test]
fn a_process_wide_counter_is_caught() {
    assert!(is_caught(Leak::ProcessCounter));
}

#[test]
fn two_deliveries_of_one_tick_swapped_are_caught() {
    let trace = simulate_with(Leak::None, 7);
    let delivered = |at: usize| match trace.events[at].what {
        What::Deliver { .. } => Some((trace.events[at].t_ns, trace.events[at].host)),
        _ => None,
    };
    let at = (1..trace.events.len()).find(|at| delivered(*at).is_some() && delivered(*at) == delivered(at - 1));
    let at = at.expect("some host handles two frames in one tick");
    let mut swapped = trace.clone();
    let (one, two) = (trace.events[at - 1].what, trace.events[at].what);
    swapped.events[at - 1].what = two;
    swapped.events[at].what = one;
    assert_ne!(digest(&swapped), digest(&trace));
}
