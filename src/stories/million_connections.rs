//! million-connections: phones that each keep a connection to a gateway, which passes what they say on to a backend.
//!
//! N idle connections cost N times what one costs: memory, a descriptor, a keep-alive each interval, and a turn when all
//! come back at once (N / accept rate). A gateway that opens a connection of its own to the backend for each costs two of
//! each, and needs a port for it: a source address has 28,232 towards one backend (Linux's 32,768 to 60,999), so that a
//! million needs 36 pairs of source address and backend.
//!
//! One in so many phones is run, with that part of the ports and of what the gateway accepts a second. What holds for that
//! part is measured; for all, it is extrapolated.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent};
use super::life;
use super::model::{Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, ns, sleep_until};
use crate::host::Host;
use crate::host::stream::Stream;
use crate::run::RunError;
use crate::run::life::Part;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

const ONE: &str = "one-address";
const MANY: &str = "many-addresses";
const SHARED: &str = "shared-connections";

const CONNECTED: &str = "phones connected";
const BACK: &str = "until all are connected";
const PAIRS: &str = "addresses in use";
const DESCRIPTORS: &str = "descriptors, extrapolated";
const MEMORY: &str = "memory, extrapolated";
const ALIVE: &str = "keep-alives, extrapolated";

/// Ports for outgoing connections: Linux's `net.ipv4.ip_local_port_range`, 32,768 to 60,999.
const PORTS: f64 = 28_232.0;
/// Where the gateway and the backend listen.
const PORT: u16 = 5222;
/// When the gateway is there again and all phones come, in seconds.
const BEGIN_S: f64 = 1.0;
/// How long a phone waits before it tries again, at most and evenly drawn, in seconds.
const AGAIN_S: f64 = 10.0;
/// How long a phone waits for the gateway to say that it is connected, in seconds.
const PATIENCE_S: f64 = 60.0;
/// Connections to the backend that are shared.
const LANES: usize = 8;
/// What a phone, the gateway and the backend say to each other.
const WORD: u8 = b'.';

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MillionConnections {
    /// Phones (N).
    phones: u32,
    /// One in so many is run.
    one_in: u32,
    /// Source addresses of the gateway towards its backend, in the variant with many (a).
    addresses: u32,
    /// Connections that the gateway can accept a second, with their handshakes (mu).
    accepted_per_s: f64,
    /// How often a phone says that it is still there (I).
    keep_alive_s: f64,
    /// What a connection costs in the kernel (s).
    socket_kb: f64,
    /// What a phone costs in the gateway: TLS, buffers, its account (c).
    session_kb: f64,
    /// Descriptors that the gateway may have open.
    open_files: u32,
    /// One way between any two hosts.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

impl MillionConnections {
    /// Phones that are run.
    fn run_phones(&self) -> u32 {
        self.phones / self.one_in
    }

    /// What was so much in the run, of all phones.
    fn of_all(&self, run: f64) -> f64 {
        run * f64::from(self.one_in)
    }

    /// Ports of an address in the run.
    fn each_ports(&self) -> u32 {
        (PORTS / f64::from(self.one_in)) as u32
    }

    /// Ports towards the backend in the run.
    fn run_ports(&self, variant: &str) -> Option<u32> {
        match variant {
            ONE => Some(self.each_ports()),
            MANY => Some(self.each_ports() * self.addresses),
            _ => None,
        }
    }

    /// Descriptors for each phone.
    fn descriptors(&self, variant: &str) -> f64 {
        if variant == SHARED { 1.0 } else { 2.0 }
    }

    /// Phones that are connected in the end, of all.
    fn connected(&self, variant: &str) -> f64 {
        let files = f64::from(self.open_files) / self.descriptors(variant);
        let ports = self.run_ports(variant).map_or(f64::INFINITY, |ports| self.of_all(f64::from(ports)));
        f64::from(self.phones).min(ports).min(files)
    }

    /// How long it takes to accept all phones once.
    fn back_s(&self) -> f64 {
        f64::from(self.phones) / self.accepted_per_s
    }

    /// When keep-alives are counted, in seconds: each phone that is connected sends one.
    fn counted_s(&self) -> (f64, f64) {
        let from_s = BEGIN_S + 1.3 * self.back_s() + 2.0 * AGAIN_S;
        (from_s, from_s + self.keep_alive_s)
    }
}

/// What is noted down while a run goes on.
#[derive(Default)]
struct Log {
    /// When each phone was connected.
    connected_ns: Vec<Option<u64>>,
    sockets: u32,
    most_sockets: u32,
    sessions: u32,
    most_sessions: u32,
    /// Ports towards the backend that were taken at once.
    most_ports: u32,
    /// Connections that the gateway closed because there was no port or no descriptor for them.
    turned_away: u64,
    /// When a keep-alive came.
    alive_ns: Vec<u64>,
}

impl Model for MillionConnections {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant {
                    name: ONE,
                    what: "a connection to the backend for each phone, from one address",
                    naive: true,
                },
                Variant {
                    name: MANY,
                    what: "a connection to the backend for each phone, from many addresses",
                    naive: false,
                },
                Variant {
                    name: SHARED,
                    what: "a few connections to the backend, which all phones share",
                    naive: false,
                },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        let least = (f64::from(self.phones) / 20_000.0).ceil().max(1.0);
        vec![
            ("phones", f64::from(self.phones), 100_000.0..=4_000_000.0),
            // A run of 500 to 20,000 phones, and at least ten ports an address.
            ("one_in", f64::from(self.one_in), least..=(f64::from(self.phones) / 500.0).min(PORTS / 10.0).floor()),
            ("addresses", f64::from(self.addresses), 1.0..=200.0),
            ("accepted_per_s", self.accepted_per_s, f64::from(self.phones) / 300.0..=f64::from(self.phones) / 50.0),
            ("keep_alive_s", self.keep_alive_s, 10.0..=120.0),
            ("socket_kb", self.socket_kb, 1.0..=1000.0),
            ("session_kb", self.session_kb, 1.0..=1000.0),
            ("open_files", f64::from(self.open_files), 10_000.0..=20_000_000.0),
            ("latency_ms", self.latency_ms as f64, 5.0..=200.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "{} phones, of which one in {} is run: {}; so is that part of the ports, of the descriptors and of what is \
                 accepted; \"extrapolated\" is {} times what the run measured",
                self.phones,
                self.one_in,
                self.run_phones(),
                self.one_in
            ),
            format!(
                "all come at once when the gateway is there again; it accepts {} a second, one after the other, and \
                 refuses those for which its queue has no place",
                self.accepted_per_s
            ),
            format!("a phone that was refused or turned away tries again within {AGAIN_S} s, at random, for ever"),
            format!("one backend; a keep-alive each {} s, answered by the gateway", self.keep_alive_s),
            format!("at most {} descriptors", self.open_files),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "source ports: 28,232 an address towards one backend (Linux's range), counted by the gateway",
            "accepting, a constant time in one queue; TLS is in it",
            "memory: connections and phones that the run has, times what the parameters say that one costs",
            "the queue of the simulated listener has 128 places, whatever the scale",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let share = Tolerance::Share(0.15);
        for Variant { name, .. } in self.variants() {
            let connected = self.connected(name);
            let mut say = |claim, value, tolerance, because: &str| {
                predictions.push(Prediction::new(claim, name, value, tolerance, because));
            };
            let because = match *name {
                SHARED => "nothing runs out",
                _ => "the least of N, 28,232 ports an address, and half of the descriptors",
            };
            let percent = 100.0 * connected / f64::from(self.phones);
            say(CONNECTED, (percent, "%"), Tolerance::Within(1.0), because);
            // Phones that never come in go on asking for ever.
            if connected >= f64::from(self.phones) {
                say(BACK, (self.back_s(), "s"), share, "N / mu");
            }
            if *name != SHARED {
                let pairs = (connected / self.of_all(f64::from(self.each_ports()))).ceil();
                let because = "connected phones / 28,232, rounded up: each towards the one backend";
                say(PAIRS, (pairs, ""), Tolerance::Within(0.5), because);
            }
            let descriptors = self.descriptors(name) * connected;
            let because = match *name {
                SHARED => "one for each phone, and those that are shared",
                _ => "two for each phone that is connected",
            };
            say(DESCRIPTORS, (descriptors, "fds"), share, because);
            let memory = (descriptors * self.socket_kb + connected * self.session_kb) / 1e6;
            say(MEMORY, (memory, "GB"), share, "descriptors x s + phones x c");
            say(ALIVE, (connected / self.keep_alive_s, "/s"), share, "connected phones / I");
        }
        predictions
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let count = self.run_phones();
        let log = Notes::new(Log { connected_ns: vec![None; count as usize], ..Log::default() });
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, log: log.clone() });
        let gateway = scene.clone();
        let (_, until_s) = self.counted_s();
        let ran = World::new(setup.seed, self.tick_ms, until_s + 1.0, self.latency_ms)
            .faults(&setup.faults)
            .host("backend", backend)
            .host("gateway", move |host| gateway.clone().gateway(host))
            .host("phones", move |host| {
                let scene = scene.clone();
                async move {
                    for number in 0..count as usize {
                        host.spawn(scene.clone().phone(host.clone(), number));
                    }
                    std::future::pending().await
                }
            })
            .run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, &log), vec![coming_back(self, &log), scaled(self, &log)]))
    }
}

/// Says a word and waits for the answer.
async fn exchange(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(&[WORD]).await?;
    stream.read_u8().await.map(drop)
}

/// Answers each word, on as many connections as there are.
async fn backend(host: Host) {
    let listener = host.listen(PORT).expect("a process has its port to itself");
    loop {
        let mut stream = listener.accept().await;
        host.spawn(async move {
            // It ends when the other side goes away.
            while let Ok(word) = stream.read_u8().await {
                if stream.write_all(&[word]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// What every host of the story knows.
struct Scene {
    p: MillionConnections,
    variant: &'static str,
    log: Notes<Log>,
}

/// A descriptor, while it is open.
struct Descriptor(Notes<Log>);

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.with(|log| log.sockets -= 1);
    }
}

/// A phone's place in the gateway, while it is connected.
struct Session(Notes<Log>);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.with(|log| log.sessions -= 1);
    }
}

/// Asks on behalf of a phone over a shared connection; what is sent here is told when the backend has answered.
type Lane = mpsc::UnboundedSender<oneshot::Sender<()>>;

/// A port towards the backend, while it is taken.
struct OwnPort(Rc<Way>);

impl Drop for OwnPort {
    fn drop(&mut self) {
        self.0.ports.set(self.0.ports.get().map(|left| left + 1));
    }
}

/// The gateway's way to the backend.
struct Way {
    /// Ports that there are; `None`: none are needed.
    all: Option<u32>,
    /// Of these, the ones that are left.
    ports: Cell<Option<u32>>,
    /// The shared connections, and whose turn is next.
    lanes: RefCell<Vec<Lane>>,
    next: Cell<usize>,
}

impl Scene {
    /// A descriptor, unless all are open.
    fn open(&self) -> Option<Descriptor> {
        let most = self.p.open_files / self.p.one_in;
        let is_open = self.log.with(|log| {
            let is_free = log.sockets < most;
            log.sockets += u32::from(is_free);
            log.most_sockets = log.most_sockets.max(log.sockets);
            is_free
        });
        is_open.then(|| Descriptor(self.log.clone()))
    }

    async fn gateway(self: Rc<Self>, host: Host) {
        let all = self.p.run_ports(self.variant);
        let way = Rc::new(Way { all, ports: Cell::new(all), lanes: RefCell::default(), next: Cell::new(0) });
        if self.variant == SHARED {
            for _ in 0..LANES {
                let (lane, asked) = mpsc::unbounded_channel();
                host.spawn(self.clone().share(host.clone(), asked));
                way.lanes.borrow_mut().push(lane);
            }
        }
        sleep_until(&host, ns(BEGIN_S)).await;
        let listener = host.listen(PORT).expect("a process has its port to itself");
        let accept_ns = ns(f64::from(self.p.one_in) / self.p.accepted_per_s);
        let mut free_ns = 0;
        loop {
            let idle_ns = host.now_ns();
            let stream = listener.accept().await;
            // Booked from when the one before was through, though its timer rounded that up to a step.
            let begin_ns = if host.now_ns() > idle_ns { host.now_ns() } else { free_ns };
            free_ns = begin_ns + accept_ns;
            sleep_until(&host, free_ns).await;
            let (scene, way, host_of) = (self.clone(), way.clone(), host.clone());
            host.spawn(async move {
                // It ends when the phone goes away.
                let _ = scene.serve(&host_of, stream, &way).await;
            });
        }
    }

    /// Passes on over one connection what is asked, one after the other.
    async fn share(self: Rc<Self>, host: Host, mut asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        let Some(_descriptor) = self.open() else { return };
        let Ok(mut stream) = host.connect("backend", PORT).await else { return };
        while let Some(answer) = asked.recv().await {
            if exchange(&mut stream).await.is_err() {
                return;
            }
            // A phone that has gone away wants no answer.
            let _ = answer.send(());
        }
    }

    /// One phone: a way to the backend for it, then its keep-alives.
    async fn serve(&self, host: &Host, mut stream: Stream, way: &Rc<Way>) -> io::Result<()> {
        let turned_away = || {
            self.log.with(|log| log.turned_away += 1);
            io::Error::from(io::ErrorKind::AddrNotAvailable)
        };
        let _descriptor = self.open().ok_or_else(turned_away)?;
        stream.read_u8().await?;
        let mut own = None;
        if self.variant == SHARED {
            let lane = way.next.replace((way.next.get() + 1) % LANES);
            let (answer, answered) = oneshot::channel();
            way.lanes.borrow()[lane].send(answer).map_err(io::Error::other)?;
            answered.await.map_err(io::Error::other)?;
        } else {
            let left = way.ports.get().and_then(|ports| ports.checked_sub(1)).ok_or_else(turned_away)?;
            let descriptor = self.open().ok_or_else(turned_away)?;
            way.ports.set(Some(left));
            self.log.with(|log| log.most_ports = log.most_ports.max(way.all.unwrap_or(0) - left));
            let port = OwnPort(way.clone());
            let (.., backend) = own.insert((descriptor, port, host.connect("backend", PORT).await?));
            exchange(backend).await?;
        }
        self.log.with(|log| {
            log.sessions += 1;
            log.most_sessions = log.most_sessions.max(log.sessions);
        });
        let _session = Session(self.log.clone());
        loop {
            stream.write_all(&[WORD]).await?;
            stream.read_u8().await?;
            self.log.with(|log| log.alive_ns.push(host.now_ns()));
        }
    }

    /// A phone: tries until it is connected, then says that it is there, again and again.
    async fn phone(self: Rc<Self>, host: Host, number: usize) {
        sleep_until(&host, ns(BEGIN_S)).await;
        loop {
            // However it ended, it comes back.
            let _ = self.stay(&host, number).await;
            host.sleep(Duration::from_nanos(host.random_below(ns(AGAIN_S)))).await;
        }
    }

    async fn stay(&self, host: &Host, number: usize) -> io::Result<()> {
        let connecting = async {
            let mut stream = host.connect("gateway", PORT).await?;
            exchange(&mut stream).await?;
            Ok::<Stream, io::Error>(stream)
        };
        let asked = async {
            life::begin(host, Part::Distance, "connects to the gateway, and hears of the service behind it");
            let connected = tokio::time::timeout(Duration::from_secs_f64(PATIENCE_S), connecting).await;
            life::served(matches!(connected, Ok(Ok(_))));
            connected
        };
        let mut stream = life::follow(host.clone(), asked).await??;
        self.log.with(|log| log.connected_ns[number] = Some(host.now_ns()));
        let interval_ns = ns(self.p.keep_alive_s);
        let mut next_ns = host.now_ns() + host.random_below(interval_ns);
        loop {
            sleep_until(host, next_ns).await;
            next_ns += interval_ns;
            exchange(&mut stream).await?;
        }
    }
}

fn measure(p: &MillionConnections, log: &Log) -> Vec<Measurement> {
    let connected = log.connected_ns.iter().flatten();
    let last_ns = connected.clone().max().copied();
    let (from_s, until_s) = p.counted_s();
    let alive = log.alive_ns.iter().filter(|at_ns| (ns(from_s)..ns(until_s)).contains(*at_ns)).count();
    let memory_kb = f64::from(log.most_sockets) * p.socket_kb + f64::from(log.most_sessions) * p.session_kb;
    vec![
        Measurement::new(CONNECTED, percent(connected.count(), log.connected_ns.len())),
        Measurement::new(BACK, last_ns.map_or(f64::NAN, |ns| ns as f64 / 1e9 - BEGIN_S)),
        Measurement::new(PAIRS, f64::from(log.most_ports.div_ceil(p.each_ports()))),
        Measurement::new(DESCRIPTORS, p.of_all(f64::from(log.most_sockets))),
        Measurement::new(MEMORY, p.of_all(memory_kb) / 1e6),
        Measurement::new(ALIVE, p.of_all(alive as f64 / p.keep_alive_s)),
    ]
}

/// The gateway's figures while the phones come back.
fn coming_back(p: &MillionConnections, log: &Log) -> Table {
    let mut table =
        Table::new("the gateway after its restart: phones connected, of those that were run", &["after, s", "phones"]);
    let step_s = (p.back_s() / 5.0).ceil();
    for step in 1..=7 {
        let until_ns = ns(BEGIN_S + f64::from(step) * step_s);
        let count = log.connected_ns.iter().flatten().filter(|at_ns| **at_ns <= until_ns).count();
        table.row([format!("{:.0}", f64::from(step) * step_s), count.to_string()]);
    }
    table
}

/// What was measured, and what it would be for all.
fn scaled(p: &MillionConnections, log: &Log) -> Table {
    let title = format!("measured with one phone in {}, and extrapolated to all", p.one_in);
    let mut table = Table::new(title, &["", "measured", "extrapolated"]);
    let mut row = |name: &str, run: u64| {
        table.row([name.to_string(), run.to_string(), (run * u64::from(p.one_in)).to_string()]);
    };
    row("phones", u64::from(p.run_phones()));
    row("of them connected at once, at most", u64::from(log.most_sessions));
    row("descriptors open at once, at most", u64::from(log.most_sockets));
    row("turned away after they were accepted", log.turned_away);
    table
}
