//! `cargo test` for systems that are not ours.
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
//! faults. A seed that fails is shrunk, written to a file, and told in a few lines with the command that shows it
//! again. `docs/TESTING.md` is the tutorial.
//!
//! * [`service`]: what the test is told about the service.
//! * [`judge`]: the verdict on objects that are not the key-value store.
//! * [`test`]: which runs are made, in which order, and what fails the test.
//! * [`runner`]: one run, on a thread of its own or in a process of its own.
//! * [`story`]: what a failing test prints.

mod judge;
mod runner;
mod service;
mod story;
mod test;

pub use runner::Isolation;
pub use service::{Answer, Call, KeyValue, Object, Service, subject};
pub use test::Test;
