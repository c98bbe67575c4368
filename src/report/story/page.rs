//! A story's comparison as one HTML file: predictions beside measurements, the load over time, and every request's life.
//!
//! As the page of runs ([`crate::report::page`]): no server, no request, a policy that allows its own script and style by
//! their hashes and nothing else; a function of the runs alone.

use super::drawn::Chart;
use super::telling;
use crate::report::lives::Lives;
use crate::report::page::data::packed_text;
use crate::report::page::{classic, escaped, policy_of};
use crate::report::style::Style;
use crate::stories::claim::Claim;
use crate::stories::{StoryFile, StoryRun, Telling};
use serde::Serialize;

const HTML: &str = include_str!("told.html");
const CSS: [&str; 3] = [include_str!("told.css"), include_str!("../page/waterfall.css"), include_str!("drawn.css")];
/// The modules of the script, each after those that it imports.
const SCRIPTS: [&str; 6] = [
    include_str!("../page/decode.mjs"),
    include_str!("../page/elements.mjs"),
    include_str!("../page/waterfall.mjs"),
    include_str!("bars.mjs"),
    include_str!("life.mjs"),
    include_str!("told.mjs"),
];

/// A variant's run, for a page.
#[derive(Debug, Serialize)]
pub struct Shown {
    name: &'static str,
    what: String,
    naive: bool,
    evidence: Vec<Chart>,
    lives: Lives,
}

impl Shown {
    /// The run of a variant.
    ///
    /// # Panics
    /// If the story has no such variant.
    pub fn of(story: &StoryFile, run: &StoryRun) -> Shown {
        let variant = story.model.variant(run.setup.variant).expect("it was run");
        let evidence = run.observed.evidence.iter().map(Chart::of).collect();
        let lives = Lives::of(&run.observed.lives);
        Shown { name: variant.name, what: story.model.what(variant), naive: variant.naive, evidence, lives }
    }
}

/// When the longest of some runs ends, in simulated microseconds.
pub fn until_us(told: &Telling) -> u64 {
    let seconds = told.runs.iter().map(|run| run.observed.simulated_s).fold(0.0, f64::max);
    (seconds * 1e6) as u64
}

#[derive(Serialize)]
struct Data<'a> {
    claims: &'a [Claim],
    variants: Vec<Shown>,
    until_us: u64,
}

/// The page of a story's comparison; `command` shows it again.
///
/// # Panics
/// Never: what was measured is plain data.
pub fn page(story: &StoryFile, told: &Telling, command: &str) -> String {
    let variants = told.runs.iter().map(|run| Shown::of(story, run)).collect();
    let data = Data { claims: &told.claims, variants, until_us: until_us(told) };
    let data = packed_text(&serde_json::to_string(&data).expect("what was measured is plain data"));
    let script = format!("\"use strict\";\n{}", SCRIPTS.map(classic).concat());
    let style = CSS.concat();
    let title = format!("{}, seed {}: {}", story.name, told.seed, story.title);
    // Text from a story is inserted last: it must not be searched for placeholders.
    HTML.replacen("{{policy}}", &policy_of(&script, &style), 1)
        .replacen("{{style}}", &style, 1)
        .replacen("{{script}}", &script, 1)
        .replacen("{{data}}", &data, 1)
        .replacen("{{title}}", &escaped(&title), 1)
        .replacen("{{text}}", &escaped_lines(&telling(story, told, true, Style::PLAIN)), 1)
        .replacen("{{strip}}", &strip(story, told, command), 1)
}

/// Text of several lines: each is escaped by itself, since a line's end is a control character.
fn escaped_lines(text: &str) -> String {
    text.lines().map(|line| escaped(line) + "\n").collect()
}

fn strip(story: &StoryFile, told: &Telling, command: &str) -> String {
    let hold = told.claims.iter().filter(|claim| claim.holds).count();
    let tone = if told.holds() { "verdict" } else { "verdict bad" };
    let setting = story.lesson.setting.split("\n\n").map(|text| format!("<p>{}</p>", escaped(&one_line(text))));
    format!(
        "<h1>{}</h1><p class=\"{tone}\">{hold} of {} claims hold</p>\
         <p class=\"faint\">{}, seed {}, digest {}. Made by <code>{}</code></p>\
         <details><summary>The story</summary>{}</details>",
        escaped(&story.title),
        told.claims.len(),
        escaped(&story.name),
        told.seed,
        told.digest(),
        escaped(command),
        setting.collect::<String>(),
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stories::{find, tell};

    fn made(title: &str) -> String {
        let mut story = find("retry-storm").unwrap();
        story.title = title.into();
        let told = tell(&*story.model, story.model.variants().iter().take(2), 7).unwrap();
        page(&story, &told, "schism compare retry-storm --seed 7")
    }

    #[test]
    fn the_page_is_whole_and_asks_nobody_and_is_a_function_of_the_runs() {
        let page = made("A stall");
        assert!(!page.contains("{{"), "a placeholder was left");
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(outside), "{outside}");
        }
        assert!(!page.lines().any(|line| line.starts_with("import ") || line.starts_with("export ")));
        assert_eq!(page, made("A stall"));
    }

    #[test]
    fn the_policy_allows_what_is_in_the_page_and_nothing_else() {
        let page = made("</script><b>&\"{{data}}");
        let between = |from: &str, to: &str| page.split_once(from).unwrap().1.split_once(to).unwrap().0;
        let policy = policy_of(between("<script>", "</script>"), between("<style>", "</style>"));
        assert!(page.contains(&format!("content=\"{policy}\"")) && !policy.contains("unsafe"));
        assert!(page.contains("&lt;/script&gt;&lt;b&gt;&amp;&quot;{{data}}") && !page.contains("</script><b>"));
        assert!(!HTML.contains(" style=") && !HTML.contains(" onclick="));
    }
}
