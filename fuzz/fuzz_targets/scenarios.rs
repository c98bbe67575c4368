//! Arbitrary text as a scenario file: it is read or refused. A scenario that was read can be planned, and written back
//! to a file that reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use schism::scenario::{Scenario, materialise};

fuzz_target!(|text: &str| {
    let Ok(scenario) = Scenario::parse("fuzz.toml", text) else { return };
    let again = Scenario::parse("again.toml", &scenario.to_toml()).expect("what we write, we read");
    assert_eq!(again, scenario);
    materialise(&scenario, 7);
});
