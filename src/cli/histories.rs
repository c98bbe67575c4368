//! Histories from files and standard input, gzipped or not.

use super::exit::Failure;
use super::terminal::Terminal;
use clap::{Args, ValueEnum};
use flate2::read::MultiGzDecoder;
use schism::history::Columns;
use schism::history::formats::{self, Format};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, stdin};

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

/// How much is read between two steps of the progress bar, and before a form must be recognised.
const CHUNK: u64 = 4 << 20;

/// How histories are read.
#[derive(Args)]
pub struct Reading {
    /// The form of the files [default: each as it looks].
    #[arg(long, value_enum)]
    input: Option<Form>,
    /// The longest history that is read, in MiB of text after decompression.
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    input_limit: u32,
}

impl Reading {
    /// Reads the history in a file, or from standard input if `file` is `-`.
    pub fn read(&self, file: &str, terminal: &Terminal) -> Result<Columns, Failure> {
        let bytes = bytes(file, self.input, self.input_limit, terminal)?;
        formats::read(&bytes, self.input.map(Format::from))
            .map_err(|error| Failure::input(format!("{file}, line {}: {}", error.line, error.reason)))
    }
}

/// The text in a file, decompressed. Input that is plainly no history is not read to its end, which it may not have.
fn bytes(file: &str, form: Option<Form>, limit_mib: u32, terminal: &Terminal) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::input(format!("{file}: {error}"));
    let (source, length): (Box<dyn Read>, u64) = if file == "-" {
        (Box::new(stdin().lock()), 0)
    } else {
        let opened = File::open(file).map_err(unreadable)?;
        let length = opened.metadata().map_err(unreadable)?.len();
        (Box::new(opened), length)
    };
    let bar = terminal.progress(length, &format!("reading {file}"));
    let mut source = BufReader::new(bar.wrap_read(source));
    // As many bytes as there are: a pipe may give them one by one.
    let mut magic = [0; 2];
    let begun = fill(&mut source, &mut magic).map_err(unreadable)?;
    let whole = Cursor::new(magic).take(begun as u64).chain(source);
    let mut text: Box<dyn Read> = if magic == GZIP { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) };
    let mut bytes = Vec::new();
    loop {
        let read = text.by_ref().take(CHUNK).read_to_end(&mut bytes).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        if bytes.len() as u64 == CHUNK && form.is_none() && formats::detect(&bytes).is_none() {
            if bytes.trim_ascii().is_empty() {
                let blank = format!("{file}: its first {} MiB are blank; cut them off", CHUNK >> 20);
                return Err(Failure::input(blank));
            }
            break;
        }
        if bytes.len() as u64 > u64::from(limit_mib) << 20 {
            return Err(Failure::input(format!(
                "{file}: more than {limit_mib} MiB of text; --input-limit allows more, and split what is long by its keys"
            )));
        }
    }
    bar.finish_and_clear();
    Ok(bytes)
}

/// The first bytes of gzipped data.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads until `into` is full or the source ends; returns how much that was.
fn fill(source: &mut impl Read, into: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match source.read(&mut into[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
