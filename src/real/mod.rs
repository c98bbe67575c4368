//! A scenario on real processes and real kernels: the same schedule of faults, the same script of operations, the same
//! checks.
//!
//! Linux only (feature `real`). `docs/REAL.md` says how it works and what was found.
//!
//! * [`subject`]: what is run as a node, from a file. `store`: what clients speak.
//! * `start`: starts the `conductor` in namespaces of its own, and gets back what happened.
//! * `conductor`: the process that holds a run; `course`: its course by the wall clock. `clock`: that clock.
//! * `namespace`: the network of a host; `router`: moves packets by the simulator's links and faults.
//! * [`own`]: a node of our own systems as a process. `wire`: its calls over TCP.
//! * [`fidelity`]: how much a simulated run resembles a real one. `measure`: how fast the router is.
//! * [`mod@bench`], `load`: how fast a store is.
//! * `nodes`: the processes of a node. [`powerless`]: faults that cannot act here. `error`: why there is no run.

pub mod bench;
mod clock;
pub mod conductor;
mod course;
mod error;
pub mod fidelity;
mod load;
mod measure;
mod namespace;
mod nodes;
pub mod own;
pub mod powerless;
mod router;
mod start;
mod store;
pub mod subject;
mod wire;

pub use conductor::What;
pub use error::RealError;
pub use measure::Speed;
pub use router::Punctuality;
pub use start::{Real, Roles, measure, run};
