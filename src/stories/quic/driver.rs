//! Drives quinn's protocol machine (`quinn-proto`, which does no I/O of its own) by a host's datagrams, tasks and clock.
//!
//! One task for each endpoint hands the machine what arrived and what is due, sends what it wants sent, and wakes those
//! who wait for what has happened.

use crate::host::Host;
use crate::host::datagram::{Datagram, Socket};
use crate::trace::HostId;
use bytes::BytesMut;
use quinn_proto::{
    ClientConfig, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Event, StreamEvent, StreamId, Transmit,
};
use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::sync::Notify;

/// One end's socket, with all connections that begin or end there. Lives until its process ends.
#[derive(Clone)]
pub struct Endpoint(Rc<Shared>);

struct Shared {
    socket: Socket,
    /// What is told of each datagram that is sent: its length.
    sent: super::Sent,
    state: RefCell<State>,
    /// Somebody wrote to a stream, or did something else that may have to be sent.
    changed: Notify,
}

struct State {
    machine: quinn_proto::Endpoint,
    lines: BTreeMap<usize, Rc<RefCell<Line>>>,
    /// Connections from elsewhere that nobody has taken yet.
    arrived: VecDeque<Rc<RefCell<Line>>>,
    accepting: Option<Waker>,
}

/// One connection.
struct Line {
    machine: quinn_proto::Connection,
    is_established: bool,
    lost: Option<ConnectionError>,
    waiting: BTreeMap<Wait, Vec<Waker>>,
}

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    /// The end of the handshake.
    Established,
    /// A stream that the other end opened.
    Accept(Dir),
    /// Leave to open another stream.
    Open(Dir),
    /// Something to read.
    Read(StreamId),
    /// Room to write.
    Write(StreamId),
}

/// The simulated clock: tokio's own stands still but for the simulator.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The address of a host's port, for libraries that ask for one.
pub(super) fn address(host: HostId, port: u16) -> SocketAddr {
    let [high, low] = host.0.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], port))
}

/// The host's port at an address.
pub(super) fn port_at(address: SocketAddr) -> io::Result<(HostId, u16)> {
    match address {
        SocketAddr::V4(v4) => {
            let [.., high, low] = v4.ip().octets();
            Ok((HostId(u16::from_be_bytes([high, low])), v4.port()))
        }
        SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

impl Endpoint {
    /// An endpoint on a port of a host; `None`: on any free one.
    ///
    /// # Errors
    /// As [`Host::datagrams`].
    pub(super) fn bind(
        host: &Host,
        port: Option<u16>,
        machine: quinn_proto::Endpoint,
        sent: super::Sent,
    ) -> io::Result<Endpoint> {
        let state = State { machine, lines: BTreeMap::new(), arrived: VecDeque::new(), accepting: None };
        let socket = host.datagrams(port)?;
        let shared = Rc::new(Shared { socket, sent, state: RefCell::new(state), changed: Notify::new() });
        host.spawn(drive(shared.clone()));
        Ok(Endpoint(shared))
    }

    /// Connects to a host's port, whose certificate has this name.
    ///
    /// # Errors
    /// If the handshake fails.
    pub(super) async fn connect(&self, config: ClientConfig, to: (HostId, u16), name: &str) -> io::Result<Connection> {
        let line = {
            let mut state = self.0.state.borrow_mut();
            let to = address(to.0, to.1);
            let connected = state.machine.connect(now(), config, to, name).map_err(io::Error::other)?;
            state.add(connected)
        };
        self.0.changed.notify_one();
        let connection = Connection { shared: self.0.clone(), line };
        connection.established().await?;
        Ok(connection)
    }

    /// The next connection from elsewhere. Its handshake is not over yet.
    pub async fn accept(&self) -> Connection {
        let line = poll_fn(|context| {
            let mut state = self.0.state.borrow_mut();
            if let Some(line) = state.arrived.pop_front() {
                return Poll::Ready(line);
            }
            state.accepting = Some(context.waker().clone());
            Poll::Pending
        });
        Connection { shared: self.0.clone(), line: line.await }
    }
}

impl State {
    fn add(&mut self, (handle, machine): (ConnectionHandle, quinn_proto::Connection)) -> Rc<RefCell<Line>> {
        let line = Line { machine, is_established: false, lost: None, waiting: BTreeMap::new() };
        let line = Rc::new(RefCell::new(line));
        self.lines.insert(handle.0, line.clone());
        line
    }
}

async fn drive(shared: Rc<Shared>) {
    loop {
        let due = shared.turn();
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            // In this order: which of two ready branches goes first is not left to chance.
            biased;
            datagram = shared.socket.receive() => shared.take(&datagram),
            () = shared.changed.notified() => {}
            () = timer => {}
        }
    }
}

impl Shared {
    /// Hands the machine a datagram that arrived.
    fn take(&self, Datagram { from, bytes }: &Datagram) {
        let (mut state, mut answer) = (self.state.borrow_mut(), Vec::new());
        let from = address(from.0, from.1);
        match state.machine.handle(now(), from, None, None, BytesMut::from(&bytes[..]), &mut answer) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(line) = state.lines.get(&handle.0) {
                    line.borrow_mut().machine.handle_event(event);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                match state.machine.accept(incoming, now(), &mut answer, None) {
                    Ok(accepted) => {
                        let line = state.add(accepted);
                        state.arrived.push_back(line);
                        state.accepting.take().into_iter().for_each(Waker::wake);
                    }
                    Err(refused) => refused.response.iter().for_each(|response| self.send(response, &answer)),
                }
            }
            Some(DatagramEvent::Response(response)) => self.send(&response, &answer),
            None => {}
        }
    }

    fn send(&self, transmit: &Transmit, bytes: &[u8]) {
        (self.sent)(transmit.size);
        let to = port_at(transmit.destination).expect("a machine answers the addresses that it was given");
        self.socket.send(&bytes[..transmit.size], to);
    }

    /// Does for every connection what is to be done now. When there is something to do next, without a datagram.
    fn turn(&self) -> Option<Instant> {
        let state = &mut *self.state.borrow_mut();
        let mut due: Option<Instant> = None;
        let State { machine, lines, .. } = state;
        lines.retain(|handle, line| {
            let line = &mut *line.borrow_mut();
            if line.machine.poll_timeout().is_some_and(|at| at <= now()) {
                line.machine.handle_timeout(now());
            }
            self.exchange(ConnectionHandle(*handle), machine, line);
            due = due.into_iter().chain(line.machine.poll_timeout()).min();
            !line.machine.is_drained()
        });
        due
    }

    /// Sends what a connection wants sent, and tells endpoint and tasks what has happened to it, until it has no more.
    fn exchange(&self, handle: ConnectionHandle, endpoint: &mut quinn_proto::Endpoint, line: &mut Line) {
        let mut packet = Vec::new();
        let mut is_new = true;
        while is_new {
            is_new = false;
            while let Some(transmit) = line.machine.poll_transmit(now(), 1, &mut packet) {
                self.send(&transmit, &packet);
                packet.clear();
            }
            while let Some(event) = line.machine.poll_endpoint_events() {
                if let Some(answer) = endpoint.handle_event(handle, event) {
                    line.machine.handle_event(answer);
                    is_new = true;
                }
            }
            while let Some(event) = line.machine.poll() {
                line.tell(event);
            }
        }
    }
}

impl Line {
    fn tell(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.is_established = true;
                self.wake(Wait::Established);
            }
            Event::ConnectionLost { reason } => self.lose(reason),
            Event::Stream(StreamEvent::Opened { dir }) => self.wake(Wait::Accept(dir)),
            Event::Stream(StreamEvent::Available { dir }) => self.wake(Wait::Open(dir)),
            Event::Stream(StreamEvent::Readable { id }) => self.wake(Wait::Read(id)),
            Event::Stream(StreamEvent::Writable { id } | StreamEvent::Stopped { id, .. }) => {
                self.wake(Wait::Write(id));
            }
            Event::Stream(StreamEvent::Finished { .. })
            | Event::HandshakeDataReady
            | Event::DatagramReceived
            | Event::DatagramsUnblocked => {}
        }
    }

    fn wake(&mut self, wait: Wait) {
        self.waiting.remove(&wait).into_iter().flatten().for_each(Waker::wake);
    }

    /// The connection is no more: nobody waits for anything of it.
    fn lose(&mut self, reason: ConnectionError) {
        self.lost.get_or_insert(reason);
        std::mem::take(&mut self.waiting).into_values().flatten().for_each(Waker::wake);
    }
}

/// One end of a connection; clones are the same one.
#[derive(Clone)]
pub struct Connection {
    shared: Rc<Shared>,
    line: Rc<RefCell<Line>>,
}

impl Connection {
    /// Waits for the end of the handshake.
    ///
    /// # Errors
    /// If it fails.
    pub async fn established(&self) -> Result<(), ConnectionError> {
        poll_fn(|context| {
            let is_established = self.line.borrow().is_established;
            self.poll(context, Wait::Established, |_| is_established.then_some(()))
        })
        .await
    }

    /// What `get` finds in the connection's machine; where it finds nothing yet, the task waits. What was there before
    /// the connection was lost is still found.
    pub(super) fn poll<T>(
        &self,
        context: &Context<'_>,
        wait: Wait,
        get: impl FnOnce(&mut quinn_proto::Connection) -> Option<T>,
    ) -> Poll<Result<T, ConnectionError>> {
        let line = &mut *self.line.borrow_mut();
        if let Some(found) = get(&mut line.machine) {
            self.shared.changed.notify_one();
            return Poll::Ready(Ok(found));
        }
        if let Some(lost) = &line.lost {
            return Poll::Ready(Err(lost.clone()));
        }
        let waiting = line.waiting.entry(wait).or_default();
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// The connection's machine; what is done to it is sent as soon as the task waits.
    pub(super) fn machine(&self) -> RefMut<'_, quinn_proto::Connection> {
        self.shared.changed.notify_one();
        RefMut::map(self.line.borrow_mut(), |line| &mut line.machine)
    }

    /// Ends the connection.
    pub(super) fn close(&self, code: u64, reason: &[u8]) {
        let code = super::code(code);
        self.machine().close(now(), code, reason.to_vec().into());
        self.line.borrow_mut().lose(ConnectionError::LocallyClosed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_of_a_host() {
        for (host, port) in [(HostId(1), 443), (HostId(300), 40_000)] {
            assert_eq!(port_at(address(host, port)).unwrap(), (host, port));
        }
        assert!(port_at(SocketAddr::from(([0_u16; 8], 1))).is_err());
    }
}
