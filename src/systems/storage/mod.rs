//! What systems share that keep their data on the host's disk.
//!
//! * [`journal`]: group commit. * [`rows`]: state as rows of a redb table. * [`process`]: a node that starts again after
//!   its storage has failed.

pub mod journal;
pub mod process;
pub mod rows;
