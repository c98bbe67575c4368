//! Locks with fencing tokens, replicated over three nodes: any node answers, a majority decides.
//!
//! Each lock is a register of its own in the manner of CASPaxos (Rystsov, <https://arxiv.org/abs/1802.07000>): a node
//! reads the lock's state from a majority, changes it, and has a majority accept what came out, under a ballot that
//! nobody else uses. There is no leader to depose and no log to compact; reading takes the same two round trips.
//!
//! * [`messages`]: what goes over the wire.
//! * [`acceptor`]: what a node must not forget.
//! * [`proposer`]: changes that a majority accepts.
//! * [`service`]: both as gRPC services.
//!
//! A lock never expires: who holds one that its holder left behind is named by whoever releases it.

pub mod acceptor;
pub mod messages;
pub mod proposer;
pub mod service;

/// What tonic makes of `build.rs`.
pub mod wire {
    #![allow(clippy::all)]
    /// For clients.
    pub mod locks {
        include!(concat!(env!("OUT_DIR"), "/lock.Locks.rs"));
    }
    /// For nodes among themselves.
    pub mod acceptors {
        include!(concat!(env!("OUT_DIR"), "/lock.Acceptors.rs"));
    }
}

/// Mistakes that such services were shipped with. Each is one line of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A node grants a lock once its own disk has it, and tells the others at leisure.
    GrantedAlone,
    /// A node keeps what it promised and accepted in memory, and starts without.
    Forgets,
    /// Whoever releases a lock frees it, though it may be somebody else's by now.
    ReleasesAnyones,
}
