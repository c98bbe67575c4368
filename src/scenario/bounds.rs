//! Upper bounds on what a scenario may ask for. A scenario may be run by a person who did not write it, so each count
//! has a bound that a machine with a few GB of memory can handle, and any permitted run can be recorded and read back.

use std::io::{self, Read};
use std::path::Path;

/// Bytes of a file.
pub const FILE_BYTES: u64 = 16 << 20;
/// Values in a file: numbers, texts, lists. Each takes a hundred times the memory of its text.
pub const VALUES: usize = 1_500_000;
/// Operations, planned or recorded.
pub const OPERATIONS: u32 = 100_000;
/// Recorded acts of the chaos layer.
pub const ACTS: usize = 100_000;
/// Keys. Every node holds all of them, and the run ends with reads of each.
pub const KEYS: u32 = 100_000;
/// Clients in all. Each waiting client takes some 70 KB, events included.
pub const CLIENTS: usize = 10_000;
/// Clients times keys: every client goes through all keys in its own order.
pub const CLIENT_KEYS: u64 = 10_000_000;
/// Faults, written by hand or recorded.
pub const FAULTS: usize = 2_000;
/// Times that flapping links go up or down, in all.
pub const FLAPS: u64 = 100_000;
/// Characters of a name.
pub const NAME: usize = 64;
/// Characters of a title.
pub const TITLE: usize = 200;

/// The text of a file, if it is no longer than a scenario may be. Of a file without an end only that much is read.
///
/// # Errors
/// If it cannot be read, is not UTF-8, or is too long.
pub fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let length = std::fs::File::open(path)?.take(FILE_BYTES + 1).read_to_string(&mut text)? as u64;
    if length > FILE_BYTES {
        let why = format!("it is longer than a scenario may be ({} MiB)", FILE_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}

/// An upper bound of the number of values in a TOML text: every value except the first of a list or table follows one
/// of these characters.
pub fn values(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'=' | b',' | b'[' | b'{')).count()
}
