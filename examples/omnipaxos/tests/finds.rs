//! Each mistake is found and reported in a few lines: the ignored tests of `chaos.rs` fail, as they should.

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
fn a_read_of_one_node_alone_is_stale() {
    let said = failure("reads_of_any_node");
    assert!(said.contains("reads_of_any_node fails under seed"), "{said}");
    assert!(said.contains("linearizability"), "{said}");
}

#[test]
fn what_was_promised_in_memory_is_lost_with_it() {
    let said = failure("storage_in_memory");
    assert!(said.contains("storage_in_memory fails under seed"), "{said}");
}
