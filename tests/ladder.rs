//! `docs/LADDER.md` shows what the ladder finds.

use schism::report::ladder::{COLUMNS, Ladder, RUNGS};
use schism::rng::seeds::Seeds;
use schism::systems::System;

const DOC: &str = include_str!("../docs/LADDER.md");

/// The cells of the table's lines that begin with a system's name.
fn rows() -> Vec<Vec<&'static str>> {
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    DOC.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

#[test]
fn the_file_has_the_form_that_the_command_writes() {
    let form = Ladder::new(Seeds::first(1)).markdown();
    let without_rows = |text: &str| {
        let line = |line: &&str| !line.starts_with("| `") && !line.starts_with("    cargo");
        text.lines().filter(line).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(without_rows(DOC), without_rows(&form), "write it anew: cargo run -- ladder --markdown docs/LADDER.md");
    assert_eq!(rows().len(), RUNGS.len());
    for (row, rung) in rows().iter().zip(&RUNGS) {
        assert_eq!(row[0], format!("`{}`", rung.system));
        assert_eq!(row[COLUMNS.len() + 1..], [rung.buys, rung.loses]);
    }
}

#[test]
fn the_rungs_climb_to_raft() {
    assert_eq!(RUNGS.first().map(|rung| rung.system), Some(System::DualPrimary));
    assert_eq!(RUNGS.last().map(|rung| rung.system), Some(System::Raft));
}
