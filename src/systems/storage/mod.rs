//! Shared by the systems that keep their data on the host's disk.
//!
//! * [`journal`]: group commit.
//! * [`rows`]: state as rows of a redb table. [`states`]: the states of a cluster's nodes, kept as rows.
//! * [`durable`]: the state of a node that replicates a log, as plain data. [`tables`]: the same in redb.
//! * [`pairs`]: keys and values of the node's own making.
//! * [`process`]: a node that starts again after its storage has failed.

pub mod durable;
pub mod journal;
pub mod pairs;
pub mod process;
pub mod rows;
pub mod states;
pub mod tables;
