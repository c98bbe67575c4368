//! Datagrams between hosts: what UDP is to the programs at its ends.
//!
//! A datagram arrives once, twice, late or never ([`super::link`] says when), and the sender does not learn which. A
//! datagram that arrives at a port without a listener is lost. Not modelled: size limits, fragments, port-unreachable
//! messages.

use super::carrier::{Body, Letter};
use super::fabric::Sending;
use super::link::Policy;
pub use super::mailbox::Datagram;
use super::mailbox::Mailbox;
use super::{Host, lock};
use crate::trace::{DropReason, HostId, MessageKind};
use std::io;
use std::sync::Arc;

/// The kind under which datagrams are recorded and hit by faults.
const CLASS: MessageKind = MessageKind::Other;
/// The first port given to sockets that ask for any free one.
const EPHEMERAL: u16 = 32_768;

/// A datagram under way to a port.
struct Addressed {
    port: u16,
    datagram: Datagram,
}

impl Body for Addressed {
    fn arrive(self: Arc<Self>, at: &Host, letter: &Letter) {
        let fabric = at.fabric();
        match lock(&fabric.datagrams().0).bound.get(&(at.id(), self.port)) {
            Some(mailbox) => {
                lock(&mailbox.arrived).push_back((*letter, self.datagram.clone()));
                mailbox.changed.notify_one();
            }
            None => fabric.recorder().record(letter.from, letter.dropped(DropReason::Connection)),
        }
    }
}

/// A socket bound to a port of a host.
pub struct Socket {
    host: Host,
    port: u16,
    mailbox: Arc<Mailbox>,
}

impl Host {
    /// Binds a socket to a port of this host; `None`: to any free port.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken, or all are.
    pub fn datagrams(&self, port: Option<u16>) -> io::Result<Socket> {
        let mut table = lock(&self.fabric().datagrams().0);
        let in_use = || io::Error::from(io::ErrorKind::AddrInUse);
        let port = match port {
            Some(port) => port,
            None => {
                let first = table.next.get(&self.id()).copied().unwrap_or(EPHEMERAL);
                let ports = (first..=u16::MAX).chain(EPHEMERAL..first);
                let free = ports.into_iter().find(|port| !table.bound.contains_key(&(self.id(), *port)));
                let port = free.ok_or_else(in_use)?;
                table.next.insert(self.id(), port.checked_add(1).unwrap_or(EPHEMERAL));
                port
            }
        };
        if table.bound.contains_key(&(self.id(), port)) {
            return Err(in_use());
        }
        let mailbox = Arc::<Mailbox>::default();
        table.bound.insert((self.id(), port), mailbox.clone());
        Ok(Socket { host: self.clone(), port, mailbox })
    }
}

impl Socket {
    /// The port that it is bound to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends a datagram to a port of a host.
    pub fn send(&self, bytes: &[u8], (to, port): (HostId, u16)) {
        let (fabric, from) = (self.host.fabric(), self.host.id());
        let sent = fabric.send(Sending { from, to, class: CLASS, cause: None, payload: bytes, place: None });
        let datagram = Datagram { from: (from, self.port), bytes: bytes.to_vec() };
        fabric.carry(sent, Policy::Datagram, Arc::new(Addressed { port, datagram }));
    }

    /// The next datagram.
    pub async fn receive(&self) -> Datagram {
        loop {
            let first = lock(&self.mailbox.arrived).pop_front();
            match first {
                Some((letter, datagram)) => {
                    self.host.record(letter.delivered());
                    return datagram;
                }
                None => self.mailbox.changed.notified().await,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        lock(&self.host.fabric().datagrams().0).bound.remove(&(self.host.id(), self.port));
    }
}
