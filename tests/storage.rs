//! What a disk keeps: after a kill all that was written, after a power loss all that was synced; and a database
//! that is not a node's own is refused, not overwritten.

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use schism::host::Host;
use schism::host::task::Process;
use schism::run::plan;
use schism::scenario::Scenario;
use schism::sim::simulate;
use schism::systems::raft::durable::Change;
use schism::systems::raft::types::Types;
use schism::systems::storage::tables;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

const ROWS: TableDefinition<'_, u32, u32> = TableDefinition::new("rows");

/// A node counts its lives in a row.
fn live(host: &Host) -> Result<u32, redb::Error> {
    let database = Database::builder().set_cache_size(1 << 20).create_with_backend(host.disk())?;
    let transaction = database.begin_write()?;
    let lives = {
        let mut table = transaction.open_table(ROWS)?;
        let lives = table.get(0)?.map_or(0, |row| row.value());
        table.insert(0, lives + 1)?;
        lives
    };
    transaction.commit()?;
    // Its destructor flushes: that must not reach the disk of a machine without power.
    host.spawn(async move {
        std::future::pending::<()>().await;
        drop(database);
    });
    Ok(lives)
}

/// The counts that a node finds at each start, under these faults; `None`: it cannot read.
fn lives(faults: &str) -> Vec<Option<u32>> {
    let text = format!(
        r#"
version = 1
name = "lives"
title = "A node that dies and comes back"
sites = [{{ name = "a", nodes = 1, clients = 1 }}]
timing = {{ duration_ms = 8000 }}
workload = {{ operations = 1 }}
faults = [{faults}]
"#
    );
    let notes = Arc::<Mutex<Vec<Option<u32>>>>::default();
    let scenario = Scenario::parse("lives", &text).unwrap();
    let node = |host: Host| -> Process {
        let notes = notes.clone();
        Box::pin(async move {
            let found = live(&host).ok();
            notes.lock().unwrap().push(found);
            std::future::pending().await
        })
    };
    simulate(&plan(&scenario, 5).world, &node).unwrap();
    let notes = notes.lock().unwrap();
    notes.clone()
}

const KILL: &str = r#"{ fault = "kill", at_ms = 1000, for_ms = 500, target = "n1" }"#;
const POWER: &str = r#"{ fault = "power_loss", at_ms = 1000, for_ms = 500, target = "n1" }"#;
const AGAIN: &str = r#"{ fault = "power_loss", at_ms = 3000, for_ms = 500, target = "n1", torn = true }"#;

#[test]
fn what_was_synced_survives_both() {
    assert_eq!(lives(&[KILL, AGAIN].join(", ")), [Some(0), Some(1), Some(2)]);
    assert_eq!(lives(&[POWER, AGAIN].join(", ")), [Some(0), Some(1), Some(2)]);
}

#[test]
fn what_was_never_synced_survives_a_kill_and_no_power_loss() {
    let no_sync = r#"{ fault = "lost_sync", at_ms = 0, target = "n1" }"#;
    assert_eq!(lives(&[no_sync, KILL].join(", ")), [Some(0), Some(1)]);
    assert_eq!(lives(&[no_sync, POWER].join(", ")), [Some(0), Some(0)]);
    // The kill leaves the row with the machine; the power takes it from there.
    assert_eq!(lives(&[no_sync, KILL, AGAIN].join(", "))[..2], [Some(0), Some(1)]);
}

#[test]
fn a_power_loss_in_the_middle_of_a_commit_leaves_all_of_it_or_nothing() {
    for n in 1..40 {
        let middle = format!(
            r#"{{ fault = "power_loss", at_ms = 1000, for_ms = 1000, target = "n1", torn = true, at_operation = {n} }},
               {{ fault = "kill", at_ms = 1200, for_ms = 100, target = "n1" }},
               {{ fault = "kill", at_ms = 3000, for_ms = 100, target = "n1" }}"#
        );
        let found = lives(&middle);
        // The first life ended before; the second may have died in the middle of its commit.
        assert_eq!(found[0], Some(0), "operation {n}: {found:?}");
        let last = found.last().unwrap().unwrap_or_else(|| panic!("operation {n}: unreadable, {found:?}"));
        let commits = found.len() as u32 - 1;
        assert!((commits - 1..=commits).contains(&last), "operation {n}: {found:?}");
    }
}

#[test]
fn a_full_or_failing_disk_refuses_and_loses_nothing() {
    for fault in ["full_disk", "disk_errors"] {
        let refuses = format!(
            r#"{{ fault = "{fault}", at_ms = 900, for_ms = 1000, target = "n1" }}, {KILL},
               {{ fault = "kill", at_ms = 3000, for_ms = 100, target = "n1" }}"#
        );
        let found = lives(&refuses);
        assert!(found[1].is_none() || fault == "full_disk", "{fault}: {found:?}");
        assert!(found[2] >= Some(1), "{fault}: {found:?}");
    }
}

fn file(path: &Path) -> FileBackend {
    let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
    FileBackend::new(options.unwrap()).unwrap()
}

#[test]
fn the_same_storage_lies_in_a_real_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.redb");
    let vote = openraft::Vote::new(7, 3);
    {
        let database = tables::open::<Types>(file(&path)).unwrap();
        tables::commit::<Types>(&database, &[Change::Vote(vote), Change::Truncate(0)]).unwrap();
    }
    let (disk, machine) = tables::load::<Types>(&tables::open::<Types>(file(&path)).unwrap()).unwrap();
    assert_eq!((disk.vote, disk.log.len(), machine.applied), (Some(vote), 0, None));
}

#[test]
fn what_is_not_a_nodes_own_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.redb");
    {
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(ROWS).unwrap().insert(1, 2).unwrap();
        transaction.commit().unwrap();
    }
    let error = tables::open::<Types>(file(&path)).unwrap_err().to_string();
    assert!(
        error.contains("a database with the tables rows") && error.contains("give the node an empty disk"),
        "{error}"
    );
    let database = Database::open(&path).unwrap();
    let rows = database.begin_read().unwrap().open_table(ROWS).unwrap();
    assert_eq!(rows.get(1).unwrap().unwrap().value(), 2);
    let text = folder.path().join("letter.txt");
    std::fs::write(&text, "Dear node, this is no database at all. ".repeat(200)).unwrap();
    assert!(tables::open::<Types>(file(&text)).is_err());
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("Dear node"));
}

#[test]
fn a_damaged_row_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.redb");
    {
        let database = tables::open::<Types>(file(&path)).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
        transaction.open_table(meta).unwrap().insert("vote", b"a vote without its checksum".as_slice()).unwrap();
        transaction.commit().unwrap();
    }
    let error = tables::load::<Types>(&tables::open::<Types>(file(&path)).unwrap()).unwrap_err().to_string();
    assert!(error.contains("row vote of table `meta` is damaged"), "{error}");
}
