//! The ladder: systems one idea apart (the rungs), over scenarios one kind of fault apart (the columns).
//!
//! Every column except the one about compare-and-set runs compare-and-sets as plain writes, so that a column shows one
//! thing: otherwise a store without compare-and-set fails everywhere for the same reason.
//!
//! * `table`: for a terminal, and as Markdown.

mod table;

use crate::check::CheckName;
use crate::kv::{Op, Response, Tag};
use crate::rng::seeds::Seeds;
use crate::run::compare::is_safety;
use crate::run::{Run, Verdict};
use crate::scenario::{Scenario, load};
use crate::systems::System;
use crate::trace::{HostId, Trace, What};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A system, with what its idea gains and what it lacks.
#[derive(Debug, Clone, Copy)]
pub struct Rung {
    /// The system.
    pub system: System,
    /// What it gains over the rung before.
    pub buys: &'static str,
    /// What it still loses.
    pub loses: &'static str,
}

/// The rungs, from the bottom.
pub const RUNGS: [Rung; 7] = [
    Rung {
        system: System::DualPrimary,
        buys: "Clients on both sides of a cut are served.",
        loses: "Silence is taken for death, so both sides sell the same stock; the last writer wins.",
    },
    Rung {
        system: System::PrimaryBackupAsync,
        buys: "One order of all writes, and quick answers: one node decides, the others copy.",
        loses: "Writes not yet shipped when the primary fell silent; if it was only cut off, there are two primaries.",
    },
    Rung {
        system: System::PrimaryBackupSync,
        buys: "No acknowledged write is ever lost: every node has it, and no other node takes over.",
        loses: "Availability: with one node away no write is acknowledged, with the primary away nothing is.",
    },
    Rung {
        system: System::Lease,
        buys: "A majority is enough, and another node takes over when the lease expires; a read asks no other node.",
        loses: "Correct reads, when a clock runs slow: the lease has expired for every node but its holder.",
    },
    Rung {
        system: System::Quorum,
        buys: "No leader to lose and no clock to trust: reads and writes go to overlapping majorities.",
        loses: "Decisions: two compare-and-sets may both win, since a read and a write are two steps.",
    },
    Rung {
        system: System::RaftLocalReads,
        buys: "Consensus on one log: every write, also a compare-and-set, has its place before it is acknowledged.",
        loses: "Up-to-date reads: any node answers alone, and may be behind the others.",
    },
    Rung {
        system: System::Raft,
        buys: "Reads that a majority has confirmed: linearizable under all of these faults.",
        loses: "The minority's side of a cut waits, and every answer costs a round trip to a majority.",
    },
];

/// A scenario, and the kind of fault that it represents.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The scenario's name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Whether compare-and-sets are run as such.
    pub keeps_cas: bool,
}

/// The columns.
pub const COLUMNS: [Column; 6] = [
    Column { name: "concurrent-cas", about: "nothing is broken, clients compete", keeps_cas: true },
    Column { name: "failover", about: "the primary is cut off, then dies", keeps_cas: false },
    Column { name: "split-brain", about: "the link between two data centres is cut", keeps_cas: false },
    Column { name: "stale-reads", about: "the same, with many reads", keeps_cas: false },
    Column { name: "power-loss", about: "power, disks, processes, links", keeps_cas: false },
    Column { name: "clock-drift", about: "a clock runs slow, its node is cut off", keeps_cas: false },
];

impl Column {
    /// What is run.
    ///
    /// # Panics
    /// Never in a build that passed its tests: each embedded scenario is read by one.
    pub fn scenario(&self) -> Scenario {
        let mut scenario = load(self.name).expect("an embedded scenario is sound");
        if !self.keeps_cas {
            let workload = &mut scenario.workload;
            workload.put += std::mem::take(&mut workload.cas);
        }
        scenario
    }
}

/// What a run shows, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// A certified split-brain.
    Forks,
    /// An acknowledged write is gone.
    Loses,
    /// An answer was older than one that was given before.
    Stale,
    /// Another check of safety failed.
    Breaks,
    /// After the last fault not every client was served again.
    Stuck,
    /// Nothing failed.
    Safe,
}

impl Finding {
    /// What `run` shows.
    pub fn of(run: &Run) -> Finding {
        let outcome = &run.outcome;
        match () {
            () if forks(run) => Finding::Forks,
            () if loses(run) => Finding::Loses,
            () if outcome.linearizable == Some(false) => Finding::Stale,
            () if outcome.violations.iter().any(|violation| is_safety(violation.check)) => Finding::Breaks,
            () if outcome.verdict == Verdict::Violation => Finding::Stuck,
            () => Finding::Safe,
        }
    }

    /// The finding as one word.
    pub fn word(self) -> &'static str {
        match self {
            Finding::Forks => "forks",
            Finding::Loses => "loses",
            Finding::Stale => "stale",
            Finding::Breaks => "breaks",
            Finding::Stuck => "stuck",
            Finding::Safe => "safe",
        }
    }
}

/// Whether a certified split-brain left a write that a majority never had. A leader that got its predecessor's writes
/// in a snapshot or from its disk has no events of applying them, and a stale read beside it is no fork.
fn forks(run: &Run) -> bool {
    is_any_written_in_vain(run, CheckName::SplitBrain)
}

/// Whether a write that a read proves gone is really gone. To a client a stale read looks the same if a later write
/// overwrites the key; the nodes' records decide: a write that a majority of them applied was not lost.
fn loses(run: &Run) -> bool {
    is_any_written_in_vain(run, CheckName::LostWrite) || is_swapped_twice(run)
}

/// Whether a violation of this kind names an acknowledged write that no majority applied.
fn is_any_written_in_vain(run: &Run, check: CheckName) -> bool {
    let violations = run.outcome.violations.iter().filter(|violation| violation.check == check);
    // The second operation of a lost write is the read that proves it.
    let concerned = if check == CheckName::LostWrite { 1 } else { usize::MAX };
    let ids = violations.flat_map(|violation| violation.certificate.operations.iter().take(concerned));
    let ids: BTreeSet<u32> = ids.copied().collect();
    let operations = run.history.operations.iter().filter(|operation| ids.contains(&operation.id));
    operations.into_iter().any(|operation| !is_applied_by_majority(&run.trace, operation.tag))
}

/// Whether two swaps of one value were acknowledged: each value is written once, so one acknowledgement was wrong.
fn is_swapped_twice(run: &Run) -> bool {
    let mut swapped = BTreeSet::new();
    run.history.operations.iter().any(|operation| match (operation.op, operation.outcome()) {
        (Op::Cas { key, expected: Some(value), .. }, Some(Response::Swapped)) => !swapped.insert((key, value)),
        _ => false,
    })
}

fn is_applied_by_majority(trace: &Trace, wanted: Tag) -> bool {
    let applied = trace.events.iter().filter_map(|event| match event.what {
        What::Apply { tag, .. } if tag == wanted => Some(event.host),
        _ => None,
    });
    applied.collect::<BTreeSet<HostId>>().len() * 2 > trace.nodes
}

/// The figures of a run that the ladder counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// What it shows.
    pub finding: Finding,
    /// Whether it proves nothing.
    pub is_inconclusive: bool,
    /// Operations served in time while faults were active (in the whole run, if there are none).
    pub served_in_time: u64,
    /// Operations offered then.
    pub offered: u64,
}

impl Figures {
    /// Those of `run`.
    pub fn of(run: &Run) -> Figures {
        let outcome = &run.outcome;
        let has_faults = outcome.availability.iter().any(|figure| figure.during == "faults");
        let during = if has_faults { "faults" } else { "run" };
        let served = outcome.served(during);
        Figures {
            finding: Finding::of(run),
            is_inconclusive: outcome.verdict == Verdict::Inconclusive,
            served_in_time: served.served_in_time,
            offered: served.offered,
        }
    }
}

/// What was found of one system under one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// The system.
    pub system: &'static str,
    /// The scenario.
    pub scenario: &'static str,
    /// Runs.
    pub seeds: u64,
    /// Runs by what they show.
    pub findings: BTreeMap<Finding, u64>,
    /// Runs that prove nothing.
    pub inconclusive: u64,
    /// See [`Figures`].
    pub served_in_time: u64,
    /// See [`Figures`].
    pub offered: u64,
}

impl Cell {
    fn add(&mut self, figures: &Figures) {
        self.seeds += 1;
        *self.findings.entry(figures.finding).or_default() += 1;
        self.inconclusive += u64::from(figures.is_inconclusive);
        self.served_in_time += figures.served_in_time;
        self.offered += figures.offered;
    }

    /// The worst that was found.
    pub fn worst(&self) -> Finding {
        self.findings.keys().next().copied().unwrap_or(Finding::Safe)
    }

    /// In how many runs something was found.
    pub fn bad_seeds(&self) -> u64 {
        self.findings.iter().filter(|(finding, _)| **finding != Finding::Safe).map(|(_, seeds)| seeds).sum()
    }

    /// The share of the offered that was served in time, in per cent.
    pub fn percent_in_time(&self) -> u64 {
        self.served_in_time * 100 / self.offered.max(1)
    }

    /// The cell as text: `safe`, or `loses 3/5`.
    pub fn verdict(&self) -> String {
        match self.bad_seeds() {
            0 => self.worst().word().to_string(),
            bad => format!("{} {bad}/{}", self.worst().word(), self.seeds),
        }
    }
}

/// The whole table.
pub struct Ladder {
    seeds: Seeds,
    /// By rung, then by column.
    cells: Vec<Cell>,
}

/// The last JSON line.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Rungs.
    rungs: usize,
    /// Columns.
    scenarios: usize,
    /// Runs in all.
    runs: u64,
}

impl Ladder {
    /// An empty table for these seeds.
    pub fn new(seeds: Seeds) -> Ladder {
        let cell = |system: System, scenario: &'static str| Cell {
            system: system.name(),
            scenario,
            seeds: 0,
            findings: BTreeMap::new(),
            inconclusive: 0,
            served_in_time: 0,
            offered: 0,
        };
        let row = |rung: &Rung| COLUMNS.map(|column| cell(rung.system, column.name));
        Ladder { seeds, cells: RUNGS.iter().flat_map(row).collect() }
    }

    /// Adds a run.
    pub fn add(&mut self, rung: usize, column: usize, figures: &Figures) {
        self.cells[rung * COLUMNS.len() + column].add(figures);
    }

    /// All cells, by rung, then by column.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// How much there is.
    pub fn summary(&self) -> Summary {
        let runs = self.cells.iter().map(|cell| cell.seeds).sum();
        Summary { rungs: RUNGS.len(), scenarios: COLUMNS.len(), runs }
    }

    /// Whether the topmost rung is safe everywhere.
    pub fn is_top_safe(&self) -> bool {
        self.cells.iter().rev().take(COLUMNS.len()).all(|cell| cell.bad_seeds() == 0)
    }

    fn rows(&self) -> impl Iterator<Item = (&Rung, &[Cell])> {
        RUNGS.iter().zip(self.cells.chunks(COLUMNS.len()))
    }
}
