//! `cargo test` for your own service.
//!
//! A crate that depends on this one describes its service ([`Service`]), and an attribute makes a test of it:
//!
//! ```ignore
//! #[schism::test(scenario = "sims/cut.toml", seeds = 50)]
//! fn no_order_is_lost() -> Shop {
//!     Shop::default()
//! }
//! ```
//!
//! Each seed is a run of the scenario: the service's nodes on simulated hosts, clients that follow a script, and
//! faults. A seed that fails is shrunk, written to a file, and reported in a few lines with the command that shows it
//! again. `docs/TESTING.md` is the tutorial.
//!
//! * [`prelude`]: the names that a test needs.
//! * `service`: what a test must know about a service.
//! * `attempts`: the clients' operations, and how each attempt ended.
//! * `nodes` (feature `nodes`): a program in another language as what is tested.
//! * `judge`: the verdict on objects that are not the key-value store.
//! * `cluster`: the service as the simulator sees it.
//! * `settings`: what the test says of itself.
//! * `variables`: what the environment says.
//! * `failure`: why a test fails.
//! * `story`: what a failing test prints.
//! * `runner`: one run, on a thread of its own or in a process of its own.
//! * `prints`: what nodes print and log while one seed is replayed.
//! * `doubts`: what follows from seeds that prove nothing.
//! * `course`: which runs are made, in which order, and what fails the test.
//! * `test`: the test, which puts all of this together.

mod attempts;
mod cluster;
mod course;
mod doubts;
mod failure;
mod judge;
#[cfg(feature = "nodes")]
mod nodes;
pub mod prelude;
mod prints;
mod runner;
mod service;
mod settings;
mod story;
mod test;
mod variables;

pub use cluster::{Fresh, Tested, subject};
#[cfg(feature = "nodes")]
pub use nodes::Nodes;
pub use service::{Answer, Call, KeyValue, Object, Service};
pub use settings::{Inconclusive, Isolation, Place};
pub use test::Test;
