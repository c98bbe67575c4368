//! What is said on stderr: warnings, and why a command could not do its work.

use schism::history::visible::visible;
use std::io::{Write, stderr};

/// Says something on stderr, whatever acts on a terminal written out. Where that is closed or full, nobody is left to
/// tell.
pub fn warn(text: &str) {
    warn_painted(&visible(text));
}

/// As [`warn`], for text that is coloured on purpose.
pub fn warn_painted(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}
