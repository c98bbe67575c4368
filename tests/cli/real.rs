//! Runs on real processes: short ones, of our own systems, where this machine allows them.

use super::Desk;
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Two data centres, cut for two seconds.
const CUT: &str = r#"
version = 1
name = "cut"
title = "A cut of two seconds"

[[sites]]
name = "east"
nodes = 2
clients = 2

[[sites]]
name = "west"
nodes = 1
clients = 2

[timing]
duration_ms = 4500
heartbeat_ms = 50
election_min_ms = 200
election_max_ms = 400
attempt_timeout_ms = 300
operation_timeout_ms = 900

[workload]
operations = 200
start_ms = 1000
keys = 2

[[faults]]
at_ms = 2000
for_ms = 2000
fault = "partition"
groups = [["east"], ["west"]]
"#;

/// Why no run can be made on this machine, if so.
fn impossible() -> Option<String> {
    if let Err(error) = std::fs::File::options().read(true).write(true).open("/dev/net/tun") {
        return Some(format!("/dev/net/tun: {error}"));
    }
    let mut unshare = Command::new("unshare");
    let made = unshare.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--net", "ip", "link"]);
    match made.output() {
        Err(error) => Some(format!("unshare: {error}")),
        Ok(done) if !done.status.success() => Some(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
        Ok(_) => None,
    }
}

fn is_possible() -> bool {
    let why = impossible();
    if let Some(why) = &why {
        eprintln!("skipped: {why}");
    }
    why.is_none()
}

#[test]
fn a_cut_on_a_real_kernel_divides_two_primaries() {
    if !is_possible() {
        return;
    }
    let desk = Desk::new();
    desk.write("cut.toml", CUT);
    let ran = desk.run("real cut.toml --subject dual-primary --seed 1 --html page.html --format json");
    let outcome = ran.last();
    assert_eq!((ran.code, outcome["verdict"].as_str()), (1, Some("violation")), "{}", ran.err);
    let split = outcome["violations"].as_array().unwrap().iter().find(|found| found["check"] == "split_brain");
    assert_eq!(split.unwrap()["certificate"]["operations"].as_array().unwrap().len(), 2);
    assert!(outcome["counters"]["messages_dropped"].as_u64().unwrap() > 0, "the cut swallowed packets");
    assert_eq!(super::contract::missing(&outcome), Vec::<String>::new());
    assert!(ran.err.contains("routed: ") && desk.read("page.html").contains("dual-primary"));
}

/// Processes by parent, and what distinguishes each from a later one of the same number.
fn processes() -> BTreeMap<u32, (u32, String)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(text) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        // A process that has ended and was not waited for is no process any more.
        if fields[0] != "Z" {
            all.insert(id, (fields[1].parse().unwrap(), fields[19].to_owned()));
        }
    }
    all
}

/// A process and all that it started, with what distinguishes each.
fn family(of: u32) -> Vec<(u32, String)> {
    let all = processes();
    let mut found = vec![of];
    let mut at = 0;
    while at < found.len() {
        let own = found[at];
        found.extend(all.iter().filter(|(_, (parent, _))| *parent == own).map(|(id, _)| *id));
        at += 1;
    }
    found.iter().filter_map(|id| Some((*id, all.get(id)?.1.clone()))).collect()
}

/// Waits until a run's nodes are there.
fn grown(child: &Child) -> Vec<(u32, String)> {
    for _ in 0..600 {
        let family = family(child.id());
        // The command, `unshare`, the conductor and three nodes.
        if family.len() >= 6 {
            return family;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the run did not come up: {:?}", family(child.id()));
}

#[test]
fn whichever_process_is_killed_all_others_end() {
    if !is_possible() {
        return;
    }
    let desk = Desk::new();
    desk.write("cut.toml", CUT);
    for victim in 0..6 {
        let mut command = desk.command("real cut.toml --subject dual-primary");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let family = grown(&child);
        let id = family[victim].0.to_string();
        assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
        let is_left = || {
            let now = processes();
            family.iter().any(|(id, since)| now.get(id).is_some_and(|(_, started)| started == since))
        };
        let ended = (0..400).any(|_| {
            // Waits for the command, so that it is not counted as left.
            let _ = child.try_wait();
            std::thread::sleep(Duration::from_millis(50));
            !is_left()
        });
        assert!(ended, "after the death of process {victim} of {family:?} some are left");
    }
}

/// What was said, on one line, without the frame that errors are printed in.
fn said(ran: &super::Ran) -> String {
    ran.err.replace('\u{2502}', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_subject_that_cannot_be_used_is_refused_before_anything_runs() {
    let desk = Desk::new();
    let missing = desk.run("real small.toml --subject etdc");
    assert_eq!(missing.code, 65, "{}", missing.err);
    assert!(said(&missing).contains("subjects: etcd, etcd-local-reads, "), "{}", missing.err);
    desk.write("mine.toml", "version = 1\nname = \"mine\"\ntitel = \"\"\n");
    let broken = desk.run("real small.toml --subject mine.toml");
    assert_eq!(broken.code, 65, "{}", broken.err);
    assert!(said(&broken).contains("mine.toml: TOML parse error at line 3"), "{}", broken.err);
    if is_possible() {
        let none = "version = 1\nname = \"mine\"\ntitle = \"\"\ninstall = \"make it\"\n\
                    protocol = { speaks = \"redis\", port = 1 }\n[[process]]\ncommand = [\"no-such-program\"]\n";
        desk.write("mine.toml", none);
        let ran = desk.run("real small.toml --subject mine.toml");
        assert_eq!(ran.code, 70, "{}", ran.err);
        assert!(said(&ran).contains("there is no program `no-such-program`, which mine needs: make it"), "{}", ran.err);
    }
}
