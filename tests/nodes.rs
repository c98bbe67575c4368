//! Programs in other languages as nodes: what they may do, what happens to what they do wrong, and that the machine has no
//! say in the verdict. Each test that needs a language is left out, and says so, where it is not installed.

#[cfg(target_os = "linux")]
mod processes;

use schism::check::{Certificate, CheckName};
use schism::run::{Lack, Options, Run, RunError, Verdict, run};
use schism::scenario::Scenario;
use schism::systems::System;
use schism::systems::nodes::{Pace, Program, Service, starts};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Three nodes in two data centres, for a few seconds, with a place for faults.
const BRIEF: &str = r#"
version = 1
name = "brief"
title = "Three nodes for a few seconds"

[[sites]]
name = "east"
nodes = 2
clients = 2

[[sites]]
name = "west"
nodes = 1
clients = 1

[timing]
tick_ms = 5
duration_ms = 4000
heartbeat_ms = 100
election_min_ms = 300
election_max_ms = 600
attempt_timeout_ms = 300
operation_timeout_ms = 900

[latency]
local_ms = 5
wan_ms = 10

[workload]
operations = 120
start_ms = 1000
keys = 2
"#;

const CUT: &str = r#"
[[faults]]
at_ms = 2000
for_ms = 1500
fault = "partition"
groups = [["east"], ["west"]]
"#;

const ONE_NODE: &str = r#"
version = 1
name = "one-node"
title = "One node, which goes down"

[[sites]]
name = "here"
nodes = 1
clients = 3

[timing]
duration_ms = 3000
heartbeat_ms = 40
election_min_ms = 100
election_max_ms = 200

[workload]
operations = 90
start_ms = 300
keys = 6
delete = 0
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::parse("a test", text).unwrap_or_else(|error| panic!("{}", error.plain()))
}

fn made(text: &str, command: &str, service: Service, seed: u64) -> Result<Run, RunError> {
    let program = Program::new(command, service).expect("a command");
    run(&scenario(text), System::Nodes(program), seed, &Options::default())
}

/// Whether a language is there; if not, says that the test proves nothing.
pub fn has(language: &str) -> bool {
    let found = Program::new(&format!("{language} --version"), Service::Echo).map(starts);
    let is_there = matches!(found, Ok(Ok(())));
    if !is_there {
        eprintln!("left out: there is no {language} here");
    }
    is_there
}

fn example(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/nodes").join(file).display().to_string()
}

/// A folder with a program in Python, which finds the library beside it, and its command line.
fn python(code: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(example("python/node.py"), folder.path().join("node.py")).expect("the library is there");
    let file = folder.path().join("program.py");
    let header = "import itertools, os, sys, time\nfrom node import Error, Node\nnode = Node()\n";
    std::fs::write(&file, format!("{header}{code}\n")).expect("a file");
    (folder, format!("python3 '{}'", file.display()))
}

fn checks(run: &Run) -> Vec<CheckName> {
    run.outcome.violations.iter().map(|violation| violation.check).collect()
}

#[test]
fn raft_in_python_passes_what_two_primaries_do_not() {
    if !has("python3") {
        return;
    }
    let text = format!("{BRIEF}{CUT}");
    let of = |file: &str| made(&text, &format!("python3 '{}'", example(file)), Service::LinKv, 3).expect("it runs");
    let raft = of("python/raft.py");
    assert_eq!(raft.outcome.verdict, Verdict::Pass, "{:?} {:?}", raft.outcome.violations, raft.outcome.inconclusive);
    let words: Vec<_> = raft.trace.events.iter().filter_map(|event| raft.trace.labels.of(event)).collect();
    assert!(words.contains(&"request_vote") && words.contains(&"leader"), "its own words are kept");
    let naive = of("python/dual_primary.py");
    let found = checks(&naive);
    assert!(found.contains(&CheckName::SplitBrain) && found.contains(&CheckName::LostWrite), "{found:?}");
    assert!(naive.doubts.is_empty(), "{:?}", naive.doubts);
}

#[test]
fn raft_in_javascript_passes_too() {
    if !has("node") {
        return;
    }
    let command = format!("node '{}'", example("javascript/register.mjs"));
    let run = made(ONE_NODE, &command, Service::LinKv, 3).expect("it runs");
    assert_eq!(run.outcome.verdict, Verdict::Pass, "{:?} {:?}", run.outcome.violations, run.outcome.inconclusive);
}

/// `SCHISM_NODES_LANGUAGES=1` compiles the examples in Go and Java, where these are.
#[test]
fn an_echo_in_go_and_in_java_passes() {
    if std::env::var_os("SCHISM_NODES_LANGUAGES").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let out = |name: &str| folder.path().join(name).display().to_string();
    let compile =
        |words: &[&str]| assert!(Command::new(words[0]).args(&words[1..]).status().expect("it is there").success());
    let mut commands = Vec::new();
    if has("go") {
        compile(&["go", "build", "-o", &out("echo"), &example("go/echo.go"), &example("go/node.go")]);
        commands.push(format!("'{}'", out("echo")));
    }
    if has("javac") {
        compile(&["javac", "-d", &out("java"), &example("java/Echo.java"), &example("java/Node.java")]);
        commands.push(format!("java -cp '{}' Echo", out("java")));
    }
    for command in commands {
        let run = made(BRIEF, &command, Service::Echo, 1).expect("it runs");
        assert_eq!(run.outcome.verdict, Verdict::Pass, "{command}: {:?}", run.outcome.inconclusive);
    }
}

/// A store on one node, which saves what it is told, and syncs or not.
fn store(sync: &str) -> (TempDir, String) {
    python(&format!(
        r#"
@node.on_init
def start():
    node.role("primary")

@node.on("write")
def write(message):
    body = message["body"]
    node.disk[str(body["key"])] = body["value"]
    node.save(str(body["key"]), body["value"])
    {sync}
    node.reply(message, type="write_ok")

@node.on("cas")
def cas(message):
    body = message["body"]
    found = node.disk.get(str(body["key"]))
    if found != body["from"]:
        raise Error(Error.PRECONDITION_FAILED, found=found)
    body["value"] = body["to"]
    node.save(str(body["key"]), body["value"])
    node.disk[str(body["key"])] = body["value"]
    {sync}
    node.reply(message, type="cas_ok")

@node.on("read")
def read(message):
    node.reply(message, type="read_ok", value=node.disk.get(str(message["body"]["key"])))

node.run()"#
    ))
}

#[test]
fn what_is_saved_survives_a_kill_and_what_is_synced_a_loss_of_power() {
    if !has("python3") {
        return;
    }
    let fault = |name: &str| {
        format!("{ONE_NODE}\n[[faults]]\nat_ms = 1500\nfor_ms = 500\nfault = \"{name}\"\ntarget = \"n1\"\n")
    };
    let verdict = |sync: &str, name: &str| {
        let (_folder, command) = store(sync);
        let run = made(&fault(name), &command, Service::LinKv, 1).expect("it runs");
        assert!(
            run.outcome.violations.is_empty() || checks(&run).contains(&CheckName::LostWrite),
            "{:?}",
            checks(&run)
        );
        (run.outcome.verdict, run.outcome.inconclusive.join("; "))
    };
    assert_eq!(verdict("node.sync()", "power_loss"), (Verdict::Pass, String::new()));
    assert_eq!(verdict("pass", "kill"), (Verdict::Pass, String::new()));
    assert_eq!(verdict("pass", "power_loss").0, Verdict::Violation);
}

#[test]
fn what_a_program_does_wrong_is_named_with_its_line() {
    if !has("python3") {
        return;
    }
    let cases = [
        ("node.on('read')(lambda message: 1 / 0)\nnode.run()", "exit status 1"),
        ("node.on('read')(lambda message: 1 / 0)\nnode.run()", "ZeroDivisionError"),
        ("node.on('read')(lambda message: print('hello'))\nnode.run()", "is not JSON"),
        ("node.on('read')(lambda message: print('hello'))\nnode.run()", "`hello`"),
        (
            "node.on('read')(lambda message: node.send('n9', type='x'))\nnode.run()",
            "`n9`, which is neither a node nor a client",
        ),
        (
            "node.on('read')(lambda message: node.reply(message, type='read_ok', value='a'))\nnode.run()",
            "no whole number",
        ),
        ("node.on('read')(lambda message: [node.log('x') for _ in range(20000)])\nnode.run()", "more than 10000 lines"),
        ("node.on('read')(lambda message: node.log('x' * 5000000))\nnode.run()", "more than 4 MiB"),
        (
            "node.on('a')(lambda message: node.send(node.id, type='a'))\nnode.on('read')(node._handlers['a'])\nnode.run()",
            "to itself without end",
        ),
        ("print('{\"dset\": 1}', flush=True)\nnode.run()", "unknown field `dset`"),
    ];
    // Each second of it is another start of the program.
    let short = ONE_NODE.replace("duration_ms = 3000", "duration_ms = 900");
    let mut seen = std::collections::BTreeMap::new();
    for (code, expected) in cases {
        let sentence = seen.entry(code).or_insert_with(|| {
            let (_folder, command) = python(code);
            let run = made(&short, &command, Service::LinKv, 1).expect("it runs");
            let panic = run.outcome.violations.iter().find(|found| found.check == CheckName::Panic);
            panic.map(|found| found.certificate.sentence.clone()).unwrap_or_default()
        });
        assert!(sentence.contains(expected), "{code}: {sentence}");
    }
}

#[test]
fn a_node_that_answers_otherwise_is_told_so_with_the_first_difference() {
    if !has("python3") {
        return;
    }
    let (_folder, command) = python(
        "node.on('echo')(lambda message: node.reply(message, type='echo_ok', echo=message['body']['echo'], at=time.time_ns()))\nnode.run()",
    );
    let run = made(ONE_NODE, &command, Service::Echo, 1).expect("it runs");
    let doubt = run.doubts.iter().find(|doubt| doubt.lack == Lack::Repetition).expect("it is told so");
    assert!(doubt.why.contains("n1 answers the same events differently: event 2"), "{}", doubt.why);
    assert_eq!(run.outcome.verdict, Verdict::Inconclusive);
}

#[test]
fn services_that_are_no_store_are_judged_by_models_of_their_own() {
    if !has("python3") {
        return;
    }
    let gossip = "
seen = {}
def tell(body):
    pass
@node.on_init
def start():
    node.after(100, 'gossip', gossip)
def gossip():
    node.broadcast(type='gossip', seen=seen)
    node.after(100, 'gossip', gossip)
@node.on('gossip')
def merge(message):
    for key, value in message['body']['seen'].items():
        seen[key] = max(seen.get(key, 0), value)
";
    let broadcast = "
@node.on('broadcast')
def put(message):
    seen[str(message['body']['message'])] = message['body']['message']
    node.reply(message, type='broadcast_ok')
@node.on('read')
def read(message):
    node.reply(message, type='read_ok', messages=list(seen.values()))
node.run()";
    let counter = "
@node.on('add')
def add(message):
    mine = seen.get(node.id, 0) + message['body']['delta']
    seen[node.id] = mine
    node.reply(message, type='add_ok')
@node.on('read')
def read(message):
    node.reply(message, type='read_ok', value=sum(seen.values()))
node.run()";
    let silent = gossip.replace("node.broadcast(type='gossip', seen=seen)", "pass");
    let ids = |id: &str| {
        format!(
            "count = itertools.count()\nnode.on('generate')(lambda message: node.reply(message, type='generate_ok', id={id}))\nnode.run()"
        )
    };
    let echo = |answer: &str| {
        format!("node.on('echo')(lambda message: node.reply(message, type='echo_ok', echo={answer}))\nnode.run()")
    };
    let cases = [
        (Service::Echo, echo("message['body']['echo']"), true),
        (Service::Echo, echo("'Please echo 7'"), false),
        (Service::UniqueIds, ids("f'{node.id}-{next(count)}'"), true),
        (Service::UniqueIds, ids("next(count)"), false),
        (Service::Broadcast, format!("{gossip}{broadcast}"), true),
        (Service::Broadcast, format!("{silent}{broadcast}"), false),
        (Service::GCounter, format!("{gossip}{counter}"), true),
        (Service::GCounter, format!("{silent}{counter}"), false),
    ];
    for (service, code, is_right) in cases {
        let (_folder, command) = python(&code);
        let run = made(BRIEF, &command, service, 2).expect("it runs");
        assert!(run.doubts.is_empty(), "{service:?}: {:?}", run.doubts);
        let found = checks(&run);
        assert_eq!(found.is_empty(), is_right, "{service:?}: {:?}\n{code}", run.outcome.violations);
        assert!(is_right || found.contains(&CheckName::Service), "{found:?}");
    }
}

/// A replica that answers reads from its own state lags behind, which is a fault or not: it depends on what was promised.
#[test]
fn transactions_are_held_to_what_the_scenario_promises() {
    if !has("python3") {
        return;
    }
    let found = |file: &str, promised: &str| {
        let command = format!("python3 '{}'", example(file));
        let text = format!("{BRIEF}{promised}{CUT}");
        let run = made(&text, &command, Service::TxnListAppend, 3).expect("it runs");
        assert!(run.doubts.is_empty(), "{file}: {:?}", run.doubts);
        run.outcome.violations
    };
    assert_eq!(found("python/transactions.py", ""), []);
    assert_eq!(found("python/transactions_local_reads.py", "consistency = \"serializable\"\n"), []);
    let stale = found("python/transactions_local_reads.py", "");
    assert_eq!(stale.iter().map(|violation| violation.check).collect::<Vec<_>>(), [CheckName::Transactions]);
    let Certificate { sentence, operations, .. } = &stale[0].certificate;
    assert!(sentence.contains("G-single-realtime") && sentence.contains(" without "), "{sentence}");
    assert!(operations.len() >= 2, "{operations:?}");
}

/// A clock that drifts rounds what is left of a timer, and that once came to a wait of no time, for ever.
#[test]
fn timers_go_off_whatever_the_clock_does() {
    if !has("python3") {
        return;
    }
    let (_folder, command) = python(
        "def tick():\n    node.after(7, 'tick', tick)\nnode.on_init(tick)\n\
         node.on('echo')(lambda message: node.reply(message, type='echo_ok', echo=message['body']['echo']))\nnode.run()",
    );
    let drift = "\n[[faults]]\nat_ms = 500\nfor_ms = 2000\nfault = \"clock\"\ntarget = \"n1\"\ndrift_ppm = 33_333\n";
    let run = made(&format!("{ONE_NODE}{drift}"), &command, Service::Echo, 1).expect("it runs");
    assert_eq!(run.outcome.verdict, Verdict::Pass, "{:?}", run.outcome.inconclusive);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = made(ONE_NODE, "no-such-program raft.py", Service::LinKv, 1).expect_err("there is none");
    assert!(error.to_string().contains("there is no program `no-such-program` on this machine"), "{error}");
}

/// An echo as it is written for Maelstrom: a thread of its own says something whenever it wants.
const OF_MAELSTROM: &str = r#"
import json, sys, threading, time

lock, own = threading.Lock(), {}

def say(dest, body):
    with lock:
        print(json.dumps({"src": own["id"], "dest": dest, "body": body}), flush=True)

def ticks():
    while True:
        time.sleep(0.05)
        for other in own["others"]:
            say(other, {"type": "heartbeat"})

for line in sys.stdin:
    message = json.loads(line)
    body, src = message["body"], message["src"]
    if body["type"] == "init":
        own["id"], own["others"] = body["node_id"], [name for name in body["node_ids"] if name != body["node_id"]]
        say(src, {"type": "init_ok", "in_reply_to": body["msg_id"]})
        threading.Thread(target=ticks, daemon=True).start()
    elif body["type"] == "echo":
        say(src, {"type": "echo_ok", "in_reply_to": body["msg_id"], "echo": ECHO})
"#;

/// Takes as long as it simulates. Nothing here goes by how much was served in time.
#[test]
fn a_node_of_maelstrom_runs_in_real_time_and_is_judged_as_others_are() {
    if !has("python3") {
        return;
    }
    let text = BRIEF.replace("duration_ms = 4000", "duration_ms = 2000").replace("operations = 120", "operations = 40");
    let of = |echo: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("node.py");
        std::fs::write(&file, OF_MAELSTROM.replace("ECHO", echo)).expect("a file");
        let command = format!("python3 '{}'", file.display());
        let program = Program::paced(&command, Service::Echo, Pace::RealTime).expect("a command");
        assert!(!System::Nodes(program).repeats());
        run(&scenario(&text), System::Nodes(program), 1, &Options::default()).expect("it runs")
    };
    let right = of("body[\"echo\"]");
    assert!(!checks(&right).contains(&CheckName::Service), "{:?}", right.outcome.violations);
    let words: Vec<_> = right.trace.events.iter().filter_map(|event| right.trace.labels.of(event)).collect();
    assert!(words.contains(&"heartbeat") && words.contains(&"echo_ok"), "what it says is carried");
    assert!(checks(&of("\"hello\"")).contains(&CheckName::Service));
}

/// What a browser asks the playground for goes through `parse`, as does every name in a file of its own.
#[test]
fn only_who_may_start_programs_can_name_one() {
    let name = "nodes:python3 raft.py";
    assert!(name.parse::<System>().is_err());
    assert_eq!(System::named(name).map(System::name), Ok(name));
    assert_eq!(System::named("raft"), Ok(System::Raft));
    assert!(System::named("nodes/lists:x").unwrap_err().contains("the services are lin-kv"));
}
