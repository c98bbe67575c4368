//! dns-failover: a service moves to another address, and how long its clients go on asking at the old one.
//!
//! A client that asks r times a second and caches for TTL is a renewal process: it looks the name up, keeps the
//! answer for TTL, and looks it up again with the next request, 1 / r later on average. So it holds an answer a share
//! r TTL / (1 + r TTL) of the time, and one that is older than TTL - t a share r (TTL - t) / (1 + r TTL).

mod measure;

use super::claim::{Prediction, Tolerance};
use super::dns::{self, Answer, Recursion, address, host_at};
use super::http::{Connection, Reply, serve};
use super::life;
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, dead, drive, lasting, load_stream, named, poisson};
use crate::host::Host;
use crate::rng;
use crate::run::RunError;
use crate::run::life::Part;
use crate::trace::HostId;
use hyper::StatusCode;
use measure::{measure, on_call};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

const HOUR: &str = "ttl-hour";
const MINUTE: &str = "ttl-minute";
const IN_TIME: &str = "lowered-in-time";
const LATE: &str = "lowered-late";
const RESOLVER: &str = "one-resolver";
const KEEP_ALIVE: &str = "keep-alive";
const BALANCER: &str = "balancer";
const DEAD: &str = "dead-address";
const DEAD_BEHIND: &str = "dead-behind-balancer";

const OLD: &str = "requests to the old address, half an old TTL on";
const LAST: &str = "last request to the old address";
const QUERIES: &str = "queries at the authority";
const FAILED: &str = "requests that failed after the move";
const FAILS_AFTER: &str = "a request that failed took";

/// The name that moves.
const NAME: &str = "www.shop.example.";
/// How long a client or a resolver waits for an answer.
const DNS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long delegations are good for, in seconds.
const DELEGATION_TTL_S: u32 = 86_400;
/// How far from the measured instant a request may be, in minutes of the story.
const AROUND_S: f64 = 5.0;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DnsFailover {
    /// How many clients, each with a cache of its own.
    clients: u32,
    /// How often each asks (r), a minute of the story.
    requests_per_min: f64,
    /// The TTL of old.
    old_ttl_min: u32,
    /// The short TTL.
    new_ttl_min: u32,
    /// How long before the move the TTL is lowered by the variant that is late, in old TTLs.
    late_share: f64,
    /// When the service moves.
    move_at_min: f64,
    /// How often the balancer checks a backend (I).
    check_interval_min: f64,
    /// After how many failed checks it turns away (k).
    failed_checks: u32,
    /// How long a check waits for an answer (tau).
    check_timeout_min: f64,
    /// How long the balancer waits for a backend before it tries the other one, where the old one is dead.
    balancer_timeout_min: f64,
    /// How long a client waits, from the look-up to the answer.
    timeout_min: f64,
    /// One way between any two hosts, in milliseconds of the simulation.
    latency_ms: u64,
    /// The simulator's step, in milliseconds of the simulation.
    tick_ms: u64,
}

/// A minute of the story is a second of the simulation: names that end with `min` count the story's time, and the same
/// numbers are seconds (`s`) where they are passed to the simulator.
impl DnsFailover {
    fn old_s(&self) -> f64 {
        f64::from(self.old_ttl_min)
    }

    /// The TTL that the authority gives at a time.
    fn ttl_s(&self, variant: &str, t_s: f64) -> u32 {
        let lowered_s = match variant {
            HOUR | RESOLVER | DEAD => f64::INFINITY,
            IN_TIME => self.move_at_min - self.old_s(),
            LATE => self.move_at_min - self.late_share * self.old_s(),
            _ => f64::NEG_INFINITY,
        };
        if t_s < lowered_s { self.old_ttl_min } else { self.new_ttl_min }
    }

    /// The share of caches that hold an answer for `ttl_s` which will outlive `more_s`.
    fn holding(&self, ttl_s: f64, more_s: f64) -> f64 {
        self.requests_per_min * (ttl_s - more_s).max(0.0) / (1.0 + self.requests_per_min * ttl_s)
    }

    /// How long the balancer takes to leave out a machine that does not answer, on average.
    fn dead_noticed_s(&self) -> f64 {
        (f64::from(self.failed_checks) - 0.5) * self.check_interval_min + self.check_timeout_min
    }

    fn one_way_s(&self) -> f64 {
        self.latency_ms as f64 / 1000.0
    }

    /// What changes where the old machine is dead after the move, and neither answers nor refuses.
    fn predict_dead(&self, into: &mut Vec<Prediction>) {
        let (old_s, per_s) = (self.old_s(), f64::from(self.clients) * self.requests_per_min);
        let mut say = |claim, variant, value, tolerance, because: &str| {
            into.push(Prediction::new(claim, variant, value, tolerance, because));
        };
        let failed = per_s * self.requests_per_min * old_s.powi(2) / 2.0 / (1.0 + self.requests_per_min * old_s);
        let because = "the shares of all minutes, c r x r TTL^2 / 2 / (1 + r TTL): dead or refused, as many";
        [HOUR, DEAD]
            .into_iter()
            .for_each(|variant| say(FAILED, variant, (failed, "lost"), Tolerance::Share(0.15), because));
        let because = "a connection, and a round trip for the 503";
        say(FAILS_AFTER, HOUR, (4.0 * self.one_way_s(), "min"), Tolerance::Share(0.15), because);
        let because = "no answer comes: as long as a client waits";
        say(FAILS_AFTER, DEAD, (self.timeout_min, "min"), Tolerance::Share(0.15), because);
        let noticed = (self.dead_noticed_s(), "min");
        let width = self.check_interval_min / 2.0 + 6.0 * self.one_way_s();
        let because = "the middle of (k - 1) I + tau to k I + tau";
        say(LAST, DEAD_BEHIND, noticed, Tolerance::Within(width), because);
        // A look-up in four steps, and a connection and a round trip to each of three machines.
        let ways_s = 20.0 * self.one_way_s();
        if self.balancer_timeout_min + ways_s < self.timeout_min {
            let because = "the balancer gives up sooner than its clients, and asks the other machine";
            say(FAILED, DEAD_BEHIND, (0.0, "lost"), Tolerance::Within(1.0), because);
        } else if self.balancer_timeout_min > self.timeout_min {
            let because = "the balancer waits for longer than its clients: c r for as long as its checks take";
            let within = Tolerance::Within(per_s * width + 0.15 * per_s * noticed.0);
            say(FAILED, DEAD_BEHIND, (per_s * noticed.0, "lost"), within, because);
        }
    }

    fn duration_s(&self) -> f64 {
        self.move_at_min + self.old_s() + 3.0
    }
}

/// One request, as measured.
#[derive(Debug, Clone, Copy)]
struct Request {
    at_s: f64,
    ended_s: f64,
    /// Whether the old address answered, or should have: it is wrong after the move.
    by_old: bool,
    ok: bool,
}

/// What is recorded during a run.
#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    /// When the authority was asked.
    queries_s: Vec<f64>,
    /// When the balancer passed a request on to the old address.
    passed_old_s: Vec<f64>,
    /// The content of some caches when they were inspected: (client, address is the old one, seconds left).
    looked: Vec<(usize, Option<(bool, f64)>)>,
}

impl Model for DnsFailover {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: HOUR, what: "a TTL of an hour", naive: true },
                Variant { name: LATE, what: "a TTL of an hour, lowered a quarter of an hour before", naive: true },
                Variant { name: RESOLVER, what: "a TTL of an hour, all clients behind one resolver", naive: true },
                Variant { name: DEAD, what: "a TTL of an hour, and the old machine is dead", naive: true },
                Variant { name: KEEP_ALIVE, what: "a TTL of a minute, and connections that stay open", naive: true },
                Variant { name: MINUTE, what: "a TTL of a minute", naive: false },
                Variant { name: IN_TIME, what: "a TTL of an hour, lowered an hour before", naive: false },
                Variant { name: BALANCER, what: "one address, behind it a balancer with checks", naive: false },
                Variant {
                    name: DEAD_BEHIND,
                    what: "the same with a time-out, and the old machine is dead",
                    naive: false,
                },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![
            ("clients", f64::from(self.clients), 200.0..=10_000.0),
            ("requests_per_min", self.requests_per_min, 0.005..=1.0),
            ("old_ttl_min", self.old_s(), 10.0..=600.0),
            ("new_ttl_min", f64::from(self.new_ttl_min), 1.0..=self.old_s()),
            ("late_share", self.late_share, 0.0..=1.0),
            ("move_at_min", self.move_at_min, self.old_s()..=2000.0),
            ("check_interval_min", self.check_interval_min, 0.1..=10.0),
            ("failed_checks", f64::from(self.failed_checks), 1.0..=20.0),
            ("check_timeout_min", self.check_timeout_min, 5.0 * self.one_way_s()..=self.check_interval_min),
            ("balancer_timeout_min", self.balancer_timeout_min, 5.0 * self.one_way_s()..=5.0),
            ("timeout_min", self.timeout_min, 20.0 * self.one_way_s()..=5.0),
            ("latency_ms", self.latency_ms as f64, 1.0..=100.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "a minute here is a second of the simulation: {} min are {} of its seconds; a message takes {} ms of them",
                self.old_ttl_min, self.old_ttl_min, self.latency_ms
            ),
            format!("TTLs of {} min and {} min", self.old_ttl_min, self.new_ttl_min),
            format!(
                "{} clients with a cache each, independent requests (Poisson), {} a minute each",
                self.clients, self.requests_per_min
            ),
            "caches begin as they would be after a long time; all keep to the TTL".into(),
            format!(
                "the service moves after {} min; the old address then answers 503, or its machine is dead and does not answer",
                self.move_at_min
            ),
            format!(
                "a client waits {} min; a balancer waits {} min for a check, and {} min for a machine that may be dead",
                self.timeout_min, self.check_timeout_min, self.balancer_timeout_min
            ),
            format!("\"half an old TTL on\": within {AROUND_S} min of {} min after the move", self.old_s() / 2.0),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "caches and recursion are ours, with hickory's messages: its own cache goes by the machine's clock",
            "a dead machine, as a host that nothing reaches and that reaches nothing",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let (old_s, half_s) = (self.old_s(), self.old_s() / 2.0);
        let clients = f64::from(self.clients);
        let mut predictions = Vec::new();
        let mut say = |claim, variant, value, tolerance, because: &str| {
            predictions.push(Prediction::new(claim, variant, value, tolerance, because));
        };
        let none = Tolerance::Within(1.0);
        let share = |share: f64| (100.0 * share, "%");
        // 15 %, or what chance leaves room for among so many clients: 3.3 standard errors.
        let asking = clients * (1.0 - (-self.requests_per_min * 2.0 * AROUND_S).exp());
        let of_chance = |share: f64, least: f64| {
            Tolerance::Within(100.0 * least.max(3.3 * (share * (1.0 - share) / asking).sqrt()))
        };
        let because = "r (TTL - t) / (1 + r TTL), t = TTL / 2";
        let holding = self.holding(old_s, half_s);
        [HOUR, DEAD]
            .into_iter()
            .for_each(|variant| say(OLD, variant, share(holding), of_chance(holding, 0.15 * holding), because));
        let late_s = half_s + self.late_share * old_s;
        let because = "only answers from before the TTL was lowered live so long: r (TTL - a - t) / (1 + r TTL)";
        let holding = self.holding(old_s, late_s);
        say(OLD, LATE, share(holding), of_chance(holding, 0.15 * holding), because);
        // The resolver looks the name up at 0, TTL, 2 TTL, ...
        let flip_s = (self.move_at_min / old_s).ceil() * old_s - self.move_at_min;
        let because = "all get what is left of the one cached answer, and turn when it ends";
        let before = if half_s + AROUND_S < flip_s { 1.0 } else { 0.0 };
        if (half_s - flip_s).abs() > AROUND_S {
            say(OLD, RESOLVER, share(before), none, because);
        }
        // A client that asks for the first time after the move goes to the new address.
        let known = 1.0 - (-self.requests_per_min * self.move_at_min).exp();
        let because = "an open connection asks no resolver";
        say(OLD, KEEP_ALIVE, share(known), of_chance(known, 0.02), because);
        let because = "no answer lives that long";
        [MINUTE, IN_TIME].into_iter().for_each(|variant| say(OLD, variant, share(0.0), none, because));
        [BALANCER, DEAD_BEHIND]
            .into_iter()
            .for_each(|variant| say(OLD, variant, share(0.0), none, "its address never changes"));
        say(LAST, HOUR, (old_s, "min"), Tolerance::Share(0.1), "TTL: somebody asked just before the move");
        say(LAST, RESOLVER, (flip_s, "min"), Tolerance::Share(0.1), "when the one cached answer ends");
        let checks = f64::from(self.failed_checks);
        // A check's verdict comes one way later; a request was begun five ways before the balancer picks for it: two for
        // the lookup, three to connect and ask.
        let ways_s = 4.0 * self.latency_ms as f64 / 1000.0;
        let detected = ((checks - 0.5) * self.check_interval_min - ways_s, "min");
        let width = Tolerance::Within(self.check_interval_min / 2.0 + 6.0 * self.latency_ms as f64 / 1000.0);
        say(LAST, BALANCER, detected, width, "the middle of (k - 1) I to k I, less two round trips");
        for (variant, ttl_s) in [(HOUR, old_s), (MINUTE, f64::from(self.new_ttl_min))] {
            let queries = clients * self.requests_per_min / (1.0 + self.requests_per_min * ttl_s);
            say(QUERIES, variant, (queries, "1/min"), Tolerance::Share(0.15), "clients x r / (1 + r TTL)");
        }
        self.predict_dead(&mut predictions);
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let mut load =
            poisson(&mut stream, self.requests_per_min * f64::from(self.clients), self.duration_s() - 1.0, 0);
        // A Poisson process dealt out at random is one for each client.
        load.iter_mut().for_each(|arrival| arrival.sort = stream.gen_range(0..self.clients));
        load
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, seed: setup.seed, log: log.clone() });
        let of = |scene: &Rc<Scene>| scene.clone();
        let (authority, old, new, balancer, resolver, clients) =
            (of(&scene), of(&scene), of(&scene), of(&scene), of(&scene), of(&scene));
        let dies = [DEAD, DEAD_BEHIND]
            .contains(&setup.variant)
            .then(|| lasting(self.move_at_min, self.old_s() + 3.0, dead("old")));
        let ran = World::new(setup.seed, self.tick_ms, self.duration_s(), self.latency_ms)
            .faults(&setup.faults)
            .faults(dies.as_slice())
            .host("root", |host| delegate(host, "tld"))
            .host("tld", |host| delegate(host, "authority"))
            .host("authority", move |host| authority.clone().authority(host))
            .host("old", move |host| old.clone().backend(host, true))
            .host("new", move |host| new.clone().backend(host, false))
            .host("balancer", move |host| balancer.clone().balancer(host))
            .host("resolver", move |host| resolver.clone().resolver(host))
            .host("clients", move |host| clients.clone().clients(host, load.clone()))
            .run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, setup.variant, &log), on_call(self, &log)))
    }
}

/// A name server that delegates.
async fn delegate(host: Host, to: &'static str) {
    let next = Answer::Delegation(address(named(&host, to)), DELEGATION_TTL_S);
    dns::serve(host, move |_| std::future::ready(next)).await;
}

fn now_s(host: &Host) -> f64 {
    host.now_ns() as f64 / 1e9
}

/// What a cache holds: an address and when it ends.
type Cached = Option<(Ipv4Addr, f64)>;

/// What every host of the story knows.
struct Scene {
    p: DnsFailover,
    variant: &'static str,
    seed: u64,
    log: Notes<Log>,
}

impl Scene {
    fn has_moved(&self, host: &Host) -> bool {
        now_s(host) >= self.p.move_at_min
    }

    async fn authority(self: Rc<Self>, host: Host) {
        let own = host.clone();
        dns::serve(host, move |_| {
            let t_s = now_s(&own);
            self.log.with(|log| log.queries_s.push(t_s));
            let server = match self.variant {
                BALANCER | DEAD_BEHIND => "balancer",
                _ if self.has_moved(&own) => "new",
                _ => "old",
            };
            std::future::ready(Answer::Address(address(named(&own, server)), self.p.ttl_s(self.variant, t_s)))
        })
        .await;
    }

    async fn backend(self: Rc<Self>, host: Host, is_old: bool) {
        let own = host.clone();
        serve(host, move |_| {
            let gone = is_old && self.has_moved(&own);
            let status = if gone { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            let body = if is_old { "old" } else { "new" };
            std::future::ready(Reply { status, body: body.into() })
        })
        .await;
    }

    /// Passes requests on to the backend that answers its checks.
    async fn balancer(self: Rc<Self>, host: Host) {
        let is_old = Rc::new(Cell::new(true));
        let backend = |is_old: bool| if is_old { "old" } else { "new" };
        let (checker, scene, turned) = (host.clone(), self.clone(), is_old.clone());
        host.spawn(async move {
            let interval = Duration::from_secs_f64(scene.p.check_interval_min);
            checker.sleep(interval.mul_f64(checker.with_rng(|rng| rng.gen_range(0.0..1.0)))).await;
            let mut failed = 0;
            let mut next_ns = checker.now_ns();
            while failed < scene.p.failed_checks {
                let limit = Duration::from_secs_f64(scene.p.check_timeout_min);
                let answer = tokio::time::timeout(limit, get(&checker, backend(true))).await;
                let is_healthy = matches!(answer, Ok(Ok(Reply { status: StatusCode::OK, .. })));
                failed = if is_healthy { 0 } else { failed + 1 };
                if failed < scene.p.failed_checks {
                    next_ns += interval.as_nanos() as u64;
                    super::world::sleep_until(&checker, next_ns).await;
                }
            }
            turned.set(false);
        });
        let own = host.clone();
        serve(host, move |_| {
            let (scene, host, to_old) = (self.clone(), own.clone(), is_old.get());
            async move {
                if to_old {
                    scene.log.with(|log| log.passed_old_s.push(now_s(&host)));
                }
                // Whether a machine answers with an error is its own affair. One that does not answer is given up.
                let limit = Duration::from_secs_f64(scene.p.balancer_timeout_min);
                let answered = tokio::time::timeout(limit, get(&host, backend(to_old))).await;
                let reply = match answered {
                    Ok(reply) => reply,
                    Err(_) => get(&host, backend(false)).await,
                };
                reply.unwrap_or(Reply::with(StatusCode::BAD_GATEWAY))
            }
        })
        .await;
    }

    /// A resolver that many clients share, with one cache.
    async fn resolver(self: Rc<Self>, host: Host) {
        let cache: Rc<Cell<Cached>> = Rc::default();
        let recursion = Rc::new(Cell::new(Recursion::from_root(named(&host, "root"))));
        let own = host.clone();
        dns::serve(host, move |name| {
            let (host, cache, recursion) = (own.clone(), cache.clone(), recursion.clone());
            async move {
                let t_s = now_s(&host);
                if let Some((address, _)) = cache.get().filter(|(_, ends_s)| *ends_s > t_s) {
                    life::note(&host, Part::Processing, "the resolver's cache knows the name");
                    let left_s = cache.get().map_or(0.0, |(_, ends_s)| ends_s - t_s);
                    return Answer::Address(address, left_s as u32);
                }
                let mut path = recursion.get();
                let Some((address, ttl_s)) = path.resolve(&host, &name, DNS_TIMEOUT).await else {
                    return Answer::Failure;
                };
                recursion.set(path);
                cache.set(Some((address, now_s(&host) + f64::from(ttl_s))));
                Answer::Address(address, ttl_s)
            }
        })
        .await;
    }

    /// The caches of all clients as they would be after a long time.
    fn settled(&self, host: &Host) -> Vec<Client> {
        let ttl_s = f64::from(self.p.ttl_s(self.variant, 0.0));
        let first = if [BALANCER, DEAD_BEHIND].contains(&self.variant) { "balancer" } else { "old" };
        let old = address(named(host, first));
        let holding_ppm = (self.p.holding(ttl_s, 0.0) * 1e6) as u32;
        let client = |number: u64| {
            let draw = |what: u64| rng::hash(self.seed, &[number, what]);
            let left_s = ttl_s * rng::below(draw(1), 1 << 32) as f64 / (1u64 << 32) as f64;
            let holds = self.variant != RESOLVER && rng::happens(draw(0), holding_ppm);
            Client {
                cache: Cell::new(holds.then_some((old, left_s))),
                recursion: Cell::new(Recursion::from_root(named(host, "root"))),
                connection: RefCell::new(None),
            }
        };
        (0..u64::from(self.p.clients)).map(client).collect()
    }

    async fn clients(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        let clients: Rc<[Client]> = self.settled(&host).into();
        let (looker, looked_at, scene) = (host.clone(), clients.clone(), self.clone());
        host.spawn(async move {
            looker.sleep(Duration::from_secs_f64(scene.p.move_at_min + scene.p.old_s() / 6.0)).await;
            let (t_s, old) = (now_s(&looker), address(named(&looker, "old")));
            let left = |client: &Client| client.cache.get().filter(|(_, ends_s)| *ends_s > t_s);
            let looked =
                looked_at.iter().enumerate().take(6).map(|(number, client)| {
                    (number, left(client).map(|(address, ends_s)| (address == old, ends_s - t_s)))
                });
            scene.log.with(|log| log.looked = looked.collect());
        });
        let own = host.clone();
        drive(host, load, move |_, arrival| self.clone().request(own.clone(), clients.clone(), arrival.sort as usize))
            .await;
    }

    async fn request(self: Rc<Self>, host: Host, clients: Rc<[Client]>, number: usize) {
        let (client, at_s) = (&clients[number], now_s(&host));
        let asked = Cell::new(None);
        let limit = Duration::from_secs_f64(self.p.timeout_min);
        let reply = tokio::time::timeout(limit, self.ask(&host, client, &asked)).await.ok().flatten();
        let is_given_up = reply.is_none() && asked.get() == Some(named(&host, "old"));
        let by_old = is_given_up || reply.as_ref().is_some_and(|reply| reply.body == "old");
        let ok = reply.is_some_and(|reply| reply.status == StatusCode::OK);
        life::served(ok);
        let ended_s = now_s(&host);
        self.log.with(|log| log.requests.push(Request { at_s, ended_s, by_old, ok }));
    }

    /// A request; `asked` is the machine that it goes to, as soon as that is known.
    async fn ask(&self, host: &Host, client: &Client, asked: &Cell<Option<HostId>>) -> Option<Reply> {
        let kept = client.connection.borrow_mut().take();
        let is_kept = kept.is_some();
        let mut connection = match kept {
            Some(connection) => {
                life::note(host, Part::Distance, "a connection is open already: no name is looked up");
                connection
            }
            None => {
                let server = host_at(self.look_up(host, client).await?);
                asked.set(Some(server));
                Connection::open(host, host.fabric().name(server)).await.ok()?
            }
        };
        let reply = connection.get("/").await.ok();
        // One that was opened beside it, for a second request at once, gives way to the one that is kept.
        let mut slot = client.connection.borrow_mut();
        if self.variant == KEEP_ALIVE && connection.is_open() && (is_kept || slot.is_none()) {
            *slot = Some(connection);
        }
        reply
    }

    async fn look_up(&self, host: &Host, client: &Client) -> Option<Ipv4Addr> {
        let t_s = now_s(host);
        if let Some((address, ends_s)) = client.cache.get().filter(|(_, ends_s)| *ends_s > t_s) {
            let left_s = ends_s - t_s;
            life::note(host, Part::Processing, &format!("the client's own cache knows the name, for {left_s:.1} more"));
            return Some(address);
        }
        let (address, ttl_s) = if self.variant == RESOLVER {
            match dns::ask(host, named(host, "resolver"), NAME, 4 * DNS_TIMEOUT).await? {
                Answer::Address(address, ttl_s) => (address, ttl_s),
                Answer::Delegation(..) | Answer::Failure => return None,
            }
        } else {
            let mut recursion = client.recursion.get();
            let found = recursion.resolve(host, NAME, DNS_TIMEOUT).await?;
            client.recursion.set(recursion);
            found
        };
        client.cache.set(Some((address, t_s + f64::from(ttl_s))));
        Some(address)
    }
}

/// One client.
struct Client {
    cache: Cell<Cached>,
    recursion: Cell<Recursion>,
    connection: RefCell<Option<Connection>>,
}

/// One request on a connection of its own.
async fn get(host: &Host, server: &str) -> std::io::Result<Reply> {
    Connection::open(host, server).await?.get("/").await
}
