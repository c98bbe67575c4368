//! The interface between a node and the world: network, clock, randomness, tasks, event log. A system under test uses
//! nothing else.
//!
//! It gets a [`Host`], and names neither turmoil nor `tokio::net`.
//!
//! * [`recorder`]: the event log that all hosts of a run share.
//! * [`fabric`]: what the hosts of a run share.
//! * [`link`]: one direction of a link, and the one order in which the network acts on a message; knows no simulator.
//! * [`carrier`]: the links of a simulated run. `fates`: how faults name messages and decide for each.
//! * `call`: calls as caller and handler see them. [`transport`]: multiplexed calls between hosts, with deadlines, reconnection and back-off; `connection`: the
//!   connections that carry them.
//! * [`stream`]: byte streams, for systems that bring their own protocol.
//! * [`datagram`]: datagrams, which may be lost.
//! * `tcp` (feature `smoltcp`): TCP with its states and time-outs, over datagrams. [`address`]: who has which address.
//! * `connections`, `pipe`, `mailbox`: what of these three is open, and who listens where, as data.
//! * `http` (feature `hyper`): hyper over them. `grpc` (feature `tonic`): tonic over them.
//! * [`disk`]: a block device with faults. `clock`: the time that a node reads.
//! * [`processes`]: which processes are paused, and which have panicked.
//! * `panics`: catches a node's panics. `livelock`: detects a process that goes on for ever at one instant.
//! * [`outside`]: what stands in for network and disks where hosts are real processes.
//! * [`echo`]: marks what a program prints with host and time.
//! * [`task`]: tasks that know their host and stop while it is paused.

pub mod address;
mod call;
pub mod carrier;
mod clock;
mod connection;
mod connections;
#[cfg(feature = "hyper")]
mod connector;
pub mod datagram;
pub mod disk;
pub mod echo;
pub mod fabric;
mod fates;
#[cfg(feature = "tonic")]
pub mod grpc;
#[cfg(any(feature = "hyper", feature = "stories"))]
pub mod http;
pub mod link;
mod livelock;
mod mailbox;
pub mod outside;
pub(crate) mod panics;
mod pipe;
pub mod processes;
pub mod recorder;
pub mod stream;
pub mod task;
#[cfg(feature = "smoltcp")]
pub mod tcp;
pub mod transport;

use crate::kv::{Key, Tag};
use crate::rng::{self, Stream};
use crate::trace::{HostId, Role, Scope, What};
use disk::Disk;
use fabric::Fabric;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::task::JoinHandle;
use transport::Transport;

/// Locks a mutex that no panicking holder can have left inconsistent: a run is single-threaded and a
/// panic ends it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One host's access to the world: everything that a system under test may use. Cheap to clone. It is not part of the
/// process, so counters and random streams go on across restarts.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    id: HostId,
    fabric: Arc<Fabric>,
    transport: Mutex<Transport>,
    rng: Mutex<Stream>,
    disk: Arc<Disk>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Host({})", self.id())
    }
}

impl Host {
    /// The host `id` of the run that `fabric` belongs to.
    pub fn new(id: HostId, fabric: Arc<Fabric>) -> Host {
        let rng = Mutex::new(rng::stream(fabric.seed(), &format!("host {}", id.0)));
        let transport = Mutex::new(Transport::new(id, fabric.clone()));
        let disk = Arc::new(Disk::new(id, fabric.clone()));
        Host { inner: Arc::new(Inner { id, fabric, transport, rng, disk }) }
    }

    /// This host's id.
    pub fn id(&self) -> HostId {
        self.inner.id
    }

    /// This host's name.
    pub fn name(&self) -> &str {
        self.inner.fabric.name(self.inner.id)
    }

    /// The names of all nodes of the run, `n1` first.
    pub fn nodes(&self) -> Vec<String> {
        self.inner.fabric.with_active(|active| {
            let topology = active.topology();
            topology.node_ids().map(|node| topology.name(node).to_owned()).collect()
        })
    }

    fn disk_device(&self) -> &Arc<Disk> {
        &self.inner.disk
    }

    /// The fabric that connects all hosts of the run.
    pub fn fabric(&self) -> &Arc<Fabric> {
        &self.inner.fabric
    }

    /// Calls to and from other hosts. Each process has its own: see [`Host::boot`].
    pub fn transport(&self) -> Transport {
        lock(&self.inner.transport).clone()
    }

    /// Called on the process's runtime before it starts: the host has power and no connections, and receives from now
    /// on.
    pub fn boot(&self) {
        self.inner.disk.power_on();
        *lock(&self.inner.transport) = Transport::new(self.inner.id, self.inner.fabric.clone());
        self.inner.fabric.carrier().starts(self.inner.id);
        self.spawn(carrier::receive(self.clone()));
    }

    /// Simulated nanoseconds since the start of the run.
    pub fn now_ns(&self) -> u64 {
        self.inner.fabric.recorder().now_ns()
    }

    /// A random number of this host's own stream. The same seed gives the same numbers.
    pub fn random(&self) -> u64 {
        self.with_rng(rand::RngCore::next_u64)
    }

    /// A random number below `bound`, uniform; 0 when `bound` is 0.
    pub fn random_below(&self, bound: u64) -> u64 {
        rng::below(self.random(), bound)
    }

    /// Fills `bytes` with random ones, for a generator of your own or an identifier.
    pub fn random_bytes(&self, bytes: &mut [u8]) {
        self.with_rng(|rng| rand::RngCore::fill_bytes(rng, bytes));
    }

    /// Runs `f` with this host's own stream of random numbers, as a generator of the crate `rand` in the version that
    /// [`rand`] is. [`Host::random`] and its like need no crate.
    pub fn with_rng<T>(&self, f: impl FnOnce(&mut Stream) -> T) -> T {
        f(&mut lock(&self.inner.rng))
    }

    /// One operation of this host's disk, as far as faults are concerned. It waits as long as a slow disk takes;
    /// `writes` are durable after it.
    ///
    /// # Errors
    /// When the disk fails. Then nothing was written.
    pub async fn disk_operation(&self, writes: u32) -> std::io::Result<()> {
        let disk = self.inner.fabric.with_active(|active| active.disk(self.id()));
        if disk.extra_ns > 0 {
            self.sleep(Duration::from_nanos(disk.extra_ns)).await;
        }
        if disk.fails {
            return Err(std::io::Error::other("the disk failed (simulated)"));
        }
        if disk.full {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.record(What::Sync { writes });
        Ok(())
    }

    /// Starts a task of this host's process. It dies with the process, and does not run while the process is paused.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        task::spawn(self.clone(), future)
    }

    /// Records an event at this host, now.
    pub fn record(&self, what: What) {
        self.inner.fabric.recorder().record(self.inner.id, what);
    }

    /// Records that this node changed its role.
    pub fn record_role(&self, role: Role, scope: Scope, term: u64) {
        self.record(What::Role { role, scope, term });
    }

    /// Records that a command took effect in this node's store, in a system without a log.
    pub fn record_apply(&self, tag: Tag, key: Key) {
        self.record(What::Apply { tag, key, entry: None });
    }

    /// Records that this node, acting as primary, acknowledges a command.
    pub fn record_acknowledge(&self, tag: Tag, key: Key, term: u64) {
        self.record(What::Acknowledge { tag, key, term });
    }
}
