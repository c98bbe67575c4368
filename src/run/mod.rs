//! `run(scenario, system, seed) -> outcome`, a pure function; and comparing two systems under one schedule.

mod outcome;

pub use outcome::{Availability, Counters, Liveness, Outcome, Run, Verdict};
