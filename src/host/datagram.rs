//! Datagrams between hosts: what UDP is to the programs at its ends.
//!
//! A datagram arrives once, twice, late or never, and the sender does not learn which. One that is sent into a cut, or
//! reaches a host while the link is cut or nothing listens on its port, is lost; one that is held goes on its way when
//! the link is released. Not modelled: size limits, fragments, port-unreachable messages.

use super::fabric::{Decision, Fabric};
use super::{Host, lock};
use crate::rng;
use crate::trace::{Drop as DropReason, HostId, MessageId, MessageKind, What};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// The kind under which datagrams are recorded and hit by faults.
const CLASS: MessageKind = MessageKind::Other;
/// The first port that is given to sockets that do not care.
const EPHEMERAL: u16 = 32_768;

/// The sockets of a run.
#[derive(Default)]
pub(super) struct Datagrams(Mutex<Table>);

#[derive(Default)]
struct Table {
    bound: BTreeMap<(HostId, u16), Arc<Mailbox>>,
    /// The next port to be given away, by host.
    next: BTreeMap<HostId, u16>,
}

#[derive(Default)]
struct Mailbox {
    /// By time of arrival and order of sending.
    letters: Mutex<BTreeMap<(u64, MessageId, bool), Datagram>>,
    changed: Notify,
}

/// A datagram that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it: host and port.
    pub from: (HostId, u16),
    /// What it carries.
    pub bytes: Vec<u8>,
}

/// A socket bound to a port of a host.
pub struct Socket {
    host: Host,
    port: u16,
    mailbox: Arc<Mailbox>,
}

impl Host {
    /// A socket on a port of this host; `None`: any that is free.
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
    /// Sends a datagram to a port of a host.
    pub fn send(&self, bytes: &[u8], to: (HostId, u16)) {
        let (fabric, from) = (self.host.fabric().clone(), self.host.id());
        let recorder = fabric.recorder();
        let message = recorder.next_message(from);
        let payload = rng::hash_bytes(0, bytes);
        recorder.record(from, What::Send { to: to.0, message, class: CLASS, cause: None, payload });
        let decision = fabric.decide(from, to.0, CLASS, None);
        let letter = Datagram { from: (from, self.port), bytes: bytes.to_vec() };
        if !fabric.is_held(from, to.0) {
            return post(&fabric, letter, to, message, &decision);
        }
        self.host.spawn(async move {
            fabric.released(from, to.0, message).await;
            post(&fabric, letter, to, message, &decision);
        });
    }

    /// The next datagram.
    pub async fn receive(&self) -> Datagram {
        let (fabric, to) = (self.host.fabric(), self.host.id());
        loop {
            let first = lock(&self.mailbox.letters).keys().next().map(|(due_ns, ..)| *due_ns);
            let now_ns = self.host.now_ns();
            match first {
                Some(due_ns) if due_ns <= now_ns => {
                    let letter = lock(&self.mailbox.letters).pop_first();
                    let Some(((_, message, _), letter)) = letter else { continue };
                    let (from, class) = (letter.from.0, CLASS);
                    if fabric.is_cut(from, to) {
                        fabric.recorder().record(from, What::Drop { to, message, class, reason: DropReason::Cut });
                        continue;
                    }
                    self.host.record(What::Deliver { from, message, class });
                    return letter;
                }
                // One that is sent later may arrive earlier, from nearer by.
                Some(due_ns) => {
                    let due = tokio::time::sleep(Duration::from_nanos(due_ns - now_ns));
                    tokio::select! {
                        biased;
                        () = due => {}
                        () = self.mailbox.changed.notified() => {}
                    }
                }
                None => self.mailbox.changed.notified().await,
            }
        }
    }
}

/// Puts a datagram on its way, if the link lets it pass.
fn post(fabric: &Fabric, letter: Datagram, (to, port): (HostId, u16), message: MessageId, decision: &Decision) {
    let (recorder, from) = (fabric.recorder(), letter.from.0);
    let lost = |reason| recorder.record(from, What::Drop { to, message, class: CLASS, reason });
    if fabric.is_cut(from, to) {
        return lost(DropReason::Cut);
    }
    let Decision { fate, slowness_ns } = decision;
    if fate.lost {
        return lost(DropReason::Loss);
    }
    let Some(mailbox) = lock(&fabric.datagrams().0).bound.get(&(to, port)).cloned() else {
        return lost(DropReason::Connection);
    };
    let arrives_ns = recorder.now_ns() + fabric.one_way_ns(from, to) + slowness_ns;
    let mut letters = lock(&mailbox.letters);
    letters.insert((arrives_ns + fate.delay_ns, message, false), letter.clone());
    if fate.delay_ns > 0 {
        recorder.record(from, What::Delay { to, message, by_ns: fate.delay_ns });
    }
    if let Some(by_ns) = fate.duplicate_ns {
        letters.insert((arrives_ns + by_ns, message, true), letter);
        recorder.record(from, What::Duplicate { to, message, by_ns });
    }
    drop(letters);
    mailbox.changed.notify_one();
}

impl Drop for Socket {
    fn drop(&mut self) {
        lock(&self.host.fabric().datagrams().0).bound.remove(&(self.host.id(), self.port));
    }
}
