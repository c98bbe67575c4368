//! Many seeds: the same whatever the threads do, and with the exit code that was asked for.

use super::Desk;
use serde_json::Value;

fn without_times(mut summary: Value) -> Value {
    for field in ["wall_s", "seeds_per_minute", "jobs"] {
        summary.as_object_mut().unwrap().remove(field);
    }
    summary
}

#[test]
fn threads_and_processes_give_the_same_outcomes_in_the_order_of_the_seeds() {
    let desk = Desk::new();
    let sweep = |flags: &str| {
        let out = format!("{}.jsonl", flags.replace([' ', '-'], ""));
        let ran = desk.run(&format!("sweep brief.toml --seeds 5..9 --format json --out {out} {flags}"));
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        (desk.read(&out), without_times(ran.last()))
    };
    let one = sweep("--jobs 1");
    let seeds: Vec<Value> =
        one.0.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seed"].clone()).collect();
    assert_eq!(seeds, [5, 6, 7, 8]);
    assert_eq!(sweep("--jobs 3"), one);
    assert_eq!(sweep("--jobs 2 --processes"), one);
}

#[test]
fn an_expected_violation_turns_the_exit_code_round() {
    let desk = Desk::new();
    assert_eq!(desk.run("sweep brief.toml --seeds 2 --system dual-primary --expect violation").code, 0);
    assert!(!desk.path("target").exists(), "what is expected is not recorded");
    let ran = desk.run("sweep brief.toml --seeds 2 --expect violation");
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("seed 1: no violation\n  schism run brief.toml --system raft --seed 1"), "{}", ran.out);
}

#[test]
fn every_failure_gets_a_line_that_replays_it() {
    let desk = Desk::new();
    let ran = desk.run("sweep brief.toml --seeds 2 --system dual-primary");
    assert_eq!(ran.code, 1, "{}", ran.out);
    let replays: Vec<&str> = ran.out.lines().filter_map(|line| line.trim().strip_prefix("schism ")).collect();
    assert_eq!(replays.len(), 2, "{}", ran.out);
    for replay in replays {
        let again = desk.run(replay);
        assert_eq!(again.code, 1, "{replay}: {}{}", again.out, again.err);
        assert!(again.out.contains("identical"), "{}", again.out);
    }
}

#[test]
fn a_hang_is_booked_to_its_seed() {
    // No run of a whole simulation ends within a second of wall-clock time if it simulates an hour.
    let desk = Desk::new();
    let endless = super::BRIEF.replace("duration_ms = 8000", "duration_ms = 36_000_000");
    desk.write("endless.toml", &endless);
    for flags in ["", " --processes"] {
        let ran = desk.run(&format!("sweep endless.toml --seeds 1 --watchdog 1{flags}"));
        assert_eq!(ran.code, 70, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("seed 0: hung for more than 1 s\n  schism run endless.toml"), "{}", ran.out);
    }
}
