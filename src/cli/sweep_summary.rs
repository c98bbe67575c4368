//! The summary of a sweep, as text or JSON.

use super::exit::Failure;
use super::terminal::Terminal;
use schism::report::json;
use schism::report::outcome::{faults, messages};
use schism::report::style::{Style, Tone, count, hang};
use schism::sweep::Summary;
use schism::zoo::rates::Power;
use serde::Serialize;

/// A summary, and how much it proves if nothing failed.
#[derive(Serialize)]
struct Worth<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    power: Option<&'a Power>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<&'a str>,
}

/// Prints the summary, and the command that goes on with the sweep.
pub fn print(summary: &Summary, resume: Option<&str>, terminal: &mut Terminal) -> Result<(), Failure> {
    let power = power(summary);
    if terminal.json {
        return terminal.line(&json::line("sweep", Worth { summary, power: power.as_ref(), resume }));
    }
    terminal.print(&text(summary, power.as_ref(), terminal.style))?;
    resume.map_or(Ok(()), |command| terminal.line(&format!("go on with: {command}")))
}

/// What a sweep is worth in which nothing failed.
pub fn power(summary: &Summary) -> Option<Power> {
    let is_clean = summary.violations + summary.faults_of_the_harness() == 0;
    if is_clean { Power::of(&summary.scenario, summary.seeds - summary.inconclusive) } else { None }
}

/// What was found, in one line.
fn verdicts(summary: &Summary, style: Style) -> String {
    let mut verdicts = vec![count(summary.violations, "violation"), format!("{} inconclusive", summary.inconclusive)];
    if summary.liveness_failures > 0 {
        verdicts.push(format!("{} not live", summary.liveness_failures));
    }
    if summary.panics + summary.hangs > 0 {
        verdicts.push(format!("{}, {}", count(summary.panics, "panic"), count(summary.hangs, "hang")));
    }
    if summary.deaths > 0 {
        verdicts.push(format!("{} ended their process", count(summary.deaths, "seed")));
    }
    if !summary.differing.is_empty() {
        verdicts.push(format!("{} not deterministic", count(summary.differing.len() as u64, "seed")));
    }
    let bad = summary.violations + summary.faults_of_the_harness() > 0;
    style.paint(if bad { Tone::Bad } else { Tone::Good }, &verdicts.join(", "))
}

fn text(summary: &Summary, power: Option<&Power>, style: Style) -> String {
    let verdicts = verdicts(summary, style);
    let mut lines =
        vec![format!("{} under {}, {}: {verdicts}", summary.scenario, summary.system, count(summary.seeds, "seed"))];
    let mut figure = |name: &str, text: String| lines.push(hang(&format!("  {name:<11}"), &text, 13));
    if !summary.checks.is_empty() {
        let checks: Vec<String> = summary
            .checks
            .iter()
            .map(|(check, seeds)| format!("{} in {}", check.name(), count(*seeds, "seed")))
            .collect();
        figure("failed", checks.join(", "));
    }
    figure(
        "operations",
        format!(
            "{}: {} acknowledged, {} failed, {} unknown, {} conflicting, {} lost",
            summary.operations,
            summary.acked,
            summary.failed,
            summary.unknown,
            summary.conflicting_acks,
            summary.lost_acked_writes
        ),
    );
    figure("messages", messages(&summary.counters));
    let leaders = count(summary.leader_changes, "leader change");
    figure("faults", format!("{}; {leaders}", faults(&summary.counters)));
    let occurred = summary.situations.iter().filter(|(_, seeds)| **seeds > 0);
    let occurred: Vec<String> = occurred.map(|(situation, seeds)| format!("{} {seeds}", situation.name())).collect();
    if !occurred.is_empty() {
        figure("situations", format!("(seeds that met them) {}", occurred.join(", ")));
    }
    let never = summary.situations.iter().filter(|(_, seeds)| **seeds == 0);
    let never: Vec<&str> = never.map(|(situation, _)| situation.name()).collect();
    if !never.is_empty() {
        figure("never", never.join(", "));
    }
    if !summary.never_together.is_empty() {
        let pairs: Vec<String> = summary.never_together.iter().map(|pair| pair.join(" + ")).collect();
        figure("apart", format!("(kinds of fault never in one seed) {}", pairs.join(", ")));
    }
    if summary.resumed > 0 {
        figure("resumed", format!("{} were in the file", count(summary.resumed, "seed")));
    }
    let left = (summary.not_run > 0).then(|| format!("{} did not run", count(summary.not_run, "seed")));
    let stopped: Vec<String> = summary.stopped.iter().map(|why| format!("by {why}")).chain(left).collect();
    if !stopped.is_empty() {
        figure("stopped", stopped.join("; "));
    }
    if summary.compared > 0 && summary.differing.is_empty() {
        let compared = count(summary.compared, "seed");
        figure("sample", format!("{compared} alone in a process and after others in one: the same digests"));
    }
    if let Some(power) = power {
        figure("power", power.sentence());
    }
    // Read from a file: how long it took is not known.
    if summary.wall_s > 0.0 {
        figure("speed", speed(summary));
    }
    style.plain_text(&(lines.join("\n") + "\n"))
}

fn speed(summary: &Summary) -> String {
    format!(
        "{:.0} simulated s in {:.1} s, {:.0} seeds a minute ({} at once, {} ms ticks, {} nodes, {} hosts, {})",
        summary.simulated_now_s(),
        summary.wall_s,
        summary.seeds_per_minute,
        summary.jobs,
        summary.tick_ms,
        summary.nodes,
        summary.hosts,
        summary.profile
    )
}
