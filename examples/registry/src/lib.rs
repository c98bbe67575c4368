//! A registry of services, replicated with openraft: where does `billing` listen?
//!
//! * [`types`]: the replicated command and the openraft types.
//! * [`log`], [`machine`]: storage in memory.
//! * [`router`]: a network for nodes of one process.
//! * [`node`]: a running node, and the clients' protocol.

pub mod log;
pub mod machine;
pub mod node;
pub mod router;
pub mod types;
