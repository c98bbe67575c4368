//! latency-not-bandwidth: a page of many small resources, one after the other, far away.
//!
//! Its time is n (RTT + wait + work + bytes / bandwidth), plus a connection's round trip. If RTT is by far the largest
//! term, ten times the bandwidth changes nothing.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percentile};
use super::http::{Connection, Reply, serve};
use super::life;
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, drive_unfollowed, load_stream, poisson, sleep_until};
use crate::host::Host;
use crate::run::RunError;
use crate::run::life::Part;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::rc::Rc;

const FAR: &str = "far-away";
const BANDWIDTH: &str = "ten-times-bandwidth";
const NEARER: &str = "nearer";
const FEWER: &str = "one-request";

const PAGE: &str = "time of a page";
const DISTANCE: &str = "of it, distance";
const QUEUE: &str = "of it, waiting for the server";

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LatencyNotBandwidth {
    /// Resources of a page (n), fetched one after the other.
    resources: u32,
    /// Size of each.
    resource_kb: f64,
    /// The line's bandwidth.
    mbit_per_s: f64,
    /// Work of the server for each.
    work_ms: f64,
    /// How busy other clients keep the server.
    utilization: f64,
    /// One way between client and server.
    latency_ms: u64,
    /// The same, of the variant whose server is nearer.
    nearer_ms: u64,
    /// Pages that are loaded, one after the other.
    pages: u32,
    /// The simulator's step.
    tick_ms: u64,
}

impl LatencyNotBandwidth {
    fn latency(&self, variant: &str) -> u64 {
        if variant == NEARER { self.nearer_ms } else { self.latency_ms }
    }

    /// Milliseconds on the wire of one resource.
    fn transfer_ms(&self, variant: &str) -> f64 {
        let faster = if variant == BANDWIDTH { 10.0 } else { 1.0 };
        self.resource_kb * 8.0 / (self.mbit_per_s * faster)
    }

    /// The mean wait in a queue with random arrivals and constant work S (M/D/1): rho S / (2 (1 - rho)).
    fn wait_ms(&self) -> f64 {
        self.utilization * self.work_ms / (2.0 * (1.0 - self.utilization))
    }

    /// Requests of a page, and resources in each.
    fn requests(&self, variant: &str) -> (u32, u32) {
        if variant == FEWER { (1, self.resources) } else { (self.resources, 1) }
    }

    /// Milliseconds of a page: for distance, for waiting, in all.
    fn page_ms(&self, variant: &str) -> (f64, f64, f64) {
        let (requests, each) = self.requests(variant);
        let round_trip_ms = 2.0 * self.latency(variant) as f64;
        let distance = f64::from(requests + 1) * round_trip_ms;
        let wait = f64::from(requests) * self.wait_ms();
        let rest = f64::from(requests * each) * (self.work_ms + self.transfer_ms(variant));
        (distance, wait, distance + wait + rest)
    }

    fn duration_s(&self, variant: &str) -> f64 {
        let (_, _, page) = self.page_ms(variant);
        2.0 + 1.3 * f64::from(self.pages) * page / 1000.0
    }
}

/// One page, as measured, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Page {
    took_ns: u64,
    waited_ns: u64,
    worked_ns: u64,
    sent_ns: u64,
}

impl Model for LatencyNotBandwidth {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: FAR, what: "one resource after the other, from far away", naive: true },
                Variant { name: BANDWIDTH, what: "the same over a line ten times as wide", naive: true },
                Variant { name: NEARER, what: "the same from a server nearby", naive: false },
                Variant { name: FEWER, what: "from far away, all resources in one request", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![
            ("resources", f64::from(self.resources), 1.0..=100.0),
            ("resource_kb", self.resource_kb, 0.1..=100_000.0),
            ("mbit_per_s", self.mbit_per_s, 0.1..=100_000.0),
            ("work_ms", self.work_ms, 1.0..=1000.0),
            // Above that a page's own requests add to the wait of those after them.
            ("utilization", self.utilization, 0.0..=0.6),
            ("latency_ms", self.latency_ms as f64, 2.0..=1000.0),
            ("nearer_ms", self.nearer_ms as f64, 1.0..=1000.0),
            ("pages", f64::from(self.pages), 1.0..=200.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms.min(self.nearer_ms) as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "{} resources of {} KB, each asked for when the one before has come",
                self.resources, self.resource_kb
            ),
            format!(
                "{} Mbit/s, {} ms one way ({} ms nearby); a connection for each page",
                self.mbit_per_s, self.latency_ms, self.nearer_ms
            ),
            format!(
                "{} ms of work a resource in one FIFO queue, which others keep busy {} % of the time, at random",
                self.work_ms,
                100.0 * self.utilization
            ),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "a resource's bytes, by the time they take on the wire",
            "work, a constant time in one queue",
            "no slow start: a real connection needs further round trips until it is wide open",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let share = Tolerance::Share(0.15);
        for variant in self.variants() {
            let (distance, wait, page) = self.page_ms(variant.name);
            let because = "n (RTT + wait + work + bytes / bandwidth) + RTT";
            predictions.push(Prediction::new(PAGE, variant.name, (page, "ms"), share, because));
            predictions.push(Prediction::new(DISTANCE, variant.name, (distance, "ms"), share, "(n + 1) RTT"));
            // One request a page is too few for a mean.
            if variant.name == FAR && self.utilization > 0.0 {
                let tolerance = Tolerance::Share(0.3);
                let because = "n x rho S / (2 (1 - rho)) (M/D/1); the mean of a heavy tail, so within 30 %";
                predictions.push(Prediction::new(QUEUE, variant.name, (wait, "ms"), tolerance, because));
            }
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let per_s = self.utilization * 1000.0 / self.work_ms;
        let until_s = self.variants().iter().map(|variant| self.duration_s(variant.name)).fold(0.0, f64::max);
        if per_s > 0.0 { poisson(&mut load_stream(seed), per_s, until_s, 0) } else { Vec::new() }
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let pages = Notes::new(Vec::new());
        let latency_ms = self.latency(setup.variant);
        let (requests, each) = self.requests(setup.variant);
        let server = Server { work_ns: ns(self.work_ms), transfer_ns: ns(self.transfer_ms(setup.variant)) };
        let (log, count) = (pages.clone(), self.pages);
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let ran = World::new(setup.seed, self.tick_ms, self.duration_s(setup.variant), latency_ms)
            .faults(&setup.faults)
            .host("server", move |host| server.process(host, load.clone()))
            .host("browser", move |host| {
                let log = log.clone();
                async move {
                    for _ in 0..count {
                        let page = async {
                            let page = load_page(&host, requests, each).await;
                            life::served(page.is_ok());
                            page
                        };
                        if let Ok(page) = life::follow(host.clone(), page).await {
                            log.with(|pages| pages.push(page));
                        }
                    }
                    std::future::pending().await
                }
            })
            .run()?;
        let pages = pages.take();
        Ok(ran.observed(measure(&pages), vec![on_call(&pages)]))
    }
}

fn ns(ms: f64) -> u64 {
    (ms * 1e6) as u64
}

/// A server with one queue, whose answers take their time on the wire.
#[derive(Clone, Copy)]
struct Server {
    work_ns: u64,
    transfer_ns: u64,
}

impl Server {
    /// Serves `/n`, n resources at once, and works for others meanwhile.
    async fn process(self, host: Host, load: Rc<[Arrival]>) {
        let free_ns = Rc::new(Cell::new(0));
        let (other, others_free_ns) = (host.clone(), free_ns.clone());
        host.spawn(drive_unfollowed(host.clone(), load, move |_, _| {
            self.take_turn(&other, &others_free_ns, 1);
            std::future::ready(())
        }));
        let own = host.clone();
        serve(host, move |path| {
            let resources = path.trim_start_matches('/').parse().unwrap_or(1);
            let (waited_ns, worked_ns) = self.take_turn(&own, &free_ns, resources);
            let sent_ns = resources * self.transfer_ns;
            let now_ns = own.now_ns();
            let until_ns = now_ns + waited_ns + worked_ns + sent_ns;
            if let Some(ticket) = life::ticket() {
                ticket.begin(now_ns, Part::Queueing, "behind others in the server's queue");
                ticket.begin(now_ns + waited_ns, Part::Processing, "the server works");
                ticket.begin(now_ns + waited_ns + worked_ns, Part::Transfer, "its bytes go onto the wire");
            }
            let host = own.clone();
            async move {
                sleep_until(&host, until_ns).await;
                let status = hyper::StatusCode::OK;
                Reply { status, body: format!("{waited_ns} {worked_ns} {sent_ns}").into() }
            }
        })
        .await;
    }

    /// Books work in the queue: how long it waits, and how long it takes.
    fn take_turn(self, host: &Host, free_ns: &Cell<u64>, resources: u64) -> (u64, u64) {
        let now_ns = host.now_ns();
        let begins_ns = free_ns.get().max(now_ns);
        let worked_ns = resources * self.work_ns;
        free_ns.set(begins_ns + worked_ns);
        (begins_ns - now_ns, worked_ns)
    }
}

/// Loads a page over a connection of its own.
async fn load_page(host: &Host, requests: u32, each: u32) -> std::io::Result<Page> {
    let begins_ns = host.now_ns();
    let mut connection = Connection::open(host, "server").await?;
    let mut page = Page::default();
    for _ in 0..requests {
        let reply = connection.get(&format!("/{each}")).await?;
        let text = String::from_utf8_lossy(&reply.body);
        let mut numbers = text.split(' ').map(|number| number.parse::<u64>().unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        page.waited_ns += next();
        page.worked_ns += next();
        page.sent_ns += next();
    }
    page.took_ns = host.now_ns() - begins_ns;
    Ok(page)
}

fn measure(pages: &[Page]) -> Vec<Measurement> {
    let mean_ms = |of: &dyn Fn(&Page) -> u64| {
        let sum: u64 = pages.iter().map(of).sum();
        sum as f64 / pages.len() as f64 / 1e6
    };
    let whole_ms = mean_ms(&|page| page.took_ns);
    let elsewhere_ms = mean_ms(&|page| page.waited_ns + page.worked_ns + page.sent_ns);
    vec![
        Measurement::new(PAGE, whole_ms),
        Measurement::new(DISTANCE, whole_ms - elsewhere_ms),
        Measurement::new(QUEUE, mean_ms(&|page| page.waited_ns)),
    ]
}

/// Page loads, as the browser and the server's log show them.
fn on_call(pages: &[Page]) -> Table {
    let mut table =
        Table::new("page loads: the browser's clock beside the server's log, in ms", &["", "median", "90 %"]);
    let mut row = |name: &str, of: &dyn Fn(&Page) -> u64| {
        let mut all: Vec<u64> = pages.iter().map(|page| of(page) / 1_000_000).collect();
        let mut at = |share: f64| percentile(&mut all, share).map_or("-".into(), |ms| ms.to_string());
        let (median, high) = (at(0.5), at(0.9));
        table.row([name.to_string(), median, high]);
    };
    row("until the page is there", &|page| page.took_ns);
    row("of it, in the server's queue", &|page| page.waited_ns);
    row("of it, at work in the server", &|page| page.worked_ns);
    table
}
