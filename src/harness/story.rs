//! What a failing test prints: what broke, the evidence, the shrunk run, and the commands to paste.
//!
//! At most [`LINES`] lines, the commands last: people read a failing test in a log, in a hurry.

use super::failure::{Broken, Failure, Origin, Smaller};
use super::settings::Settings;
use super::variables::{REPLAY, SAVE, SHRINK};
use crate::report::style::wrap;
use crate::rng::seeds::SEED;
use crate::shrink::names;
use std::path::Path;

/// The most lines that are printed.
const LINES: usize = 18;
/// Columns of text.
const WIDTH: usize = 100;
/// Lines of evidence.
const EVIDENCE: usize = 4;
/// How many operations are shown with their attempts, and the lines for each.
const ATTEMPTS: (usize, usize) = (2, 2);

/// Says why a test fails, and fails it.
///
/// # Panics
/// Always.
pub(super) fn fail(test: &Settings, failure: &Failure) {
    eprintln!("{}", lines(test, failure).join("\n"));
    // Everything has been printed: no message of Rust's, no location in this crate.
    std::panic::resume_unwind(Box::new("the test failed; what there is to say is on stderr"));
}

/// Says something about a test that passes.
pub(super) fn note(test: &Settings, text: &str) {
    eprintln!("{} passes, but {text}", test.name_in_binary());
}

/// Shows what a run printed.
pub(super) fn printed(lines: &[String]) {
    lines.iter().for_each(|line| eprintln!("{line}"));
}

fn lines(test: &Settings, failure: &Failure) -> Vec<String> {
    let name = test.name_in_binary();
    match failure {
        // An error of several lines points at a place in one of them, so it is not wrapped.
        Failure::Harness(why) if why.contains('\n') => {
            format!("{name} could not be run:\n{why}").lines().map(str::to_owned).collect()
        }
        Failure::Harness(why) => text(&format!("{name} could not be run: {why}"), LINES, 0),
        Failure::Inconclusive { seed, why, count, seeds, most } => {
            let borne = if *most > 0 { format!(", more than the {most} that it tolerates") } else { String::new() };
            let mut lines = vec![format!(
                "{name} is inconclusive: nothing failed, but {count} of {seeds} seeds prove nothing{borne}"
            )];
            lines.extend(text(&format!("seed {seed}: {why}"), EVIDENCE, 2));
            lines.push(format!("again:   {}", command(test, SEED, &seed.to_string())));
            lines.push("to tolerate some of them: inconclusive = 0.1 (a share of the seeds), or \"allow\"".into());
            lines
        }
        Failure::Never { seed, why, seeds } => {
            let mut lines =
                vec![format!("{name} is inconclusive: nothing failed, but of {seeds} seeds none had it all")];
            lines.extend(text(&format!("under each of them, as under seed {seed}: {why}"), EVIDENCE, 2));
            lines.push(
                "give it more seeds or faults that make it happen; to pass without: inconclusive = \"allow\"".into(),
            );
            lines
        }
        Failure::Broken(broken) => self::broken(test, broken),
    }
}

fn broken(test: &Settings, broken: &Broken) -> Vec<String> {
    let (name, failed) = (test.name_in_binary(), names(&broken.failed));
    let mut lines = vec![match &broken.origin {
        Origin::Seed { seed, count, seeds } => {
            format!("{name} fails under seed {seed} ({count} of {seeds} tried): {failed}")
        }
        Origin::Regression(file) => format!("{name} fails again as in {}: {failed}", shown(test, file)),
        Origin::Replay(file) => format!("{name} fails as {} says: {failed}", shown(test, file)),
    }];
    let small = broken.smaller.as_ref().map(|smaller| &smaller.shrunk);
    if small.is_none_or(|shrunk| shrunk.sentence.as_ref().is_none_or(String::is_empty)) {
        lines.extend(broken.failed.first().iter().flat_map(|failed| text(&failed.sentence, EVIDENCE, 2)));
    }
    if let Some(shrunk) = small {
        let (before, after) = (&shrunk.before, &shrunk.after);
        lines.push(format!(
            "it takes {} of {} faults, {} of {} operations, {} of {} nodes ({} runs{}):",
            after.faults,
            before.faults,
            after.operations,
            before.operations,
            after.nodes,
            before.nodes,
            shrunk.trials,
            if shrunk.finished { String::new() } else { unfinished(broken) },
        ));
        // The evidence of the small run: that of the large one is buried in operations that do not matter.
        lines.extend(shrunk.sentence.iter().flat_map(|sentence| text(sentence, EVIDENCE, 2)));
    }
    let attempts = broken.attempts.iter().take(ATTEMPTS.0);
    lines.extend(attempts.flat_map(|attempts| text(attempts, ATTEMPTS.1, 2)));
    if let Some(shrunk) = small {
        let shown = LINES - 4 - usize::from(broken.page.is_some()) - lines.len();
        // A part without which the run fails as well explains nothing.
        let needed: Vec<_> = shrunk.necessity.iter().filter(|left| left.needed).collect();
        for left in needed.iter().take(shown) {
            lines.extend(text(&format!("{}; without it: {}", left.what, left.without), 1, 2));
        }
        if needed.len() > shown {
            lines.push(format!("  and {} more in the file", needed.len() - shown));
        }
    }
    lines.push(format!(
        "again:   {}",
        match &broken.origin {
            Origin::Seed { seed, .. } => command(test, SEED, &seed.to_string()),
            Origin::Regression(file) | Origin::Replay(file) => command(test, REPLAY, &shown(test, file)),
        }
    ));
    if let Some(Smaller { file, .. }) = &broken.smaller {
        lines.push(format!("smaller: {}", command(test, REPLAY, &shown(test, file))));
    }
    lines.extend(broken.page.iter().map(|page| format!("page:    {}", shown(test, page))));
    match &broken.saved {
        Some(Ok(file)) => lines.push(format!("kept:    {}", shown(test, file))),
        Some(Err(why)) => lines.push(format!("not kept: {why}")),
        None if broken.smaller.is_some() => {
            lines.push(format!("to keep it among the regressions, put {SAVE}=1 before the first"))
        }
        None => {}
    }
    lines
}

/// What to do about a budget that ended.
fn unfinished(broken: &Broken) -> String {
    let budget_s = broken.smaller.as_ref().map_or(0, |smaller| smaller.budget_s);
    format!(", then the budget ended: {SHRINK}={} goes on", budget_s.saturating_mul(4))
}

/// Wrapped text of at most `most` lines, each indented.
fn text(text: &str, most: usize, indent: usize) -> Vec<String> {
    let wrapped = wrap(text, WIDTH - indent, 0);
    let mut lines: Vec<String> = wrapped.lines().map(|line| format!("{:indent$}{}", "", line.trim_start())).collect();
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.push_str(" ...");
        }
    }
    lines
}

/// A path as the test itself understands it: its working folder is the package's.
fn shown(test: &Settings, path: &Path) -> String {
    path.strip_prefix(test.place.folder).unwrap_or(path).display().to_string()
}

/// The command that runs this test alone with a variable set, as it can be pasted.
pub(super) fn command(test: &Settings, variable: &str, value: &str) -> String {
    let (package, name) = (test.place.package, test.name_in_binary());
    let target = target(test);
    // An ignored test must be requested explicitly.
    let is_ignored = std::env::args().any(|word| word == "--ignored" || word == "--include-ignored");
    let run = match (std::env::var_os("NEXTEST").is_some(), is_ignored) {
        (true, false) => format!("cargo nextest run -p {package} {target} -E 'test(={name})'"),
        (true, true) => format!("cargo nextest run -p {package} {target} --run-ignored all -E 'test(={name})'"),
        (false, false) => format!("cargo test -p {package} {target} -- --exact {name}"),
        (false, true) => format!("cargo test -p {package} {target} -- --include-ignored --exact {name}"),
    };
    if cfg!(windows) { format!("$env:{variable}='{value}'; {run}") } else { format!("{variable}={value} {run}") }
}

/// The cargo flag that names the test's executable.
fn target(test: &Settings) -> String {
    let name = test.place.module.split("::").next().unwrap_or_default();
    let parts: Vec<&str> = test.place.file.split(['/', '\\']).collect();
    let below = |folder: &str| {
        let at = parts.iter().rposition(|part| *part == folder)?;
        parts.get(at + 1).map(|part| part.trim_end_matches(".rs").to_owned())
    };
    // Only the file's own name distinguishes hyphens from underscores, where it is the target's.
    let is_crate = |stem: &String| stem.replace('-', "_") == name;
    match below("tests").filter(is_crate) {
        Some(stem) => format!("--test {stem}"),
        None if below("tests").is_some() => format!("--test {name}"),
        None if test.place.package.replace('-', "_") == name && !test.place.file.ends_with("main.rs") => {
            "--lib".to_owned()
        }
        None => format!("--bin {name}"),
    }
}
