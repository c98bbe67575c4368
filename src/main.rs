//! The `schism` command.

#[cfg(not(any(tokio_unstable, doc)))]
compile_error!(
    "schism must be built with `--cfg tokio_unstable`, or no seed replays. The repository's .cargo/config.toml sets it, \
     but a RUSTFLAGS variable or a config of your own replaces that: add `--cfg tokio_unstable` there. \
     Outside the repository: RUSTFLAGS=\"--cfg tokio_unstable\" cargo install schism"
);

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
