//! Files that cannot be written: reported with path and cure, and never in place of what was found.

use super::exit::{Exit, Failure};
use super::warn::warn;

/// What to do when the folder for recordings cannot be written.
pub const ELSEWHERE: &str = "run it in a folder that you may write to, or name a file with --out";

/// Whether a requested file could not be written.
#[derive(Default)]
pub struct Unwritten {
    any: bool,
}

impl Unwritten {
    /// What was written, or `None` with a warning that names the file and the cure.
    ///
    /// # Errors
    /// Errors that are not about a file.
    pub fn attempt<T>(&mut self, written: Result<T, Failure>, cure: &str) -> Result<Option<T>, Failure> {
        match written {
            Ok(written) => Ok(Some(written)),
            Err(Failure::Harness(why)) => {
                self.any = true;
                warn(&format!("warning: {why}; {cure}"));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// The exit code: a violation stays one; otherwise a missing output decides.
    pub fn exit(&self, found: Exit) -> Exit {
        if self.any && found != Exit::Violation { Exit::Harness } else { found }
    }
}
