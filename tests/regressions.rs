//! Every run kept under `sims/regressions/` still ends as it was recorded.

use schism::run::{Options, run};
use schism::scenario::load;
use std::path::Path;

#[test]
fn kept_runs_end_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sims/regressions");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(!files.is_empty(), "at least one run is kept");
    for file in files {
        let name = file.display().to_string();
        let scenario = load(&name).unwrap();
        let explicit = scenario.explicit.as_ref().unwrap_or_else(|| panic!("{name} is not in explicit form"));
        let system = explicit.system.parse().unwrap();
        let outcome = run(&scenario, system, explicit.seed, &Options::default()).unwrap().outcome;
        let ended = (outcome.verdict.name(), outcome.failed_checks());
        let recorded = (explicit.verdict.verdict.as_str(), explicit.verdict.checks.clone());
        assert_eq!(ended, recorded, "{name}: `schism replay {name}` shows where it goes another way");
    }
}
