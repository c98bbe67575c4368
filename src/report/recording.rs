//! Runs written to files, to be replayed.
//!
//! The scenario file in explicit form is the recording: schedule, script, acts, verdict, digest. The trace
//! (`.trace`) is beside it and only serves to name the first event that differs; it may be missing. A trace
//! file is a magic line, then, compressed (zlib) and in postcard encoding, the build that wrote it, the host
//! names, the number of nodes and the events.

use super::file::write_whole;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::trace::{Event, MOST_EVENTS, Trace};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"schism-trace 3\n";
/// More than any run has, with what is recorded after its last step.
const MOST_RECORDED: usize = MOST_EVENTS + MOST_EVENTS / 4;
/// More than any run has, the world included.
const MOST_HOSTS: usize = 1_000;
/// Bytes of all texts in a trace.
const TEXT_BYTES: usize = 1 << 20;

/// A recorded trace, and the build that recorded it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedTrace {
    /// Identifies the executable that made the run: equal builds must give equal runs.
    pub build: String,
    /// The events.
    pub trace: Trace,
}

#[derive(Serialize, Deserialize)]
struct Encoded {
    build: String,
    #[serde(deserialize_with = "at_most::<_, _, MOST_HOSTS>")]
    names: Vec<String>,
    nodes: u32,
    #[serde(deserialize_with = "at_most::<_, _, MOST_RECORDED>")]
    events: Vec<Event>,
}

/// The file name of a recorded run, without a folder: `split-brain-raft-17.toml`.
pub fn file_name(run: &Run) -> String {
    named(&run.outcome.scenario, &run.outcome.system, run.outcome.seed, "")
}

/// The file name of a run of this system and seed, with a suffix to tell it from others. Systems that are programs have
/// names that no file can have: what is no letter or digit becomes a hyphen.
pub fn named(scenario: &str, system: &str, seed: u64, suffix: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts: Vec<&str> = system.split(|c| !is_plain(c)).filter(|part| !part.is_empty()).collect();
    let system: String = parts.join("-").chars().take(80).collect();
    format!("{scenario}-{system}-{seed}{suffix}.toml")
}

/// Writes a run in explicit form to `path`, creating its folder.
///
/// # Errors
/// When the file system refuses.
pub fn save(run: &Run, path: &Path) -> io::Result<()> {
    save_scenario(&run.recording(), path)
}

/// Writes a scenario to `path`, creating its folder.
///
/// # Errors
/// When the file system refuses.
pub fn save_scenario(scenario: &Scenario, path: &Path) -> io::Result<()> {
    write_whole(path, scenario.to_toml())
}

/// Writes a page (see [`page`](super::page)) to `path`, creating its folder.
///
/// # Errors
/// When the file system refuses.
pub fn save_page(page: &str, path: &Path) -> io::Result<()> {
    write_whole(path, page)
}

/// The trace file that belongs to a recorded run.
pub fn trace_path(path: &Path) -> PathBuf {
    path.with_extension("trace")
}

/// Writes a trace.
///
/// # Errors
/// When the file system refuses.
pub fn save_trace(trace: &Trace, build: &str, path: &Path) -> io::Result<()> {
    write_whole(path, encode(trace, build))
}

/// Reads a trace.
///
/// # Errors
/// When the file cannot be read, or is no trace of this version.
pub fn load_trace(path: &Path) -> io::Result<RecordedTrace> {
    let why = "not a trace file of this version of schism, or longer than one may be";
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if !std::fs::metadata(path)?.is_file() {
        return Err(invalid("it is no file"));
    }
    decode(File::open(path)?).ok_or_else(|| invalid(why))
}

fn encode(trace: &Trace, build: &str) -> Vec<u8> {
    let encoded = Encoded {
        build: build.to_string(),
        names: trace.names.clone(),
        nodes: trace.nodes as u32,
        events: trace.events.clone(),
    };
    let plain = postcard::to_stdvec(&encoded).expect("postcard encodes every event");
    let mut packed = ZlibEncoder::new(MAGIC.to_vec(), Compression::default());
    packed.write_all(&plain).and_then(|()| packed.finish()).expect("a vector takes all")
}

/// Reads a trace event by event: an untrusted file may unpack to a thousand times its size.
fn decode(mut file: impl Read) -> Option<RecordedTrace> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).ok().filter(|()| magic == MAGIC)?;
    let mut plain = BufReader::new(ZlibDecoder::new(BufReader::new(file)));
    let mut texts = vec![0; TEXT_BYTES];
    let (encoded, _) = postcard::from_io::<Encoded, _>((&mut plain, &mut texts)).ok()?;
    // Reading to the end makes the decoder compare the checksum there.
    let is_whole = matches!(plain.read(&mut [0]), Ok(0));
    let Encoded { build, names, nodes, events } = encoded;
    is_whole
        .then_some(RecordedTrace { build, trace: Trace { names, nodes: nodes as usize, events, ..Trace::default() } })
}

/// A list of limited length: a longer one is refused where it exceeds the limit.
fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(from: D) -> Result<Vec<T>, D::Error> {
    struct Few<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Few<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "at most {MOST} of them")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = access.next_element()? {
                if items.len() == MOST {
                    return Err(serde::de::Error::invalid_length(MOST + 1, &self));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    from.deserialize_seq(Few::<T, MOST>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_trace_survives_its_file() {
        let trace = sample::run(&sample::scenario(), "raft", 7).trace;
        let bytes = encode(&trace, "build 1");
        assert_eq!(decode(&*bytes), Some(RecordedTrace { build: "build 1".into(), trace }));
        assert_eq!(decode(&bytes[1..]), None);
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn a_list_that_is_too_long_is_refused() {
        let list = postcard::to_stdvec(&vec![7_u8; 4]).unwrap();
        let read = |bytes: &[u8]| at_most::<_, u8, 4>(&mut postcard::Deserializer::from_bytes(bytes));
        assert_eq!(read(&list), Ok(vec![7; 4]));
        assert!(read(&postcard::to_stdvec(&vec![7_u8; 5]).unwrap()).is_err());
    }
}
