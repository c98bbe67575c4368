//! One run, for a terminal.

use super::comparison::{SHOWN, certificates};
use super::style::{Style, Tone, WIDTH, count, hang, seconds, wrap};
use crate::run::{Availability, Counters, Liveness, Outcome, Verdict};

/// The verdict and the figures of one run, in at most 80 columns.
pub fn outcome(outcome: &Outcome, style: Style) -> String {
    let (tone, verdict) = match outcome.verdict {
        Verdict::Pass => (Tone::Good, "pass"),
        Verdict::Violation => (Tone::Bad, "violation"),
        Verdict::Inconclusive => (Tone::Warn, "inconclusive"),
    };
    let mut lines = vec![format!(
        "{} under {}, seed {}: {}",
        outcome.scenario,
        outcome.system,
        outcome.seed,
        style.paint(tone, verdict)
    )];
    for text in certificates(outcome, SHOWN, usize::MAX) {
        lines.push(format!("  {}", style.paint(Tone::Bad, &wrap(&text, WIDTH - 2, 4))));
    }
    for why in &outcome.inconclusive {
        lines.push(format!("  {}", style.paint(Tone::Warn, &wrap(why, WIDTH - 2, 4))));
    }
    let counters = &outcome.counters;
    let all = outcome.served("run");
    let mut figure = |name: &str, text: String| lines.push(hang(&format!("  {name:<15}"), &text, 17));
    figure(
        "operations",
        format!(
            "{} offered: {} served in time, {} late, {} unserved",
            all.offered, all.served_in_time, all.late, all.unserved
        ),
    );
    for (name, during) in [("in time", "run"), ("under faults", "settled")] {
        if let Some(text) = in_time(outcome, during) {
            figure(name, text);
        }
    }
    let nodes: Vec<String> = outcome.acks_by_node.iter().map(|(node, acks)| format!("{node} {acks}")).collect();
    figure("acked by node", nodes.join(", "));
    figure(
        "after faults",
        match (outcome.liveness, outcome.recovered_ms) {
            (Liveness::Failed, _) => "some client was not served again in time".into(),
            (_, Some(ms)) => format!("every site was served again after {}", seconds(ms * 1_000_000)),
            (Liveness::Ok, None) => "live".into(),
            (Liveness::NotRequired, None) => "no quorum was left, so nothing is required".into(),
        },
    );
    figure(
        "primaries",
        format!(
            "{} to another node, two at once for {:.1} s, {}, {} lost",
            count(outcome.leader_changes, "move"),
            outcome.acting_primaries_overlap_s,
            count(outcome.conflicting_acks, "conflicting ack"),
            count(outcome.lost_acked_writes, "acked write")
        ),
    );
    if !outcome.inapplicable.is_empty() {
        let names: Vec<&str> = outcome.inapplicable.iter().map(|check| check.name()).collect();
        figure("do not apply", names.join(", "));
    }
    figure("messages", messages(counters));
    figure("faults", faults(counters));
    figure("digest", outcome.digest.to_string());
    style.plain_text(&(lines.join("\n") + "\n"))
}

/// The share that each site was served in time in a period; the period is named unless it is the whole run.
fn in_time(outcome: &Outcome, during: &str) -> Option<String> {
    let periods = || outcome.availability.iter().filter(|found| found.during == during && found.served.offered > 0);
    let window = periods().next()?;
    let site =
        |found: &Availability| format!("{} {} of {}", found.site, found.served.served_in_time, found.served.offered);
    let sites = periods().map(site).collect::<Vec<_>>().join(", ");
    let (from, until) = (seconds(window.from_ms * 1_000_000), seconds(window.until_ms * 1_000_000));
    Some(match during {
        "run" => sites,
        _ => format!("in time {sites} (three election time-outs on, {from} to {until})"),
    })
}

/// What happened to messages, in a run or a sweep.
pub fn messages(counters: &Counters) -> String {
    format!(
        "{} sent, {} dropped, {} reordered, {} handled twice",
        counters.messages_sent, counters.messages_dropped, counters.messages_reordered, counters.messages_duplicated
    )
}

/// What happened to links and processes, in a run or a sweep.
pub fn faults(counters: &Counters) -> String {
    format!(
        "{} ({} one-way), {}, {}, {} power losses",
        count(counters.cuts, "cut"),
        counters.one_way_cuts,
        count(counters.crashes, "kill"),
        count(counters.pauses, "pause"),
        counters.power_losses
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_violation_is_named_with_its_evidence() {
        let run = sample::run(&sample::scenario(), "dual-primary", 7);
        let text = outcome(&run.outcome, Style::PLAIN);
        assert!(
            text.starts_with("split-brain under dual-primary, seed 7: violation\n  split_brain: client 0"),
            "{text}"
        );
        assert!(text.contains(&run.outcome.digest.to_string()));
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }
}
