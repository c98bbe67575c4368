//! A key-value store on omnipaxos.
//!
//! * [`kv`]: what is replicated.
//! * [`storage`]: what a node finds again after a restart.
//! * [`node`]: a node, without network and clock.
//! * [`wire`]: a JSON object a line.

pub mod kv;
pub mod node;
pub mod storage;
pub mod wire;
