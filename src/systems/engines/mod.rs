//! Other people's engines under the store: same commands, sessions, disk and clients as the systems on openraft.
//!
//! These engines have no network, clock or disk of their own. A node of ours drives them: it hands them messages and
//! ticks, makes durable what they ask for, and sends what they say.
//!
//! * [`raft_rs`]: tikv's Raft. [`omnipaxos`]: Sequence Paxos.
//! * `cluster`: the nodes of a cluster. `node`: a node on any engine. `mailroom`: messages over the host's transport. `desk`: clients that wait.

mod cluster;
mod desk;
mod mailroom;
mod node;
pub mod omnipaxos;
pub mod raft_rs;

#[cfg(test)]
mod tests;
