//! load-balancer: the machine in front of all servers, and what its way to choose among them does with one that is slow,
//! with one that fails at once, with one that leaves, and with the machine itself.
//!
//! Least connections keeps the number of answers that are waited for equal, so that a server gets requests at a rate that
//! is inverse to the time that it takes: one that is f times slower gets 1 / (1 + f (n - 1)) of them, and one that fails
//! at once nearly all. A balancer with a share of a core does C = cores / (c_tls + c_pass) requests a second, and of
//! lambda' > C the first are given up after C (T - W) / (lambda' - C).

mod hosts;
mod measure;
mod policy;

use super::claim::{Prediction, Tolerance};
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, dead, lasting, load_stream, ns, paced_with_rush};
use crate::fault::model::Fault;
use crate::run::RunError;
use hosts::{Asked, Log, Scene, balancer, server};
use measure::{measure, on_call};
use policy::Policy;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

const SENT: &str = "of the requests, to the slow server";
const SLOW: &str = "served in time, a server slow";
const HIT: &str = "of the clients, not served at least once meanwhile";
const FAILED: &str = "answered with an error, a server failing";
const UNTIL: &str = "errors until the failing server is left out";
const MOVED: &str = "of the clients, to another server as one leaves";
const BALANCER: &str = "served in time, a balancer dead";
const FIRST: &str = "first given up in the rush after";
const RUSH: &str = "served in time, late in the rush";

/// The server that becomes slow, and the one that fails; the last one leaves.
const SLOW_SERVER: usize = 0;
const FAILING_SERVER: usize = 1;
/// When the first server becomes slow, in seconds.
const SLOW_AT_S: f64 = 8.0;
/// Between two troubles, in seconds, beside what a queue takes to become empty.
const PAUSE_S: f64 = 1.0;
/// How long a server is away for maintenance, in seconds.
const AWAY_S: f64 = 4.0;
/// The length of the period that is judged at the end of the rush, in seconds.
const JUDGED_S: f64 = 4.0;

/// How a variant is built.
struct Design {
    policy: Policy,
    /// Whether a check asks for what clients ask for, or only whether the process runs.
    checks_deeply: bool,
    tls_at_servers: bool,
    balancers: u32,
}

impl Design {
    const fn new(policy: Policy, checks_deeply: bool) -> Design {
        Design { policy, checks_deeply, tls_at_servers: false, balancers: 1 }
    }
}

/// Every variant with its design.
const DESIGNS: &[(Variant, Design)] = {
    const fn variant(name: &'static str, what: &'static str, naive: bool) -> Variant {
        Variant { name, what, naive }
    }
    use Policy::{ConsistentHash, IpHash, LeastConnections, RoundRobin};
    &[
        (variant("round-robin", "servers in turn", true), Design::new(RoundRobin, false)),
        (
            variant("least-connections", "the server with the fewest requests under way", true),
            Design::new(LeastConnections, false),
        ),
        (variant("ip-hash", "the hash of the address, modulo the servers", true), Design::new(IpHash, false)),
        (
            variant("deep-checks", "fewest requests, and checks that ask for what clients ask for", false),
            Design::new(LeastConnections, true),
        ),
        (
            variant("consistent-hash", "a ring of hashes of addresses and servers, deep checks", false),
            Design::new(ConsistentHash, true),
        ),
        (
            variant("tls-at-servers", "deep checks, fewest requests, TLS ends at the servers", false),
            Design { tls_at_servers: true, ..Design::new(LeastConnections, true) },
        ),
        (
            variant("two-balancers", "deep checks, fewest requests, two balancers that clients ask in turn", false),
            Design { balancers: 2, ..Design::new(LeastConnections, true) },
        ),
    ]
};

static VARIANTS: [Variant; DESIGNS.len()] = {
    let mut variants = [DESIGNS[0].0; DESIGNS.len()];
    let mut at = 0;
    while at < DESIGNS.len() {
        variants[at] = DESIGNS[at].0;
        at += 1;
    }
    variants
};

/// The design of this name.
fn design(variant: &str) -> &'static Design {
    let found = DESIGNS.iter().find(|(known, _)| known.name == variant);
    found.map(|(_, design)| design).expect("a setup names a variant of the story")
}

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadBalancer {
    /// Clients (c), each with an address.
    clients: u32,
    /// Requests a second, of all clients (lambda).
    requests_per_s: f64,
    /// Servers (n).
    servers: u32,
    /// What a server does at once (w).
    workers: u32,
    /// Work of a request (s).
    work_s: f64,
    /// How many times slower the first server becomes (f).
    slow_factor: f64,
    /// For how long.
    slow_s: f64,
    /// How long the failing server takes for an error.
    fails_in_s: f64,
    /// For how long it fails.
    failing_s: f64,
    /// How often a balancer checks each server (I).
    check_interval_s: f64,
    /// After how many failed checks it leaves a server out (k).
    failed_checks: u32,
    /// Processor time of a TLS handshake (c_tls).
    tls_s: f64,
    /// Processor time to pass a request on (c_pass).
    pass_s: f64,
    /// How much of a core a balancer has.
    balancer_cores: f64,
    /// How long a client waits for an answer (T).
    timeout_s: f64,
    /// How long a client waits for a connection before it tries the other balancer.
    connect_s: f64,
    /// For how long a balancer is dead.
    dead_s: f64,
    /// Requests a second in the rush (lambda').
    rush_per_s: f64,
    /// How long the rush lasts.
    rush_s: f64,
    /// One way between any two hosts.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

impl LoadBalancer {
    /// A connection and a round trip.
    fn way_s(&self) -> f64 {
        4.0 * self.latency_ms as f64 / 1000.0
    }

    /// How long a balancer waits for a server that is `factor` times slower.
    fn answer_s(&self, factor: f64) -> f64 {
        factor * self.work_s + self.way_s()
    }

    /// How long a balancer waits for the failing server.
    fn error_s(&self) -> f64 {
        self.fails_in_s + self.way_s()
    }

    /// The share of requests that least connections sends to one server that answers after `own_s`, the others as usual.
    fn attracted(&self, own_s: f64) -> f64 {
        1.0 / (1.0 + own_s / self.answer_s(1.0) * f64::from(self.servers - 1))
    }

    /// Requests a second that the slow server gets in turn, and those that it can do.
    fn slow_per_s(&self) -> (f64, f64) {
        let done = f64::from(self.workers) / (self.slow_factor * self.work_s);
        (self.requests_per_s / f64::from(self.servers), done)
    }

    /// How long after its beginning the slow server's queue is longer than clients wait, with so many requests a second;
    /// infinite if it never is.
    fn filled_s(&self, per_s: f64) -> f64 {
        let done = self.slow_per_s().1;
        let patience_s = self.timeout_s - self.slow_factor * self.work_s - 2.0 * self.way_s();
        if per_s > done { (patience_s * done / (per_s - done)).max(0.0) } else { f64::INFINITY }
    }

    /// How long the slow server's queue takes to become empty afterwards, at most.
    fn emptied_s(&self) -> f64 {
        // A hash may send a third more there than a turn would.
        let (per_s, done) = (1.3 * self.slow_per_s().0, self.slow_per_s().1);
        let usual = f64::from(self.workers) / self.work_s;
        self.slow_s * (per_s - done).max(0.0) / (usual - per_s).max(1.0) + self.timeout_s
    }

    /// Requests that are judged while a server is slow.
    fn slow_judged_s(&self) -> (f64, f64) {
        (SLOW_AT_S + self.slow_s / 2.0 - self.timeout_s / 2.0, SLOW_AT_S + self.slow_s - self.timeout_s)
    }

    fn fails_at_s(&self) -> f64 {
        (SLOW_AT_S + self.slow_s + self.emptied_s() + PAUSE_S).ceil()
    }

    /// When a failing server has been left out for sure.
    fn noticed_s(&self) -> f64 {
        f64::from(self.failed_checks) * self.check_interval_s + self.way_s()
    }

    fn failing_judged_s(&self) -> (f64, f64) {
        (self.fails_at_s() + self.noticed_s(), self.fails_at_s() + self.failing_s - self.timeout_s)
    }

    fn leaves_at_s(&self) -> f64 {
        self.fails_at_s() + self.failing_s + self.noticed_s().ceil() + PAUSE_S
    }

    fn dies_at_s(&self) -> f64 {
        self.leaves_at_s() + AWAY_S + PAUSE_S
    }

    fn dead_judged_s(&self) -> (f64, f64) {
        (self.dies_at_s(), self.dies_at_s() + self.dead_s - self.timeout_s)
    }

    fn rush_at_s(&self) -> f64 {
        self.dies_at_s() + self.dead_s + self.timeout_s.ceil() + PAUSE_S
    }

    fn rush_ends_s(&self) -> f64 {
        self.rush_at_s() + self.rush_s
    }

    /// Processor time of a request at a balancer.
    fn balancer_work_s(&self, design: &Design) -> f64 {
        (self.pass_s + if design.tls_at_servers { 0.0 } else { self.tls_s }) / self.balancer_cores
    }

    /// What a balancer does a second (C).
    fn balanced_per_s(&self, design: &Design) -> f64 {
        1.0 / self.balancer_work_s(design)
    }

    /// All servers.
    fn all(&self) -> Vec<usize> {
        (0..self.servers as usize).collect()
    }

    /// The share of the clients whose address leads to a server; `None` if addresses lead nowhere.
    fn by_address(&self, policy: Policy, server: usize) -> Option<f64> {
        let all = self.all();
        let of_server = (0..self.clients).map(|client| policy.by_address(client, &all)).collect::<Option<Vec<_>>>()?;
        let count = of_server.iter().filter(|picked| **picked == server).count();
        Some(count as f64 / f64::from(self.clients))
    }

    /// The share of the clients whose address leads to another server when the last one leaves.
    fn moved(&self, policy: Policy) -> Option<f64> {
        let (all, rest) = (self.all(), &self.all()[..self.servers as usize - 1]);
        let moves = (0..self.clients)
            .map(|client| Some(policy.by_address(client, &all)? != policy.by_address(client, rest)?))
            .collect::<Option<Vec<_>>>()?;
        Some(moves.iter().filter(|moves| **moves).count() as f64 / f64::from(self.clients))
    }

    /// 15 %, or what chance leaves room for among so many: 3.3 standard errors.
    fn of_chance(share: f64, among: f64) -> Tolerance {
        Tolerance::Within(100.0 * (0.15 * share).max(3.3 * (share * (1.0 - share) / among).sqrt()))
    }

    /// How far the share of the requests that go to one server may be off: a policy that goes by the address depends on who
    /// asks.
    fn sent_within(policy: Policy, share: f64, among: f64) -> Tolerance {
        match policy {
            Policy::RoundRobin | Policy::LeastConnections => Tolerance::Share(0.15),
            Policy::IpHash | Policy::ConsistentHash => Self::of_chance(share, among),
        }
    }

    /// What a slow server does: its share of the requests, who is served, who is not at least once.
    fn predict_slow(&self, name: &'static str, policy: Policy, into: &mut Vec<Prediction>) {
        let servers = f64::from(self.servers);
        let (from_s, until_s) = self.slow_judged_s();
        let requests = self.requests_per_s * (until_s - from_s);
        let (sent, because) = match policy {
            Policy::RoundRobin => (1.0 / servers, "1 / n"),
            Policy::LeastConnections => {
                (self.attracted(self.answer_s(self.slow_factor)), "as many under way at each: 1 / (1 + f (n - 1))")
            }
            Policy::IpHash | Policy::ConsistentHash => {
                (self.by_address(policy, SLOW_SERVER).unwrap_or_default(), "the clients whose address leads there")
            }
        };
        into.push(Prediction::new(SENT, name, (100.0 * sent, "%"), Self::sent_within(policy, sent, requests), because));
        let per_s = sent * self.requests_per_s;
        let done = self.slow_per_s().1;
        let answers_in_time = self.answer_s(self.slow_factor) + self.way_s() < 0.9 * self.timeout_s;
        let each = requests / f64::from(self.clients);
        let (lost, hit, because) = if per_s < 0.8 * done && answers_in_time {
            (0.0, 0.0, "it is slow, and keeps up")
        } else if SLOW_AT_S + 1.2 * self.filled_s(per_s) < from_s {
            let hit = match policy {
                Policy::IpHash | Policy::ConsistentHash => sent * (1.0 - (-each).exp()),
                Policy::RoundRobin | Policy::LeastConnections => 1.0 - (-each * sent).exp(),
            };
            (sent, hit, "it gets more than w / (f s), and what it answers has been given up")
        } else {
            return;
        };
        let served = match policy {
            Policy::RoundRobin | Policy::LeastConnections => Tolerance::Within(2.0),
            Policy::IpHash | Policy::ConsistentHash => Self::of_chance(sent, requests),
        };
        into.push(Prediction::new(SLOW, name, (100.0 * (1.0 - lost), "%"), served, because));
        let because = match policy {
            Policy::IpHash | Policy::ConsistentHash => "the same clients every time",
            _ => "1 - (1 - 1 / n)^k for a client of k requests, k about lambda t / c",
        };
        let within = if hit == 0.0 { Tolerance::Within(2.0) } else { Self::of_chance(hit, f64::from(self.clients)) };
        into.push(Prediction::new(HIT, name, (100.0 * hit, "%"), within, because));
    }

    /// What a server does that fails at once.
    fn predict_failing(&self, name: &'static str, design: &Design, into: &mut Vec<Prediction>) {
        let (from_s, until_s) = self.failing_judged_s();
        let requests = self.requests_per_s * (until_s - from_s);
        let (sent, because) = match design.policy {
            Policy::RoundRobin => (1.0 / f64::from(self.servers), "1 / n"),
            Policy::LeastConnections => {
                (self.attracted(self.error_s()), "who answers soonest gets most: 1 / (1 + f (n - 1)), f < 1")
            }
            policy => {
                (self.by_address(policy, FAILING_SERVER).unwrap_or_default(), "the clients whose address leads there")
            }
        };
        if !design.checks_deeply {
            let tolerance = Self::sent_within(design.policy, sent, requests);
            return into.push(Prediction::new(FAILED, name, (100.0 * sent, "%"), tolerance, because));
        }
        let because = "its checks fail, and it is left out";
        into.push(Prediction::new(FAILED, name, (0.0, "%"), Tolerance::Within(1.0), because));
        if design.policy != Policy::LeastConnections {
            // Too few to say how many.
            return;
        }
        let per_s = sent * self.requests_per_s;
        let until = per_s * (f64::from(self.failed_checks) - 0.5) * self.check_interval_s;
        // When in their interval the checks begin is not known.
        let width = Tolerance::Within(per_s * (self.check_interval_s / 2.0 + self.way_s()) + 0.15 * until);
        let because = "its share of lambda, from (k - 1) I to k I";
        into.push(Prediction::new(UNTIL, name, (until, "errors"), width, because));
    }

    /// What the balancer itself does: dead, and in the rush.
    fn predict_balancer(&self, name: &'static str, design: &Design, into: &mut Vec<Prediction>) {
        let (dead, because) = match design.balancers {
            1 => (0.0, "everything passes through it"),
            _ => (100.0, "who gets no connection asks the other one"),
        };
        into.push(Prediction::new(BALANCER, name, (dead, "%"), Tolerance::Within(2.0), because));
        let capacity = self.balanced_per_s(design);
        let each_per_s = self.rush_per_s / f64::from(design.balancers);
        if each_per_s <= 0.95 * capacity {
            let because = "lambda' (c_tls + c_pass) < cores of each";
            return into.push(Prediction::new(RUSH, name, (100.0, "%"), Tolerance::Within(2.0), because));
        }
        let waits_s = self.timeout_s - self.answer_s(1.0) - self.way_s();
        let first_s = capacity * waits_s / (each_per_s - capacity);
        if each_per_s > capacity && 1.2 * first_s + JUDGED_S <= self.rush_s {
            let because = "C (T - W) / (lambda' - C), C = cores / (c_tls + c_pass)";
            into.push(Prediction::new(FIRST, name, (first_s, "s"), Tolerance::Share(0.15), because));
            let because = "the queue is longer than T - W, and nobody takes out who has given up";
            into.push(Prediction::new(RUSH, name, (0.0, "%"), Tolerance::Within(2.0), because));
        }
    }
}

impl Model for LoadBalancer {
    fn variants(&self) -> &'static [Variant] {
        &VARIANTS
    }

    fn bounds(&self) -> Vec<Bound> {
        let servers = f64::from(self.servers);
        let usual = f64::from(self.workers) / self.work_s;
        let capacity = self.balanced_per_s(&DESIGNS[0].1);
        vec![
            ("clients", f64::from(self.clients), 20.0..=1000.0),
            ("servers", servers, 3.0..=12.0),
            ("workers", f64::from(self.workers), 1.0..=500.0),
            ("work_s", self.work_s, 0.02..=2.0),
            ("latency_ms", self.latency_ms as f64, 1.0..=50.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
            ("tls_s", self.tls_s, 0.0..=0.1),
            ("pass_s", self.pass_s, 1e-6..=0.1),
            ("balancer_cores", self.balancer_cores, 0.01..=64.0),
            // A hash may send half more to one server than to another.
            (
                "requests_per_s",
                self.requests_per_s,
                10.0..=(0.9 * capacity).min(0.7 * usual * (servers - 1.0)).min(500.0),
            ),
            ("slow_factor", self.slow_factor, 1.0..=20.0),
            ("timeout_s", self.timeout_s, self.answer_s(1.0) + 2.0 * self.way_s() + 0.1..=10.0),
            ("connect_s", self.connect_s, self.way_s()..=self.timeout_s - self.answer_s(1.0) - 2.0 * self.way_s()),
            ("slow_s", self.slow_s, 3.0 * self.timeout_s..=30.0),
            ("fails_in_s", self.fails_in_s, 0.0..=self.work_s),
            ("check_interval_s", self.check_interval_s, 0.1..=2.0),
            ("failed_checks", f64::from(self.failed_checks), 1.0..=10.0),
            ("failing_s", self.failing_s, self.noticed_s() + self.timeout_s + 1.0..=30.0),
            ("dead_s", self.dead_s, self.timeout_s + 2.0..=30.0),
            ("rush_per_s", self.rush_per_s, self.requests_per_s..=(0.8 * usual * servers).min(1000.0)),
            ("rush_s", self.rush_s, JUDGED_S + 1.0..=60.0),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        let (fails_s, leaves_s, dies_s) = (self.fails_at_s(), self.leaves_at_s(), self.dies_at_s());
        vec![
            format!(
                "open loop: {} requests/s of {} clients, evenly paced, {} from {} s to {} s",
                self.requests_per_s,
                self.clients,
                self.rush_per_s,
                self.rush_at_s(),
                self.rush_ends_s()
            ),
            format!(
                "{} servers, each with {} workers of {:.0} ms a request and one queue (FIFO), in which requests stay that were \
                 given up",
                self.servers,
                self.workers,
                1000.0 * self.work_s
            ),
            format!(
                "a balancer has {} of a core and needs {:.1} ms to pass a request on, {:.1} ms with TLS; each request has a \
                 connection and a handshake of its own",
                self.balancer_cores,
                1000.0 * self.pass_s,
                1000.0 * (self.pass_s + self.tls_s)
            ),
            format!("served in time: answered without an error within {} s", self.timeout_s),
            format!("server-1 is {} times slower for {} s from {SLOW_AT_S} s on", self.slow_factor, self.slow_s),
            format!(
                "server-2 answers with an error after {:.0} ms, for {} s from {fails_s} s on; it answers checks that do not \
                 ask for work, every {} s, {} failed ones and it is left out",
                1000.0 * self.fails_in_s,
                self.failing_s,
                self.check_interval_s,
                self.failed_checks
            ),
            format!("the last server is away from {leaves_s} s to {} s, and the balancers are told", leaves_s + AWAY_S),
            format!(
                "the first balancer's machine is dead from {dies_s} s to {} s; where there are two, a client asks the other \
                 one after {} s without a connection",
                dies_s + self.dead_s,
                self.connect_s
            ),
            format!("in the rush: of the requests offered in its last {JUDGED_S} s"),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "the work of a request, a constant time of a worker",
            "the processor time of a TLS handshake (RSA-2048) and of passing a request on, each a constant, in one queue of the \
             balancer; tls-handshake-storm has real handshakes",
            "a machine without power, as a host that nothing reaches and that reaches nothing",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        for (Variant { name, .. }, design) in DESIGNS {
            self.predict_slow(name, design.policy, &mut predictions);
            self.predict_failing(name, design, &mut predictions);
            let (moved, because) = match (design.policy, self.moved(design.policy)) {
                (Policy::RoundRobin, _) => (Some(1.0 - 1.0 / f64::from(self.servers)), "no client has a server"),
                (Policy::IpHash, moved) => (moved, "a hash modulo n and modulo n - 1 agree for 1 / n of the addresses"),
                (_, moved) => (moved, "only the clients of the server that leaves, about 1 / n"),
            };
            if let Some(moved) = moved {
                let within = Self::of_chance(moved, f64::from(self.clients));
                predictions.push(Prediction::new(MOVED, name, (100.0 * moved, "%"), within, because));
            }
            self.predict_balancer(name, design, &mut predictions);
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let quiet = (self.requests_per_s, self.rush_at_s());
        let mut load = paced_with_rush(&mut stream, quiet, (self.rush_per_s, self.rush_s));
        load.iter_mut().for_each(|arrival| arrival.sort = stream.gen_range(0..self.clients));
        load
    }

    fn faults(&self) -> Vec<Fault> {
        vec![lasting(self.dies_at_s(), self.dead_s, dead(balancer(0)))]
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log { asked: vec![Asked::default(); setup.load.len()] });
        let scene = Rc::new(Scene { p: self.clone(), design: design(setup.variant), log: log.clone() });
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let duration_s = self.rush_ends_s() + self.timeout_s + 1.0;
        let mut world = World::new(setup.seed, self.tick_ms, duration_s, self.latency_ms).faults(&setup.faults);
        for number in 0..self.servers as usize {
            let scene = scene.clone();
            world = world.host(&server(number), move |host| scene.clone().server(host, number));
        }
        for number in 0..scene.design.balancers {
            let scene = scene.clone();
            world = world.host(&balancer(number), move |host| scene.clone().balancer(host));
        }
        let ran = world.host("clients", move |host| scene.clone().clients(host, load.clone())).run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, &log), vec![on_call(self, &log)]))
    }
}
