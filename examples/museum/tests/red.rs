//! The lock file here has the last openraft with some of the bugs: their exhibits are red.

use schism::museum::{Exhibit, exhibits};
use schism::run::{Options, run};

/// The release of a crate in this crate's lock file.
fn locked(engine: &str) -> &'static str {
    let package = format!("name = \"{engine}\"\nversion = \"");
    let (_, rest) = include_str!("../Cargo.lock").split_once(&package).expect("the lock file has the crate");
    rest.split('"').next().expect("a version ends")
}

#[test]
fn an_exhibit_is_red_on_the_last_release_that_has_its_bug() {
    let here = |exhibit: &Exhibit| exhibit.label.engine == "openraft" && exhibit.label.bad == locked("openraft");
    let red: Vec<Exhibit> = exhibits().into_iter().filter(here).collect();
    assert!(red.len() >= 2, "the lock file has a release that exhibits are about");
    for exhibit in red {
        let recorded = exhibit.recorded();
        let system = recorded.system.parse().expect("an exhibit is of a system");
        let outcome = run(&exhibit.scenario, system, recorded.seed, &Options::default()).expect("it runs").outcome;
        assert_eq!(outcome.failed_checks(), recorded.verdict.checks, "{}", exhibit.name());
        let said =
            outcome.violations.iter().any(|found| found.certificate.sentence == exhibit.label.certificate.trim());
        assert!(said, "{}: its certificate is this run's", exhibit.name());
    }
}
