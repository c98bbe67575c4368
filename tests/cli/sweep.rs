//! Many seeds: the same results whatever the threads do, and the documented exit codes.

use super::contract::missing;
use super::{Desk, Ran};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
        let ran = desk.run(&format!("sweep small.toml --seeds 5..9 --format json --out {out} {flags}"));
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        (desk.read(&out), without_times(ran.last()))
    };
    let one = sweep("--jobs 1");
    let lines: Vec<Value> = one.0.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(missing(&lines[0]), Vec::<String>::new());
    assert_eq!(lines[1..].iter().map(|line| line["seed"].clone()).collect::<Vec<_>>(), [5, 6, 7, 8]);
    assert_eq!((&one.1["compared"], &one.1["differing"]), (&json!(1), &json!([])), "a sample ran both ways");
    assert_eq!(sweep("--jobs 3"), one);
    assert_eq!(sweep("--jobs 2 --processes"), one);
    assert_eq!(sweep("--jobs 2 --in-process"), one);
    // The log gives the same summary again.
    let read = without_times(desk.run("outcomes jobs1.jsonl --format json").last());
    let figures = |summary: &Value| json!([summary["operations"], summary["per_seed"], summary["simulated_s"]]);
    assert_eq!(figures(&read), figures(&one.1));
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
    for flags in ["", " --processes", " --in-process"] {
        let ran = desk.run(&format!("sweep endless.toml --seeds 1 --watchdog 1{flags}"));
        assert_eq!(ran.code, 70, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("seed 0: hung for more than 1 s\n  schism run endless.toml"), "{}", ran.out);
    }
}

/// A sweep without end that writes to `log.jsonl`, once that holds some seeds.
fn begun(desk: &Desk, arguments: &str) -> Child {
    let arguments = format!("sweep small.toml --seeds 1000000 --out log.jsonl {arguments}");
    let mut command = desk.command(&arguments);
    let sweep = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = || std::fs::read_to_string(desk.path("log.jsonl")).map_or(0, |text| text.matches('\n').count());
    while lines() < 4 {
        std::thread::sleep(Duration::from_millis(5));
    }
    sweep
}

#[test]
fn a_sweep_that_is_killed_has_written_down_what_it_had_done() {
    let desk = Desk::new();
    let mut sweep = begun(&desk, "");
    let second = desk.run("sweep small.toml --seeds 1 --out log.jsonl");
    assert_eq!(second.code, 64, "{}", second.err);
    assert!(second.err.contains("log.jsonl: another sweep is writing"), "{}", second.err);
    sweep.kill().unwrap();
    sweep.wait().unwrap();
    let read = desk.run("outcomes log.jsonl --format json");
    assert_eq!(read.code, 2, "what did not run proves nothing: {}{}", read.out, read.err);
    let seeds: Vec<u64> = read.lines().iter().filter_map(|line| line["seed"].as_u64()).collect();
    assert!(seeds.len() >= 3 && seeds.is_sorted(), "{seeds:?}");
    assert_eq!(read.last()["not_run"], 1_000_000 - seeds.len());

    // As if it had been killed within its last line.
    let text = desk.read("log.jsonl");
    desk.write("log.jsonl", &text[..text.len() - 200]);
    let cut = desk.run("outcomes log.jsonl --format json");
    assert!(cut.err.contains("the last line breaks off"), "{}", cut.err);
    assert_eq!(cut.last()["seeds"], seeds.len() - 1);

    let third = desk.run("sweep small.toml --seeds 1 --out log.jsonl");
    assert_eq!((third.code, desk.read("log.jsonl.1")), (0, text[..text.len() - 200].to_string()), "{}", third.err);
    assert_eq!(desk.run("outcomes small.toml").code, 65);
}

#[test]
fn ten_kills_and_a_resume_after_each_leave_the_log_of_an_undisturbed_sweep() {
    let desk = Desk::new();
    let undisturbed = desk.run("sweep small.toml --system dual-primary --seeds 40 --out whole.jsonl --format json");
    assert_eq!(undisturbed.code, 1, "{}", undisturbed.err);
    let arguments = "sweep small.toml --system dual-primary --seeds 40 --out log.jsonl --resume --format json";
    for attempt in 0_usize..10 {
        let mut sweep = desk.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let lines = || std::fs::read_to_string(desk.path("log.jsonl")).map_or(0, |text| text.matches('\n').count());
        while lines() < 3 * attempt + 2 && sweep.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        sweep.kill().unwrap();
        sweep.wait().unwrap();
        // As if it had been killed within a line.
        let text = desk.read("log.jsonl");
        desk.write("log.jsonl", &text[..text.len() - 7 * attempt]);
    }
    let resumed = desk.run(arguments);
    assert_eq!(resumed.code, 1, "{}", resumed.err);
    assert_eq!(desk.read("log.jsonl"), desk.read("whole.jsonl"));
    let figures = |ran: &Ran| {
        let mut summary = without_times(ran.last());
        for field in ["resumed", "compared"] {
            summary.as_object_mut().unwrap().remove(field);
        }
        summary
    };
    assert!(resumed.last()["resumed"].as_u64() > Some(0));
    assert_eq!(figures(&resumed), figures(&undisturbed));
    let other = desk.run("sweep small.toml --seeds 40 --out log.jsonl --resume");
    assert_eq!(other.code, 65, "{}", other.err);
    assert!(other.err.contains("of another sweep: the system differs"), "{}", other.err);
    assert_eq!(desk.read("log.jsonl"), desk.read("whole.jsonl"), "and nothing is lost");
}

#[test]
fn a_sweep_without_a_last_seed_ends_by_time_or_by_failures() {
    let desk = Desk::new();
    let ran = desk.run("sweep small.toml --for 1s --jobs 1 --out log.jsonl");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("\n  stopped    by --for 1s\n"), "{}", ran.out);
    let resume = "go on with: schism sweep small.toml --for 1s --jobs 1 --out log.jsonl --resume";
    assert!(ran.out.ends_with(&format!("{resume}\n")), "{}", ran.out);
    assert_eq!(desk.run("outcomes log.jsonl").code, 0, "no seed is missing");
    let more = desk.run("sweep small.toml --for 1s --jobs 1 --out log.jsonl --resume --format json").last();
    assert!(more["seeds"].as_u64() > more["resumed"].as_u64(), "{more}");

    let ran = desk.run("sweep small.toml --system dual-primary --until-failure --jobs 1 --format json");
    // While the first one is booked another may begin.
    assert!(ran.code == 1 && (1..=2).contains(&ran.last()["violations"].as_u64().unwrap()), "{}", ran.out);
    assert!(ran.last()["stopped"].as_str().unwrap().contains("failure"), "{}", ran.out);
    let ran = desk.run("sweep small.toml --system dual-primary --seeds 9 --max-failures 3 --jobs 1 --format json");
    let (violations, not_run) = (ran.last()["violations"].as_u64().unwrap(), ran.last()["not_run"].as_u64().unwrap());
    assert!(ran.code == 1 && (3..=4).contains(&violations) && violations + not_run == 9, "{}", ran.out);
    // A range was asked for, and not all of it ran.
    assert_eq!(desk.run("sweep small.toml --seeds 1000000 --for 1s").code, 2);
    for (arguments, cure) in [
        ("--until-failure --sample 3", "give both"),
        ("--for 10", "time unit"),
        ("--resume", "--out"),
        ("--shard 9/8", "such as 3/8"),
        ("--shard job/8", "JOB_COMPLETION_INDEX"),
        ("--seeds 2 --shard 1/4", "no seed is left"),
    ] {
        let ran = desk.run(&format!("sweep small.toml {arguments}"));
        assert_eq!(ran.code, 64, "{arguments}: {}", ran.err);
        assert!(ran.err.contains(cure), "{arguments}: {}", ran.err);
    }
}

#[test]
fn the_shards_of_a_sweep_merge_into_the_log_of_one_machine() {
    let desk = Desk::new();
    let whole = desk.run("sweep small.toml --system dual-primary --seeds 5 --out whole.jsonl");
    for index in 1..=3 {
        let ran = desk
            .run(&format!("sweep small.toml --system dual-primary --seeds 5 --shard {index}/3 --out {index}.jsonl"));
        assert_eq!(ran.code, 1, "{}", ran.err);
    }
    let partial = desk.run("sweep merge 3.jsonl 1.jsonl --out partial.jsonl --expect violation");
    assert_eq!((partial.code, partial.err.as_str()), (2, "missing: shard 2/3, seeds 1..3\n"));
    let merged = desk.run("sweep merge partial.jsonl 2.jsonl 1.jsonl --out merged.jsonl");
    assert_eq!((merged.code, merged.err.as_str()), (whole.code, ""));
    assert_eq!(desk.read("merged.jsonl"), desk.read("whole.jsonl"));
    assert_eq!(desk.run("sweep merge 1.jsonl small.toml").code, 65);
}

#[test]
fn a_sweep_and_its_log_give_the_same_reports() {
    let desk = Desk::new();
    let sweep = "sweep brief.toml --seeds 3 --system dual-primary --jobs 1 --out log.jsonl --annotations";
    let ran = desk.run(&format!("{sweep} --junit a.xml --markdown a.md"));
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(ran.out.matches("\n::error title=brief under dual-primary%2C seed ").count(), 3, "{}", ran.out);
    let read = desk.run("outcomes log.jsonl --junit b.xml --markdown b.md");
    assert_eq!(read.code, 1, "{}", read.err);
    // Only the sweep has recorded its failures in files.
    let without_replays = |name: &str| {
        let text = desk.read(name);
        text.lines().map(|line| line.split("schism r").next().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(without_replays("a.md"), without_replays("b.md"));
    assert!(desk.read("a.md").contains("| 0, 1, 2 | `schism replay target/schism/brief-dual-primary-0.toml` |"));
    for name in ["a.xml", "b.xml"] {
        assert!(desk.read(name).contains(r#"tests="3" skipped="0" errors="0" failures="3""#), "{}", desk.read(name));
    }
    let json = desk.run("outcomes log.jsonl --annotations --format json");
    assert!(json.err.starts_with("::error title=") && json.lines().len() == 7, "{}", json.err);
    assert_eq!(desk.run("sweep brief.toml --seeds 1 --junit target").code, 70);
}

#[cfg(unix)]
#[test]
fn a_sweep_that_is_stopped_says_what_it_found() {
    for (signal, system, code) in [("-INT", "dual-primary", 1), ("-TERM", "raft", 2)] {
        let desk = Desk::new();
        let sweep = begun(&desk, &format!("--system {system} --format json"));
        assert!(Command::new("kill").args([signal, &sweep.id().to_string()]).status().unwrap().success());
        let ran = Ran::from(sweep.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (code, ""), "{}", ran.out);
        let summary = ran.last();
        let logged = desk.read("log.jsonl").lines().count() - 1;
        assert_eq!(summary["seeds"], logged, "every seed that was done is in the file, and no other");
        assert_eq!(summary["not_run"], 1_000_000 - logged);
        assert_eq!((&summary["panics"], &summary["deaths"]), (&json!(0), &json!(0)), "its processes die for no seed");
    }
}

#[test]
fn a_sweep_whose_reader_leaves_ends_with_what_it_found() {
    let desk = Desk::new();
    let mut command = desk.command("sweep small.toml --system dual-primary --seeds 1000000");
    let mut sweep = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(sweep.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("seed "), "a failure is told as it comes: {line}");
    let ran = Ran::from(sweep.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_runs_out_names_the_seed_and_costs_no_other() {
    let desk = Desk::new();
    desk.write("hungry.toml", &super::SMALL.replace("clients = 2", "clients = 9_000"));
    let ran = desk.run("sweep hungry.toml --seeds 7..9 --jobs 1 --memory 64 --format json --out log.jsonl");
    assert_eq!(ran.code, 70, "{}{}", ran.out, ran.err);
    for (seed, line) in (7..).zip(&ran.lines()[..2]) {
        assert_eq!(line["seed"], seed);
        let why = line["why"].as_str().unwrap();
        assert!(why.starts_with("harness: its process ended with signal: 6 (SIGABRT)"), "{line}");
        assert!(why.contains("memory allocation of ") && why.ends_with("(--memory allows 64 MiB)"), "{line}");
        assert_eq!(line["replay"], format!("schism run hungry.toml --system raft --seed {seed}"));
    }
    assert_eq!(ran.last()["deaths"], 2);
    let read = desk.run("outcomes log.jsonl --format json");
    assert_eq!((read.code, &read.last()["deaths"]), (70, &json!(2)));
}

#[test]
fn what_cannot_be_written_never_hides_a_violation() {
    let desk = Desk::new();
    // No user can create a folder below a file.
    desk.write("target", "");
    for command in ["run small.toml", "sweep small.toml --seeds 2 --jobs 1"] {
        let ran = desk.run(&format!("{command} --system dual-primary"));
        assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
        assert_eq!(ran.err.matches("warning: ").count(), 1, "{}", ran.err);
        assert!(ran.err.contains("small-dual-primary-0.toml could not be written: "), "{}", ran.err);
        assert!(ran.err.contains("name a file with --out"), "{}", ran.err);
    }
    for (code, arguments) in [
        (1, "run small.toml --system dual-primary --out target/x.toml"),
        (1, "run small.toml --system dual-primary --no-record --html target/x.html"),
        (70, "run small.toml --trace-out target/x.trace"),
        (70, "run small.toml --out target/x.toml"),
        (70, "compare small.toml --html target/x.html"),
        (70, "compare small.toml --out target/x"),
        (70, "sweep small.toml --seeds 1 --out target/x.jsonl"),
        (70, "export small.toml --system raft --to json --out target/x.json"),
    ] {
        let ran = desk.run(arguments);
        assert_eq!(ran.code, code, "{arguments}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("target/x") && ran.err.contains("could not be written"), "{arguments}: {}", ran.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_with_its_path() {
    let desk = Desk::new();
    for (code, arguments) in [
        (70, "sweep small.toml --seeds 1 --out /dev/full"),
        (1, "run small.toml --system dual-primary --out /dev/full"),
    ] {
        let ran = desk.run(arguments);
        assert_eq!(ran.code, code, "{arguments}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("/dev/full could not be written: No space left"), "{arguments}: {}", ran.err);
    }
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (code, system) in [(1, "dual-primary"), (70, "raft")] {
        let mut command = desk.command(&format!("run small.toml --no-record --system {system}"));
        let ran = Ran::from(command.stdout(full()).output().unwrap());
        assert_eq!(ran.code, code, "{}", ran.err);
        assert!(ran.err.contains("standard output could not be written"), "{}", ran.err);
        // With all outputs closed, only the exit code is left.
        let status = command.stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(code));
    }
}
