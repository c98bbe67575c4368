//! tcp-states: every way in which a connection fails, as its states and as what the program is told.
//!
//! A machine that answers tells at once: a refusal or a reset takes one round trip. One that does not answer cannot tell
//! anything, so the kernel sends again after a time-out that doubles, and r + 1 tries without an answer take
//! (2^(r+1) - 1) RTO. And where nothing is sent, nothing is found out: an idle connection is told of a dead machine only if
//! it is probed.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent};
use super::life::{self, Leg};
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::tcp_log::{Logs, exchange, timeline};
use super::world::{Notes, World, dead, drive, lasting, load_stream, named, sleep_until};
use crate::fault::kinds::PowerLoss;
use crate::fault::model::{Fault, Target};
use crate::host::Host;
use crate::host::tcp::record::{Entry, Event, Failure};
use crate::host::tcp::{RTO, Settings, State, Stream, Tcp};
use crate::run::RunError;
use crate::run::life::Part;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const BARE: &str = "kernel-only";
const PROBED: &str = "keep-alive";
const LIMITED: &str = "deadline";

const REFUSED: &str = "told `refused` after";
const RESET: &str = "told `reset` after";
const LOST: &str = "connected, a SYN lost, after";
const SYN: &str = "SYNs unanswered: told after";
const SYNS: &str = "SYNs sent for it";
const REQUEST: &str = "request unanswered: told after";
const SHORT: &str = "asked in short cut: told after";
const BACK: &str = "idle, power lost: told after";
const CUT: &str = "idle, cut off: told after";
const HELD: &str = "dead idle connections held";
const THROUGH: &str = "kept through the cut, idle";
const KEPT: &str = "healthy idle connections kept";
const SEGMENTS: &str = "packets of a whole exchange";
const REMEMBERED: &str = "in TIME-WAIT for";

/// When the idle connections are opened, in seconds.
const OPENED_S: f64 = 0.5;
/// When a connection is refused, one reset, and one used in order.
const QUIET_S: f64 = 1.0;
/// When the machine behind the line is cut off for a moment, and for how long.
const BRIEF_S: f64 = 2.0;
const BRIEF_FOR_S: f64 = 0.5;
/// When a machine loses its power.
const POWER_S: f64 = 3.2;
/// When the long cut begins.
const CUT_S: f64 = 5.0;
/// At most so long after the beginning of a cut something is sent into it.
const INTO_S: f64 = 0.05;
/// A connection on which something will be sent into a cut is opened so long before.
const BEFORE_S: f64 = 0.8;
/// Between the end of the long cut and the short one.
const BETWEEN_S: f64 = 2.0;

const WELL: &str = "shop";
const FAR: &str = "branch";
const DARK: &str = "depot";
const PORT: u16 = 80;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpStates {
    /// How often a SYN is sent again (r).
    syn_retries: u32,
    /// How often anything else is sent again.
    retries: u32,
    /// How often an idle connection is probed (K), in the variant that does.
    probe_every_s: f64,
    /// How many probes may go unanswered (n).
    probes: u32,
    /// The longest that a program waits for anything (T), in the variant that has a limit.
    timeout_s: f64,
    /// How long a closed connection is remembered.
    time_wait_s: f64,
    /// For how long a machine has no power.
    dark_s: f64,
    /// The length of the short cut (C).
    short_cut_s: f64,
    /// One way between any two hosts.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

/// A thing that the client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Episode {
    IdleWell,
    IdleFar,
    IdleDark,
    Refused,
    Exchange,
    Reset,
    LostSyn,
    NoAnswer,
    Request,
    Short,
}

const EPISODES: [(Episode, &str, &str); 10] = [
    (Episode::IdleWell, WELL, "waits for a message from the shop"),
    (Episode::IdleFar, FAR, "waits for a message from the branch"),
    (Episode::IdleDark, DARK, "waits for a message from the depot"),
    (Episode::Refused, WELL, "connects where nothing listens"),
    (Episode::Exchange, WELL, "asks the shop, is answered, closes"),
    (Episode::Reset, WELL, "asks a program that throws it out"),
    (Episode::LostSyn, FAR, "connects while a packet is lost"),
    (Episode::NoAnswer, FAR, "connects to the branch, cut off"),
    (Episode::Request, FAR, "asks the branch, cut off"),
    (Episode::Short, FAR, "asks the branch, cut off for short"),
];

/// How often something was sent until `span_s` later, with the first time.
fn tries(span_s: f64) -> u32 {
    (0..).take_while(|tries| waited_s(*tries) <= span_s).count() as u32
}

/// When something is sent for the n-th time again, in seconds after the first.
fn waited_s(again: u32) -> f64 {
    RTO.as_secs_f64() * (2.0_f64.powi(again as i32) - 1.0)
}

/// What a program says that does not wait any longer.
const GAVE_UP: &str = "gave up";

impl TcpStates {
    fn round_trip_s(&self) -> f64 {
        2.0 * self.latency_ms as f64 / 1000.0
    }

    fn round_trip_ns(&self) -> u64 {
        2 * self.latency_ms * 1_000_000
    }

    fn cut_for_s(&self) -> f64 {
        let probed_s = f64::from(self.probes + 2) * self.probe_every_s;
        waited_s(self.syn_retries + 1).max(waited_s(self.retries + 1)).max(probed_s).max(self.timeout_s) + 1.0
    }

    fn short_s(&self) -> f64 {
        CUT_S + self.cut_for_s() + BETWEEN_S
    }

    fn duration_s(&self) -> f64 {
        let remembered_s = QUIET_S + self.time_wait_s;
        remembered_s.max(self.short_s() + waited_s(self.retries + 1)).max(POWER_S + self.dark_s) + 2.0
    }

    /// Which time-out of a segment sent again comes after the short cut's end; `None` if it is too close to say.
    fn after_the_cut_s(&self) -> Option<f64> {
        let again = (1..=self.retries).find(|again| waited_s(*again) > self.short_cut_s - INTO_S)?;
        (waited_s(again) > self.short_cut_s + INTO_S).then(|| waited_s(again) + self.round_trip_s())
    }

    /// How long a probed connection takes at least to be given up, after something was heard.
    fn gives_up_s(&self) -> f64 {
        f64::from(self.probes + 1) * self.probe_every_s
    }

    /// When the program of a probed idle connection is told, if nothing answers between these instants, in seconds.
    fn told_s(&self, lost_s: f64, back_s: f64) -> f64 {
        let mut probe_s = OPENED_S + self.round_trip_s() + self.probe_every_s;
        while probe_s < lost_s {
            probe_s += self.round_trip_s() + self.probe_every_s;
        }
        for _ in 0..self.probes {
            if probe_s > back_s {
                return probe_s + self.round_trip_s();
            }
            probe_s += self.probe_every_s;
        }
        probe_s
    }

    fn settings(&self, variant: &str) -> Settings {
        let every = Duration::from_secs_f64(self.probe_every_s);
        Settings {
            syn_retries: self.syn_retries,
            retries: self.retries,
            time_wait: Duration::from_secs_f64(self.time_wait_s),
            keep_alive: (variant == PROBED).then_some((every, self.probes)),
            is_logged: true,
            ..Settings::default()
        }
    }
}

/// What came of an episode.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    began_ns: u64,
    ended_ns: u64,
    what: String,
}

#[derive(Default)]
struct Log {
    told: BTreeMap<Episode, Told>,
    /// The connection of each.
    ids: BTreeMap<Episode, u64>,
    stacks: Logs,
}

impl Model for TcpStates {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: BARE, what: "programs wait for as long as their kernel does", naive: true },
                Variant { name: PROBED, what: "the kernel probes idle connections", naive: false },
                Variant { name: LIMITED, what: "programs wait for nothing longer than they must", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        let most = |retries: u32| waited_s(retries.min(20));
        vec![
            ("syn_retries", f64::from(self.syn_retries), 1.0..=5.0),
            ("retries", f64::from(self.retries), 2.0..=5.0),
            ("probe_every_s", self.probe_every_s, 1.0..=20.0),
            ("probes", f64::from(self.probes), 1.0..=9.0),
            // Longer than a connection with one lost SYN takes, and shorter than the kernel waits.
            (
                "timeout_s",
                self.timeout_s,
                1.5..=most(self.syn_retries.saturating_add(1)).min(most(self.retries.saturating_add(1))) - 0.5,
            ),
            ("time_wait_s", self.time_wait_s, 5.0..=120.0),
            ("dark_s", self.dark_s, 1.0..=60.0),
            ("short_cut_s", self.short_cut_s, 0.5..=most(self.retries) - 0.5),
            // What is lost in the brief cut is not missed before that is over.
            ("latency_ms", self.latency_ms as f64, 1.0..=100.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms.min(5) as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!("a round trip of {} ms, and no loss but where a line is cut", 2 * self.latency_ms),
            format!("the first time-out is {} s, and each next one twice as long", RTO.as_secs()),
            format!(
                "a SYN is sent {} times more and anything else {}; the last time-out is waited for, too",
                self.syn_retries, self.retries
            ),
            format!(
                "the branch is cut off for {BRIEF_FOR_S} s from {BRIEF_S} s on, for {} s from {CUT_S} s on, and for {} s from \
                 {} s on; a cut loses what is sent into it, and nobody is told",
                self.cut_for_s(),
                self.short_cut_s,
                self.short_s()
            ),
            format!(
                "the depot has no power for {} s from {POWER_S} s on, and remembers nothing afterwards",
                self.dark_s
            ),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "how often a kernel sends again (Linux: tcp_syn_retries 6, tcp_retries2 15), its probes (tcp_keepalive_*) and the \
             length of TIME-WAIT (TCP_TIMEWAIT_LEN, 60 s), which smoltcp does not know; its smallest time-out is 1 s (RFC \
             6298), Linux's 0.2 s",
            "a machine without power, as a process that dies with its connections, whose ends are told nothing",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let mut say = |claim, variant, value, because: &str| {
            let tolerance = if value == (0.0, "%") { Tolerance::Within(1.0) } else { Tolerance::Share(0.05) };
            predictions.push(Prediction::new(claim, variant, value, tolerance, because));
        };
        let round_trip_ms = 1000.0 * self.round_trip_s();
        for variant in [BARE, PROBED, LIMITED] {
            let is_limited = variant == LIMITED;
            say(REFUSED, variant, (round_trip_ms, "ms"), "one round trip: the machine answers");
            say(RESET, variant, (round_trip_ms, "ms"), "one round trip: the machine answers");
            let lost_ms = 1000.0 * waited_s(1) + round_trip_ms;
            say(LOST, variant, (lost_ms, "ms"), "the first time-out, and a round trip");
            let (syn_s, request_s) = match is_limited {
                false => (waited_s(self.syn_retries + 1), waited_s(self.retries + 1)),
                true => (self.timeout_s, self.timeout_s),
            };
            let because = if is_limited { "T" } else { "(2^(r+1) - 1) RTO: all time-outs, the last one too" };
            say(SYN, variant, (syn_s, "s"), because);
            say(REQUEST, variant, (request_s, "s"), because);
            let syns = if is_limited { tries(self.timeout_s) } else { self.syn_retries + 1 };
            // A limit at the very instant of a try says nothing about it.
            if !is_limited || tries(self.timeout_s - 0.05) == tries(self.timeout_s + 0.05) {
                say(SYNS, variant, (f64::from(syns), "SYNs"), "one at each time-out before the end");
            }
            // The other end probes, too: it must not give up before the cut ends.
            let survives = variant != PROBED || self.gives_up_s() > self.short_cut_s + BEFORE_S + INTO_S;
            if let Some(answered_s) = self.after_the_cut_s().filter(|_| survives) {
                let short_s = if is_limited { answered_s.min(self.timeout_s) } else { answered_s };
                say(SHORT, variant, (short_s, "s"), "the first (2^k - 1) RTO > C, or T");
            }
            let (held, through, kept) = match variant {
                BARE => (100.0, 100.0, 100.0),
                PROBED => (0.0, 0.0, 100.0),
                _ => (0.0, 0.0, 0.0),
            };
            say(HELD, variant, (held, "%"), "silence tells nothing; a probe and a limit do");
            say(THROUGH, variant, (through, "%"), "what sends nothing misses nothing");
            say(KEPT, variant, (kept, "%"), "a limit takes a healthy silence for a dead one");
            say(SEGMENTS, variant, (9.0, "packets"), "three to open, two to talk, four to close");
            say(REMEMBERED, variant, (self.time_wait_s, "s"), "the side that closes first remembers");
        }
        let because = "the (n+1)th probe in a row is not sent any more, or one is answered by a reset";
        let back_s = self.told_s(POWER_S, POWER_S + self.dark_s) - POWER_S;
        say(BACK, PROBED, (back_s, "s"), because);
        let cut_s = self.told_s(CUT_S, f64::INFINITY) - CUT_S;
        say(CUT, PROBED, (cut_s, "s"), because);
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let begins_s = |episode| match episode {
            Episode::IdleWell | Episode::IdleFar | Episode::IdleDark => OPENED_S,
            Episode::Refused | Episode::Exchange | Episode::Reset => QUIET_S,
            Episode::LostSyn => BRIEF_S,
            Episode::NoAnswer => CUT_S,
            Episode::Request => CUT_S - BEFORE_S,
            Episode::Short => self.short_s() - BEFORE_S,
        };
        let mut load: Vec<Arrival> = (0..)
            .zip(EPISODES)
            .map(|(sort, (episode, ..))| {
                let at_s = begins_s(episode) + stream.gen_range(0.005..INTO_S);
                Arrival { at_us: (at_s * 1e6) as u64, sort }
            })
            .collect();
        load.sort_by_key(|arrival| (arrival.at_us, arrival.sort));
        load
    }

    fn faults(&self) -> Vec<Fault> {
        let cut = |at_s, for_s| lasting(at_s, for_s, dead(FAR));
        let dark = PowerLoss { target: Target(DARK.into()), torn: false, at_operation: None };
        vec![
            cut(BRIEF_S, BRIEF_FOR_S),
            lasting(POWER_S, self.dark_s, dark.into()),
            cut(CUT_S, self.cut_for_s()),
            cut(self.short_s(), self.short_cut_s),
        ]
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Log::default());
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, log: log.clone() });
        let load: Rc<[Arrival]> = setup.load.clone().into();
        let mut world = World::new(setup.seed, self.tick_ms, self.duration_s(), self.latency_ms).faults(&setup.faults);
        for name in [WELL, FAR, DARK] {
            let scene = scene.clone();
            world = world.host(name, move |host| scene.clone().server(host));
        }
        let ran = world.host("client", move |host| scene.clone().client(host, load.clone())).run()?;
        let log = log.take();
        Ok(ran.observed(measure(&log), evidence(setup.variant, &log)))
    }
}

/// What every host of the story knows.
struct Scene {
    p: TcpStates,
    variant: &'static str,
    log: Notes<Log>,
}

impl Scene {
    /// A host's stack, whose log is kept at the end.
    fn stack(&self, host: &Host) -> Tcp {
        let tcp = Tcp::start(host, self.p.settings(self.variant)).expect("a process has its stack to itself");
        let (own, log, kept) = (host.clone(), self.log.clone(), tcp.clone());
        let end_ns = ((self.p.duration_s() - 0.5) * 1e9) as u64;
        host.spawn(async move {
            sleep_until(&own, end_ns).await;
            let entries = kept.with(|stack, _| stack.log().to_vec());
            log.with(|log| log.stacks.insert(own.name().to_string(), entries));
        });
        tcp
    }

    async fn server(self: Rc<Self>, host: Host) {
        let listener = self.stack(&host).listen(PORT);
        loop {
            let stream = listener.accept().await;
            host.spawn(async move {
                loop {
                    match stream.read().await {
                        Ok(bytes) if bytes == b"leave" => return stream.abort(),
                        Ok(bytes) if !bytes.is_empty() => {
                            if stream.write(b"answer").await.is_err() {
                                return;
                            }
                        }
                        _ => return,
                    }
                }
            });
        }
    }

    async fn client(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        let tcp = self.stack(&host);
        let own = host.clone();
        drive(host, load, move |_, arrival| {
            let (scene, host, tcp) = (self.clone(), own.clone(), tcp.clone());
            async move { scene.act(&host, &tcp, EPISODES[arrival.sort as usize].0).await }
        })
        .await;
    }

    async fn act(&self, host: &Host, tcp: &Tcp, episode: Episode) {
        let (_, target, _) = EPISODES[episode as usize];
        let port = if episode == Episode::Refused { PORT + 1 } else { PORT };
        let stream = tcp.begin(named(host, target), port).expect("there are ports enough");
        self.log.with(|log| log.ids.insert(episode, stream.id()));
        let mut began_ns = host.now_ns();
        let handshake = Leg::begin(host, None, &format!("SYN sent: connects to {target}"), self.p.round_trip_ns());
        let mut what = self.wait(stream.opened()).await.map_or_else(|told| told, |()| "connected".to_string());
        // A reset is an answer too.
        if what == "connected" || what == Failure::Refused.to_string() {
            handshake.answered();
        } else {
            drop(handshake);
        }
        if what == "connected" {
            if matches!(episode, Episode::Request | Episode::Short) {
                life::begin(host, Part::Idle, "established: the program has nothing to say yet");
                sleep_until(host, began_ns + (BEFORE_S * 1e9) as u64).await;
                began_ns = host.now_ns();
            }
            what = match episode {
                Episode::LostSyn => what,
                Episode::IdleWell | Episode::IdleFar | Episode::IdleDark => {
                    began_ns = host.now_ns();
                    life::begin(host, Part::Idle, "established: the program waits for the server to say something");
                    self.read(&stream).await
                }
                Episode::Reset => {
                    began_ns = host.now_ns();
                    self.ask(host, &stream, b"leave").await
                }
                _ => self.ask(host, &stream, b"question").await,
            };
        }
        life::note(host, Part::Processing, &format!("the program is told: {what}"));
        life::served(what == "connected" || what == "answer");
        let told = Told { began_ns, ended_ns: host.now_ns(), what };
        self.log.with(|log| log.told.insert(episode, told));
    }

    /// Waits for something, for as long as the variant lets a program wait; otherwise what the program is told.
    async fn wait<T, E: std::fmt::Display>(&self, what: impl Future<Output = Result<T, E>>) -> Result<T, String> {
        let limit = if self.variant == LIMITED { self.p.timeout_s } else { f64::from(u32::MAX) };
        match tokio::time::timeout(Duration::from_secs_f64(limit), what).await {
            Ok(result) => result.map_err(|failure| failure.to_string()),
            Err(_) => Err(GAVE_UP.into()),
        }
    }

    async fn read(&self, stream: &Stream) -> String {
        match self.wait(stream.read()).await {
            Ok(bytes) if bytes.is_empty() => "the end".into(),
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(told) => told,
        }
    }

    async fn ask(&self, host: &Host, stream: &Stream, question: &[u8]) -> String {
        let leg = Leg::begin(host, None, "established: the question, and its answer", self.p.round_trip_ns());
        if let Err(failure) = stream.write(question).await {
            return failure.to_string();
        }
        let told = self.read(stream).await;
        // Whatever comes from the other end is an answer; a time-out is none.
        if told != Failure::TimedOut.to_string() && told != GAVE_UP {
            leg.answered();
        }
        told
    }
}

fn measure(log: &Log) -> Vec<Measurement> {
    // NaN if the program was told something else, or nothing.
    let after_s = |episode, words: &[&str]| {
        let told = log.told.get(&episode).filter(|told| words.contains(&told.what.as_str()));
        told.map_or(f64::NAN, |told| (told.ended_ns - told.began_ns) as f64 / 1e9)
    };
    let at_s = |episode| log.told.get(&episode).map_or(f64::NAN, |told| told.ended_ns as f64 / 1e9);
    let held = |episode| percent(usize::from(!log.told.contains_key(&episode)), 1);
    let given_up: &[&str] = &["connection timed out", GAVE_UP];
    let own = log.stacks.get("client").into_iter().flatten();
    let of = |episode| {
        let id = log.ids.get(&episode).copied();
        own.clone().filter(move |entry| Some(entry.id) == id)
    };
    let syns = of(Episode::NoAnswer).filter(|entry| matches!(entry.event, Event::Sent(segment) if segment.syn)).count();
    let passed = |entry: &&Entry| matches!(entry.event, Event::Sent(_) | Event::Received(_));
    let became = |state| of(Episode::Exchange).find(|entry| entry.event == Event::Became(state));
    let remembered_ns = became(State::TimeWait).zip(became(State::Closed)).map(|(from, to)| to.at_ns - from.at_ns);
    vec![
        Measurement::new(REFUSED, 1000.0 * after_s(Episode::Refused, &["connection refused"])),
        Measurement::new(RESET, 1000.0 * after_s(Episode::Reset, &["connection reset by peer"])),
        Measurement::new(LOST, 1000.0 * after_s(Episode::LostSyn, &["connected"])),
        Measurement::new(SYN, after_s(Episode::NoAnswer, given_up)),
        Measurement::new(SYNS, syns as f64),
        Measurement::new(REQUEST, after_s(Episode::Request, given_up)),
        Measurement::new(SHORT, after_s(Episode::Short, &["answer", GAVE_UP])),
        Measurement::new(BACK, at_s(Episode::IdleDark) - POWER_S),
        Measurement::new(CUT, at_s(Episode::IdleFar) - CUT_S),
        Measurement::new(HELD, held(Episode::IdleDark)),
        Measurement::new(THROUGH, held(Episode::IdleFar)),
        Measurement::new(KEPT, held(Episode::IdleWell)),
        Measurement::new(SEGMENTS, of(Episode::Exchange).filter(passed).count() as f64),
        Measurement::new(REMEMBERED, remembered_ns.map_or(f64::NAN, |ns| ns as f64 / 1e9)),
    ]
}

/// What the programs are told, and what passed on the wire meanwhile. What a lesson asks for is not in what it shows.
fn evidence(variant: &str, log: &Log) -> Vec<Table> {
    let mut told = Table::new("what the client's programs are told", &["a program", "is told", "after s"]);
    for (episode, _, does) in EPISODES {
        let (what, after) = match log.told.get(&episode) {
            Some(told) => (told.what.clone(), format!("{:.2}", (told.ended_ns - told.began_ns) as f64 / 1e9)),
            None => ("nothing".into(), "-".into()),
        };
        told.row([does.to_string(), what, after]);
    }
    let of = |episode, title: &str| {
        log.ids.get(&episode).map(|id| timeline(title, &log.stacks, &exchange(&log.stacks, "client", *id)))
    };
    let mut tables = vec![told];
    tables.extend(of(Episode::Exchange, "a connection in order, seen at both ends"));
    tables.extend(of(Episode::Reset, "a connection that is thrown away"));
    tables.extend(of(Episode::LostSyn, "a SYN that is lost"));
    if variant != LIMITED {
        tables.extend(of(Episode::NoAnswer, "SYNs into a cut"));
        tables.extend(of(Episode::Request, "a request into a cut"));
        tables.extend(of(Episode::IdleDark, "an idle connection whose other end loses its power"));
    }
    tables
}
