//! What overlapping faults do to messages on the simulated network, as the fold says.

use schism::run::{Options, Run, run};
use schism::scenario::Scenario;
use schism::systems::System;
use schism::trace::{DropReason, MessageId, What};
use std::collections::BTreeMap;

const HELD_AND_CUT: &str = r#"
version = 1
name = "held-and-cut"
title = "A link is held for three seconds and cut for the middle one"
sites = [{ name = "east", nodes = 3, clients = 1 }, { name = "west", nodes = 2, clients = 1 }]
latency = { local_ms = 2, wan_ms = 10 }
timing = { tick_ms = 2, duration_ms = 6000 }
workload = { operations = 300, start_ms = 500 }

[[faults]]
fault = "hold"
at_ms = 1000
for_ms = 3000
a = ["east"]
b = ["west"]

[[faults]]
fault = "partition"
at_ms = 2000
for_ms = 1000
groups = [["east"], ["west"]]
"#;

/// When each message was held back, and its fate: handled, or dropped for a reason.
fn fates(run: &Run) -> BTreeMap<MessageId, (u64, Vec<Option<DropReason>>)> {
    let mut fates = BTreeMap::new();
    for event in &run.trace.events {
        if let What::Hold { message, .. } = event.what {
            fates.insert(message, (event.t_ns / 1_000_000, Vec::new()));
        }
    }
    for event in &run.trace.events {
        let (message, fate) = match event.what {
            What::Deliver { message, .. } | What::Discard { message, .. } => (message, None),
            What::Drop { message, reason, .. } => (message, Some(reason)),
            _ => continue,
        };
        if let Some((_, of_message)) = fates.get_mut(&message) {
            of_message.push(fate);
        }
    }
    fates
}

#[test]
fn a_cut_wins_over_a_hold() {
    let scenario = Scenario::parse("held-and-cut", HELD_AND_CUT).unwrap();
    let run = run(&scenario, System::Raft, 1, &Options::default()).unwrap();
    assert!(run.outcome.violations.is_empty(), "{:?}", run.outcome.violations);
    let fates = fates(&run);
    let held = |from_ms: u64, until_ms: u64| fates.values().filter(move |(at, _)| (from_ms..until_ms).contains(at));
    assert!(held(1000, 2000).count() > 10, "messages are held before the cut");
    for (at_ms, fate) in held(1000, 2000) {
        assert!(!fate.contains(&None), "held at {at_ms} ms, it must not outlive the cut: {fate:?}");
    }
    assert_eq!(held(2000, 3000).count(), 0, "while the link is cut nothing is held: it is lost");
    assert!(held(3000, 4000).any(|(_, fate)| fate.contains(&None)), "what is held after the cut arrives in the end");
}

/// The rows and the list of kinds that take roles are made from `src/fault/kinds/`.
#[test]
fn the_page_has_the_table_that_the_command_writes() {
    let page = include_str!("../docs/FAULTS.md");
    let made = schism::report::faults::written(page).unwrap();
    assert_eq!(page, made, "write it anew: cargo run -- list --faults --markdown docs/FAULTS.md");
}

#[test]
fn the_page_says_what_the_nemesis_draws_from() {
    let page = include_str!("../docs/FAULTS.md");
    let ranges = page.split("[nemesis.ranges]").nth(1).unwrap();
    for (field, value) in toml::Table::try_from(schism::fault::ranges::Ranges::default()).unwrap() {
        assert!(ranges.contains(&format!("{field} = {value}")), "{field} = {value}");
    }
}
