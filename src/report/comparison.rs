//! The comparison: what each system did under the same cut, side by side.

use super::style::{Style, Tone, WIDTH, broken_name, seconds, wrap};
use super::timeline::timeline;
use crate::check::primaries::{acknowledged_during, overlaps};
use crate::fault::model::Fault;
use crate::kv;
use crate::run::compare::{Ended, Seen, is_safety, resolved_targets, unmet};
use crate::run::{Comparison, Difference, Liveness, Outcome, Run, Served, Verdict};
use crate::trace::Trace;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Columns for the names of the rows.
const LABEL: usize = 26;

/// A comparison as text of 80 columns: the figures that differ and why, then the timeline.
///
/// `verbose` adds the rows that explain more than they decide (per node, per period, messages), every
/// certificate and the faults.
pub fn comparison(comparison: &Comparison, verbose: bool, style: Style) -> String {
    let Some(first) = comparison.runs.first() else { return String::new() };
    let title = format!("{}, seed {}: {}", first.outcome.scenario, first.outcome.seed, first.scenario.title);
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

/// A cell and its tone.
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
    let names: Vec<_> = runs.iter().map(|run| broken_name(&run.outcome.system, width - 1)).collect();
    let height = names.iter().map(Vec::len).max().unwrap_or(1);
    let line = |at: usize| {
        let cells = names.iter().map(|name| format!("{:width$}", name.get(at).map_or("", String::as_str)));
        style.paint(Tone::Strong, format!("{:LABEL$}{}", "", cells.collect::<String>()).trim_end())
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

/// One row; a cell too long for its column continues below.
fn row(label: &str, cells: Vec<Cell>, style: Style) -> String {
    let width = columns(cells.len());
    let broken: Vec<String> = cells.iter().map(|Cell(text, _)| wrap(text, width - 1, 0)).collect();
    let height = broken.iter().map(|text| text.lines().count()).max().unwrap_or(1).max(1);
    let line = |at: usize| {
        let mut line = format!("{:LABEL$}", if at == 0 { label } else { "" });
        for (Cell(_, tone), text) in cells.iter().zip(&broken) {
            let text = text.lines().nth(at).unwrap_or("");
            let padding = " ".repeat(width.saturating_sub(text.chars().count()));
            line.push_str(&tone.map_or(text.to_string(), |tone| style.paint(tone, text)));
            line.push_str(&padding);
        }
        line.trim_end().to_string()
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

/// The share that each site was served in time, in the strictest period there is; in all of them if `verbose`.
fn in_time(runs: &[Run], verbose: bool, style: Style) -> Vec<String> {
    let mut rows = Vec::new();
    let whole = ["settled", "faults", "run"];
    // The strictest period there is: a run without faults has the last only.
    let has = |during: &str| runs.iter().any(|run| run.outcome.served(during).offered > 0);
    let periods: Vec<&str> = whole.into_iter().filter(|during| has(during)).collect();
    for during in periods.iter().take(if verbose { usize::MAX } else { 1 }) {
        rows.push(heading(&runs[0].outcome, during));
        for site in sites(runs) {
            // A long site name loses its end: columns stay columns.
            let cells = runs.iter().map(|run| availability(&run.outcome, site, during)).collect();
            rows.push(row(&format!("  {site:.22}"), cells, style));
        }
    }
    rows
}

fn rows(runs: &[Run], verbose: bool, style: Style) -> Vec<String> {
    let mut rows = in_time(runs, verbose, style);
    let mut add =
        |label: &str, cell: &dyn Fn(&Run) -> Cell| rows.push(row(label, runs.iter().map(cell).collect(), style));
    add("  in the whole run", &|run| share(run.outcome.served("run")));
    add("late / unserved", &|run| {
        let all = run.outcome.served("run");
        Cell::plain(format!("{} / {}", all.late, all.unserved))
    });
    add("recovered after", &|run| match (run.outcome.liveness, run.outcome.recovered_ms) {
        (Liveness::Failed, _) => Cell::judged("not in time", true),
        (_, Some(ms)) => Cell::plain(seconds(ms * 1_000_000)),
        (_, None) => Cell::plain("-"),
    });
    add("two primaries for", &|run| Cell::plain(two_primaries(run)));
    add("conflicting / lost acks", &|run| {
        let (conflicting, lost) = (run.outcome.conflicting_acks, run.outcome.lost_acked_writes);
        Cell::judged(format!("{conflicting} / {lost}"), conflicting + lost > 0)
    });
    add("linearizable", &|run| match run.outcome.linearizable {
        Some(true) => Cell::judged("yes", false),
        Some(false) => Cell::judged("no", true),
        None => Cell("unknown, budget spent".into(), Some(Tone::Warn)),
    });
    if verbose {
        add("replicas equal at the end", &|run| Cell::judged(yes(run.outcome.converged), !run.outcome.converged));
        add("moves of the primary", &|run| Cell::plain(run.outcome.leader_changes));
        add("messages sent", &|run| Cell::plain(run.outcome.counters.messages_sent));
        add("lost / reordered / twice", &|run| {
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

/// The sites that have clients, in the scenario's order.
fn sites(runs: &[Run]) -> Vec<&str> {
    runs[0].scenario.sites.iter().filter(|site| site.clients > 0).map(|site| site.name.as_str()).collect()
}

/// What the rows below are about, with the window in seconds.
fn heading(outcome: &Outcome, during: &str) -> String {
    let window = outcome.availability.iter().find(|figure| figure.during == during);
    let at = |ms: Option<u64>| seconds(ms.unwrap_or(0) * 1_000_000);
    let (from, until) = (at(window.map(|window| window.from_ms)), at(window.map(|window| window.until_ms)));
    let what = match during {
        "settled" => "under faults, after 3 election time-outs",
        "faults" => "under faults",
        _ => "whole run",
    };
    wrap(&format!("served in time, {from} to {until} ({what})"), WIDTH, 2)
}

fn availability(outcome: &Outcome, site: &str, during: &str) -> Cell {
    let mut figures = outcome.availability.iter().filter(|figure| figure.site == site && figure.during == during);
    figures.next().map_or(Cell::plain("-"), |figure| share(figure.served))
}

/// The share of the offered that was served in time; rounded down, since 100 % must mean every one.
fn share(Served { offered, served_in_time, .. }: Served) -> Cell {
    match (served_in_time * 100).checked_div(offered) {
        Some(percent) => Cell::plain(format!("{percent} % ({served_in_time} of {offered})")),
        None => Cell::plain("-"),
    }
}

/// Why two primaries at once were no split-brain, if they were none.
fn two_believers(run: &Run) -> Option<String> {
    let outcome = &run.outcome;
    // A shorter time would be shown as 0.0 s.
    if outcome.acting_primaries_overlap_s < 0.05 || outcome.linearizable != Some(true) {
        return None;
    }
    let each = acknowledged_meanwhile(run).unwrap_or_else(|| "nothing".to_string());
    Some(format!(
        "{}, two primaries for {:.1} s and no split-brain: a deposed primary believes in itself until it hears of its \
         successor. Acknowledged meanwhile: {each}; nothing contradicts.",
        outcome.system, outcome.acting_primaries_overlap_s
    ))
}

/// For how long two nodes acted as primary of the same keys, and what each acknowledged meanwhile.
fn two_primaries(run: &Run) -> String {
    let text = format!("{:.1} s", run.outcome.acting_primaries_overlap_s);
    acknowledged_meanwhile(run).map_or_else(|| text.clone(), |each| format!("{text} ({each})"))
}

/// What each of several simultaneous primaries acknowledged; `None` if there never were several.
fn acknowledged_meanwhile(run: &Run) -> Option<String> {
    let acknowledged = acknowledged_during(&overlaps(&run.trace), &run.history, &run.trace);
    let each: Vec<_> = acknowledged.iter().map(|(node, acks)| format!("{} {acks}", run.trace.name(*node))).collect();
    (!each.is_empty()).then(|| each.join(", "))
}

fn verdict(run: &Run) -> Cell {
    let outcome = &run.outcome;
    let expected = unmet(&run.scenario, outcome).is_empty();
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
        let most = if verbose { SHOWN } else { 1 };
        let found = certificates(&run.outcome, most, if verbose { usize::MAX } else { 1 });
        lines.extend(found.iter().map(|text| wrap(&format!("{}, {text}", run.outcome.system), WIDTH, 2)));
    }
    lines.extend(comparison.runs.iter().filter_map(two_believers).map(|text| wrap(&text, WIDTH, 2)));
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

/// How many certificates of one check are worth a person's time.
pub(super) const SHOWN: usize = 3;

/// The evidence of a run, at most `most` of each check and of `checks` checks, and how many there are more.
/// The strongest first: a split-brain certificate says more than the broken history that it implies.
pub(super) fn certificates(outcome: &Outcome, most: usize, checks: usize) -> Vec<String> {
    let mut found: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for violation in &outcome.violations {
        let key = (!is_safety(violation.check), Reverse(violation.check));
        found.entry(key).or_default().push(&violation.certificate.sentence);
    }
    let mut texts = Vec::new();
    for ((_, Reverse(check)), sentences) in found.into_iter().take(checks) {
        texts.extend(sentences.iter().take(most).map(|sentence| format!("{}: {sentence}", check.name())));
        if sentences.len() > most && most > 1 {
            texts.push(format!("{}: and {} more", check.name(), sentences.len() - most));
        }
    }
    texts
}

/// `#267 of client 3, put k0=12 at 9.480 s: raft failed, dual-primary done at n4`; the operation once where all
/// systems were asked the same.
pub(super) fn sentence(difference: &Difference) -> String {
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
        (Ended::Ok, Some(outcome @ kv::Response::Value(_))) => format!("read {outcome}{by}"),
        (Ended::Ok, Some(outcome)) => format!("{outcome}{by}"),
        (Ended::Ok, None) => format!("ok{by}"),
        (Ended::Fail, _) => "failed".into(),
        (Ended::Info, _) => "unknown".into(),
    };
    format!("{}{asked} {how}", seen.system)
}

/// Every fault of the schedule, with what its role-named targets were under each system.
fn faults(runs: &[Run]) -> Vec<String> {
    let schedule = runs[0].plan.faults();
    let targets: Vec<_> = runs.iter().map(|run| (run.outcome.system.as_str(), resolved_targets(run))).collect();
    let one = |(index, fault): (usize, &Fault)| {
        let until = fault.ends_ms().map_or("the end".into(), |ms| seconds(ms * 1_000_000));
        let mut line =
            format!("fault {index}: {} from {} to {until}", fault.kind.sort().title, seconds(fault.at_ms * 1_000_000));
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
        assert!(table.lines().count() <= 22, "{table}");
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
            "served in time, 11.600 s to 20.000 s (under faults, after 3 election time-outs)",
            " east                    0 % (0 of 150)",
            " in the whole run",
            "100 % (150 of 150)",
            "78 % (786 of 1000)",
            "0 / 214",
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
    fn a_cell_too_long_for_its_column_goes_on_below() {
        let cells = || vec![Cell::plain("short"), Cell::plain("20.8 s (n1 577, n2 620, n4 901, n5 12)")];
        let text = row("two primaries for", cells(), Style::PLAIN);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH) && text.contains("n5 12)"), "{text}");
    }

    #[test]
    fn many_certificates_of_one_check_are_counted_not_listed() {
        let mut run = sample::run(&sample::scenario(), "dual-primary", 7);
        run.outcome.violations = vec![run.outcome.violations[0].clone(); 9];
        let texts = certificates(&run.outcome, 3, usize::MAX);
        assert_eq!((texts.len(), texts[3].as_str()), (4, "split_brain: and 6 more"));
        assert_eq!(certificates(&run.outcome, 1, 1).len(), 1);
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
        for part in [
            "acknowledged by n5",
            "served in time, 0.000 s to 34.000 s (whole run)",
            "fault 0: partition from 8.000 s to 20.000 s",
        ] {
            assert!(text.contains(part), "{part} in:\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= WIDTH));
    }
}
