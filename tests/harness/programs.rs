//! Programs in other languages under `#[schism::test]`. Where there is no Python they are left out, and say so.

use super::{run, said, variable};
use crate::nodes::has;
use schism::harness::Nodes;

#[ignore = "needs Python, and is run by the tests below"]
#[schism::test(scenario = "tests/harness/two-sites.toml", seeds = 2)]
fn one_primary() -> Nodes {
    Nodes::new("python3 examples/course/solutions/primary.py")
}

#[schism::test(scenario = "tests/harness/two-sites.toml", seeds = 2, isolation = "thread")]
#[ignore = "fails, and is run by the tests below"]
fn two_primaries() -> Nodes {
    Nodes::new("python3 examples/nodes/python/dual_primary.py")
}

#[schism::test(scenario = "tests/harness/two-sites.toml", seeds = 2)]
#[ignore = "fails, and is run by the tests below"]
fn an_echo_that_is_asked_for_ids() -> Nodes {
    Nodes::new("python3 examples/nodes/python/echo.py").service("unique-ids")
}

#[schism::test(scenario = "tests/harness/two-sites.toml", seeds = 2)]
#[ignore = "fails, and is run by the tests below"]
fn not_installed() -> Nodes {
    Nodes::new("no-such-program raft.py")
}

#[schism::test(scenario = "tests/harness/two-sites.toml", seeds = 2)]
#[ignore = "fails, and is run by the tests below"]
fn misspelt_service() -> Nodes {
    Nodes::new("python3 raft.py").service("unique-id")
}

#[test]
fn a_program_that_is_right_passes_and_one_that_is_not_is_shrunk_and_replayed() {
    if !has("python3") {
        return;
    }
    let right = run("programs::one_primary", &[]);
    assert!(right.status.success(), "{right:?}");
    let wrong = said("programs::two_primaries", &[("SCHISM_SHRINK", "8"), ("SCHISM_HTML", "1")]);
    assert!(
        wrong[0].starts_with("harness::programs::two_primaries fails under seed 0 (1 of 2 tried): split_brain"),
        "{wrong:#?}"
    );
    assert!(wrong.iter().any(|line| line.starts_with("it takes ") && line.contains(" of 40 operations")), "{wrong:#?}");
    assert!(wrong.iter().any(|line| line.contains(" asked n")), "the attempts are told: {wrong:#?}");
    let page = wrong.iter().find_map(|line| line.strip_prefix("page:    ")).unwrap_or_else(|| panic!("{wrong:#?}"));
    assert!(std::fs::read_to_string(page).unwrap().contains("data-verdict=\"violation\""));
    std::fs::remove_file(page).unwrap();
    let (name, value) = variable(&wrong, "smaller:");
    let again = said("programs::two_primaries", &[(&name, &value)]);
    assert!(again[0].contains(" fails as ") && again[0].contains("split_brain"), "{again:#?}");
}

#[test]
fn a_program_that_cannot_be_asked_is_told_why() {
    let missing = said("programs::not_installed", &[]).join(" ");
    assert!(
        missing.contains("could not be run: n1: there is no program `no-such-program` on this machine"),
        "{missing}"
    );
    let misspelt = said("programs::misspelt_service", &[]).join(" ");
    assert!(misspelt.contains("there is no service `unique-id`; the services are lin-kv, echo"), "{misspelt}");
    if has("python3") {
        let other = said("programs::an_echo_that_is_asked_for_ids", &[("SCHISM_SHRINK", "0")]).join(" ");
        assert!(other.contains("fails under seed 0 (1 of 2 tried): liveness"), "{other}");
    }
}
