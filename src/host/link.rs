//! One direction of a link: the queue of what was sent on it and has not arrived, and the one order in which the
//! network acts on a message.
//!
//! 1. It is **sent**: named, recorded, and its fate decided by the faults ([`Fate`]), whatever the state of the link.
//! 2. **Chaos**: it is lost; or each copy of it, one or two, waits its own delay, so that later messages overtake it.
//! 3. It **leaves**. A frame waits for its connection, and is lost on a broken one.
//! 4. A **cut** link loses what leaves. A lost frame breaks its connection.
//! 5. A **held** link keeps it. It leaves again when the hold ends, or is lost when the link is cut.
//! 6. It is **under way** for the link's latency, the delay of latency faults and its own jitter. A cut that begins
//!    meanwhile loses it.
//! 7. It **arrives**.
//!
//! The [`Policy`] of a message says how each kind goes through this order:
//!
//! |                     | frame                         | segment                      | datagram |
//! |---------------------|-------------------------------|------------------------------|----------|
//! | lost by chaos       | lost                          | leaves a time-out later      | lost     |
//! | duplicated          | arrives twice                 | once: the kernel discards it | twice    |
//! | cut                 | lost, and breaks its connection | leaves at its sender's next try | lost |
//! | held                | waits                         | waits                        | waits    |
//! | its sender dies     | lost, if it has not left      | goes on                      | goes on  |
//! | its receiver dies   | lost                          | goes on                      | lost     |
//!
//! Nothing here knows a simulator, a clock or a task. The link is given the time, its state and the fate, and returns
//! what becomes of a message and when. So any carrier can use it, even one that moves packets by the wall clock.

use crate::fault::chaos::Fate;
use crate::fault::fold::{LinkState, Passage};
use crate::trace::DropReason;
use std::collections::{BTreeMap, BTreeSet};

/// The first retransmission time-out of a segment in nanoseconds (Linux's minimum). It doubles with each try (RFC 6298,
/// section 5.5).
const RETRANSMIT_NS: u64 = 200_000_000;

/// Names a connection of frames or a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow(pub u64);

/// How a message goes through the order of effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// A request or a reply on this connection. A lost frame breaks the connection without either end noticing: what is
    /// sent on it later is lost too, until the caller gives it up.
    Frame(Flow),
    /// A piece of this byte stream. Its sender's kernel retransmits it.
    Segment(Flow),
    /// Sent once and never again.
    Datagram,
    /// As a datagram, but its sender waits until it has arrived, and it dies with the sender: [`End::Sender`] takes it.
    Errand,
}

impl Policy {
    fn is_segment(self) -> bool {
        matches!(self, Policy::Segment(_))
    }

    fn frame(self) -> Option<Flow> {
        match self {
            Policy::Frame(connection) => Some(connection),
            _ => None,
        }
    }
}

/// Which end of the link takes what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The host to which it was sent: everything but errands.
    Receiver,
    /// The host that sent it: errands.
    Sender,
}

/// What becomes of a message, for the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<M> {
    /// This copy will never arrive.
    Lost(M, DropReason),
    /// It leaves this many nanoseconds later.
    Late(M, u64),
    /// A second copy leaves this many nanoseconds later.
    Doubled(M, u64),
    /// It waits until the link lets it through.
    Held(M),
}

impl<M> Effect<M> {
    /// The message that it is about.
    pub fn message(&self) -> &M {
        let (Effect::Lost(message, _) | Effect::Late(message, _) | Effect::Doubled(message, _) | Effect::Held(message)) =
            self;
        message
    }
}

/// One copy of a message.
#[derive(Debug, Clone)]
struct Copy<M> {
    message: M,
    policy: Policy,
    /// The order of copies that leave or arrive at one instant.
    number: u64,
    sent_ns: u64,
    jitter_ns: u64,
}

/// When a copy leaves or arrives, and its number.
type When = (u64, u64);

/// The state of a connection of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Frames wait for the connection to open.
    Opening,
    Open,
    /// Nothing more can be sent on it. What was sent goes on.
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Connection {
    stage: Stage,
    /// It has lost a frame.
    broken: bool,
}

/// One direction of a link between two hosts.
#[derive(Debug)]
pub struct Link<M> {
    latency_ns: u64,
    state: LinkState,
    copies: u64,
    connections: BTreeMap<Flow, Connection>,
    /// Copies that have not left yet, by the time when they will.
    leaving: BTreeMap<When, Copy<M>>,
    /// Frames that wait for their connection.
    unconnected: Vec<Copy<M>>,
    /// Copies that a hold keeps, and segments that a cut keeps from leaving.
    stopped: Vec<Copy<M>>,
    /// Copies under way, by the time when they arrive.
    under_way: BTreeMap<When, Copy<M>>,
    errands: BTreeMap<When, Copy<M>>,
}

impl<M: Clone> Link<M> {
    /// A link that no fault touches, on which a message takes this long.
    pub fn new(latency_ns: u64) -> Link<M> {
        Link {
            latency_ns,
            state: LinkState::default(),
            copies: 0,
            connections: BTreeMap::new(),
            leaving: BTreeMap::new(),
            unconnected: Vec::new(),
            stopped: Vec::new(),
            under_way: BTreeMap::new(),
            errands: BTreeMap::new(),
        }
    }

    /// Takes a message whose fate was decided. `jitter_ns` is part of its latency.
    pub fn send(&mut self, now_ns: u64, message: M, policy: Policy, fate: &Fate, jitter_ns: u64) -> Vec<Effect<M>> {
        let mut effects = Vec::new();
        let mut delay_ns = fate.delay_ns;
        let mut second_ns = fate.duplicate_ns;
        if policy.is_segment() {
            delay_ns += if fate.lost { RETRANSMIT_NS } else { 0 };
            second_ns = None;
        } else if fate.lost {
            return vec![Effect::Lost(message, DropReason::Loss)];
        }
        if policy.frame().is_some_and(|flow| !self.takes(flow)) {
            return vec![Effect::Lost(message, DropReason::Connection)];
        }
        if delay_ns > 0 {
            effects.push(Effect::Late(message.clone(), delay_ns));
        }
        if let Some(second_ns) = second_ns {
            effects.push(Effect::Doubled(message.clone(), second_ns));
            self.enqueue(
                now_ns,
                second_ns,
                Copy { message: message.clone(), policy, number: 0, sent_ns: now_ns, jitter_ns },
            );
        }
        self.enqueue(now_ns, delay_ns, Copy { message, policy, number: 0, sent_ns: now_ns, jitter_ns });
        effects.extend(self.depart(now_ns));
        effects
    }

    fn enqueue(&mut self, now_ns: u64, delay_ns: u64, mut copy: Copy<M>) {
        copy.number = self.copies;
        self.copies += 1;
        self.leaving.insert((now_ns + delay_ns, copy.number), copy);
    }

    fn takes(&self, flow: Flow) -> bool {
        self.connections.get(&flow).is_some_and(|connection| connection.stage != Stage::Closed)
    }

    /// When [`Link::depart`] next has something to do.
    pub fn next_departure_ns(&self) -> Option<u64> {
        self.leaving.keys().next().map(|(at_ns, _)| *at_ns)
    }

    /// Lets every copy leave whose time has come. Call it before the link changes, and before anything that leaves now
    /// can arrive: at least once in each span as long as the latency.
    pub fn depart(&mut self, now_ns: u64) -> Vec<Effect<M>> {
        let mut effects = Vec::new();
        while let Some(first) = self.leaving.first_entry().filter(|first| first.key().0 <= now_ns) {
            let ((at_ns, _), copy) = first.remove_entry();
            self.leave(at_ns, copy, &mut effects);
        }
        effects
    }

    /// Steps 3 to 6 for one copy.
    fn leave(&mut self, at_ns: u64, copy: Copy<M>, effects: &mut Vec<Effect<M>>) {
        let connection = copy.policy.frame().map(|flow| self.connections.get(&flow).copied());
        match (connection, self.state.passage()) {
            (Some(Some(Connection { stage: Stage::Opening, .. })), _) => self.unconnected.push(copy),
            (_, Passage::Cut) if !copy.policy.is_segment() => self.lose(copy, DropReason::Cut, effects),
            (Some(None | Some(Connection { broken: true, .. })), _) => self.lose(copy, DropReason::Connection, effects),
            (_, Passage::Cut | Passage::Held) => {
                effects.push(Effect::Held(copy.message.clone()));
                self.stopped.push(copy);
            }
            (_, Passage::Open { extra_ns }) => {
                let arrives_ns = at_ns + self.latency_ns + extra_ns + copy.jitter_ns;
                let arriving = if copy.policy == Policy::Errand { &mut self.errands } else { &mut self.under_way };
                arriving.insert((arrives_ns, copy.number), copy);
            }
        }
    }

    fn lose(&mut self, copy: Copy<M>, reason: DropReason, effects: &mut Vec<Effect<M>>) {
        if let Some(connection) = copy.policy.frame().and_then(|flow| self.connections.get_mut(&flow)) {
            connection.broken |= reason == DropReason::Cut;
        }
        effects.push(Effect::Lost(copy.message, reason));
    }

    fn arriving(&mut self, end: End) -> &mut BTreeMap<When, Copy<M>> {
        match end {
            End::Receiver => &mut self.under_way,
            End::Sender => &mut self.errands,
        }
    }

    /// When the next copy arrives that this end takes.
    pub fn next_arrival_ns(&mut self, end: End) -> Option<u64> {
        self.arriving(end).keys().next().map(|(at_ns, _)| *at_ns)
    }

    /// The earliest copy that has arrived and was not taken yet.
    pub fn arrive(&mut self, now_ns: u64, end: End) -> Option<M> {
        let first = self.arriving(end).first_entry().filter(|first| first.key().0 <= now_ns)?;
        Some(first.remove().message)
    }

    /// The active faults have changed the link. A copy that leaves at this instant meets the new state.
    pub fn changed(&mut self, now_ns: u64, state: LinkState) -> Vec<Effect<M>> {
        let mut effects = now_ns.checked_sub(1).map(|before_ns| self.depart(before_ns)).unwrap_or_default();
        let was = std::mem::replace(&mut self.state, state);
        if state.cut && !was.cut {
            self.sever(now_ns, &mut effects);
        }
        if (was.cut || was.hold) && matches!(state.passage(), Passage::Open { .. }) {
            self.release(now_ns, was.cut);
        }
        effects.extend(self.depart(now_ns));
        effects
    }

    /// A cut begins: copies under way or held are lost. An idle connection survives the cut, as in reality.
    fn sever(&mut self, now_ns: u64, effects: &mut Vec<Effect<M>>) {
        for copy in std::mem::take(&mut self.stopped) {
            match copy.policy.is_segment() {
                true => self.stopped.push(copy),
                false => self.lose(copy, DropReason::Cut, effects),
            }
        }
        for end in [End::Receiver, End::Sender] {
            for copy in self.arriving(end).split_off(&(now_ns + 1, 0)).into_values() {
                match copy.policy.is_segment() {
                    true => {
                        effects.push(Effect::Held(copy.message.clone()));
                        self.stopped.push(copy);
                    }
                    false => self.lose(copy, DropReason::Cut, effects),
                }
            }
        }
    }

    /// The link is open again: waiting copies leave. After a cut, a stream's segments leave at their sender's next try.
    fn release(&mut self, now_ns: u64, after_cut: bool) {
        let stopped = std::mem::take(&mut self.stopped);
        let mut oldest_ns: BTreeMap<Flow, u64> = BTreeMap::new();
        for copy in &stopped {
            if let Policy::Segment(stream) = copy.policy {
                let oldest_ns = oldest_ns.entry(stream).or_insert(copy.sent_ns);
                *oldest_ns = copy.sent_ns.min(*oldest_ns);
            }
        }
        for copy in stopped {
            let at_ns = match copy.policy {
                Policy::Segment(stream) if after_cut => next_try_ns(oldest_ns[&stream], now_ns),
                _ => now_ns,
            };
            self.leaving.insert((at_ns, copy.number), copy);
        }
    }

    /// Frames may be sent on this connection, and wait until it is open.
    pub fn opening(&mut self, flow: Flow) {
        self.connections.insert(flow, Connection { stage: Stage::Opening, broken: false });
    }

    /// The connection is open: what waited for it leaves.
    pub fn open(&mut self, now_ns: u64, flow: Flow) -> Vec<Effect<M>> {
        self.connections.insert(flow, Connection { stage: Stage::Open, broken: false });
        for copy in self.unconnected.extract_if(.., |copy| copy.policy == Policy::Frame(flow)) {
            self.leaving.insert((now_ns, copy.number), copy);
        }
        self.depart(now_ns)
    }

    /// The sender closes the connection: what it has sent goes on.
    pub fn close(&mut self, flow: Flow) {
        if let Some(connection) = self.connections.get_mut(&flow) {
            connection.stage = Stage::Closed;
        }
        let waiting = self.leaving.values().chain(&self.stopped);
        let used: BTreeSet<Flow> = waiting.filter_map(|copy| copy.policy.frame()).collect();
        self.connections.retain(|flow, connection| connection.stage != Stage::Closed || used.contains(flow));
    }

    /// The connection cannot be opened, or its receiver has closed it: what is on it is lost.
    pub fn abandon(&mut self, flow: Flow) -> Vec<Effect<M>> {
        self.connections.remove(&flow);
        self.drain(DropReason::Connection, |copy, _| copy.policy == Policy::Frame(flow))
    }

    /// The process at the sending end is gone.
    pub fn sender_died(&mut self) -> Vec<Effect<M>> {
        self.connections.retain(|_, connection| connection.stage != Stage::Opening);
        self.drain(DropReason::Crash, |copy, arrives_ns| match copy.policy {
            Policy::Frame(_) => arrives_ns.is_none(),
            Policy::Errand => true,
            Policy::Segment(_) | Policy::Datagram => false,
        })
    }

    /// The process at the receiving end is gone. Everything under way to it is lost.
    pub fn receiver_died(&mut self) -> Vec<Effect<M>> {
        self.drain(DropReason::Crash, |copy, arrives_ns| !copy.policy.is_segment() && arrives_ns.is_some())
    }

    /// A process starts at the receiving end: what arrived while there was none is lost.
    pub fn receiver_starts(&mut self, now_ns: u64) -> Vec<Effect<M>> {
        self.drain(DropReason::Connection, |copy, arrives_ns| {
            matches!(copy.policy, Policy::Frame(_) | Policy::Datagram)
                && arrives_ns.is_some_and(|at_ns| at_ns <= now_ns)
        })
    }

    /// The run ends: a copy that was sent before this instant and has not arrived is lost.
    pub fn settle(&mut self, before_ns: u64) -> Vec<Effect<M>> {
        self.drain(DropReason::Connection, |copy, _| !copy.policy.is_segment() && copy.sent_ns < before_ns)
    }

    /// Loses every copy for which `is_lost` holds; it is given the copy's arrival time if the copy is under way.
    fn drain(&mut self, reason: DropReason, is_lost: impl Fn(&Copy<M>, Option<u64>) -> bool) -> Vec<Effect<M>> {
        let mut lost: Vec<Copy<M>> = Vec::new();
        lost.extend(self.leaving.extract_if(.., |_, copy| is_lost(copy, None)).map(|(_, copy)| copy));
        lost.extend(self.unconnected.extract_if(.., |copy| is_lost(copy, None)));
        lost.extend(self.stopped.extract_if(.., |copy| is_lost(copy, None)));
        for arriving in [&mut self.under_way, &mut self.errands] {
            lost.extend(arriving.extract_if(.., |when, copy| is_lost(copy, Some(when.0))).map(|(_, copy)| copy));
        }
        lost.sort_by_key(|copy| copy.number);
        lost.into_iter().map(|copy| Effect::Lost(copy.message, reason)).collect()
    }
}

/// When a segment first sent at `sent_ns` is tried again, at or after `now_ns`.
fn next_try_ns(sent_ns: u64, now_ns: u64) -> u64 {
    let (mut at_ns, mut wait_ns) = (sent_ns, RETRANSMIT_NS);
    while at_ns < now_ns {
        at_ns += wait_ns;
        wait_ns *= 2;
    }
    at_ns
}

#[cfg(test)]
mod tests;
