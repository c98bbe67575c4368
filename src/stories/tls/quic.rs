//! The keys of QUIC packets (RFC 9001, section 5): what rustls asks of a provider beside TLS.

use super::{TAG, cipher};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{BlockEncrypt, KeyInit};
use aes_gcm::{Aes128Gcm, Tag as Aes128Tag};
use rustls::Error;
use rustls::crypto::cipher::{AeadKey, Iv, Nonce};
use rustls::quic::{Algorithm, HeaderProtectionKey, PacketKey, Tag};

/// Bytes of a packet from which its header's mask is made.
const SAMPLE: usize = 16;

/// Makes keys for AES-128-GCM.
pub struct Keys;

impl Algorithm for Keys {
    fn packet_key(&self, key: AeadKey, iv: Iv) -> Box<dyn PacketKey> {
        Box::new(Packets(cipher(&key), iv))
    }

    fn header_protection_key(&self, key: AeadKey) -> Box<dyn HeaderProtectionKey> {
        Box::new(Headers(
            Aes128::new_from_slice(key.as_ref()).expect("rustls derives keys of the length that it is told"),
        ))
    }

    fn aead_key_len(&self) -> usize {
        16
    }
}

struct Packets(Aes128Gcm, Iv);

impl PacketKey for Packets {
    fn encrypt_in_place(&self, number: u64, header: &[u8], payload: &mut [u8]) -> Result<Tag, Error> {
        let nonce = Nonce::new(&self.1, number).0.into();
        let tag = self.0.encrypt_in_place_detached(&nonce, header, payload).map_err(|_| Error::EncryptError)?;
        Ok(Tag::from(tag.as_slice()))
    }

    fn decrypt_in_place<'a>(&self, number: u64, header: &[u8], payload: &'a mut [u8]) -> Result<&'a [u8], Error> {
        let nonce = Nonce::new(&self.1, number).0.into();
        let length = payload.len().checked_sub(TAG).ok_or(Error::DecryptError)?;
        let (plain, tag) = payload.split_at_mut(length);
        let opened = self.0.decrypt_in_place_detached(&nonce, header, plain, Aes128Tag::from_slice(tag));
        opened.map_err(|_| Error::DecryptError)?;
        Ok(plain)
    }

    fn tag_len(&self) -> usize {
        TAG
    }

    fn confidentiality_limit(&self) -> u64 {
        1 << 23
    }

    fn integrity_limit(&self) -> u64 {
        1 << 52
    }
}

struct Headers(Aes128);

impl Headers {
    /// Masks or unmasks a header (RFC 9001, section 5.4.1).
    fn mask(&self, sample: &[u8], first: &mut u8, number: &mut [u8], is_masked: bool) -> Result<(), Error> {
        let mut mask: [u8; SAMPLE] =
            sample.try_into().map_err(|_| Error::General(format!("a sample of {} bytes", sample.len())))?;
        self.0.encrypt_block((&mut mask).into());
        let hidden = mask[0] & if *first & 0x80 == 0x80 { 0x0f } else { 0x1f };
        let plain = if is_masked { *first ^ hidden } else { *first };
        let length = usize::from(plain & 0x03) + 1;
        *first ^= hidden;
        number.iter_mut().zip(&mask[1..]).take(length).for_each(|(byte, mask)| *byte ^= mask);
        Ok(())
    }
}

impl HeaderProtectionKey for Headers {
    fn encrypt_in_place(&self, sample: &[u8], first: &mut u8, number: &mut [u8]) -> Result<(), Error> {
        self.mask(sample, first, number, false)
    }

    fn decrypt_in_place(&self, sample: &[u8], first: &mut u8, number: &mut [u8]) -> Result<(), Error> {
        self.mask(sample, first, number, true)
    }

    fn sample_len(&self) -> usize {
        SAMPLE
    }
}

#[cfg(test)]
mod tests {
    use super::super::provider::provider;
    use rustls::Side;
    use rustls::quic::{Keys, Version};

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// The packet that RFC 9001, appendix A.3, gives: a server's first one, for a client that chose these 8 bytes.
    #[test]
    fn a_packet_is_the_one_of_the_standard() {
        let suite = provider().cipher_suites[0].tls13().unwrap();
        let suite = suite.quic_suite().unwrap();
        let keys = |side| Keys::initial(Version::V1, suite.suite, suite.quic, &hex("8394c8f03e515708"), side);
        let header = hex("c1000000010008f067a5502a4262b50040750001");
        let plain = hex(concat!(
            "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a04",
            "5a1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32b",
            "b9da1a002b00020304"
        ));
        let mut payload = plain.clone();
        let server = keys(Side::Server);
        let tag = server.local.packet.encrypt_in_place(1, &header, &mut payload).unwrap();
        payload.extend_from_slice(tag.as_ref());
        let mut sent = header.clone();
        let (first, rest) = sent.split_at_mut(1);
        server.local.header.encrypt_in_place(&payload[2..18], &mut first[0], &mut rest[17..19]).unwrap();
        assert_eq!(sent, hex("cf000000010008f067a5502a4262b5004075c0d9"));
        assert!(payload.starts_with(&hex("5a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f")));

        let client = keys(Side::Client);
        let (first, rest) = sent.split_at_mut(1);
        client.remote.header.decrypt_in_place(&payload[2..18], &mut first[0], &mut rest[17..19]).unwrap();
        assert_eq!(sent, header);
        assert_eq!(client.remote.packet.decrypt_in_place(1, &header, &mut payload.clone()).unwrap(), plain);
        payload[0] ^= 1;
        assert!(client.remote.packet.decrypt_in_place(1, &header, &mut payload).is_err());
    }
}
