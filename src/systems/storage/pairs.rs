//! Keys and values in a journal on the host's disk, for nodes that keep what they like there.
//!
//! The file has two headers, each within a sector, and then records. The valid header with the higher generation says
//! where the journal begins. Each record is a key with its new value, under a checksum that covers the generation too,
//! so that nothing of an older journal is taken for a part of this one. The journal ends at the first record that is
//! not whole: after a power loss that is the end of what was synced, or a whole record further. When most of it is
//! outdated, what is valid is written once more, elsewhere in the file, and then the other header.

use crate::host::disk::DiskFile;
use crate::rng;
use redb::StorageBackend;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// The size of a header's place: a disk writes so much at once, or nothing.
const SECTOR: u64 = 512;
/// Where the first journal begins.
const BEGIN: u64 = 2 * SECTOR;
/// Bytes before a record's content: its length and its checksum.
const FRAME: u64 = 12;
/// The longest content of a record.
const LONGEST: u32 = 64 << 20;
/// How often a place is read before it counts as damaged: a faulty disk may give what it does not hold.
const READS: usize = 6;
/// So many outdated bytes are not worth a new journal.
const SLACK: u64 = 256 << 10;

/// Where a journal begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    generation: u64,
    start: u64,
}

impl Header {
    fn encoded(self) -> Vec<u8> {
        let mut bytes = [self.generation.to_le_bytes(), self.start.to_le_bytes()].concat();
        let sum = rng::hash_bytes(0, &bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    fn decoded(bytes: &[u8]) -> Option<Header> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let header = Header { generation: number(0)?, start: number(8)? };
        (header.encoded() == bytes).then_some(header)
    }

    fn place(self) -> u64 {
        self.generation % 2 * SECTOR
    }
}

/// A change of one key.
#[derive(Serialize, Deserialize)]
struct Record {
    key: String,
    value: Option<String>,
}

/// Keys and their values, as a process sees them.
pub struct Pairs {
    file: DiskFile,
    header: Header,
    /// Where the next record goes.
    end: u64,
    values: BTreeMap<String, String>,
}

impl Pairs {
    /// Reads what is on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(file: DiskFile) -> io::Result<Pairs> {
        let headers = [0, SECTOR].map(|place| steadily(|| read(&file, place, 24), Header::decoded));
        let mut newest = Header { generation: 0, start: BEGIN };
        for header in headers {
            newest = header?.filter(|header| header.generation > newest.generation).unwrap_or(newest);
        }
        let mut pairs = Pairs { file, header: newest, end: newest.start, values: BTreeMap::new() };
        while let Some((record, length)) = pairs.record()? {
            pairs.end += length;
            pairs.apply(record);
        }
        // What is left of a torn write must not be found behind records to come.
        if pairs.file.len()? > pairs.end.max(BEGIN) {
            pairs.file.set_len(pairs.end.max(BEGIN))?;
            pairs.file.sync_data()?;
        }
        Ok(pairs)
    }

    /// What is saved, by key.
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// Writes a value, or removes it. It is durable after [`Pairs::sync`].
    ///
    /// # Errors
    /// When the disk fails, or is full.
    pub fn save(&mut self, key: String, value: Option<String>) -> io::Result<()> {
        let record = Record { key, value };
        let bytes = framed(self.header.generation, &record)?;
        self.file.write(self.end, &bytes)?;
        self.end += bytes.len() as u64;
        self.apply(record);
        Ok(())
    }

    /// Makes durable what was saved.
    ///
    /// # Errors
    /// When the disk fails. Then anything may be durable, or nothing.
    pub fn sync(&mut self) -> io::Result<()> {
        let valid: u64 = self.values.iter().map(|(key, value)| (key.len() + value.len()) as u64 + FRAME + 12).sum();
        if self.end - self.header.start > 4 * valid + SLACK { self.rewrite() } else { self.file.sync_data() }
    }

    /// Begins a new journal with what is valid now.
    fn rewrite(&mut self) -> io::Result<()> {
        let generation = self.header.generation + 1;
        let mut bytes = Vec::new();
        for (key, value) in &self.values {
            let record = Record { key: key.clone(), value: Some(value.clone()) };
            bytes.extend(framed(generation, &record)?);
        }
        let fits_before = self.header.start - BEGIN >= bytes.len() as u64;
        let header = Header { generation, start: if fits_before { BEGIN } else { self.end } };
        self.file.write(header.start, &bytes)?;
        self.file.sync_data()?;
        self.file.write(header.place(), &header.encoded())?;
        self.file.sync_data()?;
        self.header = header;
        self.end = header.start + bytes.len() as u64;
        Ok(())
    }

    fn apply(&mut self, Record { key, value }: Record) {
        match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
    }

    /// The record at the end of what was read, with its length on the disk; `None` if there is no whole one.
    fn record(&self) -> io::Result<Option<(Record, u64)>> {
        let generation = self.header.generation;
        let whole = || {
            let Some(frame) = read(&self.file, self.end, FRAME)? else { return Ok(None) };
            let (length, _) = split(&frame);
            let rest = if length <= LONGEST { read(&self.file, self.end + FRAME, u64::from(length))? } else { None };
            Ok(rest.map(|rest| [frame, rest].concat()))
        };
        steadily(whole, |bytes| {
            let (length, sum) = split(bytes);
            let content = bytes.get(FRAME as usize..)?;
            let record = postcard::from_bytes(content).ok()?;
            (sum == rng::hash_bytes(generation, content)).then_some((record, FRAME + u64::from(length)))
        })
    }
}

/// A record as it is on the disk.
fn framed(generation: u64, record: &Record) -> io::Result<Vec<u8>> {
    let content = postcard::to_stdvec(record).map_err(io::Error::other)?;
    let length = u32::try_from(content.len()).ok().filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| io::Error::other("a value of more than 64 MiB"))?;
    let sum = rng::hash_bytes(generation, &content);
    Ok([&length.to_le_bytes()[..], &sum.to_le_bytes()[..], &content[..]].concat())
}

/// Length and checksum in a record's frame.
fn split(frame: &[u8]) -> (u32, u64) {
    let mut length = [0; 4];
    let mut sum = [0; 8];
    length.copy_from_slice(&frame[..4]);
    sum.copy_from_slice(&frame[4..12]);
    (u32::from_le_bytes(length), u64::from_le_bytes(sum))
}

/// Bytes of a file; `None` beyond its end.
fn read(file: &DiskFile, at: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
    if at + length > file.len()? {
        return Ok(None);
    }
    let mut bytes = vec![0; length as usize];
    file.read(at, &mut bytes)?;
    Ok(Some(bytes))
}

/// What `decode` makes of a place that is read again while it makes nothing of it.
fn steadily<T>(
    read: impl Fn() -> io::Result<Option<Vec<u8>>>,
    decode: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    for _ in 0..READS {
        if let Some(found) = read()?.and_then(|bytes| decode(&bytes)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
