//! dns-outage: an authoritative server cannot be reached, and the layers above it multiply each question.
//!
//! Each of L layers asks the one below up to A times. If a try at the bottom fails with probability p, a request
//! makes (1 - p^(A^L)) / (1 - p) of them on average: A^L when nothing gets through. To the operator of the authority,
//! the outage of the network in front of it looks like an attack.

use super::claim::{Measurement, Prediction, Tolerance};
use super::dns::{self, Answer, address, ask};
use super::evidence::{Table, percent, percentile};
use super::life;
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, drive, load_stream, named, paced};
use crate::fault::kinds::{Latency, Messages, Partition};
use crate::fault::model::{Chaos, Fault, Target};
use crate::host::Host;
use crate::run::RunError;
use crate::run::life::Part;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

const NAIVE: &str = "no-cache";
const STALE: &str = "serve-stale";
const ONE_LAYER: &str = "one-layer";
const BOTH: &str = "both";

/// Queries per request and requests served, in each of the four troubles.
const QUERIES: [&str; 4] = [
    "queries per request, cut off",
    "queries per request, most lost",
    "queries per request, half lost",
    "queries per request, slow",
];
const SERVED: [&str; 4] =
    ["served in time, cut off", "served in time, most lost", "served in time, half lost", "served in time, slow"];
/// The troubles: every message is lost, most are lost, half are lost, all are late.
const CUT_OFF: usize = 0;
const SLOW: usize = 3;

/// How long a failure is remembered before a stale name is asked for again, in milliseconds (RFC 8767, section 5: no
/// more often than every 30 s; six times faster here).
const RECHECK_MS: u64 = 5000;
/// The pauses of the back-off: base and most, in milliseconds; a random share of it is waited.
const PAUSES_MS: (u64, u64) = (200, 1000);

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DnsOutage {
    /// Requests that need a name, a second.
    requests_per_s: f64,
    /// How many names there are.
    names: u32,
    /// Tries of the application.
    app_tries: u32,
    /// Tries of its stub resolver, for each of those.
    stub_tries: u32,
    /// Tries of the recursive resolver, for each of those.
    resolver_tries: u32,
    /// How long the recursive resolver waits for the authority.
    try_timeout_ms: u64,
    /// The share of queries that is lost in the second trouble.
    most_lost: f64,
    /// The share of queries that is lost in the third trouble.
    half_lost: f64,
    /// How much longer an answer takes in the fourth trouble.
    slow_s: f64,
    /// When the first trouble begins; each lasts as long, and so does the calm after it.
    trouble_s: f64,
    /// TTL of the names, for the variants that cache.
    ttl_s: u32,
    /// One way between any two hosts.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

impl DnsOutage {
    /// When the n-th trouble begins and ends, in seconds.
    fn trouble(&self, n: usize) -> (f64, f64) {
        let from = self.trouble_s * (1 + 2 * n) as f64;
        (from, from + self.trouble_s)
    }

    fn duration_s(&self) -> f64 {
        self.trouble(SLOW).1 + 1.0
    }

    /// How long a request may take. So much time at the end of a trouble is left out, so that each measured request
    /// ends within it.
    fn longest_s(&self) -> f64 {
        let [app, stub, resolver] = self.tries(NAIVE).map(f64::from);
        let hops_ms = app * (stub + 1.0) * (8.0 * self.latency_ms as f64 + 4.0 * self.tick_ms as f64);
        let timeout_ms = self.try_timeout_ms as f64;
        let naive_ms = app * stub * resolver * timeout_ms + hops_ms;
        let one_layer_ms = app * (timeout_ms + PAUSES_MS.1 as f64) + hops_ms;
        naive_ms.max(one_layer_ms) / 1000.0
    }

    /// The probability that a query is not answered in time, by trouble.
    fn failing(&self) -> [f64; 4] {
        [1.0, self.most_lost, self.half_lost, 1.0]
    }

    /// Tries at the application, the stub and the recursive resolver.
    fn tries(&self, variant: &str) -> [u32; 3] {
        match variant {
            ONE_LAYER | BOTH => [self.app_tries, 1, 1],
            _ => [self.app_tries, self.stub_tries, self.resolver_tries],
        }
    }

    /// Longer than the recursive resolver takes to fail, and then longer than the stub takes.
    fn timeouts(&self, variant: &str) -> [Duration; 3] {
        let [_, stub, resolver] = self.tries(variant);
        let slack_ms = 8 * self.latency_ms + 4 * self.tick_ms;
        let resolver_ms = self.try_timeout_ms * u64::from(resolver) + slack_ms;
        let stub_ms = (resolver_ms + slack_ms) * u64::from(stub) + slack_ms;
        [stub_ms, resolver_ms, self.try_timeout_ms].map(Duration::from_millis)
    }
}

/// One request, as measured.
#[derive(Debug, Clone, Copy, Default)]
struct Request {
    at_ns: u64,
    ended_ns: u64,
    /// What the recursive resolver asked the authority because of it.
    queries: u32,
    ok: bool,
}

/// What is noted down while a run goes on.
#[derive(Default)]
struct Log {
    requests: Vec<Request>,
    /// When the recursive resolver asked the authority.
    queries_ns: Vec<u64>,
}

impl Model for DnsOutage {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: NAIVE, what: "no cache, and every layer asks again at once", naive: true },
                Variant {
                    name: STALE,
                    what: "a cache that serves what has expired while nobody answers",
                    naive: false,
                },
                Variant {
                    name: ONE_LAYER,
                    what: "only the application asks again, after growing pauses",
                    naive: false,
                },
                Variant { name: BOTH, what: "the cache, and only the application asks again", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![
            ("requests_per_s", self.requests_per_s, 1.0..=200.0),
            ("app_tries", f64::from(self.app_tries), 1.0..=5.0),
            ("stub_tries", f64::from(self.stub_tries), 1.0..=5.0),
            ("resolver_tries", f64::from(self.resolver_tries), 1.0..=5.0),
            (
                "try_timeout_ms",
                self.try_timeout_ms as f64,
                2.0 * self.latency_ms as f64 + 3.0 * self.tick_ms as f64..=1000.0,
            ),
            ("most_lost", self.most_lost, 0.01..=0.99),
            ("half_lost", self.half_lost, 0.01..=0.99),
            ("slow_s", self.slow_s, self.try_timeout_ms as f64 / 1000.0..=60.0),
            ("trouble_s", self.trouble_s, (self.longest_s() + 4.0).ceil()..=60.0),
            // Each name is asked for, and so known, before the first trouble.
            ("names", f64::from(self.names), 1.0..=(self.requests_per_s * self.trouble_s / 6.0).floor()),
            ("ttl_s", f64::from(self.ttl_s), 1.0..=3600.0),
            ("latency_ms", self.latency_ms as f64, 1.0..=100.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        let [app, stub, resolver] = self.tries(NAIVE);
        let [stub_ms, resolver_ms, _] = self.timeouts(NAIVE).map(|timeout| timeout.as_millis());
        vec![
            format!("{} requests/s, evenly paced, for {} names", self.requests_per_s, self.names),
            format!("tries: {app} of the application, {stub} of the stub, {resolver} of the recursive resolver"),
            format!(
                "each layer outwaits the one below it: {} ms, {resolver_ms} ms, {stub_ms} ms a try",
                self.try_timeout_ms
            ),
            format!(
                "between resolver and authority, {} s each: nothing passes; {} % of queries are lost; {} % are; all is {} s late",
                self.trouble_s,
                100.0 * self.most_lost,
                100.0 * self.half_lost,
                self.slow_s
            ),
            format!("judged: requests offered in each trouble but for its last {:.1} s", self.longest_s()),
            "served in time: an address has come before the last try of the application is given up".into(),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &["caches and retries are ours, with hickory's messages: its own cache goes by the machine's clock"]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        for variant in [NAIVE, ONE_LAYER] {
            let most: u32 = self.tries(variant).iter().product();
            for (trouble, failing) in self.failing().into_iter().enumerate() {
                let lost = failing.powi(most as i32);
                let queries = if failing < 1.0 { (1.0 - lost) / (1.0 - failing) } else { f64::from(most) };
                let because = format!("(1 - p^{most}) / (1 - p), p = {failing}");
                predictions.push(Prediction::new(
                    QUERIES[trouble],
                    variant,
                    (queries, "queries"),
                    Tolerance::Share(0.15),
                    because,
                ));
                let because = format!("1 - p^{most}, p = {failing}");
                let served = (100.0 * (1.0 - lost), "%");
                predictions.push(Prediction::new(SERVED[trouble], variant, served, Tolerance::Within(7.0), because));
            }
        }
        for variant in [STALE, BOTH] {
            for served in SERVED {
                let because = "what was known once is served, however old";
                predictions.push(Prediction::new(served, variant, (100.0, "%"), Tolerance::Within(1.0), because));
            }
            // Each name is asked for once in RECHECK, by the first request in that time.
            let recheck_s = RECHECK_MS as f64 / 1000.0;
            let queries = f64::from(self.names * self.tries(variant)[2]) / (recheck_s * self.requests_per_s);
            let because = "each name is asked for once in the time for which a failure is remembered";
            predictions.push(Prediction::new(
                QUERIES[CUT_OFF],
                variant,
                (queries, "queries"),
                Tolerance::Within(queries.max(0.1)),
                because,
            ));
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let mut load = paced(&mut stream, self.requests_per_s, self.duration_s() - 1.0, 0);
        load.iter_mut().for_each(|arrival| arrival.sort = stream.gen_range(0..self.names));
        load
    }

    fn faults(&self) -> Vec<Fault> {
        let target = |name: &str| vec![Target(name.into())];
        let lossy = |share: f64| {
            Messages {
                from: target("resolver"),
                to: target("authority"),
                kinds: Vec::new(),
                chaos: Chaos { loss_ppm: (share * 1e6) as u32, ..Chaos::default() },
            }
            .into()
        };
        let kinds = [
            Partition { groups: vec![target("resolver"), target("authority")] }.into(),
            lossy(self.most_lost),
            lossy(self.half_lost),
            Latency { a: target("resolver"), b: target("authority"), extra_ms: (self.slow_s * 500.0) as u64 }.into(),
        ];
        let ms = |s: f64| (s * 1000.0) as u64;
        let fault =
            |(n, kind)| Fault { at_ms: ms(self.trouble(n).0), for_ms: Some(ms(self.trouble_s)), kind, when: None };
        kinds.into_iter().enumerate().map(fault).collect()
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        log.with(|log| log.requests = vec![Request::default(); setup.load.len()]);
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, log: log.clone() });
        let (resolver, apps, ttl_s) = (scene.clone(), scene, self.ttl_s);
        let ran = World::new(setup.seed, self.tick_ms, self.duration_s(), self.latency_ms)
            .faults(&setup.faults)
            .host("authority", move |host| {
                let here = Answer::Address(address(host.id()), ttl_s);
                dns::serve(host, move |_| std::future::ready(here))
            })
            .host("resolver", move |host| resolver.clone().resolver(host))
            .host("apps", move |host| {
                let (own, apps) = (host.clone(), apps.clone());
                drive(host, load.clone(), move |number, arrival| {
                    apps.clone().request(own.clone(), number, arrival.sort)
                })
            })
            .run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, &log), vec![on_call(self, &log)]))
    }
}

/// What every host of the story knows.
struct Scene {
    p: DnsOutage,
    variant: &'static str,
    log: Notes<Log>,
}

/// What the recursive resolver remembers of a name.
#[derive(Debug, Clone, Copy)]
struct Known {
    address: Ipv4Addr,
    /// Until when it is not asked for again: the TTL's end, or a failure's.
    until_ns: u64,
}

impl Scene {
    fn caches(&self) -> bool {
        [STALE, BOTH].contains(&self.variant)
    }

    /// The recursive resolver. A name is `request.name.example.`: the first label says which request asks.
    async fn resolver(self: Rc<Self>, host: Host) {
        let cache: Rc<RefCell<BTreeMap<String, Known>>> = Rc::default();
        let own = host.clone();
        dns::serve(host, move |name| self.clone().answer(own.clone(), cache.clone(), name)).await;
    }

    async fn answer(self: Rc<Self>, host: Host, cache: Rc<RefCell<BTreeMap<String, Known>>>, asked: String) -> Answer {
        let (request, name) = asked.split_once('.').unwrap_or(("", &asked));
        let request = request.trim_start_matches('r').parse().unwrap_or_default();
        let known = cache.borrow().get(name).copied().filter(|_| self.caches());
        if let Some(known) = known {
            if known.until_ns > host.now_ns() {
                life::note(&host, Part::Processing, "the resolver's cache knows the name");
                return Answer::Address(known.address, self.p.ttl_s);
            }
            // While this request asks, others are served from the cache.
            let until_ns = host.now_ns() + RECHECK_MS * 1_000_000;
            cache.borrow_mut().insert(name.into(), Known { until_ns, ..known });
        }
        let found = self.recurse(&host, &asked, request).await;
        match (found, known) {
            (Some(address), _) => {
                let until_ns = host.now_ns() + u64::from(self.p.ttl_s) * 1_000_000_000;
                cache.borrow_mut().insert(name.into(), Known { address, until_ns });
                Answer::Address(address, self.p.ttl_s)
            }
            (None, Some(stale)) => {
                life::note(&host, Part::Processing, "the resolver's cache serves what has expired");
                Answer::Address(stale.address, 0)
            }
            (None, None) => Answer::Failure,
        }
    }

    /// Asks the authority.
    async fn recurse(&self, host: &Host, name: &str, request: usize) -> Option<Ipv4Addr> {
        let [_, _, tries] = self.p.tries(self.variant);
        let [_, _, timeout] = self.p.timeouts(self.variant);
        for _ in 0..tries {
            let now_ns = host.now_ns();
            self.log.with(|log| {
                log.requests[request].queries += 1;
                log.queries_ns.push(now_ns);
            });
            if let Some(Answer::Address(address, _)) = ask(host, named(host, "authority"), name, timeout).await {
                return Some(address);
            }
        }
        None
    }

    /// One request with its tries and those of its stub resolver.
    async fn request(self: Rc<Self>, host: Host, number: usize, name: u32) {
        let at_ns = host.now_ns();
        let ok = self.look_up(&host, &format!("r{number}.name{name}.example.")).await;
        life::served(ok);
        let ended_ns = host.now_ns();
        self.log.with(|log| {
            let request = &mut log.requests[number];
            (request.at_ns, request.ended_ns, request.ok) = (at_ns, ended_ns, ok);
        });
    }

    async fn look_up(&self, host: &Host, name: &str) -> bool {
        let [app, stub, _] = self.p.tries(self.variant);
        let [app_timeout, stub_timeout, _] = self.p.timeouts(self.variant);
        for attempt in 0..app {
            let by_stub = async {
                for _ in 0..stub {
                    let answer = ask(host, named(host, "resolver"), name, stub_timeout).await;
                    if matches!(answer, Some(Answer::Address(..))) {
                        return true;
                    }
                }
                false
            };
            if tokio::time::timeout(app_timeout, by_stub).await == Ok(true) {
                return true;
            }
            if [ONE_LAYER, BOTH].contains(&self.variant) {
                let (base, most) = PAUSES_MS;
                life::begin(host, Part::Idle, "the application pauses before it asks again");
                let pause_ms = host.with_rng(|rng| rng.gen_range(0..=(base << attempt).min(most)));
                host.sleep(Duration::from_millis(pause_ms)).await;
            }
        }
        false
    }
}

fn measure(p: &DnsOutage, log: &Log) -> Vec<Measurement> {
    let judged = |trouble: usize| {
        let (from_s, until_s) = p.trouble(trouble);
        let period = ((from_s + 0.1) * 1e9) as u64..((until_s - p.longest_s()) * 1e9) as u64;
        log.requests.iter().filter(move |request| period.contains(&request.at_ns))
    };
    let of = |trouble: usize| {
        let requests = judged(trouble).count();
        let queries: u32 = judged(trouble).map(|request| request.queries).sum();
        let served = judged(trouble).filter(|request| request.ok).count();
        [
            Measurement::new(QUERIES[trouble], f64::from(queries) / requests as f64),
            Measurement::new(SERVED[trouble], percent(served, requests)),
        ]
    };
    (0..QUERIES.len()).flat_map(of).collect()
}

/// Second by second, around the beginning of the first trouble.
fn on_call(p: &DnsOutage, log: &Log) -> Table {
    let header = ["second", "offered", "served in time", "unserved", "median ms", "queries to the authority"];
    let mut table = Table::new("what the applications and the resolver in front of the authority count", &header);
    let begin_s = p.trouble(CUT_OFF).0 as u64;
    for second in begin_s - 3..begin_s + 4 {
        let period = second * 1_000_000_000..(second + 1) * 1_000_000_000;
        let ended: Vec<_> = log.requests.iter().filter(|request| period.contains(&request.ended_ns)).collect();
        let ok = ended.iter().filter(|request| request.ok);
        let mut took: Vec<u64> = ok.map(|request| (request.ended_ns - request.at_ns) / 1_000_000).collect();
        table.row([
            second.to_string(),
            log.requests.iter().filter(|request| period.contains(&request.at_ns)).count().to_string(),
            took.len().to_string(),
            (ended.len() - took.len()).to_string(),
            percentile(&mut took, 0.5).map_or("-".into(), |ms| ms.to_string()),
            log.queries_ns.iter().filter(|at_ns| period.contains(*at_ns)).count().to_string(),
        ]);
    }
    table
}
