//! All integration tests, one binary: openraft is monomorphised once.

mod leaks;
mod properties;
mod cli;
mod scenario_errors;
mod scenario_files;
mod tidy;
