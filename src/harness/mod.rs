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
//! * `judge`: the verdict on objects that are not the key-value store.
//! * `test`: the test and its settings.
//! * `course`: which runs are made, in which order, and what makes the test fail.
//! * `doubts`: what follows from seeds that prove nothing.
//! * `runner`: one run, on a thread of its own or in a process of its own.
//! * `prints`: what nodes print and log while one seed is replayed.
//! * `story`: what a failing test prints.

mod attempts;
mod course;
mod doubts;
mod judge;
pub mod prelude;
mod prints;
mod runner;
mod service;
mod story;
mod test;

pub use doubts::Inconclusive;
pub use runner::Isolation;
pub use service::{Answer, Call, KeyValue, Object, Service, subject};
pub use test::{Place, Test};
