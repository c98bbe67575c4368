//! head-of-line: a page of many resources over six connections of HTTP/1.1, over one of HTTP/2 and over one of HTTP/3, first
//! over a good network, then over one that loses packets.
//!
//! One request at a time on each of c connections takes ceil(n / c) times as long as one, all at once as long as one and
//! what they share. On one TCP connection whatever comes after a lost packet waits for it, whomever it belongs to: of n
//! answers of k packets each, sent by turns, the i-th to end waits with 1 - (1 - p)^(n k - n + i). On streams of QUIC, or on
//! connections of their own, an answer waits for its own packets only: 1 - (1 - p)^k.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent, percentile};
use super::model::{Bound, Model, Observed, Setup, Variant};
use super::pages::{Browser, Loaded, OVERHEAD, Protocol, Site, serve};
use super::queue::Queue;
use super::world::{Notes, World, sleep_until};
use crate::fault::kinds::Messages;
use crate::fault::model::{Chaos, Fault, Target};
use crate::host::Host;
use crate::run::RunError;
use serde::{Deserialize, Serialize};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const ONE: &str = "http-1";
const TWO: &str = "http-2";
const THREE: &str = "http-3";

const PAGE: &str = "time of the page";
const PACKETS: &str = "packets of its answers";
const WAITING: &str = "answers that wait for a lost packet";

/// A resource that the server has to work for.
const MADE: &str = "/made";
/// A resource that it has ready.
const READY: &str = "/ready";
/// Pages without loss, of which the last says when each answer comes if nothing is lost.
const QUIET_PAGES: u32 = 2;
/// The first retransmission time-out of the byte streams (`src/host/link.rs`), in seconds.
const RETRANSMIT_S: f64 = 0.2;
/// Bytes under way on a byte stream at once (`src/host/stream.rs`).
const WINDOW: f64 = 65_536.0;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadOfLine {
    /// Resources of a page (n).
    resources: u32,
    /// Connections of HTTP/1.1 (c).
    connections: u32,
    /// What a resource takes to be made; any number at once.
    work_ms: f64,
    /// What a resource takes on the server's line (b); one after the other.
    line_ms: f64,
    /// Packets that a resource fills (k).
    packets: u32,
    /// The longest packet, without the headers of IP, TCP and UDP.
    packet_bytes: u16,
    /// How many packets are lost later (p).
    loss_percent: f64,
    /// Pages that are loaded while packets are lost.
    pages: u32,
    /// One way between browser and server.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

impl HeadOfLine {
    fn round_trip_s(&self) -> f64 {
        2.0 * self.latency_ms as f64 / 1000.0
    }

    /// Requests that come one after the other on a connection of HTTP/1.1.
    fn rounds(&self) -> f64 {
        f64::from(self.resources.div_ceil(self.connections))
    }

    /// Seconds of a page whose resources are made when asked for.
    fn page_s(&self, variant: &str) -> f64 {
        let (round_trip, work, line) = (self.round_trip_s(), self.work_ms / 1000.0, self.line_ms / 1000.0);
        let together = round_trip + work + f64::from(self.resources) * line;
        match variant {
            ONE => 2.0 * round_trip + self.rounds() * (round_trip + work + line),
            TWO => 2.0 * round_trip + together,
            _ => round_trip + together,
        }
    }

    /// The share of packets that arrive at once.
    fn kept(&self) -> f64 {
        1.0 - self.loss_percent / 100.0
    }

    /// The share of answers that wait, and its standard deviation over the pages of a run.
    fn waiting(&self, variant: &str) -> (f64, f64) {
        let (n, k, pages) = (f64::from(self.resources), f64::from(self.packets), f64::from(self.pages));
        if variant != TWO {
            let waits = 1.0 - self.kept().powf(k);
            return (waits, (waits * (1.0 - waits) / (n * pages)).sqrt());
        }
        // The first lost packet decides for a page: all that end with it or after it wait.
        let all = n * k;
        let (mut mean, mut square) = (0.0, 0.0);
        for first in 1..=self.resources * self.packets {
            let chance = (1.0 - self.kept()) * self.kept().powi(first as i32 - 1);
            let share = ((all - f64::from(first) + 1.0) / n).min(1.0);
            mean += chance * share;
            square += chance * share * share;
        }
        (mean, ((square - mean * mean).max(0.0) / pages).sqrt())
    }

    /// When packets begin to be lost: every variant has loaded its page and the quiet ones.
    fn loss_from_s(&self) -> f64 {
        (1.2 * self.page_s(ONE) + f64::from(QUIET_PAGES) * self.quiet_page_s(ONE) + 2.0).ceil()
    }

    /// About as long as a page takes whose resources are ready.
    fn quiet_page_s(&self, variant: &str) -> f64 {
        let bytes = f64::from(self.resources * self.packets) * f64::from(self.packet_bytes);
        match variant {
            ONE => self.rounds() * self.round_trip_s(),
            TWO => (bytes / WINDOW).ceil() * self.round_trip_s(),
            _ => self.round_trip_s(),
        }
    }

    /// How long a run lasts: long enough for all pages, each with the time-outs that it will have.
    fn duration_s(&self, variant: &str) -> f64 {
        let (waits, _) = self.waiting(variant);
        let time_outs = if variant == ONE { 2.0 + self.rounds() * waits } else { 3.0 };
        let page_s = self.quiet_page_s(variant) + time_outs * RETRANSMIT_S;
        self.loss_from_s() + 1.2 * f64::from(self.pages) * page_s
    }

    fn site(&self, variant: &str, log: &Notes<Log>) -> Site {
        let protocol = match variant {
            ONE => Protocol::One(self.connections),
            TWO => Protocol::Two,
            _ => Protocol::Three,
        };
        let (log, least) = (log.clone(), usize::from(self.packet_bytes / 2));
        let sent = Arc::new(move |length| log.with(|log| log.sent += u32::from(length > least)));
        Site { protocol, packet: self.packet_bytes, packets: self.packets, sent }
    }
}

/// What is noted down while a run goes on.
#[derive(Default)]
struct Log {
    /// When the page was begun.
    begun_ns: u64,
    /// The page, with what its server works for.
    page: Vec<Loaded>,
    /// Packets of answers that the server has sent so far: all that are more than half full.
    sent: u32,
    /// Those of a page.
    packets: Option<u32>,
    /// How long each answer takes without loss.
    quiet_ns: Vec<u64>,
    /// By how much each came later, on the pages with loss.
    later_ns: Vec<u64>,
}

impl Model for HeadOfLine {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: ONE, what: "HTTP/1.1: one request at a time on each of its connections", naive: true },
                Variant { name: TWO, what: "HTTP/2: all requests at once on one connection of TCP", naive: false },
                Variant { name: THREE, what: "HTTP/3: all requests at once on one connection of QUIC", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        let round_trip_ms = 2.0 * self.latency_ms as f64;
        // The connections of HTTP/1.1 must not wait for the line.
        let line_ms = (round_trip_ms + self.work_ms) / f64::from(self.connections.max(1));
        vec![
            ("resources", f64::from(self.resources), 10.0..=60.0),
            ("connections", f64::from(self.connections), 1.0..=8.0),
            ("work_ms", self.work_ms, 0.0..=5000.0),
            ("line_ms", self.line_ms, 0.0..=line_ms.min(200.0)),
            // So that what of the last packet is empty is too short for another answer's piece.
            ("packets", f64::from(self.packets), 2.0..=4.0),
            ("packet_bytes", f64::from(self.packet_bytes), 1200.0..=1400.0),
            ("loss_percent", self.loss_percent, 0.1..=5.0),
            ("pages", f64::from(self.pages), 20.0..=300.0),
            // Half a round trip must tell a retransmission from none.
            ("latency_ms", self.latency_ms as f64, 10.0..=80.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=(self.latency_ms / 4) as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        let bytes = u32::from(self.packet_bytes - OVERHEAD) * self.packets;
        vec![
            format!("{} resources of {bytes} bytes, all known at once; {} ms one way", self.resources, self.latency_ms),
            format!(
                "the first page: {} ms of work a resource, any number at once, and {} ms of one line; its time with the \
                 connections, whose handshakes (TLS 1.3, none resumed) take two round trips, with QUIC one",
                self.work_ms, self.line_ms
            ),
            format!(
                "then {} pages whose answers are ready and leave together, over open connections; {} % of the packets \
                 from the server are lost, each by itself",
                self.pages, self.loss_percent
            ),
            format!("packets of {} bytes, filled by the answers in turn; none is congested", self.packet_bytes),
            "an answer that comes half a round trip later than without loss has waited for a lost packet".to_string(),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "work, a constant time; the line, a constant time for each resource in one queue",
            "TCP: a lost packet leaves again 200 ms later (Linux's least retransmission time-out) and is not lost again; no \
             fast retransmission, which would need a round trip: it changes how long an answer waits, not which",
            "no congestion control: of QUIC's only loss detection runs, its window is never full",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        for Variant { name, .. } in self.variants() {
            let because = match *name {
                ONE => "2 RTT + ceil(n / c) (RTT + work + b)",
                TWO => "2 RTT + RTT + work + n b",
                _ => "RTT + RTT + work + n b",
            };
            predictions.push(Prediction::new(PAGE, name, (self.page_s(name), "s"), Tolerance::Share(0.15), because));
            let packets = f64::from(self.resources * self.packets);
            predictions.push(Prediction::new(PACKETS, name, (packets, ""), Tolerance::Share(0.1), "n k"));
            let (waits, deviation) = self.waiting(name);
            // As much as so few losses scatter: seven runs in ten thousand are further off.
            let within = Tolerance::Within(100.0 * (0.15 * waits).max(3.4 * deviation));
            let because = match *name {
                TWO => "mean over i of 1 - (1 - p)^(n k - n + i): for any packet before its own last",
                _ => "1 - (1 - p)^k: for its own packets only",
            };
            predictions.push(Prediction::new(WAITING, name, (100.0 * waits, "%"), within, because));
        }
        predictions
    }

    fn faults(&self) -> Vec<Fault> {
        let loss_ppm = (self.loss_percent * 10_000.0).round() as u32;
        let (from, to) = (vec![Target("server".into())], vec![Target("browser".into())]);
        let kind = Messages { from, to, kinds: Vec::new(), chaos: Chaos { loss_ppm, ..Chaos::NONE } };
        vec![Fault { at_ms: (self.loss_from_s() * 1000.0) as u64, for_ms: None, kind: kind.into(), when: None }]
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        let site = self.site(setup.variant, &log);
        let (p, served, notes) = (self.clone(), site.clone(), log.clone());
        let ran = World::new(setup.seed, self.tick_ms, self.duration_s(setup.variant), self.latency_ms)
            .faults(&setup.faults)
            .host("server", move |host| server(host, served.clone(), ns(p.work_ms), ns(p.line_ms)))
            .host("browser", {
                let p = self.clone();
                move |host| {
                    let (p, site, log) = (p.clone(), site.clone(), notes.clone());
                    async move {
                        // What did not come whole is not in the notes.
                        let _ = browse(&p, &host, site, &log).await;
                        std::future::pending().await
                    }
                }
            })
            .run()?;
        let log = log.take();
        Ok(ran.observed(measure(self, &log), vec![waterfall(&log), on_the_train(self, &log)]))
    }
}

fn ns(ms: f64) -> u64 {
    (ms * 1e6) as u64
}

/// Works for what is made, and lets it through its line one after the other.
async fn server(host: Host, site: Site, work_ns: u64, line_ns: u64) {
    let line = Rc::new(Queue::default());
    let own = host.clone();
    serve(host, site, move |path| {
        let (host, line) = (own.clone(), line.clone());
        async move {
            if path.starts_with(MADE) {
                host.sleep(Duration::from_nanos(work_ns)).await;
                line.work(&host, line_ns).await;
            }
        }
    })
    .await;
}

/// Loads the page, then quiet ones, then those of which packets are lost.
async fn browse(p: &HeadOfLine, host: &Host, site: Site, log: &Notes<Log>) -> io::Result<()> {
    let paths = |of: &str| (0..p.resources).map(|number| format!("{of}/{number}")).collect::<Rc<[String]>>();
    log.with(|log| log.begun_ns = host.now_ns());
    let mut browser = Browser::open(host, "server", site).await?;
    let page = browser.load(paths(MADE)).await?;
    log.with(|log| log.page = page);
    let ready = paths(READY);
    let took = |loaded: Vec<Loaded>| loaded.iter().map(|one| one.came_ns - one.asked_ns).collect::<Vec<u64>>();
    for _ in 0..QUIET_PAGES {
        let before = log.with(|log| log.sent);
        let quiet_ns = took(browser.load(ready.clone()).await?);
        log.with(|log| {
            log.packets = Some(log.sent - before);
            log.quiet_ns = quiet_ns;
        });
    }
    sleep_until(host, (p.loss_from_s() * 1e9) as u64 + 1).await;
    for _ in 0..p.pages {
        let took_ns = took(browser.load(ready.clone()).await?);
        log.with(|log| {
            let later = took_ns.iter().zip(&log.quiet_ns).map(|(took_ns, quiet_ns)| took_ns.saturating_sub(*quiet_ns));
            let later: Vec<u64> = later.collect();
            log.later_ns.extend(later);
        });
    }
    Ok(())
}

impl HeadOfLine {
    /// By how much the answers came later that waited.
    fn waited_ns(&self, log: &Log) -> Vec<u64> {
        let least_ns = self.latency_ms * 1_000_000;
        log.later_ns.iter().copied().filter(|later_ns| *later_ns >= least_ns).collect()
    }
}

fn measure(p: &HeadOfLine, log: &Log) -> Vec<Measurement> {
    let page_ns = log.page.iter().map(|one| one.came_ns - log.begun_ns).max();
    vec![
        Measurement::new(PAGE, page_ns.map_or(f64::NAN, |ns| ns as f64 / 1e9)),
        Measurement::new(PACKETS, log.packets.map_or(f64::NAN, f64::from)),
        Measurement::new(WAITING, percent(p.waited_ns(log).len(), log.later_ns.len())),
    ]
}

/// The first page as a browser draws it.
fn waterfall(log: &Log) -> Table {
    let header = ["file", "asked for after", "there after", "in between"];
    let mut table = Table::new("the browser's waterfall of the first page, some of its files, in ms", &header);
    let count = log.page.len();
    let ms = |ns: u64| (ns / 1_000_000).to_string();
    for (number, one) in log.page.iter().enumerate() {
        if number % 6 == 0 || number + 1 == count {
            let asked_ns = one.asked_ns - log.begun_ns;
            let row = [asked_ns, one.came_ns - log.begun_ns, one.came_ns - one.asked_ns].map(ms);
            table.row([(number + 1).to_string()].into_iter().chain(row));
        }
    }
    table
}

/// The pages with loss, summed up.
fn on_the_train(p: &HeadOfLine, log: &Log) -> Table {
    let mut table = Table::new("the pages with loss: files that came later than without", &["", "in all"]);
    let mut waited_ns = p.waited_ns(log);
    let count = waited_ns.len();
    let mut at = |share| percentile(&mut waited_ns, share).map_or("-".into(), |ns| (ns / 1_000_000).to_string());
    let (median, most) = (at(0.5), at(1.0));
    table.row(["files".to_string(), log.later_ns.len().to_string()]);
    table.row(["of them later".to_string(), count.to_string()]);
    table.row(["by, median ms".to_string(), median]);
    table.row(["by, at most ms".to_string(), most]);
    table
}
