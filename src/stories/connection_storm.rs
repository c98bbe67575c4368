//! connection-storm: a new TCP connection for every request, or connections that are kept.
//!
//! A connection is half open for one round trip, so that lambda new ones a second keep a = lambda RTT places of the SYN queue
//! taken, and a queue of B places drops Erlang-B(B, a) of them. The side that closes first keeps a port, or its memory of
//! one, for the length of TIME-WAIT: P ports end after P / lambda. And an application that accepts mu < lambda a second has
//! its queue full after B / (lambda - mu).

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent, percentile};
use super::life::{self, Leg};
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, drive, load_stream, named, ns, poisson, sleep_until};
use crate::host::Host;
use crate::host::tcp::record::Counts;
use crate::host::tcp::{Failure, RTO, Settings, State, Stream, Tcp};
use crate::run::RunError;
use crate::run::life::Part;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Semaphore;

const EACH: &str = "per-request";
const LONGER: &str = "longer-queue";
const SLOW: &str = "slow-accept";
const FEW: &str = "few-connections";
const SERVER: &str = "server-closes";
const RESET: &str = "reset";
const POOL: &str = "pool";

const TIME: &str = "time of a request";
const DROPPED: &str = "SYNs dropped";
const HALF: &str = "half-open connections";
const FULL: &str = "accept queue full after";
const PORTS: &str = "ports end after";
const END: &str = "served in time, at the end";
const NEAR: &str = "TIME-WAIT at the client";
const FAR: &str = "TIME-WAIT at the server";

/// Connections that are kept are opened before the storm, within this time, in seconds.
const WARM_S: f64 = 0.8;
/// When the storm begins.
const BEGINS_S: f64 = 1.0;
/// Requests that are offered so long before its end are those at the end.
const LAST_S: f64 = 0.5;
/// How often the queue of half-open connections is looked at.
const LOOK_S: f64 = 0.01;
/// The rows of the evidence, in seconds.
const ROW_S: f64 = 0.4;

const CLIENT: &str = "gateway";
const API: &str = "api";
const PORT: u16 = 80;
/// The first port for connections to elsewhere (Linux: `ip_local_port_range`).
const FIRST_PORT: u16 = 32_768;
/// A request and an answer are small.
const BUFFER: usize = 256;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionStorm {
    /// Requests a second (lambda).
    requests_per_s: f64,
    /// For how long (D).
    storm_s: f64,
    /// One way between the two hosts (RTT / 2).
    latency_ms: u64,
    /// What the server needs for a request (S).
    service_ms: f64,
    /// How long a request may take (T).
    timeout_s: f64,
    /// Places for half-open connections (B).
    syn_backlog: u32,
    /// The same, in the variants that have more.
    longer_backlog: u32,
    /// Places for open connections that wait to be accepted.
    accept_backlog: u32,
    /// Connections that the application accepts a second, in the variant in which that has a limit (mu).
    accepts_per_s: f64,
    /// Ports of the client's host (P).
    ports: u16,
    /// How long a closed connection is remembered.
    time_wait_s: f64,
    /// Connections that are kept.
    kept_connections: u32,
    /// The same, in the variant that has too few.
    few_connections: u32,
    /// The simulator's step.
    tick_ms: u64,
}

/// The share that a queue without waiting loses: Erlang's formula B.
fn erlang_b(places: u32, load: f64) -> f64 {
    (1..=places).fold(1.0, |lost, places| load * lost / (f64::from(places) + load * lost))
}

impl ConnectionStorm {
    fn round_trip_s(&self) -> f64 {
        2.0 * self.latency_ms as f64 / 1000.0
    }

    fn round_trip_ns(&self) -> u64 {
        2 * self.latency_ms * 1_000_000
    }

    /// Half-open connections if there is room for all (a).
    fn half_open(&self) -> f64 {
        self.requests_per_s * self.round_trip_s()
    }

    fn kept_time_s(&self) -> f64 {
        self.round_trip_s() + self.service_ms / 1000.0
    }

    fn opened_time_s(&self) -> f64 {
        self.round_trip_s() + self.kept_time_s()
    }

    /// Connections that a pool needs: requests under way.
    fn needed(&self) -> f64 {
        self.requests_per_s * self.kept_time_s()
    }

    fn ends_s(&self) -> f64 {
        BEGINS_S + self.storm_s
    }

    fn duration_s(&self) -> f64 {
        self.ends_s() + self.timeout_s + 2.0 * self.opened_time_s()
    }

    /// How many connections a variant keeps.
    fn kept(&self, variant: &str) -> Option<u32> {
        match variant {
            POOL => Some(self.kept_connections),
            FEW => Some(self.few_connections),
            _ => None,
        }
    }

    fn settings(&self, variant: &str) -> Settings {
        let has_more = matches!(variant, LONGER | SLOW | SERVER | RESET);
        Settings {
            syn_backlog: if has_more { self.longer_backlog } else { self.syn_backlog } as usize,
            accept_backlog: self.accept_backlog as usize,
            ports: FIRST_PORT..=FIRST_PORT + (self.ports - 1),
            time_wait: Duration::from_secs_f64(self.time_wait_s),
            buffer: BUFFER,
            ..Settings::default()
        }
    }
}

/// One request, as measured.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    at_ns: u64,
    ended_ns: Option<u64>,
    ok: bool,
    no_port: bool,
}

/// What the two stacks show at an instant.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    at_ns: u64,
    half_open: usize,
    counts: Counts,
}

#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    looks: Vec<Look>,
    first_accepted_ns: Option<u64>,
    /// Connections in TIME-WAIT at the end: at the client, at the server.
    remembered: [usize; 2],
}

impl Model for ConnectionStorm {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: EACH, what: "a connection for each request, which the client closes", naive: true },
                Variant { name: LONGER, what: "the same, with a longer queue for SYNs", naive: true },
                Variant { name: SLOW, what: "the same, and the server accepts fewer than come", naive: true },
                Variant { name: FEW, what: "connections are kept, but too few of them", naive: true },
                Variant { name: SERVER, what: "a connection for each request, which the server closes", naive: false },
                Variant { name: RESET, what: "a connection for each request, which the client resets", naive: false },
                Variant { name: POOL, what: "connections are kept, one for each request under way", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        let spread = |mean: f64| mean + 5.0 * mean.sqrt();
        let rate = self.requests_per_s;
        vec![
            ("requests_per_s", rate, 500.0..=12_000.0),
            ("storm_s", self.storm_s, 2.0..=6.0),
            ("latency_ms", self.latency_ms as f64, 2.0..=50.0),
            ("service_ms", self.service_ms, 1.0..=100.0),
            // A SYN that was dropped is sent again after the time-out of the kernel: later than anybody waits.
            ("timeout_s", self.timeout_s, 2.0 * self.opened_time_s()..=RTO.as_secs_f64() - 0.1),
            ("syn_backlog", f64::from(self.syn_backlog), 8.0..=4096.0),
            ("longer_backlog", f64::from(self.longer_backlog), spread(self.half_open()).ceil()..=8192.0),
            // Enough for a crowd that comes within one step.
            ("accept_backlog", f64::from(self.accept_backlog), 256.0..=8192.0),
            ("accepts_per_s", self.accepts_per_s, 10.0..=0.8 * rate),
            // They end before the last requests come.
            ("ports", f64::from(self.ports), 1000.0..=(rate * (self.storm_s - LAST_S - 0.2)).clamp(1000.0, 28_232.0)),
            ("time_wait_s", self.time_wait_s, self.duration_s()..=240.0),
            ("kept_connections", f64::from(self.kept_connections), spread(self.needed()).ceil()..=4000.0),
            // After this time nothing is served in time any more, and that is to be before the last requests come.
            ("few_connections", f64::from(self.few_connections), 1.0..=(0.6 * self.needed()).floor()),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms.min(5) as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "open loop: {} requests/s for {} s, each by itself (Poisson), from one address to one port",
                self.requests_per_s, self.storm_s
            ),
            format!(
                "a round trip of {} ms; the server works {} ms on a request, and on as many as come at once",
                2 * self.latency_ms,
                self.service_ms
            ),
            format!(
                "served in time: within {} s, before a SYN would be sent again; nothing is asked twice",
                self.timeout_s
            ),
            format!("at the end: of the requests offered in the last {LAST_S} s of the storm"),
            format!(
                "{} ports; the side that closes first remembers for {} s; a SYN queue of {} or {}, an accept queue of {}",
                self.ports, self.time_wait_s, self.syn_backlog, self.longer_backlog, self.accept_backlog
            ),
            "kept connections are opened before the storm".into(),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "both queues of a listening port (Linux: tcp_max_syn_backlog, somaxconn), the client's ports (ip_local_port_range, \
             28,232) and the length of TIME-WAIT (TCP_TIMEWAIT_LEN, 60 s), which smoltcp does not know; no SYN cookies",
            "a SYN that finds the memory of an old connection in TIME-WAIT takes its place, as in Linux with time stamps (RFC \
             6191)",
            "the work of a request, a constant time; that of a handshake, none",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let mut say = |claim, variant, value, tolerance, because: &str| {
            predictions.push(Prediction::new(claim, variant, value, tolerance, because));
        };
        let (share, percent_points) = (Tolerance::Share(0.1), Tolerance::Within(3.0));
        let lost = erlang_b(self.syn_backlog, self.half_open());
        let offered = self.requests_per_s * self.storm_s;
        let ports = f64::from(self.ports);
        let opened = (1000.0 * self.opened_time_s(), "ms");
        for variant in [EACH, LONGER, SERVER, RESET] {
            say(TIME, variant, opened, share, "2 RTT + S: one to open, one to ask");
        }
        say(DROPPED, EACH, (100.0 * lost, "%"), percent_points, "Erlang-B(B, lambda RTT)");
        let used = offered * (1.0 - lost);
        // Where the ports end, too, the two causes mix.
        if used < 0.9 * ports {
            say(END, EACH, (100.0 * (1.0 - lost), "%"), percent_points, "whose SYN was not dropped");
            say(NEAR, EACH, (used, "ports"), share, "each that was closed, for longer than the storm");
        }
        say(DROPPED, LONGER, (0.0, "%"), percent_points, "B well above lambda RTT");
        say(HALF, LONGER, (self.half_open(), "places"), share, "lambda RTT (Little)");
        say(PORTS, LONGER, (ports / self.requests_per_s, "s"), Tolerance::Share(0.05), "P / lambda");
        say(END, LONGER, (0.0, "%"), percent_points, "no port comes back before the end of TIME-WAIT");
        say(NEAR, LONGER, (ports, "ports"), share, "P");
        let growing_per_s = self.requests_per_s - self.accepts_per_s;
        let full_s = f64::from(self.accept_backlog) / growing_per_s;
        // Arrivals are random: within four standard deviations of their number, and at least a tenth.
        let random = 4.0 * (self.requests_per_s * full_s).sqrt() / f64::from(self.accept_backlog);
        if random <= 0.15 && full_s < 0.9 * ports / self.requests_per_s {
            say(FULL, SLOW, (full_s, "s"), Tolerance::Share(random.max(0.1)), "B / (lambda - mu)");
        }
        let useless_s = 1.2 * self.timeout_s / (self.needed() / f64::from(self.few_connections) - 1.0);
        if useless_s + LAST_S < self.storm_s {
            say(END, FEW, (0.0, "%"), percent_points, "N < lambda (RTT + S): the wait grows to T");
        }
        for variant in [SERVER, RESET, POOL] {
            say(DROPPED, variant, (0.0, "%"), percent_points, "B well above what is half open");
            say(END, variant, (100.0, "%"), percent_points, "a port for each");
            say(NEAR, variant, (0.0, "ports"), Tolerance::Within(5.0), "it did not close first, in order");
        }
        let remembered = (offered.min(ports), "ports");
        say(FAR, SERVER, remembered, share, "who closes first remembers, one for each port at most");
        say(FAR, RESET, (0.0, "ports"), Tolerance::Within(5.0), "a reset leaves nothing behind");
        say(TIME, POOL, (1000.0 * self.kept_time_s(), "ms"), share, "RTT + S");
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut load = poisson(&mut load_stream(seed), self.requests_per_s, self.storm_s, 0);
        load.iter_mut().for_each(|arrival| arrival.at_us += (BEGINS_S * 1e6) as u64);
        load
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        log.with(|log| log.asked = vec![Asked::default(); setup.load.len()]);
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, log: log.clone() });
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let world = World::new(setup.seed, self.tick_ms, self.duration_s(), self.latency_ms).faults(&setup.faults);
        let (server, client) = (scene.clone(), scene);
        let world = world.host(API, move |host| server.clone().server(host));
        let ran = world.host(CLIENT, move |host| client.clone().client(host, load.clone())).run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, &log), vec![on_call(self, &log)]))
    }
}

/// What every host of the story knows.
struct Scene {
    p: ConnectionStorm,
    variant: &'static str,
    log: Notes<Log>,
}

impl Scene {
    /// A host's stack; what it remembers at the end is counted.
    fn stack(&self, host: &Host, at: usize) -> Tcp {
        let tcp = Tcp::start(host, self.p.settings(self.variant)).expect("a process has its stack to itself");
        let (own, kept, log) = (host.clone(), tcp.clone(), self.log.clone());
        let end_ns = ns(self.p.duration_s() - 0.01);
        host.spawn(async move {
            sleep_until(&own, end_ns).await;
            let remembered = kept.with(|stack, _| stack.in_state(State::TimeWait));
            log.with(|log| log.remembered[at] = remembered);
        });
        tcp
    }

    async fn server(self: Rc<Self>, host: Host) {
        let tcp = self.stack(&host, 1);
        host.spawn(self.clone().watch(host.clone(), tcp.clone()));
        let listener = tcp.listen(PORT);
        let mut free_ns = 0;
        loop {
            let asked_ns = host.now_ns();
            let stream = listener.accept().await;
            let now_ns = host.now_ns();
            self.log.with(|log| log.first_accepted_ns = log.first_accepted_ns.or(Some(now_ns)));
            host.spawn(self.clone().serve(host.clone(), stream));
            if self.variant == SLOW {
                // Of a step's connections each has its own place in time, although timers only know steps.
                let idle_ns = if now_ns > asked_ns { now_ns } else { 0 };
                free_ns = idle_ns.max(free_ns) + ns(1.0 / self.p.accepts_per_s);
                sleep_until(&host, free_ns).await;
            }
        }
    }

    async fn serve(self: Rc<Self>, host: Host, stream: Stream) {
        while let Ok(question) = stream.read().await {
            if question.is_empty() {
                return;
            }
            host.sleep(Duration::from_secs_f64(self.p.service_ms / 1000.0)).await;
            if stream.write(b"answer").await.is_err() || self.variant == SERVER {
                return;
            }
        }
    }

    /// Looks at the server's queues.
    async fn watch(self: Rc<Self>, host: Host, tcp: Tcp) {
        for look in 0.. {
            sleep_until(&host, ns(BEGINS_S + f64::from(look) * LOOK_S)).await;
            let (half_open, counts) = tcp.with(|stack, _| (stack.queues(PORT).0, stack.counts()));
            self.log.with(|log| log.looks.push(Look { at_ns: host.now_ns(), half_open, counts }));
        }
    }

    async fn client(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        let tcp = self.stack(&host, 0);
        let kept = self.p.kept(self.variant).unwrap_or_default();
        let pool = Rc::new(Pool { free: Semaphore::new(0), idle: RefCell::default() });
        for number in 0..kept {
            let (pool, tcp, own) = (pool.clone(), tcp.clone(), host.clone());
            host.spawn(async move {
                sleep_until(&own, ns(WARM_S * f64::from(number) / f64::from(kept))).await;
                let stream = tcp.connect(named(&own, API), PORT).await.expect("nothing else is opened meanwhile");
                pool.put(stream);
            });
        }
        let own = host.clone();
        drive(host, load, move |number, _| {
            let (scene, host, tcp, pool) = (self.clone(), own.clone(), tcp.clone(), pool.clone());
            async move { scene.request(&host, &tcp, &pool, number).await }
        })
        .await;
    }

    async fn request(&self, host: &Host, tcp: &Tcp, pool: &Pool, number: usize) {
        let at_ns = host.now_ns();
        self.log.with(|log| log.asked[number].at_ns = at_ns);
        let limit = Duration::from_secs_f64(self.p.timeout_s);
        let result = if self.p.kept(self.variant).is_some() {
            // A request that was sent is waited for, so that the connection can be used again.
            life::begin(host, Part::Queueing, "waits for a connection of the pool");
            match tokio::time::timeout(limit, pool.take()).await {
                Ok(stream) => self.ask(host, &stream).await.inspect(|()| pool.put(stream)),
                Err(_) => Err(Failure::TimedOut),
            }
        } else {
            let opened = async {
                let handshake = Leg::begin(host, None, "SYN sent: connects to the api", self.p.round_trip_ns());
                let stream = tcp.connect(named(host, API), PORT).await?;
                handshake.answered();
                self.ask(host, &stream).await?;
                match self.variant {
                    RESET => stream.abort(),
                    // The end comes with the answer or right after it.
                    SERVER => {
                        life::begin(host, Part::Idle, "waits for the server to close");
                        drop(stream.read().await?);
                    }
                    _ => {}
                }
                Ok(())
            };
            tokio::time::timeout(limit, opened).await.unwrap_or(Err(Failure::TimedOut))
        };
        let ended_ns = host.now_ns();
        let ok = result.is_ok() && ended_ns - at_ns <= ns(self.p.timeout_s);
        life::served(ok);
        self.log.with(|log| {
            let asked = &mut log.asked[number];
            asked.ended_ns = Some(ended_ns);
            asked.ok = ok;
            asked.no_port = result == Err(Failure::NoPort);
        });
    }

    async fn ask(&self, host: &Host, stream: &Stream) -> Result<(), Failure> {
        let least_ns = self.p.round_trip_ns() + ns(self.p.service_ms / 1000.0);
        let question =
            Leg::begin(host, None, "established: the question to the api, its work, and the answer", least_ns);
        stream.write(b"question").await?;
        let answer = stream.read().await?;
        question.answered();
        match answer.is_empty() {
            false => Ok(()),
            true => Err(Failure::Closed),
        }
    }
}

/// Connections that are kept: who waits longest gets the next one.
struct Pool {
    free: Semaphore,
    idle: RefCell<Vec<Stream>>,
}

impl Pool {
    async fn take(&self) -> Stream {
        self.free.acquire().await.expect("the semaphore is never closed").forget();
        self.idle.borrow_mut().pop().expect("one is idle for each permit")
    }

    fn put(&self, stream: Stream) {
        self.idle.borrow_mut().push(stream);
        self.free.add_permits(1);
    }
}

fn measure(p: &ConnectionStorm, log: &Log) -> Vec<Measurement> {
    let served = log.asked.iter().filter(|asked| asked.ok);
    let took: Vec<f64> = served.filter_map(|asked| Some((asked.ended_ns? - asked.at_ns) as f64 / 1e6)).collect();
    let since_s = |at_ns: u64, from_s: f64| at_ns as f64 / 1e9 - from_s;
    let last = log.asked.iter().filter(|asked| since_s(asked.at_ns, p.ends_s() - LAST_S) >= 0.0);
    let counts = log.looks.last().map(|look| look.counts).unwrap_or_default();
    let opened = log.asked.iter().filter(|asked| !asked.no_port).count();
    let no_port = log.asked.iter().filter(|asked| asked.no_port).map(|asked| asked.at_ns).min();
    // From the first round trip on, for as long as there are ports.
    let until_ns = no_port.unwrap_or(ns(p.ends_s()));
    let steady = ns(BEGINS_S + 2.0 * p.round_trip_s())..until_ns;
    let half_open: Vec<usize> =
        log.looks.iter().filter(|look| steady.contains(&look.at_ns)).map(|look| look.half_open).collect();
    let full = log.looks.iter().find(|look| look.counts.accept_queue_full > 0);
    let full_s = full.zip(log.first_accepted_ns).map(|(look, from_ns)| (look.at_ns - from_ns) as f64 / 1e9);
    vec![
        Measurement::new(TIME, took.iter().sum::<f64>() / took.len() as f64),
        Measurement::new(DROPPED, percent(counts.syn_queue_full as usize, opened)),
        Measurement::new(HALF, half_open.iter().sum::<usize>() as f64 / half_open.len() as f64),
        Measurement::new(FULL, full_s.unwrap_or(f64::NAN)),
        Measurement::new(PORTS, no_port.map_or(f64::NAN, |at_ns| since_s(at_ns, BEGINS_S))),
        Measurement::new(END, percent(last.clone().filter(|asked| asked.ok).count(), last.count())),
        Measurement::new(NEAR, log.remembered[0] as f64),
        Measurement::new(FAR, log.remembered[1] as f64),
    ]
}

/// What both machines' counters show.
fn on_call(p: &ConnectionStorm, log: &Log) -> Table {
    let header = ["s", "requests", "served in time", "median ms", "half open", "SYNs dropped", "no port"];
    let mut table = Table::new("what the gateway's requests and the server's counters show", &header);
    let rows = (p.storm_s / ROW_S).floor() as u32;
    for row in 0..rows {
        let period = ns(BEGINS_S + f64::from(row) * ROW_S)..ns(BEGINS_S + f64::from(row + 1) * ROW_S);
        let offered: Vec<&Asked> = log.asked.iter().filter(|asked| period.contains(&asked.at_ns)).collect();
        let ok = offered.iter().filter(|asked| asked.ok);
        let mut took: Vec<u64> = ok.filter_map(|asked| Some((asked.ended_ns? - asked.at_ns) / 1_000_000)).collect();
        let looks: Vec<&Look> = log.looks.iter().filter(|look| period.contains(&look.at_ns)).collect();
        let dropped = |look: Option<&&Look>| look.map_or(0, |look| look.counts.syn_queue_full);
        let dropped = dropped(looks.last()) - dropped(looks.first());
        let half_open = looks.last().map_or(0, |look| look.half_open);
        let no_port = offered.iter().filter(|asked| asked.no_port).count();
        let served = took.len();
        let median = percentile(&mut took, 0.5).map_or("-".into(), |ms| ms.to_string());
        let cells = [offered.len() as u64, served as u64].map(|count| count.to_string());
        let others = [half_open as u64, dropped, no_port as u64].map(|count| count.to_string());
        let at = format!("{:.1}", f64::from(row) * ROW_S);
        table.row([at].into_iter().chain(cells).chain([median]).chain(others));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erlangs_formula_has_the_values_of_the_tables() {
        for (places, load, lost) in [(1, 1.0, 0.5), (2, 1.0, 0.2), (128, 500.0, 0.745), (512, 500.0, 0.0213)] {
            assert!((erlang_b(places, load) - lost).abs() < 5e-4, "{places}, {load}: {}", erlang_b(places, load));
        }
    }
}
