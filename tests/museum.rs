//! The exhibits of the museum on the releases that this crate is built with: green where these do not have the bug.

use schism::museum::{Cure, Exhibit, exhibits};
use schism::run::{Options, run};

/// The checks that fail when an exhibit is replayed as this system.
fn failed(exhibit: &Exhibit, system: &str) -> Vec<String> {
    let system = system.parse().unwrap();
    run(&exhibit.scenario, system, exhibit.recorded().seed, &Options::default()).unwrap().outcome.failed_checks()
}

#[test]
fn exhibits_are_green_here_unless_the_newest_release_has_the_bug() {
    for exhibit in exhibits() {
        let recorded = exhibit.recorded();
        match &exhibit.label.cure {
            Cure::Release(_) => assert!(failed(&exhibit, &recorded.system).is_empty(), "{}", exhibit.name()),
            Cure::System(cure) => {
                assert_eq!(failed(&exhibit, &recorded.system), recorded.verdict.checks, "{}", exhibit.name());
                assert!(failed(&exhibit, cure).is_empty(), "{}", exhibit.name());
            }
        }
    }
}
