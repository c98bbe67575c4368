//! retry-storm: a server stalls for a moment, and its clients' retries keep it overloaded.
//!
//! A stall of D seconds leaves a backlog. If each client gives up after T and asks again up to r times, the backlog
//! holds every try: lambda (D + (D - T) + (D - 2T) + ...). If it takes longer than T to serve, every answer is too
//! late, every client asks again, and load stays at lambda (1 + r) > mu for ever: a metastable failure (Bronson et
//! al., HotOS 2021). Spreading the same number of tries over more time does not change their rate.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent, percentile};
use super::http::{Connection, Reply, serve};
use super::life::{self, Ticket};
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, drive, load_stream, paced, sleep_until};
use crate::host::Host;
use crate::rng;
use crate::run::RunError;
use crate::run::life::Part;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tower::retry::backoff::{Backoff, ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget, TpsBudget};
use tower::retry::{Policy, Retry};
use tower::{Service, ServiceExt, service_fn};

const NEVER: &str = "no-retry";
const IMMEDIATE: &str = "immediate";
const BACKOFF: &str = "back-off";
const BUDGET: &str = "budget";
const DEADLINE: &str = "deadline-aware";

const BEFORE: &str = "served in time before the stall";
const BACKLOG: &str = "queue when the stall ends";
const AFTER: &str = "served in time long after it";

/// After how many seconds a deposit in the retry budget expires.
const BUDGET_WINDOW_S: u64 = 10;
/// The shortest and the longest pause of the back-off, in seconds; jitter takes up to all of it away.
const PAUSES_S: (f64, f64) = (0.2, 2.0);

/// The length of the period that is measured after the stall, in seconds.
const JUDGED_S: f64 = 6.0;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryStorm {
    /// New requests a second (lambda).
    requests_per_s: f64,
    /// What the server can do a second (mu).
    served_per_s: f64,
    /// How long a client waits for one try (T).
    timeout_s: f64,
    /// How often a client asks again (r).
    retries: u32,
    /// The share of tries that fail at once, for no lasting reason.
    failing_share: f64,
    /// Retries allowed per success, of the variant with a budget (b).
    budget_share: f64,
    /// When the server stops taking work out of its queue.
    stall_at_s: f64,
    /// For how long (D).
    stall_s: f64,
    /// How long the run is.
    duration_s: f64,
    /// One way between clients and server.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

impl RetryStorm {
    /// Tries in the queue when the stall ends, of clients that ask again up to `retries` times.
    fn backlog(&self, retries: u32) -> f64 {
        let tries = |after: u32| (self.stall_s - f64::from(after) * self.timeout_s).max(0.0);
        self.requests_per_s * (0..=retries).map(tries).sum::<f64>()
    }

    /// The share of requests that are served when nothing is late.
    fn healthy(&self, retries: u32) -> f64 {
        100.0 * (1.0 - self.failing_share.powi(retries as i32 + 1))
    }

    /// Whether what the stall left behind keeps itself alive.
    fn is_metastable(&self) -> bool {
        let storm = self.requests_per_s * f64::from(1 + self.retries);
        self.served_per_s < storm && self.backlog(self.retries) > self.served_per_s * self.timeout_s
    }

    /// How long a request may take with all its tries and pauses.
    fn spent_s(&self) -> f64 {
        self.timeout_s * (1.0 + f64::from(self.retries)) + PAUSES_S.1 * f64::from(self.retries)
    }

    /// Requests that are measured after the stall come in this period.
    fn after_s(&self) -> (f64, f64) {
        let until = self.duration_s - self.spent_s();
        (until - JUDGED_S, until)
    }

    /// When the variants that should recover have done so: with requests asked once, the queue is shorter than T again.
    fn recovered_s(&self) -> f64 {
        let spare_per_s = self.served_per_s - self.requests_per_s * (1.0 + self.budget_share);
        let too_much = (self.backlog(0) - self.served_per_s * self.timeout_s).max(0.0);
        let shrinking_s = if spare_per_s > 0.0 { too_much / spare_per_s } else { 0.0 };
        self.stall_at_s + self.stall_s + self.timeout_s + shrinking_s
    }
}

/// One request, as measured.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    at_ns: u64,
    tries: u32,
    ended_ns: Option<u64>,
    ok: bool,
}

/// What is recorded during a run.
#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    /// Tries in the queue, at each change: (time, length).
    queue: Vec<(u64, usize)>,
}

impl Model for RetryStorm {
    fn variants(&self) -> &'static [Variant] {
        const fn variant(name: &'static str, what: &'static str, naive: bool) -> Variant {
            Variant { name, what, naive }
        }
        const {
            &[
                variant(IMMEDIATE, "asks again at once", true),
                variant(BACKOFF, "asks again after a random, growing pause", true),
                variant(NEVER, "never asks again", false),
                variant(BUDGET, "asks again as long as retries are a small share of successes", false),
                variant(DEADLINE, "asks again at once, but the server drops what would be answered too late", false),
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![
            ("served_per_s", self.served_per_s, 2.0..=1000.0),
            ("requests_per_s", self.requests_per_s, 1.0..=(0.95 * self.served_per_s).min(500.0)),
            ("timeout_s", self.timeout_s, 0.1..=10.0),
            ("retries", f64::from(self.retries), 0.0..=10.0),
            ("failing_share", self.failing_share, 0.0..=0.5),
            ("budget_share", self.budget_share, 0.01..=1.0),
            ("stall_at_s", self.stall_at_s, 4.0..=100.0),
            ("stall_s", self.stall_s, 0.0..=30.0),
            ("duration_s", self.duration_s, (self.recovered_s() + self.spent_s() + JUDGED_S + 2.0).ceil()..=300.0),
            ("latency_ms", self.latency_ms as f64, 1.0..=1000.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        let (from, until) = self.after_s();
        vec![
            format!(
                "open loop: {} new requests/s whatever becomes of the others, one in each {:.1} ms",
                self.requests_per_s,
                1000.0 / self.requests_per_s
            ),
            format!(
                "one FIFO queue, {:.0} ms of work a try, no try is ever taken out of it (except by {DEADLINE})",
                1000.0 / self.served_per_s
            ),
            format!(
                "served in time: a try is answered within {} s, after which it is given up; up to {} retries; {} % of tries \
                 fail at once",
                self.timeout_s,
                self.retries,
                100.0 * self.failing_share
            ),
            format!(
                "the stall: {} s from {} s on; \"long after\": requests that come from {from:.0} s to {until:.0} s",
                self.stall_s, self.stall_at_s
            ),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "the work of a request, a constant time in one queue",
            "the stall, in which nothing is taken out of the queue (a lock, a full collection, a slow disk)",
            "tries that fail at once, drawn from the seed",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        for variant in self.variants() {
            let name = variant.name;
            let retries = if name == NEVER { 0 } else { self.retries };
            let healthy = (self.healthy(retries), "%");
            let because = format!("1 - p^{}, p = {} of a try's failing", retries + 1, self.failing_share);
            predictions.push(Prediction::new(BEFORE, name, healthy, Tolerance::Within(1.5), because));
            if [NEVER, IMMEDIATE, DEADLINE].contains(&name) {
                let because = format!("lambda x sum of max(0, D - jT) for j = 0 to {retries}");
                let backlog = (self.backlog(retries), "tries");
                // 15 %, or the few that are at work at any time.
                let within = Tolerance::Within((0.15 * backlog.0).max(4.0));
                predictions.push(Prediction::new(BACKLOG, name, backlog, within, because));
            }
            let (after, because) = match name {
                IMMEDIATE | BACKOFF if self.is_metastable() => {
                    let because = "the queue takes longer than T to serve, and lambda (1 + r) > mu keeps it so";
                    ((0.0, "%"), because.to_string())
                }
                IMMEDIATE | BACKOFF => (healthy, "the queue is served within T, and nobody asks again".to_string()),
                // Successes pay for retries, so it may recover all the same; nothing is claimed.
                BUDGET if self.requests_per_s * (1.0 + self.budget_share) >= self.served_per_s => continue,
                BUDGET => (healthy, "lambda (1 + b) < mu: the queue shrinks".to_string()),
                DEADLINE => (healthy, "what is served is never too late".to_string()),
                _ => (healthy, "lambda < mu: the queue shrinks".to_string()),
            };
            predictions.push(Prediction::new(AFTER, name, after, Tolerance::Within(4.0), because));
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        paced(&mut load_stream(seed), self.requests_per_s, self.duration_s, 0)
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        log.with(|log| log.asked = vec![Asked::default(); setup.load.len()]);
        let server = Server::new(self, setup, log.clone());
        let clients = Clients::new(self, setup, log.clone());
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let ran = World::new(setup.seed, self.tick_ms, self.duration_s, self.latency_ms)
            .faults(&setup.faults)
            .host("server", move |host| server.clone().process(host))
            .host("clients", move |host| {
                let (own, clients) = (host.clone(), clients.clone());
                drive(host, load.clone(), move |number, _| clients.clone().request(own.clone(), number))
            })
            .run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, &log), vec![on_call(self, &log)]))
    }
}

/// A try in the server's queue.
struct Job {
    /// When its client stops waiting for it.
    deadline_ns: u64,
    /// The request it is a try of.
    ticket: Option<Ticket>,
    done: oneshot::Sender<()>,
}

/// A server with one queue.
#[derive(Clone)]
struct Server {
    service_ns: u64,
    stall_ns: (u64, u64),
    drops_late_work: bool,
    way_back_ns: u64,
    failing_ppm: u32,
    seed: u64,
    log: Notes<Log>,
}

impl Server {
    fn new(p: &RetryStorm, setup: &Setup, log: Notes<Log>) -> Server {
        let ns = |s: f64| (s * 1e9) as u64;
        Server {
            service_ns: ns(1.0 / p.served_per_s),
            stall_ns: (ns(p.stall_at_s), ns(p.stall_at_s + p.stall_s)),
            drops_late_work: setup.variant == DEADLINE,
            // One way and the steps in which both ends notice.
            way_back_ns: (p.latency_ms + 2 * p.tick_ms) * 1_000_000,
            failing_ppm: (p.failing_share * 1e6) as u32,
            seed: setup.seed,
            log,
        }
    }

    async fn process(self, host: Host) {
        let (queue, jobs) = mpsc::unbounded_channel();
        host.spawn(self.clone().work(host.clone(), jobs));
        let handler = {
            let host = host.clone();
            move |path: String| self.clone().answer(host.clone(), queue.clone(), path)
        };
        serve(host, handler).await;
    }

    fn queued(&self, host: &Host, change: isize) {
        let now_ns = host.now_ns();
        self.log.with(|log| {
            let length = log.queue.last().map_or(0, |(_, length)| *length);
            log.queue.push((now_ns, length.saturating_add_signed(change)));
        });
    }

    /// Answers `/number/try/deadline`.
    async fn answer(self, host: Host, queue: mpsc::UnboundedSender<Job>, path: String) -> Reply {
        let mut parts = path.split('/').skip(1).map(|part| part.parse::<u64>().unwrap_or_default());
        let mut next = || parts.next().unwrap_or_default();
        let (number, attempt, deadline_ns) = (next(), next(), next());
        if rng::happens(rng::hash(self.seed, &[number, attempt]), self.failing_ppm) {
            return Reply::with(StatusCode::SERVICE_UNAVAILABLE);
        }
        let (done, served) = oneshot::channel();
        self.queued(&host, 1);
        // The queue ends with the process only.
        life::begin(&host, Part::Queueing, "in the server's queue");
        let _ = queue.send(Job { deadline_ns, ticket: life::ticket(), done });
        match served.await {
            Ok(()) => Reply::ok(),
            Err(_) => Reply::with(StatusCode::GATEWAY_TIMEOUT),
        }
    }

    /// Serves one try after another.
    async fn work(self, host: Host, mut jobs: mpsc::UnboundedReceiver<Job>) {
        // Work is booked at exact times, so that timers' rounding does not change the rate.
        let mut free_ns = 0;
        while let Some(job) = jobs.recv().await {
            let now_ns = host.now_ns();
            let (stall_ns, stalled_ns) = self.stall_ns;
            if (stall_ns..stalled_ns).contains(&now_ns.max(free_ns)) {
                sleep_until(&host, stalled_ns).await;
            }
            let now_ns = host.now_ns();
            // Dropping only tries that are late already is not enough: a FIFO queue would hand out tries that are
            // about to be late, and the work would be done for an answer that comes just after its deadline.
            if self.drops_late_work && job.deadline_ns < now_ns + self.service_ns + self.way_back_ns {
                self.queued(&host, -1);
                continue;
            }
            let begins_ns = now_ns.max(free_ns);
            free_ns = begins_ns + self.service_ns;
            job.ticket.into_iter().for_each(|ticket| ticket.begin(begins_ns, Part::Processing, "the server works"));
            sleep_until(&host, free_ns).await;
            self.queued(&host, -1);
            // The client may have stopped waiting: the work was done all the same.
            let _ = job.done.send(());
        }
    }
}

/// A try that did not succeed.
struct Failed;

/// A request on its way through the tries: its number and the count of tries so far.
#[derive(Clone)]
struct Ask {
    number: usize,
    attempt: u32,
}

/// What the variants do about failed tries.
#[derive(Clone)]
struct Retries {
    left: u32,
    budget: Option<Arc<TpsBudget>>,
    backoff: Option<Pauses>,
}

/// A maker of pauses with the jitter of one request.
type Pauses = Rc<std::cell::RefCell<tower::retry::backoff::ExponentialBackoff<Jitter>>>;

/// tower's source of jitter: a pure hash, so that it is the request's own.
#[derive(Clone)]
struct Jitter {
    seed: u64,
    number: u64,
    drawn: u64,
}

impl tower::util::rng::Rng for Jitter {
    fn next_u64(&mut self) -> u64 {
        self.drawn += 1;
        rng::hash(self.seed, &[self.number, self.drawn])
    }
}

impl Policy<Ask, (), Failed> for Retries {
    type Future = Pin<Box<dyn Future<Output = ()>>>;

    fn retry(&mut self, ask: &mut Ask, result: &mut Result<(), Failed>) -> Option<Self::Future> {
        if result.is_ok() {
            self.budget.iter().for_each(|budget| budget.deposit());
            return None;
        }
        if self.left == 0 || self.budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            return None;
        }
        self.left -= 1;
        ask.attempt += 1;
        match &self.backoff {
            Some(backoff) => Some(Box::pin(backoff.borrow_mut().next_backoff())),
            None => Some(Box::pin(std::future::ready(()))),
        }
    }

    fn clone_request(&mut self, ask: &Ask) -> Option<Ask> {
        Some(ask.clone())
    }
}

/// All clients, on one host.
#[derive(Clone)]
struct Clients {
    variant: &'static str,
    timeout: Duration,
    retries: u32,
    budget: Arc<TpsBudget>,
    seed: u64,
    log: Notes<Log>,
}

impl Clients {
    fn new(p: &RetryStorm, setup: &Setup, log: Notes<Log>) -> Clients {
        let window = Duration::from_secs(BUDGET_WINDOW_S);
        Clients {
            variant: setup.variant,
            timeout: Duration::from_secs_f64(p.timeout_s),
            retries: if setup.variant == NEVER { 0 } else { p.retries },
            budget: Arc::new(TpsBudget::new(window, 0, p.budget_share as f32)),
            seed: setup.seed,
            log,
        }
    }

    fn policy(&self, number: usize) -> Retries {
        let jitter = Jitter { seed: self.seed, number: number as u64, drawn: 0 };
        let (least, most) = (Duration::from_secs_f64(PAUSES_S.0), Duration::from_secs_f64(PAUSES_S.1));
        let mut maker = ExponentialBackoffMaker::new(least, most, 1.0, jitter).expect("the pauses are in order");
        Retries {
            left: self.retries,
            budget: (self.variant == BUDGET).then(|| self.budget.clone()),
            backoff: (self.variant == BACKOFF).then(|| Rc::new(maker.make_backoff().into())),
        }
    }

    /// One request with all its tries.
    async fn request(self, host: Host, number: usize) {
        let at_ns = host.now_ns();
        self.log.with(|log| log.asked[number].at_ns = at_ns);
        let attempt = {
            let (clients, host) = (self.clone(), host.clone());
            service_fn(move |ask: Ask| clients.clone().attempt(host.clone(), ask))
        };
        let mut retrying = Retry::new(self.policy(number), attempt);
        let ready = retrying.ready().await.unwrap_or_else(|_| unreachable!("a function is always ready"));
        let ok = ready.call(Ask { number, attempt: 0 }).await.is_ok();
        life::served(ok);
        let ended_ns = host.now_ns();
        self.log.with(|log| {
            let asked = &mut log.asked[number];
            (asked.ended_ns, asked.ok) = (Some(ended_ns), ok);
        });
    }

    /// One try, on a connection of its own.
    async fn attempt(self, host: Host, ask: Ask) -> Result<(), Failed> {
        self.log.with(|log| log.asked[ask.number].tries += 1);
        let deadline_ns = host.now_ns() + self.timeout.as_nanos() as u64;
        let answer = async {
            let mut connection = Connection::open(&host, "server").await?;
            connection.get(&format!("/{}/{}/{deadline_ns}", ask.number, ask.attempt)).await
        };
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(Reply { status: StatusCode::OK, .. })) => Ok(()),
            _ => Err(Failed),
        }
    }
}

fn measure(p: &RetryStorm, log: &Log) -> Vec<Measurement> {
    let served = |from_s: f64, until_s: f64| {
        let period = (from_s * 1e9) as u64..(until_s * 1e9) as u64;
        let asked: Vec<&Asked> = log.asked.iter().filter(|asked| period.contains(&asked.at_ns)).collect();
        percent(asked.iter().filter(|asked| asked.ok).count(), asked.len())
    };
    let (from_s, until_s) = p.after_s();
    vec![
        Measurement::new(BEFORE, served(1.0, p.stall_at_s - p.timeout_s)),
        Measurement::new(BACKLOG, queue_at(log, ((p.stall_at_s + p.stall_s) * 1e9) as u64) as f64),
        Measurement::new(AFTER, served(from_s, until_s)),
    ]
}

/// Tries in the queue just before a moment.
fn queue_at(log: &Log, t_ns: u64) -> usize {
    log.queue.iter().take_while(|(at_ns, _)| *at_ns < t_ns).last().map_or(0, |(_, length)| *length)
}

/// Second by second, from before the stall until two seconds after it.
fn on_call(p: &RetryStorm, log: &Log) -> Table {
    let mut table = Table::new(
        "what the clients' metrics and the server's queue show, second by second",
        &["second", "offered", "served in time", "unserved", "median ms", "99 % ms", "in queue"],
    );
    let first = (p.stall_at_s - 3.0) as u64;
    for second in first..(p.stall_at_s + p.stall_s + 2.0).ceil() as u64 {
        let period = second * 1_000_000_000..(second + 1) * 1_000_000_000;
        let requests = log.asked.iter().filter(|asked| period.contains(&asked.at_ns)).count();
        let ended: Vec<&Asked> = log
            .asked
            .iter()
            .filter(|asked| asked.ended_ns.is_some_and(|ended_ns| period.contains(&ended_ns)))
            .collect();
        let mut took: Vec<u64> = ended
            .iter()
            .filter(|asked| asked.ok)
            .map(|asked| (asked.ended_ns.unwrap_or_default() - asked.at_ns) / 1_000_000)
            .collect();
        let answered = took.len();
        let mut shown = |p: f64| percentile(&mut took, p).map_or("-".into(), |ms| ms.to_string());
        let (median, slowest) = (shown(0.5), shown(0.99));
        table.row([
            second.to_string(),
            requests.to_string(),
            answered.to_string(),
            (ended.len() - answered).to_string(),
            median,
            slowest,
            queue_at(log, period.end).to_string(),
        ]);
    }
    table
}
