//! Each mistake is found: the ignored tests of `chaos.rs` fail, as they should.

use std::process::Command;

/// The output of a test that must fail.
fn failure(test: &str) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--test", "chaos", "--", "--ignored", "--exact", test]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    for variable in ["CI", "SCHISM_SEED", "SCHISM_SEEDS", "SCHISM_JOBS", "SCHISM_REPLAY"] {
        command.env_remove(variable);
    }
    // It matters only that the test fails, so the failure is not shrunk.
    command.env("SCHISM_SHRINK", "0");
    let output = command.output().expect("cargo runs, for it runs this");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "`{test}` passes:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn every_mistake_is_found() {
    for test in ["granted_by_one_node_alone", "forgotten_by_a_node_that_restarts", "released_by_whoever_held_it_before"]
    {
        let said = failure(test);
        assert!(said.contains(&format!("{test} fails under seed")), "{said}");
        assert!(said.contains("linearizability"), "{said}");
    }
}
