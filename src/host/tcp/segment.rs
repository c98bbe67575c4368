//! What a TCP segment says, read from the IP packet that carries it.

use smoltcp::wire::{Ipv4Packet, TcpPacket, TcpSeqNumber};
use std::fmt;
use std::net::Ipv4Addr;

/// An address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// The header of a segment, and how many bytes follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Who sent it.
    pub from: Endpoint,
    /// Whom it is for.
    pub to: Endpoint,
    /// It opens a connection.
    pub syn: bool,
    /// Its sender sends nothing more.
    pub fin: bool,
    /// There is no such connection, or no longer.
    pub rst: bool,
    /// What its sender has received.
    pub ack: Option<TcpSeqNumber>,
    /// The place of its first byte.
    pub seq: TcpSeqNumber,
    /// How many bytes it carries.
    pub bytes: usize,
}

impl Segment {
    /// Reads an IP packet; `None` if it carries no TCP segment.
    pub fn read(packet: &[u8]) -> Option<Segment> {
        let ip = Ipv4Packet::new_checked(packet).ok()?;
        let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
        Some(Segment {
            from: (ip.src_addr(), tcp.src_port()),
            to: (ip.dst_addr(), tcp.dst_port()),
            syn: tcp.syn(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            ack: tcp.ack().then(|| tcp.ack_number()),
            seq: tcp.seq_number(),
            bytes: tcp.payload().len(),
        })
    }

    /// Whether it asks for a new connection.
    pub fn opens(&self) -> bool {
        self.syn && self.ack.is_none()
    }

    /// Whether its sender waits for an acknowledgement of it, and sends it again without one.
    pub fn must_be_acknowledged(&self) -> bool {
        self.syn || self.fin || self.bytes > 0
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare = !self.syn && !self.fin && !self.rst && self.bytes == 0;
        let flags = [(self.syn, "SYN"), (self.fin, "FIN"), (self.rst, "RST")];
        let mut words: Vec<String> =
            flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.to_string()).collect();
        if self.ack.is_some() && (self.syn || is_bare) {
            words.push("ACK".into());
        }
        match self.bytes {
            0 => {}
            1 => words.push("1 byte".into()),
            bytes => words.push(format!("{bytes} bytes")),
        }
        f.write_str(&words.join(" "))
    }
}
