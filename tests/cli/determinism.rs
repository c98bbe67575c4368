//! `--check-determinism` repeats a run in every circumstance that must not matter.

use super::Desk;
use schism::systems::System;

#[test]
fn systems_are_deterministic_in_every_circumstance() {
    let desk = Desk::new();
    let built = |(system, _): &(&str, i32)| system.parse::<System>().is_ok_and(System::is_built);
    for (system, code) in [("raft", 0), ("dual-primary", 1), ("raft-0.10", 0)].into_iter().filter(built) {
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
