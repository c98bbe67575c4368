//! pool-exhaustion: some calls of a database become slow, and calls that have nothing to do with them fail.
//!
//! A pool of N connections serves two sorts of calls. Little's law: a sort that comes lambda times a second and holds a
//! connection for W seconds keeps lambda W of them busy. When one sort slows down, the sum exceeds N; the pool then
//! hands out N / (mean hold) connections a second, to the call that has waited longest, slow or fast.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent, percentile};
use super::http::{Connection, Reply, serve};
use super::life;
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, drive, load_stream, paced};
use crate::host::Host;
use crate::run::RunError;
use crate::run::life::Part;
use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, RecycleError, RecycleResult};
use serde::{Deserialize, Serialize};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const ONE_POOL: &str = "one-pool";
const BIGGER: &str = "bigger-pool";
const TIMEOUT: &str = "time-out";
const BULKHEAD: &str = "bulkhead";

const EMPTY_AFTER: &str = "pool empty after";
const FAST: &str = "fast calls served in time";
const SLOW: &str = "slow calls served in time";
const WAIT: &str = "fast calls wait for a connection";
const TAKES: &str = "a slow call holds its connection";

/// The sorts of calls in the load.
const FAST_SORT: u32 = 0;
const SLOW_SORT: u32 = 1;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolExhaustion {
    /// Calls a second, half of each sort.
    calls_per_s: f64,
    /// Connections of the pool (N).
    connections: u32,
    /// Connections of the bigger pool.
    bigger_connections: u32,
    /// What the database can do at once of the slow sort (K).
    slow_at_once: u32,
    /// Work of a call, of either sort at first (W).
    work_s: f64,
    /// Work of a call of the slow sort, later (W').
    slow_work_s: f64,
    /// From when on.
    slow_at_s: f64,
    /// How long a caller waits for a connection.
    patience_s: f64,
    /// How long a caller with a time-out waits for an answer.
    timeout_s: f64,
    /// How long the run is.
    duration_s: f64,
    /// One way between service and database.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

impl PoolExhaustion {
    /// Calls of one sort a second.
    fn each_per_s(&self) -> f64 {
        self.calls_per_s / 2.0
    }

    fn round_trip_s(&self) -> f64 {
        2.0 * self.latency_ms as f64 / 1000.0
    }

    /// How long a connection is held for this much work.
    fn hold_s(&self, work_s: f64) -> f64 {
        work_s + self.round_trip_s()
    }

    /// What a shared pool of `connections` serves: calls of each sort a second, and how long a slow one holds a
    /// connection.
    fn shared(&self, connections: u32) -> (f64, f64) {
        let (fast_s, slow_s) = (self.hold_s(self.work_s), self.hold_s(self.slow_work_s));
        let most = f64::from(self.slow_at_once) / self.slow_work_s;
        let each = (f64::from(connections) / (fast_s + slow_s)).min(self.each_per_s());
        if each <= most { (each, slow_s) } else { (most, f64::from(connections) / most - fast_s) }
    }

    /// The period whose calls are measured: the pool has settled, and every call ends before the run does.
    fn judged_s(&self) -> (f64, f64) {
        (self.slow_at_s + 6.0 + self.patience_s, self.duration_s - 4.0 - self.patience_s)
    }
}

/// One call, as measured.
#[derive(Debug, Clone, Copy, Default)]
struct Called {
    sort: u32,
    at_ns: u64,
    /// When it got a connection.
    connected_ns: Option<u64>,
    ended_ns: Option<u64>,
    ok: bool,
}

/// What is recorded during a run.
#[derive(Default)]
struct Log {
    calls: Vec<Called>,
    /// At each step: (time, connections in use, callers that wait), of the pool that slow calls use.
    pool: Vec<(u64, usize, usize)>,
}

impl Model for PoolExhaustion {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: ONE_POOL, what: "all calls share one pool", naive: true },
                Variant { name: BIGGER, what: "the same, with more connections", naive: true },
                Variant { name: TIMEOUT, what: "one pool, and a call that takes too long is given up", naive: false },
                Variant { name: BULKHEAD, what: "half of the connections for each sort of call", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![
            ("connections", f64::from(self.connections), 2.0..=120.0),
            ("bigger_connections", f64::from(self.bigger_connections), 2.0..=2000.0),
            ("work_s", self.work_s, 0.01..=1.0),
            // At first the pool suffices, for all and for each half.
            (
                "calls_per_s",
                self.calls_per_s,
                10.0..=(0.9 * f64::from(self.connections) / self.hold_s(self.work_s)).min(2000.0),
            ),
            ("slow_work_s", self.slow_work_s, 0.01..=3.0),
            // A call of the bigger pool must end before the run does.
            (
                "slow_at_once",
                f64::from(self.slow_at_once),
                (self.slow_work_s * f64::from(self.bigger_connections) / 4.0)..=10_000.0,
            ),
            ("slow_at_s", self.slow_at_s, 1.0..=60.0),
            ("patience_s", self.patience_s, 0.1..=10.0),
            ("timeout_s", self.timeout_s, 0.05..=10.0),
            ("duration_s", self.duration_s, self.slow_at_s + 12.0 + 2.0 * self.patience_s..=300.0),
            ("latency_ms", self.latency_ms as f64, 1.0..=100.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        let (from, until) = self.judged_s();
        vec![
            format!("open loop: {} calls/s, evenly paced, half of each sort", self.calls_per_s),
            format!(
                "a call holds a connection for its work and a round trip of {:.0} ms; connections wait FIFO for {} s",
                1000.0 * self.round_trip_s(),
                self.patience_s
            ),
            format!(
                "from {} s on, slow calls take {} s of work instead of {} s, {} of them at once",
                self.slow_at_s, self.slow_work_s, self.work_s, self.slow_at_once
            ),
            format!("judged: calls offered from {from:.0} s to {until:.0} s, when the pool has settled"),
            "served in time: a caller waits so long for a connection, and then for its answer, however long that takes \
             (except with a time-out)"
                .into(),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &["the work of a call, a constant time", "what the database does at once of the slow sort, a FIFO semaphore"]
    }

    fn predict(&self) -> Vec<Prediction> {
        let share = Tolerance::Share(0.15);
        let each = self.each_per_s();
        let (fast_s, slow_s) = (self.hold_s(self.work_s), self.hold_s(self.slow_work_s));
        let mut predictions = Vec::new();
        let mut say = |claim, variant, value, tolerance, because: &str| {
            predictions.push(Prediction::new(claim, variant, value, tolerance, because));
        };
        for (variant, connections) in [(ONE_POOL, self.connections), (BIGGER, self.bigger_connections)] {
            let (served, held_s) = self.shared(connections);
            let answered = (100.0 * served / each, "%");
            let because = "calls of a sort served / offered; served = min(N / (W + W'), K / W')";
            let tolerance = if served < each { share } else { Tolerance::Within(2.0) };
            say(FAST, variant, answered, tolerance, because);
            say(SLOW, variant, answered, tolerance, because);
            say(TAKES, variant, (held_s, "s"), share, "W' while K suffices, else N / (K / W') - W");
        }
        if self.shared(self.connections).0 < each {
            let empty_s = (f64::from(self.connections) - each * fast_s) / each;
            say(EMPTY_AFTER, ONE_POOL, (empty_s, "s"), share, "(N - lambda W) / lambda, lambda of one sort");
            say(WAIT, ONE_POOL, (self.patience_s, "s"), share, "FIFO: as long as the most patient stay");
        }
        let with_timeout = each * (fast_s + self.timeout_s + self.round_trip_s());
        if self.timeout_s < self.slow_work_s && with_timeout < f64::from(self.connections) {
            let because = "lambda (W + T) < N: the pool never empties";
            say(FAST, TIMEOUT, (100.0, "%"), Tolerance::Within(2.0), because);
            say(SLOW, TIMEOUT, (0.0, "%"), Tolerance::Within(2.0), "all of them are given up");
        } else if self.timeout_s >= self.slow_work_s {
            let served = 100.0 * self.shared(self.connections).0 / each;
            say(FAST, TIMEOUT, (served, "%"), share, "the time-out is longer than the slow calls");
        }
        let half = f64::from(self.connections / 2);
        for (claim, hold_s) in [(FAST, fast_s), (SLOW, slow_s)] {
            let served = (half / hold_s).min(each);
            let tolerance = if served < each { share } else { Tolerance::Within(2.0) };
            say(
                claim,
                BULKHEAD,
                (100.0 * served / each, "%"),
                tolerance,
                "each half by itself: (N / 2) / hold / lambda",
            );
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let sorts = [FAST_SORT, SLOW_SORT].map(|sort| paced(&mut stream, self.each_per_s(), self.duration_s, sort));
        let mut load = sorts.concat();
        load.sort_by_key(|arrival| (arrival.at_us, arrival.sort));
        load
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        log.with(|log| log.calls = vec![Called::default(); setup.load.len()]);
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let (database, service) =
            (self.clone(), Service { p: Rc::new(self.clone()), variant: setup.variant, log: log.clone() });
        let ran = World::new(setup.seed, self.tick_ms, self.duration_s, self.latency_ms)
            .faults(&setup.faults)
            .host("database", move |host| answer(host, database.clone()))
            .host("service", move |host| service.clone().process(host, load.clone()))
            .run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, &log), on_call(self, &log)))
    }
}

/// The database: as many fast calls at once as there are, `slow_at_once` of the slow ones.
async fn answer(host: Host, p: PoolExhaustion) {
    let slots = Arc::new(Semaphore::new(p.slow_at_once as usize));
    let own = host.clone();
    serve(host, move |path| {
        let (host, slots, p) = (own.clone(), slots.clone(), p.clone());
        async move {
            let is_slow = path == "/slow" && host.now_ns() >= (p.slow_at_s * 1e9) as u64;
            if is_slow {
                life::begin(&host, Part::Queueing, "waits for its turn among the slow calls in the database");
            }
            // The semaphore is never closed.
            let _slot = if is_slow { slots.acquire().await.ok() } else { None };
            life::begin(&host, Part::Processing, "the database works");
            host.sleep(Duration::from_secs_f64(if is_slow { p.slow_work_s } else { p.work_s })).await;
            Reply::ok()
        }
    })
    .await;
}

/// Opens connections for deadpool.
#[derive(Debug)]
struct Connections(Host);

impl managed::Manager for Connections {
    type Type = Connection;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Connection> {
        Connection::open(&self.0, "database").await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<io::Error> {
        if connection.is_open() { Ok(()) } else { Err(RecycleError::message("the connection was closed")) }
    }
}

/// The service whose pool it is.
#[derive(Clone)]
struct Service {
    p: Rc<PoolExhaustion>,
    variant: &'static str,
    log: Notes<Log>,
}

impl Service {
    fn pool(&self, host: &Host, connections: u32) -> Pool<Connections> {
        Pool::builder(Connections(host.clone()))
            .max_size(connections as usize)
            .wait_timeout(Some(Duration::from_secs_f64(self.p.patience_s)))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime can wait")
    }

    async fn process(self, host: Host, load: Rc<[Arrival]>) {
        let pools = match self.variant {
            BULKHEAD => [(); 2].map(|()| self.pool(&host, self.p.connections / 2)),
            BIGGER => {
                let pool = self.pool(&host, self.p.bigger_connections);
                [pool.clone(), pool]
            }
            _ => {
                let pool = self.pool(&host, self.p.connections);
                [pool.clone(), pool]
            }
        };
        host.spawn(self.clone().watch(host.clone(), pools[SLOW_SORT as usize].clone()));
        let (own, service) = (host.clone(), self);
        drive(host, load, move |number, arrival| {
            service.clone().call(own.clone(), pools[arrival.sort as usize].clone(), number, arrival.sort)
        })
        .await;
    }

    /// Records the pool's own figures, step by step.
    async fn watch(self, host: Host, pool: Pool<Connections>) {
        loop {
            let status = pool.status();
            let now_ns = host.now_ns();
            self.log.with(|log| log.pool.push((now_ns, status.size - status.available, status.waiting)));
            host.sleep(Duration::from_millis(self.p.tick_ms)).await;
        }
    }

    async fn call(self, host: Host, pool: Pool<Connections>, number: usize, sort: u32) {
        let at_ns = host.now_ns();
        self.log.with(|log| log.calls[number] = Called { sort, at_ns, ..Called::default() });
        life::begin(&host, Part::Queueing, "waits for a connection of the pool");
        life::served(false);
        let Ok(mut connection) = pool.get().await else {
            return self.log.with(|log| log.calls[number].ended_ns = Some(host.now_ns()));
        };
        let connected_ns = host.now_ns();
        life::begin(&host, Part::Idle, "has a connection");
        self.log.with(|log| log.calls[number].connected_ns = Some(connected_ns));
        let limit = if self.variant == TIMEOUT { self.p.timeout_s } else { f64::from(u16::MAX) };
        let path = if sort == SLOW_SORT { "/slow" } else { "/fast" };
        let answered = tokio::time::timeout(Duration::from_secs_f64(limit), connection.get(path)).await;
        let ok = matches!(answered, Ok(Ok(_)));
        if !ok {
            // An answer may still come on it, so no other call can use it.
            drop(Object::take(connection));
        }
        life::served(ok);
        let ended_ns = host.now_ns();
        self.log.with(|log| {
            let call = &mut log.calls[number];
            (call.ended_ns, call.ok) = (Some(ended_ns), ok);
        });
    }
}

fn measure(p: &PoolExhaustion, log: &Log) -> Vec<Measurement> {
    let (from_s, until_s) = p.judged_s();
    let period = (from_s * 1e9) as u64..(until_s * 1e9) as u64;
    let judged = |sort| {
        let calls = log.calls.iter().filter(move |call| call.sort == sort);
        calls.filter(|call| period.contains(&call.at_ns)).collect::<Vec<_>>()
    };
    let answered = |calls: &[&Called]| percent(calls.iter().filter(|call| call.ok).count(), calls.len());
    let median_s = |mut spans: Vec<u64>| percentile(&mut spans, 0.5).map_or(f64::NAN, |ns| ns as f64 / 1e9);
    let (fast, slow) = (judged(FAST_SORT), judged(SLOW_SORT));
    let waits = fast.iter().filter_map(|call| Some(call.connected_ns? - call.at_ns)).collect();
    let holds =
        slow.iter().filter(|call| call.ok).filter_map(|call| Some(call.ended_ns? - call.connected_ns?)).collect();
    let slow_at_ns = (p.slow_at_s * 1e9) as u64;
    let empty = log.pool.iter().find(|(at_ns, in_use, _)| *at_ns >= slow_at_ns && *in_use >= p.connections as usize);
    vec![
        Measurement::new(FAST, answered(&fast)),
        Measurement::new(SLOW, answered(&slow)),
        Measurement::new(WAIT, median_s(waits)),
        Measurement::new(TAKES, median_s(holds)),
        Measurement::new(EMPTY_AFTER, empty.map_or(f64::NAN, |(at_ns, ..)| (at_ns - slow_at_ns) as f64 / 1e9)),
    ]
}

/// Half a second at a time, until three seconds after the slowdown.
fn on_call(p: &PoolExhaustion, log: &Log) -> Vec<Table> {
    let header = ["second", "offered", "served in time", "unserved", "median ms", "in use", "waiting"];
    let mut table = Table::new("the service's own metrics, all calls together, and its pool", &header);
    let half_ns = 500_000_000;
    let from = ((p.slow_at_s - 1.0) * 2.0) as u64;
    for half in from..((p.slow_at_s + 3.0) * 2.0) as u64 {
        let period = half * half_ns..(half + 1) * half_ns;
        let calls = log.calls.iter().filter(|call| period.contains(&call.at_ns)).count();
        let ended: Vec<&Called> =
            log.calls.iter().filter(|call| call.ended_ns.is_some_and(|at_ns| period.contains(&at_ns))).collect();
        let ok = ended.iter().filter(|call| call.ok);
        let mut took: Vec<u64> = ok.map(|call| (call.ended_ns.unwrap_or_default() - call.at_ns) / 1_000_000).collect();
        let (_, in_use, waiting) =
            log.pool.iter().rev().find(|(at_ns, ..)| *at_ns < period.end).copied().unwrap_or_default();
        table.row([
            format!("{:.1}", half as f64 / 2.0),
            calls.to_string(),
            took.len().to_string(),
            (ended.len() - took.len()).to_string(),
            percentile(&mut took, 0.5).map_or("-".into(), |ms| ms.to_string()),
            in_use.to_string(),
            waiting.to_string(),
        ]);
    }
    vec![table]
}
