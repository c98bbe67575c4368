//! What connects the hosts of a run: the state of every link, each frame's fate, and where frames are.
//!
//! The fabric decides (loss, delay, duplication, holding) and accounts; bytes travel over the
//! connections of [`super::sockets`]. Cuts are made by the simulator, which tells the fabric, so that
//! every frame that dies of one is recorded where and when it died: a simulated TCP connection that
//! lost a segment never delivers anything again.

use super::clock::Clocks;
use super::datagram::Datagrams;
use super::lock;
use super::recorder::Recorder;
use super::stream::Streams;
use super::task::Gate;
use crate::fault::chaos::{Act, Fate, Place};
use crate::fault::fold::{Active, Passage};
use crate::trace::{Drop, HostId, MessageId, MessageKind, What};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::runtime::Handle;

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

/// A panic of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// The node.
    pub host: HostId,
    /// When, in simulated nanoseconds.
    pub t_ns: u64,
    /// Where, and what it said.
    pub said: String,
}

/// The links of a run.
pub struct Fabric {
    seed: u64,
    hosts: usize,
    nodes: usize,
    names: Vec<String>,
    latency_ns: Vec<u64>,
    recorder: Recorder,
    gates: Vec<Gate>,
    runtimes: Mutex<BTreeMap<HostId, Handle>>,
    explicit: Option<BTreeMap<Place, Fate>>,
    streams: Streams,
    datagrams: Datagrams,
    clocks: Clocks,
    state: Mutex<State>,
}

struct State {
    active: Active,
    /// Frames sent so far, by directed link and kind: names them to the chaos layer.
    counts: BTreeMap<(HostId, HostId, MessageKind), u64>,
    acts: Vec<Act>,
    flights: BTreeMap<(HostId, HostId), Vec<Flight>>,
    streams: BTreeMap<StreamId, Stream>,
    next_stream: u64,
    /// Tasks that hold back a frame, by directed link.
    held: BTreeMap<(HostId, HostId), Vec<Waker>>,
    /// What the faults asked for and could not do here.
    powerless: BTreeSet<String>,
    panics: Vec<Panic>,
    /// Power losses whose operation has come.
    struck: Vec<u32>,
}

/// One direction of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(u64);

struct Stream {
    from: HostId,
    to: HostId,
    /// A segment was lost: nothing written later will arrive.
    broken: bool,
}

/// A copy of a frame between its sender and its receiver's handler.
struct Flight {
    message: MessageId,
    class: MessageKind,
    /// The connection it was written to, once it was.
    stream: Option<StreamId>,
    since_ns: u64,
}

/// What the fabric decided for a frame. Times in nanoseconds.
pub struct Decision {
    /// What the chaos layer does.
    pub fate: Fate,
    /// Jitter and latency spikes: delays every copy.
    pub slowness_ns: u64,
}

impl Fabric {
    /// The fabric of a run.
    pub fn new(recorder: Recorder, names: Vec<String>, config: FabricConfig) -> Fabric {
        let hosts = names.len();
        assert_eq!(config.latency_ns.len(), hosts * hosts, "one latency per directed pair of hosts");
        let explicit = config.acts.map(|acts| {
            let mut fates: BTreeMap<Place, Fate> = BTreeMap::new();
            for act in &acts {
                let fate = fates.entry(act.place).or_default();
                *fate = fate.with(act);
            }
            fates
        });
        Fabric {
            seed: config.seed,
            hosts,
            nodes: config.active.topology().nodes,
            names,
            latency_ns: config.latency_ns,
            recorder,
            gates: (0..hosts).map(|_| Gate::default()).collect(),
            runtimes: Mutex::default(),
            explicit,
            streams: Streams::default(),
            datagrams: Datagrams::default(),
            clocks: Clocks::default(),
            state: Mutex::new(State {
                active: config.active,
                counts: BTreeMap::new(),
                acts: Vec::new(),
                flights: BTreeMap::new(),
                streams: BTreeMap::new(),
                next_stream: 0,
                held: BTreeMap::new(),
                powerless: BTreeSet::new(),
                panics: Vec::new(),
                struck: Vec::new(),
            }),
        }
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A host's name.
    pub fn name(&self, host: HostId) -> &str {
        &self.names[host.index()]
    }

    /// The event log.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The switch that stops a host's tasks.
    pub fn gate(&self, host: HostId) -> &Gate {
        &self.gates[host.index()]
    }

    /// The host called `name`, if there is one.
    pub fn host(&self, name: &str) -> Option<HostId> {
        self.names.iter().position(|known| known == name).map(|index| HostId(index as u16))
    }

    /// The latency of a link without faults and jitter, in nanoseconds.
    pub fn one_way_ns(&self, from: HostId, to: HostId) -> u64 {
        self.latency_ns[from.index() * self.hosts + to.index()]
    }

    /// Tells on which runtime a host's process runs.
    pub fn runs_on(&self, host: HostId, runtime: Handle) {
        lock(&self.runtimes).insert(host, runtime);
    }

    /// How many tasks of a host's process its gate does not reach: those that were spawned on the runtime itself.
    pub fn ungated_tasks(&self, host: HostId) -> usize {
        lock(&self.runtimes).get(&host).map_or(0, |runtime| runtime.metrics().num_alive_tasks())
    }

    /// Twice the one-way latency.
    pub fn round_trip(&self, a: HostId, b: HostId) -> Duration {
        Duration::from_nanos(self.one_way_ns(a, b) + self.one_way_ns(b, a))
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

    /// Tells the clocks how fast each of them runs now.
    pub fn set_clock_rates(&self) {
        let now_ns = self.recorder.now_ns();
        for host in (0..self.hosts as u16).map(HostId) {
            let drift_ppm = self.with_active(|active| active.clock(host).drift_ppm);
            self.clocks.set_rate(host, now_ns, drift_ppm);
        }
    }

    /// The operation of a power loss has come; the simulator carries it out at its next step.
    pub(super) fn strike(&self, fault: u32) {
        lock(&self.state).struck.push(fault);
    }

    /// The power losses whose operation has come since this was last asked.
    pub fn take_struck(&self) -> Vec<u32> {
        std::mem::take(&mut lock(&self.state).struck)
    }

    /// Notes that a fault cannot do here what it asks for: the run proves nothing about it.
    pub fn cannot_act(&self, why: impl Into<String>) {
        lock(&self.state).powerless.insert(why.into());
    }

    /// What the faults could not do, in words.
    pub fn powerless(&self) -> Vec<String> {
        lock(&self.state).powerless.iter().cloned().collect()
    }

    /// Whether a host is a node.
    pub fn is_node(&self, host: HostId) -> bool {
        (1..=self.nodes).contains(&host.index())
    }

    /// A node's process panicked: nothing of it runs any more, and the simulator will kill it.
    pub(super) fn panicked(&self, host: HostId, said: String) {
        self.gate(host).pause();
        self.recorder.record(host, What::Panic);
        let t_ns = self.recorder.now_ns();
        lock(&self.state).panics.push(Panic { host, t_ns, said });
    }

    /// The panics of nodes since this was asked last.
    pub fn take_panics(&self) -> Vec<Panic> {
        std::mem::take(&mut lock(&self.state).panics)
    }

    /// Whether messages from `from` to `to` are cut off.
    pub fn is_cut(&self, from: HostId, to: HostId) -> bool {
        lock(&self.state).active.link(from, to).cut
    }

    /// Whether a host's process is down.
    pub fn is_down(&self, host: HostId) -> bool {
        lock(&self.state).active.process(host).is_dead()
    }

    /// Looks at or changes the set of active faults. The simulator calls this between steps, and then
    /// [`Fabric::cut`], [`Fabric::healed`], [`Fabric::release`] and [`Fabric::crashed`] for what changed.
    pub fn with_active<T>(&self, f: impl FnOnce(&mut Active) -> T) -> T {
        f(&mut lock(&self.state).active)
    }

    /// Every act of the chaos layer so far, in the order taken.
    pub fn take_acts(&self) -> Vec<Act> {
        std::mem::take(&mut lock(&self.state).acts)
    }

    /// What happens to the next frame of `kind` from `from` to `to`. `place` names it on client links;
    /// between nodes its count does.
    pub fn decide(&self, from: HostId, to: HostId, kind: MessageKind, place: Option<u64>) -> Decision {
        let mut state = lock(&self.state);
        let n = place.unwrap_or_else(|| {
            let count = state.counts.entry((from, to, kind)).or_insert(0);
            *count += 1;
            *count - 1
        });
        let place = Place { from, to, kind, n };
        let chaos = state.active.chaos(from, to, kind);
        let fate = match &self.explicit {
            Some(fates) => fates.get(&place).copied().unwrap_or_default(),
            None => chaos.decide(self.seed, &place),
        };
        state.acts.extend(fate.acts(place));
        let slowness_ns = chaos.jitter_ns(self.seed, &place) + state.active.link(from, to).extra_ns;
        Decision { fate, slowness_ns }
    }

    /// Notes a copy of a frame that is about to leave.
    pub fn depart(&self, from: HostId, to: HostId, message: MessageId, class: MessageKind) {
        let since_ns = self.recorder.now_ns();
        let flight = Flight { message, class, stream: None, since_ns };
        lock(&self.state).flights.entry((from, to)).or_default().push(flight);
    }

    /// Waits while the link is held. Returns at once when it is not, or is cut: then the frame is lost.
    pub async fn released(&self, from: HostId, to: HostId, message: MessageId) {
        let mut noted = false;
        poll_fn(|context| {
            let mut state = lock(&self.state);
            if state.active.link(from, to).passage() != Passage::Held {
                return Poll::Ready(());
            }
            state.held.entry((from, to)).or_default().push(context.waker().clone());
            if !std::mem::replace(&mut noted, true) {
                self.recorder.record(from, What::Hold { to, message });
            }
            Poll::Pending
        })
        .await;
    }

    /// Whether frames from `from` to `to` are held back now.
    pub fn is_held(&self, from: HostId, to: HostId) -> bool {
        lock(&self.state).active.link(from, to).passage() == Passage::Held
    }

    /// A new direction of a connection.
    pub fn open_stream(&self, from: HostId, to: HostId) -> StreamId {
        let mut state = lock(&self.state);
        state.next_stream += 1;
        let id = StreamId(state.next_stream);
        state.streams.insert(id, Stream { from, to, broken: false });
        id
    }

    /// The direction is closed.
    pub fn close_stream(&self, id: StreamId) {
        lock(&self.state).streams.remove(&id);
    }

    /// Notes that a frame is written to a connection; if it is doomed there, its end is recorded now.
    pub fn write(&self, id: StreamId, message: MessageId) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let Some(stream) = state.streams.get_mut(&id) else { return };
        let (from, to) = (stream.from, stream.to);
        let reason = match (state.active.link(from, to).cut, stream.broken) {
            (true, _) => Some(Drop::Cut),
            (false, true) => Some(Drop::Connection),
            (false, false) => None,
        };
        stream.broken |= reason.is_some();
        let flights = state.flights.entry((from, to)).or_default();
        let is_it = |flight: &Flight| flight.message == message && flight.stream.is_none();
        let Some(at) = flights.iter().position(is_it) else { return };
        match reason {
            None => flights[at].stream = Some(id),
            Some(reason) => {
                let Flight { message, class, .. } = flights.remove(at);
                drop(guard);
                self.recorder.record(from, What::Drop { to, message, class, reason });
            }
        }
    }

    /// A frame will never be written, for want of a connection.
    pub fn unsent(&self, from: HostId, to: HostId, message: MessageId) {
        let flight = {
            let mut state = lock(&self.state);
            let flights = state.flights.entry((from, to)).or_default();
            let at = flights.iter().position(|flight| flight.message == message && flight.stream.is_none());
            at.map(|at| flights.remove(at))
        };
        if let Some(Flight { message, class, .. }) = flight {
            self.recorder.record(from, What::Drop { to, message, class, reason: Drop::Connection });
        }
    }

    /// A frame reached its receiver.
    pub fn arrived(&self, from: HostId, to: HostId, message: MessageId) {
        let mut state = lock(&self.state);
        let flights = state.flights.entry((from, to)).or_default();
        if let Some(at) = flights.iter().position(|flight| flight.message == message && flight.stream.is_some()) {
            flights.remove(at);
        }
    }

    /// The direction has just been cut: what is under way or held on it is lost, and breaks its connection. A
    /// connection that was idle survives a cut through which nothing is sent, as in life.
    pub fn cut(&self, from: HostId, to: HostId) {
        let is_lost =
            |source: HostId, sink: HostId, flight: &Flight| (source, sink) == (from, to) && flight.stream.is_some();
        {
            let mut guard = lock(&self.state);
            let State { flights, streams, .. } = &mut *guard;
            for flight in flights.get(&(from, to)).into_iter().flatten() {
                if let Some(stream) = flight.stream.and_then(|id| streams.get_mut(&id)) {
                    stream.broken = true;
                }
            }
        }
        self.lose(Drop::Cut, is_lost);
        self.streams.cut(self, from, to);
        self.release_frames(from, to);
    }

    /// The direction is cut no longer.
    pub fn healed(&self, from: HostId, to: HostId) {
        if !self.is_held(from, to) {
            self.streams.open(self, from, to, true);
        }
    }

    /// The direction is held no longer: what was held back leaves now (into the cut, if there is one).
    pub fn release(&self, from: HostId, to: HostId) {
        self.release_frames(from, to);
        if !self.is_cut(from, to) {
            self.streams.open(self, from, to, false);
        }
    }

    fn release_frames(&self, from: HostId, to: HostId) {
        let held = lock(&self.state).held.remove(&(from, to)).unwrap_or_default();
        held.into_iter().for_each(Waker::wake);
    }

    /// A process has just died: what it had not written, and what was under way to it, is lost.
    pub fn crashed(&self, host: HostId) {
        self.lose(Drop::Crash, |from, to, flight| match flight.stream {
            None => from == host,
            Some(_) => to == host,
        });
        lock(&self.state).streams.retain(|_, stream| stream.from != host);
    }

    /// Ends the accounting: what was written more than `grace` ago and never arrived was lost with its connection.
    pub fn settle(&self, grace: Duration) {
        let before_ns = self.recorder.now_ns().saturating_sub(grace.as_nanos() as u64);
        self.lose(Drop::Connection, |_, _, flight| flight.since_ns < before_ns);
    }

    fn lose(&self, reason: Drop, mut is_lost: impl FnMut(HostId, HostId, &Flight) -> bool) {
        let mut lost = Vec::new();
        for (&(from, to), flights) in &mut lock(&self.state).flights {
            flights.retain(|flight| {
                let gone = is_lost(from, to, flight);
                if gone {
                    lost.push((from, to, flight.message, flight.class));
                }
                !gone
            });
        }
        for (from, to, message, class) in lost {
            self.recorder.record(from, What::Drop { to, message, class, reason });
        }
    }
}
