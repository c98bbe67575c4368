//! Exit codes, and errors that carry one.

use super::warn::{warn, warn_painted};
use miette::{Diagnostic, MietteHandlerOpts};
use schism::history::visible::visible;
use schism::run::{RunError, Verdict};
use std::fmt;
use std::process::ExitCode;

/// How the command ended; the numbers are public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As expected.
    Expected = 0,
    /// A violation: safety, or liveness where it is required; in `compare`, anything unexpected.
    Violation = 1,
    /// The run proves nothing.
    Inconclusive = 2,
    /// The command line is wrong.
    Usage = 64,
    /// An input file is wrong.
    Input = 65,
    /// Nondeterminism, or a fault of the harness.
    Harness = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Pass => Exit::Expected,
            Verdict::Violation => Exit::Violation,
            Verdict::Inconclusive => Exit::Inconclusive,
        }
    }
}

/// Makes diagnostics break lines at spaces only, since half of a name such as `dns-failover` is useless.
pub fn keep_names_whole() {
    let splitter = textwrap::WordSplitter::NoHyphenation;
    let handler = MietteHandlerOpts::new().word_splitter(splitter);
    // Refused if a hook exists already; then that one decides.
    let _ = miette::set_hook(Box::new(move |_| Box::new(handler.clone().build())));
}

/// Why a command could not do its work.
pub enum Failure {
    /// The arguments do not fit together.
    Usage(String),
    /// A scenario or recording cannot be used; shown with the place in the file where there is one.
    Input(Box<dyn Diagnostic + Send + Sync>),
    /// The harness failed: it cannot run, or is not deterministic.
    Harness(String),
    /// The reader of an output file has gone (`--out /dev/stdout | head`), which is no error.
    Closed,
}

impl Failure {
    /// An input file that is wrong in a way that has no line.
    pub fn input(text: impl fmt::Display) -> Failure {
        Failure::Input(Box::new(Plain(visible(&text.to_string()).into_owned())))
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::Input(_) => Exit::Input,
            Failure::Harness(_) => Exit::Harness,
            Failure::Closed => Exit::Expected,
        }
    }

    /// What is wrong, as plain text.
    pub fn into_text(self) -> String {
        match self {
            Failure::Usage(text) | Failure::Harness(text) => text,
            Failure::Input(diagnostic) => {
                let help = diagnostic.help().map_or(String::new(), |help| format!("; {help}"));
                format!("{diagnostic}{help}")
            }
            Failure::Closed => String::new(),
        }
    }

    /// Says on stderr what is wrong.
    pub fn print(self) {
        match self {
            Failure::Usage(text) | Failure::Harness(text) => warn(&format!("error: {text}")),
            Failure::Input(diagnostic) => warn_painted(&format!("{:?}", miette::Report::new_boxed(diagnostic))),
            Failure::Closed => {}
        }
    }
}

/// A diagnostic that consists of its text only.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{0}")]
struct Plain(String);

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Harness(error.to_string()),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        match error {
            RunError::Broken(why) => Failure::Harness(why),
            RunError::NotBuilt(lacking) => {
                Failure::input(format!("{lacking}, as `cargo run --features {} -- ...` does", lacking.feature))
            }
            // A run is refused because of what its scenario asks for; a fault of the harness panics.
            error => Failure::input(error),
        }
    }
}
