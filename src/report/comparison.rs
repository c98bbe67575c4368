//! The comparison: what each system did under the same cut, side by side.

use super::overlap::overlap;
use super::style::{Style, Tone, WIDTH, seconds, wrap};
use super::timeline::{self, timeline};
use crate::fault::model::Fault;
use crate::kv;
use crate::run::compare::{Ended, Seen, is_safety, resolved_targets, unmet};
use crate::run::{Comparison, Difference, Liveness, Outcome, Run, Verdict};
use crate::trace::Trace;

/// Columns for the names of the rows.
const LABEL: usize = 26;

/// A comparison as text of 80 columns: the figures that differ and why, then the timeline.
///
/// `verbose` adds the rows that explain more than they decide (per node, per period, messages), every
/// certificate and the faults.
pub fn comparison(comparison: &Comparison, verbose: bool, style: Style) -> String {
    let Some(first) = comparison.runs.first() else { return String::new() };
    let title = format!("{}, seed {}: {}", first.outcome.scenario, first.outcome.seed, first.explicit.title);
    let mut text = vec![style.paint(Tone::Strong, &wrap(&title, WIDTH, 2))];
    text.push(header(&comparison.runs, style));
    text.extend(rows(&comparison.runs, verbose, style));
    text.push(String::new());
    text.extend(evidence(comparison, verbose, style));
    if verbose {
        text.push(String::new());
        text.extend(faults(&comparison.runs));
    }
    style.plain_text(&(text.join("\n") + "\n\n")) + &timeline(&comparison.runs, style)
}

/// A cell and how it is meant.
struct Cell(String, Option<Tone>);

impl Cell {
    fn plain(text: impl ToString) -> Cell {
        Cell(text.to_string(), None)
    }

    /// Bad when `bad`, else good.
    fn judged(text: impl ToString, bad: bool) -> Cell {
        Cell(text.to_string(), Some(if bad { Tone::Bad } else { Tone::Good }))
    }
}

fn columns(runs: usize) -> usize {
    (WIDTH - LABEL) / runs.max(1)
}

fn header(runs: &[Run], style: Style) -> String {
    let width = columns(runs.len());
    let names: String = runs.iter().map(|run| format!("{:width$}", run.outcome.system)).collect();
    style.paint(Tone::Strong, format!("{:LABEL$}{names}", "").trim_end())
}

/// One row; a cell too long for its column is cut short rather than breaking the table.
fn row(label: &str, cells: Vec<Cell>, style: Style) -> String {
    let width = columns(cells.len());
    let mut line = format!("{:LABEL$}", label.chars().take(LABEL - 1).collect::<String>());
    for Cell(text, tone) in cells {
        let text: String = text.chars().take(width - 1).collect();
        let padding = " ".repeat(width - text.chars().count());
        line.push_str(&tone.map_or(text.clone(), |tone| style.paint(tone, &text)));
        line.push_str(&padding);
    }
    line.trim_end().to_string()
}

fn rows(runs: &[Run], verbose: bool, style: Style) -> Vec<String> {
    let mut rows = Vec::new();
    let mut add =
        |label: &str, cell: &dyn Fn(&Run) -> Cell| rows.push(row(label, runs.iter().map(cell).collect(), style));
    add("acknowledged", &|run| Cell::plain(format!("{} of {}", run.outcome.acked, offered(&run.outcome))));
    add("failed / unknown", &|run| Cell::plain(format!("{} / {}", run.outcome.failed, run.outcome.unknown)));
    for site in sites(runs) {
        let periods: &[(&str, &str)] = if verbose {
            &[("settled", "under faults"), ("faults", "whole cut"), ("run", "whole run")]
        } else {
            &[("settled", "under faults")]
        };
        for (during, what) in periods {
            add(&format!("{site} acked, {what}"), &|run| availability(&run.outcome, site, during));
        }
    }
    add("recovered after", &|run| match (run.outcome.liveness, run.outcome.recovered_ms) {
        (Liveness::Failed, _) => Cell::judged("not in time", true),
        (_, Some(ms)) => Cell::plain(seconds(ms * 1_000_000)),
        (_, None) => Cell::plain("-"),
    });
    add("two primaries for", &|run| Cell::plain(two_primaries(run)));
    add("conflicting acks", &|run| Cell::judged(run.outcome.conflicting_acks, run.outcome.conflicting_acks > 0));
    add("lost acked writes", &|run| Cell::judged(run.outcome.lost_acked_writes, run.outcome.lost_acked_writes > 0));
    add("linearizable", &|run| match run.outcome.linearizable {
        Some(true) => Cell::judged("yes", false),
        Some(false) => Cell::judged("no", true),
        None => Cell("unknown, budget spent".into(), Some(Tone::Warn)),
    });
    if verbose {
        add("replicas equal at the end", &|run| Cell::judged(yes(run.outcome.converged), !run.outcome.converged));
        add("leader changes", &|run| Cell::plain(run.outcome.leader_changes));
        add("messages sent", &|run| Cell::plain(run.outcome.counters.messages_sent));
        add("dropped / reordered / twice", &|run| {
            let counters = &run.outcome.counters;
            let (dropped, reordered) = (counters.messages_dropped, counters.messages_reordered);
            Cell::plain(format!("{dropped} / {reordered} / {}", counters.messages_duplicated))
        });
        for node in nodes(&runs[0].trace) {
            add(&format!("acknowledged by {node}"), &|run| {
                Cell::plain(run.outcome.acks_by_node.get(node).copied().unwrap_or(0))
            });
        }
        add("digest", &|run| Cell(run.outcome.digest.to_string().chars().take(16).collect(), Some(Tone::Dim)));
    }
    add("verdict", &|run| verdict(run));
    rows
}

fn yes(it_is: bool) -> &'static str {
    if it_is { "yes" } else { "no" }
}

fn nodes(trace: &Trace) -> Vec<&str> {
    trace.node_ids().map(|node| trace.name(node)).collect()
}

fn offered(outcome: &Outcome) -> u64 {
    outcome.acked + outcome.failed + outcome.unknown
}

/// The sites that have clients, in the scenario's order.
fn sites(runs: &[Run]) -> Vec<&str> {
    runs[0].explicit.sites.iter().filter(|site| site.clients > 0).map(|site| site.name.as_str()).collect()
}

fn availability(outcome: &Outcome, site: &str, during: &str) -> Cell {
    let figure = outcome.availability.iter().find(|figure| figure.site == site && figure.during == during);
    match figure {
        Some(figure) if figure.offered > 0 => {
            let (acked, offered) = (figure.acked, figure.offered);
            // Rounded down: 100 % must mean every one.
            Cell::plain(format!("{:>3} %  ({acked} of {offered})", acked * 100 / offered))
        }
        _ => Cell::plain("-"),
    }
}

/// For how long two nodes acted as primary of the same keys, and what each acknowledged meanwhile.
fn two_primaries(run: &Run) -> String {
    let overlap = overlap(&run.trace);
    let mut text = format!("{:.1} s", run.outcome.acting_primaries_overlap_s);
    if !overlap.acknowledged.is_empty() {
        let each = overlap.acknowledged.iter().map(|(node, acks)| format!("{} {acks}", run.trace.name(*node)));
        text.push_str(&format!(" ({})", each.collect::<Vec<_>>().join(", ")));
    }
    text
}

fn verdict(run: &Run) -> Cell {
    let outcome = &run.outcome;
    let expected = unmet(&run.explicit, outcome).is_empty();
    match outcome.verdict {
        Verdict::Inconclusive => Cell("inconclusive".into(), Some(Tone::Warn)),
        verdict => {
            let name = if verdict == Verdict::Pass { "pass" } else { "violation" };
            Cell::judged(format!("{name}, {}expected", if expected { "as " } else { "not " }), !expected)
        }
    }
}

/// The certificates, the first differences, and what was not as expected.
fn evidence(comparison: &Comparison, verbose: bool, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for run in &comparison.runs {
        let mut found: Vec<_> = run.outcome.violations.iter().collect();
        // The strongest evidence first: a split-brain certificate says more than the broken history it implies.
        found.sort_by_key(|violation| (!is_safety(violation.check), std::cmp::Reverse(violation.check)));
        let shown = if verbose { found.len() } else { 1 };
        for violation in found.iter().take(shown) {
            let check = violation.check.name();
            lines.push(wrap(&format!("{}, {check}: {}", run.outcome.system, violation.certificate.sentence), WIDTH, 2));
        }
    }
    if let Some(difference) = &comparison.first_availability_difference {
        lines.push(wrap(&format!("First served by one only: {}", sentence(difference)), WIDTH, 2));
    }
    if let Some(difference) = &comparison.first_safety_difference {
        lines.push(wrap(&format!("First served wrongly: {}", sentence(difference)), WIDTH, 2));
    }
    for why in &comparison.unexpected {
        lines.push(style.paint(Tone::Bad, &wrap(&format!("Not as expected: {why}"), WIDTH, 2)));
    }
    for why in &comparison.inconclusive {
        lines.push(style.paint(Tone::Warn, &wrap(&format!("Inconclusive: {why}"), WIDTH, 2)));
    }
    lines
}

/// `#267 of client 3, put k0=12 at 9.480 s: raft failed, dual-primary done at n4`; the operation once where all
/// systems were asked the same.
fn sentence(difference: &Difference) -> String {
    let ops: Vec<String> = difference.saw.iter().map(|seen| seen.op.to_string()).collect();
    let same = ops.iter().all(|op| *op == ops[0]);
    let asked = if same { format!(", {}", ops[0]) } else { String::new() };
    let ends: Vec<String> = difference.saw.iter().map(|seen| end(seen, !same)).collect();
    let (id, client, at) = (difference.operation, difference.client, seconds(difference.planned_ns));
    format!("#{id} of client {client}{asked} at {at}: {}", ends.join(", "))
}

fn end(seen: &Seen, with_op: bool) -> String {
    let asked = if with_op { format!(" {}", seen.op) } else { String::new() };
    let by = seen.by.as_ref().map_or(String::new(), |by| format!(" at {by}"));
    let how = match (seen.status, seen.outcome) {
        (Ended::Ok, Some(outcome @ kv::Outcome::Value(_))) => format!("read {outcome}{by}"),
        (Ended::Ok, Some(outcome)) => format!("{outcome}{by}"),
        (Ended::Ok, None) => format!("ok{by}"),
        (Ended::Fail, _) => "failed".into(),
        (Ended::Info, _) => "unknown".into(),
    };
    format!("{}{asked} {how}", seen.system)
}

/// Every fault of the schedule, with what its role-named targets were under each system.
fn faults(runs: &[Run]) -> Vec<String> {
    let schedule = runs[0].explicit.explicit.as_ref().map_or(&[][..], |explicit| &explicit.schedule);
    let targets: Vec<_> = runs.iter().map(|run| (run.outcome.system.as_str(), resolved_targets(run))).collect();
    let one = |(index, fault): (usize, &Fault)| {
        let until = fault.ends_ms().map_or("the end".into(), |ms| seconds(ms * 1_000_000));
        let mut line = format!(
            "fault {index}: {} from {} to {until}",
            timeline::name(&fault.kind),
            seconds(fault.at_ms * 1_000_000)
        );
        for (system, resolved) in &targets {
            for found in resolved.iter().filter(|resolved| resolved.fault as usize == index) {
                let target = found.target.as_deref().unwrap_or("target");
                line.push_str(&format!(", {target} was {} in {system}", found.host));
            }
        }
        wrap(&line, WIDTH, 2)
    };
    schedule.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::run::compare::judge;

    fn compared(systems: &[&str]) -> Comparison {
        let scenario = sample::scenario();
        judge(&scenario, systems.iter().map(|system| sample::run(&scenario, system, 7)).collect())
    }

    #[test]
    fn the_compact_form_fits_a_readme() {
        let text = comparison(&compared(&["raft", "dual-primary"]), false, Style::PLAIN);
        let (table, picture) = text.split_once("\n\ntime").unwrap();
        assert!(table.lines().count() <= 20, "{table}");
        assert!(picture.lines().count() <= 20, "{picture}");
        for line in text.lines() {
            assert!(line.len() <= WIDTH && line.is_ascii() && line == line.trim_end(), "`{line}`");
        }
    }

    #[test]
    fn it_says_what_each_system_did() {
        let text = comparison(&compared(&["raft", "dual-primary"]), false, Style::PLAIN);
        for part in [
            "split-brain, seed 7",
            "east acked, under faults    0 %  (0 of 150)",
            "100 %  (150 of 150)",
            "10.9 s (n1 195, n4 195)",
            "violation, as expected",
            "neither node had applied the other's operation",
            "First served by one only: #",
            "First served wrongly: #267 of client 3",
        ] {
            let joined = text.replace("\n  ", " ");
            assert!(joined.contains(part), "{part} in:\n{text}");
        }
    }

    #[test]
    fn what_is_not_expected_is_said() {
        let mut scenario = sample::scenario();
        scenario.expect.get_mut("raft").unwrap().safety = crate::scenario::Safety::SplitBrain;
        let comparison = judge(&scenario, vec![sample::run(&scenario, "raft", 7)]);
        assert!(!comparison.as_expected);
        let text = super::comparison(&comparison, false, Style::PLAIN);
        assert!(text.contains("Not as expected: raft was to show a certified split-brain"), "{text}");
        assert!(text.contains("pass, not expected"), "{text}");
    }

    #[test]
    fn the_verbose_form_has_nodes_periods_and_faults() {
        let text = comparison(&compared(&["raft", "dual-primary"]), true, Style::PLAIN);
        for part in ["acknowledged by n5", "east acked, whole run", "fault 0: partition from 8.000 s to 20.000 s"] {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= WIDTH));
    }
}
