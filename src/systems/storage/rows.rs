//! State as rows of one redb table, for the systems that are not Raft; and the checksums that all rows have.
//!
//! A row ends with a checksum of its own. redb's checksums guard its pages between a crash and the next opening; the
//! rows' checksums guard every read.

use crate::rng;
use redb::{ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableHandle};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;

pub use redb::Database;

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// The cache is small: everything is also in memory.
const CACHE_BYTES: usize = 1 << 20;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It holds something else.
    #[error("this is no storage of a schism node, but {found}; give the node an empty disk, or its own")]
    Foreign {
        /// What was found.
        found: String,
    },
    /// A row is not as it was written.
    #[error(
        "row {row} of table `{table}` is damaged; restore the node from another one: wipe its disk and add it anew"
    )]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
    },
    /// The database itself cannot be opened or read.
    #[error("the database cannot be read: {0}")]
    Database(#[from] redb::Error),
}

macro_rules! into_database_error {
    ($($error:ty),*) => {
        $(impl From<$error> for OpenError {
            fn from(error: $error) -> OpenError {
                OpenError::Database(error.into())
            }
        })*
    };
}
into_database_error!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

/// The encoded value with its checksum.
pub(in crate::systems) fn seal(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = postcard::to_stdvec(value).expect("plain data encodes");
    bytes.extend(rng::hash_bytes(0, &bytes).to_le_bytes());
    bytes
}

/// Decodes what [`seal`] made, if it is undamaged.
pub(in crate::systems) fn unseal<T: DeserializeOwned>(
    table: &'static str,
    row: impl std::fmt::Display,
    bytes: &[u8],
) -> Result<T, OpenError> {
    let damaged = || OpenError::Damaged { table, row: row.to_string() };
    let (data, sum) = bytes.split_last_chunk::<8>().ok_or_else(damaged)?;
    if rng::hash_bytes(0, data).to_le_bytes() != *sum {
        return Err(damaged());
    }
    postcard::from_bytes(data).map_err(|_| damaged())
}

/// redb's magic number, and no more than its header, are within these bytes.
const MAGIC_BYTES: usize = 9;
const HEADER_BYTES: usize = 512;

/// The database on a device, made if the device is blank.
///
/// redb writes its magic number last, and refuses a file without one. So a database whose making was cut short by a power
/// loss would never open again: what there is of it is removed first. Nothing was ever committed to it.
pub(in crate::systems) fn create(device: impl StorageBackend) -> Result<Database, OpenError> {
    // A device that cannot be read is reported by redb.
    if is_unfinished(&device).unwrap_or(false) {
        device.set_len(0).map_err(redb::StorageError::Io)?;
    }
    Ok(Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(device)?)
}

/// Whether there is nothing but a header without a magic number: what is left of a database that was being made.
fn is_unfinished(device: &impl StorageBackend) -> io::Result<bool> {
    let length = usize::try_from(device.len()?).unwrap_or(usize::MAX);
    let is_blank = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let mut magic = [0; MAGIC_BYTES];
    if length <= HEADER_BYTES {
        return Ok(false);
    }
    device.read(0, &mut magic)?;
    if !is_blank(&magic) {
        return Ok(false);
    }
    let mut rest = vec![0; length - HEADER_BYTES];
    device.read(HEADER_BYTES as u64, &mut rest)?;
    Ok(is_blank(&rest))
}

/// One change of the rows. Changes are made in order, many at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A row has this value now.
    Set {
        /// Its encoded name.
        row: Vec<u8>,
        /// Its sealed value.
        value: Vec<u8>,
    },
    /// All rows are removed.
    Clear,
}

impl Change {
    /// Sets the row `name` to `value`.
    pub fn set(name: &impl Serialize, value: &impl Serialize) -> Change {
        Change::Set { row: postcard::to_stdvec(name).expect("plain data encodes"), value: seal(value) }
    }
}

/// Opens a system's database on a device; a blank device gets a new one. `format` says whose rows they are.
///
/// # Errors
/// See [`OpenError`]. Data that is not ours is refused and never overwritten.
pub fn open(device: impl StorageBackend, format: &str) -> Result<Database, OpenError> {
    let database = create(device)?;
    let transaction = database.begin_write()?;
    // The power may have gone after redb wrote its first page and before our first commit. Then there are no tables
    // either.
    if transaction.list_tables()?.next().is_none() {
        transaction.open_table(META)?.insert("format", seal(&format).as_slice())?;
        drop(transaction.open_table(ROWS)?);
        transaction.commit()?;
        return Ok(database);
    }
    let tables: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    let foreign = || OpenError::Foreign { found: format!("a database with the tables {}", tables.join(", ")) };
    let found: String = {
        let meta = transaction.open_table(META).map_err(|_| foreign())?;
        let row = meta.get("format")?.ok_or_else(foreign)?;
        unseal("meta", "format", row.value())?
    };
    transaction.abort()?;
    if found == format { Ok(database) } else { Err(OpenError::Foreign { found: format!("`{found}`") }) }
}

/// Reads every row.
///
/// # Errors
/// When a row is damaged, or the database cannot be read.
pub fn load<N: DeserializeOwned>(database: &Database) -> Result<Vec<(N, Sealed)>, OpenError> {
    let transaction = database.begin_read()?;
    let mut rows = Vec::new();
    for entry in transaction.open_table(ROWS)?.iter()? {
        let (row, value) = entry?;
        let damaged = |_| OpenError::Damaged { table: "rows", row: format!("{:?}", row.value()) };
        rows.push((postcard::from_bytes(row.value()).map_err(damaged)?, Sealed(value.value().to_vec())));
    }
    Ok(rows)
}

/// A row's value with its checksum, as read.
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// The value, if it is undamaged.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn open<T: DeserializeOwned>(&self, name: &str) -> Result<T, OpenError> {
        unseal("rows", name, &self.0)
    }
}

/// Makes all changes in one commit, which is durable when this returns.
///
/// # Errors
/// When the disk refuses. Then none of the changes was made.
pub fn commit(database: &Database, changes: &[Change]) -> Result<(), OpenError> {
    let transaction = database.begin_write()?;
    {
        let mut rows = transaction.open_table(ROWS)?;
        for change in changes {
            match change {
                Change::Set { row, value } => drop(rows.insert(row.as_slice(), value.as_slice())?),
                Change::Clear => rows.retain(|_, _| false)?,
            }
        }
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    /// The power goes while redb makes its file: its header is there, its magic number is not.
    #[test]
    fn a_database_that_was_being_made_is_made_anew_and_nothing_else_is() {
        let device = |at: u64, bytes: &[u8]| {
            let device = InMemoryBackend::new();
            device.set_len(1 << 20).unwrap();
            device.write(at, bytes).unwrap();
            device
        };
        assert!(open(device(64, b"a header"), "test 1").is_ok());
        assert!(open(device(0, b"something"), "test 1").is_err(), "another format");
        assert!(open(device(4096, b"data"), "test 1").is_err(), "data without a header");
    }

    #[test]
    fn rows_read_back_as_they_were_written_last() {
        let database = open(InMemoryBackend::new(), "test 1").unwrap();
        let first = [Change::set(&1u8, &"one"), Change::Clear, Change::set(&2u8, &"two")];
        commit(&database, &first).unwrap();
        commit(&database, &[Change::set(&2u8, &"deux")]).unwrap();
        let rows = load::<u8>(&database).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].0, rows[0].1.open::<String>("2").unwrap()), (2, "deux".to_owned()));
    }
}
