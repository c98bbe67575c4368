//! A census as text: one line for each bug in the terminal, and a page in `docs/`.

use super::{Census, Entry};
use crate::report::style::{WIDTH, count, wrap};
use crate::systems::bugs::Species;
use crate::systems::together::Bugs;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A warning about the share of found bugs.
const TUNED: &str =
    "nemesis and checks were tuned on these bugs: the share is no estimate of how many others they would find";

/// Columns of the terminal's table: bug, seeds to detection, check, faults.
const COLUMNS: (usize, usize, usize) = (28, 16, 22);

/// The table's head.
pub fn head() -> String {
    let (bug, seeds, check) = COLUMNS;
    format!("{:bug$}{:seeds$}{:check$}{}", "bug", "seeds (median)", "found by", "faults needed")
}

/// A bug's line.
pub fn line(entry: &Entry) -> String {
    let (bug, seeds, check) = COLUMNS;
    let hunted = &entry.hunted;
    let found_by = hunted.strongest.map_or("", |check| check.name());
    let line =
        format!("{:bug$}{:seeds$}{found_by:check$}{}", entry.bugs.name(), seeds_to_detection(entry), faults(entry));
    line.trim_end().to_owned()
}

fn seeds_to_detection(entry: &Entry) -> String {
    let hunted = &entry.hunted;
    match hunted.median() {
        Some(median) => format!("{median} ({})", count(hunted.detections(), "start")),
        None => format!("not in {}", hunted.seeds()),
    }
}

fn faults(entry: &Entry) -> String {
    match &entry.shrunk {
        Some((_, after)) if after.acts > 0 => format!("{} + {}", after.faults, count(after.acts as u64, "act")),
        Some((_, after)) => after.faults.to_string(),
        None => String::new(),
    }
}

/// The summary of a census, below its table.
pub fn summary(census: &Census) -> String {
    let Census { entries, clean, budget } = census;
    let mut text = format!(
        "{} of {} found within {budget} seeds, {} within 50 (median over the starts)",
        census.found(),
        count(entries.len() as u64, "bug"),
        census.found_within(50)
    );
    if let Some(median) = census.median_faults() {
        write!(text, "; shrunk to {} in the median", count(median as u64, "fault")).expect("writing to a string");
    }
    if clean.seeds > 0 {
        write!(text, "; {} in {} clean seeds of raft", count(clean.false_alarms, "false alarm"), clean.seeds)
            .expect("writing to a string");
    }
    write!(text, "; {TUNED}").expect("writing to a string");
    wrap(&text, WIDTH, 2)
}

/// Why a hunt found nothing, if it did not.
fn why_not(entry: &Entry) -> Option<String> {
    let hunted = &entry.hunted;
    (!hunted.is_found()).then(|| {
        let mut why = format!("not found in {}", count(hunted.seeds(), "seed"));
        for (number, what) in [
            (hunted.panics, "a process panicked and no check failed"),
            (hunted.hangs, "the run hung"),
            (hunted.excused, "the system without the bug failed too"),
        ] {
            if number > 0 {
                write!(why, "; in {number} of them {what}").expect("writing to a string");
            }
        }
        match entry.bugs.iter().find_map(|bug| bug.species().hides) {
            Some(hides) => why + ". " + hides,
            None => why + ".",
        }
    })
}

/// The page `docs/ZOO.md`.
pub fn markdown(census: &Census, command: &str) -> String {
    let mut page = format!(
        "# The zoo: what the testbed finds\n\n\
         Bugs of the kinds that engineers ship, each behind a switch (`--bug NAME` in `run`, `sweep`, `replay` and\n\
         `shrink`), hunted with one nemesis: the scenario `zoo`, 20 simulated seconds of every fault there is, the same\n\
         for all bugs and for the system without one. A seed finds a bug if a check of the history or of the protocol\n\
         fails, if it fails again when the run is repeated, and if the system without the bug passes that seed. A\n\
         panic or a hang alone does not count. `docs/CHECKING.md` describes the checks.\n\n\
         This page is written by `{command}`.\n\
         *Seeds* is how many seeds it takes to find the bug: the median over the starting seeds, with the number of\n\
         starts that found it. *Check* is the strongest that failed at the first detection. *Faults* is what the\n\
         first failure needs after shrinking: faults, and acts on single messages.\n\n\
         | bug | system | layer | what it does | seeds | check | faults | seen in the wild |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for entry in &census.entries {
        let joined = |what| joined(entry.bugs, what);
        let check = entry.hunted.strongest.map_or("", |check| check.name());
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {check} | {} | {} |",
            entry.bugs,
            entry.bugs.base().system(),
            joined(|species| species.layer.name().to_owned()),
            joined(|species| species.does.to_owned()),
            seeds_to_detection(entry),
            faults(entry),
            joined(|Species { seen: (place, address), .. }| format!("[{place}]({address})"))
        )
        .expect("writing to a string");
    }
    writeln!(page, "\n{}.\n", summary(census).replace("\n  ", "\n")).expect("writing to a string");
    let missed: Vec<String> =
        census.entries.iter().filter_map(|entry| Some(format!("* `{}`: {}\n", entry.bugs, why_not(entry)?))).collect();
    if !missed.is_empty() {
        page += "## Not found\n\n";
        page += &missed.concat();
        page.push('\n');
    }
    page += "## Which check finds what\n\n| check | bugs at whose detection it failed |\n|---|---|\n";
    for (check, bugs) in by_check(census) {
        let names: Vec<String> = bugs.iter().map(|bug| format!("`{bug}`")).collect();
        writeln!(page, "| {check} | {} |", names.join(", ")).expect("writing to a string");
    }
    page += "\nThe check `convergence` is a part of `liveness`, and `panic` is not counted here.\n";
    page += "\n## How small the failures become\n\n\
             The first failure of each bug, as it was recorded and after shrinking.\n\n\
             | bug | faults | acts | operations | nodes |\n|---|---|---|---|---|\n";
    for entry in &census.entries {
        if let Some((before, after)) = &entry.shrunk {
            writeln!(
                page,
                "| `{}` | {} > {} | {} > {} | {} > {} | {} > {} |",
                entry.bugs,
                before.faults,
                after.faults,
                before.acts,
                after.acts,
                before.operations,
                after.operations,
                before.nodes,
                after.nodes
            )
            .expect("writing to a string");
        }
    }
    page
}

/// What is said of each of the bugs, one after the other.
fn joined(bugs: Bugs, what: fn(Species) -> String) -> String {
    let each: Vec<String> = bugs.iter().map(|bug| what(bug.species())).collect();
    each.join(" ")
}

fn by_check(census: &Census) -> BTreeMap<&'static str, Vec<Bugs>> {
    let mut finds: BTreeMap<&'static str, Vec<Bugs>> = BTreeMap::new();
    for entry in &census.entries {
        for check in entry.hunted.checks.keys() {
            finds.entry(check.name()).or_default().push(entry.bugs);
        }
    }
    finds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::CheckName;
    use crate::systems::bugs::Bug;
    use crate::zoo::Clean;
    use crate::zoo::hunt::Hunted;

    #[test]
    fn what_was_not_found_says_why() {
        let checks = [(CheckName::CommitQuorum, 2)].into();
        let found = Hunted {
            seeds_to_detection: vec![3, 8],
            first: Some(2),
            strongest: Some(CheckName::CommitQuorum),
            checks,
            ..Hunted::default()
        };
        let vain = Hunted { in_vain: 9, panics: 2, ..Hunted::default() };
        let entry = |bug: Bug, hunted| Entry { bugs: bug.into(), hunted, shrunk: None };
        let hides = Bug::RaftUnfenced.species().hides.expect("it says why");
        let hidden = Hunted { in_vain: 9, ..Hunted::default() };
        let entries =
            vec![entry(Bug::LeaseRead, found), entry(Bug::BlankStart, vain), entry(Bug::RaftUnfenced, hidden)];
        let census = Census { entries, clean: Clean { seeds: 5, ..Clean::default() }, budget: 9 };
        assert_eq!(line(&census.entries[0]), "lease-read                  3 (2 starts)    commit_quorum");
        assert_eq!(line(&census.entries[1]), "blank-start                 not in 9");
        assert!(summary(&census).starts_with("1 of 3 bugs found within 9 seeds, 1 within 50"));
        assert!(summary(&census).replace("\n  ", " ").ends_with(TUNED), "{}", summary(&census));
        let page = markdown(&census, "schism zoo");
        assert!(page.contains("* `blank-start`: not found in 9 seeds; in 2 of them a process panicked"), "{page}");
        assert!(page.contains(&format!("not found in 9 seeds. {hides}\n")), "{page}");
        assert!(page.contains("| commit_quorum | `lease-read` |"), "{page}");
    }
}
