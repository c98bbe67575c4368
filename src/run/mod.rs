//! `run(scenario, system, seed) -> outcome`, a pure function; and comparing two systems under one schedule.

pub mod compare;
mod outcome;
mod stub;

pub use compare::{Comparison, Difference, compare};
pub use outcome::{Availability, Counters, Liveness, Outcome, Run, Verdict};
pub use stub::{Options, RunError, run};
