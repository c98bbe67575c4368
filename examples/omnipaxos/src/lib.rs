//! A key-value store on omnipaxos.
//!
//! * [`kv`]: the replicated store.
//! * [`storage`]: a node's durable state.
//! * [`node`]: a node, without network and clock.
//! * [`wire`]: a JSON object a line.

pub mod kv;
pub mod node;
pub mod storage;
pub mod wire;
