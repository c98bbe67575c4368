//! How much a scenario may ask for. Whoever writes a scenario need not be whoever runs it, so each count has a bound that
//! a machine with a few GB of memory can carry, and what may be run can also be recorded and read back.

use std::io::{self, Read};
use std::path::Path;

/// Bytes of a file.
pub const FILE_BYTES: u64 = 16 << 20;
/// Values in a file: numbers, texts, lists. Each takes a hundred times the memory of its text.
pub const VALUES: usize = 1_500_000;
/// Operations, planned or written down.
pub const OPERATIONS: u32 = 100_000;
/// Acts upon messages that are written down.
pub const ACTS: usize = 100_000;
/// Keys. Every node holds all of them, and the run ends with reads of each.
pub const KEYS: u32 = 100_000;
/// Clients in all. Each that waits takes some 70 KB, events and all.
pub const CLIENTS: usize = 10_000;
/// Clients times keys: every client goes through all keys in an order of its own.
pub const CLIENT_KEYS: u64 = 10_000_000;
/// Faults, written by hand or recorded.
pub const FAULTS: usize = 2_000;
/// Times that flapping links go up or down, in all.
pub const FLAPS: u64 = 100_000;
/// Characters of a name.
pub const NAME: usize = 64;
/// Characters of a title.
pub const TITLE: usize = 200;

/// The text of a file, if it is not longer than a scenario may be. A file without an end is not read to it.
///
/// # Errors
/// If it cannot be read, is no UTF-8, or is too long.
pub fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = std::fs::File::open(path)?.take(FILE_BYTES + 1).read_to_string(&mut text)? as u64;
    if length > FILE_BYTES {
        let why = format!("it is longer than a scenario may be ({} MiB)", FILE_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}

/// At most how many values a TOML text holds: every value but the first of a list or table has one of these before it.
pub fn values(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'=' | b',' | b'[' | b'{')).count()
}
