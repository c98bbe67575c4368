//! `schism sweep --against REV`: whether failures are this revision's own.

use super::exit::Failure;
use super::findings::Found;
use super::revision::{Building, Question, There, Worktree, resolved};
use super::terminal::Terminal;
use clap::Args;
use schism::report::json;
use schism::report::style::{WIDTH, wrap};
use schism::scenario::Scenario;
use schism::shrink::Symptom;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Whether seeds are run at another revision too.
#[derive(Args, Default)]
pub struct Against {
    /// Run the seeds with a violation again as the code was at this revision of the git repository here, and say which fail
    /// there too. It is built in target/schism/worktree.
    #[arg(long, value_name = "REV")]
    against: Option<String>,
    /// Run the seeds that pass here there as well: those that fail there are fixed.
    #[arg(long, requires = "against")]
    fixed: bool,
    #[command(flatten)]
    building: Building,
}

/// Where a seed fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Where {
    /// Here only.
    New,
    /// There only.
    Fixed,
    /// Here and there, in the same check.
    Both,
    /// Here and there, in different checks.
    Differs,
    /// Whether it fails there cannot be said.
    Unknown,
}

#[derive(Serialize)]
struct Line<'a> {
    seed: u64,
    revision: &'a str,
    commit: &'a str,
    is: Where,
    here: &'a BTreeSet<String>,
    there: &'a BTreeSet<String>,
    why: Option<&'a str>,
}

impl Against {
    /// Whether the revision is there: a night's sweep must not end with a typing error.
    pub fn check(&self) -> Result<(), Failure> {
        self.against.as_ref().map_or(Ok(()), |revision| resolved(revision).map(drop))
    }

    /// Runs what was found again, and prints a line for each seed that fails here or there.
    pub fn run(
        &self,
        found: &Found,
        (scenario, question): (&Scenario, Question),
        jobs: usize,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let Some(revision) = &self.against else { return Ok(()) };
        let here = |symptoms: &[Symptom]| -> BTreeSet<String> {
            symptoms.iter().map(|symptom| symptom.check.name().to_string()).collect()
        };
        let failing = found.troubles.iter().filter(|trouble| !trouble.symptoms.is_empty());
        let mut seeds: Vec<(u64, BTreeSet<String>)> =
            failing.map(|trouble| (trouble.seed, here(&trouble.symptoms))).collect();
        if self.fixed {
            seeds.extend(found.fine.iter().map(|seed| (*seed, BTreeSet::new())));
        }
        seeds.sort();
        if seeds.is_empty() {
            return terminal.remark(&format!("no seed has a violation: nothing to run at {revision}"));
        }
        let (worktree, commit) = Worktree::at(revision)?;
        worktree.lay_out(scenario)?;
        terminal.remark(&format!("building {}", commit.words()))?;
        let program = worktree.build(&self.building).map_err(|why| Failure::input(format!("{revision}: {why}")))?;
        let bar = terminal.progress(seeds.len() as u64, &format!("at {revision}"));
        let mut counts: BTreeMap<Where, u64> = BTreeMap::new();
        for batch in seeds.chunks(jobs.max(1)) {
            let ask = |seed: u64| worktree.ask(&program, &question, seed);
            let answers: Vec<There> = std::thread::scope(|scope| {
                let asked: Vec<_> = batch.iter().map(|(seed, _)| scope.spawn(move || ask(*seed))).collect();
                asked.into_iter().map(|thread| thread.join().expect("asking does not panic")).collect()
            });
            for ((seed, here), there) in batch.iter().zip(answers) {
                bar.inc(1);
                let Some(line) = Line::of(*seed, (revision, &commit.id), here, &there) else { continue };
                *counts.entry(line.is).or_default() += 1;
                bar.suspend(|| line.tell(terminal))?;
            }
        }
        bar.finish_and_clear();
        let counts: Vec<String> = counts.iter().map(|(is, seeds)| format!("{seeds} {}", is.words())).collect();
        let counts = if counts.is_empty() { "nothing fails here or there".into() } else { counts.join(", ") };
        terminal.remark(&wrap(&format!("against {revision}, {}: {counts}", commit.words()), WIDTH, 2))
    }
}

impl<'a> Line<'a> {
    /// What is to be said of a seed; `None` if it fails neither here nor there.
    fn of(
        seed: u64,
        (revision, commit): (&'a str, &'a str),
        here: &'a BTreeSet<String>,
        there: &'a There,
    ) -> Option<Line<'a>> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        let (is, there, why) = match there {
            There::Passes if here.is_empty() => return None,
            There::Passes => (Where::New, &NONE, None),
            There::Fails(there) if here.is_empty() => (Where::Fixed, there, None),
            There::Fails(there) if here.is_disjoint(there) => (Where::Differs, there, None),
            There::Fails(there) => (Where::Both, there, None),
            There::Unknown(_) if here.is_empty() => return None,
            There::Unknown(why) => (Where::Unknown, &NONE, Some(why.as_str())),
        };
        Some(Line { seed, revision, commit, is, here, there, why })
    }

    fn tell(&self, terminal: &mut Terminal) -> Result<(), Failure> {
        if terminal.json {
            return terminal.line(&json::line("against", self));
        }
        let Line { seed, revision, here, there, .. } = self;
        let names = |checks: &BTreeSet<String>| checks.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let what = match self.is {
            Where::New => format!("new: {}; passes at {revision}", names(here)),
            Where::Fixed => format!("fixed: passes here; at {revision} {}", names(there)),
            Where::Both => format!("both: {} here and at {revision}", names(&(*here & *there))),
            Where::Differs => format!("differs: {} here, {} at {revision}", names(here), names(there)),
            Where::Unknown => format!("unknown: {}; at {revision} {}", names(here), self.why.unwrap_or_default()),
        };
        terminal.line(&terminal.style.plain_text(&wrap(&format!("seed {seed}: {what}"), WIDTH, 2)))
    }
}

impl Where {
    fn words(self) -> &'static str {
        match self {
            Where::New => "new",
            Where::Fixed => "fixed",
            Where::Both => "in both",
            Where::Differs => "in both, by different checks",
            Where::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_new_fixed_or_in_both() {
        let checks = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| name.to_string()).collect() };
        let is =
            |here: &[&str], there: There| Line::of(1, ("HEAD~1", "abc"), &checks(here), &there).map(|line| line.is);
        let fails = |names: &[&str]| There::Fails(checks(names));
        assert_eq!(is(&["lost_write"], There::Passes), Some(Where::New));
        assert_eq!(is(&[], fails(&["lost_write"])), Some(Where::Fixed));
        assert_eq!(is(&["lost_write", "panic"], fails(&["lost_write"])), Some(Where::Both));
        assert_eq!(is(&["lost_write"], fails(&["panic"])), Some(Where::Differs));
        assert_eq!(is(&["lost_write"], There::Unknown("hung".into())), Some(Where::Unknown));
        assert_eq!((is(&[], There::Passes), is(&[], There::Unknown("hung".into()))), (None, None));
    }
}
