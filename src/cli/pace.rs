//! How fast the machines of a sweep were, in a file beside each log: a log itself says nothing that differs from one
//! attempt to the next.

use super::warn::warn;
use schism::campaign::Pace;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file that belongs to a log.
fn beside(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".pace");
    PathBuf::from(name)
}

/// Forgets earlier attempts: the log begins anew.
pub fn forget(log: &Path) {
    let _ = std::fs::remove_file(beside(log));
}

/// Notes an attempt, and returns all that were noted for this log. That it cannot be noted costs no result.
pub fn note(log: &Path, pace: &Pace) -> Vec<Pace> {
    // A log that is a device or a pipe has nothing beside it.
    if !log.is_file() {
        return vec![pace.clone()];
    }
    let path = beside(log);
    let line = serde_json::to_string(pace).expect("a pace is plain data") + "\n";
    let file = OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        warn(&format!("warning: {} could not be written: {error}; how fast the sweep was is lost", path.display()));
    }
    noted(log)
}

/// The attempts that were noted for a log; a line that breaks off is left out.
pub fn noted(log: &Path) -> Vec<Pace> {
    let text = std::fs::read_to_string(beside(log)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_add_up_and_a_line_that_breaks_off_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("part-1.jsonl");
        std::fs::write(&log, "").unwrap();
        let pace = Pace { shard: "1/2".parse().ok(), seeds: 3, wall_s: 1.5, jobs: 2 };
        note(&log, &pace);
        note(&log, &pace);
        assert_eq!(noted(&log), [pace.clone(), pace.clone()]);
        std::fs::write(beside(&log), "{\"shard\":null,\"see").unwrap();
        assert_eq!(noted(&log), []);
        forget(&log);
        assert!(!beside(&log).exists());
        note(Path::new("/dev/null"), &pace);
        assert!(!Path::new("/dev/null.pace").exists());
    }
}
