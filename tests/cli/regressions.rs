//! Kept runs: which still show what they were kept for.

use super::{Desk, Ran};

const KEPT: &str = "sims/regressions/small-dual-primary-3";

/// A desk with one kept run, and files that have drifted, rotted and become unreadable.
fn desk() -> Desk {
    let desk = Desk::new();
    assert_eq!(desk.run("run small.toml --system dual-primary --seed 3 --save").code, 1);
    let text = desk.read(format!("{KEPT}.toml"));
    // The digest of another build.
    let digest = text.split("digest = \"").nth(1).unwrap().split('"').next().unwrap().to_string();
    desk.write("sims/regressions/drifted.toml", &text.replace(&digest, &"0".repeat(32)));
    desk.write("sims/regressions/rotted.toml", &text.replace("for_ms = 2000", "for_ms = 20"));
    desk.write("sims/regressions/unreadable.toml", "version = 99\n");
    desk
}

fn states(ran: &Ran) -> Vec<(String, String)> {
    let lines = ran.lines();
    let lines = lines.iter().filter(|line| line["kind"] == "regression");
    let text = |value: &serde_json::Value| value.as_str().unwrap().rsplit('/').next().unwrap().to_string();
    lines.map(|line| (text(&line["file"]), text(&line["state"]))).collect()
}

#[test]
fn each_kept_run_holds_or_has_drifted_rotted_or_become_unreadable() {
    let desk = desk();
    let ran = desk.run("regressions --format json");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let expected = [
        ("drifted.toml", "drifted"),
        ("rotted.toml", "rotted"),
        ("small-dual-primary-3.toml", "holds"),
        ("unreadable.toml", "unreadable"),
    ];
    assert_eq!(states(&ran), expected.map(|(file, state)| (file.to_string(), state.to_string())));
    let summary = ran.last();
    assert_eq!((summary["kind"].as_str(), summary["files"].as_u64()), (Some("regressions"), Some(4)));
    let ran = desk.run("regressions sims/regressions");
    assert!(ran.out.contains("recorded was linearizability, lost_write, split_brain, now it is"), "{}", ran.out);
    assert!(ran.out.contains("version 99"), "{}", ran.out);
    assert!(ran.out.ends_with("1 hold, 1 drifted, 1 rotted, 1 unreadable\n"), "{}", ran.out);
    assert_eq!(desk.run("regressions nowhere").code, 65);
}

#[test]
fn only_what_has_drifted_is_refreshed_and_never_in_ci() {
    let desk = desk();
    let rotted = desk.read("sims/regressions/rotted.toml");
    let output = desk.command("regressions --refresh").env("CI", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let ran = desk.run("regressions --refresh --format json");
    assert_eq!((ran.code, ran.last()["refreshed"].as_u64()), (1, Some(1)), "{}", ran.out);
    assert_eq!(desk.read("sims/regressions/rotted.toml"), rotted);
    assert_eq!(desk.read("sims/regressions/drifted.toml"), desk.read(format!("{KEPT}.toml")));
    std::fs::remove_file(desk.path("sims/regressions/rotted.toml")).unwrap();
    std::fs::remove_file(desk.path("sims/regressions/unreadable.toml")).unwrap();
    let ran = desk.run("regressions --format json");
    assert_eq!((ran.code, ran.last()["holds"].as_u64()), (0, Some(2)), "{}", ran.out);
}

/// A kept run shows how the code behaved when it was kept: a commit that changes the behaviour must refresh it.
#[cfg(target_pointer_width = "64")]
#[test]
fn the_kept_runs_of_a_fresh_checkout_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sims/regressions");
    let ran = Desk::new().run(&format!("regressions {folder} --format json"));
    let not_held: Vec<_> = states(&ran).into_iter().filter(|(_, state)| state != "holds").collect();
    assert_eq!(not_held, [], "mended by: cargo run -- regressions --refresh");
    assert_eq!(ran.code, 0, "{}", ran.err);
}
