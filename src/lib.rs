//! `schism`: a consensus testbed and a classroom of network failures.

pub mod check;
pub mod fault;
pub mod history;
pub mod host;
pub mod kv;
pub mod report;
pub mod rng;
pub mod run;
pub mod scenario;
pub mod sim;
pub mod sweep;
pub mod systems;
pub mod trace;
