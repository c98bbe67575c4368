//! What the hosts of a run share: the active faults, and the things on which they act, each in a file of its own.
//!
//! * [`super::carrier`]: the links, and what travels on them.
//! * `connections`, `pipe`, `mailbox`: what is open and who listens where, for frames, streams and datagrams.
//! * [`super::processes`]: who stands still, who panicked, whose power goes.
//! * `clock`: clocks that drift. [`super::recorder`]: the event log.

use super::carrier::{Body, Carrier, Letter, Sent};
use super::clock::Clocks;
use super::connections::Connections;
use super::fates::Fates;
use super::link::Policy;
use super::lock;
use super::mailbox::Datagrams;
use super::outside::Outside;
use super::pipe::Streams;
use super::processes::{Panic, Processes};
use super::recorder::Recorder;
use super::task::Gate;
use crate::fault::chaos::{Act, Fate};
use crate::fault::fold::{Active, Passage};
use crate::rng;
use crate::trace::{HostId, MessageId, MessageKind, What};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Everything the fabric is made from.
pub struct FabricConfig {
    /// The run's seed.
    pub seed: u64,
    /// One-way latency from host to host in nanoseconds, row by sender; `hosts * hosts` entries.
    pub latency_ns: Vec<u64>,
    /// The fold over active faults, none active yet.
    pub active: Active,
    /// An explicit list of acts; replaces the hashes of loss, reordering and duplication.
    pub acts: Option<Vec<Act>>,
}

/// What the hosts of a run share.
pub struct Fabric {
    seed: u64,
    nodes: usize,
    names: Vec<String>,
    latency_ns: Vec<u64>,
    recorder: Arc<Recorder>,
    carrier: Carrier,
    connections: Connections,
    streams: Streams,
    datagrams: Datagrams,
    processes: Processes,
    clocks: Clocks,
    active: Mutex<Active>,
    fates: Mutex<Fates>,
    /// What the faults requested and could not do in this run.
    powerless: Mutex<BTreeSet<String>>,
    /// Payload that nodes have sent to nodes.
    bytes: AtomicU64,
    /// What the hosts have in place of simulated parts, if they are real.
    outside: Option<Outside>,
}

/// A message to be sent: sender, receiver and content.
pub struct Sending<'a> {
    /// The sender.
    pub from: HostId,
    /// The receiver.
    pub to: HostId,
    /// What the message carries.
    pub class: MessageKind,
    /// The message that is being handled or answered.
    pub cause: Option<MessageId>,
    /// The bytes whose hash goes into the trace.
    pub payload: &'a [u8],
    /// On client links: the operation and attempt that name it to the chaos layer.
    pub place: Option<u64>,
}

impl Fabric {
    /// The fabric of a run.
    pub fn new(recorder: Recorder, names: Vec<String>, config: FabricConfig) -> Fabric {
        let recorder = Arc::new(recorder);
        assert_eq!(config.latency_ns.len(), names.len() * names.len(), "one latency per directed pair of hosts");
        Fabric {
            seed: config.seed,
            nodes: config.active.topology().nodes,
            carrier: Carrier::new(recorder.clone(), &config.latency_ns),
            processes: Processes::new(names.len()),
            names,
            latency_ns: config.latency_ns,
            recorder,
            connections: Connections::default(),
            streams: Streams::default(),
            datagrams: Datagrams::default(),
            clocks: Clocks::default(),
            active: Mutex::new(config.active),
            fates: Mutex::new(Fates::new(config.seed, config.acts)),
            powerless: Mutex::default(),
            bytes: AtomicU64::new(0),
            outside: None,
        }
    }

    /// Has its hosts use these in place of the simulated parts.
    pub fn with(self, outside: Outside) -> Fabric {
        Fabric { outside: Some(outside), ..self }
    }

    /// What its hosts have in place of simulated parts.
    pub(super) fn outside(&self) -> Option<&Outside> {
        self.outside.as_ref()
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A host's name.
    pub fn name(&self, host: HostId) -> &str {
        &self.names[host.index()]
    }

    /// The host called `name`, if there is one.
    pub fn host(&self, name: &str) -> Option<HostId> {
        self.names.iter().position(|known| known == name).map(|index| HostId(index as u16))
    }

    /// Whether a host is a node.
    pub fn is_node(&self, host: HostId) -> bool {
        (1..=self.nodes).contains(&host.index())
    }

    /// The latency of a link without faults and jitter.
    pub fn one_way(&self, from: HostId, to: HostId) -> Duration {
        Duration::from_nanos(self.latency_ns[from.index() * self.names.len() + to.index()])
    }

    /// The one-way latencies of both directions.
    pub fn round_trip(&self, a: HostId, b: HostId) -> Duration {
        self.one_way(a, b) + self.one_way(b, a)
    }

    /// The event log.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The links of the run.
    pub(super) fn carrier(&self) -> &Carrier {
        &self.carrier
    }

    /// The connections of frames.
    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The byte streams of the run.
    pub(super) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// The datagram sockets of the run.
    pub(super) fn datagrams(&self) -> &Datagrams {
        &self.datagrams
    }

    /// The clocks of the run.
    pub(super) fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// The processes of the run.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// The switch that stops a host's tasks.
    pub fn gate(&self, host: HostId) -> &Gate {
        self.processes.gate(host)
    }

    /// A node's process panicked, or what stands for that where it is not of this program. It is killed after this step.
    pub fn panicked(&self, host: HostId, said: String) {
        self.recorder.record(host, What::Panic);
        self.processes.panicked(Panic { host, t_ns: self.recorder.now_ns(), said });
    }

    /// Notes that a fault had no effect that it should have had: the run is then inconclusive about it.
    pub fn cannot_act(&self, why: impl Into<String>) {
        lock(&self.powerless).insert(why.into());
    }

    /// What the faults could not do, in words.
    pub fn powerless(&self) -> Vec<String> {
        lock(&self.powerless).iter().cloned().collect()
    }

    /// Reads or changes the set of active faults. The simulator calls this between steps, and then [`Fabric::changed`]
    /// and [`Fabric::crashed`] for what changed.
    pub fn with_active<T>(&self, f: impl FnOnce(&mut Active) -> T) -> T {
        f(&mut lock(&self.active))
    }

    /// Whether messages from `from` to `to` are cut off.
    pub fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.with_active(|active| active.link(from, to).cut)
    }

    /// Whether messages from `from` to `to` are neither cut off nor held back.
    pub fn is_open(&self, from: HostId, to: HostId) -> bool {
        self.with_active(|active| matches!(active.link(from, to).passage(), Passage::Open { .. }))
    }

    /// Whether a host's process is down.
    pub fn is_down(&self, host: HostId) -> bool {
        self.with_active(|active| active.process(host).is_dead())
    }

    /// Every act of the chaos layer so far, in the order in which they were decided.
    pub fn take_acts(&self) -> Vec<Act> {
        lock(&self.fates).take_acts()
    }

    /// Decides what happens to the next message of `kind` from `from` to `to`, and its jitter in nanoseconds. On client
    /// links `place` names the message; between nodes its count does.
    pub(super) fn decide(&self, from: HostId, to: HostId, kind: MessageKind, place: Option<u64>) -> (Fate, u64) {
        let chaos = self.with_active(|active| active.chaos(from, to, kind));
        let mut fates = lock(&self.fates);
        let place = fates.place(from, to, kind, place);
        fates.decide(place, &chaos)
    }

    /// Sends a message: the first step of [`super::link`]'s order. [`Fabric::carry`] does the other steps.
    pub fn send(&self, sending: Sending<'_>) -> Sent {
        let Sending { from, to, class, cause, payload, place } = sending;
        if self.is_node(from) && self.is_node(to) {
            self.bytes.fetch_add(payload.len() as u64, Ordering::Relaxed);
        }
        let message = self.recorder.next_message(from);
        self.recorder.record(from, What::Send { to, message, class, cause, payload: rng::hash_bytes(0, payload) });
        let (fate, jitter_ns) = self.decide(from, to, class, place);
        Sent { letter: Letter { from, to, message, class }, fate, jitter_ns }
    }

    /// The bytes that nodes have sent to nodes, without headers.
    pub fn bytes_between_nodes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Puts a message that was sent on its link.
    pub fn carry(&self, sent: Sent, policy: Policy, body: Arc<dyn Body>) {
        self.carrier.carry(sent, policy, body);
    }

    /// A step of the simulator has ended at `now_ns`: what was delayed until then leaves.
    pub fn end_step(&self, now_ns: u64) {
        self.recorder.set_step(now_ns);
        self.carrier.step();
    }

    /// The active faults have changed: informs links and clocks of their new state.
    pub fn changed(&self) {
        let hosts = || (0..self.names.len() as u16).map(HostId);
        for (from, to) in hosts().flat_map(|from| hosts().map(move |to| (from, to))) {
            self.carrier.changed(from, to, self.with_active(|active| active.link(from, to)));
        }
        let now_ns = self.recorder.now_ns();
        for host in hosts() {
            let drift_ppm = self.with_active(|active| active.clock(host).drift_ppm);
            self.clocks.set_rate(host, now_ns, drift_ppm);
        }
    }

    /// A process has just died: its messages that had not left, and messages under way to it, are lost.
    pub fn crashed(&self, host: HostId) {
        self.carrier.died(host);
        self.close_connections(host);
    }

    /// Ends the accounting: what was sent more than `grace` ago and never arrived was lost.
    pub fn settle(&self, grace: Duration) {
        self.carrier.settle(grace);
    }
}
