//! Why a run on real processes cannot be made.

use crate::host::processes::Panic;
use std::io;

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum RealError {
    /// The kernel or the distribution does not let this user make namespaces.
    #[error("{0}")]
    Forbidden(String),
    /// A network cannot be made.
    #[error("the network cannot be made: {0}")]
    Network(io::Error),
    /// A node's process cannot be started, or has ended by itself.
    #[error("{0}")]
    Node(String),
    /// A node of our own systems has panicked.
    #[error("{} panicked: {}", .0.host, .0.said)]
    Panicked(Panic),
    /// The cluster did not come up.
    #[error(
        "the cluster did not get ready within a minute: {ready} of {nodes} nodes know all the others, and {leaders} say \
         that they lead"
    )]
    NotReady {
        /// Nodes that know all the others.
        ready: usize,
        /// All nodes.
        nodes: usize,
        /// Nodes that say that they lead.
        leaders: usize,
    },
    /// The harness failed.
    #[error("{0}")]
    Harness(String),
}
