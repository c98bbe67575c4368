//! Files that cannot be written: said with path and cure, and never in place of what was found.

use super::exit::{Exit, Failure};
use super::warn::warn;

/// What to do when the folder for recordings cannot be written.
pub const ELSEWHERE: &str = "run it in a folder that you may write to, or name a file with --out";

/// Whether something that was to be written is not.
#[derive(Default)]
pub struct Unwritten {
    any: bool,
}

impl Unwritten {
    /// What was written, or `None` with a warning that names the file and the cure.
    ///
    /// # Errors
    /// Those that are about something else than a file.
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

    /// The exit code: a violation stays one, anything else is not worth an output that is missing.
    pub fn exit(&self, found: Exit) -> Exit {
        if self.any && found != Exit::Violation { Exit::Harness } else { found }
    }
}
