//! What happens to connections, and what a program is told of it.

use super::machine::State;
use super::segment::Segment;

/// Why a connection could not be opened, or ended before its time: what a program is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Failure {
    /// The other host answers, and nothing listens there.
    #[error("connection refused")]
    Refused,
    /// The other host does not know this connection, or its program threw it away.
    #[error("connection reset by peer")]
    Reset,
    /// The other host does not answer.
    #[error("connection timed out")]
    TimedOut,
    /// Every port is taken.
    #[error("cannot assign requested address")]
    NoPort,
    /// This end has closed it.
    #[error("broken pipe")]
    Closed,
}

/// Names a connection of a stack.
pub type Id = u64;

/// What can happen to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It sent a segment.
    Sent(Segment),
    /// It received one.
    Received(Segment),
    /// Its state changed.
    Became(State),
    /// It ended too early.
    Failed(Failure),
}

/// What happened to a connection, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When, in simulated nanoseconds.
    pub at_ns: u64,
    /// The connection.
    pub id: Id,
    /// What.
    pub event: Event,
}

/// What a stack has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// SYNs that found the queue of half-open connections full.
    pub syn_queue_full: u64,
    /// SYNs, and ACKs of a SYN ACK, that found the queue of open connections full.
    pub accept_queue_full: u64,
    /// Connections for which there was no port.
    pub no_port: u64,
    /// Segments sent.
    pub sent: u64,
    /// Segments received.
    pub received: u64,
}
