//! QUIC by quinn's protocol machine over simulated datagrams: tasks, timers, time, sockets and entropy are the host's, so
//! that a connection is the same to the last byte in every run of a seed. `driver`: what hands it datagrams and time.
//! `streams`: its streams, for h3. `session`: its handshake, by rustls.
//!
//! Both ends have a congestion window that is never full, as the simulated byte streams have none either.

mod driver;
mod session;
mod streams;

use super::tls;
use crate::host::Host;
use crate::trace::HostId;
pub use driver::{Connection, Endpoint};
use quinn_proto::congestion::{Controller, ControllerFactory};
use quinn_proto::{
    ClientConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig, ServerConfig, TransportConfig, VarInt,
};
use session::{Client, NoTokens, ResetKey, Server};
use std::any::Any;
use std::io;
use std::sync::Arc;
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
pub async fn connect(host: &Host, to: HostId, protocol: &[u8], datagram: u16) -> io::Result<Connection> {
    let mut crypto = tls::client(false);
    crypto.alpn_protocols = vec![protocol.to_vec()];
    let mut config = ClientConfig::new(Arc::new(Client(Arc::new(crypto))));
    let names = host.clone();
    config.transport_config(transport(datagram));
    config.initial_dst_cid_provider(Arc::new(move || drawn_name(&names)));
    endpoint(host, None, None, Arc::new(|_| ()))?.connect(config, (to, PORT), tls::NAME).await
}

fn endpoint(host: &Host, port: Option<u16>, server: Option<ServerConfig>, sent: Sent) -> io::Result<Endpoint> {
    let drawn = || {
        let mut bytes = [0; 32];
        host.random_bytes(&mut bytes);
        bytes
    };
    let mut config = EndpointConfig::new(Arc::new(ResetKey(drawn())));
    let names = host.clone();
    config.cid_generator(move || Box::new(Names(names.clone())));
    let machine = quinn_proto::Endpoint::new(Arc::new(config), server.map(Arc::new), true, Some(drawn()));
    Endpoint::bind(host, port, machine, sent)
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

/// A code of an application, as QUIC counts them (62 bits).
fn code(number: u64) -> VarInt {
    VarInt::from_u64(number).unwrap_or(VarInt::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::world::{Notes, World, named};
    use super::*;
    use crate::fault::kinds::Messages;
    use crate::fault::model::{Chaos, Fault};
    use crate::trace::digest::Digest;
    use bytes::{Buf, Bytes};
    use hyper::{Request, Response};

    /// A client sends this much to a server that sends it back; the digest of every packet, and what came back.
    fn echo(seed: u64, length: usize, faults: &[Fault]) -> (Digest, Option<Vec<u8>>) {
        let log = Notes::new(None);
        let notes = log.clone();
        let sent: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let world = World::new(seed, 1, 20.0, 5).faults(faults).host("server", |host| async move {
            let endpoint = server(&host, b"echo", 1200, Arc::new(|_| ())).unwrap();
            loop {
                let connection = endpoint.accept().await;
                connection.established().await.unwrap();
                let mut requests =
                    h3::server::builder().send_grease(false).build::<_, Bytes>(connection).await.unwrap();
                // As long as its client is there.
                while let Ok(Some(request)) = requests.accept().await {
                    let (_, mut stream) = request.resolve_request().await.unwrap();
                    let mut asked = Vec::new();
                    while let Some(piece) = stream.recv_data().await.unwrap() {
                        asked.extend_from_slice(piece.chunk());
                    }
                    stream.send_response(Response::new(())).await.unwrap();
                    stream.send_data(asked.into()).await.unwrap();
                    stream.finish().await.unwrap();
                }
            }
        });
        let world = world.host("client", move |host| {
            let (notes, sent) = (notes.clone(), sent.clone());
            async move {
                let connection = connect(&host, named(&host, "server"), b"echo", 1200).await.unwrap();
                let (mut driver, mut requests) =
                    h3::client::builder().send_grease(false).build(connection).await.unwrap();
                host.spawn(async move { driver.wait_idle().await });
                let request = Request::put(format!("https://{}/", tls::NAME)).body(()).unwrap();
                let mut stream = requests.send_request(request).await.unwrap();
                stream.send_data(Bytes::from(sent)).await.unwrap();
                stream.finish().await.unwrap();
                stream.recv_response().await.unwrap();
                let mut answer = Vec::new();
                while let Some(piece) = stream.recv_data().await.unwrap() {
                    answer.extend_from_slice(piece.chunk());
                }
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
}
