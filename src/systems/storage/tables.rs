//! The layout in its database of the state of a node that replicates a log, and reading it back.
//!
//! One database holds log, vote, state machine and snapshot, so that one commit is one point in the node's history.
//! Every row except plain numbers ends with a checksum of its own. redb's checksums guard its pages between a crash and
//! the next opening; the rows' checksums guard every read.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | `format`, `vote`, `committed`, `purged`, `applied`, `membership` | encoded |
//! | `log` | index | encoded entry |
//! | `values` | key | value |
//! | `sessions` | session | encoded session |
//! | `snapshot` | `meta`, `data` | encoded, bytes |

use super::durable::{Change, Disk, Effects, Engine, Machine, StoredSnapshot};
use super::rows::{create, seal, unseal};
use crate::kv::{Key, Store};
use redb::{
    Database, ReadableDatabase, ReadableTable, StorageBackend, Table, TableDefinition, TableHandle, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use super::rows::OpenError;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const VALUES: TableDefinition<'_, u32, u64> = TableDefinition::new("values");
const SESSIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sessions");
const SNAPSHOT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("snapshot");

/// Opens the database on a device; a blank device gets a new one.
///
/// # Errors
/// See [`OpenError`]. Data that is not ours is refused and never overwritten.
pub fn open<E: Engine>(device: impl StorageBackend) -> Result<Database, OpenError> {
    let database = create(device)?;
    prepare(&database, E::FORMAT)?;
    Ok(database)
}

fn prepare(database: &Database, expected: &str) -> Result<(), OpenError> {
    let transaction = database.begin_write()?;
    let tables: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    // The power may have gone after redb wrote its first page and before our first commit. Then there are no tables
    // either.
    if tables.is_empty() {
        let mut meta = transaction.open_table(META)?;
        meta.insert("format", seal(&expected.to_owned()).as_slice())?;
        drop(meta);
        drop(transaction.open_table(LOG)?);
        drop(transaction.open_table(VALUES)?);
        drop(transaction.open_table(SESSIONS)?);
        drop(transaction.open_table(SNAPSHOT)?);
        return Ok(transaction.commit()?);
    }
    let found = || OpenError::Foreign { found: format!("a database with the tables {}", tables.join(", ")) };
    if !tables.iter().any(|table| table == META.name()) {
        return Err(found());
    }
    let format: String = {
        let meta = transaction.open_table(META).map_err(|_| found())?;
        let row = meta.get("format")?.ok_or_else(found)?;
        unseal("meta", "format", row.value())?
    };
    if format != expected {
        return Err(OpenError::Foreign { found: format!("`{format}`") });
    }
    Ok(transaction.abort()?)
}

/// Reads the whole state.
///
/// # Errors
/// When a row is damaged or the database cannot be read.
pub fn load<E: Engine>(database: &Database) -> Result<(Disk<E>, Machine<E>), OpenError> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    fn row<T: DeserializeOwned>(
        table: &impl ReadableTable<&'static str, &'static [u8]>,
        name: &'static str,
    ) -> Result<Option<T>, OpenError> {
        table.get(name)?.map(|bytes| unseal("meta", name, bytes.value())).transpose()
    }
    let mut log = std::collections::BTreeMap::new();
    for entry in transaction.open_table(LOG)?.iter()? {
        let (index, bytes) = entry?;
        log.insert(index.value(), unseal("log", index.value(), bytes.value())?);
    }
    let mut values = std::collections::BTreeMap::new();
    for entry in transaction.open_table(VALUES)?.iter()? {
        let (key, value) = entry?;
        values.insert(Key(key.value()), value.value());
    }
    let mut sessions = std::collections::BTreeMap::new();
    for entry in transaction.open_table(SESSIONS)?.iter()? {
        let (session, bytes) = entry?;
        sessions.insert(session.value(), unseal("sessions", session.value(), bytes.value())?);
    }
    let stored = transaction.open_table(SNAPSHOT)?;
    let snapshot = match (stored.get("meta")?, stored.get("data")?) {
        (Some(meta), Some(data)) => Some(StoredSnapshot {
            meta: unseal("snapshot", "meta", meta.value())?,
            data: unseal("snapshot", "data", data.value())?,
        }),
        _ => None,
    };
    let disk = Disk {
        vote: row(&meta, "vote")?,
        committed: row(&meta, "committed")?,
        log,
        purged: row(&meta, "purged")?,
        snapshot,
    };
    let machine = Machine {
        store: Store::from_parts(values, sessions),
        applied: row(&meta, "applied")?,
        membership: row(&meta, "membership")?.unwrap_or_default(),
    };
    Ok((disk, machine))
}

/// Makes all changes in one commit, which is durable when this returns.
///
/// # Errors
/// When the disk refuses. Then none of the changes was made.
pub fn commit<E: Engine>(database: &Database, changes: &[Change<E>]) -> Result<(), OpenError> {
    let transaction = database.begin_write()?;
    let mut tables = Tables::of(&transaction);
    changes.iter().try_for_each(|change| tables.write(change))?;
    drop(tables);
    Ok(transaction.commit()?)
}

/// The tables of a commit, each opened once, when it is first needed: opening and closing one costs as much as writing
/// some rows.
struct Tables<'t> {
    transaction: &'t WriteTransaction,
    meta: Option<Table<'t, &'static str, &'static [u8]>>,
    log: Option<Table<'t, u64, &'static [u8]>>,
    values: Option<Table<'t, u32, u64>>,
    sessions: Option<Table<'t, u64, &'static [u8]>>,
}

/// The table in `slot`, opened if need be.
fn opened<'s, 't, K: redb::Key, V: redb::Value>(
    slot: &'s mut Option<Table<'t, K, V>>,
    transaction: &'t WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<&'s mut Table<'t, K, V>, OpenError> {
    Ok(match slot {
        Some(table) => table,
        none => none.insert(transaction.open_table(definition)?),
    })
}

impl<'t> Tables<'t> {
    fn of(transaction: &'t WriteTransaction) -> Tables<'t> {
        Tables { transaction, meta: None, log: None, values: None, sessions: None }
    }

    fn meta(&mut self) -> Result<&mut Table<'t, &'static str, &'static [u8]>, OpenError> {
        opened(&mut self.meta, self.transaction, META)
    }

    fn log(&mut self) -> Result<&mut Table<'t, u64, &'static [u8]>, OpenError> {
        opened(&mut self.log, self.transaction, LOG)
    }

    fn values(&mut self) -> Result<&mut Table<'t, u32, u64>, OpenError> {
        opened(&mut self.values, self.transaction, VALUES)
    }

    fn sessions(&mut self) -> Result<&mut Table<'t, u64, &'static [u8]>, OpenError> {
        opened(&mut self.sessions, self.transaction, SESSIONS)
    }

    fn set(&mut self, name: &str, value: &impl Serialize) -> Result<(), OpenError> {
        self.meta()?.insert(name, seal(value).as_slice())?;
        Ok(())
    }

    fn write<E: Engine>(&mut self, change: &Change<E>) -> Result<(), OpenError> {
        match change {
            Change::Vote(vote) => self.set("vote", vote)?,
            Change::Committed(Some(committed)) => self.set("committed", committed)?,
            Change::Committed(None) => drop(self.meta()?.remove("committed")?),
            Change::Append(entries) => {
                let log = self.log()?;
                for entry in entries {
                    log.insert(E::index(&E::position(entry)), seal(entry).as_slice())?;
                }
            }
            Change::Truncate(from) => self.log()?.retain_in(*from.., |_, _| false)?,
            Change::Purge(upto) => {
                self.log()?.retain_in(..=E::index(upto), |_, _| false)?;
                self.set("purged", upto)?;
            }
            Change::Apply(effects) => self.apply::<E>(effects)?,
            Change::Machine(machine) => {
                self.values()?.retain(|_, _| false)?;
                self.sessions()?.retain(|_, _| false)?;
                self.apply::<E>(&Effects {
                    upto: machine.applied,
                    membership: Some(machine.membership.clone()),
                    values: machine.store.values().iter().map(|(key, value)| (*key, Some(*value))).collect(),
                    sessions: machine.store.sessions().iter().map(|(id, session)| (*id, *session)).collect(),
                })?;
            }
            Change::Snapshot(snapshot) => {
                let mut table = self.transaction.open_table(SNAPSHOT)?;
                table.insert("meta", seal(&snapshot.meta).as_slice())?;
                table.insert("data", seal(&snapshot.data).as_slice())?;
            }
        }
        Ok(())
    }

    fn apply<E: Engine>(&mut self, effects: &Effects<E>) -> Result<(), OpenError> {
        let values = self.values()?;
        for (key, value) in &effects.values {
            match value {
                Some(value) => values.insert(key.0, value)?,
                None => values.remove(key.0)?,
            };
        }
        let sessions = self.sessions()?;
        for (id, session) in &effects.sessions {
            sessions.insert(id, seal(session).as_slice())?;
        }
        if let Some(membership) = &effects.membership {
            self.set("membership", membership)?;
        }
        effects.upto.iter().try_for_each(|upto| self.set("applied", upto))
    }
}
