//! One connection: smoltcp's state machine behind an interface of its own, which is given time and packets.
//!
//! The state machine sends again for ever. How often a kernel does that before it gives up is a setting of the kernel,
//! counted here from what the machine sends.

use super::segment::{Endpoint, Segment};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration as Span, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, TcpSeqNumber};
use std::net::Ipv4Addr;
use std::time::Duration;

pub use smoltcp::socket::tcp::State;

/// The largest IP packet (Ethernet's).
const MTU: usize = 1500;
/// All hosts are neighbours.
const PREFIX: u8 = 8;

/// What goes into and out of an interface.
#[derive(Default)]
struct Wire {
    incoming: Option<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

struct Incoming(Vec<u8>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Outgoing<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut packet = vec![0; length];
        let result = f(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let packet = self.incoming.take()?;
        Some((Incoming(packet), Outgoing(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

/// An interface with at most one socket.
pub(super) struct Machine {
    interface: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    socket: Option<SocketHandle>,
    /// The first byte that the other end has not acknowledged.
    unacknowledged: Option<TcpSeqNumber>,
    /// How often it was sent.
    sent: u32,
    /// How many probes of an idle connection were sent since anything was received.
    probes: u32,
}

/// What a machine does differently from others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Bytes that may wait to be read, and to be acknowledged.
    pub buffer: usize,
    /// Sends small pieces at once.
    pub no_delay: bool,
    /// How often an idle connection is probed.
    pub keep_alive: Option<Duration>,
}

/// How often a machine may send something before the kernel gives up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub retries: u32,
    pub probes: u32,
}

fn instant(now_ns: u64) -> Instant {
    Instant::from_micros((now_ns / 1000) as i64)
}

impl Machine {
    /// An interface without a socket, which refuses what it receives.
    pub fn without_socket(address: Ipv4Addr, seed: u64) -> Machine {
        let mut wire = Wire::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        let address = IpCidr::new(address.into(), PREFIX);
        interface.update_ip_addrs(|addresses| addresses.push(address).expect("it is the first address"));
        let sockets = SocketSet::new(Vec::new());
        Machine { interface, sockets, wire, socket: None, unacknowledged: None, sent: 0, probes: 0 }
    }

    fn with_socket(address: Ipv4Addr, seed: u64, options: &Options) -> Machine {
        let mut machine = Machine::without_socket(address, seed);
        let buffer = || tcp::SocketBuffer::new(vec![0; options.buffer]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(!options.no_delay);
        socket.set_keep_alive(options.keep_alive.map(|every| Span::from_micros(every.as_micros() as u64)));
        machine.socket = Some(machine.sockets.add(socket));
        machine
    }

    /// A connection that will be opened by the next packet that it receives.
    pub fn listening(address: Ipv4Addr, port: u16, seed: u64, options: &Options) -> Machine {
        let mut machine = Machine::with_socket(address, seed, options);
        machine.socket().listen(port).expect("a new socket can listen at a port");
        machine
    }

    /// A connection that is being opened to a port elsewhere.
    pub fn connecting(local: Endpoint, remote: Endpoint, seed: u64, options: &Options) -> Machine {
        let mut machine = Machine::with_socket(local.0, seed, options);
        let handle = machine.socket.expect("it has a socket");
        let socket = machine.sockets.get_mut::<tcp::Socket>(handle);
        socket.connect(machine.interface.context(), remote, local).expect("a new socket can connect");
        machine
    }

    /// Its socket.
    ///
    /// # Panics
    /// If it has none.
    pub fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.socket.expect("only the machine that refuses has no socket"))
    }

    pub fn state(&self) -> State {
        self.socket.map_or(State::Closed, |handle| self.sockets.get::<tcp::Socket>(handle).state())
    }

    /// Takes a packet, and returns what it sends.
    pub fn receive(&mut self, now_ns: u64, segment: &Segment, packet: &[u8]) -> Vec<Vec<u8>> {
        self.probes = 0;
        if let Some((ack, known)) = segment.ack.zip(self.unacknowledged)
            && ack > known
        {
            (self.unacknowledged, self.sent) = (Some(ack), 0);
        }
        self.wire.incoming = Some(packet.to_vec());
        if self.state() == State::TimeWait {
            // How long this state lasts is not the machine's to decide.
            self.interface.poll_ingress_single(instant(now_ns), &mut self.wire, &mut self.sockets);
        } else {
            self.interface.poll(instant(now_ns), &mut self.wire, &mut self.sockets);
        }
        std::mem::take(&mut self.wire.outgoing)
    }

    /// What it sends by itself, now.
    pub fn poll(&mut self, now_ns: u64) -> Vec<Vec<u8>> {
        if self.state() != State::TimeWait {
            while self.interface.poll_egress(instant(now_ns), &mut self.wire, &mut self.sockets)
                != smoltcp::iface::PollResult::None
            {}
        }
        std::mem::take(&mut self.wire.outgoing)
    }

    /// When it next has something to do by itself, later than now: it has just done what it could.
    pub fn next_ns(&mut self, now_ns: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now_ns), &self.sockets)?;
        Some((at.total_micros().max(0) as u64 * 1000).max(now_ns + 1))
    }

    /// Counts a segment that is about to be sent; whether it was sent too often without an answer.
    pub fn is_sent_too_often(&mut self, segment: &Segment, limits: &Limits) -> bool {
        if !segment.must_be_acknowledged() {
            return false;
        }
        let first = *self.unacknowledged.get_or_insert(segment.seq);
        if segment.seq == first {
            self.sent += 1;
        } else if segment.seq < first {
            // One byte that the other end has: a probe.
            self.probes += 1;
        }
        self.sent > limits.retries + 1 || self.probes > limits.probes
    }
}
