//! `schism shrink`: the same violation from fewer faults, acts, operations and hosts.

use super::exit::{Exit, Failure};
use super::recordings::{self, FOLDER};
use super::shrunk::{form, line, text};
use super::terminal::Terminal;
use super::unwritten::Unwritten;
use super::{Jobs, OneSeed, Subject, Which};
use clap::Args;
use schism::report::style::{WIDTH, wrap};
use schism::report::{json, recording};
use schism::run::run;
use schism::scenario::Scenario;
use schism::shrink::{Failed, Limits, Oracle, PANIC, RunOracle, Shrunk, Trial, names, shrink};
use schism::systems::System;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `schism shrink`.
#[derive(Args)]
pub struct Shrink {
    #[command(flatten)]
    pub subject: Subject,
    /// Only where the file carries no recorded run.
    #[command(flatten)]
    pub which: Which,
    #[command(flatten)]
    pub seed: OneSeed,
    /// The failure to keep [default: the strongest that the run shows].
    #[arg(long, value_name = "NAME")]
    pub check: Option<String>,
    #[command(flatten)]
    pub jobs: Jobs,
    /// Budget in simulated seconds, over all candidates.
    #[arg(long, value_name = "SECONDS", default_value_t = 14000, value_parser = clap::value_parser!(u64).range(1..))]
    pub budget: u64,
    /// Write the shrunk run to this file [default: a name of its own in target/schism/].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write the shrunk run into sims/regressions/ as well.
    #[arg(long)]
    pub save: bool,
}

impl Shrink {
    /// Shrinks, writes the result, prints what remains.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if self.save {
            // Before the work, not after it.
            recordings::refuse_in_ci("--save", "; use --out FILE")?;
        }
        let started = Instant::now();
        let scenario = self.subject.load()?;
        let options = self.subject.options();
        let (system, seed) = self.choose(&scenario)?;
        if !system.repeats() {
            let why =
                "a run in real time cannot be made smaller: what is left out cannot be told from what went otherwise";
            return Err(Failure::Usage(why.into()));
        }
        let oracle = RunOracle { system, options };
        let recorded = if scenario.explicit.is_some() { scenario } else { scenario.materialised(system.name(), seed) };
        // The first trial decides which failure is kept; shrinking begins with it.
        let first = oracle.run(&recorded);
        let Some(kept) = self.kept(&first)? else { return self.nothing(&recorded, &first, terminal) };
        let first = First { oracle, recorded: &recorded, trial: first };
        let limits = Limits { jobs: self.jobs.count(), simulated_ms: self.budget * 1000 };
        let shrunk = shrink(&recorded, &kept, &first, &limits).map_err(|error| Failure::Harness(error.to_string()))?;

        let mut unwritten = Unwritten::default();
        let path = self.out.clone().unwrap_or_else(|| Path::new(FOLDER).join(file_name(&shrunk.scenario)));
        let (path, replay_s) = self.write(&shrunk, &kept, &oracle, path, &mut unwritten, terminal)?;
        let elapsed_s = started.elapsed().as_secs_f64();
        if terminal.json {
            let line = line(&kept, &shrunk, (elapsed_s, replay_s), &path);
            terminal.line(&json::line("shrink", line))?;
        } else {
            let text = text(&kept, &shrunk, terminal.style);
            terminal.print(&terminal.style.plain_text(&text))?;
            terminal.line(&format!("again: {}", recordings::replay_command(&path)))?;
        }
        Ok(unwritten.exit(Exit::Expected))
    }

    /// Runs the shrunk scenario once more, and writes it with its trace. Returns its path, and how long that run took,
    /// in seconds. A run that panics has neither trace nor verdict, and only its file is written.
    fn write(
        &self,
        shrunk: &Shrunk,
        kept: &str,
        oracle: &RunOracle,
        path: PathBuf,
        unwritten: &mut Unwritten,
        terminal: &mut Terminal,
    ) -> Result<(PathBuf, Option<f64>), Failure> {
        if kept == PANIC {
            let write = |path: &Path| Ok(recording::save_scenario(&shrunk.scenario, path)?);
            return Ok((somewhere(path, write, unwritten)?, None));
        }
        let started = Instant::now();
        let again = run(&shrunk.scenario, oracle.system, form(&shrunk.scenario).seed, &oracle.options)?;
        let replay_s = started.elapsed().as_secs_f64();
        if again.recording() != shrunk.scenario {
            return Err(Failure::Harness("the shrunk run went another way when it was run once more".into()));
        }
        let path = somewhere(path, |path| recordings::write(&again, path), unwritten)?;
        if self.save {
            let saved = recordings::save_regression(&again, &file_name(&shrunk.scenario));
            if let Some(saved) = unwritten.attempt(saved, "keep the file below instead")? {
                terminal.remark(&format!("saved: {}", recordings::replay_command(&saved)))?;
            }
        }
        Ok((path, Some(replay_s)))
    }

    /// System and seed: those of the recording where there is one.
    fn choose(&self, scenario: &Scenario) -> Result<(System, u64), Failure> {
        let Some(explicit) = &scenario.explicit else {
            return match self.which.named() {
                Some(system) => Ok((system, self.seed.seed)),
                None if scenario.subject.is_some() => Ok((self.which.or_that_of(scenario)?, self.seed.seed)),
                None => Err(Failure::Usage(format!(
                    "{} carries no recorded run: name one with --system and --seed",
                    self.subject.scenario
                ))),
            };
        };
        let recorded: System = System::named(&explicit.system).map_err(Failure::input)?;
        match self.which.named() {
            Some(other) if other != recorded => Err(Failure::Usage(format!(
                "{} is a run of {recorded}; leave --system out, or shrink the scenario that it came from",
                self.subject.scenario
            ))),
            _ => Ok((recorded, explicit.seed)),
        }
    }

    /// The failure to keep; `None` if there is none.
    fn kept(&self, first: &Trial) -> Result<Option<String>, Failure> {
        let is_it = |failed: &&Failed| self.check.as_ref().is_none_or(|wanted| failed.check == *wanted);
        let kept = first.failed.iter().find(is_it).map(|failed| failed.check.clone());
        match &self.check {
            Some(wanted) if kept.is_none() && !first.failed.is_empty() => {
                let fails = names(&first.failed);
                Err(Failure::Usage(format!("`{wanted}` does not fail in this run; what fails: {fails}")))
            }
            _ => Ok(kept),
        }
    }

    /// The run does not fail: nothing to do, unless this very build has recorded that it does.
    fn nothing(&self, recorded: &Scenario, first: &Trial, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let file = Path::new(&self.subject.scenario);
        let was = recorded.explicit.as_ref().map_or("", |explicit| explicit.verdict.verdict.as_str());
        let same_build = || {
            Ok::<_, Failure>(recordings::trace_beside(file)?.is_some_and(|trace| trace.build == recordings::build()))
        };
        if was == "violation" && file.exists() && same_build()? {
            return Err(Failure::Harness(format!(
                "{}: this very build recorded a violation, and now the run {}: that is nondeterminism",
                file.display(),
                first.verdict
            )));
        }
        terminal.remark(&wrap(&format!("nothing to shrink: the run {}", first.verdict), WIDTH, 2))?;
        Ok(Exit::Inconclusive)
    }
}

/// The oracle, with the answer to the recorded run already known.
struct First<'a> {
    oracle: RunOracle,
    recorded: &'a Scenario,
    trial: Trial,
}

impl Oracle for First<'_> {
    fn run(&self, candidate: &Scenario) -> Trial {
        if candidate == self.recorded { self.trial.clone() } else { self.oracle.run(candidate) }
    }
}

/// Writes the result, which took long to find, to the requested path or, failing that, among the temporary files.
/// Returns where it is.
fn somewhere(
    path: PathBuf,
    write: impl Fn(&Path) -> Result<(), Failure>,
    unwritten: &mut Unwritten,
) -> Result<PathBuf, Failure> {
    // A folder of this process's own: any user may take a name among the temporary files.
    let folder = std::env::temp_dir().join(format!("schism-{}", std::process::id()));
    let elsewhere = folder.join(path.file_name().unwrap_or_default());
    let cure = format!("it is {} now", elsewhere.display());
    match unwritten.attempt(write(&path), &cure)? {
        Some(()) => Ok(path),
        None => write(&elsewhere).map(|()| elsewhere),
    }
}

fn file_name(shrunk: &Scenario) -> String {
    recording::named(&shrunk.name, &form(shrunk).system, form(shrunk).seed, "-shrunk")
}
