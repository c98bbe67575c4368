//! Runs written to files, to be replayed.
//!
//! The scenario file in explicit form is the recording: schedule, script, acts, verdict, digest. Beside it
//! lies the trace (`.trace`), which only serves to name the first event that goes differently; it may be
//! left out. The trace file: a line of magic, then, compressed (zlib) and in postcard encoding, the build that
//! wrote it, the host names, the number of nodes and the events.

use super::file::write_whole;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::trace::{Event, Trace};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"schism-trace 3\n";

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
    names: Vec<String>,
    nodes: u32,
    events: Vec<Event>,
}

/// The file name of a recorded run, without a folder: `split-brain-raft-17.toml`.
pub fn file_name(run: &Run) -> String {
    format!("{}-{}-{}.toml", run.outcome.scenario, run.outcome.system, run.outcome.seed)
}

/// Writes a run in explicit form to `path`, creating its folder.
///
/// # Errors
/// When the file system refuses.
pub fn save(run: &Run, path: &Path) -> io::Result<()> {
    save_scenario(&run.explicit, path)
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
    decode(&std::fs::read(path)?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a trace file of this version of schism"))
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

fn decode(bytes: &[u8]) -> Option<RecordedTrace> {
    let mut plain = Vec::new();
    ZlibDecoder::new(bytes.strip_prefix(MAGIC)?).read_to_end(&mut plain).ok()?;
    let Encoded { build, names, nodes, events } = postcard::from_bytes(&plain).ok()?;
    Some(RecordedTrace { build, trace: Trace { names, nodes: nodes as usize, events } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_trace_survives_its_file() {
        let trace = sample::run(&sample::scenario(), "raft", 7).trace;
        let bytes = encode(&trace, "build 1");
        assert_eq!(decode(&bytes), Some(RecordedTrace { build: "build 1".into(), trace }));
        assert_eq!(decode(&bytes[1..]), None);
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
    }
}
