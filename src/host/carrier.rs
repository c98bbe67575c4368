//! Carries the messages of a simulated run: one [`Link`] for each direction between two hosts, whose effects it
//! records, and for each process a task that receives what arrives.
//!
//! A [`Body`] says what to do on arrival; [`super::link`] alone says what the network does to it on the way.

use super::link::{Effect, End, Flow, Link, Policy};
use super::recorder::Recorder;
use super::{Host, lock};
use crate::fault::chaos::Fate;
use crate::fault::fold::LinkState;
use crate::trace::{DropReason, HostId, MessageId, MessageKind, What};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Sleep;

/// What a message carries. Both copies of a duplicated message share one body.
pub trait Body: Send + Sync {
    /// Called when it arrives, at the end of the link that takes it, in a task of that host's process.
    fn arrive(self: Arc<Self>, at: &Host, letter: &Letter);

    /// Called for a copy that will never arrive.
    fn lost(&self, _reason: DropReason) {}
}

/// A message's identity, as the trace records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter {
    /// The sender.
    pub from: HostId,
    /// The receiver.
    pub to: HostId,
    /// Its identity.
    pub message: MessageId,
    /// What it carries.
    pub class: MessageKind,
}

impl Letter {
    /// The event at its receiver.
    pub fn delivered(&self) -> What {
        What::Deliver { from: self.from, message: self.message, class: self.class }
    }

    /// The event at its sender, when it is lost.
    pub fn dropped(&self, reason: DropReason) -> What {
        What::Drop { to: self.to, message: self.message, class: self.class, reason }
    }

    /// The event at its sender, when its link had this effect on it.
    pub fn suffered<M>(&self, effect: &Effect<M>) -> What {
        let &Letter { to, message, .. } = self;
        match effect {
            Effect::Lost(_, reason) => self.dropped(*reason),
            Effect::Late(_, by_ns) => What::Delay { to, message, by_ns: *by_ns },
            Effect::Doubled(_, by_ns) => What::Duplicate { to, message, by_ns: *by_ns },
            Effect::Held(_) => What::Hold { to, message },
        }
    }
}

/// A message that was recorded as sent, with what the faults decided for it.
pub struct Sent {
    /// Its name.
    pub letter: Letter,
    /// What the chaos layer does to it.
    pub fate: Fate,
    /// Its jitter in nanoseconds.
    pub jitter_ns: u64,
}

/// What travels on a link.
#[derive(Clone)]
struct Parcel {
    letter: Letter,
    /// Whether the trace knows it: the close of a connection is no message of the system.
    is_recorded: bool,
    body: Arc<dyn Body>,
}

/// A host's task that waits for messages to arrive.
#[derive(Default)]
struct Ear {
    waker: Option<Waker>,
    /// When its timer wakes it.
    alarm_ns: Option<u64>,
}

struct Table {
    /// By sender, then receiver.
    links: Vec<Link<Parcel>>,
    ears: Vec<Ear>,
}

/// The links of a run.
pub struct Carrier {
    hosts: usize,
    recorder: Arc<Recorder>,
    table: Mutex<Table>,
}

impl Carrier {
    /// Links with these latencies, row by sender.
    pub fn new(recorder: Arc<Recorder>, latency_ns: &[u64]) -> Carrier {
        let links: Vec<_> = latency_ns.iter().map(|latency_ns| Link::new(*latency_ns)).collect();
        let hosts = links.len().isqrt();
        assert_eq!(hosts * hosts, links.len(), "one latency per directed pair of hosts");
        let ears = (0..hosts).map(|_| Ear::default()).collect();
        Carrier { hosts, recorder, table: Mutex::new(Table { links, ears }) }
    }

    /// Puts a message on its link.
    pub fn carry(&self, sent: Sent, policy: Policy, body: Arc<dyn Body>) {
        let Sent { letter, fate, jitter_ns } = sent;
        let parcel = Parcel { letter, is_recorded: true, body };
        self.with_link(letter.from, letter.to, |link, now_ns| link.send(now_ns, parcel, policy, &fate, jitter_ns));
    }

    /// Notifies the receiver that the sender has closed a connection. The frame is not in the trace, and chaos leaves
    /// it alone.
    pub fn hang_up(&self, from: HostId, to: HostId, flow: Flow, body: Arc<dyn Body>) {
        let letter = Letter { from, to, message: MessageId { host: from, number: 0 }, class: MessageKind::Other };
        let parcel = Parcel { letter, is_recorded: false, body };
        self.with_link(from, to, |link, now_ns| link.send(now_ns, parcel, Policy::Frame(flow), &Fate::default(), 0));
    }

    /// The faults have changed a link.
    pub fn changed(&self, from: HostId, to: HostId, state: LinkState) {
        self.with_link(from, to, |link, now_ns| link.changed(now_ns, state));
    }

    /// From now on frames may be sent from `from` to `to` on a connection that is being opened.
    pub fn opening(&self, from: HostId, to: HostId, flow: Flow) {
        self.with_link(from, to, |link, _| {
            link.opening(flow);
            Vec::new()
        });
    }

    /// A connection is open from `from` to `to`.
    pub fn open(&self, from: HostId, to: HostId, flow: Flow) {
        self.with_link(from, to, |link, now_ns| link.open(now_ns, flow));
    }

    /// `from` sends nothing more to `to` on a connection.
    pub fn close(&self, from: HostId, to: HostId, flow: Flow) {
        self.with_link(from, to, |link, _| {
            link.close(flow);
            Vec::new()
        });
    }

    /// What `from` sends to `to` on a connection is lost.
    pub fn abandon(&self, from: HostId, to: HostId, flow: Flow) {
        self.with_link(from, to, |link, _| link.abandon(flow));
    }

    /// A process has died.
    pub fn died(&self, host: HostId) {
        self.with_links_of(host, Link::sender_died, |link, _| link.receiver_died());
    }

    /// A process starts.
    pub fn starts(&self, host: HostId) {
        self.with_links_of(host, |_| Vec::new(), Link::receiver_starts);
    }

    /// A step of the simulator begins: what was delayed leaves.
    pub fn step(&self) {
        let now_ns = self.recorder.now_ns();
        let is_due = |link: &Link<Parcel>| link.next_departure_ns().is_some_and(|at_ns| at_ns <= now_ns);
        let due: Vec<usize> = {
            let table = lock(&self.table);
            (0..table.links.len()).filter(|at| is_due(&table.links[*at])).collect()
        };
        for at in due {
            let (from, to) = (HostId((at / self.hosts) as u16), HostId((at % self.hosts) as u16));
            self.with_link(from, to, |link, now_ns| link.depart(now_ns));
        }
    }

    /// The run ends: what was sent more than `grace` ago and has not arrived was lost.
    pub fn settle(&self, grace: Duration) {
        let grace_ns = grace.as_nanos() as u64;
        for (from, to) in self.hosts().flat_map(|from| self.hosts().map(move |to| (from, to))) {
            self.with_link(from, to, |link, now_ns| link.settle(now_ns.saturating_sub(grace_ns)));
        }
    }

    fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..self.hosts as u16).map(HostId)
    }

    fn with_links_of(
        &self,
        host: HostId,
        from_it: impl Fn(&mut Link<Parcel>) -> Vec<Effect<Parcel>>,
        to_it: impl Fn(&mut Link<Parcel>, u64) -> Vec<Effect<Parcel>>,
    ) {
        for other in self.hosts() {
            self.with_link(host, other, |link, _| from_it(link));
            self.with_link(other, host, |link, now_ns| to_it(link, now_ns));
        }
    }

    /// Changes a link, records the effects, and wakes each waiting task that now has to wake earlier.
    fn with_link(&self, from: HostId, to: HostId, act: impl FnOnce(&mut Link<Parcel>, u64) -> Vec<Effect<Parcel>>) {
        let now_ns = self.recorder.now_ns();
        let (effects, wakers) = {
            let mut guard = lock(&self.table);
            let Table { links, ears } = &mut *guard;
            let link = &mut links[from.index() * self.hosts + to.index()];
            let effects = act(link, now_ns);
            let wakers = [(to, End::Receiver), (from, End::Sender)].map(|(host, end)| {
                let ear = &mut ears[host.index()];
                let is_earlier = |at_ns: u64| ear.alarm_ns.is_none_or(|alarm_ns| at_ns < alarm_ns);
                if link.next_arrival_ns(end).is_some_and(is_earlier) { ear.waker.take() } else { None }
            });
            (effects, wakers)
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
        effects.iter().for_each(|effect| self.record(effect));
    }

    fn record(&self, effect: &Effect<Parcel>) {
        let parcel = effect.message();
        if let Effect::Lost(_, reason) = effect {
            parcel.body.lost(*reason);
        }
        if parcel.is_recorded {
            self.recorder.record(parcel.letter.from, parcel.letter.suffered(effect));
        }
    }

    /// The next message that `host` receives; while there is none, sets the alarm for the next arrival.
    fn poll_arrival(&self, host: HostId, context: &mut Context<'_>, alarm: &mut Alarm) -> Poll<Parcel> {
        loop {
            let now_ns = self.recorder.now_ns();
            let next_ns = {
                let mut guard = lock(&self.table);
                let Table { links, ears } = &mut *guard;
                let first = self.first(links, host);
                if let Some((_, at, end)) = first.filter(|(at_ns, ..)| *at_ns <= now_ns)
                    && let Some(parcel) = links[at].arrive(now_ns, end)
                {
                    return Poll::Ready(parcel);
                }
                let next_ns = first.map(|(at_ns, ..)| at_ns);
                ears[host.index()] = Ear { waker: Some(context.waker().clone()), alarm_ns: next_ns };
                next_ns
            };
            let Some(next_ns) = next_ns else { return Poll::Pending };
            if alarm.poll(next_ns, now_ns, context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// When the next message arrives at a host, on which link, and for which end of the link.
    fn first(&self, links: &mut [Link<Parcel>], host: HostId) -> Option<(u64, usize, End)> {
        let mut first: Option<(u64, usize, End)> = None;
        for other in 0..self.hosts {
            let ends =
                [(other * self.hosts + host.index(), End::Receiver), (host.index() * self.hosts + other, End::Sender)];
            for (at, end) in ends {
                let Some(at_ns) = links[at].next_arrival_ns(end) else { continue };
                if first.is_none_or(|(first_ns, ..)| at_ns < first_ns) {
                    first = Some((at_ns, at, end));
                }
            }
        }
        first
    }
}

/// A timer that is reset only when the time changes.
#[derive(Default)]
struct Alarm(Option<(u64, Pin<Box<Sleep>>)>);

impl Alarm {
    fn poll(&mut self, at_ns: u64, now_ns: u64, context: &mut Context<'_>) -> Poll<()> {
        if self.0.as_ref().is_none_or(|(set_ns, _)| *set_ns != at_ns) {
            self.0 = Some((at_ns, Box::pin(tokio::time::sleep(Duration::from_nanos(at_ns - now_ns)))));
        }
        let Some((_, sleep)) = &mut self.0 else { return Poll::Pending };
        let poll = sleep.as_mut().poll(context);
        if poll.is_ready() {
            self.0 = None;
        }
        poll
    }
}

/// Receives what arrives at a host, for as long as its process lives.
pub(super) async fn receive(host: Host) {
    let mut alarm = Alarm::default();
    loop {
        let carrier = host.fabric().carrier();
        let parcel = poll_fn(|context| carrier.poll_arrival(host.id(), context, &mut alarm)).await;
        parcel.body.arrive(&host, &parcel.letter);
    }
}
