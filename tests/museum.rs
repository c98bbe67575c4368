//! The museum: what a label must say, and the exhibits on the releases of this crate, where they are green.

use schism::museum::{Cure, Exhibit, exhibits};
use schism::run::{Options, run};
use schism::scenario::Scenario;
use schism::systems::System;

/// The checks that fail when an exhibit is replayed as this system.
fn failed(exhibit: &Exhibit, system: &str) -> Vec<String> {
    let system = system.parse().unwrap();
    run(&exhibit.scenario, system, exhibit.recorded().seed, &Options::default()).unwrap().outcome.failed_checks()
}

/// Those of openraft 0.10 need a feature: `systems/raft_0_10/tests.rs` replays them.
#[test]
fn exhibits_are_green_here_unless_the_newest_release_has_the_bug() {
    let is_built = |exhibit: &Exhibit| exhibit.recorded().system.parse::<System>().is_ok_and(System::is_built);
    for exhibit in exhibits().into_iter().filter(is_built) {
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

/// An exhibit as a file has it, about a run of the dual primary that loses a write.
fn text() -> String {
    let label = r#"
[exhibit]
engine = "openraft"
bad = "0.9.24"
cure = { release = "0.9.25" }
reports = [{ name = "openraft #1", address = "https://github.com/databendlabs/openraft/issues/1" }]
found = { scenario = "zoo", seeds = 20, red = [3, 7] }
certificate = "n1 took index 2 for committed."
steps = [{ what = "The leader counts a voter twice.", at = "src/progress/mod.rs:309" }, { what = "It crashes." }]
"#;
    format!("{}{label}", include_str!("../sims/regressions/two-sites-cut-dual-primary-1.toml"))
}

#[test]
fn an_exhibit_is_a_recorded_run_with_a_label() {
    let exhibit = Exhibit::parse("e.toml", &text()).unwrap();
    assert_eq!(exhibit.label.cure, Cure::Release("0.9.25".into()));
    assert_eq!(exhibit.label.found.red, [3, 7]);
    // The label is no part of the run.
    assert_eq!(Scenario::parse("e.toml", &text()).unwrap(), exhibit.scenario);
}

#[test]
fn a_label_that_makes_no_sense_is_refused_with_line_and_cure() {
    let refused = |from: &str, to: &str, problem: &str, help: &str| {
        let changed = text().replacen(from, to, 1);
        assert_ne!(changed, text(), "`{from}` is there");
        let error = Exhibit::parse("e.toml", &changed).unwrap_err();
        assert!(error.problem.contains(problem), "{error:?}");
        assert!(error.help.as_ref().unwrap().contains(help), "{error:?}");
        assert!(error.line > 1, "{error:?}");
    };
    refused("\"0.9.24\"", "\"0.9\"", "`0.9` is no release", "0.9.24");
    refused("https://", "http://", "where upstream knows it", "https://");
    refused("mod.rs:309", "mod.rs", "no place in a source", "file and line");
    refused(", at = \"src/progress/mod.rs:309\"", "", "no step names the source", "at fault");
    refused("[3, 7]", "[3, 20]", "was not run", "below `seeds`");
    refused("{ release = \"0.9.25\" }", "{ system = \"dual-primary\" }", "cures nothing", "other than the recorded");
    refused("bad =", "worse =", "unknown field `worse`", "bad");
}

#[test]
fn a_file_without_label_or_run_is_refused() {
    let whole = text();
    let unlabelled = whole.split("\n[exhibit]").next().unwrap();
    assert!(Exhibit::parse("e.toml", unlabelled).unwrap_err().problem.contains("`exhibit` is missing"));
    let unrecorded =
        format!("{}\n[exhibit]{}", include_str!("../sims/zoo.toml"), whole.split("[exhibit]").nth(1).unwrap());
    assert!(Exhibit::parse("e.toml", &unrecorded).unwrap_err().problem.contains("recorded run"));
}

#[test]
fn each_exhibit_has_the_name_of_its_file_and_says_what_it_does() {
    let on_disk = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sims/museum")).unwrap().count();
    assert_eq!(exhibits().len(), on_disk, "each file of sims/museum is in the list");
    for exhibit in exhibits() {
        let name = exhibit.name();
        assert!(exhibit.scenario.story.split_whitespace().count() > 30, "{name} has a story");
        assert!(exhibit.scenario.title.len() < 80, "{name} has a title of one line");
        assert!(exhibit.recorded().system.parse::<System>().is_ok(), "{name} is of a system that there is");
        assert!(!exhibit.label.certificate.is_empty(), "{name} has a certificate");
    }
}

/// The scenarios under which exhibits were hunted: by their names, and as anybody may run them.
#[test]
fn scenarios_of_their_own_are_sound() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/museum/scenarios");
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let scenario = schism::scenario::load(file.to_str().unwrap()).unwrap();
        assert_eq!(Some(scenario.name.as_str()), file.file_stem().and_then(|name| name.to_str()));
        assert!(exhibits().iter().any(|exhibit| exhibit.name() == scenario.name), "{file:?} is of an exhibit");
        assert!(scenario.explicit.is_none(), "{file:?} is hunted in, so it records no run");
    }
}
