//! Keys and values in a journal: what was synced survives every loss of power, wherever in a write or a new journal it comes,
//! and what survives beyond that is a prefix of what was written.

use schism::host::Host;
use schism::host::task::Process;
use schism::run::plan;
use schism::scenario::Scenario;
use schism::sim::simulate;
use schism::systems::storage::pairs::Pairs;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the lives of a node found, and how far they had synced.
#[derive(Default)]
struct Notes {
    /// The count that each life found, and the last that was synced before it.
    found: Vec<(u64, u64)>,
    synced: u64,
}

/// Counts, with enough beside the count that a new journal begins every few rounds.
async fn count(host: &Host, notes: &Mutex<Notes>) -> io::Result<()> {
    let mut pairs = Pairs::open(host.disk())?;
    let read = |key: &str| pairs.values().get(key).map_or(0, |text| text.parse().expect("a number"));
    let (mut number, before): (u64, u64) = (read("count"), read("before"));
    assert!((number..=number + 1).contains(&before), "{before} was written before {number}");
    {
        let mut notes = notes.lock().unwrap();
        let synced = notes.synced;
        notes.found.push((number, synced));
    }
    loop {
        number += 1;
        pairs.save("before".into(), Some(number.to_string()))?;
        pairs.save(format!("large {}", number % 3), Some("x".repeat(40_000)))?;
        pairs.save("count".into(), Some(number.to_string()))?;
        pairs.save(format!("gone {number}"), Some("y".into()))?;
        pairs.save(format!("gone {number}"), None)?;
        host.sleep(Duration::from_millis(10)).await;
        pairs.sync()?;
        notes.lock().unwrap().synced = number;
    }
}

fn lives(faults: &str) -> Vec<(u64, u64)> {
    let text = format!(
        r#"
version = 1
name = "lives"
title = "A node that dies and comes back"
sites = [{{ name = "a", nodes = 1, clients = 1 }}]
timing = {{ duration_ms = 4000 }}
workload = {{ operations = 1 }}
faults = [{faults}]
"#
    );
    let notes = Arc::<Mutex<Notes>>::default();
    let node = |host: Host| -> Process {
        let notes = notes.clone();
        Box::pin(async move {
            // A power loss shows as an error first; the process is killed after this step.
            let _ = count(&host, &notes).await;
            std::future::pending().await
        })
    };
    simulate(&plan(&Scenario::parse("lives", &text).unwrap(), 5).world, &node).unwrap();
    let notes = notes.lock().unwrap();
    notes.found.clone()
}

#[test]
fn a_power_loss_anywhere_leaves_what_was_synced() {
    // Five writes and a sync a round, and three more operations where a journal begins.
    for at in (1..140).step_by(9) {
        let found = lives(&format!(
            r#"{{ fault = "power_loss", at_ms = 1000, for_ms = 1000, target = "n1", torn = true, at_operation = {at} }},
               {{ fault = "power_loss", at_ms = 3000, for_ms = 100, target = "n1", torn = true }}"#
        ));
        assert_eq!(found.len(), 3, "operation {at}: {found:?}");
        for (count, synced) in &found {
            assert!((*synced..=synced + 1).contains(count), "operation {at}: {found:?}");
        }
        assert!(found[1].0 > 20 && found[2].0 > found[1].0, "operation {at}: {found:?}");
    }
}

#[test]
fn a_disk_that_reads_wrong_now_and_then_is_read_again() {
    let wrong = r#"{ fault = "corrupt_reads", at_ms = 1500, for_ms = 2000, target = "n1", ppm = 200000 }"#;
    let kills = [1600, 2000, 2400, 2800]
        .map(|at| format!(r#"{{ fault = "kill", at_ms = {at}, for_ms = 100, target = "n1" }}"#))
        .join(", ");
    let found = lives(&format!("{wrong}, {kills}"));
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.iter().all(|(count, synced)| (*synced..=synced + 1).contains(count)), "{found:?}");
}
