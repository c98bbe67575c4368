//! TLS 1.3 by rustls over simulated byte streams: a certificate, both ends' configurations, session tickets, and what
//! can be seen of a handshake on the wire.
//!
//! * `provider`: rustls's cryptography, with all randomness from the hosts. `quic`: the same for QUIC's packets.
//!
//! The clock of both ends is the simulated one. The certificate is made once, from a fixed key.

mod provider;
mod quic;

use crate::host::task;
use aes_gcm::aead::Aead;
use aes_gcm::{Aes128Gcm, KeyInit};
use provider::{PrivateKey, provider};
use rcgen::{CertificateParams, KeyIdMethod, PublicKeyData, SerialNumber, SignatureAlgorithm};
use rustls::client::Resumption;
use rustls::crypto::cipher::AeadKey;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// The name that the certificate is for.
pub const NAME: &str = "shop.example";
/// When every run begins, in seconds since 1970: within the certificate's validity, and the same for all.
const BEGIN: Duration = Duration::from_secs(1_700_000_000);
/// How long a ticket may be used, in seconds: the most that TLS 1.3 allows (RFC 8446, section 4.6.1).
const TICKET_S: u32 = 604_800;
/// The length of a ticket's nonce.
const NONCE: usize = 12;
/// How much longer a sealed message is.
const TAG: usize = 16;

/// The cipher of a key that rustls derived.
fn cipher(key: &AeadKey) -> Aes128Gcm {
    Aes128Gcm::new_from_slice(key.as_ref()).expect("rustls derives keys of the length that it is told")
}

/// The time of both ends: simulated.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(BEGIN + Duration::from_nanos(task::current().now_ns())))
    }
}

/// What signs the certificate: its own key.
struct Issuer {
    key: ed25519_dalek::SigningKey,
    public: [u8; 32],
}

impl PublicKeyData for Issuer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Issuer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(ed25519_dalek::Signer::sign(&self.key, message).to_bytes().to_vec())
    }
}

/// The certificate of every server, and its key.
static CERTIFIED: LazyLock<(CertificateDer<'static>, PrivateKey)> = LazyLock::new(|| {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let issuer = Issuer { public: key.verifying_key().to_bytes(), key: key.clone() };
    let mut wanted = CertificateParams::new([NAME.to_string()]).expect("the name is a DNS name");
    wanted.serial_number = Some(SerialNumber::from(1));
    wanted.key_identifier_method = KeyIdMethod::PreSpecified(vec![1]);
    let certificate = wanted.self_signed(&issuer).expect("Ed25519 signs anything");
    (certificate.der().clone(), PrivateKey(key))
});

/// Seals and opens session tickets with one key. Servers that share it resume each other's sessions.
#[derive(Debug)]
pub struct Tickets {
    key: [u8; 16],
    issued: AtomicU64,
}

impl Tickets {
    /// Tickets under the key of this number.
    pub fn new(key: u128) -> Arc<Tickets> {
        Arc::new(Tickets { key: key.to_le_bytes(), issued: AtomicU64::new(0) })
    }

    fn cipher(&self) -> Aes128Gcm {
        Aes128Gcm::new(&self.key.into())
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE];
        nonce[..8].copy_from_slice(&self.issued.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        let sealed = self.cipher().encrypt(&nonce.into(), plain).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.split_first_chunk::<NONCE>()?;
        self.cipher().decrypt(nonce.into(), sealed).ok()
    }
}

/// A server that resumes the sessions of `tickets`, or none. The caller may add protocols (`alpn_protocols`).
///
/// # Panics
/// Never: the provider has a suite of TLS 1.3.
pub fn server(tickets: Option<Arc<Tickets>>) -> ServerConfig {
    let (certificate, key) = &*CERTIFIED;
    let certified = CertifiedKey::new(vec![certificate.clone()], Arc::new(key.clone()));
    let builder = ServerConfig::builder_with_details(Arc::new(provider()), Arc::new(Clock));
    let versions = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("the provider has TLS 1.3");
    let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match tickets {
        Some(tickets) => {
            config.ticketer = tickets;
            config.send_tls13_tickets = 1;
        }
        None => config.send_tls13_tickets = 0,
    }
    config
}

/// A client that trusts the certificate, and remembers a session if it `resumes`.
///
/// # Panics
/// As [`server`].
pub fn client(resumes: bool) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CERTIFIED.0.clone()).expect("a certificate is an anchor");
    let builder = ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(Clock));
    let versions = builder.with_protocol_versions(&[&rustls::version::TLS13]).expect("the provider has TLS 1.3");
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.resumption = if resumes { Resumption::in_memory_sessions(1) } else { Resumption::disabled() };
    config
}

/// The name that a client asks for.
///
/// # Panics
/// Never: it is a DNS name.
pub fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("the name is a DNS name")
}

/// Takes a connection in. Between the client's hello and the answer to it comes `work`, which is told whether a session is
/// resumed: what this costs, which real cryptography here does not.
///
/// # Errors
/// If the connection ends first, or the client does not keep to the protocol.
pub async fn accept<S, F>(
    stream: &mut S,
    config: Arc<ServerConfig>,
    work: impl FnOnce(bool) -> F,
) -> io::Result<ServerConnection>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()>,
{
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut work = Some(work);
    let mut buffer = [0; 4096];
    while connection.is_handshaking() {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            connection.read_tls(&mut rest)?;
            connection.process_new_packets().map_err(io::Error::other)?;
        }
        if let Some(work) = work.take_if(|_| connection.wants_write()) {
            work(connection.handshake_kind() == Some(HandshakeKind::Resumed)).await;
        }
        send(stream, &mut connection, &[]).await?;
    }
    Ok(connection)
}

/// Sends bytes, and before them whatever the protocol has to send.
///
/// # Errors
/// If the connection has ended.
pub async fn send<S>(stream: &mut S, connection: &mut ServerConnection, bytes: &[u8]) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    connection.writer().write_all(bytes)?;
    let mut sealed = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut sealed)?;
    }
    stream.write_all(&sealed).await
}

/// What a client's end of a connection has seen of its handshake: the bytes as they are on the wire.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Bytes that went out.
    pub out: u64,
    /// Bytes that came in.
    pub inn: u64,
    /// The first bytes that came in: the server's hello, in clear.
    hello: Vec<u8>,
}

/// How a server answers that it resumes: it chooses one of the pre-shared keys that it was offered (RFC 8446, 4.2.11).
const PRE_SHARED_KEY: u16 = 41;
/// As much of what comes in as a hello can be long here.
const HELLO: usize = 512;

impl Seen {
    /// Whether the server resumed a session, as anybody on the way can see; `None` before its hello is whole.
    pub fn is_resumed(&self) -> Option<bool> {
        let number =
            |at: usize| Some(usize::from(u16::from_be_bytes([*self.hello.get(at)?, *self.hello.get(at + 1)?])));
        // A record's header is 5 bytes, a message's 4; then version (2), random (32), and the session's id with its length.
        let (record, message) = (self.hello.first()?, self.hello.get(5)?);
        if (*record, *message) != (22, 2) {
            return None;
        }
        let id = usize::from(*self.hello.get(43)?);
        // The suite is 2 bytes, the compression 1.
        let mut at = 44 + id + 3;
        let until = at + 2 + number(at)?;
        at += 2;
        while at < until {
            if number(at)? == usize::from(PRE_SHARED_KEY) {
                return Some(true);
            }
            at += 4 + number(at + 2)?;
        }
        (self.hello.len() >= until).then_some(false)
    }
}

/// A stream of which all that passes is seen.
pub struct Watched<S> {
    stream: S,
    /// What was seen.
    pub seen: Seen,
}

impl<S> Watched<S> {
    /// A stream of which nothing was seen yet.
    pub fn new(stream: S) -> Watched<S> {
        Watched { stream, seen: Seen::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        let came = &buffer.filled()[before..];
        this.seen.inn += came.len() as u64;
        let room = HELLO - this.seen.hello.len();
        this.seen.hello.extend_from_slice(&came[..came.len().min(room)]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            this.seen.out += *written as u64;
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Notes, World};
    use super::*;
    use crate::trace::digest::Digest;
    use std::cell::Cell;
    use tokio_rustls::TlsConnector;

    /// A connection: what was seen, what both ends say that it was, and what the client received.
    type Shaken = (Seen, Option<HandshakeKind>, Vec<u8>);

    /// A client that connects again and again, each time to the next server; the servers' tickets are under these keys.
    fn shake(seed: u64, keys: [Option<u128>; 2], connections: usize) -> (Digest, Vec<Shaken>) {
        let log = Notes::new(Vec::new());
        let mut world = World::new(seed, 1, 5.0, 5);
        for (number, key) in keys.into_iter().enumerate() {
            world = world.host(&format!("server-{number}"), move |host| async move {
                let config = Arc::new(server(key.map(Tickets::new)));
                let listener = host.listen(443).unwrap();
                loop {
                    let (mut stream, config) = (listener.accept().await, config.clone());
                    host.spawn(async move {
                        let known = Cell::new(None);
                        let work = |resumed| {
                            known.set(Some(resumed));
                            std::future::ready(())
                        };
                        let mut connection = accept(&mut stream, config, work).await.unwrap();
                        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
                        assert_eq!(known.get(), Some(resumed), "it is known before the answer");
                        send(&mut stream, &mut connection, b"welcome").await.unwrap();
                    });
                }
            });
        }
        let notes = log.clone();
        let world = world.host("client", move |host| {
            let notes = notes.clone();
            async move {
                let connector = TlsConnector::from(Arc::new(client(true)));
                for number in 0..connections {
                    let stream = host.connect(&format!("server-{}", number % 2), 443).await.unwrap();
                    let mut stream = connector.connect(name(), Watched::new(stream)).await.unwrap();
                    let mut answer = vec![0; 7];
                    stream.read_exact(&mut answer).await.unwrap();
                    let (watched, connection) = stream.into_inner();
                    notes.with(|notes| notes.push((watched.seen, connection.handshake_kind(), answer)));
                }
                std::future::pending().await
            }
        });
        let ran = world.run().unwrap();
        (ran.digest, log.take())
    }

    #[test]
    fn a_session_is_resumed_wherever_its_ticket_can_be_opened() {
        for (keys, resumed) in [
            ([Some(1), Some(1)], [false, true, true, true]),
            // The ticket of one cannot be opened by the other.
            ([Some(1), Some(2)], [false; 4]),
            ([None, None], [false; 4]),
        ] {
            let (_, shaken) = shake(3, keys, 4);
            let seen: Vec<_> = shaken.iter().map(|(seen, ..)| seen.is_resumed()).collect();
            assert_eq!(seen, resumed.map(Some), "{keys:?}");
            for (seen, kind, answer) in &shaken {
                assert_eq!(*kind == Some(HandshakeKind::Resumed), seen.is_resumed() == Some(true), "as rustls has it");
                assert_eq!(answer, b"welcome");
            }
            // Without certificate and signature, the server sends less.
            if keys == [Some(1), Some(1)] {
                assert!(shaken[1].0.inn + 300 < shaken[0].0.inn, "{shaken:?}");
            }
        }
    }

    #[test]
    fn a_handshake_is_the_same_to_the_last_byte() {
        let keys = [Some(1), Some(1)];
        let (first, _) = shake(3, keys, 4);
        assert_eq!(first, shake(3, keys, 4).0);
        assert_ne!(first, shake(4, keys, 4).0, "its random bytes are the seed's");
    }

    #[test]
    fn a_hello_in_part_says_nothing() {
        let (_, shaken) = shake(3, [Some(1), Some(1)], 1);
        let whole = shaken[0].0.clone();
        for length in [0, 4, 43, 60, 90] {
            let part = Seen { hello: whole.hello[..length].to_vec(), ..whole.clone() };
            assert_eq!(part.is_resumed(), None, "{length} bytes");
        }
    }
}
