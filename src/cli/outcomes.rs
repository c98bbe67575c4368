//! `schism outcomes`: what the logs of a sweep say, even of one that did not come to its end.

use super::Jobs;
use super::exit::{Exit, Failure};
use super::findings::{Expect, recall, tell};
use super::named::load;
use super::options;
use super::pace;
use super::recordings::quoted;
use super::reports::Reports;
use super::signatures::Swept;
use super::sweep_summary::print;
use super::terminal::Terminal;
use super::unwritten::Unwritten;
use super::warn::warn;
use super::whole::Whole;
use clap::Args;
use schism::campaign::Pace;
use schism::report::json;
use schism::sweep::Summary;
use schism::sweep::log::{Entry, Header, Log, LogError};
use schism::trace::digest;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `schism outcomes`.
#[derive(Args)]
pub struct Outcomes {
    /// Files that `schism sweep --out` has written, all of one sweep or of parts of it.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
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

impl Outcomes {
    /// Reads all files, and prints the seeds that are not as expected, then the summary.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let mut log = Log::default();
        for path in &self.files {
            read_file(path, &mut log, Log::read, |log| log)?;
        }
        let paces = paces(&self.files);
        report(
            &log,
            0,
            paces,
            Asked { expect: self.expect, reports: &self.reports, whole: &self.whole, jobs: self.jobs },
            terminal,
        )
    }
}

/// Adds a file to what is being read, and warns of what it lacks.
pub fn read_file<T>(
    path: &Path,
    reading: &mut T,
    read: impl FnOnce(&mut T, BufReader<File>) -> Result<(), LogError>,
    log: impl FnOnce(&mut T) -> &mut Log,
) -> Result<(), Failure> {
    let name = path.display();
    let refused = |error: &dyn std::fmt::Display| Failure::input(format!("{name}: {error}"));
    let file = File::open(path).map_err(|error| refused(&error))?;
    read(reading, BufReader::new(file)).map_err(|error| refused(&error))?;
    let log = log(reading);
    if std::mem::take(&mut log.is_cut_off) {
        warn(&format!("{name}: the last line breaks off, as when the sweep was killed while it wrote; it is left out"));
    }
    if let broken @ 1.. = std::mem::take(&mut log.broken_lines) {
        warn(&format!("{name}: lines that cannot be read, as after a full disk, are left out: {broken}"));
    }
    Ok(())
}

/// What is asked about logs.
pub struct Asked<'a> {
    /// What every seed was to show.
    pub expect: Expect,
    /// In which forms.
    pub reports: &'a Reports,
    /// What of all together.
    pub whole: &'a Whole,
    /// How many runs are made at once.
    pub jobs: Jobs,
}

/// How fast the machines were that wrote these logs, where that is known.
pub fn paces(files: &[PathBuf]) -> Vec<Pace> {
    let files: BTreeSet<&PathBuf> = files.iter().collect();
    files.into_iter().flat_map(|path| pace::noted(path)).collect()
}

/// Prints the seeds that are not as expected, then the summary. `unseen` is how many seeds are missing besides those of
/// which the log itself says so.
pub fn report(
    log: &Log,
    unseen: u64,
    paces: Vec<Pace>,
    Asked { expect, reports, whole, jobs }: Asked<'_>,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let Some(header) = log.headers.first() else { return Err(Failure::input("no log")) };
    let mut summary = Summary::new(&header.scenario, &header.system, 0);
    let mut found = recall(log, expect, &mut summary, &|seed| replay(header, seed));
    let mut troubles = found.troubles.iter().peekable();
    for (seed, entry) in &log.entries {
        if let (Entry::Outcome(outcome), true) = (entry, terminal.json) {
            terminal.line(&json::outcome(outcome))?;
        }
        if let Some(trouble) = troubles.next_if(|trouble| trouble.seed == *seed) {
            tell(trouble, terminal)?;
        }
    }
    troubles.try_for_each(|trouble| tell(trouble, terminal))?;
    summary.finish(Duration::ZERO, summary.seeds + log.missing() + unseen);
    found.paces = paces;
    let mut unwritten = Unwritten::default();
    whole.group(|| swept(header, jobs), &mut found, &|| false, &mut unwritten, terminal)?;
    print(&summary, None, terminal)?;
    reports.write(&summary, &found, &mut unwritten, terminal)?;
    whole.write(&summary, &found, &mut unwritten, terminal)?;
    Ok(unwritten.exit(expect.exit(&summary)))
}

/// What a log says was swept, if it is still there to be run again.
fn swept(header: &Header, jobs: Jobs) -> Result<Swept, Failure> {
    let scenario = load(&header.argument)?;
    if digest::of(&scenario.to_toml()) != header.scenario_digest {
        return Err(Failure::input(format!(
            "{}: it is not the scenario that was swept; --signatures runs its seeds again",
            header.argument
        )));
    }
    let system = header.system.parse().map_err(Failure::input)?;
    let options = options(Some(header.check_steps));
    Ok(Swept { scenario, argument: header.argument.clone(), system, options, jobs: jobs.count() })
}

fn replay(header: &Header, seed: u64) -> String {
    format!("schism run {} --system {} --seed {seed}", quoted(&header.argument), quoted(&header.system))
}
