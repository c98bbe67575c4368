//! What is said of many seeds together: signatures, the page, and whether another revision fails too.

use super::contract::missing;
use super::{Desk, SMALL};
use serde_json::json;
use std::process::Command;

#[test]
fn seeds_that_fail_alike_are_one_line_in_every_report() {
    let desk = Desk::new();
    let sweep =
        "sweep small.toml --seeds 4 --system dual-primary --jobs 2 --out log.jsonl --signatures --shrink-budget 40";
    let ran = desk.run(&format!("{sweep} --format json --html page.html --junit a.xml --markdown a.md"));
    assert_eq!(ran.code, 1, "{}", ran.err);
    let lines = ran.lines();
    let signatures: Vec<_> = lines.iter().filter(|line| line["kind"] == "signature").collect();
    assert_eq!(signatures.len(), 1, "{}", ran.out);
    let signature = signatures[0];
    assert_eq!(missing(signature), Vec::<String>::new());
    assert_eq!((&signature["check"], &signature["seeds"]), (&json!("split_brain"), &json!([0, 1, 2, 3])));
    assert_eq!(signature["faults"], json!(["partition"]), "the pause matters nothing");
    let what = "split_brain (operations, several nodes, several terms) with partition";
    assert_eq!(ran.last()["kind"], "sweep");
    // The command that it names shows it again.
    let replay = signature["shrunk"]["replay"].as_str().unwrap();
    let again = desk.run(replay.strip_prefix("schism ").unwrap());
    assert!(again.code == 1 && again.out.contains("identical"), "{}{}", again.out, again.err);

    assert!(desk.read("a.md").contains(&format!("| {what} | 0, 1, 2, 3 | `{replay}` |")), "{}", desk.read("a.md"));
    assert_eq!(desk.read("a.xml").matches(&format!("type=\"{what}\"")).count(), 4, "{}", desk.read("a.xml"));
    let page = desk.read("page.html");
    let link = "href=\"page-small-dual-primary-0-shrunk.html\"";
    assert!(page.contains(what) && page.contains(link) && page.contains("Speed by shard"), "{page}");
    assert!(desk.read("page-small-dual-primary-0-shrunk.html").contains("<title>small, seed 0: dual-primary"));

    // A log gives the same, without running the sweep again.
    let read = desk.run("outcomes log.jsonl --signatures --shrink-budget 40 --markdown b.md --html b.html");
    assert_eq!(read.code, 1, "{}", read.err);
    assert_eq!(desk.read("a.md"), desk.read("b.md"));
    assert!(desk.read("b.html").contains("Speed by shard"), "it is beside the log");
    // Of another scenario than was swept nothing can be run again.
    desk.write("small.toml", &SMALL.replace("operations = 60", "operations = 61"));
    let other = desk.run("sweep merge log.jsonl --signatures");
    assert!(other.code == 65 && other.err.contains("not the scenario that was swept"), "{}", other.err);
    assert_eq!(desk.run("sweep merge log.jsonl --html c.html").code, 1);
}

#[test]
fn a_sweep_that_ran_all_its_seeds_was_stopped_by_nothing() {
    let desk = Desk::new();
    for end in ["--for 1ms", "--until-failure"] {
        let ran = desk.run(&format!("sweep small.toml --system dual-primary --seeds 1 --out log.jsonl {end}"));
        // Time may be up before the only seed begins; then it did not run.
        let is_whole = ran.out.contains("small under dual-primary, 1 seed:");
        assert_ne!(ran.out.contains("\n  stopped    "), is_whole, "{end}: {}", ran.out);
        assert_ne!(ran.out.contains("go on with"), is_whole, "{end}: {}", ran.out);
    }
}

/// A repository in the desk's folder whose programs run the command, some of them as if it had a bug, or none.
fn repository(desk: &Desk, programs: &[&str]) {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(desk.path(".")).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(arguments);
        let done = git.output().unwrap();
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "--quiet", "--initial-branch=trunk"]);
    for (number, program) in programs.iter().enumerate() {
        let replaced = |from: &str, to: &str| {
            format!("for word; do shift; [ \"$word\" = {from} ] && word={to}; set -- \"$@\" \"$word\"; done; ")
        };
        let body = match *program {
            "as it is" => String::new(),
            "with the bug" => replaced("raft", "dual-primary"),
            "without the bug" => replaced("dual-primary", "raft"),
            _ => "exit 3; ".into(),
        };
        let script = format!("#!/bin/sh\n# {number}\n{body}exec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_schism"));
        desk.write("schism", &script);
        assert!(Command::new("chmod").arg("+x").arg(desk.path("schism")).status().unwrap().success());
        git(&["add", "schism"]);
        git(&["commit", "--quiet", "-m", &format!("{number}: {program}")]);
    }
}

const BUILT: &str = "--build true --program schism";

#[test]
fn a_failure_is_new_or_old_or_gone() {
    let desk = Desk::new();
    repository(&desk, &["without the bug", "with the bug"]);
    let sweep = |system: &str, against: &str| {
        desk.run(&format!("sweep small.toml --seeds 2 --system {system} --against {against} {BUILT}"))
    };
    let new = sweep("dual-primary", "HEAD~1");
    assert_eq!(new.code, 1, "{}", new.err);
    assert!(new.out.contains("\nseed 1: new: ") && new.out.contains(": 2 new\n"), "{}", new.out);
    let old = sweep("dual-primary", "trunk");
    assert!(
        old.out.contains("\nseed 0: both: linearizability, lost_write, split_brain here and at trunk\n"),
        "{}",
        old.out
    );
    assert!(old.out.contains("1: with the bug: 2 in both"), "{}", old.out);
    let gone = sweep("raft", "HEAD --fixed --format json");
    let lines = gone.lines();
    let fixed: Vec<_> = lines.iter().filter(|line| line["kind"] == "against").collect();
    assert_eq!(fixed.len(), 2, "{}{}", gone.out, gone.err);
    assert_eq!(missing(fixed[0]), Vec::<String>::new());
    assert_eq!((&fixed[0]["is"], gone.code), (&json!("fixed"), 0));
    // A typing error is told before the work, and what happens after it takes nothing away.
    for (against, code, why) in
        [("nowhere", 64, "`nowhere` names no commit"), ("HEAD --build false", 1, "does not build")]
    {
        let ran = desk.run(&format!("sweep small.toml --seeds 1 --system dual-primary --against {against}"));
        assert!(ran.code == code && ran.err.contains(why), "{}", ran.err);
        assert_eq!(ran.out.contains("1 violation"), code == 1, "{}", ran.out);
    }
}

#[test]
fn the_commit_that_broke_a_seed_is_found() {
    let desk = Desk::new();
    let (fine, broken) = ("as it is", "with the bug");
    repository(&desk, &[fine, fine, fine, broken, broken]);
    let bisect = format!("bisect small.toml --seed 1 {BUILT} --good HEAD~4");
    let found = desk.run(&bisect);
    assert_eq!(found.code, 0, "{}{}", found.out, found.err);
    let words: Vec<&str> = found.out.split_whitespace().collect();
    assert!(words.join(" ").ends_with(" 3: with the bug") && words.contains(&"since"), "{}", found.out);
    assert!(found.out.starts_with("good: ") || found.out.starts_with("bad: "), "{}", found.out);
    let json = desk.run(&format!("{bisect} --format json")).last();
    assert_eq!((missing(&json), &json["subject"]), (vec![], &json!("3: with the bug")));
    let swapped = desk.run(&format!("bisect small.toml --seed 1 {BUILT} --good HEAD --bad HEAD~4"));
    assert!(swapped.code == 64 && swapped.err.contains("--good is to pass seed 1"), "{}", swapped.err);

    let desk = Desk::new();
    repository(&desk, &[fine, "broken off", broken]);
    let undecided = desk.run(&format!("bisect small.toml --seed 1 {BUILT} --good HEAD~2"));
    assert_eq!(undecided.code, 2, "{}{}", undecided.out, undecided.err);
    assert!(undecided.out.contains("skip: ") && undecided.out.contains("not decided"), "{}", undecided.out);
}
