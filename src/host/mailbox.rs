//! The ports at which datagrams arrive, and what waits there.

use super::carrier::Letter;
use crate::trace::HostId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// The sockets of a run.
#[derive(Default)]
pub(super) struct Datagrams(pub Mutex<Table>);

/// By host and port.
#[derive(Default)]
pub(super) struct Table {
    pub bound: BTreeMap<(HostId, u16), Arc<Mailbox>>,
    /// The next port to be given away, by host.
    pub next: BTreeMap<HostId, u16>,
}

/// What has arrived at a port and was not received yet.
#[derive(Default)]
pub(super) struct Mailbox {
    /// In order of arrival.
    pub arrived: Mutex<VecDeque<(Letter, Datagram)>>,
    pub changed: Notify,
}

/// A datagram that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it: host and port.
    pub from: (HostId, u16),
    /// What it carries.
    pub bytes: Vec<u8>,
}
