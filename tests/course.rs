//! The course in `examples/course/`: its solutions pass, its wrong programs do not, and whatever else is handed in has a
//! result with a name. Left out, with a word about it, where there is no Python.

use crate::nodes::has;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// One node for a second: enough to see what a program does with its first events.
const SECOND: &str = r#"
version = 1
name = "second"
title = "One node for a second"

[[sites]]
name = "here"
nodes = 1
clients = 1

[timing]
duration_ms = 900
heartbeat_ms = 40
election_min_ms = 100
election_max_ms = 200

[workload]
operations = 20
start_ms = 300
keys = 1
"#;

const ONE_STEP: &str = r#"
version = 1
title = "One step"

[[steps]]
name = "echo"
title = "Echo"
service = "echo"
build = "Answer."

[[steps.trials]]
name = "second"
scenario = "second.toml"
thrown = "Nothing."
points = 3
practice = "0..2"
held_out = 2
"#;

const ECHO: &str = r#"
import json, sys
for line in sys.stdin:
    event = json.loads(line)
    body = event.get("body", {})
    if body.get("type") == "echo":
        answer = {"type": "echo_ok", "echo": body["echo"], "in_reply_to": body["msg_id"]}
        print(json.dumps({"dest": event["src"], "body": answer}))
    print('{"done":true}', flush=True)
"#;

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/course")
}

fn schism(course: &Path, folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_schism"));
    command.args(["course", "grade"]).arg(folder).arg("--course").arg(course).args(more);
    command.env_remove("SCHISM_COURSE_SALT").output().expect("the command is there")
}

/// The lines about trials and about students.
fn lines(output: &Output) -> (Vec<Value>, Vec<Value>) {
    let text = String::from_utf8_lossy(&output.stdout);
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
    let (trials, others): (Vec<_>, Vec<_>) = all.partition(|line| line["kind"] == "trial");
    (trials, others.into_iter().filter(|line| line["kind"] == "student").collect())
}

fn graded(course: &Path, folder: &Path, more: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let output = schism(course, folder, &[more, &["--format", "json"]].concat());
    let (trials, students) = lines(&output);
    assert!(!students.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (trials, students)
}

/// The course of one step, in a folder.
fn one_step() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("course.toml"), ONE_STEP).expect("a file");
    std::fs::write(folder.path().join("second.toml"), SECOND).expect("a file");
    folder
}

/// A folder as a student hands it in, in a class's.
fn hand_in(class: &Path, student: &str, files: &[(&str, &str)]) {
    std::fs::create_dir(class.join(student)).expect("a folder");
    for (name, text) in files {
        std::fs::write(class.join(student).join(name), text).expect("a file");
    }
}

/// Our course with one seed for each part of a trial.
fn brief_course() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(ours().join("course.toml")).expect("it is there");
    let sims = ours().join("sims").display().to_string();
    let one = text.lines().map(|line| match line.split(" = ").next() {
        Some("practice") => "practice = \"0..1\"".to_owned(),
        Some("held_out") => "held_out = 1".to_owned(),
        _ => line.replace("\"sims/", &format!("\"{sims}/")),
    });
    std::fs::write(folder.path().join("course.toml"), one.collect::<Vec<_>>().join("\n")).expect("a file");
    folder
}

/// For each step its wrong programs, each in a folder of its own.
fn wrong(step: &str) -> TempDir {
    let class = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(ours().join("wrong").join(step)).expect("there are some").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let command = format!("node = \"python3 '{}'\"\n", path.display());
            hand_in(class.path(), &name, &[("nodes.toml", &command)]);
        }
    }
    class
}

#[test]
fn the_first_two_steps_pass_and_their_wrong_programs_do_not() {
    if !has("python3") {
        return;
    }
    let course = brief_course();
    let steps = ["--step", "primary", "--step", "elections"];
    let (trials, students) = graded(course.path(), &ours().join("solutions"), &steps);
    assert_eq!((&students[0]["points"], &students[0]["of"]), (&20.into(), &20.into()), "{trials:?}");
    for (step, caught) in [("primary", &["everyone", "takeover"][..]), ("elections", &["appointed"])] {
        let (_, students) = graded(course.path(), wrong(step).path(), &["--step", step]);
        assert_eq!(students.len(), 3, "three wrong programs for {step}");
        for student in students.iter().filter(|student| caught.iter().any(|name| student["student"] == *name)) {
            assert!(student["points"].as_u64() < student["of"].as_u64(), "{student}");
        }
    }
}

/// `SCHISM_COURSE=1` grades all solutions and all wrong programs under all seeds, `SCHISM_COURSE=log` those of one step.
#[test]
fn every_solution_has_all_points_and_every_wrong_program_has_not() {
    let Ok(asked) = std::env::var("SCHISM_COURSE") else { return };
    if !has("python3") {
        return;
    }
    let all = ["primary", "elections", "log", "persistence", "snapshots"];
    let steps: Vec<&str> = all.into_iter().filter(|step| asked == "1" || asked == *step).collect();
    assert!(!steps.is_empty(), "SCHISM_COURSE is 1, for all, or one of {all:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let salt = folder.path().join("salt");
    std::fs::write(&salt, "a salt for tests\n").expect("a file");
    let salted = ["--salt-file", salt.to_str().expect("text")];
    for step in steps {
        let of_step = [&salted[..], &["--step", step]].concat();
        let (trials, students) = graded(&ours(), &ours().join("solutions"), &of_step);
        let failed: Vec<_> = trials.iter().filter(|trial| trial["state"] != "passed").collect();
        assert!(failed.is_empty() && students[0]["points"] == 20, "{step}: {failed:?}");
        let (trials, students) = graded(&ours(), wrong(step).path(), &of_step);
        assert_eq!(students.len(), 3, "three wrong programs for {step}");
        for student in &students {
            let own = |part: &str| {
                trials.iter().any(|trial| {
                    trial["student"] == student["student"] && trial["part"] == part && trial["state"] == "failed"
                })
            };
            assert!(own("practice") && own("held_out"), "{step}: {student} is not caught");
        }
    }
}

#[test]
fn whatever_is_handed_in_has_a_result_with_a_name() {
    if !has("python3") {
        return;
    }
    let (course, folder) = (one_step(), tempfile::tempdir().expect("a folder"));
    let class = folder.path();
    let python = ("nodes.toml", "node = \"python3 node.py\"\n");
    hand_in(class, "good", &[python, ("node.py", ECHO)]);
    hand_in(class, "crashes", &[python, ("node.py", "raise SystemExit(3)")]);
    hand_in(class, "no-json", &[python, ("node.py", "print('hello', flush=True)\ninput()\ninput()")]);
    hand_in(class, "floods", &[python, ("node.py", "while True: print('{\"log\":\"x\"}')")]);
    hand_in(class, "no-program", &[("nodes.toml", "node = \"no-such-program\"\n")]);
    hand_in(class, "no-step", &[("nodes.toml", "[steps]\nother = \"x\"\n")]);
    hand_in(class, "misspelt", &[("nodes.toml", "\nnoed = \"x\"\n")]);
    hand_in(class, "huge", &[("nodes.toml", &"# \n".repeat(50_000))]);
    hand_in(class, "nothing", &[("readme.txt", "I had no time")]);
    std::fs::create_dir_all(class.join("folder/nodes.toml")).expect("a folder");
    #[cfg(unix)]
    {
        hand_in(class, "borrowed", &[]);
        std::os::unix::fs::symlink(class.join("good/nodes.toml"), class.join("borrowed/nodes.toml")).expect("a link");
        std::os::unix::fs::symlink(class.join("good"), class.join("friend")).expect("a link");
    }
    let (trials, _) = graded(course.path(), class, &[]);
    let states: BTreeMap<&str, (&str, &str)> = trials
        .iter()
        .map(|trial| {
            let text = |field: &str| trial[field].as_str().unwrap_or_default();
            (text("student"), (text("state"), text("why")))
        })
        .collect();
    let mut expected = vec![
        ("good", "passed", ""),
        ("crashes", "failed", "ended with exit status 3"),
        ("no-json", "failed", "is not JSON"),
        ("floods", "failed", "more than 10000 lines"),
        ("no-program", "does_not_start", "there is no program `no-such-program`"),
        ("no-step", "not_handed_in", "no program for the step `echo`"),
        ("misspelt", "unreadable", "line 2: unknown field `noed`"),
        ("huge", "too_large", "more than 64 KiB"),
        ("nothing", "missing", "there is no nodes.toml"),
        ("folder", "unreadable", "is no regular file"),
    ];
    if cfg!(unix) {
        expected.extend([
            ("borrowed", "link", "nodes.toml is a symbolic link"),
            ("friend", "link", "folder is a symbolic"),
        ]);
    }
    assert_eq!(states.len(), expected.len(), "{states:?}");
    for (student, state, why) in expected {
        let found = states[student];
        assert!(found.0 == state && found.1.contains(why), "{student}: {found:?}");
    }
}

#[test]
fn a_program_that_loops_is_told_so_and_costs_one_wait() {
    if !has("python3") {
        return;
    }
    let (course, class) = (one_step(), tempfile::tempdir().expect("a folder"));
    let loops = [("nodes.toml", "node = \"python3 node.py\"\n"), ("node.py", "while True: pass")];
    hand_in(class.path(), "loops", &loops);
    let salt = course.path().join("salt");
    std::fs::write(&salt, "12345678").expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_schism"));
    command.args(["course", "grade", "loops", "--format", "json", "--jobs", "1", "--course"]).arg(course.path());
    command.arg("--salt-file").arg(&salt).current_dir(class.path()).env("SCHISM_NODES_PATIENCE", "1");
    let (trials, _) = lines(&command.output().expect("the command is there"));
    let states: Vec<_> = trials.iter().map(|trial| (trial["state"].as_str(), trial["run"].as_u64())).collect();
    assert_eq!(states, [(Some("no_answer"), Some(1)), (Some("not_run"), Some(0))]);
}

/// Held-out seeds earn points of their own, and a student is not told which they were.
#[test]
fn held_out_seeds_are_graded_and_kept() {
    if !has("python3") {
        return;
    }
    let (course, class) = (one_step(), tempfile::tempdir().expect("a folder"));
    let python = ("nodes.toml", "node = \"python3 node.py\"\n");
    // What nobody but the teacher knows is not in a program's environment either.
    let echo = format!("import os\nassert 'SCHISM_COURSE_SALT' not in os.environ\n{ECHO}");
    hand_in(class.path(), "good", &[python, ("node.py", &echo)]);
    hand_in(class.path(), "bad", &[python, ("node.py", &ECHO.replace("body[\"echo\"]", "\"echo\""))]);
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_schism"));
        command.args(["course", "grade", "."]).args(more).arg("--course").arg(course.path());
        command.current_dir(class.path()).env("SCHISM_COURSE_SALT", "no student knows");
        command.output().expect("the command is there")
    };
    let once = run(&["--format", "json"]);
    let (trials, students) = lines(&once);
    let points: Vec<_> = students.iter().map(|student| (&student["points"], &student["of"])).collect();
    assert_eq!(points, [(&0.into(), &6.into()), (&6.into(), &6.into())], "{trials:?}");
    let seeds: Vec<_> = trials.iter().map(|trial| (trial["part"].as_str(), trial.get("seed").is_some())).collect();
    let (practice, held_out) = (Some("practice"), Some("held_out"));
    assert_eq!(seeds, [(practice, true), (held_out, false), (practice, false), (held_out, false)]);
    assert!(trials[1].get("why").is_none() && trials[1]["reason"] == "service", "{}", trials[1]);
    let revealed = lines(&run(&["--format", "json", "--reveal"])).0;
    assert!(revealed[1]["seed"].as_u64().is_some_and(|seed| seed > 1), "{}", revealed[1]);
    // The grade is a function of code, seeds and salt.
    assert_eq!(run(&["--format", "json", "--jobs", "1"]).stdout, once.stdout);
    let csv = String::from_utf8(run(&["--csv"]).stdout).expect("text");
    assert!(csv.starts_with("student,step,trial,part,state,points,of") && csv.lines().count() == 5, "{csv}");
}

#[test]
fn other_programs_read_the_grades() {
    if !has("python3") {
        return;
    }
    let (course, class) = (one_step(), tempfile::tempdir().expect("a folder"));
    let python = ("nodes.toml", "node = \"python3 node.py\"\n");
    hand_in(class.path(), "good", &[python, ("node.py", ECHO)]);
    let file = |name: &str| class.path().join(name).display().to_string();
    let (results, xml) = (file("results.json"), file("junit.xml"));
    let done = schism(course.path(), &class.path().join("good"), &["--gradescope", &results, "--junit", &xml]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.contains("good: 3 of 3 points") && said.contains("Only the practice seeds were run"), "{said}");
    let results: Value =
        serde_json::from_str(&std::fs::read_to_string(results).expect("it was written")).expect("JSON");
    assert_eq!((&results["tests"][0]["score"], &results["tests"][0]["max_score"]), (&3.into(), &3.into()));
    let xml = std::fs::read_to_string(xml).expect("it was written");
    assert!(xml.contains(r#"<testsuite name="good" tests="1""#), "{xml}");
    let usage = schism(course.path(), class.path(), &["--salt-file", &file("no-such-file")]);
    assert_eq!(usage.status.code(), Some(65));
    let usage = schism(course.path(), class.path(), &["--step", "ehco"]);
    assert!(usage.status.code() == Some(64) && String::from_utf8_lossy(&usage.stderr).contains("echo"));
    let none = schism(&class.path().join("good"), class.path(), &[]);
    assert!(none.status.code() == Some(65) && String::from_utf8_lossy(&none.stderr).contains("--course"));
}
