//! `schism sweep merge`: the logs of a sweep that several machines shared, as one.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::findings::Expect;
use super::outcomes::{Asked, paces, read_file, report};
use super::reports::Reports;
use super::sweep::Sweep;
use super::terminal::Terminal;
use super::warn::warn;
use super::whole::Whole;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use schism::report::file::write_whole;
use schism::report::json;
use schism::sweep::merge::{Merge, MissingShard};
use std::path::PathBuf;

/// What is named `merge` on the command line.
const MERGE: &str = "merge";

/// `schism sweep`, and `schism sweep merge`.
pub enum SweepOrMerge {
    /// Runs seeds.
    Sweep(Box<Sweep>),
    /// Joins logs.
    Merge(MergeLogs),
}

/// Join the logs of a sweep that several machines shared, or of several attempts, and say what they found together and
/// which parts are missing. The order of the files does not matter, nor does naming one twice.
#[derive(Args)]
pub struct MergeLogs {
    /// Files that `schism sweep --out`, or this command, has written, all of one sweep.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the whole to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What every seed was to show; the exit code says whether it did.
    #[arg(long, value_enum, default_value_t = Expect::Pass)]
    expect: Expect,
    #[command(flatten)]
    reports: Reports,
    #[command(flatten)]
    whole: Whole,
    #[command(flatten)]
    jobs: Jobs,
}

impl SweepOrMerge {
    /// Does what was asked for.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match self {
            SweepOrMerge::Sweep(sweep) => sweep.run(terminal),
            SweepOrMerge::Merge(merge) => merge.run(terminal),
        }
    }
}

// A scenario is required to sweep, and none to merge, which the derived parsers cannot say of one command.
impl Args for SweepOrMerge {
    fn augment_args(command: Command) -> Command {
        let about = command.get_about().cloned();
        let command = Sweep::augment_args(command).subcommand(MergeLogs::augment_args(Command::new(MERGE)));
        let command = command.args_conflicts_with_subcommands(true).subcommand_negates_reqs(true);
        command.about(about.unwrap_or_default())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SweepOrMerge {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SweepOrMerge, clap::Error> {
        match matches.subcommand() {
            Some((MERGE, matches)) => MergeLogs::from_arg_matches(matches).map(SweepOrMerge::Merge),
            _ => Ok(SweepOrMerge::Sweep(Box::new(Sweep::from_arg_matches(matches)?))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl MergeLogs {
    fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let mut merge = Merge::default();
        for path in &self.files {
            read_file(path, &mut merge, Merge::read, |merge| &mut merge.log)?;
        }
        merge.log.headers = merge.headers();
        let missing = merge.missing_shards();
        // In a sweep that time ends, how many seeds a shard would have run is not known.
        let is_open = merge.log.headers.iter().all(|header| header.is_open);
        let unseen =
            if is_open { missing.len() as u64 } else { missing.iter().map(|shard| shard.end - shard.first_seed).sum() };
        let asked = Asked { expect: self.expect, reports: &self.reports, whole: &self.whole, jobs: self.jobs };
        let found = report(&merge.log, unseen, paces(&self.files), asked, terminal)?;
        for MissingShard { shard, first_seed, end } in missing {
            warn(&format!("missing: shard {shard}, seeds {first_seed}..{end}"));
        }
        for overlap in merge.overlaps() {
            warn(&format!("two parts overlap: {}..{} is in both", overlap.start, overlap.end));
        }
        if let Some(path) = &self.out {
            let headers = merge.log.headers.iter().map(|header| json::line("log", header) + "\n");
            write_whole(path, headers.chain(merge.lines().map(|line| line.to_string() + "\n")).collect::<String>())?;
        }
        Ok(found)
    }
}
