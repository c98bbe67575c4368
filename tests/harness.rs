//! `#[schism::test]` on small services: sound ones pass, and planted defects are found and reported. The tests that
//! must fail are ignored, and run from here as their own processes.

mod programs;
mod strangers;

use schism::harness::{Answer, Call, KeyValue, Service};
use schism::host::Host;
use schism::host::stream::Stream;
use schism::kv::{Command, Op, Response, Store};
use schism::trace::What;
use std::collections::HashMap;
use std::process::{Command as Process, Output};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What is wrong with a server.
#[derive(Clone, Copy, PartialEq)]
enum Defect {
    Nothing,
    /// What it keeps dies with its process.
    Forgets,
    /// It panics on one of the values.
    Panics,
    /// The order of a hash map reaches the trace.
    Shuffles,
    /// It starts tasks of its own on the runtime, in the process of other runs.
    SpawnsOnTheRuntime,
}

/// One server, on n1; n2 only sends clients there.
struct Single {
    defect: Defect,
    disk: Arc<Mutex<Store>>,
}

fn single(defect: Defect) -> Single {
    Single { defect, disk: Arc::default() }
}

async fn read(stream: &mut Stream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> Option<()> {
    stream.write_u32(bytes.len() as u32).await.ok()?;
    stream.write_all(bytes).await.ok()
}

impl Service for Single {
    type Object = KeyValue;

    fn object(&self) -> KeyValue {
        KeyValue
    }

    async fn node(self: Arc<Self>, host: Host) {
        let store = match self.defect {
            Defect::Forgets => Arc::default(),
            _ => self.disk.clone(),
        };
        if self.defect == Defect::SpawnsOnTheRuntime {
            for writes in 0..40 {
                let ends = Ends(host.clone(), writes);
                tokio::spawn(async move {
                    std::future::pending::<()>().await;
                    drop(ends);
                });
            }
        }
        if self.defect == Defect::Shuffles {
            let order: HashMap<u32, u32> = (0..20).map(|number| (number, number)).collect();
            order.values().for_each(|number| host.record(What::Sync { writes: *number }));
        }
        let listener = host.listen(7).unwrap();
        loop {
            let mut stream = listener.accept().await;
            let (this, host, store) = (self.clone(), host.clone(), store.clone());
            host.clone().spawn(async move {
                while let Some(request) = read(&mut stream).await {
                    let command: Command = postcard::from_bytes(&request).unwrap();
                    assert!(this.defect != Defect::Panics || command.op.written() != Some(60), "sixty is too much");
                    let answer = if host.name() == "n1" { Some(store.lock().unwrap().apply(&command)) } else { None };
                    write(&mut stream, &postcard::to_stdvec(&answer).unwrap()).await;
                }
            });
        }
    }

    async fn call(&self, client: &Host, call: Call<'_, Op>) -> Answer<Response> {
        let mut stream = match client.connect(call.node, 7).await {
            Ok(stream) => stream,
            Err(error) => return error.into(),
        };
        let command = postcard::to_stdvec(&Command { tag: call.tag, op: *call.op }).unwrap();
        write(&mut stream, &command).await;
        let Some(answer) = read(&mut stream).await else { return Answer::Unknown };
        match postcard::from_bytes::<Option<schism::kv::Applied>>(&answer).unwrap() {
            None => Answer::Refused { instead: Some("n1".into()) },
            Some(schism::kv::Applied::Fresh(outcome) | schism::kv::Applied::Repeated(outcome)) => Answer::Ok(outcome),
            Some(schism::kv::Applied::Stale) => Answer::Unknown,
        }
    }

    /// The store knows a command by its tag.
    fn is_idempotent(&self, _op: &Op) -> bool {
        true
    }
}

/// Records its end; the order of several ends is what a kill makes of it.
struct Ends(Host, u32);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.record(What::Sync { writes: self.1 });
    }
}

#[schism::test(scenario = "tests/harness/kill-and-cut.toml", seeds = 4)]
fn a_server_that_remembers_passes() -> Single {
    single(Defect::Nothing)
}

#[schism::test(scenario = "tests/harness/kill-and-cut.toml", seeds = 4, isolation = "thread")]
fn it_passes_in_one_process_too() -> Single {
    single(Defect::Nothing)
}

#[schism::test(scenario = "tests/harness/kill-and-cut.toml", seeds = 2)]
fn tasks_of_the_runtime_replay_in_processes_of_their_own() -> Single {
    single(Defect::SpawnsOnTheRuntime)
}

#[schism::test(scenario = "tests/harness/kill-and-cut.toml", seeds = 4)]
#[ignore = "fails, and is run by the tests below"]
fn forgetful() -> Single {
    single(Defect::Forgets)
}

#[schism::test(scenario = "tests/harness/kill-and-cut.toml", seeds = 4)]
#[ignore = "fails, and is run by the tests below"]
fn panicking() -> Single {
    single(Defect::Panics)
}

#[schism::test(scenario = "tests/harness/kill-and-cut.toml", seeds = 4, isolation = "thread")]
#[ignore = "fails, and is run by the tests below"]
fn panicking_on_a_thread() -> Single {
    single(Defect::Panics)
}

#[schism::test(scenario = "tests/harness/kill-and-cut.toml", seeds = 4)]
#[ignore = "fails, and is run by the tests below"]
fn shuffling() -> Single {
    single(Defect::Shuffles)
}

#[schism::test(scenario = "tests/harness/kill-and-cut.toml", seeds = 4, isolation = "thread")]
#[ignore = "fails, and is run by the tests below"]
fn spawning_on_a_thread() -> Single {
    single(Defect::SpawnsOnTheRuntime)
}

#[schism::test(scenario = "tests/harness/between-nodes.toml", seeds = 4)]
#[ignore = "fails, and is run by the tests below"]
fn powerless() -> Single {
    single(Defect::Nothing)
}

#[schism::test(scenario = "tests/harness/no-such-file.toml", seeds = 4)]
#[ignore = "fails, and is run by the tests below"]
fn without_a_scenario() -> Single {
    single(Defect::Nothing)
}

#[schism::test(scenario = "tests/harness/typo.toml", seeds = 4)]
#[ignore = "fails, and is run by the tests below"]
fn with_a_typo() -> Single {
    single(Defect::Nothing)
}

#[schism::test(scenario = "tests/harness/leader.toml", seeds = 60)]
#[ignore = "fails, and is run by the tests below"]
fn silent_about_its_leader() -> Single {
    single(Defect::Nothing)
}

/// Runs one of the ignored tests as `cargo test` would.
fn run(name: &str, variables: &[(&str, &str)]) -> Output {
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(["--include-ignored", "--exact", &format!("harness::{name}")]);
    for variable in ["SEED", "SEEDS", "REPLAY", "SAVE", "HTML", "SHRINK", "JOBS"] {
        process.env_remove(format!("SCHISM_{variable}"));
    }
    process.env_remove("NEXTEST").env_remove("RUST_LOG");
    process.envs(variables.iter().copied()).output().unwrap()
}

/// What a failing test says: what libtest captured of it.
fn said(name: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let output = run(name, variables);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success(), "{name} passes: {text}");
    let (_, rest) = text.split_once("stdout ----\n").unwrap_or_else(|| panic!("{name} says nothing: {text}"));
    let said: Vec<String> = rest.lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect();
    assert!(said.len() <= 18, "{} lines: {said:#?}", said.len());
    said
}

/// The words after `label` in the command of that line.
fn variable(said: &[String], label: &str) -> (String, String) {
    let line = said.iter().find_map(|line| line.strip_prefix(label)).unwrap_or_else(|| panic!("{said:#?}"));
    assert!(line.contains("cargo test -p schism --test schism -- --include-ignored --exact harness::"), "{line}");
    let (name, value) = line.trim().split(' ').next().unwrap().split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_defect_is_found_shrunk_and_replayed() {
    let said_first = said("forgetful", &[]);
    assert!(said_first[0].starts_with("harness::forgetful fails under seed 0 (1 of 4 tried): linearizability"));
    assert!(said_first.iter().any(|line| line.starts_with("it takes 1 of 3 faults")), "{said_first:#?}");
    assert!(said_first.iter().any(|line| line.contains("n1") && line.contains("without it")), "{said_first:#?}");
    for label in ["again:", "smaller:"] {
        let (name, value) = variable(&said_first, label);
        let again = said("forgetful", &[(&name, &value), ("SCHISM_SHRINK", "0")]);
        assert!(again[0].contains("linearizability"), "{again:#?}");
        // The same file, under a server that has no such defect, passes.
        let fixed = run("a_server_that_remembers_passes", &[(&name, &value)]);
        assert!(fixed.status.success(), "{fixed:?}");
    }
}

#[test]
fn a_failing_run_is_shown_as_a_page_if_asked() {
    let said = said("forgetful", &[("SCHISM_HTML", "1"), ("SCHISM_SHRINK", "0")]);
    let page = said.iter().find_map(|line| line.strip_prefix("page:    ")).unwrap_or_else(|| panic!("{said:#?}"));
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("data-verdict=\"violation\"") && html.contains("SCHISM_SEED=0 cargo test"));
    std::fs::remove_file(page).unwrap();
}

#[test]
fn a_panic_is_a_failure_that_shrinks() {
    for name in ["panicking", "panicking_on_a_thread"] {
        let said = said(name, &[]);
        assert!(said[0].contains("panic"), "{said:#?}");
        assert!(said.iter().any(|line| line.starts_with("it takes 0 of 3 faults, 1 of 100 operations")), "{said:#?}");
        assert!(said.iter().any(|line| line.contains("sixty is too much")), "{said:#?}");
    }
}

#[test]
fn a_run_that_does_not_repeat_itself_is_no_run() {
    for name in ["shuffling", "spawning_on_a_thread"] {
        let said = said(name, &[]);
        assert!(said[0].contains("gave two different runs"), "{said:#?}");
        // The first event that differs, as it was and as it is.
        let all = said.join(" ");
        assert!(all.contains("s n1 syncs") && all.contains("` and is `"), "{all}");
    }
}

#[test]
fn a_fault_that_cannot_act_is_not_passed_over() {
    let said = said("powerless", &[]);
    assert!(said[0].contains("inconclusive: nothing failed, but 4 of 4 seeds prove nothing"), "{said:#?}");
    assert!(said[1].contains("nothing was sent between nodes"), "{said:#?}");
}

#[test]
fn a_service_that_never_says_who_leads_is_told_so_after_its_first_seed() {
    // Of 60 seeds, 59 are not run: with two minutes' time each they would show.
    let said = said("silent_about_its_leader", &[]).join(" ");
    assert!(said.contains("has a fault on a role (isolate), and no node ever said that it leads"), "{said}");
    assert!(said.contains("Host::record_role(Role::Primary"), "{said}");
}

#[test]
fn a_mistake_is_told_with_its_cure() {
    let no_scenario = said("without_a_scenario", &[]);
    assert!(no_scenario.join(" ").contains("no-such-file.toml"), "{no_scenario:#?}");
    let typo = said("with_a_typo", &[]);
    assert!(typo[1].contains("typo.toml:6:12: unknown field `duraton_ms`"), "{typo:#?}");
    assert!(typo[2].starts_with("6 | timing") && typo[3].ends_with("           ^^^^^^^^^^"), "{typo:#?}");
    assert!(typo[4].starts_with("help: did you mean `duration_ms`?"), "{typo:#?}");
    let budget = said("forgetful", &[("SCHISM_SHRINK", "lots")]);
    assert!(budget.join(" ").contains("SCHISM_SHRINK is `lots`: give a budget in simulated seconds"), "{budget:#?}");
    let no_number = said("forgetful", &[("SCHISM_SEEDS", "many")]);
    assert!(no_number.join(" ").contains("`many` is not a range of seeds"), "{no_number:#?}");
}
