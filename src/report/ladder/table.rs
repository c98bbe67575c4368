//! The ladder as a table of 80 columns, and as Markdown.

use super::{COLUMNS, Cell, Ladder, RUNGS};
use crate::report::style::{Style, Tone, WIDTH, broken_name, count, wrap};

/// Columns for the systems' names.
const LABEL: usize = 13;

impl Ladder {
    /// For a terminal.
    pub fn text(&self, style: Style) -> String {
        let width = (WIDTH - LABEL) / COLUMNS.len();
        let line = |cells: Vec<String>, tones: &[Option<Tone>]| {
            let mut line = String::new();
            for (at, text) in cells.iter().enumerate() {
                let width = match at {
                    0 => LABEL,
                    // The rest of the line.
                    1 => width + 1,
                    _ => width,
                };
                let padding = " ".repeat(width.saturating_sub(text.chars().count()));
                let tone = tones.get(at).copied().flatten();
                line.push_str(&tone.map_or(text.clone(), |tone| style.paint(tone, text)));
                line.push_str(&padding);
            }
            line.trim_end().to_string()
        };
        let at = |lines: &[String], at: usize| lines.get(at).cloned().unwrap_or_default();
        let names: Vec<Vec<String>> = COLUMNS.iter().map(|column| broken_name(column.name, width - 1)).collect();
        let height = names.iter().map(Vec::len).max().unwrap_or(1);
        let strong = [Some(Tone::Strong); COLUMNS.len() + 1];
        let header = |row| [String::new()].into_iter().chain(names.iter().map(|name| at(name, row))).collect();
        let mut lines: Vec<String> = (0..height).map(|row| line(header(row), &strong)).collect();
        for (rung, cells) in self.rows() {
            let name = broken_name(rung.system.name(), LABEL - 1);
            let tone = |cell: &Cell| Some(if cell.bad_seeds() > 0 { Tone::Bad } else { Tone::Good });
            let tones: Vec<_> = [None].into_iter().chain(cells.iter().map(tone)).collect();
            let label = |row: usize| [at(&name, row)].into_iter();
            // With many seeds the line has no room for their number, which the legend gives.
            let fitting = |verdict: String| match verdict.split_once('/') {
                Some((short, _)) if verdict.len() >= width => short.to_string(),
                _ => verdict,
            };
            let verdicts = cells.iter().map(|cell| fitting(cell.verdict()));
            lines.push(line(label(0).chain(verdicts).collect(), &tones));
            let shares = cells.iter().map(|cell| format!("{} %", cell.percent_in_time()));
            lines.push(line(label(1).chain(shares).collect(), &[]));
            lines.extend((2..name.len()).map(|row| line(label(row).collect(), &[])));
        }
        let seeds = count(self.seeds.count(), "seed");
        let legend = format!(
            "{seeds} a cell: what was found, in how many of them; and the share of the operations offered that were \
             served in time while faults were active. forks: two nodes acknowledged conflicting operations; loses: an \
             acknowledged write is lost; stale: a read is older than an earlier one; stuck: not every client was \
             served again. Compare-and-sets are run as plain writes, except in the first column."
        );
        lines.push(String::new());
        lines.push(wrap(&legend, WIDTH, 0));
        style.plain_text(&(lines.join("\n") + "\n"))
    }

    /// As a file for people, with the command that makes it.
    pub fn markdown(&self) -> String {
        let seeds = self.seeds.iter();
        let mut text = format!(
            "# The ladder\n\nSystems that each add one idea, from two primaries to consensus, under faults of \
             one kind at a time. Made by\n\n    cargo run -- ladder --seeds {}..{} --markdown docs/LADDER.md\n\n",
            seeds.start, seeds.end
        );
        text.push_str(
            "A cell says what the checks found, in how many of the seeds, and which share of the operations offered \
             was served\nin time while faults were active (in the whole run, if there are none).\n\n\
             * **forks**: two nodes acknowledged conflicting operations as primaries at the same time (a split-brain \
             certificate).\n\
             * **loses**: an acknowledged write is proven lost.\n\
             * **stale**: no order explains the history: an answer is older than one that was given before.\n\
             * **stuck**: after the last fault not every client was served again.\n\n\
             Compare-and-sets are run as plain writes in every column but `concurrent-cas`, so that a column shows one \
             thing.\n`schism list NAME` tells a scenario's story, `schism run NAME --system SYSTEM --seed N` shows a \
             run of it\n(with its compare-and-sets).\n\n",
        );
        for column in &COLUMNS {
            text.push_str(&format!("* `{}`: {}.\n", column.name, column.about));
        }
        let names: Vec<String> = COLUMNS.iter().map(|column| format!("`{}`", column.name)).collect();
        text.push_str(&format!("\n| system | {} | what it buys | what it still loses |\n", names.join(" | ")));
        text.push_str(&format!("|{}\n", "---|".repeat(COLUMNS.len() + 3)));
        for (rung, cells) in self.rows() {
            let cell = |cell: &Cell| {
                let verdict = cell.verdict();
                let verdict = if cell.bad_seeds() > 0 { format!("**{verdict}**") } else { verdict };
                format!("{verdict}, {} %", cell.percent_in_time())
            };
            let cells: Vec<String> = cells.iter().map(cell).collect();
            let name = rung.system.name();
            text.push_str(&format!("| `{name}` | {} | {} | {} |\n", cells.join(" | "), rung.buys, rung.loses));
        }
        debug_assert_eq!(self.cells.len(), RUNGS.len() * COLUMNS.len());
        text
    }
}
