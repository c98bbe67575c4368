//! `--check-determinism` repeats a run in every circumstance that must not matter.

use super::Desk;

#[test]
fn both_systems_are_deterministic_in_every_circumstance() {
    let desk = Desk::new();
    for (system, code) in [("raft", 0), ("dual-primary", 1)] {
        let ran = desk.run(&format!("run brief.toml --system {system} --check-determinism --no-record --format json"));
        assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
        let lines = ran.lines();
        let circumstances = lines.iter().filter(|line| line["kind"] == "determinism");
        let circumstances: Vec<_> =
            circumstances.map(|line| (line["circumstance"].as_str(), &line["identical"])).collect();
        assert!(circumstances.iter().any(|(name, _)| *name == Some("in a fresh process")), "{circumstances:?}");
        assert!(circumstances.len() >= 4 && circumstances.iter().all(|(_, same)| **same == true), "{circumstances:?}");
    }
}
