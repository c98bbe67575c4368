//! QUIC by quinn over simulated datagrams: tasks, timers, time, sockets and entropy are the host's, so that a connection
//! is the same to the last byte in every run of a seed. `session`: its handshake, by rustls.
//!
//! Both ends have a congestion window that is never full, as the simulated byte streams have none either.

mod session;

use super::tls;
use crate::host::datagram::{Datagram, Socket};
use crate::host::{Host, lock};
use crate::trace::HostId;
use quinn::congestion::{Controller, ControllerFactory};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{
    AsyncTimer, AsyncUdpSocket, ClientConfig, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Runtime,
    ServerConfig, TransportConfig, UdpPoller, VarInt,
};
use session::{Client, NoTokens, ResetKey, Server};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The port of every server.
const PORT: u16 = 443;
/// The length of a connection's name.
const NAME: usize = 8;
/// Streams that a connection may have open at once: more than a page, so that a lost permission for more is no matter.
const STREAMS: u32 = 1 << 10;
/// A congestion window that nothing fills.
const WINDOW: u64 = 1 << 30;

/// What is told of each datagram that an endpoint sends: its length.
pub type Sent = Arc<dyn Fn(usize) + Send + Sync>;

/// A server's endpoint, whose datagrams have this length at most.
///
/// # Errors
/// As [`Host::datagrams`].
pub fn server(host: &Host, protocol: &[u8], datagram: u16, sent: Sent) -> io::Result<Endpoint> {
    let mut crypto = tls::server(None);
    crypto.alpn_protocols = vec![protocol.to_vec()];
    let mut config = ServerConfig::new(Arc::new(Server(Arc::new(crypto))), Arc::new(NoTokens));
    config.transport_config(transport(datagram)).migration(false);
    endpoint(host, Some(PORT), Some(config), sent)
}

/// Connects to a server.
///
/// # Errors
/// If it cannot be reached.
pub async fn connect(
    host: &Host,
    to: HostId,
    protocol: &[u8],
    datagram: u16,
) -> io::Result<(Endpoint, quinn::Connection)> {
    let mut crypto = tls::client(false);
    crypto.alpn_protocols = vec![protocol.to_vec()];
    let mut config = ClientConfig::new(Arc::new(Client(Arc::new(crypto))));
    let names = host.clone();
    config.transport_config(transport(datagram));
    config.initial_dst_cid_provider(Arc::new(move || drawn_name(&names)));
    let endpoint = endpoint(host, None, None, Arc::new(|_| ()))?;
    let connecting = endpoint.connect_with(config, address(to, PORT), tls::NAME).map_err(io::Error::other)?;
    let connection = connecting.await.map_err(io::Error::other)?;
    Ok((endpoint, connection))
}

fn endpoint(host: &Host, port: Option<u16>, server: Option<ServerConfig>, sent: Sent) -> io::Result<Endpoint> {
    let drawn = || {
        let mut bytes = [0; 32];
        host.random_bytes(&mut bytes);
        bytes
    };
    let mut config = EndpointConfig::new(Arc::new(ResetKey(drawn())));
    let names = host.clone();
    config.cid_generator(move || Box::new(Names(names.clone()))).rng_seed(Some(drawn()));
    let datagrams = Datagrams::bind(host, port, sent)?;
    Endpoint::new_with_abstract_socket(config, server, datagrams, Arc::new(OfHost(host.clone())))
}

fn transport(datagram: u16) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .initial_mtu(datagram)
        .mtu_discovery_config(None)
        .congestion_controller_factory(Arc::new(NeverFull))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        .max_idle_timeout(None);
    Arc::new(config)
}

/// A connection's name, drawn from a host.
fn drawn_name(host: &Host) -> ConnectionId {
    let mut bytes = [0; NAME];
    host.random_bytes(&mut bytes);
    ConnectionId::new(&bytes)
}

/// Names of connections.
struct Names(Host);

impl ConnectionIdGenerator for Names {
    fn generate_cid(&mut self) -> ConnectionId {
        drawn_name(&self.0)
    }

    fn cid_len(&self) -> usize {
        NAME
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Never keeps anything back.
#[derive(Clone)]
struct NeverFull;

impl ControllerFactory for NeverFull {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(NeverFull)
    }
}

impl Controller for NeverFull {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        WINDOW
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(NeverFull)
    }

    fn initial_window(&self) -> u64 {
        WINDOW
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// quinn's tasks and time, as those of a host.
#[derive(Debug)]
struct OfHost(Host);

impl Runtime for OfHost {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer(Box::pin(tokio::time::sleep_until(at.into()))))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(future);
    }

    fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn now(&self) -> Instant {
        // The simulated clock: tokio's own stands still but for the simulator.
        tokio::time::Instant::now().into_std()
    }
}

#[derive(Debug)]
struct Timer(Pin<Box<tokio::time::Sleep>>);

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.as_mut().reset(at.into());
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

/// The address of a host's port, for libraries that ask for one.
fn address(host: HostId, port: u16) -> SocketAddr {
    let [high, low] = host.0.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], port))
}

/// The host's port at an address.
fn port_at(address: SocketAddr) -> io::Result<(HostId, u16)> {
    match address {
        SocketAddr::V4(v4) => {
            let [.., high, low] = v4.ip().octets();
            Ok((HostId(u16::from_be_bytes([high, low])), v4.port()))
        }
        SocketAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// A socket of a host, as quinn asks for one.
struct Datagrams {
    host: HostId,
    socket: Arc<Socket>,
    inbox: Mutex<Inbox>,
    sent: Sent,
}

#[derive(Default)]
struct Inbox {
    arrived: VecDeque<Datagram>,
    waker: Option<Waker>,
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagrams({}, {})", self.host, self.socket.port())
    }
}

impl Datagrams {
    fn bind(host: &Host, port: Option<u16>, sent: Sent) -> io::Result<Arc<Datagrams>> {
        let socket = Arc::new(host.datagrams(port)?);
        let datagrams = Arc::new(Datagrams { host: host.id(), socket, inbox: Mutex::default(), sent });
        let receiving = datagrams.clone();
        host.spawn(async move {
            loop {
                let datagram = receiving.socket.receive().await;
                let waker = {
                    let mut inbox = lock(&receiving.inbox);
                    inbox.arrived.push_back(datagram);
                    inbox.waker.take()
                };
                waker.into_iter().for_each(Waker::wake);
            }
        });
        Ok(datagrams)
    }
}

impl AsyncUdpSocket for Datagrams {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        (self.sent)(transmit.contents.len());
        self.socket.send(transmit.contents, port_at(transmit.destination)?);
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut inbox = lock(&self.inbox);
        let mut received = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let Some(Datagram { from, bytes }) = inbox.arrived.pop_front() else { break };
            // What does not fit is cut off, as by a kernel.
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            let (addr, ecn, dst_ip) = (address(from.0, from.1), None, None);
            *meta = RecvMeta { addr, len: length, stride: length, ecn, dst_ip };
            received += 1;
        }
        if received == 0 {
            inbox.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(address(self.host, self.socket.port()))
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// A simulated network takes whatever is sent.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Notes, World, named};
    use super::*;
    use crate::fault::kinds::Messages;
    use crate::fault::model::{Chaos, Fault};
    use crate::trace::digest::Digest;

    /// A client sends this much to a server that sends it back; the digest of every packet, and what came back.
    fn echo(seed: u64, length: usize, faults: &[Fault]) -> (Digest, Option<Vec<u8>>) {
        let log = Notes::new(None);
        let notes = log.clone();
        let sent: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let world = World::new(seed, 1, 20.0, 5).faults(faults).host("server", |host| async move {
            let endpoint = server(&host, b"echo", 1200, Arc::new(|_| ())).unwrap();
            while let Some(incoming) = endpoint.accept().await {
                let connection = incoming.await.unwrap();
                let (mut to, mut from) = connection.accept_bi().await.unwrap();
                let asked = from.read_to_end(1 << 20).await.unwrap();
                to.write_all(&asked).await.unwrap();
                to.finish().unwrap();
                connection.closed().await;
            }
        });
        let world = world.host("client", move |host| {
            let (notes, sent) = (notes.clone(), sent.clone());
            async move {
                let (_endpoint, connection) = connect(&host, named(&host, "server"), b"echo", 1200).await.unwrap();
                let (mut to, mut from) = connection.open_bi().await.unwrap();
                to.write_all(&sent).await.unwrap();
                to.finish().unwrap();
                let answer = from.read_to_end(1 << 20).await.unwrap();
                notes.with(|notes| *notes = Some(answer));
                std::future::pending().await
            }
        });
        let ran = world.run().unwrap();
        (ran.digest, log.with(Option::take))
    }

    fn loss(loss_ppm: u32) -> Vec<Fault> {
        let chaos = Chaos { loss_ppm, ..Chaos::NONE };
        let kind = Messages { from: Vec::new(), to: Vec::new(), kinds: Vec::new(), chaos };
        vec![Fault { at_ms: 0, for_ms: None, kind: kind.into(), when: None }]
    }

    #[test]
    fn what_is_sent_comes_back_whatever_is_lost() {
        let sent: Vec<u8> = (0..100_000).map(|at| at as u8).collect();
        for faults in [Vec::new(), loss(100_000)] {
            assert!(echo(3, 100_000, &faults).1.as_ref() == Some(&sent), "{faults:?}");
        }
        assert_eq!(echo(3, 10, &loss(1_000_000)).1, None, "and nothing, if all is");
    }

    #[test]
    fn a_connection_is_the_same_to_the_last_byte() {
        let (first, _) = echo(3, 50_000, &loss(50_000));
        assert_eq!(first, echo(3, 50_000, &loss(50_000)).0);
        assert_ne!(echo(3, 10, &[]).0, echo(4, 10, &[]).0, "its random bytes are the seed's");
    }

    #[test]
    fn an_address_is_a_port_of_a_host() {
        for (host, port) in [(HostId(1), 443), (HostId(300), 40_000)] {
            assert_eq!(port_at(address(host, port)).unwrap(), (host, port));
        }
        assert!(port_at(SocketAddr::from(([0_u16; 8], 1))).is_err());
    }
}
