//! A story: predictions beside measurements, in 80 columns.
//!
//! * [`answer`]: the file that a student hands in. [`class`]: what a class handed in, as one HTML file.
//! * [`case`]: a case as far as it is solved.
//! * [`page`]: the comparison as one HTML file. [`drawn`]: what it draws, and lessons in a browser too.

pub mod answer;
pub mod case;
pub mod class;
pub mod drawn;
pub mod page;

use super::json;
use super::style::{Style, Tone, WIDTH, wrap};
use crate::stories::claim::Claim;
use crate::stories::evidence::Table;
use crate::stories::{StoryFile, StoryRun, Telling};
use crate::trace::digest::{self, Digest};
use serde::Serialize;
use std::collections::BTreeMap;

/// Columns for what is claimed.
const LABEL: usize = 35;

/// The runs of a story as text: the claims, then what they rest on.
pub fn telling(file: &StoryFile, told: &Telling, verbose: bool, style: Style) -> String {
    let title = format!("{}, seed {}: {}", file.name, told.seed, file.title);
    let mut text = vec![style.paint(Tone::Strong, &wrap(&title, WIDTH, 2))];
    text.push(claims(file, &told.claims, style));
    text.push(String::new());
    text.push("Assumed:".into());
    text.extend(file.model.assumptions().iter().map(|assumed| wrap(&format!("  * {assumed}"), WIDTH, 4)).map(bulleted));
    text.push("Modelled, not run:".into());
    text.extend(file.model.modelled().iter().map(|what| wrap(&format!("  * {what}"), WIDTH, 4)).map(bulleted));
    if verbose {
        text.push(String::new());
        text.extend(
            told.claims
                .iter()
                .map(|claim| wrap(&format!("{}, {}: {}", claim.variant, claim.name, claim.because), WIDTH, 2)),
        );
        for run in &told.runs {
            text.push(String::new());
            text.push(style.paint(Tone::Strong, &format!("{}, digest {}", run.setup.variant, run.digest)));
            text.extend(run.observed.evidence.iter().map(table));
        }
    }
    text.push(String::new());
    text.push(style.paint(Tone::Dim, &format!("seed {}, digest {}", told.seed, told.digest())));
    style.plain_text(&(text.join("\n") + "\n"))
}

/// The claims of a story, beneath the comparison of the systems under the scenario of the same name.
pub fn beside(file: &StoryFile, told: &Telling, style: Style) -> String {
    let title = format!("The story {} (schism lesson {}): {}", file.name, file.name, file.title);
    let text = format!("\n{}\n{}\n", wrap(&title, WIDTH, 2), claims(file, &told.claims, style));
    style.plain_text(&text)
}

/// `wrap` removes spaces before the first word.
fn bulleted(text: String) -> String {
    format!("  {text}")
}

/// Every claim, by variant, and how many hold.
pub fn claims(file: &StoryFile, claims: &[Claim], style: Style) -> String {
    let mut text = vec![
        style
            .paint(Tone::Strong, &format!("{:LABEL$}{:>13}{:>13}{:>13}  {}", "", "predicted", "measured", "within", ""))
            .trim_end()
            .to_string(),
    ];
    for variant in
        file.model.variants().iter().filter(|variant| claims.iter().any(|claim| claim.variant == variant.name))
    {
        text.push(
            style.paint(Tone::Strong, &wrap(&format!("{}: {}", variant.name, file.model.what(variant)), WIDTH, 2)),
        );
        for claim in claims.iter().filter(|claim| claim.variant == variant.name) {
            text.push(line(claim, style));
        }
    }
    let hold = claims.iter().filter(|claim| claim.holds).count();
    let tone = if hold == claims.len() { Tone::Good } else { Tone::Bad };
    text.push(style.paint(tone, &format!("{hold} of {} claims hold", claims.len())));
    text.join("\n")
}

fn line(claim: &Claim, style: Style) -> String {
    let unit = &claim.unit;
    let measured = claim.measured.map_or("nothing".into(), |value| quantity(value, unit));
    let holds = if claim.holds { style.paint(Tone::Good, "yes") } else { style.paint(Tone::Bad, "NO") };
    let (predicted, within) = (quantity(claim.predicted, unit), quantity(claim.tolerance, unit));
    let name = wrap(&claim.name, LABEL - 4, 4);
    let last = name.lines().last().unwrap_or_default();
    let first = &name[..name.len() - last.len()];
    let indent = if first.is_empty() { "" } else { "  " };
    let width = LABEL - 2 - indent.len();
    format!(
        "  {first}{indent}{:width$}{predicted:>13}{measured:>13}{within:>13}  {holds}",
        last.strip_prefix("  ").filter(|_| !first.is_empty()).unwrap_or(last)
    )
}

/// A value with as many decimals as three digits need.
pub fn quantity(value: f64, unit: &str) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    // Shares are read with one decimal everywhere.
    let decimals = if unit == "%" { 1 } else { decimals };
    format!("{value:.decimals$} {unit}")
}

/// A table of evidence.
pub fn table(table: &Table) -> String {
    let cells = |at: usize| table.rows.iter().map(move |row| row[at].as_str());
    let widths: Vec<usize> = (0..table.header.len())
        .map(|at| cells(at).map(|cell| cell.chars().count()).max().unwrap_or(0).max(table.header[at].chars().count()))
        .collect();
    let set = |row: &[String]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            // Names to the left, figures to the right.
            if at == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_string()
    };
    let mut text = vec![wrap(&format!("{}:", table.title), WIDTH, 2), set(&table.header)];
    text.extend(table.rows.iter().map(|row| set(row)));
    text.join("\n")
}

#[derive(Serialize)]
struct RunLine<'a> {
    story: &'a str,
    variant: &'a str,
    seed: u64,
    digest: Digest,
    measured: BTreeMap<&'a str, f64>,
    simulated_s: f64,
    tick_ms: u64,
    hosts: usize,
}

#[derive(Serialize)]
struct TellingLine<'a> {
    scenario: &'a str,
    seed: u64,
    schedule_digest: Digest,
    script_digest: Digest,
    as_expected: bool,
    unexpected: Vec<String>,
    inconclusive: [(); 0],
    first_availability_difference: Option<()>,
    first_safety_difference: Option<()>,
    targets: BTreeMap<&'a str, ()>,
    digest: Digest,
    assumptions: Vec<String>,
    modelled: &'a [&'a str],
    claims: &'a [Claim],
}

/// The line of one variant's run.
pub fn variant(file: &StoryFile, run: &StoryRun) -> String {
    let measured = run.observed.measured.iter();
    let line = RunLine {
        story: &file.name,
        variant: run.setup.variant,
        seed: run.setup.seed,
        digest: run.digest,
        measured: measured.map(|found| (found.claim, found.value)).collect(),
        simulated_s: run.observed.simulated_s,
        tick_ms: run.observed.tick_ms,
        hosts: run.observed.hosts,
    };
    json::line("variant", line)
}

/// The lines of a telling: every variant, then the comparison.
pub fn lines(file: &StoryFile, told: &Telling) -> Vec<String> {
    let mut lines: Vec<String> = told.runs.iter().map(|run| variant(file, run)).collect();
    let broken = told.claims.iter().filter(|claim| !claim.holds);
    let (load, faults) = (file.model.load(told.seed), file.model.faults());
    lines.push(json::line(
        "comparison",
        TellingLine {
            scenario: &file.name,
            seed: told.seed,
            // Through JSON, as the schedule of any run.
            schedule_digest: digest::of(&serde_json::to_string(&faults).expect("faults are plain data")),
            script_digest: digest::of(&load),
            as_expected: told.holds(),
            unexpected: broken.map(|claim| format!("{}: {}", claim.variant, claim.name)).collect(),
            inconclusive: [],
            first_availability_difference: None,
            first_safety_difference: None,
            targets: BTreeMap::new(),
            digest: told.digest(),
            assumptions: file.model.assumptions(),
            modelled: file.model.modelled(),
            claims: &told.claims,
        },
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, measured: Option<f64>, holds: bool) -> Claim {
        Claim {
            name: name.into(),
            variant: "immediate".into(),
            predicted: 210.0,
            measured,
            unit: "tries".into(),
            tolerance: 31.5,
            holds,
            because: String::new(),
        }
    }

    #[test]
    fn claims_fit_the_terminal_and_say_which_fail() {
        let file = crate::stories::find("retry-storm").unwrap();
        let long = "a claim whose name is so long that it does not fit into its column at all";
        let all =
            [claim("queue", Some(209.6), true), claim(long, Some(1.234), false), claim("never seen", None, false)];
        let text = claims(&file, &all, Style::PLAIN);
        for part in
            ["210 tries    210 tries   31.5 tries  yes", "1.23 tries   31.5 tries  NO", "nothing", "1 of 3 claims hold"]
        {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= WIDTH && line == line.trim_end()), "{text}");
    }

    #[test]
    fn a_table_lines_up() {
        let mut shown = Table::new("sockets", &["state", "count"]);
        shown.row(["ESTABLISHED".into(), "7".into()]);
        shown.row(["TIME_WAIT".into(), "1234".into()]);
        assert_eq!(table(&shown), "sockets:\n  state        count\n  ESTABLISHED      7\n  TIME_WAIT     1234");
    }

    #[test]
    fn a_quantity_has_three_digits() {
        let shown = [0.0, 0.1234, 9.996, 12.34, 123.4].map(|value| quantity(value, "s"));
        assert_eq!(shown, ["0.00 s", "0.12 s", "10.0 s", "12.3 s", "123 s"]);
        assert_eq!(quantity(97.62, "%"), "97.6 %");
    }
}
