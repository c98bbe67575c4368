//! The handshake of a QUIC connection by rustls: what quinn's protocol machine asks of a cryptographic session.
//!
//! quinn has this for the providers that draw from the operating system; it is the same, without early data and retries.

use bytes::BytesMut;
use quinn_proto::crypto::{
    self, AeadKey, CryptoError, ExportKeyingMaterialError, HandshakeTokenKey, HeaderKey, HmacKey, KeyPair, Keys,
    Session, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::pki_types::ServerName;
use rustls::quic::{
    ClientConnection, Connection, DirectionalKeys, HeaderProtectionKey, KeyChange, Keys as TlsKeys, PacketKey, Secrets,
    ServerConnection, Suite, Version,
};
use std::any::Any;
use std::io::Cursor;
use std::sync::Arc;

/// Version 1 of QUIC (RFC 9000), the only one that is spoken here.
const VERSION: u32 = 1;

/// The client's half of TLS.
pub struct Client(pub Arc<rustls::ClientConfig>);

/// The server's half of TLS.
pub struct Server(pub Arc<rustls::ServerConfig>);

/// A suite of a provider that has keys for QUIC.
fn suite(provider: &rustls::crypto::CryptoProvider) -> Suite {
    let quic = |suite: &rustls::SupportedCipherSuite| suite.tls13().and_then(|suite| suite.quic_suite());
    provider.cipher_suites.iter().find_map(quic).expect("the provider has keys for QUIC")
}

impl crypto::ClientConfig for Client {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        name: &str,
        parameters: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        if version != VERSION {
            return Err(ConnectError::UnsupportedVersion);
        }
        let invalid = |_| ConnectError::InvalidServerName(name.into());
        let server = ServerName::try_from(name.to_string()).map_err(invalid)?;
        let inner = ClientConnection::new(self.0.clone(), Version::V1, server, written(parameters));
        let inner = inner.expect("the configuration has TLS 1.3").into();
        Ok(Box::new(Tls { inner, is_told: false, next: None, suite: suite(self.0.crypto_provider()) }))
    }
}

impl crypto::ServerConfig for Server {
    fn initial_keys(&self, version: u32, client: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        let suite = suite(self.0.crypto_provider());
        if version == VERSION { Ok(initial_keys(suite, client, Side::Server)) } else { Err(UnsupportedVersion) }
    }

    fn retry_tag(&self, _: u32, _: &ConnectionId, _: &[u8]) -> [u8; 16] {
        unreachable!("a server here asks nobody to try again")
    }

    fn start_session(self: Arc<Self>, _: u32, parameters: &TransportParameters) -> Box<dyn Session> {
        let inner = ServerConnection::new(self.0.clone(), Version::V1, written(parameters));
        let inner = inner.expect("the configuration has TLS 1.3").into();
        Box::new(Tls { inner, is_told: false, next: None, suite: suite(self.0.crypto_provider()) })
    }
}

fn written(parameters: &TransportParameters) -> Vec<u8> {
    let mut bytes = Vec::new();
    parameters.write(&mut bytes);
    bytes
}

/// The keys before any were exchanged: they follow from a connection ID that everybody sees (RFC 9001, section 5.2).
fn initial_keys(suite: Suite, client: &ConnectionId, side: Side) -> Keys {
    let side = match side {
        Side::Client => rustls::Side::Client,
        Side::Server => rustls::Side::Server,
    };
    keys(suite.keys(client, side, Version::V1))
}

fn keys(keys: TlsKeys) -> Keys {
    let TlsKeys { local, remote } = keys;
    let split = |keys: DirectionalKeys| (Headers(keys.header), Packets(keys.packet));
    let ((local_header, local_packet), (remote_header, remote_packet)) = (split(local), split(remote));
    Keys {
        header: KeyPair { local: Box::new(local_header), remote: Box::new(remote_header) },
        packet: KeyPair { local: Box::new(local_packet), remote: Box::new(remote_packet) },
    }
}

/// A connection's TLS.
struct Tls {
    inner: Connection,
    /// Whether quinn was told that the other side has chosen its protocol.
    is_told: bool,
    next: Option<Secrets>,
    suite: Suite,
}

impl Session for Tls {
    fn initial_keys(&self, client: &ConnectionId, side: Side) -> Keys {
        initial_keys(self.suite, client, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let protocol = self.inner.alpn_protocol()?.to_vec();
        Some(Box::new(protocol))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let certificates = self.inner.peer_certificates()?;
        Some(Box::new(certificates.iter().map(|known| known.clone().into_owned()).collect::<Vec<_>>()))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn crypto::PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        matches!(self.inner, Connection::Client(_)).then_some(false)
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.inner.read_hs(bytes).map_err(|error| match self.inner.alert() {
            Some(alert) => TransportError {
                code: TransportErrorCode::crypto(alert.into()),
                frame: None,
                reason: error.to_string(),
            },
            None => TransportError {
                code: TransportErrorCode::PROTOCOL_VIOLATION,
                frame: None,
                reason: format!("TLS: {error}"),
            },
        })?;
        let is_chosen = self.inner.alpn_protocol().is_some() || !self.is_handshaking();
        Ok(is_chosen && !std::mem::replace(&mut self.is_told, true))
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let side = match self.inner {
            Connection::Client(_) => Side::Client,
            Connection::Server(_) => Side::Server,
        };
        let read = |bytes: &[u8]| TransportParameters::read(side, &mut Cursor::new(bytes));
        Ok(self.inner.quic_transport_parameters().map(read).transpose()?)
    }

    fn write_handshake(&mut self, bytes: &mut Vec<u8>) -> Option<Keys> {
        match self.inner.write_hs(bytes)? {
            KeyChange::Handshake { keys: changed } => Some(keys(changed)),
            KeyChange::OneRtt { keys: changed, next } => {
                self.next = Some(next);
                Some(keys(changed))
            }
        }
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn crypto::PacketKey>>> {
        let next = self.next.as_mut()?.next_packet_keys();
        Some(KeyPair { local: Box::new(Packets(next.local)), remote: Box::new(Packets(next.remote)) })
    }

    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        // A server here sends none.
        false
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        let exported = self.inner.export_keying_material(output, label, Some(context));
        exported.map(drop).map_err(|_| ExportKeyingMaterialError)
    }
}

/// Masks the headers of one direction. A packet number is at most 4 bytes long, and the sample begins after so many.
struct Headers(Box<dyn HeaderProtectionKey>);

impl Headers {
    fn apply(&self, at: usize, packet: &mut [u8], is_masked: bool) {
        let (header, sample) = packet.split_at_mut(at + 4);
        let (first, rest) = header.split_at_mut(1);
        let number = &mut rest[at - 1..at + 3];
        let sample = &sample[..self.0.sample_len()];
        let done = match is_masked {
            true => self.0.decrypt_in_place(sample, &mut first[0], number),
            false => self.0.encrypt_in_place(sample, &mut first[0], number),
        };
        done.expect("the sample has the length that the key asks for");
    }
}

impl HeaderKey for Headers {
    fn decrypt(&self, at: usize, packet: &mut [u8]) {
        self.apply(at, packet, true);
    }

    fn encrypt(&self, at: usize, packet: &mut [u8]) {
        self.apply(at, packet, false);
    }

    fn sample_size(&self) -> usize {
        self.0.sample_len()
    }
}

/// Seals or opens the packets of one direction.
struct Packets(Box<dyn PacketKey>);

impl crypto::PacketKey for Packets {
    fn encrypt(&self, number: u64, packet: &mut [u8], header: usize) {
        let (header, rest) = packet.split_at_mut(header);
        let (payload, place) = rest.split_at_mut(rest.len() - self.0.tag_len());
        let tag = self.0.encrypt_in_place(number, header, payload).expect("a packet can be sealed");
        place.copy_from_slice(tag.as_ref());
    }

    fn decrypt(&self, number: u64, header: &[u8], payload: &mut BytesMut) -> Result<(), CryptoError> {
        let opened = self.0.decrypt_in_place(number, header, payload.as_mut()).map_err(|_| CryptoError)?;
        let length = opened.len();
        payload.truncate(length);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        self.0.tag_len()
    }

    fn confidentiality_limit(&self) -> u64 {
        self.0.confidentiality_limit()
    }

    fn integrity_limit(&self) -> u64 {
        self.0.integrity_limit()
    }
}

/// Makes the tokens with which an endpoint that has forgotten a connection can reset it.
pub struct ResetKey(pub [u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature: &mut [u8]) {
        signature.copy_from_slice(&self.of(data));
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if self.of(data) == signature { Ok(()) } else { Err(CryptoError) }
    }
}

impl ResetKey {
    fn of(&self, data: &[u8]) -> [u8; 32] {
        use hmac::Mac;
        let mut mac =
            <hmac::Hmac<sha2::Sha256> as Mac>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(data);
        mac.finalize().into_bytes().into()
    }
}

/// A server here gives out no tokens, and knows none.
pub struct NoTokens;

impl HandshakeTokenKey for NoTokens {
    fn aead_from_hkdf(&self, _: &[u8]) -> Box<dyn AeadKey> {
        Box::new(NoTokens)
    }
}

impl AeadKey for NoTokens {
    fn seal(&self, _: &mut Vec<u8>, _: &[u8]) -> Result<(), CryptoError> {
        Err(CryptoError)
    }

    fn open<'a>(&self, _: &'a mut [u8], _: &[u8]) -> Result<&'a mut [u8], CryptoError> {
        Err(CryptoError)
    }
}
