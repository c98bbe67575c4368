//! A consensus testbed and a classroom of network failures: one seed, two systems, one verdict.
//!
//! A run is a pure function of a [`scenario`], a [`system`](systems) and a seed:
//!
//! ```
//! use schism::run::{Options, Verdict, run};
//! use schism::{scenario, systems::System};
//!
//! let scenario = scenario::load("split-brain")?;
//! let run = run(&scenario, System::Raft, 7, &Options::default())?;
//! assert_eq!(run.outcome.verdict, Verdict::Pass);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The modules from the top; each uses only those below it (`docs/ARCHITECTURE.md` says more):
//!
//! * [`harness`]: `cargo test` for your own service, with the attribute [`macro@test`] and a [`prelude`].
//! * [`lab`]: the playground's engine, one JSON interface.
//! * `campaign` (feature `cli`): what a sweep found, on one machine or on many, as one page.
//! * `zoo` (feature `cli`): which planted bugs the testbed finds, and how fast.
//! * `course` (feature `cli`): steps to a replicated store, and how a student's program is graded.
//! * [`museum`]: bugs of published engines that nobody planted.
//! * `real` (feature `real`, Linux): the same scenarios on real processes and a real kernel.
//! * `hunt` (feature `cli`): a guided search for failing schedules, and every single fault of a small run.
//! * [`report`]: output for people and scripts. [`sweep`]: many seeds on all cores.
//! * [`shrink`](mod@shrink): finds the same violation with fewer faults, operations and hosts.
//! * `stories` (feature `stories`): failures other than split-brain, each with a prediction to meet.
//! * [`run`](mod@run): from a scenario to an outcome; [`run::compare`](mod@run::compare) drives several systems alike.
//! * [`clients`]: the clients of a system. [`scenario`]: the file format. [`check`]: the checks, one property per file.
//! * [`systems`]: the systems under test. [`history`]: what clients asked and were answered.
//! * [`sim`]: the simulated world. [`fault`]: faults as data.
//! * [`host`]: network, clock, disk and randomness of a node.
//! * [`kv`]: the store. [`trace`]: the event log and its digest. [`rng`]: all entropy of a run.
//!
//! The crate needs `--cfg tokio_unstable`, without which no seed replays; a run says how to set it.

#[cfg(feature = "cli")]
pub mod campaign;
pub mod check;
pub mod clients;
#[cfg(feature = "cli")]
pub mod course;
pub mod fault;
pub mod harness;
pub mod history;
pub mod host;
#[cfg(feature = "cli")]
pub mod hunt;
pub mod kv;
pub mod lab;
pub mod museum;
#[cfg(all(feature = "real", target_os = "linux"))]
pub mod real;
pub mod report;
pub mod rng;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod sim;
#[cfg(feature = "stories")]
pub mod stories;
pub mod sweep;
pub mod systems;
pub mod trace;
#[cfg(feature = "cli")]
pub mod zoo;

pub use harness::prelude;
pub use schism_macros::test;
