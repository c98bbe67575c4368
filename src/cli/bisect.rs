//! `schism bisect`: which commit broke a seed.

use super::exit::{Exit, Failure};
use super::revision::{Building, Commit, Question, There, Worktree, resolved};
use super::terminal::Terminal;
use super::{OneSeed, Subject, Which};
use clap::Args;
use schism::report::json;
use schism::report::style::{WIDTH, wrap};
use schism::systems::System;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// Arguments of `schism bisect`.
#[derive(Args)]
pub struct Bisect {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    seed: OneSeed,
    /// A revision of the git repository here at which the seed passes.
    #[arg(long, value_name = "REV")]
    good: String,
    /// A later revision at which it fails.
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    bad: String,
    #[command(flatten)]
    building: Building,
    /// Wall-clock seconds after which a run counts as hung.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    watchdog: u64,
}

/// What git is told about a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Term {
    Good,
    Bad,
    Skip,
}

impl Term {
    fn word(self) -> &'static str {
        match self {
            Term::Good => "good",
            Term::Bad => "bad",
            Term::Skip => "skip",
        }
    }
}

#[derive(Serialize)]
struct Step<'a> {
    commit: &'a str,
    subject: &'a str,
    is: Term,
    why: &'a str,
}

#[derive(Serialize)]
struct Found<'a> {
    seed: u64,
    system: &'a str,
    checks: &'a BTreeSet<String>,
    commit: Option<&'a str>,
    subject: Option<&'a str>,
    candidates: &'a [String],
}

/// What is being looked for, and where.
struct Hunt<'a> {
    bisect: &'a Bisect,
    worktree: Worktree,
    question: Question,
    seed: u64,
}

impl Bisect {
    /// Halves the commits between the two until one is left.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let scenario = self.subject.load()?;
        let (system, seed) = match &scenario.explicit {
            Some(explicit) => (explicit.system.parse::<System>().map_err(Failure::input)?, explicit.seed),
            None => (self.which.or_that_of(&scenario)?, self.seed.seed),
        };
        let bad = resolved(&self.bad)?;
        let (worktree, good) = Worktree::at(&self.good)?;
        worktree.lay_out(&scenario)?;
        let question = Question { system, watchdog: Duration::from_secs(self.watchdog) };
        let hunt = Hunt { bisect: self, worktree, question, seed };
        match hunt.ask() {
            There::Passes => {}
            There::Fails(checks) => return Err(self.wrong(seed, &good, &format!("fails {}", names(&checks)))),
            There::Unknown(why) => return Err(self.wrong(seed, &good, &why)),
        }
        let bad = hunt.worktree.move_to(&bad)?;
        let checks = match hunt.ask() {
            There::Fails(checks) => checks,
            There::Passes => return Err(self.wrong(seed, &bad, "passes")),
            There::Unknown(why) => return Err(self.wrong(seed, &bad, &why)),
        };
        // What an earlier command left there, if it was killed.
        hunt.worktree.git(&["bisect", "reset"])?;
        hunt.worktree.git(&["bisect", "start", &bad.id, &good.id])?;
        let found = hunt.halve(&checks, terminal);
        hunt.worktree.git(&["bisect", "reset"])?;
        let (commit, candidates) = found?;
        let system = system.name();
        if terminal.json {
            let (id, subject) = commit.as_ref().map(|commit| (commit.id.as_str(), commit.subject.as_str())).unzip();
            let found = Found { seed, system, checks: &checks, commit: id, subject, candidates: &candidates };
            terminal.line(&json::line("bisect", found))?;
        } else {
            let text = match &commit {
                Some(commit) => format!("seed {seed} fails {} since {}", names(&checks), commit.words()),
                None => format!("not decided: the first bad commit is one of {}", candidates.join(", ")),
            };
            terminal.line(&terminal.style.plain_text(&wrap(&text, WIDTH, 2)))?;
        }
        Ok(if commit.is_some() { Exit::Expected } else { Exit::Inconclusive })
    }

    fn wrong(&self, seed: u64, commit: &Commit, what: &str) -> Failure {
        let wanted = format!("--good is to pass seed {seed}, and --bad to fail it");
        Failure::Usage(format!("at {} the seed {what}: {wanted}", commit.words()))
    }
}

impl Hunt<'_> {
    /// What the seed shows at what is checked out.
    fn ask(&self) -> There {
        match self.worktree.build(&self.bisect.building) {
            Ok(program) => self.worktree.ask(&program, &self.question, self.seed),
            Err(why) => There::Unknown(why),
        }
    }

    /// Asks at what git chooses until git knows the commit, or those among which it is if some cannot be judged.
    fn halve(
        &self,
        checks: &BTreeSet<String>,
        terminal: &mut Terminal,
    ) -> Result<(Option<Commit>, Vec<String>), Failure> {
        loop {
            if self.left()?.len() <= 1 {
                let first = self.worktree.git(&["rev-parse", "refs/bisect/bad"])?;
                return Ok((Some(self.worktree.move_to(&first)?), Vec::new()));
            }
            let here = self.worktree.here()?;
            let (is, why) = match self.ask() {
                There::Passes => (Term::Good, "passes".to_string()),
                There::Fails(fails) if !fails.is_disjoint(checks) => (Term::Bad, format!("fails {}", names(&fails))),
                There::Fails(fails) => (Term::Skip, format!("fails otherwise: {}", names(&fails))),
                There::Unknown(why) => (Term::Skip, why),
            };
            let step = Step { commit: &here.id, subject: &here.subject, is, why: &why };
            if terminal.json {
                terminal.line(&json::line("bisect_step", step))?;
            } else {
                let text = format!("{}: {}: {why}", is.word(), here.words());
                terminal.line(&terminal.style.plain_text(&wrap(&text, WIDTH, 2)))?;
            }
            // What a build changed would keep git from going on.
            self.worktree.git(&["reset", "--quiet", "--hard"])?;
            // It fails when only commits are left that were skipped.
            if self.worktree.git(&["bisect", is.word()]).is_err() {
                return Ok((None, self.left()?));
            }
        }
    }

    /// The commits of which one is the first bad one.
    fn left(&self) -> Result<Vec<String>, Failure> {
        let left = self.worktree.git(&["rev-list", "refs/bisect/bad", "--not", "--glob=refs/bisect/good-*"])?;
        Ok(left.lines().map(|id| id[..id.len().min(10)].to_string()).collect())
    }
}

fn names(checks: &BTreeSet<String>) -> String {
    checks.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
