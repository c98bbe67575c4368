//! tcp-or-udp: a live stream over a line that loses packets.
//!
//! TCP hands over in order. Behind a packet that is lost everything waits for its repair, which begins with the third
//! acknowledgement of the same byte: 3 I + 3 L after it was sent, with a frame every I and L one way. So each lost packet
//! makes (3 I + 3 L - D) / I frames late that are due after D, and one that is lost twice waits for a time-out. Of
//! datagrams, one frame is missing for each that is lost, and none is late.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent, percentile};
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, Ran, World, drive_unfollowed, load_stream, named, sleep_until};
use crate::fault::kinds::Messages;
use crate::fault::model::{Chaos, Fault, Target};
use crate::host::Host;
use crate::host::tcp::{ACK_DELAY, DUPLICATE_ACKS, RTO, Settings, Tcp};
use crate::run::RunError;
use crate::run::life::{Life, Part, Span};
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

const TCP: &str = "tcp";
const WAITING: &str = "tcp-waiting";
const ONCE: &str = "datagrams";
const TWICE: &str = "datagrams-twice";

const MISSING: &str = "frames missing when due";
const LATE: &str = "of all frames, too late";
const NEVER: &str = "of all frames, never there";
const BEHIND: &str = "shown behind the camera";
const BYTES: &str = "bytes sent for each of a frame";
const PERIODS: u32 = 6;

/// When the first frames are sent, and from when on packets are lost, in seconds.
const BEGINS_S: f64 = 1.0;
/// How long the last frames are waited for.
const PATIENCE_S: f64 = 8.0;
/// Bytes of a frame: less than a packet may carry, even with the frame before it.
const FRAME: usize = 400;
/// Bytes of a frame's number.
const NUMBER: usize = 4;

const CAMERA: &str = "camera";
const VIEWER: &str = "viewer";
/// The port of the first stream.
const PORT: u16 = 5000;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpOrUdp {
    /// Streams, each over a connection of its own.
    streams: u32,
    /// For how long they are sent.
    stream_s: f64,
    /// Between two frames of a stream (I).
    interval_ms: f64,
    /// One way (L).
    latency_ms: u64,
    /// Of the packets towards the viewer, how many are lost (p).
    loss_percent: f64,
    /// How long after it was sent a frame is shown (D).
    due_ms: f64,
    /// The same, in the variant that waits longer.
    waiting_due_ms: f64,
    /// The simulator's step.
    tick_ms: u64,
}

impl TcpOrUdp {
    /// The frames as lives of requests: under way, held up behind what was lost, and in the player's buffer.
    fn lives(&self, log: &Log) -> Vec<Life> {
        let ways_ns = self.latency_ms * 1_000_000;
        let life = |frame: &Frame| {
            let mut spans = Vec::new();
            let mut at_ns = frame.taken_ns;
            let mut to = |until_ns: u64, part, what: &str| {
                if until_ns > at_ns {
                    spans.push(Span { part, what: what.into(), from_ns: at_ns, until_ns });
                    at_ns = until_ns;
                }
            };
            match frame.there_ns {
                Some(there_ns) => {
                    // Both ends of the way round to a step of the simulator.
                    if there_ns > frame.taken_ns + ways_ns + 2 * self.tick_ms * 1_000_000 {
                        let what = "held up: it was lost and sent again, or what came before it was";
                        to(there_ns - ways_ns, Part::Lost, what);
                    }
                    to(there_ns, Part::Distance, "to the viewer");
                }
                None => to(frame.taken_ns + ways_ns, Part::Lost, "lost on its way"),
            }
            if let Some(shown_ns) = frame.shown_ns {
                to(shown_ns, Part::Idle, "in the player's buffer, until it is due");
            }
            Life::new(frame.taken_ns, frame.shown_ns.or(frame.there_ns), frame.shown_ns.is_some(), spans)
        };
        let mut lives: Vec<Life> = log.frames.iter().flatten().filter(|frame| frame.taken_ns > 0).map(life).collect();
        lives.sort_by_key(|life| life.at_ns);
        lives
    }

    fn loss(&self) -> f64 {
        self.loss_percent / 100.0
    }

    fn due_of_ms(&self, variant: &str) -> f64 {
        if variant == WAITING { self.waiting_due_ms } else { self.due_ms }
    }

    fn frames(&self) -> u32 {
        (1000.0 * self.stream_s / self.interval_ms).floor() as u32
    }

    fn ends_s(&self) -> f64 {
        BEGINS_S + self.stream_s + PATIENCE_S
    }

    /// After a packet was sent, its repair arrives so much later.
    fn repaired_ms(&self) -> f64 {
        f64::from(DUPLICATE_ACKS) * self.interval_ms + 3.0 * self.latency_ms as f64
    }

    /// How many frames, the first of them sent now, are late if they are there after this time at the earliest.
    fn late(&self, there_ms: f64, due_ms: f64) -> f64 {
        ((there_ms - due_ms) / self.interval_ms).ceil().max(0.0)
    }

    /// How many frames are late for each packet that is lost.
    fn late_for_each(&self, due_ms: f64) -> f64 {
        let (loss, repaired_ms) = (self.loss(), self.repaired_ms());
        let alone = self.late(repaired_ms, due_ms);
        let timed_out = self.late(repaired_ms + RTO.as_millis() as f64, due_ms);
        // Another one is lost before the repair was asked for: it is repaired after the first.
        let wait_ms = f64::from(DUPLICATE_ACKS) * self.interval_ms + 2.0 * self.latency_ms as f64;
        let together = (1..=(wait_ms / self.interval_ms) as u32).map(|second| {
            let counts = second <= DUPLICATE_ACKS;
            let first_ms = repaired_ms + if counts { self.interval_ms } else { 0.0 };
            let before = self.late(first_ms, due_ms).min(f64::from(second));
            before + (self.late(first_ms + wait_ms, due_ms) - f64::from(second)).max(0.0) - 2.0 * alone
        });
        alone + loss * together.sum::<f64>() + loss * (timed_out - alone)
    }
}

/// When a frame was taken, there, and shown, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    taken_ns: u64,
    there_ns: Option<u64>,
    shown_ns: Option<u64>,
}

#[derive(Default)]
struct Log {
    /// By stream, then number.
    frames: Vec<Vec<Frame>>,
    bytes: u64,
}

impl Model for TcpOrUdp {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: TCP, what: "over TCP, shown at once", naive: true },
                Variant { name: WAITING, what: "over TCP, shown much later", naive: false },
                Variant { name: ONCE, what: "a datagram for each frame, shown at once", naive: false },
                Variant { name: TWICE, what: "the same, each with the frame before it once more", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        let once_ms = self.latency_ms as f64 + self.interval_ms + 10.0;
        let timed_out_ms = self.repaired_ms() + RTO.as_millis() as f64;
        let frames = f64::from(self.streams) * f64::from(self.frames());
        // Losses enough that chance is small beside the tolerance: a thousand, about.
        let least = (100.0 * 800.0 / frames).max(0.2);
        vec![
            ("streams", f64::from(self.streams), 1.0..=50.0),
            ("stream_s", self.stream_s, 10.0..=300.0),
            ("interval_ms", self.interval_ms, ACK_DELAY.as_millis() as f64..=100.0),
            ("latency_ms", self.latency_ms as f64, 5.0..=150.0),
            // Beyond that, losses seldom come alone.
            ("loss_percent", self.loss_percent, least..=2.0),
            ("due_ms", self.due_ms, once_ms..=self.repaired_ms() - self.interval_ms),
            ("waiting_due_ms", self.waiting_due_ms, timed_out_ms + 200.0..=5000.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=2.0),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "{} streams of a frame every {} ms, for {} s; a frame is one packet, sent as soon as it was taken",
                self.streams, self.interval_ms, self.stream_s
            ),
            format!(
                "{} ms one way; {} % of the packets towards the viewer are lost, each by itself, and none on the way back",
                self.latency_ms, self.loss_percent
            ),
            format!(
                "a frame is shown {} ms after it was taken, or {} ms; later it is useless",
                self.due_ms, self.waiting_due_ms
            ),
            format!(
                "TCP sends again after {DUPLICATE_ACKS} acknowledgements of the same byte, or after {} s; no delay of small \
                 pieces (TCP_NODELAY)",
                RTO.as_secs()
            ),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "no congestion control: a TCP that takes the losses for congestion would also send more slowly",
            "no bandwidth",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let mut say = |claim, variant, value, tolerance, because: &str| {
            predictions.push(Prediction::new(claim, variant, (value, "%"), tolerance, because));
        };
        let (share, nothing) = (Tolerance::Share(0.15), Tolerance::Within(0.5));
        let late = self.loss_percent * self.late_for_each(self.due_ms);
        let because =
            "p n: n = (3 I + 3 L - D) / I behind each lost one, more behind some that are lost twice or together";
        say(MISSING, TCP, late, share, because);
        say(LATE, TCP, late, share, "all of them are only late");
        say(NEVER, TCP, 0.0, Tolerance::Within(0.0), "what is lost is sent again");
        say(MISSING, WAITING, 0.0, nothing, "even one that is lost twice is repaired before it is due");
        say(LATE, WAITING, 0.0, nothing, "even one that is lost twice is repaired before it is due");
        say(NEVER, WAITING, 0.0, Tolerance::Within(0.0), "what is lost is sent again");
        say(MISSING, ONCE, self.loss_percent, share, "p");
        say(NEVER, ONCE, self.loss_percent, share, "p");
        let both = self.loss() * self.loss_percent;
        // Of some ten frames.
        let within = Tolerance::Within(3.0 * both);
        say(MISSING, TWICE, both, within, "p^2: the one and the next");
        say(NEVER, TWICE, both, within, "p^2: the one and the next");
        for variant in [ONCE, TWICE] {
            say(LATE, variant, 0.0, Tolerance::Within(0.0), "no frame waits for another");
        }
        for variant in [TCP, WAITING, ONCE, TWICE] {
            let due = (self.due_of_ms(variant), "ms");
            predictions.push(Prediction::new(BEHIND, variant, due, Tolerance::Within(2.0), "D"));
        }
        for (variant, bytes) in [(ONCE, 1.0), (TWICE, 2.0)] {
            predictions.push(Prediction::new(
                BYTES,
                variant,
                (bytes, "bytes"),
                Tolerance::Share(0.05),
                "how often it is sent",
            ));
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let begin = |sort| {
            let at_ms = 1000.0 * BEGINS_S + stream.gen_range(0.0..self.interval_ms);
            Arrival { at_us: (1000.0 * at_ms) as u64, sort }
        };
        let mut load: Vec<Arrival> = (0..self.streams).map(begin).collect();
        load.sort_by_key(|arrival| arrival.at_us);
        load
    }

    fn faults(&self) -> Vec<Fault> {
        let chaos = Chaos { loss_ppm: (10_000.0 * self.loss_percent).round() as u32, ..Chaos::default() };
        let lossy =
            Messages { from: vec![Target(CAMERA.into())], to: vec![Target(VIEWER.into())], kinds: Vec::new(), chaos };
        let at_ms = (1000.0 * BEGINS_S) as u64;
        vec![Fault { at_ms, for_ms: None, kind: lossy.into(), when: None }]
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        let empty = vec![vec![Frame::default(); self.frames() as usize]; self.streams as usize];
        log.with(|log| log.frames = empty);
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, log: log.clone() });
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let world = World::new(setup.seed, self.tick_ms, self.ends_s(), self.latency_ms).faults(&setup.faults);
        let (viewer, camera, shown) = (scene.clone(), scene, load.clone());
        let world = world.host(VIEWER, move |host| viewer.clone().viewer(host, shown.clone()));
        let ran = world.host(CAMERA, move |host| camera.clone().camera(host, load.clone())).run()?;
        let log = log.take();
        let ran = Ran { lives: self.lives(&log), ..ran };
        Ok(ran.observed(measure(&log), vec![arrivals(self, &log)]))
    }
}

/// What every host of the story knows.
struct Scene {
    p: TcpOrUdp,
    variant: &'static str,
    log: Notes<Log>,
}

impl Scene {
    fn is_tcp(&self) -> bool {
        matches!(self.variant, TCP | WAITING)
    }

    fn stack(&self, host: &Host) -> Tcp {
        let settings = Settings { no_delay: true, ..Settings::default() };
        Tcp::start(host, settings).expect("a process has its stack to itself")
    }

    fn there(&self, host: &Host, stream: u32, number: usize) {
        let now_ns = host.now_ns();
        self.log.with(|log| {
            if let Some(frame) = log.frames[stream as usize].get_mut(number) {
                frame.there_ns = frame.there_ns.or(Some(now_ns));
            }
        });
    }

    /// When a frame is taken, and sent unless earlier ones are still waiting to be.
    fn taken_ns(&self, stream: Arrival, number: u32) -> u64 {
        stream.at_us * 1000 + (f64::from(number) * self.p.interval_ms * 1e6) as u64
    }

    /// Shows each frame of a stream when it is due, if it is there.
    async fn show(self: Rc<Self>, host: Host, stream: Arrival) {
        let due_ns = (self.p.due_of_ms(self.variant) * 1e6) as u64;
        for number in 0..self.p.frames() {
            let taken_ns = self.taken_ns(stream, number);
            sleep_until(&host, taken_ns + due_ns).await;
            self.log.with(|log| {
                let frame = &mut log.frames[stream.sort as usize][number as usize];
                frame.taken_ns = taken_ns;
                frame.shown_ns = frame.there_ns.map(|_| host.now_ns());
            });
        }
    }

    async fn viewer(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        let tcp = self.is_tcp().then(|| self.stack(&host));
        for stream in load.iter() {
            host.spawn(self.clone().show(host.clone(), *stream));
        }
        for stream in 0..self.p.streams {
            let (scene, host, tcp) = (self.clone(), host.clone(), tcp.clone());
            let own = host.clone();
            host.spawn(async move {
                match tcp {
                    Some(tcp) => scene.watch_tcp(&own, &tcp, stream).await,
                    None => scene.watch_datagrams(&own, stream).await,
                }
            });
        }
        std::future::pending().await
    }

    async fn watch_tcp(&self, host: &Host, tcp: &Tcp, stream: u32) {
        let connection = tcp.listen(PORT + stream as u16).accept().await;
        let mut bytes = 0;
        while let Ok(more) = connection.read().await {
            if more.is_empty() {
                return;
            }
            let before = bytes / FRAME;
            bytes += more.len();
            (before..bytes / FRAME).for_each(|number| self.there(host, stream, number));
        }
    }

    async fn watch_datagrams(&self, host: &Host, stream: u32) {
        let socket = host.datagrams(Some(PORT + stream as u16)).expect("a process has its ports to itself");
        loop {
            let datagram = socket.receive().await;
            for frame in datagram.bytes.chunks_exact(FRAME) {
                let number = frame[..NUMBER].try_into().map_or(0, u32::from_be_bytes);
                self.there(host, stream, number as usize);
            }
        }
    }

    async fn camera(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        let tcp = self.is_tcp().then(|| self.stack(&host));
        let own = host.clone();
        // All at once, before packets are lost.
        let opening: Vec<_> = (0..self.p.streams as u16)
            .map(|stream| {
                let (tcp, own) = (tcp.clone(), own.clone());
                host.spawn(async move {
                    let connection = tcp?.connect(named(&own, VIEWER), PORT + stream).await;
                    Some(Rc::new(connection.expect("it listens, and nothing is lost yet")))
                })
            })
            .collect();
        let mut connections = Vec::new();
        for opened in opening {
            connections.push(opened.await.expect("it ends by itself"));
        }
        drive_unfollowed(host, load, move |_, arrival| {
            let (scene, host) = (self.clone(), own.clone());
            let connection = connections[arrival.sort as usize].clone();
            async move {
                let socket = host.datagrams(None).expect("there are ports enough");
                let to = (named(&host, VIEWER), PORT + arrival.sort as u16);
                for number in 0..scene.p.frames() {
                    sleep_until(&host, scene.taken_ns(arrival, number)).await;
                    let bytes = scene.frame(number);
                    match &connection {
                        Some(connection) => connection.write(&bytes).await.expect("it waits as long as it must"),
                        None => socket.send(&bytes, to),
                    }
                }
                std::future::pending().await
            }
        })
        .await;
    }

    /// What is sent for a frame.
    fn frame(&self, number: u32) -> Vec<u8> {
        let again = (self.variant == TWICE && number > 0).then(|| number - 1);
        let mut bytes = Vec::new();
        for number in [number].into_iter().chain(again) {
            bytes.extend(number.to_be_bytes());
            bytes.resize(bytes.len() + FRAME - NUMBER, 0);
        }
        self.log.with(|log| log.bytes += bytes.len() as u64);
        bytes
    }
}

fn measure(log: &Log) -> Vec<Measurement> {
    let frames: Vec<&Frame> = log.frames.iter().flatten().filter(|frame| frame.taken_ns > 0).collect();
    let shown: Vec<u64> = frames.iter().filter_map(|frame| Some(frame.shown_ns? - frame.taken_ns)).collect();
    let never = frames.iter().filter(|frame| frame.there_ns.is_none()).count();
    let missing = frames.len() - shown.len();
    vec![
        Measurement::new(MISSING, percent(missing, frames.len())),
        Measurement::new(LATE, percent(missing - never, frames.len())),
        Measurement::new(NEVER, percent(never, frames.len())),
        Measurement::new(BEHIND, shown.iter().sum::<u64>() as f64 / shown.len() as f64 / 1e6),
        Measurement::new(BYTES, log.bytes as f64 / (frames.len() * FRAME) as f64),
    ]
}

/// What the viewer's player counts.
fn arrivals(p: &TcpOrUdp, log: &Log) -> Table {
    let header = ["second", "frames sent", "shown", "too late", "never there", "median ms", "99 % ms"];
    let mut table = Table::new("what the viewer's player counts, and how long frames were under way", &header);
    let length_ns = (p.stream_s * 1e9) as u64 / u64::from(PERIODS);
    for period in 0..u64::from(PERIODS) {
        let from_ns = (BEGINS_S * 1e9) as u64 + period * length_ns;
        let in_it = |frame: &&Frame| (from_ns..from_ns + length_ns).contains(&frame.taken_ns);
        let frames: Vec<&Frame> = log.frames.iter().flatten().filter(in_it).collect();
        let mut took: Vec<u64> =
            frames.iter().filter_map(|frame| Some((frame.there_ns? - frame.taken_ns) / 1_000_000)).collect();
        let (there, shown) = (took.len(), frames.iter().filter(|frame| frame.shown_ns.is_some()).count());
        let counts = [from_ns as usize / 1_000_000_000, frames.len(), shown, there - shown, frames.len() - there];
        let mut at = |share| percentile(&mut took, share).map_or("-".into(), |ms| ms.to_string());
        let (median, high) = (at(0.5), at(0.99));
        table.row(counts.map(|count| count.to_string()).into_iter().chain([median, high]));
    }
    table
}
