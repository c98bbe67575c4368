//! The tutorial tells the truth: its commands are run, their output is compared, and its excerpts are those of the
//! files it describes. `BLESS=1 cargo test --test tutorial` writes down what the commands print now.

use std::path::{Path, PathBuf};
use std::process::Command;

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/TESTING.md")
}

/// Runs a command as it would be pasted, here; its standard output.
fn run(command: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(env!("CARGO_MANIFEST_DIR"));
    for variable in ["CI", "SCHISM_SEED", "SCHISM_SEEDS", "SCHISM_JOBS", "SCHISM_REPLAY", "SCHISM_SAVE", "NEXTEST"] {
        shell.env_remove(variable);
    }
    let output = shell.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.is_empty(), "`{command}` prints nothing: {}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Output without what differs from run to run.
fn steady(output: &str) -> String {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().display().to_string();
    let mut lines: Vec<String> = output.lines().map(|line| line.replace(&target, "target")).collect();
    for line in &mut lines {
        if let Some(at) = line.find("finished in ") {
            line.replace_range(at.., "finished in 0.00s");
        }
    }
    lines.join("\n").trim().to_owned()
}

/// The position of each block of one language on the page.
fn blocks(text: &str, language: &str) -> Vec<std::ops::Range<usize>> {
    let fence = format!("```{language}\n");
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find(&fence).map(|at| from + at + fence.len()) {
        let end = start + text[start..].find("```").expect("a block ends");
        found.push(start..end);
        from = end;
    }
    found
}

#[test]
fn the_page_shows_what_its_commands_print() {
    let text = std::fs::read_to_string(page()).unwrap();
    let mut now = text.clone();
    let consoles = blocks(&text, "console");
    assert!(consoles.len() >= 5);
    // From the end, so that earlier places stay where they are.
    for block in consoles.into_iter().rev() {
        let command = text[block.clone()].lines().next().and_then(|line| line.strip_prefix("$ ")).unwrap();
        now.replace_range(block, &format!("$ {command}\n{}\n", steady(&run(command))));
    }
    // The only failure on the page is the one that is kept; everything else it shows passes.
    for block in blocks(&now, "console") {
        let fails = now[block.clone()].contains("FAILED");
        assert_eq!(fails, now[block.clone()].contains("as_first_shipped fails"), "{}", &now[block.clone()]);
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(page(), now).unwrap();
    } else {
        assert!(now == text, "docs/TESTING.md is not what its commands print; BLESS=1 writes:\n{now}");
    }
}

#[test]
fn the_page_quotes_the_code_as_it_is() {
    let text = std::fs::read_to_string(page()).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let code = ["meter/tests/chaos.rs", "lock/tests/chaos.rs", "../tests/harness/programs.rs"]
        .map(|name| std::fs::read_to_string(examples.join(name)).unwrap());
    let quotes = blocks(&text, "rust");
    assert_eq!(quotes.len(), 7);
    for quote in quotes {
        let quote = &text[quote];
        assert!(code.iter().any(|code| code.contains(quote)), "in no test that is run:\n{quote}");
    }
}

/// The lines that libtest captured of a failing test.
fn said(output: &str) -> Vec<&str> {
    let (_, rest) = output.split_once("stdout ----\n").unwrap_or_else(|| panic!("nothing failed: {output}"));
    rest.lines().take_while(|line| !line.is_empty()).collect()
}

#[test]
fn a_failure_fits_on_a_screen_and_its_commands_reproduce_it() {
    let output = run("cargo test --test chaos -- --ignored");
    let lines = said(&output);
    assert!(lines.len() <= 15, "{lines:#?}");
    assert!(lines[0].contains("linearizability"), "{lines:#?}");
    for label in ["again:", "smaller:"] {
        let command = lines.iter().find_map(|line| line.strip_prefix(label)).unwrap_or_else(|| panic!("{lines:#?}"));
        let again = run(command);
        assert!(said(&again)[0].contains("linearizability"), "{again}");
    }
}

#[test]
fn nextest_gets_a_command_of_its_own() {
    let Ok(version) = Command::new("cargo").args(["nextest", "--version"]).output() else { return };
    if !version.status.success() {
        // cargo-nextest is not installed; the other tests do not need it.
        return;
    }
    let run = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(!output.status.success(), "{command} passes");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let first = run("cargo nextest run --test chaos --run-ignored only");
    let command =
        first.lines().find_map(|line| line.trim().strip_prefix("again:")).unwrap_or_else(|| panic!("{first}"));
    assert!(command.contains("cargo nextest run -p meter"), "{command}");
    assert!(run(command).contains("as_first_shipped fails under seed 0"));
}
