//! What the seeds of a sweep show together: what fails alike, and the page of all.

use super::exit::Failure;
use super::findings::Found;
use super::recordings::{self, quoted};
use super::reports::rows;
use super::signatures::{Grouping, Smallests, Swept, name};
use super::sweep_summary::power;
use super::terminal::Terminal;
use super::unwritten::{ELSEWHERE, Unwritten};
use clap::Args;
use schism::campaign::Campaign;
use schism::report::file::write_whole;
use schism::report::page;
use schism::sweep::Summary;
use std::path::{Path, PathBuf};

/// What is asked of all seeds together.
#[derive(Args, Default)]
pub struct Whole {
    #[command(flatten)]
    grouping: Grouping,
    /// Write one HTML page to this file: the signatures (with --signatures), each with a page of its smallest run beside it;
    /// the situations that the seeds met; what the result is worth; the speed of each shard.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Whole {
    /// Groups the failures, if that was asked for; `is_enough` ends it early.
    pub fn group(
        &self,
        swept: impl FnOnce() -> Result<Swept, Failure>,
        found: &mut Found,
        is_enough: &dyn Fn() -> bool,
        unwritten: &mut Unwritten,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        // Without a violation, whether the scenario can still be loaded does not matter.
        if !self.grouping.is_asked() || found.troubles.iter().all(|trouble| trouble.symptoms.is_empty()) {
            return Ok(());
        }
        let runs = self.grouping.group(&swept()?, found, is_enough, unwritten, terminal)?;
        self.html.as_ref().map_or(Ok(()), |path| pages(path, &runs, found, unwritten))
    }

    /// Writes the page, if it was asked for.
    pub fn write(
        &self,
        summary: &Summary,
        found: &Found,
        unwritten: &mut Unwritten,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let Some(path) = &self.html else { return Ok(()) };
        let written = recordings::write_page(&campaign(summary, found).page(), path, terminal);
        unwritten.attempt(written, ELSEWHERE).map(drop)
    }
}

/// Writes a page of each shrunk run beside the page of all, which links to them.
fn pages(beside: &Path, runs: &Smallests, found: &mut Found, unwritten: &mut Unwritten) -> Result<(), Failure> {
    let stem = beside.file_stem().unwrap_or_default().to_string_lossy();
    for (run, line) in runs.iter().zip(&mut found.signatures) {
        let (Some(run), Some(smallest)) = (run, &mut line.shrunk) else { continue };
        let file = format!("{stem}-{}", Path::new(&name(run)).with_extension("html").display());
        let text = page::page(std::slice::from_ref(run), None, &smallest.replay);
        let written = write_whole(&beside.with_file_name(&file), text).map_err(Failure::from);
        smallest.page = unwritten.attempt(written, ELSEWHERE)?.map(|()| file);
    }
    Ok(())
}

/// What the page shows.
fn campaign<'a>(summary: &'a Summary, found: &'a Found) -> Campaign<'a> {
    let rows = rows(found).into_iter().filter(|row| !row.is_signature);
    let others = rows.map(|row| (row.what.into(), row.seeds)).collect();
    let words: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
    Campaign {
        summary,
        power: power(summary),
        lines: &found.signatures,
        others,
        coverage: &found.coverage,
        paces: &found.paces,
        command: format!("schism {}", words.join(" ")),
    }
}
