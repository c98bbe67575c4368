//! Shared by the systems that keep their data on the host's disk.
//!
//! * [`journal`]: group commit.
//! * [`rows`]: state as rows of a redb table. [`states`]: the states of a cluster's nodes, kept as rows.
//! * [`durable`]: the state of a node that replicates a log, as plain data. [`tables`]: the same in redb.
//! * [`pairs`]: keys and values of the node's own making.
//! * [`process`]: a node that starts again after its storage has failed.
//! * [`rules`]: what a node does beside its engine. [`planted`]: the same with a bug.

pub mod durable;
pub mod journal;
pub mod pairs;
pub mod planted;
pub mod process;
pub mod rows;
pub mod rules;
pub mod states;
pub mod tables;
