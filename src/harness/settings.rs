//! What a test says of itself, as plain data: where it stands, which scenario it runs, and how.

use crate::check::linearizability::Budget;

/// Where a test stands: what `#[schism::test]` knows about the function.
#[derive(Debug, Clone)]
pub struct Place {
    /// The module of the test function, its crate first: `module_path!()`.
    pub module: &'static str,
    /// The test function.
    pub function: &'static str,
    /// The package: `CARGO_PKG_NAME`.
    pub package: &'static str,
    /// The package's folder: `CARGO_MANIFEST_DIR`.
    pub folder: &'static str,
    /// The source file: `file!()`.
    pub file: &'static str,
}

/// How runs are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// A process for each run: for code that calls `tokio::spawn`, or keeps anything in statics.
    #[default]
    Process,
    /// All runs in the test's process, each on a thread: for code that starts its tasks with `Host::spawn` only.
    Thread,
}

/// What becomes of a test some of whose seeds prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Inconclusive {
    /// It fails.
    #[default]
    Fail,
    /// It passes, whatever the runs lacked, and says so on standard error.
    Allow,
    /// It passes if they are no more than this share of all seeds, from 0 to 1.
    UpTo(f64),
}

/// All that the attribute says.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub place: Place,
    /// The name of a scenario that this crate carries, or a file in the package.
    pub scenario: &'static str,
    /// How many seeds are tried, unless the environment says otherwise.
    pub seeds: u64,
    pub isolation: Isolation,
    pub inconclusive: Inconclusive,
    /// What judging one key of a run may cost.
    pub budget: Budget,
    /// Fields in place of the scenario's nemesis, as TOML within braces; may be empty.
    pub nemesis: &'static str,
}

impl Settings {
    /// The test's name, as regressions carry it.
    pub fn name(&self) -> String {
        format!("{}::{}", self.place.module, self.place.function)
    }

    /// The test's name as libtest knows it: without the crate.
    pub fn name_in_binary(&self) -> String {
        self.name().split_once("::").expect("a path begins with its crate").1.to_owned()
    }
}
