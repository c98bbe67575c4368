//! Where output goes and what the receiver can show.

use super::exit::{Exit, Failure};
use super::warn::warn;
use super::{Format, Output};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schism::history::visible::visible;
use schism::report::Style;
use std::io::{self, ErrorKind, IsTerminal, Write, stderr, stdout};

/// The variable that turns logs on, with a filter in the syntax of `tracing-subscriber`.
const LOG: &str = "SCHISM_LOG";

/// Standard output, and how to set text for it.
pub struct Terminal {
    /// Colour and character set.
    pub style: Style,
    /// Whether output is JSON lines.
    pub json: bool,
    /// The first error of standard output: nothing more is written there, and the work goes on. The exit code still
    /// reports what it finds.
    refused: Option<io::Error>,
}

impl Terminal {
    /// Looks at standard output, the locale and `NO_COLOR`.
    pub fn new(output: Output) -> Terminal {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let colour =
            stdout().is_terminal() && variable("NO_COLOR").is_none() && variable("TERM").as_deref() != Some("dumb");
        let style = Style { colour, unicode: !output.ascii && is_utf8(&variable) };
        Terminal { style, json: output.format == Format::Json, refused: None }
    }

    /// Writes text; control characters are escaped, except for our own colours.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        if self.refused.is_none() {
            self.refused = stdout().lock().write_all(self.style.shown(text).as_bytes()).err();
        }
        Ok(())
    }

    /// Whether standard output has no reader any more (`schism sweep | head -1`), or is full.
    pub fn is_closed(&self) -> bool {
        self.refused.is_some()
    }

    /// The exit code of a command that found this. A reader who left is no error; an output that is lost is one, but
    /// never hides a violation.
    pub fn exit(&mut self, found: Exit) -> Exit {
        if self.refused.is_none() {
            self.refused = stdout().lock().flush().err();
        }
        match &self.refused {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                warn(&format!("warning: standard output could not be written: {error}"));
                if found == Exit::Violation { found } else { Exit::Harness }
            }
            _ => found,
        }
    }

    /// Shows what was written, before the user is asked.
    pub fn flush(&mut self) -> Result<(), Failure> {
        if self.refused.is_none() {
            self.refused = stdout().lock().flush().err();
        }
        Ok(())
    }

    /// Writes one line.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{text}\n"))
    }

    /// Writes a remark for people, which is not part of the result: to stderr when stdout carries JSON.
    pub fn remark(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            warn(text);
            return Ok(());
        }
        self.line(text)
    }

    /// A progress bar on stderr, invisible unless stderr is a terminal.
    /// Without a length it counts.
    pub fn progress(&self, length: impl Into<Option<u64>>, what: &str) -> ProgressBar {
        let length = length.into();
        let target = if stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(length, target).with_message(visible(what).into_owned());
        let template = match (length, self.style.unicode) {
            (None, _) => "{msg}: {pos} in {elapsed}, {per_sec}",
            (Some(_), true) => "{msg} {wide_bar} {pos}/{len}, {per_sec}, {eta} left",
            (Some(_), false) => "{msg} [{wide_bar}] {pos}/{len}, {per_sec}, {eta} left",
        };
        let style = ProgressStyle::with_template(template).expect("the template is constant and valid");
        bar.with_style(if self.style.unicode { style } else { style.progress_chars("=> ") })
    }
}

/// Whether the locale says UTF-8. Windows terminals have no locale variables and take Unicode.
fn is_utf8(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    match locale {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        None => cfg!(windows),
    }
}

/// Logs of the libraries below stay off unless the variable asks; then they go to stderr.
pub fn start_logging() -> Result<(), Failure> {
    let Ok(filter) = std::env::var(LOG) else { return Ok(()) };
    let filter = tracing_subscriber::EnvFilter::try_new(&filter)
        .map_err(|error| Failure::Usage(format!("{LOG}={filter} is no log filter: {error}")))?;
    // A full or closed stderr must not end the run.
    let logs = tracing_subscriber::fmt().log_internal_errors(false);
    logs.with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal()).init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let with = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            is_utf8(&move |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()))
        };
        assert!(with(&[("LANG", "de_DE.UTF-8")]));
        assert!(with(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert_eq!(with(&[]), cfg!(windows));
    }
}
