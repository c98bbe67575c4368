//! Every run kept under `sims/regressions/` still ends as it was recorded.

use schism::run::{Options, run};
use schism::scenario::load;
use std::path::Path;
use std::sync::OnceLock;

/// Replays every kept run, once for all tests; what does not end as recorded, a line each.
///
/// The long properties ask for this before they begin: a fault that was found before is named within a second,
/// not after a thousand seeds.
pub fn rotted() -> &'static [String] {
    static ROTTED: OnceLock<Vec<String>> = OnceLock::new();
    ROTTED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sims/regressions");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        assert!(!files.is_empty(), "at least one run is kept");
        files.iter().filter_map(|file| replay(&file.display().to_string()).err()).collect()
    })
}

fn replay(name: &str) -> Result<(), String> {
    let scenario = load(name).map_err(|error| error.plain())?;
    let explicit = scenario.explicit.as_ref().ok_or_else(|| format!("{name} is not in explicit form"))?;
    let system = explicit.system.parse().map_err(|error| format!("{name}: {error}"))?;
    let outcome =
        run(&scenario, system, explicit.seed, &Options::default()).map_err(|error| error.to_string())?.outcome;
    let ended = (outcome.verdict.name(), outcome.failed_checks());
    let recorded = (explicit.verdict.verdict.as_str(), explicit.verdict.checks.clone());
    if ended == recorded {
        return Ok(());
    }
    Err(format!("{name} was {recorded:?} and is {ended:?}: `schism replay {name}` shows where it goes another way"))
}

#[test]
fn kept_runs_end_as_recorded() {
    assert!(rotted().is_empty(), "{}", rotted().join("\n"));
}
