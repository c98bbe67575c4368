//! The TCP of one host: finds a segment's connection, and keeps what a kernel keeps beside the state machines: ports,
//! the two queues of a listening port, and connections in TIME-WAIT.
//!
//! Nothing here knows a simulator or a task: it is given the time and packets, and returns packets.

use super::machine::{Limits, Machine, Options, State};
use super::record::{Counts, Entry, Event, Failure, Id};
use super::segment::{Endpoint, Segment};
use super::settings::Settings;
use crate::rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

struct Connection {
    machine: Machine,
    local_port: u16,
    remote: Endpoint,
    /// It came in at a listening port.
    is_incoming: bool,
    /// The program has let go of it.
    is_orphan: bool,
    state: State,
    failure: Option<Failure>,
    timer_ns: Option<u64>,
}

#[derive(Default)]
struct Port {
    half_open: usize,
    open: VecDeque<Id>,
}

/// The TCP of one host.
pub struct Stack {
    address: Ipv4Addr,
    settings: Settings,
    seed: u64,
    next_id: Id,
    next_port: u16,
    connections: BTreeMap<Id, Connection>,
    pairs: BTreeMap<(u16, Endpoint), Id>,
    /// How many ports lead to each endpoint.
    used: BTreeMap<Endpoint, usize>,
    listening: BTreeMap<u16, Port>,
    refusing: Machine,
    timers: BTreeSet<(u64, Id)>,
    outgoing: Vec<(Ipv4Addr, Vec<u8>)>,
    changed: BTreeSet<Id>,
    counts: Counts,
    log: Vec<Entry>,
}

impl Stack {
    /// A stack without connections.
    pub fn new(address: Ipv4Addr, settings: Settings, seed: u64) -> Stack {
        Stack {
            address,
            seed,
            next_id: 1,
            next_port: *settings.ports.start(),
            settings,
            connections: BTreeMap::new(),
            pairs: BTreeMap::new(),
            used: BTreeMap::new(),
            listening: BTreeMap::new(),
            refusing: Machine::without_socket(address, seed),
            timers: BTreeSet::new(),
            outgoing: Vec::new(),
            changed: BTreeSet::new(),
            counts: Counts::default(),
            log: Vec::new(),
        }
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What happened to its connections, if its settings say that this is kept.
    pub fn log(&self) -> &[Entry] {
        &self.log
    }

    /// How many connections are in this state, as `netstat` counts them.
    pub fn in_state(&self, state: State) -> usize {
        self.pairs.values().filter(|id| self.connections[*id].state == state).count()
    }

    /// How many connections of a listening port are half open, and how many are open and wait to be accepted.
    pub fn queues(&self, port: u16) -> (usize, usize) {
        self.listening.get(&port).map_or((0, 0), |port| (port.half_open, port.open.len()))
    }

    /// Connections to this port are accepted from now on.
    pub fn listen(&mut self, port: u16) {
        self.listening.entry(port).or_default();
    }

    /// The connection that has waited longest to be accepted.
    pub fn accept(&mut self, port: u16) -> Option<Id> {
        self.listening.get_mut(&port)?.open.pop_front()
    }

    /// Begins to open a connection.
    ///
    /// # Errors
    /// If no port is free.
    pub fn connect(&mut self, now_ns: u64, remote: Endpoint) -> Result<Id, Failure> {
        let Some(port) = self.free_port(remote) else {
            self.counts.no_port += 1;
            return Err(Failure::NoPort);
        };
        let (id, seed) = self.next();
        let machine = Machine::connecting((self.address, port), remote, seed, &self.options());
        self.insert(id, machine, port, remote, false);
        *self.used.entry(remote).or_default() += 1;
        self.settle(now_ns, id, None);
        self.poll_one(now_ns, id);
        Ok(id)
    }

    fn free_port(&mut self, remote: Endpoint) -> Option<u16> {
        let (first, last) = self.settings.ports.clone().into_inner();
        if self.used.get(&remote).copied().unwrap_or_default() >= self.settings.ports.len() {
            return None;
        }
        let mut ports = (self.next_port..=last).chain(first..self.next_port);
        let port = ports.find(|port| !self.pairs.contains_key(&(*port, remote)))?;
        self.next_port = if port == last { first } else { port + 1 };
        Some(port)
    }

    fn next(&mut self) -> (Id, u64) {
        let id = self.next_id;
        self.next_id += 1;
        (id, rng::hash(self.seed, &[id]))
    }

    fn options(&self) -> Options {
        Options {
            buffer: self.settings.buffer,
            no_delay: self.settings.no_delay,
            keep_alive: self.settings.keep_alive.map(|(every, _)| every),
        }
    }

    fn insert(&mut self, id: Id, machine: Machine, local_port: u16, remote: Endpoint, is_incoming: bool) {
        let state = if is_incoming { State::Listen } else { State::Closed };
        let connection = Connection {
            machine,
            local_port,
            remote,
            is_incoming,
            is_orphan: false,
            state,
            failure: None,
            timer_ns: None,
        };
        self.connections.insert(id, connection);
        self.pairs.insert((local_port, remote), id);
    }

    /// Takes a packet.
    pub fn receive(&mut self, now_ns: u64, packet: &[u8]) {
        let Some(segment) = Segment::read(packet) else { return };
        self.counts.received += 1;
        let pair = (segment.to.1, segment.from);
        if let Some(id) = self.pairs.get(&pair).copied() {
            // As Linux does with time stamps (RFC 6191): what is remembered of the old connection makes way.
            if !(segment.opens() && self.connections[&id].state == State::TimeWait) {
                return self.hand_over(now_ns, id, &segment, packet);
            }
            self.remove(now_ns, id);
        }
        let Some(port) = self.listening.get(&segment.to.1).filter(|_| segment.opens()) else {
            let sent = self.refusing.receive(now_ns, &segment, packet);
            return sent.into_iter().for_each(|packet| self.send_packet(segment.from.0, packet));
        };
        if port.open.len() >= self.settings.accept_backlog {
            self.counts.accept_queue_full += 1;
        } else if port.half_open >= self.settings.syn_backlog {
            self.counts.syn_queue_full += 1;
        } else {
            let (id, seed) = self.next();
            let machine = Machine::listening(self.address, segment.to.1, seed, &self.options());
            self.insert(id, machine, segment.to.1, segment.from, true);
            self.hand_over(now_ns, id, &segment, packet);
        }
    }

    /// Gives a connection a packet.
    fn hand_over(&mut self, now_ns: u64, id: Id, segment: &Segment, packet: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let is_half_open = connection.state == State::SynReceived && connection.is_incoming;
        if is_half_open && !segment.rst && self.queues(segment.to.1).1 >= self.settings.accept_backlog {
            // As Linux does: the other end's last ACK is ignored, and the SYN ACK will be sent again.
            self.counts.accept_queue_full += 1;
            return;
        }
        self.note(now_ns, id, Event::Received(*segment));
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let sent = connection.machine.receive(now_ns, segment, packet);
        self.settle(now_ns, id, Some(segment));
        self.send_all(now_ns, id, sent);
    }

    /// Does what is due.
    pub fn poll(&mut self, now_ns: u64) {
        while let Some((_, id)) = self.timers.first().filter(|(at_ns, _)| *at_ns <= now_ns).copied() {
            self.timers.pop_first();
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            connection.timer_ns = None;
            if connection.state == State::TimeWait {
                self.end(now_ns, id, None);
            } else {
                self.poll_one(now_ns, id);
            }
        }
    }

    fn poll_one(&mut self, now_ns: u64, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let sent = connection.machine.poll(now_ns);
        self.settle(now_ns, id, None);
        self.send_all(now_ns, id, sent);
    }

    /// When [`Stack::poll`] next has something to do.
    pub fn next_ns(&self) -> Option<u64> {
        self.timers.first().map(|(at_ns, _)| *at_ns)
    }

    /// What is to be carried to other hosts.
    pub fn take_outgoing(&mut self) -> Vec<(Ipv4Addr, Vec<u8>)> {
        std::mem::take(&mut self.outgoing)
    }

    /// The connections to which something happened.
    pub fn take_changed(&mut self) -> BTreeSet<Id> {
        std::mem::take(&mut self.changed)
    }

    fn send_packet(&mut self, to: Ipv4Addr, packet: Vec<u8>) {
        self.counts.sent += 1;
        self.outgoing.push((to, packet));
    }

    /// Sends what a machine wants to send, unless it was sent too often; then the connection ends, and the other end is
    /// not told: it has not answered anyway.
    fn send_all(&mut self, now_ns: u64, id: Id, packets: Vec<Vec<u8>>) {
        for packet in packets {
            let Some(segment) = Segment::read(&packet) else { continue };
            let limits = self.limits(id);
            if let Some(connection) = self.connections.get_mut(&id)
                && connection.machine.is_sent_too_often(&segment, &limits)
            {
                return self.end(now_ns, id, Some(Failure::TimedOut));
            }
            self.note(now_ns, id, Event::Sent(segment));
            self.send_packet(segment.to.0, packet);
        }
        self.set_timer(now_ns, id);
    }

    fn limits(&self, id: Id) -> Limits {
        let retries = match self.connections.get(&id).map(|connection| connection.state) {
            Some(State::SynSent) => self.settings.syn_retries,
            Some(State::SynReceived) => self.settings.syn_ack_retries,
            _ => self.settings.retries,
        };
        Limits { retries, probes: self.settings.keep_alive.map_or(u32::MAX, |(_, probes)| probes) }
    }

    fn set_timer(&mut self, now_ns: u64, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.state == State::TimeWait || connection.failure.is_some() {
            return;
        }
        let next_ns = connection.machine.next_ns(now_ns);
        if connection.timer_ns == next_ns {
            return;
        }
        if let Some(old_ns) = std::mem::replace(&mut connection.timer_ns, next_ns) {
            self.timers.remove(&(old_ns, id));
        }
        self.timers.extend(next_ns.map(|next_ns| (next_ns, id)));
    }

    /// Takes note of a state that may have changed.
    fn settle(&mut self, now_ns: u64, id: Id, received: Option<&Segment>) {
        self.changed.insert(id);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (was, is) = (connection.state, connection.machine.state());
        if was == is {
            return;
        }
        connection.state = is;
        if connection.is_incoming {
            let port = self.listening.entry(connection.local_port).or_default();
            port.half_open += usize::from(is == State::SynReceived);
            port.half_open -= usize::from(was == State::SynReceived);
            if was == State::SynReceived {
                match is {
                    State::Established | State::CloseWait => port.open.push_back(id),
                    // It was never a program's.
                    _ => connection.is_orphan = true,
                }
            }
        }
        match is {
            State::TimeWait => {
                let until_ns = now_ns + self.settings.time_wait.as_nanos() as u64;
                if let Some(old_ns) = connection.timer_ns.replace(until_ns) {
                    self.timers.remove(&(old_ns, id));
                }
                self.timers.insert((until_ns, id));
                self.note(now_ns, id, Event::Became(is));
            }
            // A half-open connection that is reset listens again.
            State::Closed | State::Listen => {
                let failure = match (was, received.is_some_and(|segment| segment.rst)) {
                    (State::SynSent, true) => Some(Failure::Refused),
                    (_, true) => Some(Failure::Reset),
                    _ => None,
                };
                self.end(now_ns, id, failure);
            }
            _ => self.note(now_ns, id, Event::Became(is)),
        }
    }

    /// The connection is over. Its program, if it still holds it, may read what has arrived.
    fn end(&mut self, now_ns: u64, id: Id, failure: Option<Failure>) {
        self.changed.insert(id);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let was_half_open = connection.is_incoming && connection.state == State::SynReceived;
        connection.state = State::Closed;
        connection.failure = failure.or(connection.failure).or(Some(Failure::Closed));
        if let Some(old_ns) = connection.timer_ns.take() {
            self.timers.remove(&(old_ns, id));
        }
        let (port, remote) = (connection.local_port, connection.remote);
        let (is_incoming, is_orphan) = (connection.is_incoming, connection.is_orphan);
        if self.pairs.remove(&(port, remote)).is_some() {
            if !is_incoming && let Some(used) = self.used.get_mut(&remote) {
                *used -= 1;
            }
            if let Some(port) = self.listening.get_mut(&port).filter(|_| was_half_open) {
                port.half_open -= 1;
            }
            failure.into_iter().for_each(|failure| self.note(now_ns, id, Event::Failed(failure)));
            self.note(now_ns, id, Event::Became(State::Closed));
        }
        if is_orphan || was_half_open {
            self.connections.remove(&id);
        }
    }

    fn remove(&mut self, now_ns: u64, id: Id) {
        self.end(now_ns, id, None);
    }

    fn note(&mut self, at_ns: u64, id: Id, event: Event) {
        if self.settings.is_logged {
            self.log.push(Entry { at_ns, id, event });
        }
    }

    /// The state of a connection.
    pub fn state(&self, id: Id) -> State {
        self.connections.get(&id).map_or(State::Closed, |connection| connection.state)
    }

    /// Whether a connection is open, or why it is not; `None` while it is being opened.
    pub fn opened(&self, id: Id) -> Option<Result<(), Failure>> {
        let connection = self.connections.get(&id)?;
        match (connection.state, connection.failure) {
            (State::SynSent | State::SynReceived, _) => None,
            (State::Closed, Some(failure)) => Some(Err(failure)),
            _ => Some(Ok(())),
        }
    }

    /// What has arrived: bytes, or no bytes at the end of what the other end sent. `None`: nothing yet.
    pub fn read(&mut self, now_ns: u64, id: Id) -> Option<Result<Vec<u8>, Failure>> {
        let Some(connection) = self.connections.get_mut(&id) else { return Some(Err(Failure::Closed)) };
        let socket = connection.machine.socket();
        if socket.recv_queue() > 0 {
            let mut bytes = vec![0; socket.recv_queue()];
            let count = socket.recv_slice(&mut bytes).unwrap_or_default();
            bytes.truncate(count);
            // There is room again, of which the other end may have to be told.
            self.poll_one(now_ns, id);
            return Some(Ok(bytes));
        }
        match (connection.state, connection.failure) {
            (_, Some(failure @ (Failure::Reset | Failure::TimedOut | Failure::Refused))) => Some(Err(failure)),
            (State::CloseWait | State::LastAck | State::Closing | State::TimeWait | State::Closed, _) => {
                Some(Ok(Vec::new()))
            }
            _ => None,
        }
    }

    /// Takes as many bytes as there is room for; `None` if there is none now.
    pub fn write(&mut self, now_ns: u64, id: Id, bytes: &[u8]) -> Option<Result<usize, Failure>> {
        let Some(connection) = self.connections.get_mut(&id) else { return Some(Err(Failure::Closed)) };
        if let Some(failure) = connection.failure {
            return Some(Err(failure));
        }
        match connection.machine.socket().send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => None,
            Ok(count) => {
                self.poll_one(now_ns, id);
                Some(Ok(count))
            }
            Err(_) => Some(Err(Failure::Closed)),
        }
    }

    /// Sends nothing more on a connection.
    pub fn close(&mut self, now_ns: u64, id: Id) {
        if let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.failure.is_none()) {
            connection.machine.socket().close();
            self.poll_one(now_ns, id);
        }
    }

    /// Throws a connection away: the other end is told by a reset, and nothing is remembered.
    pub fn abort(&mut self, now_ns: u64, id: Id) {
        if let Some(connection) = self.connections.get_mut(&id).filter(|connection| connection.failure.is_none()) {
            connection.machine.socket().abort();
            self.poll_one(now_ns, id);
        }
    }

    /// The program lets go of a connection: it is closed, and goes on without it.
    pub fn release(&mut self, now_ns: u64, id: Id) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.is_orphan = true;
        match connection.state {
            State::Closed => {
                self.connections.remove(&id);
            }
            // Linux sends nothing here, smoltcp a reset.
            State::SynSent => self.end(now_ns, id, None),
            _ => self.close(now_ns, id),
        }
    }
}
