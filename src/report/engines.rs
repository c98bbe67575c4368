//! The store on different engines, under the same schedules: how soon it is back, and what an operation costs.
//!
//! Everything but the engine is the same: commands, sessions, clients, disks, network, faults. A figure of a cell is the
//! median over the seeds; a sum over all of them where it says so.

use super::style::{Style, WIDTH, wrap};
use crate::rng::seeds::Seeds;
use crate::run::{Run, Verdict};
use crate::systems::System;
use crate::systems::bugs::Transplant;
use crate::trace::{HostId, What};
use serde::Serialize;

/// The engines that this build has.
pub fn engines() -> Vec<System> {
    let all = [System::Raft, System::Raft010, System::RaftRs, System::OmniPaxos];
    all.into_iter().filter(|system| system.is_built()).collect()
}

/// The bugs that are planted in the store on engines that this build has.
pub fn transplants() -> Vec<Transplant> {
    Transplant::ALL.iter().copied().filter(|transplant| transplant.ground.system().is_built()).collect()
}

/// The scenarios, and what each is about.
pub const SCENARIOS: [(&str, &str); 5] = [
    ("failover", "the primary is cut off, then dies"),
    ("split-brain", "the link between two data centres is cut"),
    ("leader-isolation", "whoever leads is cut off, again and again"),
    ("lossy-wan", "messages are lost, late and doubled"),
    ("chaos", "a minute of everything"),
];

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    verdict: Verdict,
    served_in_time: u64,
    offered: u64,
    leaderless_ms: u64,
    recovered_ms: Option<u64>,
    acknowledged: u64,
    messages: u64,
    bytes: u64,
    syncs: u64,
}

impl Figures {
    /// Those of `run`.
    pub fn of(run: &Run) -> Figures {
        let outcome = &run.outcome;
        let served = outcome.served("faults");
        let is_node = |host: HostId| (1..=run.trace.nodes).contains(&host.index());
        let count = |wanted: &dyn Fn(HostId, &What) -> bool| {
            run.trace.events.iter().filter(|event| wanted(event.host, &event.what)).count() as u64
        };
        Figures {
            verdict: outcome.verdict,
            served_in_time: served.served_in_time,
            offered: served.offered,
            leaderless_ms: longest_silence_ms(run),
            recovered_ms: outcome.recovered_ms,
            acknowledged: outcome.acked,
            messages: count(&|host, what| matches!(what, What::Send { to, .. } if is_node(host) && is_node(*to))),
            bytes: run.bytes_between_nodes,
            syncs: count(&|_, what| matches!(what, What::Sync { .. })),
        }
    }
}

/// The longest time without any acknowledgement, between the first and the last one.
fn longest_silence_ms(run: &Run) -> u64 {
    let mut acknowledged: Vec<u64> = run
        .trace
        .events
        .iter()
        .filter(|event| matches!(event.what, What::Acknowledge { .. }))
        .map(|event| event.t_ns)
        .collect();
    acknowledged.sort_unstable();
    acknowledged.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).max().unwrap_or(0)
}

/// One engine under one scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// The system.
    pub system: &'static str,
    /// The scenario.
    pub scenario: &'static str,
    /// Runs.
    pub seeds: u64,
    /// Runs in which a check failed.
    pub violations: u64,
    /// Runs that prove nothing.
    pub inconclusive: u64,
    /// Of all operations offered while faults were active, the share served in time, in per cent.
    pub in_time_percent: f64,
    /// The longest time without any acknowledgement: the median, and the longest of all.
    pub silence_ms: (u64, u64),
    /// From the end of the last fault until every site was served again: the median, and the longest.
    pub recovered_ms: (u64, u64),
    /// Runs in which not every site was served again.
    pub never_recovered: u64,
    /// Messages between nodes for each operation acknowledged, the median.
    pub messages_each: f64,
    /// Bytes of these.
    pub bytes_each: f64,
    /// Syncs of all disks for each operation acknowledged.
    pub syncs_each: f64,
}

/// The middle one, and the last.
fn middle_and_last<T: Copy + PartialOrd + Default>(mut figures: Vec<T>) -> (T, T) {
    figures.sort_by(|a, b| a.partial_cmp(b).expect("no figure is NaN"));
    let middle = figures.get(figures.len() / 2).copied().unwrap_or_default();
    (middle, figures.last().copied().unwrap_or_default())
}

impl Cell {
    fn of(system: System, scenario: &'static str, runs: &[Figures]) -> Cell {
        let sum = |figure: fn(&Figures) -> u64| runs.iter().map(figure).sum::<u64>();
        let with = |verdict| runs.iter().filter(|run| run.verdict == verdict).count() as u64;
        let each = |figure: fn(&Figures) -> u64| {
            let of = |run: &Figures| figure(run) as f64 / run.acknowledged.max(1) as f64;
            middle_and_last(runs.iter().map(of).collect()).0
        };
        let recovered: Vec<u64> = runs.iter().filter_map(|run| run.recovered_ms).collect();
        Cell {
            system: system.name(),
            scenario,
            seeds: runs.len() as u64,
            violations: with(Verdict::Violation),
            inconclusive: with(Verdict::Inconclusive),
            in_time_percent: 100.0 * sum(|run| run.served_in_time) as f64 / sum(|run| run.offered).max(1) as f64,
            silence_ms: middle_and_last(runs.iter().map(|run| run.leaderless_ms).collect()),
            never_recovered: (runs.len() - recovered.len()) as u64,
            recovered_ms: middle_and_last(recovered),
            messages_each: each(|run| run.messages),
            bytes_each: each(|run| run.bytes),
            syncs_each: each(|run| run.syncs),
        }
    }
}

/// The names of the columns, and what they mean.
const COLUMNS: [(&str, &str); 7] = [
    ("failed", "runs in which a check failed; in brackets, runs that prove nothing"),
    ("in time", "of all operations offered while faults were active, the share served in time"),
    ("silence", "the longest time without any acknowledgement, in ms: the median over the seeds / the longest"),
    ("back after", "from the end of the last fault until every site was served again, in ms: median / longest"),
    ("messages", "messages between nodes for each operation acknowledged (a reply is one, too)"),
    ("bytes", "payload of these, for each operation acknowledged"),
    ("syncs", "syncs of all nodes' disks for each operation acknowledged"),
];

/// The scenario with which planted bugs are hunted.
pub const HUNT: &str = "zoo";

/// A bug planted in the store on another engine, and what the hunt found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planted {
    /// The system with the bug.
    pub system: &'static str,
    /// What the bug does.
    pub does: &'static str,
    /// Seeds tried.
    pub seeds: u64,
    /// Of these, those under which a check fails, and none does without the bug.
    pub found_by: Vec<u64>,
    /// The checks that failed under the first of them.
    pub checks: Vec<String>,
}

/// The comparison.
pub struct Engines {
    seeds: Seeds,
    engines: Vec<System>,
    /// By scenario, then by engine.
    figures: Vec<Vec<Figures>>,
    planted: Vec<Planted>,
}

impl Engines {
    /// An empty comparison over these seeds.
    pub fn new(seeds: Seeds) -> Engines {
        let planted = |Transplant { bug, name, .. }: Transplant| {
            let does = bug.species().does;
            Planted { system: name, does, seeds: 0, found_by: Vec::new(), checks: Vec::new() }
        };
        let engines = engines();
        let figures = vec![Vec::new(); SCENARIOS.len() * engines.len()];
        Engines { seeds, engines, figures, planted: transplants().into_iter().map(planted).collect() }
    }

    /// Adds a run.
    pub fn add(&mut self, scenario: usize, engine: usize, figures: Figures) {
        self.figures[scenario * self.engines.len() + engine].push(figures);
    }

    /// Adds a run of a planted bug: the checks that failed with it and not without it.
    pub fn add_planted(&mut self, bug: usize, seed: u64, checks: Vec<String>) {
        let planted = &mut self.planted[bug];
        planted.seeds += 1;
        if checks.is_empty() {
            return;
        }
        if planted.found_by.first().is_none_or(|first| seed < *first) {
            planted.checks = checks;
        }
        planted.found_by.push(seed);
        planted.found_by.sort_unstable();
    }

    /// What became of the planted bugs.
    pub fn planted(&self) -> &[Planted] {
        &self.planted
    }

    /// All cells, by scenario, then by engine.
    pub fn cells(&self) -> Vec<Cell> {
        let places =
            SCENARIOS.iter().flat_map(|(scenario, _)| self.engines.iter().map(move |engine| (*scenario, *engine)));
        places.zip(&self.figures).map(|((scenario, engine), runs)| Cell::of(engine, scenario, runs)).collect()
    }

    /// Whether no check failed anywhere.
    pub fn is_safe(&self) -> bool {
        self.figures.iter().flatten().all(|run| run.verdict != Verdict::Violation)
    }

    /// For a terminal.
    pub fn text(&self, style: Style) -> String {
        let mut lines = Vec::new();
        let cells = self.cells();
        for ((name, about), cells) in SCENARIOS.iter().zip(cells.chunks(self.engines.len())) {
            lines.push(format!("{name}: {about}"));
            lines.push(format!("  {:<10}{}", "", columns(COLUMNS.map(|(name, _)| name.to_owned()))));
            lines.extend(cells.iter().map(|cell| format!("  {:<10}{}", cell.system, columns(values(cell)))));
            lines.push(String::new());
        }
        for planted in self.planted.iter().filter(|planted| planted.seeds > 0) {
            let found = format!("{} of {} seeds", planted.found_by.len(), planted.seeds);
            lines.push(wrap(&format!("{}: {found} {}", planted.system, planted.checks.join(", ")), WIDTH, 2));
        }
        let legend: Vec<String> = COLUMNS.iter().map(|(name, what)| format!("{name}: {what}")).collect();
        lines.push(wrap(&format!("{} seeds. {}.", self.seeds.count(), legend.join("; ")), WIDTH, 0));
        style.plain_text(&(lines.join("\n") + "\n"))
    }

    /// As a file for people, with the command that makes it.
    pub fn markdown(&self) -> String {
        let seeds = self.seeds.iter();
        let mut text = format!(
            "# Engines\n\nThe same store, sessions, clients, disks and network on different engines, under the same \
             faults. Made by\n\n    cargo run -- engines --seeds {}..{}{} --markdown docs/ENGINES.md\n\n",
            seeds.start,
            seeds.end,
            self.planted
                .first()
                .filter(|planted| planted.seeds > 0)
                .map_or_else(String::new, |planted| format!(" --hunt {}", planted.seeds))
        );
        for system in &self.engines {
            let what = match system {
                System::Raft => "openraft 0.9",
                System::Raft010 => "openraft 0.10.0-alpha.37",
                System::RaftRs => "tikv's raft 0.7, with checked quorums and pre-votes as TiKV has them",
                _ => "omnipaxos 0.2: Sequence Paxos with ballot leader election; reads go through the log",
            };
            text.push_str(&format!("* `{system}`: {what}.\n"));
        }
        text.push_str(
            "\nElection time-outs and heartbeats are the scenario's for all of them. What the columns say:\n\n",
        );
        COLUMNS.iter().for_each(|(name, what)| text.push_str(&format!("* **{name}**: {what}.\n")));
        let cells = self.cells();
        for ((name, about), cells) in SCENARIOS.iter().zip(cells.chunks(self.engines.len())) {
            let names = COLUMNS.map(|(name, _)| name).join(" | ");
            text.push_str(&format!("\n## `{name}`: {about}\n\n| system | {names} |\n"));
            text.push_str(&format!("|{}\n", "---|".repeat(COLUMNS.len() + 1)));
            for cell in cells {
                text.push_str(&format!("| `{}` | {} |\n", cell.system, values(cell).join(" | ")));
            }
        }
        text.push_str(&self.planted_markdown());
        text
    }

    fn planted_markdown(&self) -> String {
        let Some(seeds) = self.planted.first().map(|planted| planted.seeds).filter(|seeds| *seeds > 0) else {
            return String::new();
        };
        let mut text = format!(
            "\n## Bugs planted in the store on other engines\n\nThose of the [zoo](ZOO.md) that are no matter of openraft's \
             interfaces, under the scenario `{HUNT}`, {seeds} seeds each\n(`--hunt {seeds}`). A seed finds a bug if a \
             check other than `panic` fails under it and none does without the bug.\n\n\
             | system | what it does | seeds that find it | first | checks that failed then |\n|---|---|---|---|---|\n"
        );
        for Planted { system, does, seeds, found_by, checks } in &self.planted {
            let first = found_by.first().map_or_else(String::new, u64::to_string);
            let found = found_by.len();
            text.push_str(&format!("| `{system}` | {does} | {found}/{seeds} | {first} | {} |\n", checks.join(", ")));
        }
        text
    }
}

fn columns(values: [String; 7]) -> String {
    let widths = [9, 8, 12, 12, 9, 8, 6];
    values.iter().zip(widths).map(|(value, width)| format!("{value:>width$}")).collect()
}

fn values(cell: &Cell) -> [String; 7] {
    let failed = match cell.inconclusive {
        0 => format!("{}/{}", cell.violations, cell.seeds),
        some => format!("{}/{} ({some})", cell.violations, cell.seeds),
    };
    let back = match cell.never_recovered {
        0 => format!("{} / {}", cell.recovered_ms.0, cell.recovered_ms.1),
        some => format!("{}, {some} never", cell.recovered_ms.0),
    };
    [
        failed,
        format!("{:.0} %", cell.in_time_percent),
        format!("{} / {}", cell.silence_ms.0, cell.silence_ms.1),
        back,
        format!("{:.1}", cell.messages_each),
        format!("{:.0}", cell.bytes_each),
        format!("{:.2}", cell.syncs_each),
    ]
}
