//! All integration tests, one binary: openraft is monomorphised once.

#[cfg(not(tokio_unstable))]
compile_error!(
    "the tests must be built with `--cfg tokio_unstable`, or no seed replays. The repository's .cargo/config.toml \
     sets it, but a RUSTFLAGS variable or a config of your own replaces that: add `--cfg tokio_unstable` there."
);

mod aimed;
mod cli;
mod course;
mod faults;
mod groups;
mod harness;
mod ladder;
mod leaks;
mod links;
mod livelock;
mod museum;
mod nodes;
mod pairs;
mod properties;
mod regressions;
mod scenario_errors;
mod scenario_files;
mod storage;
mod streams;
mod tidy;
mod zoo;
