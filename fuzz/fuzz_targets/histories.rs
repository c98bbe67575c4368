//! Small histories of every kind of operation: the checker against brute force, and each verdict through the verifier.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use schism::check::linearizability::{Options, check_columns, verify};
use schism::history::Columns;
use schism::history::columns::{Call, Ending, NEVER_NS, Row};

#[derive(Debug, Arbitrary)]
struct Operation {
    kind: u8,
    first: Option<u8>,
    second: u8,
    start: u8,
    length: u8,
    unknown: bool,
    /// Whether the written value is unique, which keeps zones applicable.
    unique: bool,
}

fuzz_target!(|operations: Vec<Operation>| {
    if operations.len() > 8 {
        return;
    }
    let row = |(at, operation): (usize, &Operation)| {
        let value = |byte: u8| u64::from(byte % 10);
        let seen = operation.first.map(value);
        let own = if operation.unique { at as u64 + 1 } else { value(operation.second) };
        let call = match operation.kind % 12 {
            0..4 => Call::Get(seen),
            4..6 => Call::Put(own),
            6 => Call::Delete,
            7 => Call::DeleteTold { found: operation.second % 2 == 0 },
            8..10 => Call::Cas { expected: seen, new: own },
            10 => Call::CasMismatch { expected: seen, new: own, found: Some(Some(value(operation.second))) },
            _ => Call::CasMismatch { expected: seen, new: own, found: None },
        };
        let start_ns = u64::from(operation.start % 16);
        let (end_ns, ending) = match operation.unknown {
            true => (NEVER_NS, Ending::Info),
            false => (start_ns + u64::from(operation.length % 8), Ending::Ok),
        };
        Row { id: at as u32, client: at as u32, key: 0, call, start_ns, end_ns, ending }
    };
    let columns: Columns = operations.iter().enumerate().map(row).collect();
    let report = check_columns(&columns, Options::default());
    let says_something = |row: &Row| row.ending == Ending::Ok || !matches!(row.call, Call::Get(_));
    let rows: Vec<Row> = columns.rows().filter(says_something).collect();
    let truth = verify::exhaustive::orderable(&rows, &columns.labels, u64::MAX);
    assert_eq!(report.linearizable(), truth);
    verify::confirms(&columns, &report).unwrap();
});
