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
use std::collections::BTreeMap;

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
    /// Seeds under which each planted bug is hunted.
    hunt: u64,
    engines: Vec<System>,
    /// By scenario, then by engine.
    figures: Vec<Vec<Figures>>,
    planted: Vec<Planted>,
}

impl Engines {
    /// An empty comparison over these seeds, with a hunt under so many.
    pub fn new(seeds: Seeds, hunt: u64) -> Engines {
        let planted = |Transplant { bug, name, .. }: Transplant| {
            let does = bug.species().does;
            Planted { system: name, does, seeds: 0, found_by: Vec::new(), checks: Vec::new() }
        };
        let engines = engines();
        let figures = vec![Vec::new(); SCENARIOS.len() * engines.len()];
        Engines { seeds, hunt, engines, figures, planted: transplants().into_iter().map(planted).collect() }
    }

    /// Adds a run.
    pub fn add(&mut self, scenario: usize, engine: usize, figures: Figures) {
        self.figures[scenario * self.engines.len() + engine].push(figures);
    }

    /// Adds a run of a planted bug: the checks that failed with it and not without it.
    ///
    /// # Panics
    /// If `system` is none with a planted bug that this build has.
    pub fn add_planted(&mut self, system: &str, seed: u64, checks: Vec<String>) {
        let found = self.planted.iter_mut().find(|planted| planted.system == system);
        let planted = found.expect("the system is one of this build's");
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

    /// All cells that have runs, by scenario, then by engine.
    pub fn cells(&self) -> Vec<Cell> {
        SCENARIOS.iter().flat_map(|(scenario, _)| self.cells_of(scenario)).collect()
    }

    /// The cells of a scenario that have runs, by engine.
    fn cells_of(&self, scenario: &'static str) -> Vec<Cell> {
        let place = SCENARIOS.iter().position(|(name, _)| *name == scenario).expect("it is one of them");
        let runs = self.figures[place * self.engines.len()..].iter();
        let cells = self.engines.iter().zip(runs).filter(|(_, runs)| !runs.is_empty());
        cells.map(|(engine, runs)| Cell::of(*engine, scenario, runs)).collect()
    }

    /// Whether no check failed anywhere.
    pub fn is_safe(&self) -> bool {
        self.figures.iter().flatten().all(|run| run.verdict != Verdict::Violation)
    }

    /// For a terminal.
    pub fn text(&self, style: Style) -> String {
        let mut lines = Vec::new();
        let tables = SCENARIOS.iter().map(|(name, about)| (name, about, self.cells_of(name)));
        for (name, about, cells) in tables.filter(|(.., cells)| !cells.is_empty()) {
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

    /// The command that makes the file.
    pub fn command(&self) -> String {
        let feature = if self.engines.contains(&System::Raft010) { " --features openraft-0-10" } else { "" };
        let hunt = if self.hunt > 0 { format!(" --hunt {}", self.hunt) } else { String::new() };
        let seeds = self.seeds.iter();
        format!("cargo run{feature} -- engines --seeds {}..{}{hunt} --markdown docs/ENGINES.md", seeds.start, seeds.end)
    }

    /// As a file for people, with the command that makes it. Rows for which nothing was run are those of `before`, the file as
    /// it was; so are sections of other headings, which people added.
    pub fn markdown(&self, before: &Sections) -> String {
        let mut text = format!(
            "# Engines\n\nThe same store, sessions, clients, disks and network on different engines, under the same \
             faults. Made by\n\n    {}\n\n",
            self.command()
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
        for (name, about) in &SCENARIOS {
            let made = self.cells_of(name).into_iter();
            let made: BTreeMap<_, _> = made
                .map(|cell| (cell.system, format!("| `{}` | {} |", cell.system, values(&cell).join(" | "))))
                .collect();
            let names = COLUMNS.map(|(name, _)| name).join(" | ");
            let form = format!("| system | {names} |\n|{}", "---|".repeat(COLUMNS.len() + 1));
            let systems = self.engines.iter().map(|system| system.name());
            text.push_str(&section(&format!("`{name}`: {about}"), &form, systems, &made, before));
        }
        text.push_str(&self.planted_markdown(before));
        let headings = SCENARIOS.iter().map(|(name, about)| format!("`{name}`: {about}"));
        let generated: Vec<String> = headings.chain([PLANTED.to_owned()]).collect();
        text + &before.others(&generated)
    }

    fn planted_markdown(&self, before: &Sections) -> String {
        let made = self.planted.iter().filter(|planted| planted.seeds > 0);
        let made: BTreeMap<_, _> = made
            .map(|Planted { system, does, seeds, found_by, checks }| {
                let first = found_by.first().map_or_else(String::new, u64::to_string);
                let found = found_by.len();
                (*system, format!("| `{system}` | {does} | {found}/{seeds} | {first} | {} |", checks.join(", ")))
            })
            .collect();
        let seeds = self.hunt;
        let form = format!(
            "Those of the [zoo](ZOO.md) that are no matter of openraft's interfaces, under the scenario `{HUNT}`, {seeds} \
             seeds each\n(`--hunt {seeds}`). A seed finds a bug if a check other than `panic` fails under it and none does \
             without the bug.\n\n\
             | system | what it does | seeds that find it | first | checks that failed then |\n|---|---|---|---|---|"
        );
        section(PLANTED, &form, self.planted.iter().map(|planted| planted.system), &made, before)
    }
}

/// The heading of the table of planted bugs.
const PLANTED: &str = "Bugs planted in the store on other engines";

/// A section with a table: the rows that were made, and `before` has the others. Nothing, if there are none.
fn section(
    heading: &str,
    form: &str,
    systems: impl Iterator<Item = &'static str>,
    made: &BTreeMap<&str, String>,
    before: &Sections,
) -> String {
    let row = |system| made.get(system).cloned().or_else(|| before.row(heading, system));
    let rows: Vec<String> = systems.filter_map(row).collect();
    if rows.is_empty() { String::new() } else { format!("\n## {heading}\n\n{form}\n{}\n", rows.join("\n")) }
}

/// The file for people as it was, by its headings.
#[derive(Debug, Default)]
pub struct Sections {
    head: String,
    sections: Vec<(String, String)>,
}

impl Sections {
    /// Those of this text.
    pub fn of(text: &str) -> Sections {
        let mut parts = text.split("\n## ");
        let head = parts.next().unwrap_or_default().to_owned();
        let section = |part: &str| {
            let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
            (heading.to_owned(), body.trim_end().to_owned())
        };
        Sections { head, sections: parts.map(section).collect() }
    }

    /// Whether there is nothing, or this command made it.
    pub fn is_of(&self, command: &str) -> bool {
        self.head.is_empty() || self.head.lines().any(|line| line.trim() == command)
    }

    /// A system with a row that this build could not make.
    pub fn not_built(&self) -> Option<System> {
        let unbuilt = System::all().filter(|system| !system.is_built());
        let listed = |system: &System| self.head.lines().any(|line| line.starts_with(&format!("* `{system}`:")));
        unbuilt.into_iter().find(listed)
    }

    /// The row of a system.
    fn row(&self, heading: &str, system: &str) -> Option<String> {
        let (_, body) = self.sections.iter().find(|(known, _)| known == heading)?;
        let start = format!("| `{system}` |");
        body.lines().find(|line| line.starts_with(&start)).map(str::to_owned)
    }

    /// The sections of all other headings, as they were.
    fn others(&self, headings: &[String]) -> String {
        let others = self.sections.iter().filter(|(heading, _)| !headings.contains(heading));
        others.map(|(heading, body)| format!("\n## {heading}\n{body}\n")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT_MS: u64 = 70;

    fn figures(messages: u64) -> Figures {
        Figures {
            verdict: Verdict::Pass,
            served_in_time: 9,
            offered: 10,
            leaderless_ms: SILENT_MS,
            recovered_ms: Some(50),
            acknowledged: 10,
            messages,
            bytes: 100,
            syncs: 10,
        }
    }

    fn engines() -> Engines {
        Engines::new(Seeds::first(1), 1)
    }

    /// Both tables of one engine, and a section that somebody added.
    fn whole() -> String {
        let mut all = engines();
        all.add(0, 0, figures(30));
        all.add(1, 0, figures(40));
        all.add_planted("raft-rs-amnesia", 0, vec!["monotonic".into()]);
        all.markdown(&Sections::default()) + "\n## By hand\n\nOne | two.\n\n### And below\n\nThree.\n"
    }

    #[test]
    fn a_part_made_anew_replaces_its_rows_and_nothing_else() {
        let before = whole();
        let mut part = engines();
        part.add(1, 0, figures(80));
        let after = part.markdown(&Sections::of(&before));
        let row = |messages: &str| format!("| `raft` | 0/1 | 90 % | 70 / 70 | 50 / 50 | {messages} | 10 | 1.00 |");
        assert!(before.contains(&row("4.0")), "{before}");
        assert_eq!(after, before.replace(&row("4.0"), &row("8.0")));
        assert_eq!(engines().markdown(&Sections::of(&after)), after, "nothing made, nothing changed");
    }

    #[test]
    fn a_file_says_which_command_made_it() {
        let before = Sections::of(&whole());
        assert!(before.is_of(&engines().command()));
        assert!(!before.is_of(&Engines::new(Seeds::first(2), 1).command()), "other seeds make other figures");
        assert!(!before.is_of(&Engines::new(Seeds::first(1), 0).command()));
    }

    #[test]
    fn a_row_that_this_build_cannot_make_is_seen() {
        let docs = Sections::of(include_str!("../../docs/ENGINES.md"));
        let missing = if System::Raft010.is_built() { None } else { Some(System::Raft010) };
        assert_eq!(docs.not_built(), missing);
        assert_eq!(Sections::of("# Engines\n\n* `raft`: openraft 0.9.\n").not_built(), None);
    }
}
