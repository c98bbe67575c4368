//! tls-handshake-storm: all clients lose their connections at once, come back at once, and each asks for a handshake.
//!
//! N clients come to m machines, each with a share of a core; a handshake costs c, so that C = m cores / c are done a
//! second. If N / C > T, only C T are served before the others give up. They come again, behind what they have left in
//! the queues, which takes (N - C T) / C: more than T if N > 2 C T, and then no try ever succeeds again. Resuming a session
//! spares the signature. A ticket is worth something only where its key is known: with a key for each of m machines,
//! 1 / m of them are.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent};
use super::life::{self, Leg};
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::queue::Queue;
use super::tls::{self, Seen, Tickets, Watched};
use super::world::{Notes, World, drive, load_stream, ns, paced, sleep_until};
use crate::host::Host;
use crate::host::stream::Stream;
use crate::rng;
use crate::run::RunError;
use crate::run::life::Part;
use rand::seq::SliceRandom;
use rustls::{ClientConfig, ServerConfig};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const FULL: &str = "full";
const OWN_KEYS: &str = "own-keys";
const SHARED_KEY: &str = "shared-key";
const AT_SERVERS: &str = "at-servers";
const SPREAD: &str = "spread";

const RESUMED: &str = "of the first handshakes, resumed";
const IN_TIME: &str = "of the first tries, in time";
const BACK: &str = "of the clients, connected at the end";
const ALL: &str = "all connected after";

/// The port of TLS.
const PORT: u16 = 443;
/// When the first client connects, in seconds.
const BEGIN_S: f64 = 0.5;
/// How long after the last client has connected all lose their connections, in seconds.
const QUIET_S: f64 = 1.5;
/// A client notices within this time that its connection is gone, in seconds.
const NOTICES_S: f64 = 0.1;
/// What a server says first; a ticket comes with it.
const WELCOME: &[u8] = b"welcome";

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsHandshakeStorm {
    /// Clients (N).
    clients: u32,
    /// Machines of the balancer, where TLS ends (m).
    balancers: u32,
    /// Servers, where it ends in one variant.
    servers: u32,
    /// How much of a core each of them has for handshakes.
    cores: f64,
    /// Processor time of the signature of a full handshake.
    signature_s: f64,
    /// Processor time of the rest, which a resumed one needs as well.
    rest_s: f64,
    /// How long a client waits for a connection with its handshake (T).
    timeout_s: f64,
    /// Over how long the clients of one variant spread their first tries (J).
    spread_s: f64,
    /// How long it takes all clients to connect at first.
    connect_s: f64,
    /// How long after the loss the run ends.
    watched_s: f64,
    /// One way between any two hosts.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

impl TlsHandshakeStorm {
    /// Where TLS ends.
    fn ends(&self, variant: &str) -> u32 {
        if variant == AT_SERVERS { self.servers } else { self.balancers }
    }

    fn cost_s(&self, resumed: bool) -> f64 {
        self.rest_s + if resumed { 0.0 } else { self.signature_s }
    }

    /// The share of the first handshakes after the loss that are resumed.
    fn resumed(&self, variant: &str) -> f64 {
        match variant {
            OWN_KEYS => 1.0 / f64::from(self.balancers),
            SHARED_KEY => 1.0,
            _ => 0.0,
        }
    }

    /// Handshakes a second (C), of those that come first.
    fn per_s(&self, variant: &str) -> f64 {
        let resumed = self.resumed(variant);
        let cost_s = resumed * self.cost_s(true) + (1.0 - resumed) * self.cost_s(false);
        f64::from(self.ends(variant)) * self.cores / cost_s
    }

    /// A connection and a round trip.
    fn way_s(&self) -> f64 {
        4.0 * self.latency_ms as f64 / 1000.0
    }

    /// When all lose their connections.
    fn lost_at_s(&self) -> f64 {
        BEGIN_S + self.connect_s + QUIET_S
    }

    fn ends_at_s(&self) -> f64 {
        self.lost_at_s() + self.watched_s
    }
}

/// A client's try to connect.
#[derive(Debug, Clone)]
struct Try {
    client: u32,
    /// Which one it is since the loss, from 0 on; `None` before it.
    number: Option<u32>,
    began_ns: u64,
    /// When the handshake was done.
    done_ns: Option<u64>,
    seen: Seen,
}

/// What is recorded during a run.
#[derive(Default)]
struct Log {
    tries: Vec<Try>,
    /// When a handshake was paid for, and whether it was resumed.
    paid: Vec<(u64, bool)>,
}

impl Model for TlsHandshakeStorm {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: FULL, what: "no tickets: every handshake is a full one", naive: true },
                Variant { name: OWN_KEYS, what: "tickets, each balancer with a key of its own", naive: true },
                Variant { name: SHARED_KEY, what: "tickets, one key for all balancers", naive: false },
                Variant { name: AT_SERVERS, what: "full handshakes, which end at the servers", naive: false },
                Variant { name: SPREAD, what: "full handshakes, and clients wait a random time first", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        let clients = f64::from(self.clients);
        vec![
            ("clients", clients, 100.0..=5000.0),
            ("balancers", f64::from(self.balancers), 2.0..=16.0),
            ("servers", f64::from(self.servers), f64::from(self.balancers)..=32.0),
            ("cores", self.cores, 0.01..=1.0),
            ("signature_s", self.signature_s, 0.0..=0.01),
            ("rest_s", self.rest_s, 1e-5..=0.01),
            ("latency_ms", self.latency_ms as f64, 1.0..=50.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
            ("timeout_s", self.timeout_s, 0.1 + 2.0 * self.way_s()..=10.0),
            // At first all get a full handshake, and none waits.
            ("connect_s", self.connect_s, 1.25 * clients / self.per_s(FULL)..=60.0),
            ("spread_s", self.spread_s, 1.0..=60.0),
            ("watched_s", self.watched_s, self.spread_s + self.timeout_s..=60.0),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "{} clients connect within {} s, and keep their connection; at {} s all connections are closed, and each client \
                 notices within {NOTICES_S} s",
                self.clients,
                self.connect_s,
                self.lost_at_s()
            ),
            format!(
                "a client gives up after {} s without a handshake, and tries again at once; machines in turn",
                self.timeout_s
            ),
            format!(
                "{} balancers, or {} servers, with {} of a core each; handshakes in one queue (FIFO), in which those stay that were \
                 given up",
                self.balancers, self.servers, self.cores
            ),
            format!(
                "a full handshake costs {:.2} ms of a core, a resumed one {:.2} ms",
                1000.0 * self.cost_s(false),
                1000.0 * self.cost_s(true)
            ),
            format!("at the end: {} s after the loss", self.watched_s),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "the processor time of a handshake. Its signature is RSA-2048's, 0.53 ms: `openssl speed rsa2048` (OpenSSL 3.0.19, one \
             core of an AMD EPYC) makes 1879 a second. What else there is to a handshake is what a resumed one of TLS 1.3 takes, \
             0.12 ms: 8211 a second (J. Birr-Pixton, rustls versus OpenSSL: resumption performance, 2019)",
            "that a balancer which does not end TLS passes on bytes: its clients reach the servers as if it were not there",
            "the certificate, one short one with Ed25519, in place of a chain with RSA: fewer bytes, the same messages",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let clients = f64::from(self.clients);
        for Variant { name, .. } in self.variants() {
            let mut say = |claim, value, tolerance, because: &str| {
                predictions.push(Prediction::new(claim, name, value, tolerance, because));
            };
            let resumed = self.resumed(name);
            let because = match *name {
                OWN_KEYS => "1 / m: the next machine is seldom the one with the ticket's key",
                SHARED_KEY => "any machine knows the key",
                _ => "there are no tickets",
            };
            // Of those that are answered: 3.3 standard errors, where chance has a part.
            let answered = (self.per_s(name) * self.timeout_s).min(clients);
            let within = (100.0 * 3.3 * (resumed * (1.0 - resumed) / answered).sqrt()).max(15.0 * resumed).max(1.0);
            say(RESUMED, (100.0 * resumed, "%"), Tolerance::Within(within), because);
            if *name == SPREAD {
                if clients / self.spread_s < 0.9 * self.per_s(name) {
                    let because = "N / J < C: nobody waits for long";
                    say(IN_TIME, (100.0, "%"), Tolerance::Within(2.0), because);
                    say(BACK, (100.0, "%"), Tolerance::Within(1.0), because);
                    say(ALL, (self.spread_s, "s"), Tolerance::Share(0.15), "J");
                }
                continue;
            }
            let per_s = self.per_s(name);
            let patience_s = self.timeout_s - self.way_s();
            let all_s = clients / per_s;
            if all_s < 0.9 * patience_s {
                say(IN_TIME, (100.0, "%"), Tolerance::Within(2.0), "N / C < T");
                say(BACK, (100.0, "%"), Tolerance::Within(1.0), "N / C < T");
                say(ALL, (all_s + self.way_s(), "s"), Tolerance::Share(0.15), "N / C, and the way");
            } else if all_s > 1.1 * self.timeout_s {
                let served = (100.0 * per_s * patience_s / clients, "%");
                say(IN_TIME, served, Tolerance::Share(0.15), "C T / N: the others have given up before their turn");
                if all_s > 2.2 * self.timeout_s {
                    let because = "N > 2 C T: what was given up keeps the queues longer than T, for ever";
                    say(BACK, served, Tolerance::Share(0.15), because);
                }
            }
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let mut load = paced(&mut stream, f64::from(self.clients) / self.connect_s, self.connect_s, 0);
        load.truncate(self.clients as usize);
        let mut clients: Vec<u32> = (0..load.len() as u32).collect();
        clients.shuffle(&mut stream);
        for (arrival, client) in load.iter_mut().zip(clients) {
            *arrival = Arrival { at_us: arrival.at_us + (BEGIN_S * 1e6) as u64, sort: client };
        }
        load
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, seed: setup.seed, log: log.clone() });
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let shared = Tickets::new(0);
        let mut world = World::new(setup.seed, self.tick_ms, self.ends_at_s(), self.latency_ms).faults(&setup.faults);
        for number in 0..self.ends(setup.variant) {
            let tickets = match setup.variant {
                OWN_KEYS => Some(Tickets::new(1 + u128::from(number))),
                SHARED_KEY => Some(shared.clone()),
                _ => None,
            };
            let scene = scene.clone();
            world = world.host(&end(number), move |host| scene.clone().end(host, tickets.clone()));
        }
        let ran = world.host("clients", move |host| scene.clone().clients(host, load.clone())).run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, setup.variant, &log), on_call(self, setup.variant, &log)))
    }
}

/// Where TLS ends: a balancer or a server.
fn end(number: u32) -> String {
    format!("end-{}", number + 1)
}

/// What every host of the story knows.
struct Scene {
    p: TlsHandshakeStorm,
    variant: &'static str,
    seed: u64,
    log: Notes<Log>,
}

/// What all clients share: whose turn it is.
struct Turns {
    next: Cell<u32>,
    among: u32,
}

impl Turns {
    fn next(&self) -> String {
        let number = self.next.get();
        self.next.set((number + 1) % self.among);
        end(number)
    }
}

impl Scene {
    /// A machine where TLS ends.
    async fn end(self: Rc<Self>, host: Host, tickets: Option<Arc<Tickets>>) {
        let config = Arc::new(tls::server(tickets));
        let queue = Rc::new(Queue::default());
        let listener = host.listen(PORT).expect("a process has its port to itself");
        loop {
            let stream = listener.accept().await;
            host.spawn(self.clone().hold(host.clone(), stream, config.clone(), queue.clone()));
        }
    }

    /// Takes a connection in and holds it: until all are lost, or to the end.
    async fn hold(self: Rc<Self>, host: Host, mut stream: Stream, config: Arc<ServerConfig>, queue: Rc<Queue>) {
        let work = async |resumed| {
            queue.work(&host, ns(self.p.cost_s(resumed) / self.p.cores)).await;
            self.log.with(|log| log.paid.push((host.now_ns(), resumed)));
        };
        // A client that went away is no error of the machine.
        let Ok(mut connection) = tls::accept(&mut stream, config, work).await else { return };
        if tls::send(&mut stream, &mut connection, WELCOME).await.is_err() {
            return;
        }
        let lost_ns = ns(self.p.lost_at_s());
        if host.now_ns() < lost_ns {
            sleep_until(&host, lost_ns).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    async fn clients(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        let turns = Rc::new(Turns { next: Cell::new(0), among: self.p.ends(self.variant) });
        let own = host.clone();
        drive(host, load, move |_, arrival| self.clone().client(own.clone(), turns.clone(), arrival.sort)).await;
    }

    /// A client: connected, then cut off, then connected again.
    async fn client(self: Rc<Self>, host: Host, turns: Rc<Turns>, client: u32) {
        let resumes = [OWN_KEYS, SHARED_KEY].contains(&self.variant);
        let config = Arc::new(tls::client(resumes));
        let mut stream = self.connect(&host, &config, &turns, client, false).await;
        let mut heard = Vec::new();
        // However the connection ends, it has ended.
        let _ = stream.read_to_end(&mut heard).await;
        drop(stream);
        life::begin(&host, Part::Idle, "its connection is lost: it waits before it connects again");
        let share = rng::below(rng::hash(self.seed, &[u64::from(client)]), 1 << 32) as f64 / (1u64 << 32) as f64;
        let waits_s = if self.variant == SPREAD { self.p.spread_s } else { NOTICES_S };
        host.sleep(Duration::from_secs_f64(share * waits_s)).await;
        let _stream = self.connect(&host, &config, &turns, client, true).await;
        std::future::pending().await
    }

    /// Tries until a handshake is done in time.
    async fn connect(
        &self,
        host: &Host,
        config: &Arc<ClientConfig>,
        turns: &Turns,
        client: u32,
        again: bool,
    ) -> TlsStream<Watched<Stream>> {
        let limit = Duration::from_secs_f64(self.p.timeout_s);
        for number in 0.. {
            let began_ns = host.now_ns();
            let (target, config) = (turns.next(), config.clone());
            let shake = async move {
                let ways_ns = 2 * self.p.latency_ms * 1_000_000;
                let handshake = Leg::begin(host, None, &format!("the TCP handshake with {target}"), ways_ns);
                let stream = Watched::new(host.connect(&target, PORT).await?);
                handshake.answered();
                // Its round trip is the smaller part of it where many wait.
                life::begin(
                    host,
                    Part::Queueing,
                    &format!("the TLS handshake with {target}, in line for its processor"),
                );
                TlsConnector::from(config).connect(tls::name(), stream).await
            };
            let shaken = tokio::time::timeout(limit, shake).await.ok().and_then(Result::ok);
            let state = if shaken.is_some() { "connected" } else { "gave up, and tries again" };
            life::begin(host, Part::Idle, state);
            let done_ns = shaken.as_ref().map(|_| host.now_ns());
            let seen = shaken.as_ref().map_or_else(Seen::default, |stream| stream.get_ref().0.seen.clone());
            let number = again.then_some(number);
            self.log.with(|log| log.tries.push(Try { client, number, began_ns, done_ns, seen }));
            if let Some(stream) = shaken {
                return stream;
            }
        }
        unreachable!("a client tries for ever")
    }
}

fn measure(p: &TlsHandshakeStorm, variant: &str, log: &Log) -> Vec<Measurement> {
    let first: Vec<&Try> = log.tries.iter().filter(|tried| tried.number == Some(0)).collect();
    let in_time = first.iter().filter(|tried| tried.done_ns.is_some()).count();
    let resumed = first.iter().filter(|tried| tried.seen.is_resumed() == Some(true)).count();
    let done: Vec<u64> =
        log.tries.iter().filter(|tried| tried.number.is_some()).filter_map(|tried| tried.done_ns).collect();
    let all = done.len() == p.clients as usize;
    let last_ns = done.iter().max().copied().filter(|_| all);
    let after_s = last_ns.map_or(f64::NAN, |at_ns| at_ns as f64 / 1e9 - p.lost_at_s());
    // A first try that goes on at the end is none yet.
    let asked = if variant == SPREAD { first.len() } else { p.clients as usize };
    vec![
        Measurement::new(RESUMED, percent(resumed, in_time)),
        Measurement::new(IN_TIME, percent(in_time, asked)),
        Measurement::new(BACK, percent(done.len(), p.clients as usize)),
        Measurement::new(ALL, after_s),
    ]
}

/// What the machines' metrics show around the loss, and a client's connections on the wire.
fn on_call(p: &TlsHandshakeStorm, variant: &str, log: &Log) -> Vec<Table> {
    let header = ["second", "tries", "paid for", "resumed", "in time", "processor"];
    let mut table = Table::new("where TLS ends, all machines together; at second 0 all connections are lost", &header);
    let whole = f64::from(p.ends(variant)) * p.cores;
    for second in -1_i32..1 {
        let from_s = p.lost_at_s() + f64::from(second);
        let period = ns(from_s)..ns(from_s + 1.0);
        let tries = log.tries.iter().filter(|tried| period.contains(&tried.began_ns)).count();
        let done = log.tries.iter().filter(|tried| tried.done_ns.is_some_and(|at_ns| period.contains(&at_ns))).count();
        let paid: Vec<bool> =
            log.paid.iter().filter(|(at_ns, _)| period.contains(at_ns)).map(|(_, resumed)| *resumed).collect();
        let spent_s = paid.iter().map(|resumed| p.cost_s(*resumed)).fold(0.0, |sum, cost_s| sum + cost_s);
        table.row([
            second.to_string(),
            tries.to_string(),
            paid.len().to_string(),
            paid.iter().filter(|resumed| **resumed).count().to_string(),
            done.to_string(),
            format!("{:.0} %", 100.0 * spent_s / whole),
        ]);
    }
    let mut wire =
        Table::new("three clients' handshakes, as bytes on the wire", &["client", "when", "sent", "received", "kind"]);
    for client in 0..3 {
        for tried in log.tries.iter().filter(|tried| tried.client == client && tried.done_ns.is_some()) {
            let kind = if tried.seen.is_resumed() == Some(true) { "resumed" } else { "full" };
            let when = if tried.number.is_some() { "again" } else { "at first" };
            let Seen { out, inn, .. } = &tried.seen;
            wire.row([client.to_string(), when.into(), out.to_string(), inn.to_string(), kind.into()]);
        }
    }
    vec![table, wire]
}
