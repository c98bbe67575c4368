//! The processes of a program's nodes: what becomes of them, whatever becomes of the simulator, and that how slow they are
//! decides nothing.

use super::{BRIEF, CUT, ONE_NODE, example, has, made, python};
use schism::check::CheckName;
use schism::run::Verdict;
use schism::systems::nodes::{Service, set_patience};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The processes whose command line contains a text.
fn processes(text: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").expect("this is Linux").flatten();
    let pids = all.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.parse::<u32>().is_ok());
    let named = |pid: &String| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(text)
    };
    pids.filter(named).collect()
}

/// Whether a condition comes true within half a minute.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn a_program_that_loops_ends_the_run_without_a_verdict_and_nothing_outlives_it() {
    if !has("python3") {
        return;
    }
    let (folder, command) = python("node.on('read')(lambda message: [None for _ in itertools.count()])\nnode.run()");
    let file = folder.path().join("one-node.toml");
    std::fs::write(&file, ONE_NODE).expect("a file");
    let schism = || {
        let mut schism = Command::new(env!("CARGO_BIN_EXE_schism"));
        schism.current_dir(folder.path()).args(["run", "one-node.toml", "--system", &format!("nodes:{command}")]);
        schism.env("SCHISM_NODES_PATIENCE", "1");
        schism
    };
    let done = schism().output().expect("the command is there");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(70), "{said}");
    assert!(said.contains("n1: gave no answer within 1 s") && done.stdout.is_empty(), "{said}");
    let own = folder.path().join("program.py").display().to_string();
    assert!(eventually(|| processes(&own).is_empty()), "a process outlived its run");
}

/// A run of a program that loops at its first event, as a child of it does: what only sees the end of its input stays. Until
/// it is killed it does so for ever. Returns the run, and what the arguments of the program and of its child contain.
fn looping(folder: &Path, command: &str) -> (Spawned, String) {
    std::fs::write(folder.join("one-node.toml"), ONE_NODE).expect("a file");
    let mut schism = Command::new(env!("CARGO_BIN_EXE_schism"));
    schism.current_dir(folder).args(["run", "one-node.toml", "--system", &format!("nodes:{command}")]);
    schism.env("SCHISM_NODES_PATIENCE", "3600");
    let running = schism.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command is there");
    let own = folder.join("program.py").display().to_string();
    // Beside the simulator, whose arguments name the program too.
    assert!(eventually(|| processes(&own).len() == 3), "{:?}", processes(&own));
    (Spawned(running), own)
}

/// A process of a test, killed at its end.
struct Spawned(std::process::Child);

impl Spawned {
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.kill();
    }
}

const LOOPS: &str = "import subprocess
@node.on_init
def start():
    subprocess.Popen([sys.executable, '-c', 'while True: pass', __file__])
    while True:
        pass
node.run()";

#[test]
fn the_processes_of_a_simulator_that_is_killed_end_too() {
    if !has("python3") {
        return;
    }
    let (folder, command) = python(LOOPS);
    let (mut schism, own) = looping(folder.path(), &command);
    schism.kill();
    assert!(eventually(|| processes(&own).is_empty()), "a process outlived its simulator");
}

/// The test above can fail: it is the guard that ends them.
#[test]
fn without_the_guard_they_would_not() {
    if !has("python3") {
        return;
    }
    let (folder, command) = python(LOOPS);
    let (mut schism, own) = looping(folder.path(), &command);
    let of_this_run = |pid: &String| parent(pid) == Some(schism.0.id().to_string());
    let guards: Vec<String> = processes("schism-guard").into_iter().filter(of_this_run).collect();
    assert_eq!(guards.len(), 1, "one guard for all processes of a simulator");
    let kill = |pid: &str| assert!(Command::new("kill").args(["-KILL", pid]).status().expect("it is there").success());
    kill(&guards[0]);
    schism.kill();
    // The guard needs some milliseconds; here is more than enough for it, were it there.
    std::thread::sleep(Duration::from_millis(300));
    let left = processes(&own);
    left.iter().for_each(|pid| kill(pid));
    assert_eq!(left.len(), 2, "what should have stayed did not");
}

/// What a program has started ends with it, when it crashes too.
#[test]
fn a_child_of_a_program_that_crashes_ends_with_it() {
    if !has("python3") {
        return;
    }
    let (folder, command) = python(&LOOPS.replace("while True:\n        pass\n", "raise RuntimeError('enough')\n"));
    let short = ONE_NODE.replace("duration_ms = 3000", "duration_ms = 900");
    let run = made(&short, &command, Service::LinKv, 1).expect("it runs");
    let panic = run.outcome.violations.iter().find(|found| found.check == CheckName::Panic).expect("it crashed");
    assert!(panic.certificate.sentence.contains("RuntimeError: enough"), "{}", panic.certificate.sentence);
    let own = folder.path().join("program.py").display().to_string();
    assert!(eventually(|| processes(&own).is_empty()), "a child outlived its program");
}

/// The number of the process that started this one.
fn parent(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.split(' ').nth(3).map(str::to_owned)
}

/// Stops processes of a program at random and lets them go on, until that is over.
fn disturb(program: &str, is_over: &AtomicBool) {
    let mut draw = 1_u64;
    while !is_over.load(Ordering::Relaxed) {
        for pid in processes(program).into_iter().filter(|pid| parent(pid) == Some(std::process::id().to_string())) {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if draw >> 62 == 0 {
                let signal = |name: &str| drop(Command::new("kill").args([name, &pid]).stderr(Stdio::null()).status());
                signal("-STOP");
                std::thread::sleep(Duration::from_millis(draw >> 40 & 15));
                signal("-CONT");
            }
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// `SCHISM_NODES_RUNS=50` makes fifty runs of either kind, with both processors busy besides.
#[test]
fn one_digest_however_slow_the_machine_is() {
    if !has("python3") {
        return;
    }
    // Longer than any machine takes: other tests are only given more time by it.
    set_patience("3600".as_ref()).expect("it is a number of seconds");
    let asked = std::env::var("SCHISM_NODES_RUNS").ok().and_then(|text| text.parse::<u32>().ok());
    // A copy, so that the processes of other tests are left alone.
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["node.py", "dual_primary.py"] {
        std::fs::copy(example(&format!("python/{file}")), folder.path().join(file)).expect("it is there");
    }
    let program = folder.path().join("dual_primary.py").display().to_string();
    let text = format!("{BRIEF}{CUT}");
    let digest = |before: &str| {
        let run = made(&text, &format!("{before}python3 '{program}'"), Service::LinKv, 5).expect("it runs");
        assert_eq!(run.outcome.verdict, Verdict::Violation);
        // The name of the system is in no digest.
        run.outcome.digest
    };
    let idle = digest("");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&is_over);
        for _ in 0..asked.map_or(0, |_| 2) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop()
                }
            });
        }
        scope.spawn(|| disturb(&program, &is_over));
        for number in 0..asked.unwrap_or(1) {
            assert_eq!(digest(""), idle, "run {number}, with stops");
            assert_eq!(digest("nice -n 19 "), idle, "run {number}, nice, with stops");
        }
    });
}

/// Sets a flag when it goes out of scope.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
