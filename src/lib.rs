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
//! From the top; a module uses those below it only (`docs/ARCHITECTURE.md` says more):
//!
//! * [`harness`]: `cargo test` for systems that are not ours, with the attribute [`macro@test`] and a [`prelude`].
//! * [`lab`]: the playground's engine, one JSON interface.
//! * `zoo` (feature `cli`): what the testbed finds of planted bugs, and how fast.
//! * [`report`]: what people and scripts read. [`sweep`]: many seeds on all cores.
//! * [`shrink`](mod@shrink): the same violation from less.
//! * `stories` (feature `stories`): failures other than split-brain, each with a prediction to meet.
//! * [`run`](mod@run): from a scenario to a judged outcome; [`run::compare`](mod@run::compare) drives several systems alike.
//! * [`clients`]: who asks what of a system. [`scenario`]: the file format. [`check`]: one property a file.
//! * [`systems`]: what is tested. [`history`]: what clients saw. [`sim`]: the simulated world.
//! * [`fault`]: what breaks, as data.
//! * [`host`]: how a node touches the world.
//! * [`kv`]: the store. [`trace`]: the event log and its digest. [`rng`]: all entropy of a run.
//!
//! The crate needs `--cfg tokio_unstable`, without which no seed replays; a run says how to set it.

pub mod check;
pub mod clients;
pub mod fault;
pub mod harness;
pub mod history;
pub mod host;
pub mod kv;
pub mod lab;
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
