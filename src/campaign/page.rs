//! The page of a campaign. It is a function of what was found and of the command that made it: it has no date.

use super::charts::{bar, growth, strip};
use super::{Campaign, Line, Pace, Smallest, named};
use crate::report::outcome::faults;
use crate::report::page::{escaped, source};
use crate::report::style::count;
use crate::rng::seeds::Shard;
use crate::sweep::Summary;
use crate::sweep::coverage::Met;
use crate::zoo::rates::Rate;
use std::collections::BTreeMap;
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// Into how many stretches the seeds are cut.
const STRETCHES: usize = 60;

impl Campaign<'_> {
    /// The page.
    pub fn page(&self) -> String {
        let summary = self.summary;
        let title = format!("{} under {}", escaped(&summary.scenario), escaped(&summary.system));
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; img-src data:; \
             base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>Campaign: {title}</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n<p class=\"faint\">Made by <code>{}</code></p>\n",
            source(STYLE),
            escaped(&self.command)
        );
        tiles(summary, &mut html);
        write(
            &mut html,
            &format!("<section><h2>What this is worth</h2>\n<p>{}</p></section>\n", escaped(&self.worth())),
        );
        self.lines(&mut html);
        self.others(&mut html);
        self.coverage(&mut html);
        self.paces(&mut html);
        let leaders = count(summary.leader_changes, "leader change");
        let what = format!("{}; {leaders}; {} operations.", faults(&summary.counters), summary.operations);
        write(&mut html, &format!("<section><h2>What happened</h2>\n<p>{}</p></section>\n", escaped(&what)));
        html + "</main>\n</body>\n</html>\n"
    }

    /// What a clean result excludes, or how often it fails.
    fn worth(&self) -> String {
        let Summary { violations, seeds, inconclusive, .. } = self.summary;
        if self.summary.faults_of_the_harness() > 0 {
            return "The harness itself failed in some seeds, so no other figure can be trusted.".into();
        }
        if let Some(power) = &self.power {
            return format!("{}.", power.sentence());
        }
        let conclusive = seeds - inconclusive;
        if *violations == 0 || conclusive == 0 {
            return "Nothing failed, and nothing was proved: no seed was conclusive.".into();
        }
        let rate = Rate { bug: String::new(), found: *violations, seeds: conclusive };
        let least = rate.at_least() * 100.0;
        format!(
            "{violations} of {conclusive} conclusive seeds show a violation: with 95 % confidence at least {least:.2} % of \
             seeds do. What these seeds did not show may still be there, behind what they did."
        )
    }

    fn lines(&self, html: &mut String) {
        if self.lines.is_empty() {
            return;
        }
        html.push_str(
            "<section><h2>Failures, one line for what fails alike</h2>\n<p class=\"faint\">The check that failed and \
             the shape of its certificate, the kinds of fault that it takes, and the smallest seed, shrunk. One bug may \
             have several lines, if several faults can trigger it.</p>\n<div class=\"scroll\"><table class=\"lines\">\n\
             <tr><th>what</th><th>seeds</th><th>the smallest, shrunk</th></tr>\n",
        );
        let all: usize = self.lines.iter().map(|line| line.seeds.len()).sum();
        for line in self.lines {
            let Line { what, seeds, shrunk, .. } = line;
            let share = bar(seeds.len() as f64 / all as f64);
            let smallest = shrunk.as_ref().map_or_else(|| "it does not fail again".into(), smallest);
            write(
                html,
                &format!(
                    "<tr><td><b>{}</b></td><td>{share}<b>{}</b> <span class=\"faint\">{}</span></td><td>{smallest}</td></tr>\n",
                    escaped(what),
                    seeds.len(),
                    named(seeds)
                ),
            );
        }
        html.push_str("</table></div></section>\n");
    }

    fn others(&self, html: &mut String) {
        if self.others.is_empty() {
            return;
        }
        let rest = if self.lines.is_empty() { "Not as expected" } else { "What else is not as expected" };
        write(
            html,
            &format!("<section><h2>{rest}</h2>\n<div class=\"scroll\"><table>\n<tr><th>what</th><th>seeds</th></tr>\n"),
        );
        for (why, seeds) in &self.others {
            let (number, seeds) = (seeds.len(), named(seeds));
            let row = format!(
                "<tr><td>{}</td><td><b>{number}</b> <span class=\"faint\">{seeds}</span></td></tr>\n",
                escaped(why)
            );
            write(html, &row);
        }
        html.push_str("</table></div></section>\n");
    }

    fn coverage(&self, html: &mut String) {
        let seeds = self.coverage.count();
        if seeds == 0 {
            return;
        }
        let mut met = self.coverage.met(STRETCHES);
        // The rarest first: those are what more seeds would be for.
        met.sort_by_key(|met| (met.seeds, met.situation));
        let never = met.iter().filter(|met| met.seeds == 0).count();
        let (all, last) = (met.len(), met.iter().filter_map(|met| met.first).max());
        let news =
            last.map_or_else(String::new, |last| format!(" The last new one came with seed number {last} of {seeds}."));
        write(
            html,
            &format!(
                "<section><h2>Situations that the seeds met</h2>\n<p>{} of {all} situations were met.{news} A clean \
                 result says nothing about a situation that never came up.</p>\n",
                all - never
            ),
        );
        html.push_str(&growth(&met, seeds));
        html.push_str(
            "<div class=\"scroll\"><table class=\"met\">\n<tr><th>situation</th><th>seeds that met it</th><th></th>\
             <th>first met by seed number</th><th>over the seeds, in their order</th></tr>\n",
        );
        for Met { situation, seeds: met, first, stretches } in &met {
            let class = if *met == 0 { " class=\"never\"" } else { "" };
            let share = *met as f64 * 100.0 / seeds as f64;
            let first = first.map_or_else(|| "never".into(), |first| first.to_string());
            let row = format!(
                "<tr{class}><td><b>{}</b><br><span class=\"faint\">{}</span></td><td>{met}</td><td>{share:.1} %</td><td>{first}</td>\
                 <td>{}</td></tr>\n",
                situation.name(),
                escaped(situation.what()),
                strip(stretches)
            );
            write(html, &row);
        }
        html.push_str("</table></div></section>\n");
    }

    fn paces(&self, html: &mut String) {
        if self.paces.is_empty() {
            return;
        }
        let mut shards: BTreeMap<Option<Shard>, Vec<&Pace>> = BTreeMap::new();
        for pace in self.paces {
            shards.entry(pace.shard).or_default().push(pace);
        }
        let a_minute = |seeds: u64, wall_s: f64| if wall_s > 0.0 { seeds as f64 * 60.0 / wall_s } else { 0.0 };
        let rows: Vec<(String, usize, u64, f64, usize)> = shards
            .into_iter()
            .map(|(shard, paces)| {
                let name = shard.map_or_else(|| "the whole".into(), |shard| shard.to_string());
                let seeds = paces.iter().map(|pace| pace.seeds).sum();
                let wall_s = paces.iter().map(|pace| pace.wall_s).sum();
                (name, paces.len(), seeds, wall_s, paces.iter().map(|pace| pace.jobs).max().unwrap_or(0))
            })
            .collect();
        let most = rows.iter().map(|(_, _, seeds, wall_s, _)| a_minute(*seeds, *wall_s)).fold(1e-9, f64::max);
        html.push_str(
            "<section><h2>Speed by shard</h2>\n<div class=\"scroll\"><table class=\"figures\">\n<tr><th>shard</th><th>attempts</th>\
             <th>seeds</th><th>wall-clock s</th><th>at once</th><th>seeds a minute</th></tr>\n",
        );
        for (name, attempts, seeds, wall_s, jobs) in rows {
            let speed = a_minute(seeds, wall_s);
            let bar = bar(speed / most);
            let row = format!(
                "<tr><td>{name}</td><td>{attempts}</td><td>{seeds}</td><td>{wall_s:.1}</td><td>{jobs}</td><td>{bar}{speed:.0}</td></tr>\n"
            );
            write(html, &row);
        }
        html.push_str("</table></div></section>\n");
    }
}

fn tiles(summary: &Summary, html: &mut String) {
    let harness = summary.faults_of_the_harness();
    let tiles = [
        (summary.seeds, "seeds", ""),
        (summary.violations, "violations", "bad"),
        (summary.inconclusive, "inconclusive", "warn"),
        (harness, "faults of the harness", "bad"),
        (summary.not_run, "did not run", "warn"),
    ];
    html.push_str("<ul class=\"tiles\">\n");
    for (number, what, class) in tiles {
        let class = if number == 0 { "" } else { class };
        write(html, &format!("<li class=\"{class}\"><b>{number}</b> {what}</li>\n"));
    }
    html.push_str("</ul>\n");
}

fn smallest(shrunk: &Smallest) -> String {
    let size = escaped(&shrunk.size());
    let size = match &shrunk.page {
        Some(page) => format!("<a href=\"{}\">{size}</a>", address(page)),
        None => size,
    };
    let sentence =
        shrunk.sentence.as_ref().map_or_else(String::new, |sentence| format!("<p>{}</p>", escaped(sentence)));
    format!("{size}{sentence}<code>{}</code>", escaped(&shrunk.replay))
}

/// The address of a file in the same folder, whatever is in its name.
fn address(file: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let encoded = file.bytes().map(|byte| if is_plain(byte) { (byte as char).into() } else { format!("%{byte:02X}") });
    encoded.collect()
}

fn write(html: &mut String, text: &str) {
    html.write_str(text).expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::CheckName;
    use crate::report::sample;
    use crate::shrink::{Few, Shape, Signature, Symptom};
    use crate::sweep::coverage::Coverage;
    use crate::zoo::rates::Power;

    fn line() -> Line {
        let shape = Shape { operations: true, nodes: Few::None, terms: Few::None };
        let symptom = Symptom { check: CheckName::Linearizability, shape };
        let signature = Signature { symptom, faults: Some(["kill"].into()) };
        let shrunk = Smallest {
            replay: "schism replay <x>.toml".into(),
            faults: 1,
            acts: 0,
            operations: 3,
            nodes: 2,
            sentence: Some("client 1 read <script>".into()),
            page: Some("a&b.html".into()),
        };
        Line { what: signature.to_string(), signature, seeds: (3..40).collect(), shrunk: Some(shrunk) }
    }

    fn page(summary: &Summary, lines: &[Line], coverage: &Coverage, paces: &[Pace]) -> String {
        let power = if summary.violations == 0 { Power::of("split-brain", summary.seeds) } else { None };
        let others = vec![("hung <b>".to_string(), vec![9])];
        let command = "schism sweep".into();
        Campaign { summary, power, lines, others, coverage, paces, command }.page()
    }

    #[test]
    fn a_page_has_lines_links_situations_and_speeds_and_runs_nothing() {
        let (mut summary, mut coverage) = (Summary::new("split-brain", "dual-primary", 1), Coverage::default());
        for seed in 0..4 {
            let outcome = sample::run(&sample::scenario(), "dual-primary", seed).outcome;
            summary.add(&outcome);
            coverage.add(&outcome);
        }
        let pace = |shard: &str, wall_s| Pace { shard: shard.parse().ok(), seeds: 30, wall_s, jobs: 2 };
        let html = page(&summary, &[line()], &coverage, &[pace("2/2", 60.0), pace("1/2", 30.0), pace("1/2", 30.0)]);
        assert!(html.contains("linearizability (operations) with kill"), "{html}");
        assert!(html.contains("<a href=\"a%26b.html\">1 fault, 0 acts, 3 operations, 2 nodes</a>"), "{html}");
        assert!(html.contains("client 1 read &lt;script&gt;") && html.contains("hung &lt;b&gt;"), "{html}");
        assert!(!html.contains("<script") && html.contains("default-src 'none'"));
        assert!(html.contains("with 95 % confidence at least 47.29 % of seeds do"), "{html}");
        assert!(html.contains("<tr><td>1/2</td><td>2</td><td>60</td><td>60.0</td><td>2</td>"), "{html}");
        assert!(html.find("<td>1/2</td>") < html.find("<td>2/2</td>"));
        assert!(html.contains("and 17 more"), "{html}");
    }

    #[test]
    fn what_was_not_found_is_not_shown() {
        let mut summary = Summary::new("split-brain", "raft", 1);
        summary.seeds = 300;
        let html = page(&summary, &[], &Coverage::default(), &[]);
        assert!(
            html.contains("300 clean seeds: with 95 % confidence nothing fails in more than 0.99 % of seeds"),
            "{html}"
        );
        assert!(!html.contains("Failures, one line") && !html.contains("Speed") && !html.contains("Situations"));
        summary.inconclusive = 300;
        summary.seeds = 0;
        summary.panics = 1;
        assert!(page(&summary, &[], &Coverage::default(), &[]).contains("no other figure can be trusted"));
    }
}
