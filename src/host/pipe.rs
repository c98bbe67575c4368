//! Byte streams as data: the pipe of each direction, and the connections that wait to be accepted.

use super::carrier::Letter;
use super::link::Flow;
use crate::trace::HostId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// A port of a host.
pub(super) type Port = (HostId, u16);

/// What the streams of a run share: who listens where.
#[derive(Default)]
pub(super) struct Streams {
    pub listeners: Mutex<BTreeMap<Port, Arc<Mutex<Backlog>>>>,
}

/// The connections of a port that were not accepted yet.
#[derive(Default)]
pub(super) struct Backlog {
    pub waiting: VecDeque<Pending>,
    pub acceptor: Option<Waker>,
}

/// A connection that waits to be accepted.
pub(super) struct Pending {
    /// When the handshake is over.
    pub ready_ns: u64,
    pub caller: HostId,
    pub flow: Flow,
    /// From the caller, and to it.
    pub incoming: Arc<Mutex<Pipe>>,
    pub outgoing: Arc<Mutex<Pipe>>,
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Pipe {
    /// Segments sent, and segments read to their end.
    pub sent: u64,
    pub read: u64,
    /// What has arrived and was not read, by number: one that overtook another waits for it.
    pub arrived: BTreeMap<u64, Arrived>,
    /// Bytes written and not yet read.
    pub unread: usize,
    pub reader: Option<Waker>,
    pub writer: Option<Waker>,
    /// From when on the writer knows that nobody reads.
    pub refused_ns: Option<u64>,
}

/// Bytes that have arrived; none: the end of the stream.
pub(super) struct Arrived {
    pub bytes: Vec<u8>,
    /// How many of them were read.
    pub read: usize,
    pub letter: Letter,
    /// Whether its delivery was recorded.
    pub is_delivered: bool,
}
