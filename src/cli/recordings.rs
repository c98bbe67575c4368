//! Where recorded runs are kept, and what names the build that made them.

use super::exit::Failure;
use super::terminal::Terminal;
use schism::report::recording::{self, RecordedTrace};
use schism::rng;
use schism::run::Run;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The default folder for recorded runs.
pub const FOLDER: &str = "target/schism";
/// The folder of regressions. Only `--save` writes here, and never in CI: it is part of the source tree.
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
    write(run, &path)?;
    Ok(path)
}

/// Writes a run and its trace to a file and to the one beside it.
pub fn write(run: &Run, path: &Path) -> Result<(), Failure> {
    recording::save(run, path)?;
    Ok(recording::save_trace(&run.trace, build(), &recording::trace_path(path))?)
}

/// Writes a run and its trace among the regressions that the tests replay.
pub fn save_regression(run: &Run, file_name: &str) -> Result<PathBuf, Failure> {
    refuse_in_ci("--save", "; use --out FILE")?;
    let path = Path::new(REGRESSIONS).join(file_name);
    write(run, &path)?;
    Ok(path)
}

/// Refuses what writes into the source tree while `CI` is set; `instead` says what else can be done.
pub fn refuse_in_ci(flag: &str, instead: &str) -> Result<(), Failure> {
    match std::env::var_os("CI") {
        Some(_) => {
            Err(Failure::Usage(format!("{flag} writes into the source tree, which is off while CI is set{instead}")))
        }
        None => Ok(()),
    }
}

/// The trace beside a recording, if there is one; a broken one is an error, not an absence.
pub fn trace_beside(file: &Path) -> Result<Option<RecordedTrace>, Failure> {
    let path = recording::trace_path(file);
    if !path.exists() {
        return Ok(None);
    }
    let help = "remove it to go without: it only serves to name the first event that differs";
    recording::load_trace(&path)
        .map(Some)
        .map_err(|error| Failure::input(format!("{}: {error}; {help}", path.display())))
}

/// Writes a page and says where it is.
pub fn write_page(page: &str, path: &Path, terminal: &mut Terminal) -> Result<(), Failure> {
    recording::save_page(page, path)?;
    terminal.remark(&format!("page: {}", path.display()))
}

/// A scenario as its argument named it, for a command that others may run: without the folders of this machine.
pub fn portable(scenario: &str) -> String {
    let path = Path::new(scenario);
    let name = path.file_name().filter(|_| path.is_absolute()).and_then(|name| name.to_str());
    quoted(name.unwrap_or(scenario))
}

/// The command that replays a recording, as it can be pasted into a shell.
pub fn replay_command(path: &Path) -> String {
    format!("schism replay {}", quoted(&path.display().to_string()))
}

/// The command that shrinks a recording.
pub fn shrink_command(path: &Path) -> String {
    format!("schism shrink {}", quoted(&path.display().to_string()))
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
