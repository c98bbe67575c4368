//! `schism engines`, without its runs: what it refuses, and that it loses nothing of a file.

use super::Desk;
use schism::systems::System;

/// An error on one line: its frame breaks lines.
fn said(err: &str) -> String {
    err.split_whitespace().filter(|word| *word != "\u{2502}").collect::<Vec<_>>().join(" ")
}

#[test]
fn an_engine_that_this_build_has_not_is_named_with_the_feature_that_brings_it() {
    if System::Raft010.is_built() {
        return;
    }
    let desk = Desk::new();
    let compared = desk.run("compare failover --systems raft,raft-0.10");
    assert_eq!(compared.code, 65);
    assert!(said(&compared.err).contains("as `cargo run --features openraft-0-10 -- ...` does"), "{}", compared.err);
    desk.write("engines.md", "# Engines\n\n* `raft-0.10`: openraft 0.10.\n");
    let refused = desk.run("engines --only failover --seeds 1 --markdown engines.md");
    assert_eq!(refused.code, 65);
    assert!(said(&refused.err).contains("cannot make: add --features openraft-0-10"), "{}", refused.err);
}

#[test]
fn a_part_is_made_only_of_what_there_is_and_only_for_a_file_of_the_same_seeds() {
    let desk = Desk::new();
    let made = "# Engines\n\n    cargo run -- engines --seeds 0..3 --markdown docs/ENGINES.md\n";
    desk.write("engines.md", made);
    for (words, code, part) in [
        ("--only failovr", 64, "did you mean `failover`?"),
        ("--only raft-rs-amnesia", 64, "say --hunt SEEDS, too"),
        ("--only failover --seeds 1 --markdown engines.md", 65, "give the seeds that it was made with"),
    ] {
        let ran = desk.run(&format!("engines {words}"));
        assert_eq!(ran.code, code, "{words}: {}", ran.err);
        assert!(said(&ran.err).contains(part), "{words}: {}", ran.err);
    }
    assert_eq!(desk.read("engines.md"), made);
}
