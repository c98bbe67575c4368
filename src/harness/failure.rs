//! Why a test fails, as data; `story.rs` puts it into words.

use crate::shrink::{Failed, Shrunk};
use std::path::PathBuf;

/// Why a test fails.
pub(super) enum Failure {
    /// A run broke something.
    Broken(Box<Broken>),
    /// Nothing broke, but too many runs prove nothing.
    Inconclusive {
        /// The first such seed.
        seed: u64,
        /// Why.
        why: String,
        /// How many seeds there are like it.
        count: u64,
        /// Of how many.
        seeds: u64,
        /// How many the test bears.
        most: u64,
    },
    /// What any seed may lack, all of them lacked.
    Never {
        /// The first seed.
        seed: u64,
        /// What it lacked.
        why: String,
        /// How many seeds there are.
        seeds: u64,
    },
    /// The test could not be carried out, or two runs of one seed differ.
    Harness(String),
}

/// A run that broke something.
pub(super) struct Broken {
    pub origin: Origin,
    /// What failed, strongest first.
    pub failed: Vec<Failed>,
    /// The attempts of the operations that the first failure rests on; those of the shrunk run, if there is one.
    pub attempts: Vec<String>,
    /// The same, shrunk.
    pub smaller: Option<Smaller>,
    /// Where it was kept among the regressions, if that was asked for.
    pub saved: Option<Result<PathBuf, String>>,
    /// Its page, if one was asked for.
    pub page: Option<PathBuf>,
}

/// What was run.
pub(super) enum Origin {
    /// A seed, the `count`-th of `seeds`.
    Seed { seed: u64, count: u64, seeds: u64 },
    /// A file kept among the regressions.
    Regression(PathBuf),
    /// A file that was asked for.
    Replay(PathBuf),
}

/// A shrunk run and its file.
pub(super) struct Smaller {
    pub file: PathBuf,
    pub shrunk: Shrunk,
    /// What shrinking was allowed to spend, in simulated seconds.
    pub budget_s: u64,
}
