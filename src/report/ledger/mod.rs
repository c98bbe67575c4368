//! The ledger: what a kind of fault costs under each system, in two currencies: time in which no client was served,
//! and acknowledged writes that are lost or contradict each other.
//!
//! All use one scenario: that of the zoo without faults of single messages, and with faults of one kind at a time.
//!
//! * `picture`: a cloud of seeds for each system, as an HTML file.

mod picture;

use super::ladder::RUNGS;
use crate::fault::generate::Nemesis;
use crate::fault::model::Chaos;
use crate::history::Status;
use crate::run::Run;
use crate::scenario::{Scenario, load};
use crate::systems::System;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The scenario whose faults are run one kind at a time.
const BASE: &str = "zoo";
/// A site is not served in a window of this length in which operations are due and no acknowledgement arrives.
const WINDOW_MS: u64 = 100;

/// The systems: the rungs of the ladder.
pub fn systems() -> [System; RUNGS.len()] {
    RUNGS.map(|rung| rung.system)
}

/// The panel without a fault: what a system costs when nothing goes wrong, for comparison with the others.
const CONTROL: &str = "no_fault";

/// The kinds of fault, after none at all: those that hunt the zoo. Changes of members are left out: only one of the systems can make them.
pub fn kinds() -> Vec<String> {
    let (_, nemesis) = base();
    let hunting = nemesis.kinds.into_iter().filter(|kind| kind != "membership");
    [CONTROL.to_owned()].into_iter().chain(hunting).collect()
}

/// The scenario with faults of one kind, or without any.
pub fn scenario(kind: &str) -> Scenario {
    let (base, nemesis) = base();
    Scenario {
        name: format!("ledger-{}", kind.replace('_', "-")),
        nemesis: (kind != CONTROL).then(|| Nemesis { kinds: vec![kind.to_owned()], faults: 6, ..nemesis }),
        messages: Chaos::default(),
        situations: Vec::new(),
        ..base
    }
}

fn base() -> (Scenario, Nemesis) {
    let scenario = load(BASE).expect("an embedded scenario is sound");
    let nemesis = scenario.nemesis.clone().expect("the zoo has a nemesis");
    (scenario, nemesis)
}

/// What one run cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cost {
    /// Milliseconds without an acknowledgement at a site, the mean over the sites with clients.
    pub unavailable_ms: u64,
    /// Acknowledged writes that are lost, and acknowledgements that contradict each other.
    pub harmed: u64,
}

impl Cost {
    /// That of `run`.
    pub fn of(scenario: &Scenario, run: &Run) -> Cost {
        let sites = scenario.client_sites();
        let window = |ns: u64| ns / (WINDOW_MS * 1_000_000);
        let mut due = BTreeSet::new();
        let mut served = BTreeSet::new();
        for operation in &run.history.operations {
            // A client that no site has reads the end state, after the script.
            let Some(site) = sites.get(operation.client as usize) else { continue };
            due.insert((*site, window(operation.planned_ns)));
            if matches!(operation.status, Status::Ok { .. }) {
                served.insert((*site, window(operation.end_ns)));
            }
        }
        let dark = due.difference(&served).count() as u64;
        let peopled = scenario.sites.iter().filter(|site| site.clients > 0).count().max(1) as u64;
        let (lost, conflicting) = (run.outcome.lost_acked_writes, run.outcome.conflicting_acks);
        Cost { unavailable_ms: dark * WINDOW_MS / peopled, harmed: lost + conflicting }
    }
}

/// What one system paid for one kind of fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The kind of fault.
    pub fault: String,
    /// The system.
    pub system: &'static str,
    /// One cost per seed, ascending.
    pub costs: Vec<Cost>,
    /// The median of the milliseconds (the lower of the middle two).
    pub unavailable_ms: u64,
    /// All harm.
    pub harmed: u64,
}

/// Every account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    kinds: Vec<String>,
    /// By kind, then by system.
    costs: BTreeMap<(usize, usize), Vec<Cost>>,
}

/// The last JSON line.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Kinds of fault.
    faults: usize,
    /// Systems.
    systems: usize,
    /// Runs in all.
    runs: usize,
}

impl Ledger {
    /// An empty ledger for these kinds of fault.
    pub fn new(kinds: Vec<String>) -> Ledger {
        Ledger { kinds, costs: BTreeMap::new() }
    }

    /// Adds a run of the kind and the system with these indices.
    pub fn add(&mut self, kind: usize, system: usize, cost: Cost) {
        self.costs.entry((kind, system)).or_default().push(cost);
    }

    /// All accounts, by kind, then by system.
    pub fn accounts(&self) -> Vec<Account> {
        let account = |(&(kind, system), costs): (&(usize, usize), &Vec<Cost>)| {
            let mut costs = costs.clone();
            costs.sort_unstable();
            Account {
                fault: self.kinds[kind].clone(),
                system: systems()[system].name(),
                unavailable_ms: costs.get(costs.len().saturating_sub(1) / 2).map_or(0, |cost| cost.unavailable_ms),
                harmed: costs.iter().map(|cost| cost.harmed).sum(),
                costs,
            }
        };
        self.costs.iter().map(account).collect()
    }

    /// The figures of the whole.
    pub fn summary(&self) -> Summary {
        let runs = self.costs.values().map(Vec::len).sum();
        Summary { faults: self.kinds.len(), systems: RUNGS.len(), runs }
    }

    /// Whether `raft` harmed nothing.
    pub fn is_raft_harmless(&self) -> bool {
        let raft = System::Raft.name();
        self.accounts().iter().filter(|account| account.system == raft).all(|account| account.harmed == 0)
    }

    /// A table for a terminal: a line per kind of fault, a column per system, with `ms/harm` in each cell.
    pub fn text(&self) -> String {
        let accounts = self.accounts();
        let mut text = String::from(
            "Median milliseconds in which a site was not served, of 20 seconds, and after\n\
             the slash all acknowledged writes that are lost or contradict each other.\n\n",
        );
        let systems = systems();
        for (number, system) in systems.iter().enumerate() {
            writeln!(text, "  {} {system}", number + 1).expect("a string takes all");
        }
        write!(text, "\n{:12}", "").expect("a string takes all");
        (1..=systems.len()).for_each(|number| write!(text, "{number:>9}").expect("a string takes all"));
        for row in rows(&accounts) {
            write!(text, "\n{:12}", row[0].fault).expect("a string takes all");
            for account in row {
                let cell = match account.harmed {
                    0 => account.unavailable_ms.to_string(),
                    harmed => format!("{}/{harmed}", account.unavailable_ms),
                };
                write!(text, "{cell:>9}").expect("a string takes all");
            }
        }
        text + "\n"
    }

    /// The ledger as an HTML file; `command` makes it again.
    pub fn html(&self, command: &str) -> String {
        picture::html(&self.accounts(), command)
    }
}

/// The accounts of each kind of fault, none empty.
fn rows(accounts: &[Account]) -> impl Iterator<Item = &[Account]> {
    accounts.chunk_by(|one, next| one.fault == next.fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn some() -> Ledger {
        let mut ledger = Ledger::new(kinds());
        for (seed, harmed) in [(0, 0), (1, 7), (2, 2)] {
            for system in 0..RUNGS.len() {
                let harmed = if system == 0 { harmed } else { 0 };
                ledger.add(1, system, Cost { unavailable_ms: 100 * seed + system as u64, harmed });
            }
        }
        ledger
    }

    #[test]
    fn a_cost_counts_windows_without_an_acknowledgement_and_harm() {
        let scenario = sample::scenario();
        let raft = Cost::of(&scenario, &sample::run(&scenario, "raft", 7));
        let naive = Cost::of(&scenario, &sample::run(&scenario, "dual-primary", 7));
        assert!(raft.unavailable_ms > 0 && raft.harmed == 0, "{raft:?}");
        assert!(naive.harmed > 0 && naive.unavailable_ms < raft.unavailable_ms, "{naive:?} {raft:?}");
    }

    #[test]
    fn accounts_are_medians_and_sums() {
        let ledger = some();
        let first = &ledger.accounts()[0];
        assert_eq!((first.unavailable_ms, first.harmed, first.costs.len()), (100, 9, 3));
        assert!(ledger.is_raft_harmless());
        let text = ledger.text();
        assert!(text.contains("partition       100/9"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn every_kind_of_fault_has_a_scenario_and_a_schedule_of_that_kind_alone() {
        let control = scenario(CONTROL);
        control.check().unwrap();
        assert!(kinds()[0] == CONTROL && crate::scenario::materialise(&control, 1).schedule.faults.is_empty());
        for kind in kinds().into_iter().skip(1) {
            let kind = kind.as_str();
            let scenario = scenario(kind);
            scenario.check().unwrap();
            let faults = crate::scenario::materialise(&scenario, 1).schedule.faults;
            let latency = |name: &str| name == "latency";
            assert!(!faults.is_empty(), "{kind}");
            // Where one more node down would be one too many, the nemesis slows a link instead.
            assert!(faults.iter().all(|fault| fault.kind.name() == kind || latency(fault.kind.name())), "{kind}");
            assert!(faults.iter().any(|fault| fault.kind.name() == kind), "{kind}");
        }
    }

    #[test]
    fn the_picture_is_whole_and_asks_nobody() {
        let html = some().html("schism ledger --seeds 3 --html <file>");
        assert_eq!(html.matches("class=\"mark\"").count(), 3 * RUNGS.len());
        assert!(html.contains("&lt;file&gt;") && !html.contains("<file>"));
        assert!(!html.contains("src=") && !html.contains("https://") && !html.contains("<script"));
    }
}
