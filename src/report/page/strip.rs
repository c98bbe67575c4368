//! The top of the page: what was broken, how each system fared, and the command that shows it again.
//! Plain HTML, so that every reader can see this part.

use super::escaped;
use crate::check::Violation;
use crate::report::comparison::certificates;
use crate::report::style::{count, seconds};
use crate::run::compare::{is_safety, unmet};
use crate::run::{Comparison, Outcome, Run, Verdict};
use std::cmp::Reverse;

/// The header and one card per run.
pub fn strip(runs: &[Run], comparison: Option<&Comparison>, command: &str) -> String {
    let Some(first) = runs.first() else { return String::new() };
    let (scenario, outcome) = (&first.scenario, &first.outcome);
    let cards: String = runs.iter().map(card).collect();
    let paragraphs: String =
        scenario.story.trim().split("\n\n").map(|text| format!("<p>{}</p>", escaped(text))).collect();
    let story = if paragraphs.is_empty() {
        String::new()
    } else {
        format!("<details class=\"story\"><summary>The story</summary>{paragraphs}</details>")
    };
    let compared = runs.iter().filter(|run| comparison.is_some() && is_spoken_of(run));
    let notes: String = compared
        .flat_map(|run| unmet(&run.scenario, &run.outcome))
        .map(|why| format!("<p class=\"note\">{}</p>", escaped(&format!("Not as expected: {why}"))))
        .collect();
    format!(
        "<header><p class=\"where\"><b>{}</b> <span>seed {}</span> \
         <span>schedule <code title=\"{schedule}\">{}</code></span></p><h1>{}</h1>{story}\
         <p class=\"again\"><span>See it again</span> <code id=\"command\">{}</code> \
         <button type=\"button\" id=\"copy\">Copy</button></p></header>{notes}\
         <div class=\"cards\">{cards}</div>",
        escaped(&outcome.scenario),
        outcome.seed,
        &outcome.schedule_digest.to_string()[..12],
        escaped(if scenario.title.is_empty() { &outcome.scenario } else { &scenario.title }),
        escaped(command),
        schedule = outcome.schedule_digest,
    )
}

fn card(run: &Run) -> String {
    let outcome = &run.outcome;
    let verdict = outcome.verdict.name();
    let mark = match outcome.verdict {
        Verdict::Pass => "\u{2713}",
        Verdict::Violation => "\u{2717}",
        Verdict::Inconclusive => "?",
    };
    let expected = match outcome.verdict {
        Verdict::Inconclusive => ", proves nothing",
        _ if !is_spoken_of(run) => "",
        _ if unmet(&run.scenario, outcome).is_empty() => ", as expected",
        _ => ", not as expected",
    };
    let because = run.scenario.expect.get(&outcome.system).map_or("", |expectation| expectation.because.as_str());
    let because = if because.is_empty() { String::new() } else { format!("<p>{}</p>", escaped(because)) };
    let witness = strongest(outcome).map_or_else(String::new, |found| {
        format!(
            "<blockquote><b>Witness ({}).</b> {}.</blockquote>",
            found.check.name().replace('_', " "),
            escaped(found.certificate.sentence.trim_end_matches('.'))
        )
    });
    format!(
        "<section class=\"card {verdict}\" data-system=\"{system}\" data-verdict=\"{verdict}\"><h2>{system} \
         <span class=\"badge\">{mark} {verdict}{expected}</span> \
         <span class=\"digest\">digest <code title=\"{digest}\">{short}</code></span></h2>\
         <p class=\"sentence\">{sentence}</p>{because}{witness}{more}</section>",
        system = escaped(&outcome.system),
        sentence = escaped(&sentence(outcome)),
        more = more(outcome),
        digest = outcome.digest,
        short = &outcome.digest.to_string()[..12],
    )
}

/// Whether the scenario says what it expects of the run's system. If it says nothing, nothing is unexpected.
fn is_spoken_of(run: &Run) -> bool {
    run.scenario.expect.contains_key(&run.outcome.system)
}

/// The most telling violation.
fn strongest(outcome: &Outcome) -> Option<&Violation> {
    outcome.violations.iter().min_by_key(|found| (!is_safety(found.check), Reverse(found.check)))
}

/// Every certificate but the one already told.
fn more(outcome: &Outcome) -> String {
    let all = certificates(outcome, usize::MAX, usize::MAX);
    if all.len() < 2 {
        return String::new();
    }
    let items: String = all[1..].iter().map(|text| format!("<li>{}</li>", escaped(text))).collect();
    format!(
        "<details><summary>{} besides</summary><ol class=\"certificates\">{items}</ol></details>",
        count(all.len() as u64 - 1, "certificate")
    )
}

/// The result of a run, as one sentence.
fn sentence(outcome: &Outcome) -> String {
    let all = outcome.served("run");
    let operations = all.offered;
    let waited = outcome
        .availability
        .iter()
        .filter(|figure| figure.during == "settled" && figure.served.served_in_time < figure.served.offered)
        .min_by_key(|figure| figure.served.served_in_time * 1000 / figure.served.offered)
        .map_or_else(String::new, |figure| {
            let (in_time, offered) = (figure.served.served_in_time, figure.served.offered);
            let [from, until] = [figure.from_ms, figure.until_ms].map(|ms| seconds(ms * 1_000_000));
            format!(", and {} got {in_time} of {offered} under the faults, from {from} to {until}", figure.site)
        });
    match outcome.verdict {
        Verdict::Pass => {
            format!(
                "Kept every promise: {} of {operations} operations served in time, none contradicted{waited}.",
                all.served_in_time
            )
        }
        Verdict::Inconclusive => format!("Proves nothing: {}.", outcome.inconclusive.join("; ")),
        Verdict::Violation if outcome.conflicting_acks + outcome.lost_acked_writes > 0 => {
            let (conflicting, lost) = (outcome.conflicting_acks, outcome.lost_acked_writes);
            let conflicting = (conflicting > 0).then(|| format!("{conflicting} contradict each other"));
            let lost = (lost > 0).then(|| format!("{lost} were for writes that are gone"));
            let broken: Vec<String> = conflicting.into_iter().chain(lost).collect();
            format!("Broke its promises: of {} acknowledgements {}.", outcome.acked, broken.join(", and "))
        }
        Verdict::Violation => {
            let checks: Vec<String> = outcome.failed_checks().iter().map(|name| name.replace('_', " ")).collect();
            format!(
                "Broke its promises: {} of {operations} operations served in time{waited}; not held: {}.",
                all.served_in_time,
                checks.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::run::compare::judge;
    use crate::scenario::{Safety, Scenario};

    #[test]
    fn a_card_tells_verdict_witness_and_digest() {
        let run = sample::run(&sample::scenario(), "dual-primary", 7);
        let text = strip(std::slice::from_ref(&run), None, "schism run split-brain --seed 7");
        for part in [
            "data-verdict=\"violation\"",
            "violation, as expected",
            "<b>Witness (split brain).</b> client 0 put k0=1264",
            "2 contradict each other, and 31 were for writes that are gone",
            "schism run split-brain --seed 7",
            &run.outcome.digest.to_string(),
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    /// An edited scenario expects nothing, so no verdict is unexpected.
    #[test]
    fn without_an_expectation_nothing_is_unexpected() {
        let mut scenario = sample::scenario();
        let told = |scenario: &Scenario| {
            let runs = vec![sample::run(scenario, "dual-primary", 7)];
            strip(&runs, Some(&judge(scenario, runs.clone())), "schism compare split-brain --seed 7")
        };
        scenario.expect.get_mut("dual-primary").unwrap().safety = Safety::Holds;
        let text = told(&scenario);
        assert!(text.contains("violation, not as expected</span>"), "{text}");
        assert!(text.contains("Not as expected: dual-primary was to stay safe"), "{text}");
        scenario.expect.clear();
        let text = told(&scenario);
        assert!(text.contains("violation</span>") && !text.contains("as expected"), "{text}");
    }

    #[test]
    fn a_pass_says_who_waited() {
        let run = sample::run(&sample::scenario(), "raft", 7);
        let text = sentence(&run.outcome);
        assert!(text.starts_with("Kept every promise: 786 of 1000") && text.contains("east got 0 of"), "{text}");
        assert!(text.contains(" under the faults, from 11.600 s to 20.000 s"), "{text}");
    }
}
