//! Histories from files and standard input, gzipped or not.

use super::exit::Failure;
use super::terminal::Terminal;
use clap::ValueEnum;
use flate2::read::MultiGzDecoder;
use schism::history::Columns;
use schism::history::formats::{self, Format};
use std::fs::File;
use std::io::{Read, stdin};

/// The forms that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// JSON lines, one operation each.
    Json,
    /// Jepsen's EDN events.
    Edn,
    /// The log lines of Jepsen's etcd test.
    Etcd,
    /// Porcupine's key-value text.
    Porcupine,
}

impl From<Form> for Format {
    fn from(form: Form) -> Format {
        match form {
            Form::Json => Format::Json,
            Form::Edn | Form::Porcupine => Format::Edn,
            Form::Etcd => Format::EtcdLog,
        }
    }
}

/// How much is read between two steps of the progress bar.
const CHUNK: u64 = 4 << 20;

/// Reads the history in a file, or from standard input if `file` is `-`.
pub fn read(file: &str, form: Option<Form>, terminal: &Terminal) -> Result<Columns, Failure> {
    let unreadable = |error: std::io::Error| Failure::input(format!("{file}: {error}"));
    let (source, length): (Box<dyn Read>, u64) = if file == "-" {
        (Box::new(stdin().lock()), 0)
    } else {
        let opened = File::open(file).map_err(unreadable)?;
        let length = opened.metadata().map_err(unreadable)?.len();
        (Box::new(opened), length)
    };
    let mut bytes = Vec::new();
    let bar = terminal.progress(length, &format!("reading {file}"));
    let mut source = source;
    loop {
        let read = source.by_ref().take(CHUNK).read_to_end(&mut bytes).map_err(unreadable)?;
        bar.inc(read as u64);
        if read == 0 {
            break;
        }
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).map_err(unreadable)?;
        bytes = plain;
    }
    bar.finish_and_clear();
    formats::read(&bytes, form.map(Format::from))
        .map_err(|error| Failure::input(format!("{file}, line {}: {}", error.line, error.reason)))
}
