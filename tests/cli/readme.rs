//! The README's transcript is what the command prints.

use super::Desk;
use std::path::Path;

/// The command in the README, without `cargo run -- `.
const COMMAND: &str = "compare split-brain --seed 7";
/// As many lines as the README has room for.
const LINES: usize = 22;

/// The README up to the transcript, the transcript, and the rest.
fn split(readme: &str) -> (&str, &str, &str) {
    let start = format!("```console\n$ cargo run -- {COMMAND}\n");
    let at = readme.find(&start).expect("the README shows the command") + start.len();
    let end = at + readme[at..].find("```").unwrap();
    (&readme[..at], &readme[at..end], &readme[end..])
}

#[test]
fn the_readme_shows_what_the_command_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, shown, after) = split(&readme);
    let ran = Desk::new().run(&format!("{COMMAND} --ascii"));
    let (table, _timeline) = ran.out.split_once("\n\ntime").unwrap();
    let printed = format!("{table}\n");
    assert!(printed.lines().count() <= LINES, "{printed}");
    if shown == printed {
        return;
    }
    if std::env::var_os("BLESS").is_some() && std::env::var_os("CI").is_none() {
        std::fs::write(&path, format!("{before}{printed}{after}")).unwrap();
        return;
    }
    panic!("README.md shows\n{shown}\nbut the command prints\n{printed}\nto take it over: BLESS=1 cargo test readme");
}

/// There is a second program, and `cargo run` without a name must not ask which.
#[test]
fn cargo_run_is_the_command() {
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "schism").unwrap();
    assert_eq!(package["default_run"], "schism");
}

/// Cargo leaves folders that have a manifest out of a package, so they are there by another way.
#[test]
fn the_package_holds_what_the_tutorial_walks_through() {
    let listed = std::process::Command::new(env!("CARGO"))
        .args(["package", "--list", "--no-verify", "--allow-dirty", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for example in ["lock", "meter", "omnipaxos", "registry"] {
        for file in ["Cargo.toml.example", "src/lib.rs", "tests/chaos.rs", "sims/"] {
            let path = format!("docs/examples/{example}/{file}");
            assert!(listed.lines().any(|line| line.starts_with(&path)), "{path} is not in the package:\n{listed}");
        }
    }
}
