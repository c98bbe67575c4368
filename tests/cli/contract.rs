//! Exit codes and JSON lines are what `docs/COMMANDS.md` says.

use super::Desk;
use serde_json::Value;
use std::collections::BTreeMap;

/// The fields that the document promises, by kind of line.
fn promised() -> BTreeMap<String, Vec<String>> {
    let doc = include_str!("../../docs/COMMANDS.md");
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut inside = false;
    for line in doc.lines() {
        if line.starts_with("```") {
            inside = line == "```fields";
        } else if inside {
            let (kind, names) = line.split_once(": ").unwrap();
            fields.entry(kind.into()).or_default().extend(names.split_whitespace().map(String::from));
        }
    }
    fields
}

pub fn missing(line: &Value) -> Vec<String> {
    let promised = promised();
    let kind = line["kind"].as_str().unwrap();
    let fields = promised.get(kind).unwrap_or_else(|| panic!("{kind} is not documented"));
    fields.iter().filter(|field| line.get(field.as_str()).is_none()).cloned().collect()
}

#[test]
fn every_line_has_its_schema_and_its_promised_fields_and_the_summary_is_last() {
    let desk = Desk::new();
    let kinds = |arguments: &str| {
        let ran = desk.run(arguments);
        let lines = ran.lines();
        for line in &lines {
            assert_eq!(line["schema"], 1, "{arguments}");
            assert_eq!(missing(line), Vec::<String>::new(), "{arguments}: {line}");
        }
        lines.iter().map(|line| line["kind"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(kinds("list --format json").pop().unwrap(), "list");
    assert_eq!(kinds("list --faults --format json").pop().unwrap(), "faults");
    assert_eq!(kinds("run brief.toml --format json"), ["outcome"]);
    assert_eq!(kinds("compare brief.toml --format json"), ["outcome", "outcome", "comparison"]);
    assert_eq!(kinds("zoo --bug cas-outside-log --starts 1 --budget 4 --clean 2 --format json"), ["bug", "zoo"]);
    assert_eq!(kinds("bench small.toml --ticks 5 --seeds 1 --jobs 1 --format json").pop().unwrap(), "bench");
    assert!(kinds("zoo --list --format json").iter().all(|kind| kind == "species"));
    let swept = kinds("sweep brief.toml --system dual-primary --seeds 2 --format json --out log.jsonl");
    assert_eq!(swept, ["failure", "failure", "sweep"]);
    let logged = kinds("outcomes log.jsonl --format json");
    assert_eq!(logged, ["outcome", "failure", "outcome", "failure", "sweep"]);
    assert_eq!(kinds("replay target/schism/brief-dual-primary-0.toml --format json"), ["outcome", "replay"]);
    assert_eq!(kinds("shrink small.toml --system dual-primary --format json"), ["shrink"]);
    assert_eq!(kinds("regressions target/schism --format json").pop().unwrap(), "regressions");
    desk.write("hunted.toml", &(super::SMALL.to_owned() + super::FAULTS));
    let hunt = "hunt hunted.toml --system dual-primary --runs 16 --every 8 --jobs 1 --format json";
    let hunted = kinds(hunt);
    assert_eq!(hunted[hunted.len() - 3..], ["reached", "reached", "hunt"]);
    assert_eq!(hunted[0], "found", "it shows in most runs");
    let exhaust = "exhaust small.toml --bug acknowledged-before-backup --operations 2 --until-failure --format json";
    assert_eq!(kinds(exhaust), ["broken", "exhaust"]);
    assert_eq!(
        kinds("compare retry-storm --systems budget,no-retry --format json"),
        ["variant", "variant", "comparison"]
    );
    assert_eq!(kinds("lesson list --format json").pop().unwrap(), "lessons");
    assert_eq!(kinds("case list --format json").pop().unwrap(), "cases");
    assert_eq!(kinds("case dns-is-slow --cause a --cure d --format json"), ["case", "cause", "cure"]);
    let answered = "lesson retry-storm --student ada --answer 0,c --format json";
    assert_eq!(kinds(answered), ["lesson", "revealed"]);
    assert_eq!(kinds("lesson grade . --format json").pop().unwrap(), "grades");
    desk.write("one.jsonl", "{\"key\":1,\"op\":\"get\",\"out\":7,\"start\":0,\"end\":9,\"status\":\"ok\"}\n");
    assert_eq!(kinds("check one.jsonl --format json"), ["check"]);
    assert_eq!(kinds("check one.jsonl one.jsonl --format json"), ["check", "check", "checks"]);
}

#[test]
fn a_missing_field_would_be_noticed() {
    let line = serde_json::json!({ "schema": 1, "kind": "list" });
    assert_eq!(missing(&line), ["scenarios"]);
}

#[test]
fn the_exit_code_says_how_it_went() {
    let desk = Desk::new();
    desk.write("broken.toml", "version = 1\nname = 5\n");
    desk.write("future.toml", &super::BRIEF.replace("version = 1", "version = 99"));
    let unexpected = super::BRIEF.replace("safety = \"split_brain\"", "safety = \"holds\"");
    desk.write("unexpected.toml", &unexpected);
    for (code, arguments) in [
        (0, "list"),
        (0, "--help"),
        (0, "--version"),
        (0, "run brief.toml"),
        (1, "run brief.toml --system dual-primary --no-record"),
        (0, "compare brief.toml"),
        (1, "compare unexpected.toml"),
        (64, ""),
        (64, "run"),
        (64, "run brief.toml --seed twelve"),
        (64, "run brief.toml --system paxos"),
        (64, "sweep brief.toml --seeds 5..5"),
        (64, "sweep brief.toml --jobs 0"),
        (64, "nodes no-such-program"),
        (64, "nodes echo --service lists"),
        (64, "hunt brief.toml --runs 1"),
        (64, "hunt zoo --runs 0"),
        (64, "exhaust small.toml --nodes 1"),
        (64, "frobnicate"),
        (65, "run nowhere.toml"),
        (65, "run broken.toml"),
        (65, "run future.toml"),
        (65, "replay brief.toml"),
    ] {
        let ran = desk.run(arguments);
        assert_eq!(ran.code, code, "schism {arguments}\n{}{}", ran.out, ran.err);
        assert_eq!(ran.err.is_empty(), code < 64, "schism {arguments}: {}", ran.err);
    }
}

#[test]
fn a_seed_may_come_from_a_variable_and_a_flag_wins() {
    let desk = Desk::new();
    let seed = |arguments: &str| {
        let output = desk.command(arguments).env("SCHISM_SEED", "0x11").output().unwrap();
        super::Ran::from(output).last()["seed"].clone()
    };
    assert_eq!(seed("run brief.toml --format json"), 17);
    assert_eq!(seed("run brief.toml --format json --seed 3"), 3);
    let output = desk.command("run brief.toml").env("SCHISM_SEED", "many").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn off_a_terminal_there_is_no_colour_and_ascii_on_request() {
    let desk = Desk::new();
    let ran = desk.run("compare brief.toml --ascii");
    assert!(ran.out.is_ascii() && !ran.out.contains('\x1b'), "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.len() <= 80), "{}", ran.out);
    let table = ran.out.lines().take_while(|line| !line.starts_with("time")).count() - 1;
    assert!(table <= 22, "a README has room for 22 lines: {}", ran.out);
    for part in [
        "served in time, 3.000 s to 6.000 s (under faults)",
        "  west  ",
        "late / unserved",
        "two primaries for",
        "First served by one only",
        "time",
    ] {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
}

#[test]
fn nothing_is_saved_into_the_source_tree_in_ci() {
    let desk = Desk::new();
    let output = desk.command("run brief.toml --save").env("CI", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(!desk.path("sims").exists());
    assert_eq!(desk.run("run brief.toml --save").code, 0);
    for file in ["toml", "trace"] {
        assert!(desk.path(&format!("sims/regressions/brief-raft-0.{file}")).exists());
    }
}

#[test]
fn logs_go_to_stderr_and_only_when_asked() {
    let desk = Desk::new();
    let quiet = desk.run("run brief.toml --format json");
    assert_eq!(quiet.err, "");
    let output = desk.command("run brief.toml --format json").env("SCHISM_LOG", "openraft=info").output().unwrap();
    assert!(!output.stderr.is_empty());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), quiet.out, "logs must not change a run");
}
