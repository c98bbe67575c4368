//! What a sweep found, in the forms that other programs read: JUnit XML, Markdown, and GitHub's annotations.

use super::exit::Failure;
use super::findings::{Found, Trouble};
use super::terminal::Terminal;
use super::unwritten::{ELSEWHERE, Unwritten};
use clap::Args;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use schism::campaign::named;
use schism::history::visible::visible;
use schism::report::file::write_whole;
use schism::report::style::count;
use schism::sweep::Summary;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// GitHub shows no more annotations of one step.
const ANNOTATIONS: usize = 10;

/// The forms that were asked for.
#[derive(Args, Clone)]
pub struct Reports {
    /// Write a JUnit XML report to this file, a test case for each seed.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a summary in Markdown to this file. In a job of GitHub Actions, $GITHUB_STEP_SUMMARY is such a file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print GitHub's annotations: an error for each failure, ten at most.
    #[arg(long)]
    annotations: bool,
}

impl Reports {
    /// Writes what was asked for.
    pub fn write(
        &self,
        summary: &Summary,
        found: &Found,
        unwritten: &mut Unwritten,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        if let Some(path) = &self.junit {
            let text = junit(summary, found);
            unwritten.attempt(write_whole(path, text).map_err(Failure::from), ELSEWHERE)?;
        }
        if let Some(path) = &self.markdown {
            let text = markdown(summary, found);
            unwritten.attempt(write_whole(path, text).map_err(Failure::from), ELSEWHERE)?;
        }
        if self.annotations {
            for trouble in found.troubles.iter().take(ANNOTATIONS) {
                terminal.remark(&annotation(summary, trouble))?;
            }
        }
        Ok(())
    }
}

/// What a set of seeds is a test of.
fn title(summary: &Summary) -> String {
    format!("{} under {}", summary.scenario, summary.system)
}

fn junit(summary: &Summary, found: &Found) -> String {
    let mut suite = TestSuite::new(title(summary));
    let class = format!("schism.{}.{}", summary.scenario, summary.system);
    let mut case = |seed: u64, status| {
        let mut case = TestCase::new(format!("seed {seed}"), status);
        case.set_classname(class.as_str());
        suite.add_test_case(case);
    };
    for seed in &found.fine {
        case(*seed, TestCaseStatus::success());
    }
    for trouble in &found.troubles {
        let kind = if trouble.is_of_the_harness { NonSuccessKind::Error } else { NonSuccessKind::Failure };
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(visible(&trouble.why)).set_description(trouble.replay.as_str());
        if let Some(line) = found
            .signatures
            .iter()
            .find(|line| !trouble.symptoms.is_empty() && line.seeds.binary_search(&trouble.seed).is_ok())
        {
            status.set_type(line.what.as_str());
        }
        case(trouble.seed, status);
    }
    let mut report = Report::new("schism sweep");
    report.add_test_suite(suite);
    report.to_string().expect("the report is made of text")
}

/// What failed alike: the seeds of one signature, or else those that are described by the same words.
pub struct Row<'a> {
    /// What they have in common.
    pub what: &'a str,
    /// The seeds, in order.
    pub seeds: Vec<u64>,
    /// The command for the smallest.
    pub replay: &'a str,
    /// Whether it is a signature that they share.
    pub is_signature: bool,
}

/// Everything that is not as expected, in rows.
pub fn rows(found: &Found) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for line in &found.signatures {
        let replay = line.shrunk.as_ref().map(|shrunk| shrunk.replay.as_str());
        let first = || found.troubles.iter().find(|trouble| trouble.seed == line.seeds[0]);
        let replay = replay.or_else(|| first().map(|trouble| trouble.replay.as_str())).unwrap_or_default();
        rows.push(Row { what: &line.what, seeds: line.seeds.clone(), replay, is_signature: true });
    }
    let is_grouped = |seed: u64| found.signatures.iter().any(|line| line.seeds.binary_search(&seed).is_ok());
    let mut others: BTreeMap<&str, Vec<&Trouble>> = BTreeMap::new();
    for trouble in &found.troubles {
        if trouble.symptoms.is_empty() || !is_grouped(trouble.seed) {
            others.entry(&trouble.why).or_default().push(trouble);
        }
    }
    for (what, mut group) in others {
        group.sort_by_key(|trouble| trouble.seed);
        let seeds = group.iter().map(|trouble| trouble.seed).collect();
        rows.push(Row { what, seeds, replay: &group[0].replay, is_signature: false });
    }
    rows
}

fn markdown(summary: &Summary, found: &Found) -> String {
    let mut text = format!("## {}: ", title(summary));
    let seeds = count(summary.seeds, "seed");
    let troubles = found.troubles.len() as u64;
    let verdict = if troubles == 0 {
        "all as expected".into()
    } else {
        format!("**{} not as expected**", count(troubles, "seed"))
    };
    let _ = writeln!(text, "{seeds}, {verdict}\n");
    if summary.not_run > 0 {
        let _ = writeln!(text, "{} did not run.\n", count(summary.not_run, "seed"));
    }
    if troubles > 0 {
        text.push_str("| what | seeds | the first, again |\n|---|---|---|\n");
    }
    for Row { what, seeds, replay, .. } in rows(found) {
        let _ = writeln!(text, "| {} | {} | `{}` |", cell(what), named(&seeds), cell(replay));
    }
    text
}

/// Text that stays within its cell of a table.
fn cell(text: &str) -> String {
    visible(text).replace('|', "\\|").replace('\n', " ")
}

/// A workflow command: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>. A line break
/// would end it, and a percent sign begins an escape.
fn annotation(summary: &Summary, trouble: &Trouble) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let title = escaped(&format!("{}, seed {}", title(summary), trouble.seed)).replace(':', "%3A").replace(',', "%2C");
    format!("::error title={title}::{}", escaped(&format!("{}\n{}", visible(&trouble.why), trouble.replay)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> (Summary, Found) {
        let mut summary = Summary::new("zoo", "raft", 1);
        summary.seeds = 5;
        let trouble = |seed, why: &str, is_of_the_harness| Trouble {
            seed,
            why: why.into(),
            replay: format!("schism run zoo --system raft --seed {seed}"),
            is_of_the_harness,
            symptoms: Vec::new(),
        };
        let troubles = vec![
            trouble(7, "lost_write", false),
            trouble(3, "lost_write", false),
            trouble(4, "harness: <a|b> 100 %\nat \u{1b}[1m", true),
        ];
        (summary, Found { fine: vec![1, 2], troubles, ..Found::default() })
    }

    #[test]
    fn junit_has_a_case_for_each_seed_and_tells_the_harness_from_the_system() {
        let (summary, found) = found();
        let text = junit(&summary, &found);
        assert!(
            text.contains(r#"<testsuite name="zoo under raft" tests="5" skipped="0" errors="1" failures="2">"#),
            "{text}"
        );
        assert!(text.contains(r#"<testcase name="seed 1" classname="schism.zoo.raft""#), "{text}");
        assert!(
            text.contains("<failure message=\"lost_write\">schism run zoo --system raft --seed 7</failure>"),
            "{text}"
        );
        assert!(text.contains("<error message=\"harness: &lt;a|b&gt; 100 %") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn markdown_groups_what_failed_alike() {
        let (summary, found) = found();
        let text = markdown(&summary, &found);
        assert!(text.starts_with("## zoo under raft: 5 seeds, **3 seeds not as expected**\n"), "{text}");
        assert!(text.contains("| lost_write | 3, 7 | `schism run zoo --system raft --seed 3` |\n"), "{text}");
        assert!(text.contains("| harness: <a\\|b> 100 % at \\u001b[1m | 4 |"), "{text}");
        let clean = markdown(&summary, &Found::default());
        assert_eq!(clean, "## zoo under raft: 5 seeds, all as expected\n\n");
    }

    #[test]
    fn an_annotation_is_one_line() {
        let (summary, found) = found();
        assert_eq!(
            annotation(&summary, &found.troubles[2]),
            "::error title=zoo under raft%2C seed 4::harness: <a|b> 100 %25%0Aat \\u001b[1m%0Aschism run zoo --system raft --seed 4"
        );
    }
}
