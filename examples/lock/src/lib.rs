//! Locks with fencing tokens, replicated over three nodes: any node answers, a majority decides.
//!
//! Each lock is its own register, in the manner of CASPaxos (Rystsov, <https://arxiv.org/abs/1802.07000>): a node reads
//! the lock's state from a majority, changes it, and has a majority accept the result, under a ballot that no other
//! attempt uses. There is no leader to depose and no log to compact; a read takes the same two round trips.
//!
//! * [`messages`]: the messages on the wire.
//! * [`acceptor`]: a node's durable state.
//! * [`proposer`]: changes that a majority accepts.
//! * [`service`]: both as gRPC services.
//!
//! A lock never expires. One that its holder left behind is freed by a release in that holder's name.

pub mod acceptor;
pub mod messages;
pub mod proposer;
pub mod service;

/// The code that tonic generates from `build.rs`.
pub mod wire {
    #![allow(clippy::all)]
    /// For clients.
    pub mod locks {
        include!(concat!(env!("OUT_DIR"), "/lock.Locks.rs"));
    }
    /// For calls between nodes.
    pub mod acceptors {
        include!(concat!(env!("OUT_DIR"), "/lock.Acceptors.rs"));
    }
}

/// Mistakes that such services were shipped with. Each is one line of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A node grants a lock as soon as its own disk has it, whether or not the others do.
    GrantedAlone,
    /// A node keeps what it promised and accepted in memory only, and loses it at a restart.
    Forgets,
    /// A release frees a lock even if another client holds it by now.
    ReleasesAnyones,
}
