//! Where recorded runs are kept, and what names the build that made them.

use super::exit::Failure;
use schism::report::recording;
use schism::rng;
use schism::run::Run;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Recorded runs go here unless asked otherwise.
pub const FOLDER: &str = "target/schism";
/// Only `--save` writes here, and never in CI: it is part of the source tree.
pub const REGRESSIONS: &str = "sims/regressions";

/// Identifies this executable: its version and a hash of its bytes.
pub fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let bytes = std::env::current_exe().and_then(std::fs::read).unwrap_or_default();
        format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), rng::hash_bytes(0, &bytes))
    })
}

/// Writes a run and its trace to the default folder, and returns the path to replay.
pub fn keep(run: &Run) -> Result<PathBuf, Failure> {
    let path = Path::new(FOLDER).join(recording::file_name(run));
    recording::save(run, &path)?;
    recording::save_trace(&run.trace, build(), &recording::trace_path(&path))?;
    Ok(path)
}

/// Writes a run among the regressions that the tests replay.
pub fn save_regression(run: &Run) -> Result<PathBuf, Failure> {
    if std::env::var_os("CI").is_some() {
        return Err(Failure::Usage(
            "--save writes into the source tree, which is off while CI is set; use --out FILE".into(),
        ));
    }
    let path = Path::new(REGRESSIONS).join(recording::file_name(run));
    recording::save(run, &path)?;
    Ok(path)
}

/// The command that replays a recording, as it can be pasted into a shell.
pub fn replay_command(path: &Path) -> String {
    format!("schism replay {}", quoted(&path.display().to_string()))
}

/// A word for a shell: quoted only where it must be.
pub fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:\\=@+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_string();
    }
    if cfg!(windows) { format!("\"{word}\"") } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_command_reads_its_words_back() {
        assert_eq!(quoted("sims/a-b.toml"), "sims/a-b.toml");
        if !cfg!(windows) {
            assert_eq!(quoted("my file's"), "'my file'\\''s'");
            assert_eq!(quoted(""), "''");
        }
    }
}
