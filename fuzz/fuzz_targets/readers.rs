//! Arbitrary bytes: readers answer, and what they accept can be checked and written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use schism::check::linearizability::{Budget, Options, check_columns};
use schism::history::formats::{Format, read, write_jepsen, write_json, write_porcupine};

fuzz_target!(|bytes: &[u8]| {
    for format in [None, Some(Format::Json), Some(Format::Edn), Some(Format::EtcdLog)] {
        let Ok(columns) = read(bytes, format) else { continue };
        let budget = Budget { steps: 10_000, ..Budget::default() };
        check_columns(&columns, Options { budget, ..Options::default() });
        read(write_json(&columns).as_bytes(), Some(Format::Json)).expect("what we write, we read");
        write_jepsen(&columns);
        write_porcupine(&columns);
    }
});
