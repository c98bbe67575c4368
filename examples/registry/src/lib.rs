//! A registry of services, replicated with openraft: where does `billing` listen?
//!
//! * [`types`]: what is replicated.
//! * [`log`], [`machine`]: storage in memory.
//! * [`router`]: a network for nodes of one process.
//! * [`node`]: a running node, and how clients ask it.

pub mod log;
pub mod machine;
pub mod node;
pub mod router;
pub mod types;
