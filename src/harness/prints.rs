//! What nodes print and log while one seed is replayed: shown with host and simulated time.
//!
//! Everything that the process of the run writes to its standard streams is shown (`host/echo.rs` marks which host
//! wrote it), and so are the events of `tracing`: a subscriber for the run's thread writes them to standard error. The
//! service may install a subscriber of its own; on that thread this one takes precedence.

use crate::host::echo;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

/// The variable that says which events are shown, as everywhere: `info`, `my_service=debug`.
const FILTER: &str = "RUST_LOG";
/// What is shown by default: the events of the simulator's own crates are of no use here.
const USUAL: &str = "info,turmoil=off,openraft=warn";

/// From here on the events of this thread go to standard error, until the guard is dropped.
pub(super) fn log() -> tracing::subscriber::DefaultGuard {
    let asked = std::env::var(FILTER).ok().and_then(|filter| filter.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| USUAL.parse().expect("it is a list of levels"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).without_time();
    tracing::subscriber::set_default(tracing_subscriber::registry().with(filter).with(lines))
}

/// The lines that a process with marks printed, each with its host and the time.
pub(super) fn lines(stdout: &str, stderr: &str) -> Vec<String> {
    let shown = |(mark, line): (echo::Mark, String)| match mark.host.as_str() {
        "" => line,
        host => format!("[{host} {:.3} s] {line}", mark.t_ns as f64 / 1e9),
    };
    echo::read(stdout, stderr).into_iter().map(shown).collect()
}
