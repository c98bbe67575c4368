//! Our checker beside others from crates.io, on the same histories: `cargo run --release` in this folder.
//!
//! Each measurement runs in a process of its own, with a limit of ten seconds. Histories have unique values, reads and
//! writes only, which all of the checkers can handle. The others have no notion of keys, so they get several keys one
//! by one.

#![allow(dead_code, unused_imports)]

/// The checker alone, without the simulator that the crate around it needs.
#[path = "../../../src/check"]
pub mod check {
    pub mod linearizability;
}
#[path = "../../../src/history/mod.rs"]
pub mod history;
#[path = "../../../src/kv/mod.rs"]
pub mod kv;
#[path = "../../../src/rng/mod.rs"]
pub mod rng;
/// The part of the trace that the shared vocabulary needs.
pub mod trace {
    /// A host's number.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
    pub struct HostId(pub u16);
}

use check::linearizability::generate::{Mix, Shape, generate};
use check::linearizability::{Options, check_columns};
use history::Columns;
use history::columns::{Call, Ending, Row};
use stateright::semantics::register::{Register, RegisterOp, RegisterRet};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History};
use todc_utils::specifications::register::{RegisterOperation, RegisterSpecification};

const LIMIT: Duration = Duration::from_secs(10);

/// Operations, clients, keys, and whether a read is stale.
const SHAPES: [(usize, usize, usize, bool); 9] = [
    (100, 5, 1, false),
    (100, 5, 1, true),
    (1_000, 5, 1, false),
    (1_000, 10, 1, false),
    (1_000, 10, 1, true),
    (1_000, 50, 1, false),
    (10_000, 10, 1, false),
    (100_000, 10, 10, false),
    (1_000_000, 50, 100, false),
];

const CHECKERS: [&str; 3] = ["schism", "stateright", "todc-utils"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [checker, shape] = &arguments[..] {
        return measure(checker, SHAPES[shape.parse::<usize>().expect("a row of the table")]);
    }
    println!("| operations / clients / keys | {} |", CHECKERS.join(" | "));
    println!("|---|{}", "---|".repeat(CHECKERS.len()));
    for (row, (operations, clients, keys, stale)) in SHAPES.into_iter().enumerate() {
        let times: Vec<Option<f64>> = CHECKERS.iter().map(|checker| child(checker, row)).collect();
        let ours = times[0];
        let cell = |time: &Option<f64>| match (time, ours) {
            (None, _) => "> 10 s".to_owned(),
            (Some(time), Some(ours)) if *time > ours => format!("{} ({:.0} x)", text(*time), time / ours),
            (Some(time), _) => text(*time),
        };
        let kind = if stale { "one stale read" } else { "valid" };
        let cells: Vec<String> = times.iter().map(cell).collect();
        println!("| {operations} / {clients} / {keys}, {kind} | {} |", cells.join(" | "));
    }
}

fn text(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1e-3 => format!("{:.0} us", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

/// Measures in a process of its own, which is stopped at the limit.
fn child(checker: &str, row: usize) -> Option<f64> {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .args([checker, &row.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program starts");
    // Generating the history is not measured, but takes time as well.
    let deadline = Instant::now() + LIMIT + Duration::from_secs(5);
    while child.try_wait().expect("the child is ours").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("the child is ours");
            child.wait().expect("the child is ours");
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("the child is ours");
    let seconds: f64 = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    (seconds < LIMIT.as_secs_f64()).then_some(seconds)
}

/// Prints how long one check takes, in seconds: the minimum of several.
fn measure(checker: &str, (operations, clients, keys, stale): (usize, usize, usize, bool)) {
    let shape = Shape { operations, clients, keys, unknown_ppm: 0, mix: Mix::ReadWrite, values: None, stale };
    let columns = generate(shape, 1);
    let mut least = f64::INFINITY;
    let begun = Instant::now();
    for _ in 0..20 {
        let (linearizable, seconds) = match checker {
            "schism" => ours(&columns),
            "stateright" => stateright(&columns),
            _ => todc(&columns),
        };
        assert_eq!(linearizable, !stale, "{checker} is wrong");
        least = least.min(seconds);
        if begun.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    println!("{least}");
}

fn ours(columns: &Columns) -> (bool, f64) {
    let started = Instant::now();
    let report = check_columns(columns, Options { orders: false, ..Options::default() });
    (report.linearizable() == Some(true), started.elapsed().as_secs_f64())
}

/// Each key's events: (time, completion, row), in order.
fn events(columns: &Columns) -> Vec<Vec<(bool, Row)>> {
    let mut keys: BTreeMap<u32, Vec<(u64, bool, Row)>> = BTreeMap::new();
    for row in columns.rows().filter(|row| row.ending == Ending::Ok) {
        let events = keys.entry(row.key).or_default();
        events.push((row.start_ns, false, row));
        events.push((row.end_ns, true, row));
    }
    let in_order = |mut events: Vec<(u64, bool, Row)>| {
        events.sort_by_key(|(at, completes, row)| (*at, *completes, row.id));
        events.into_iter().map(|(_, completes, row)| (completes, row)).collect()
    };
    keys.into_values().map(in_order).collect()
}

fn stateright(columns: &Columns) -> (bool, f64) {
    let keys = events(columns);
    let started = Instant::now();
    let check = |events: &Vec<(bool, Row)>| {
        let mut tester = LinearizabilityTester::new(Register(0u64));
        for (completes, row) in events {
            let done = match (row.call, completes) {
                (Call::Get(_), false) => tester.on_invoke(row.client, RegisterOp::Read),
                (Call::Put(value), false) => tester.on_invoke(row.client, RegisterOp::Write(value)),
                (Call::Get(value), true) => tester.on_return(row.client, RegisterRet::ReadOk(value.unwrap_or(0))),
                _ => tester.on_return(row.client, RegisterRet::WriteOk),
            };
            done.expect("a client runs one operation at a time");
        }
        tester.is_consistent()
    };
    (keys.iter().all(check), started.elapsed().as_secs_f64())
}

fn todc(columns: &Columns) -> (bool, f64) {
    let keys = events(columns);
    let started = Instant::now();
    let check = |events: &Vec<(bool, Row)>| {
        let action = |(completes, row): &(bool, Row)| {
            let operation = match (row.call, completes) {
                (Call::Get(_), false) => RegisterOperation::Read(None),
                (Call::Get(value), true) => RegisterOperation::Read(Some(value.unwrap_or(0))),
                (Call::Put(value), _) => RegisterOperation::Write(value),
                _ => unreachable!("reads and writes only"),
            };
            let action = if *completes { Action::Response(operation) } else { Action::Call(operation) };
            (row.client as usize, action)
        };
        let history = History::from_actions(events.iter().map(action).collect());
        WGLChecker::<RegisterSpecification<u64>>::is_linearizable(history)
    };
    (keys.iter().all(check), started.elapsed().as_secs_f64())
}
