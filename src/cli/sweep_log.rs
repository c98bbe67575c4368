//! The file of `sweep --out`: each seed at once, in any order; in the order of the seeds once all are done.

use super::exit::Failure;
use super::warn::warn;
use schism::report::file::{unwritten, write_whole};
use schism::report::json;
use schism::sweep::log::{Header, LONGEST_LINE, Log, NoOutcome};
use serde::Deserialize;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A log of more bytes than this keeps the order in which its lines came; its readers sort them.
const MOST_SORTED: u64 = 256 << 20;

/// A log that is being written.
pub struct SweepLog {
    path: PathBuf,
    file: File,
    /// Whether the last line may have been written in part.
    is_torn: bool,
    /// The last seed that was added.
    last: Option<u64>,
    is_in_order: bool,
    has_failed: bool,
}

impl SweepLog {
    /// Begins a log. The content of an earlier sweep is kept in a file beside it; a file that another sweep is writing
    /// is refused.
    pub fn create(path: &Path, header: &Header) -> Result<SweepLog, Failure> {
        let refused = |error: io::Error| Failure::from(unwritten(path, &error));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(refused)?;
        }
        let open = || OpenOptions::new().append(true).create(true).open(path);
        let mut file = open().map_err(refused)?;
        lock(&file, path)?;
        let metadata = file.metadata().map_err(refused)?;
        if metadata.is_file() && metadata.len() > 0 {
            let aside = aside(path);
            std::fs::rename(path, &aside).map_err(refused)?;
            warn(&format!("{} was there: it is {} now", path.display(), aside.display()));
            file = open().map_err(refused)?;
            lock(&file, path)?;
        }
        let mut log = SweepLog::on(path, file, None);
        // A full disk is reported before the work begins.
        log.write(&json::line("log", header)).map_err(refused)?;
        Ok(log)
    }

    /// Goes on with the log of a sweep that was stopped or killed, and returns what it holds; begins one if there is none.
    /// A last line that breaks off is removed.
    pub fn resume(path: &Path, header: &Header) -> Result<(SweepLog, Log), Failure> {
        if !path.exists() {
            return Ok((SweepLog::create(path, header)?, Log::default()));
        }
        let refused = |error: io::Error| Failure::from(unwritten(path, &error));
        let file = OpenOptions::new().read(true).append(true).open(path).map_err(refused)?;
        lock(&file, path)?;
        let metadata = file.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(Failure::Usage(format!(
                "{}: --resume needs a regular file, to read what was done",
                path.display()
            )));
        }
        drop_torn_line(&file, metadata.len()).map_err(refused)?;
        let mut done = Log::default();
        if file.metadata().map_err(refused)?.len() > 0 {
            let wrong =
                |error| Failure::input(format!("{}: {error}; without --resume it is kept aside", path.display()));
            done.read(BufReader::new(&file)).map_err(wrong)?;
        }
        let mut log = SweepLog::on(path, file, done.entries.keys().next_back().copied());
        if !done.headers.contains(header) {
            if done.headers.first().is_some_and(|first| !first.is_same_sweep(header)) {
                return Err(Failure::Input(Box::new(another(path, &done.headers[0], header))));
            }
            log.write(&json::line("log", header)).map_err(refused)?;
        }
        Ok((log, done))
    }

    fn on(path: &Path, file: File, last: Option<u64>) -> SweepLog {
        let path = path.to_path_buf();
        // What came before need not have come in order.
        SweepLog { path, file, is_torn: false, last, is_in_order: last.is_none(), has_failed: false }
    }

    /// Logs a seed, given the line of its outcome or why there is none.
    pub fn add(&mut self, seed: u64, line: Result<&str, &NoOutcome>) {
        self.is_in_order &= self.last.is_none_or(|last| last < seed);
        self.last = Some(seed);
        let written = match line {
            Ok(line) => self.write(line),
            Err(none) => self.write(&json::line("no_outcome", none)),
        };
        if let Err(error) = written
            && !std::mem::replace(&mut self.has_failed, true)
        {
            let error = unwritten(&self.path, &error);
            warn(&format!("warning: {error}; the sweep goes on, and seed {seed} is not in the file"));
        }
    }

    /// Puts the lines into the order of the seeds. Returns whether every line was written.
    pub fn finish(self) -> bool {
        if self.is_in_order || self.has_failed || !self.file.metadata().is_ok_and(is_sortable) {
            return !self.has_failed;
        }
        if let Err(error) = sort(&self.path) {
            // Nothing is lost: readers sort.
            warn(&format!("warning: {error}; its lines stay in the order in which they came"));
        }
        true
    }

    /// Writes one line in one piece: if this process is killed, the file holds whole lines.
    fn write(&mut self, line: &str) -> io::Result<()> {
        let start = if self.is_torn { "\n" } else { "" };
        self.is_torn = true;
        self.file.write_all(format!("{start}{line}\n").as_bytes())?;
        self.is_torn = false;
        Ok(())
    }
}

/// Removes what follows the last line break.
fn drop_torn_line(file: &File, length: u64) -> io::Result<()> {
    let (mut reader, mut whole, mut line) = (BufReader::new(file), 0, Vec::new());
    loop {
        line.clear();
        let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? as u64;
        if !line.ends_with(b"\n") {
            break;
        }
        whole += read;
    }
    if whole < length {
        file.set_len(whole)?;
    }
    (&*file).rewind()
}

/// What the log of another sweep differs in.
fn another(path: &Path, is: &Header, asked: &Header) -> Another {
    let fields = [
        ("scenario", is.scenario_digest != asked.scenario_digest),
        ("system", is.system != asked.system),
        ("--check-steps", is.check_steps != asked.check_steps),
        ("build", is.build != asked.build),
    ];
    let differ: Vec<&str> = fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect();
    Another { path: path.display().to_string(), differ: differ.join(", ") }
}

/// `--resume` with a file of another sweep.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{path}: this log is of another sweep: the {differ} differs")]
#[diagnostic(help("Name another file, or leave --resume away: then this file is kept beside the new one."))]
struct Another {
    path: String,
    differ: String,
}

fn is_sortable(metadata: Metadata) -> bool {
    metadata.is_file() && metadata.len() <= MOST_SORTED
}

/// Keeps others from writing to the same file.
fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let path = path.display();
            Err(Failure::Usage(format!("{path}: another sweep is writing to this file; name another one with --out")))
        }
        // There is no lock if the file system has none, or if this is no regular file.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The first name beside a file that is free.
fn aside(path: &Path) -> PathBuf {
    let name = |number: u32| {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{number}"));
        path.with_file_name(name)
    };
    (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| path.to_path_buf())
}

fn sort(path: &Path) -> io::Result<()> {
    #[derive(Deserialize)]
    struct Place {
        seed: Option<u64>,
    }
    let text = std::fs::read_to_string(path)?;
    let seed = |line: &str| serde_json::from_str::<Place>(line).ok().and_then(|place| place.seed);
    let mut lines: Vec<(Option<u64>, &str)> = text.split_inclusive('\n').map(|line| (seed(line), line)).collect();
    lines.sort_by_key(|(seed, _)| *seed);
    write_whole(path, lines.into_iter().map(|(_, line)| line).collect::<String>())
}
