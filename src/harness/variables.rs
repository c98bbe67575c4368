//! The environment variables that a test goes by, beside those that choose its seeds (`rng/seeds.rs`).

/// Names a file to run instead of seeds.
pub(super) const REPLAY: &str = "SCHISM_REPLAY";
/// Whether a failing run is shown as a page.
pub(super) const HTML: &str = "SCHISM_HTML";
/// Whether a failing run is kept among the regressions.
pub(super) const SAVE: &str = "SCHISM_SAVE";
/// How many runs are made at once.
pub(super) const JOBS: &str = "SCHISM_JOBS";
/// What shrinking may spend, in simulated seconds; 0 turns it off.
pub(super) const SHRINK: &str = "SCHISM_SHRINK";
