//! central-or-peer: one load balancer in front of all servers, or clients that choose among the servers themselves.
//!
//! Whatever passes through one machine stops with it, and is no more than it can pass on: of lambda' > C requests a second
//! its queue keeps lambda' - C, and after C T / (lambda' - C) all that it passes on has been given up. Clients that choose
//! have no such machine. What they pay: each of c clients finds out by its own time-out that a server is dead, which takes
//! c tries; a balancer finds out for all of them, and costs lambda / n tries a second for as long as its checks take.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent, percentile};
use super::http::{Connection, Reply, serve};
use super::life;
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::queue::Queue;
use super::world::{Notes, World, dead, drive, lasting, load_stream, ns, paced_with_rush, sleep_until};
use crate::fault::model::Fault;
use crate::host::Host;
use crate::rng;
use crate::run::RunError;
use hyper::StatusCode;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

const ONE: &str = "balancer";
const TWO: &str = "two-balancers";
const TURNS: &str = "round-robin";
const CHOICES: &str = "two-choices";

const WAY: &str = "of a request's time, on the way";
const MET: &str = "tries that met the dead server";
const SERVER: &str = "served in time, a server dead";
const BALANCER: &str = "served in time, a balancer dead";
const RUSH: &str = "served in time, in the rush";

/// How often a client asks for the same thing, at most.
const TRIES: u32 = 2;
/// Requests of this period are the quiet ones, in seconds.
const QUIET_S: (f64, f64) = (2.0, 8.0);
/// When the first server dies, in seconds.
const SERVER_DIES_S: f64 = 9.0;
/// How long after a dead machine's return the next trouble begins, in seconds: all have noticed.
const RECOVERED_S: f64 = 6.0;
/// The length of the period that is judged at the end of the rush, in seconds.
const JUDGED_S: f64 = 4.0;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CentralOrPeer {
    /// Clients (c), each of which learns by itself.
    clients: u32,
    /// Requests a second, of all clients (lambda).
    requests_per_s: f64,
    /// Servers (n).
    servers: u32,
    /// What a server can do a second (mu).
    served_per_s: f64,
    /// What a balancer can pass on a second (C).
    balanced_per_s: f64,
    /// How often a balancer checks each server (I).
    check_interval_s: f64,
    /// After how many failed checks it leaves a server out (k).
    failed_checks: u32,
    /// How long a client waits for one try (T).
    timeout_s: f64,
    /// For how long a client leaves out who did not answer in time.
    aside_s: f64,
    /// For how long a machine is dead, first a server's, later a balancer's (D).
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

impl CentralOrPeer {
    fn balancer_dies_s(&self) -> f64 {
        SERVER_DIES_S + self.dead_s + RECOVERED_S
    }

    fn rush_at_s(&self) -> f64 {
        self.balancer_dies_s() + self.dead_s + RECOVERED_S
    }

    fn rush_ends_s(&self) -> f64 {
        self.rush_at_s() + self.rush_s
    }

    /// How long a request may take with all its tries.
    fn patience_s(&self) -> f64 {
        f64::from(TRIES) * self.timeout_s
    }

    /// Requests that are judged while a machine is dead: their tries end before it is back.
    fn dead(&self, at_s: f64) -> (f64, f64) {
        (at_s, at_s + self.dead_s - self.patience_s())
    }

    /// How long a balancer takes to leave a dead server out, on average: the checks begin anywhere in their interval, and
    /// each that fails takes a whole one.
    fn noticed_s(&self) -> f64 {
        (f64::from(self.failed_checks) + 0.5) * self.check_interval_s
    }

    /// Tries a second that meet the dead server through balancers that do not know yet: the first ones, or with those that
    /// are asked again.
    fn met_per_s(&self) -> (f64, f64) {
        let first = self.requests_per_s / f64::from(self.servers);
        (first, first * (1.0 + 1.0 / f64::from(self.servers)))
    }

    /// The percentage that so many balancers serve late in the rush; `None` where it is too close to say.
    fn served_in_rush(&self, balancers: u32) -> Option<f64> {
        let each_per_s = self.rush_per_s / f64::from(balancers);
        let growing_per_s = each_per_s - self.balanced_per_s;
        // A fifth more than it takes until the queue is longer than anybody waits.
        let useless_s = 1.2 * self.balanced_per_s * self.timeout_s / growing_per_s;
        match growing_per_s {
            _ if each_per_s <= 0.9 * self.balanced_per_s => Some(100.0),
            growing if growing > 0.0 && useless_s + JUDGED_S <= self.rush_s => Some(0.0),
            _ => None,
        }
    }
}

/// One request, as measured.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    at_ns: u64,
    ended_ns: Option<u64>,
    /// In queues and at work.
    at_hosts_ns: u64,
    ok: bool,
}

/// What is noted down while a run goes on.
#[derive(Default)]
struct Log {
    asked: Vec<Asked>,
    /// When a try was sent to the first server.
    met_ns: Vec<u64>,
}

impl Model for CentralOrPeer {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: ONE, what: "all requests go through one load balancer", naive: true },
                Variant { name: TWO, what: "clients ask two load balancers in turn", naive: false },
                Variant { name: TURNS, what: "clients ask the servers in turn", naive: false },
                Variant {
                    name: CHOICES,
                    what: "of two servers, clients ask the one of which they wait for fewer answers",
                    naive: false,
                },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        let (each, all) = (self.served_per_s, f64::from(self.servers) * self.served_per_s);
        // Each client comes to each server twice while it is dead, and not again before it has given up.
        let per_server = self.requests_per_s / f64::from(self.servers);
        let clients = (2.0 * self.timeout_s * per_server).ceil()..=(self.dead_s * per_server / 2.0).floor();
        vec![
            ("servers", f64::from(self.servers), 2.0..=12.0),
            ("served_per_s", self.served_per_s, 5.0..=500.0),
            ("balanced_per_s", self.balanced_per_s, 10.0..=1000.0),
            ("requests_per_s", self.requests_per_s, 10.0..=(0.8 * self.balanced_per_s).min(0.8 * (all - each))),
            ("timeout_s", self.timeout_s, 0.2..=1.0),
            ("dead_s", self.dead_s, 3.0 * self.patience_s()..=30.0),
            ("clients", f64::from(self.clients), clients),
            ("check_interval_s", self.check_interval_s, 0.1..=2.0),
            ("failed_checks", f64::from(self.failed_checks), 1.0..=(self.dead_s / self.check_interval_s - 2.0).floor()),
            ("aside_s", self.aside_s, self.dead_s..=self.dead_s + 4.0),
            ("rush_per_s", self.rush_per_s, self.requests_per_s..=0.85 * all),
            ("rush_s", self.rush_s, JUDGED_S + 2.0..=60.0),
            // A request through a balancer must be able to come back in time.
            ("latency_ms", self.latency_ms as f64, 1.0..=(1000.0 * self.timeout_s / 20.0).floor()),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "open loop: {} requests/s of {} clients, {} from {} s to {} s, evenly paced",
                self.requests_per_s,
                self.clients,
                self.rush_per_s,
                self.rush_at_s(),
                self.rush_ends_s()
            ),
            format!(
                "FIFO queues: {} servers of {:.0} ms a request, a balancer of {:.0} ms; no work is ever taken out of one",
                self.servers,
                1000.0 / self.served_per_s,
                1000.0 / self.balanced_per_s
            ),
            format!(
                "served in time: one of {TRIES} tries is answered within {} s; each try has a connection of its own",
                self.timeout_s
            ),
            format!("who did not answer a client in time is left out by that client for {} s", self.aside_s),
            format!(
                "a balancer checks each server every {} s, and leaves it out after {} failed checks",
                self.check_interval_s, self.failed_checks
            ),
            format!(
                "the machine of a server is dead for {} s from {SERVER_DIES_S} s on, that of a balancer from {} s on: it \
                 neither answers nor refuses",
                self.dead_s,
                self.balancer_dies_s()
            ),
            format!("in the rush: of the requests offered in its last {JUDGED_S} s"),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "the work of a request, a constant time in one queue of a server, and of a balancer",
            "a machine without power, as a host that nothing reaches and that reaches nothing",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let mut say = |claim, variant, value, tolerance, because: &str| {
            predictions.push(Prediction::new(claim, variant, value, tolerance, because));
        };
        let round_trip_ms = 2.0 * self.latency_ms as f64;
        let (share, served) = (Tolerance::Share(0.15), Tolerance::Within(2.0));
        let (servers, clients) = (f64::from(self.servers), f64::from(self.clients));
        for (variant, balancers) in [(ONE, 1), (TWO, 2)] {
            let way = (4.0 * round_trip_ms, "ms");
            say(WAY, variant, way, share, "a connection and a round trip, to the balancer and again to the server");
            let (first_per_s, all_per_s) = self.met_per_s();
            let again_s = (self.noticed_s() - self.timeout_s).max(0.0);
            let met = first_per_s * self.noticed_s() + (all_per_s - first_per_s) * again_s;
            // When in their interval the checks begin is not known, nor is whose turn it is.
            let within = Tolerance::Within(all_per_s * self.check_interval_s / 2.0 + 0.1 * met);
            let because = "lambda / n until the checks have failed, (k + 1/2) I, and 1 / n of these again";
            say(MET, variant, (met, "tries"), within, because);
            let lost = again_s / (self.dead_s - self.patience_s()) / servers.powi(2);
            let because = "who meets the dead server twice before it is left out is not served";
            say(SERVER, variant, (100.0 * (1.0 - lost), "%"), served, because);
            let (dead, because) = match balancers {
                1 => (0.0, "everything passes through it"),
                _ => (100.0, "the second try goes to the other one"),
            };
            say(BALANCER, variant, (dead, "%"), served, because);
            if let Some(late) = self.served_in_rush(balancers) {
                let because = match late {
                    0.0 => "lambda' > C: after C T / (lambda' - C) whatever is passed on has been given up",
                    _ => "lambda' < C of each",
                };
                say(RUSH, variant, (late, "%"), served, because);
            }
        }
        let drawn = clients * (1.0 - (-self.requests_per_s * self.dead_s / servers / clients).exp());
        for (variant, met, because) in [
            (TURNS, clients, "c: the turn of each client comes, and then not again before it has learnt"),
            (CHOICES, drawn, "c (1 - e^(-lambda D / (n c))): each client that draws it, and does not wait for others"),
        ] {
            say(WAY, variant, (2.0 * round_trip_ms, "ms"), share, "a connection and a round trip");
            say(MET, variant, (met, "tries"), share, because);
            say(SERVER, variant, (100.0, "%"), served, "the second try goes to another one");
            say(BALANCER, variant, (100.0, "%"), served, "nothing passes through it");
            say(RUSH, variant, (100.0, "%"), served, "lambda' < n mu");
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
        let dies = |at_s, name: String| lasting(at_s, self.dead_s, dead(name));
        vec![dies(SERVER_DIES_S, server(0)), dies(self.balancer_dies_s(), balancer(0))]
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        log.with(|log| log.asked = vec![Asked::default(); setup.load.len()]);
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, seed: setup.seed, log: log.clone() });
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let duration_s = self.rush_ends_s() + self.patience_s() + 1.0;
        let mut world = World::new(setup.seed, self.tick_ms, duration_s, self.latency_ms).faults(&setup.faults);
        for number in 0..self.servers {
            let scene = scene.clone();
            world = world.host(&server(number), move |host| scene.clone().server(host));
        }
        // Where nobody asks them, they stand there all the same, so that the same machines die.
        for number in 0..2 {
            let scene = scene.clone();
            world = world.host(&balancer(number), move |host| scene.clone().balancer(host));
        }
        let ran = world.host("clients", move |host| scene.clone().clients(host, load.clone())).run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, &log), vec![on_call(self, &log)]))
    }
}

fn server(number: u32) -> String {
    format!("server-{}", number + 1)
}

fn balancer(number: u32) -> String {
    format!("balancer-{}", number + 1)
}

/// What every host of the story knows.
struct Scene {
    p: CentralOrPeer,
    variant: &'static str,
    seed: u64,
    log: Notes<Log>,
}

impl Scene {
    /// Whom clients choose from.
    fn targets(&self) -> Vec<String> {
        match self.variant {
            ONE => vec![balancer(0)],
            TWO => vec![balancer(0), balancer(1)],
            _ => (0..self.p.servers).map(server).collect(),
        }
    }

    /// Asks for something; a try at the first server is noted down.
    async fn ask(&self, host: &Host, name: &str, path: &str) -> std::io::Result<Reply> {
        if name == server(0) && path == WORK {
            self.log.with(|log| log.met_ns.push(host.now_ns()));
        }
        Connection::open(host, name).await?.get(path).await
    }

    async fn server(self: Rc<Self>, host: Host) {
        let queue = Rc::new(Queue::default());
        let own = host.clone();
        serve(host, move |path| {
            let (host, queue) = (own.clone(), queue.clone());
            let work_ns = ns(1.0 / self.p.served_per_s);
            async move {
                if path != WORK {
                    return Reply::ok();
                }
                spent(queue.work(&host, work_ns).await)
            }
        })
        .await;
    }

    /// Passes requests on, to one server after the other that answers its checks.
    async fn balancer(self: Rc<Self>, host: Host) {
        let is_out: Rc<[Cell<bool>]> = (0..self.p.servers).map(|_| Cell::new(false)).collect();
        // Nobody needs checks of servers that nobody asks for through it.
        if self.targets().iter().any(|target| target == host.name()) {
            for number in 0..self.p.servers {
                host.spawn(self.clone().check(host.clone(), number, is_out.clone()));
            }
        }
        let queue = Rc::new(Queue::default());
        let (own, next) = (host.clone(), Rc::new(Cell::new(0)));
        serve(host, move |_| {
            let (scene, host, queue) = (self.clone(), own.clone(), queue.clone());
            let (is_out, next) = (is_out.clone(), next.clone());
            async move {
                let own_ns = queue.work(&host, ns(1.0 / scene.p.balanced_per_s)).await;
                let mut turns = (0..scene.p.servers).map(|turn| (next.get() + turn) % scene.p.servers);
                let number = turns.find(|number| !is_out[*number as usize].get()).unwrap_or(next.get());
                next.set((number + 1) % scene.p.servers);
                let limit = Duration::from_secs_f64(scene.p.timeout_s);
                match tokio::time::timeout(limit, scene.ask(&host, &server(number), WORK)).await {
                    Ok(Ok(reply)) => spent(own_ns + spent_ns(&reply)),
                    _ => Reply::with(StatusCode::GATEWAY_TIMEOUT),
                }
            }
        })
        .await;
    }

    /// Checks a server as long as the run lasts.
    async fn check(self: Rc<Self>, host: Host, number: u32, is_out: Rc<[Cell<bool>]>) {
        let interval = Duration::from_secs_f64(self.p.check_interval_s);
        let mut next_ns = host.random_below(interval.as_nanos() as u64);
        let mut failed = 0;
        loop {
            sleep_until(&host, next_ns).await;
            next_ns += interval.as_nanos() as u64;
            let answered = tokio::time::timeout(interval, self.ask(&host, &server(number), "/health")).await;
            failed = if matches!(answered, Ok(Ok(_))) { 0 } else { failed + 1 };
            is_out[number as usize].set(failed >= self.p.failed_checks);
        }
    }

    async fn clients(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        let targets: Rc<[String]> = self.targets().into();
        let chooser = |client: u32| {
            let first = rng::below(rng::hash(self.seed, &[u64::from(client)]), targets.len() as u64);
            RefCell::new(Chooser::new(self.variant == CHOICES, targets.len(), first as usize))
        };
        let choosers: Rc<[RefCell<Chooser>]> = (0..self.p.clients).map(chooser).collect();
        let own = host.clone();
        drive(host, load, move |number, arrival| {
            let (scene, targets, choosers) = (self.clone(), targets.clone(), choosers.clone());
            let host = own.clone();
            async move { scene.request(&host, &targets, &choosers[arrival.sort as usize], number).await }
        })
        .await;
    }

    async fn request(&self, host: &Host, targets: &[String], chooser: &RefCell<Chooser>, number: usize) {
        let at_ns = host.now_ns();
        self.log.with(|log| log.asked[number] = Asked { at_ns, ..Asked::default() });
        let mut tried = None;
        for _ in 0..TRIES {
            let target = chooser.borrow_mut().choose(host, tried);
            let limit = Duration::from_secs_f64(self.p.timeout_s);
            let answered = tokio::time::timeout(limit, self.ask(host, &targets[target], WORK)).await;
            let ended_ns = host.now_ns();
            let reply = answered.ok().and_then(Result::ok).filter(|reply| reply.status == StatusCode::OK);
            let aside_ns = if reply.is_some() { 0 } else { ended_ns + ns(self.p.aside_s) };
            chooser.borrow_mut().learn(target, aside_ns);
            self.log.with(|log| {
                let asked = &mut log.asked[number];
                asked.ended_ns = Some(ended_ns);
                asked.ok = reply.is_some();
                asked.at_hosts_ns = reply.as_ref().map_or(0, spent_ns);
            });
            life::served(reply.is_some());
            if reply.is_some() {
                return;
            }
            tried = Some(target);
        }
    }
}

/// What a server is asked to work for.
const WORK: &str = "/price";

/// An answer that says how long it took where it comes from.
fn spent(ns: u64) -> Reply {
    Reply { status: StatusCode::OK, body: ns.to_string().into() }
}

fn spent_ns(reply: &Reply) -> u64 {
    String::from_utf8_lossy(&reply.body).parse().unwrap_or_default()
}

/// What one client knows of those that it chooses from.
struct Chooser {
    takes_two: bool,
    /// Whose turn it is.
    next: usize,
    /// How many answers of each it waits for.
    waiting: Vec<u32>,
    /// Until when each is left out.
    aside_ns: Vec<u64>,
}

impl Chooser {
    fn new(takes_two: bool, targets: usize, next: usize) -> Chooser {
        Chooser { takes_two, next, waiting: vec![0; targets], aside_ns: vec![0; targets] }
    }

    /// Whom to ask, and not the one that was just tried, if there is a choice.
    fn choose(&mut self, host: &Host, tried: Option<usize>) -> usize {
        let (now_ns, count) = (host.now_ns(), self.waiting.len());
        let turns = (0..count).map(|turn| (self.next + turn) % count);
        let mut open: Vec<usize> =
            turns.filter(|target| self.aside_ns[*target] <= now_ns && Some(*target) != tried).collect();
        if open.is_empty() {
            open = vec![self.next];
        }
        let chosen = if self.takes_two && open.len() > 1 {
            let first = host.random_below(open.len() as u64) as usize;
            let second = (first + 1 + host.random_below(open.len() as u64 - 1) as usize) % open.len();
            let (first, second) = (open[first], open[second]);
            if self.waiting[second] < self.waiting[first] { second } else { first }
        } else {
            open[0]
        };
        self.next = (chosen + 1) % count;
        self.waiting[chosen] += 1;
        chosen
    }

    /// Takes note of how a try ended.
    fn learn(&mut self, target: usize, aside_ns: u64) {
        self.waiting[target] -= 1;
        self.aside_ns[target] = self.aside_ns[target].max(aside_ns);
    }
}

fn measure(p: &CentralOrPeer, log: &Log) -> Vec<Measurement> {
    let offered = |(from_s, until_s): (f64, f64)| {
        let period = ns(from_s)..ns(until_s);
        log.asked.iter().filter(move |asked| period.contains(&asked.at_ns))
    };
    let served = |period| percent(offered(period).filter(|asked| asked.ok).count(), offered(period).count());
    let on_the_way = |asked: &Asked| Some(asked.ended_ns? - asked.at_ns - asked.at_hosts_ns);
    let quiet: Vec<u64> = offered(QUIET_S).filter(|asked| asked.ok).filter_map(on_the_way).collect();
    let way_ms = quiet.iter().sum::<u64>() as f64 / quiet.len() as f64 / 1e6;
    let dead: Range<u64> = ns(SERVER_DIES_S)..ns(SERVER_DIES_S + p.dead_s);
    let met = log.met_ns.iter().filter(|at_ns| dead.contains(*at_ns)).count();
    vec![
        Measurement::new(WAY, way_ms),
        Measurement::new(MET, met as f64),
        Measurement::new(SERVER, served(p.dead(SERVER_DIES_S))),
        Measurement::new(BALANCER, served(p.dead(p.balancer_dies_s()))),
        Measurement::new(RUSH, served((p.rush_ends_s() - JUDGED_S, p.rush_ends_s()))),
    ]
}

/// What the clients see while a server dies, second by second.
fn on_call(p: &CentralOrPeer, log: &Log) -> Table {
    let header = ["second", "offered", "served in time", "asked the dead server", "median ms", "99 % ms"];
    let mut table = Table::new("what the clients' metrics show while a server's machine is dead", &header);
    let first = SERVER_DIES_S as u64 - 2;
    for second in first..first + 7 {
        let period = second * 1_000_000_000..(second + 1) * 1_000_000_000;
        let offered: Vec<&Asked> = log.asked.iter().filter(|asked| period.contains(&asked.at_ns)).collect();
        let ok = offered.iter().filter(|asked| asked.ok);
        let mut took: Vec<u64> = ok.filter_map(|asked| Some((asked.ended_ns? - asked.at_ns) / 1_000_000)).collect();
        let is_dead = second as f64 >= SERVER_DIES_S && (second as f64) < SERVER_DIES_S + p.dead_s;
        let met = log.met_ns.iter().filter(|at_ns| is_dead && period.contains(*at_ns)).count();
        let served = took.len();
        let mut at = |share| percentile(&mut took, share).map_or("-".into(), |ms| ms.to_string());
        let (median, high) = (at(0.5), at(0.99));
        table.row([second.to_string(), offered.len().to_string(), served.to_string(), met.to_string(), median, high]);
    }
    table
}
