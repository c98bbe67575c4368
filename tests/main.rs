//! All integration tests, one binary: openraft is monomorphised once.

mod cli;
mod leaks;
mod properties;
mod scenario_errors;
mod scenario_files;
mod tidy;
