//! A recorded run replays, and the command reports what has changed.

use super::{Desk, Ran};

const RECORDED: &str = "target/schism/brief-dual-primary-3.toml";

/// A desk on which a violation has been recorded, its trace beside it.
fn recorded() -> Desk {
    let desk = Desk::new();
    let ran = desk.run("run brief.toml --system dual-primary --seed 3");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains(&format!("schism replay {RECORDED}")), "{}", ran.out);
    desk
}

fn replay(desk: &Desk) -> (Ran, String) {
    let ran = desk.run(&format!("replay {RECORDED} --format json"));
    let result = ran.last()["result"].as_str().unwrap().to_string();
    (ran, result)
}

#[test]
fn an_untouched_recording_is_identical() {
    let (ran, result) = replay(&recorded());
    assert_eq!((ran.code, result.as_str()), (1, "identical"), "{}", ran.out);
}

#[test]
fn a_pass_replays_to_zero() {
    let desk = Desk::new();
    assert_eq!(desk.run("run brief.toml --seed 3 --out pass.toml").code, 0);
    let ran = desk.run("replay pass.toml");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("identical"), "{}", ran.out);
}

/// Moves the schedule: the cut now lasts `ms`.
fn with_a_cut_of(desk: &Desk, ms: u64) {
    let text = desk.read(RECORDED);
    // The schedule is between its name and the script.
    let at = text.find("schedule = [").unwrap();
    let (before, explicit) = text.split_at(at);
    let changed = explicit.replacen("3000, for_ms = 3000", &format!("3000, for_ms = {ms}"), 1);
    let changed = changed.replacen("for_ms = 3000", &format!("for_ms = {ms}"), 1);
    assert_ne!(changed, explicit, "{}", explicit.lines().take(4).collect::<String>());
    desk.write(RECORDED, &format!("{before}{changed}"));
}

#[test]
fn a_recording_whose_events_differ_has_diverged_and_the_event_is_named() {
    let desk = recorded();
    with_a_cut_of(&desk, 2990);
    let (ran, result) = replay(&desk);
    assert_eq!((ran.code, result.as_str()), (1, "diverged"), "{}", ran.out);
    let event = ran.last()["first_diverging_event"].as_str().unwrap().to_string();
    assert!(event.starts_with("event ") && event.contains(" was `") && event.contains("` and is `"), "{event}");
    let ran = desk.run(&format!("replay {RECORDED}"));
    let said = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&event.split_whitespace().collect::<Vec<_>>().join(" ")), "{}", ran.out);
    std::fs::remove_file(desk.path("target/schism/brief-dual-primary-3.trace")).unwrap();
    let (ran, result) = replay(&desk);
    assert_eq!((ran.code, result.as_str()), (1, "diverged"));
    assert!(ran.last()["first_diverging_event"].is_null());
}

#[test]
fn a_tampered_trace_shows_both_events_and_a_broken_one_is_refused() {
    let desk = recorded();
    // A trace of another seed beside this recording, and a digest that no run has.
    assert_eq!(desk.run("run brief.toml --system dual-primary --seed 4").code, 1);
    let trace = "target/schism/brief-dual-primary-3.trace";
    std::fs::copy(desk.path("target/schism/brief-dual-primary-4.trace"), desk.path(trace)).unwrap();
    let text = desk.read(RECORDED);
    let digest = text.split("digest = \"").nth(1).unwrap().split('"').next().unwrap();
    desk.write(RECORDED, &text.replace(digest, &"0".repeat(32)));
    let event = replay(&desk).0.last()["first_diverging_event"].as_str().unwrap().to_string();
    let (was, is) = event.split_once("` and is `").unwrap_or_else(|| panic!("both runs in {event}"));
    let was = was.split_once(" was `").unwrap().1;
    assert!(was.contains(" s ") && is.contains(" s ") && was != is.trim_end_matches('`'), "{event}");

    std::fs::write(desk.path(trace), b"schism-trace 3\nnothing").unwrap();
    let ran = desk.run(&format!("replay {RECORDED}"));
    assert_eq!(ran.code, 65);
    assert!(ran.err.contains("brief-dual-primary-3.trace") && ran.err.contains("remove it"), "{}", ran.err);
}

#[test]
fn a_violation_that_is_gone_passes_unless_the_same_build_recorded_it() {
    let desk = recorded();
    with_a_cut_of(&desk, 100);
    let (ran, result) = replay(&desk);
    assert_eq!((ran.code, result.as_str()), (70, "passes"), "the same build gives another verdict: {}", ran.out);
    std::fs::remove_file(desk.path("target/schism/brief-dual-primary-3.trace")).unwrap();
    let (ran, result) = replay(&desk);
    assert_eq!((ran.code, result.as_str()), (0, "passes"), "{}", ran.out);
}

#[test]
fn other_checks_than_recorded_are_a_different_violation() {
    let desk = recorded();
    let text = desk.read(RECORDED);
    let (before, explicit) = text.split_at(text.find("[explicit]").unwrap());
    let other = explicit.replacen("\"split_brain\"", "\"election_safety\"", 1);
    assert_ne!(other, explicit);
    let other = format!("{before}{other}");
    let digest = text.split("digest = \"").nth(1).unwrap().split('"').next().unwrap();
    desk.write(RECORDED, &other.replace(digest, &"0".repeat(32)));
    std::fs::remove_file(desk.path("target/schism/brief-dual-primary-3.trace")).unwrap();
    let (ran, result) = replay(&desk);
    assert_eq!((ran.code, result.as_str()), (1, "different_violation"), "{}", ran.out);
}

#[test]
fn an_unknown_version_is_refused_and_named() {
    let desk = recorded();
    desk.write(RECORDED, &desk.read(RECORDED).replacen("version = 1", "version = 2", 1));
    let ran = desk.run(&format!("replay {RECORDED}"));
    assert_eq!(ran.code, 65);
    assert!(ran.err.contains("version"), "{}", ran.err);
}
