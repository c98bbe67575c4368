//! `schism nodes`: a program, in whatever language, as the nodes of a cluster, under many seeds.

use super::against::Against;
use super::exit::{Exit, Failure};
use super::extent::Extent;
use super::findings::{Expect, Trouble};
use super::recordings::{self, FOLDER, quoted};
use super::reports::Reports;
use super::shrink::Shrink;
use super::sweep::Sweep;
use super::terminal::Terminal;
use super::whole::Whole;
use super::{Jobs, OneSeed, Subject, Which, load};
use clap::Args;
use schism::report::page::page;
use schism::report::recording;
use schism::run::run;
use schism::scenario::Scenario;
use schism::systems::System;
use schism::systems::nodes::{PATIENCE_VARIABLE, Pace, Program, Service, set_patience, starts};
use std::path::{Path, PathBuf};

/// Arguments of `schism nodes`.
#[derive(Args)]
pub struct Nodes {
    /// The command line of a node, as one argument: "python3 raft.py". Each node is a process of it (docs/NODES.md).
    command: String,
    /// What the nodes are asked.
    #[arg(long, default_value = "lin-kv", value_parser = service)]
    service: Service,
    /// The nodes are written for Maelstrom: they have timers and threads of their own. A run takes as long as it simulates,
    /// and two runs of a seed may differ.
    #[arg(long, conflicts_with = "html")]
    real_time: bool,
    /// The name of a scenario (see `schism list`), or the path of a scenario file.
    #[arg(long, default_value = "chaos")]
    scenario: String,
    #[command(flatten)]
    extent: Extent,
    #[command(flatten)]
    jobs: Jobs,
    /// What every seed is to show; the exit code says whether it did.
    #[arg(long, value_enum, default_value_t = Expect::Pass)]
    expect: Expect,
    /// Write what becomes of each seed to this file at once, one JSON object a line; in the order of the seeds at the end.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reports: Reports,
    /// If a seed fails, make its run as small as it can be, and write that as a page to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// What making it small may cost, in simulated seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1500, value_parser = clap::value_parser!(u64).range(1..))]
    budget: u64,
    /// Budget of the search checker, in steps; when it ends the verdict is inconclusive.
    #[arg(long, value_name = "STEPS")]
    check_steps: Option<u64>,
}

impl Nodes {
    /// Runs every seed, prints the summary, and shows the first failure if that is asked for.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let pace = if self.real_time { Pace::RealTime } else { Pace::Lockstep };
        let program =
            Program::paced(&self.command, self.service, pace).map_err(|error| Failure::Usage(error.to_string()))?;
        starts(program).map_err(Failure::Usage)?;
        let (system, scenario) = (System::Nodes(program), load(&self.scenario)?);
        let subject = || Subject { scenario: self.scenario.clone(), check_steps: self.check_steps };
        let sweep = Sweep {
            subject: subject(),
            which: Which { system: Some(system), bug: None },
            extent: self.extent.clone(),
            jobs: self.jobs,
            expect: self.expect,
            out: self.out.clone(),
            resume: false,
            reports: self.reports.clone(),
            whole: Whole::default(),
            against: Against::default(),
            processes: false,
            in_process: false,
            sample: None,
            watchdog: 3600,
            memory: 4096,
        };
        if self.real_time {
            terminal.remark("in real time: another run of the same seed may go another way")?;
        }
        let (exit, troubles) = sweep.of(&scenario, system, terminal)?;
        let failed = troubles.iter().find(|trouble| !trouble.is_of_the_harness).filter(|_| self.expect == Expect::Pass);
        if let (Some(path), Some(trouble)) = (&self.html, failed) {
            self.show(&scenario, system, trouble, path, terminal)?;
        }
        Ok(exit)
    }

    /// Makes the run of a seed small, and writes it as a page.
    fn show(
        &self,
        scenario: &Scenario,
        system: System,
        trouble: &Trouble,
        path: &Path,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let small = Path::new(FOLDER).join(recording::named(&scenario.name, system.name(), trouble.seed, "-shrunk"));
        let shrink = Shrink {
            subject: Subject { scenario: self.scenario.clone(), check_steps: self.check_steps },
            which: Which { system: Some(system), bug: None },
            seed: OneSeed { seed: trouble.seed },
            check: None,
            jobs: self.jobs,
            budget: self.budget,
            out: Some(small.clone()),
            save: false,
        };
        shrink.run(terminal)?;
        let small = small.display().to_string();
        let shrunk = run(&load(&small)?, system, trouble.seed, &shrink.subject.options())?;
        let again = format!("schism replay {}", quoted(&small));
        recordings::write_page(&page(std::slice::from_ref(&shrunk), None, &again), path, terminal)
    }
}

fn service(text: &str) -> Result<Service, String> {
    text.parse().map_err(|_| super::unknown("service", text, Service::names()))
}

/// Takes over how long a process may take, if the environment says it.
pub fn read_patience() -> Result<(), Failure> {
    let Some(seconds) = std::env::var_os(PATIENCE_VARIABLE) else { return Ok(()) };
    set_patience(&seconds).map_err(Failure::Usage)
}
