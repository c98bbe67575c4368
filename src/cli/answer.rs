//! Answers of students on disk: `schism lesson` writes them, `schism lesson grade` reads them.

use super::exit::Failure;
use schism::report::story::answer::HandedIn;
use std::io::Read;
use std::path::Path;

/// Writes an answer's file; one that is there already stays.
pub fn hand_in(answer: &HandedIn, path: &Path) -> Result<(), Failure> {
    let refused = |error| Failure::Harness(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(refused)?;
    std::io::Write::write_all(&mut file, answer.text().as_bytes()).map_err(refused)
}

/// The longest answer in bytes; what `schism lesson` writes has less than one thousand.
const LONGEST: u64 = 64 << 10;

/// Reads an answer's file; why it cannot be one, if so.
pub fn read(file: &Path) -> Result<HandedIn, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let length = opened.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if length as u64 > LONGEST {
        return Err(format!("it is longer than an answer may be ({} KiB)", LONGEST >> 10));
    }
    serde_json::from_str(&text).map_err(|error| format!("it is no answer: {error}"))
}
