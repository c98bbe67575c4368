//! A failing run becomes small, stays failing, and replays from its file in a fresh process.

use super::{Desk, Ran};

const RECORDED: &str = "target/schism/small-dual-primary-3.toml";
const SHRUNK: &str = "target/schism/small-dual-primary-3-shrunk.toml";

fn shrink(desk: &Desk, arguments: &str) -> Ran {
    let ran = desk.run(&format!("shrink {arguments}"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    ran
}

#[test]
fn a_recorded_fork_becomes_small_and_replays_identically() {
    let desk = Desk::new();
    let ran = desk.run("run small.toml --system dual-primary --seed 3");
    assert!(ran.out.contains(&format!("smaller: schism shrink {RECORDED}")), "{}", ran.out);
    let line = shrink(&desk, &format!("{RECORDED} --format json --jobs 2")).last();
    assert_eq!((line["kind"].as_str(), line["check"].as_str()), (Some("shrink"), Some("split_brain")));
    assert_eq!((line["file"].as_str(), line["finished"].as_bool()), (Some(SHRUNK), Some(true)));
    let after = |field: &str| line[format!("{field}_after")].as_u64().unwrap();
    assert!(after("faults") == 1 && after("acts") == 0 && after("operations") <= 6, "{line}");
    assert!(after("nodes") == 2 && line["nodes_before"] == 3, "{line}");
    assert_eq!(line["necessity"][0]["needed"], true, "{line}");

    let replayed = desk.run(&format!("replay {SHRUNK} --format json"));
    assert_eq!((replayed.code, replayed.last()["result"].as_str()), (1, Some("identical")), "{}", replayed.out);
    assert_eq!(replayed.lines()[0]["violations"][0]["check"], "split_brain");
    let trace = std::fs::metadata(desk.path("target/schism/small-dual-primary-3-shrunk.trace")).unwrap();
    assert!(trace.len() < 16_384, "{} bytes are no small sidecar", trace.len());

    // From the scenario, on another number of threads: the same file, byte by byte.
    shrink(&desk, "small.toml --system dual-primary --seed 3 --jobs 1 --out other.toml");
    assert_eq!(desk.read("other.toml"), desk.read(SHRUNK));
}

#[test]
fn people_are_told_what_is_left_and_what_each_part_is_needed_for() {
    let desk = Desk::new();
    let ran = shrink(&desk, "small.toml --system dual-primary --seed 3 --ascii --check lost_write");
    for part in
        ["seed 3: lost_write kept", "before     after", "faults:\n  partition", "without each of them", "again: "]
    {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
    assert!(ran.out.contains("\nlost_write: client "), "the evidence of the check that is kept: {}", ran.out);
    assert!(ran.out.lines().all(|line| line.len() <= 80) && ran.out.is_ascii(), "{}", ran.out);
    let file = desk.read(SHRUNK);
    for left in ["nemesis", "[expect", "[[faults]]", "pause"] {
        assert!(!file.contains(left), "{left} is no part of what happens: {file}");
    }
}

#[test]
fn the_exit_code_says_whether_there_was_something_to_shrink() {
    let desk = Desk::new();
    let ran = desk.run("shrink small.toml --system raft --seed 3");
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("nothing to shrink: the run passes"), "{}", ran.out);
    assert_eq!(desk.run("shrink small.toml").code, 64, "without a system");
    assert_eq!(desk.run("shrink nowhere.toml --system raft").code, 65);
    let ran = desk.run("shrink small.toml --system dual-primary --check log_matching");
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("what fails: split_brain"), "{}", ran.err);

    assert_eq!(desk.run("run small.toml --system dual-primary --seed 3").code, 1);
    assert_eq!(desk.run(&format!("shrink {RECORDED} --system raft")).code, 64);
    let healed = desk.read(RECORDED).replace("for_ms = 2000", "for_ms = 20");
    desk.write(RECORDED, &healed);
    let ran = desk.run(&format!("shrink {RECORDED}"));
    assert_eq!(ran.code, 70, "the very build that recorded it: {}{}", ran.out, ran.err);
    std::fs::remove_file(desk.path("target/schism/small-dual-primary-3.trace")).unwrap();
    assert_eq!(desk.run(&format!("shrink {RECORDED}")).code, 2);
}

#[test]
fn a_shrunk_run_is_kept_with_its_trace_and_never_in_ci() {
    let desk = Desk::new();
    let arguments = "shrink small.toml --system dual-primary --seed 3 --save";
    let output = desk.command(arguments).env("CI", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(!desk.path("sims").exists());
    assert_eq!(desk.run(arguments).code, 0);
    for file in ["toml", "trace"] {
        assert!(desk.path(&format!("sims/regressions/small-dual-primary-3-shrunk.{file}")).exists());
    }
}
