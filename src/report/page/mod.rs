//! One HTML file that shows runs: no server, no request, nothing to install.
//!
//! * [`data`]: which data of the runs is embedded, and how.
//! * [`columns`]: rows as columns of integers.
//! * `strip`: the verdicts at the top, readable without scripts.
//!
//! The rest is the page itself: `page.html`, `page.css`, and modules that tests import as they are. Here they are
//! joined into one script, since a file opened from disk may import nothing. From the bottom: `decode.mjs` (embedded
//! data to arrays), `model.mjs` (messages, roles, operations), `state.mjs` (a node's state at an instant), `words.mjs`
//! (events as text), `tour.mjs` (the guided tour), `view.mjs` (what is looked at), `layout.mjs` (what stands where),
//! `messages.mjs`, `charts.mjs` and `draw.mjs` (the canvas), `inspector.mjs`, `elements.mjs` and `waterfall.mjs` (the life of an
//! operation), `tables.mjs`, `controls.mjs` and `main.mjs`
//! (everything around it). The rings that the page opens with: `ring.mjs` (what stands where on it), `scene.mjs` (what it
//! shows at an instant), `paint.mjs` (its canvas), `pace.mjs` and `film.mjs` (how it plays) and `opening.mjs`, with a style
//! of their own, `ring.css`, because the playground opens with the same.
//!
//! The page is a function of the runs alone: no date, no path, no build.

pub mod columns;
pub mod data;
mod strip;

use crate::history::visible::visible;
use crate::run::{Comparison, Run};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const HTML: &str = include_str!("page.html");
const CSS: &str = concat!(include_str!("page.css"), include_str!("ring.css"), include_str!("waterfall.css"));
/// The style of the rings alone, for the playground.
pub const RING_CSS: &str = include_str!("ring.css");

/// The modules of the page's script, in an order in which each comes after what it imports.
const SCRIPTS: [&str; 22] = [
    include_str!("decode.mjs"),
    include_str!("elements.mjs"),
    include_str!("waterfall.mjs"),
    include_str!("model.mjs"),
    include_str!("state.mjs"),
    include_str!("words.mjs"),
    include_str!("tour.mjs"),
    include_str!("view.mjs"),
    include_str!("layout.mjs"),
    include_str!("messages.mjs"),
    include_str!("charts.mjs"),
    include_str!("draw.mjs"),
    include_str!("inspector.mjs"),
    include_str!("ring.mjs"),
    include_str!("scene.mjs"),
    include_str!("paint.mjs"),
    include_str!("pace.mjs"),
    include_str!("film.mjs"),
    include_str!("opening.mjs"),
    include_str!("tables.mjs"),
    include_str!("controls.mjs"),
    include_str!("main.mjs"),
];

/// The page of some runs of one schedule, side by side in their order; `command` shows them again.
pub fn page(runs: &[Run], comparison: Option<&Comparison>, command: &str) -> String {
    let title = runs.first().map_or_else(String::new, |run| {
        let systems: Vec<&str> = runs.iter().map(|run| run.outcome.system.as_str()).collect();
        format!("{}, seed {}: {}", run.outcome.scenario, run.outcome.seed, systems.join(" and "))
    });
    // Text from a scenario is inserted last: it must not be searched for placeholders.
    HTML.replacen("{{policy}}", &policy(), 1)
        .replacen("{{style}}", CSS, 1)
        .replacen("{{script}}", &script(), 1)
        .replacen("{{title}}", &escaped(&title), 1)
        .replacen("{{data}}", &data::packed(runs, comparison), 1)
        .replacen("{{strip}}", &strip::strip(runs, comparison, command), 1)
}

/// What the page may do: run its own script, use its own style, and nothing else. Text from a scenario or a trace that
/// gets into it without being escaped is still not run, and can send nothing.
fn policy() -> String {
    policy_of(&script(), CSS)
}

/// The policy of a page with this script and this style.
pub(super) fn policy_of(script: &str, style: &str) -> String {
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        source(script),
        source(style)
    )
}

/// The source of the page's script that the policy of an embedding page must allow (`script-src`).
pub fn script_source() -> String {
    source(&script())
}

/// The page's style likewise (`style-src`).
pub fn style_source() -> String {
    source(CSS)
}

/// The source expression that allows this inline text and no other (Content Security Policy Level 3, section 2.3.1).
pub(crate) fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

/// The modules as one classic script.
fn script() -> String {
    let modules: String = SCRIPTS.iter().map(|module| classic(module)).collect();
    format!("\"use strict\";\n{modules}")
}

/// A module as a part of one classic script: the modules that it imports are above it.
pub(super) fn classic(module: &str) -> String {
    let lines = module.lines().filter(|line| !line.starts_with("import "));
    lines.map(|line| format!("{}\n", line.strip_prefix("export ").unwrap_or(line))).collect()
}

/// Text escaped for HTML, also between double quotes. Control characters are written out: a page is also read in
/// terminals, and characters that change the direction of writing have an effect in a browser too.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::run::compare::judge;

    fn made(title: &str) -> String {
        let mut scenario = sample::scenario();
        scenario.title = title.into();
        let runs = ["raft", "dual-primary"].map(|system| sample::run(&scenario, system, 7)).to_vec();
        let comparison = judge(&scenario, runs.clone());
        page(&runs, Some(&comparison), "schism compare split-brain --seed 7")
    }

    #[test]
    fn the_page_is_whole_and_asks_nobody() {
        let page = made("A cut");
        assert!(!page.contains("{{"), "a placeholder was left");
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            let found = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(outside), "{outside}");
        }
        assert!(!page.lines().any(|line| line.starts_with("import ") || line.starts_with("export ")));
    }

    /// The policy would refuse a style attribute or a handler, so the page must have neither.
    #[test]
    fn the_policy_allows_what_is_in_the_page_and_nothing_else() {
        let page = made("A cut");
        let between = |from: &str, to: &str| page.split_once(from).unwrap().1.split_once(to).unwrap().0;
        assert!(page.contains(&format!("script-src {};", source(between("<script>", "</script>")))));
        assert!(page.contains(&format!("style-src {};", source(between("<style>", "</style>")))));
        assert!(!between("Content-Security-Policy", ">").contains("unsafe"));
        let markup = HTML.to_owned() + between("<div class=\"top\">", "</main>");
        let is_handler = |rest: &str| rest.trim_start_matches(|c: char| c.is_ascii_lowercase()).starts_with('=');
        assert!(!markup.contains(" style=") && !markup.split(" on").skip(1).any(is_handler), "inline style or handler");
    }

    #[test]
    fn the_page_is_a_function_of_the_runs() {
        assert_eq!(made("A cut"), made("A cut"));
    }

    #[test]
    fn text_of_a_scenario_is_text() {
        let page = made("</script><b>&\"{{data}}");
        assert!(page.contains("&lt;/script&gt;&lt;b&gt;&amp;&quot;{{data}}"));
        assert!(!page.contains("</script><b>"));
    }
}
