//! `schism shrink`: the same violation from fewer faults, acts, operations and hosts.

use super::exit::{Exit, Failure};
use super::recordings::{self, FOLDER};
use super::terminal::Terminal;
use super::{OneSeed, Subject, parse_system};
use clap::Args;
use schism::fault::words;
use schism::report::style::{Style, Tone, WIDTH, wrap};
use schism::report::{json, recording};
use schism::run::{Run, run};
use schism::scenario::{Scenario, ScriptedOp};
use schism::shrink::{Limits, Necessity, Oracle, RunOracle, Shrunk, Size, Trial, shrink};
use schism::systems::System;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Arguments of `schism shrink`.
#[derive(Args)]
pub struct Shrink {
    #[command(flatten)]
    subject: Subject,
    /// The system to run, where the file carries no recorded run [default there: the recorded one].
    #[arg(long, value_parser = parse_system)]
    system: Option<System>,
    #[command(flatten)]
    seed: OneSeed,
    /// The failure to keep [default: the strongest that the run shows].
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
    /// How many candidates run at once [default: all cores]; the result does not depend on it.
    #[arg(long, env = "SCHISM_JOBS", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Budget in simulated seconds, over all candidates.
    #[arg(long, value_name = "SECONDS", default_value_t = 8000, value_parser = clap::value_parser!(u64).range(1..))]
    budget: u64,
    /// Write the shrunk run to this file [default: a name of its own in target/schism/].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the shrunk run into sims/regressions/ as well.
    #[arg(long)]
    save: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    system: &'a str,
    seed: u64,
    check: &'a str,
    faults_before: usize,
    faults_after: usize,
    acts_before: usize,
    acts_after: usize,
    operations_before: usize,
    operations_after: usize,
    nodes_before: usize,
    nodes_after: usize,
    clients_before: usize,
    clients_after: usize,
    keys_before: usize,
    keys_after: usize,
    duration_before_ms: u64,
    duration_after_ms: u64,
    trials: u64,
    finished: bool,
    elapsed_s: f64,
    replay_s: f64,
    certificate: Option<&'a str>,
    necessity: Vec<Row<'a>>,
    file: String,
}

#[derive(Serialize)]
struct Row<'a> {
    what: &'a str,
    without: &'a str,
    needed: bool,
}

impl Shrink {
    /// Shrinks, writes the result, prints what is left.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let started = Instant::now();
        let scenario = self.subject.load()?;
        let options = self.subject.options();
        let (system, seed) = self.choose(&scenario)?;
        let oracle = RunOracle { system, options };
        let recorded = match scenario.explicit {
            Some(_) => scenario,
            None => run(&scenario, system, seed, &options)?.explicit,
        };
        // The first trial decides what is kept, and is the one that shrinking begins with.
        let first = oracle.run(&recorded);
        let Some(kept) = self.kept(&first)? else { return self.nothing(&recorded, &first, terminal) };
        let first = First { oracle, recorded: &recorded, trial: first };
        let limits = Limits { jobs: self.jobs(), simulated_ms: self.budget * 1000 };
        let shrunk = shrink(&recorded, &kept, &first, &limits).map_err(|error| Failure::Harness(error.to_string()))?;

        let replayed = Instant::now();
        let again = run(&shrunk.scenario, system, seed, &options)?;
        let replay_s = replayed.elapsed().as_secs_f64();
        if again.explicit != shrunk.scenario {
            return Err(Failure::Harness("the shrunk run went another way when it was run once more".into()));
        }
        let path = self.out.clone().unwrap_or_else(|| Path::new(FOLDER).join(file_name(&again)));
        recordings::write(&again, &path)?;
        if self.save {
            let saved = recordings::save_regression(&again, &file_name(&again))?;
            terminal.remark(&format!("saved: {}", recordings::replay_command(&saved)))?;
        }
        let elapsed_s = started.elapsed().as_secs_f64();
        if terminal.json {
            let line = line(&again, &kept, &shrunk, (elapsed_s, replay_s), &path);
            terminal.line(&json::line("shrink", line))?;
        } else {
            let text = text(&again, &kept, &shrunk, terminal.style);
            terminal.print(&terminal.style.plain_text(&text))?;
            terminal.line(&format!("again: {}", recordings::replay_command(&path)))?;
        }
        Ok(Exit::Expected)
    }

    fn jobs(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.map_or(cores, usize::from)
    }

    /// System and seed: those of the recording where there is one.
    fn choose(&self, scenario: &Scenario) -> Result<(System, u64), Failure> {
        let Some(explicit) = &scenario.explicit else {
            return match self.system {
                Some(system) => Ok((system, self.seed.seed)),
                None => Err(Failure::Usage(format!(
                    "{} carries no recorded run: name one with --system and --seed",
                    self.subject.scenario
                ))),
            };
        };
        let recorded: System = explicit.system.parse().map_err(Failure::input)?;
        match self.system {
            Some(other) if other != recorded => Err(Failure::Usage(format!(
                "{} is a run of {recorded}; leave --system out, or shrink the scenario that it came from",
                self.subject.scenario
            ))),
            _ => Ok((recorded, explicit.seed)),
        }
    }

    /// The failure to keep; `None` if there is none.
    fn kept(&self, first: &Trial) -> Result<Option<String>, Failure> {
        let Some(wanted) = &self.check else { return Ok(first.failed.first().cloned()) };
        if first.failed.is_empty() || first.failed.contains(wanted) {
            return Ok(first.failed.iter().find(|failed| *failed == wanted).cloned());
        }
        Err(Failure::Usage(format!("`{wanted}` does not fail in this run; what fails: {}", first.failed.join(", "))))
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

fn file_name(run: &Run) -> String {
    let name = recording::file_name(run);
    format!("{}-shrunk.toml", name.trim_end_matches(".toml").trim_end_matches("-shrunk"))
}

fn line<'a>(
    run: &'a Run,
    kept: &'a str,
    shrunk: &'a Shrunk,
    (elapsed_s, replay_s): (f64, f64),
    path: &Path,
) -> Line<'a> {
    let Shrunk { before, after, .. } = shrunk;
    let row = |row: &'a Necessity| Row { what: &row.what, without: &row.without, needed: row.needed };
    Line {
        scenario: &run.outcome.scenario,
        system: &run.outcome.system,
        seed: run.outcome.seed,
        check: kept,
        faults_before: before.faults,
        faults_after: after.faults,
        acts_before: before.acts,
        acts_after: after.acts,
        operations_before: before.operations,
        operations_after: after.operations,
        nodes_before: before.nodes,
        nodes_after: after.nodes,
        clients_before: before.clients,
        clients_after: after.clients,
        keys_before: before.keys,
        keys_after: after.keys,
        duration_before_ms: before.duration_ms,
        duration_after_ms: after.duration_ms,
        trials: shrunk.trials,
        finished: shrunk.finished,
        elapsed_s,
        replay_s,
        certificate: shrunk.sentence.as_deref(),
        necessity: shrunk.necessity.iter().map(row).collect(),
        file: path.display().to_string(),
    }
}

/// So many operations and acts are shown; the file has them all.
const SHOWN: usize = 20;

fn text(run: &Run, kept: &str, shrunk: &Shrunk, style: Style) -> String {
    let outcome = &run.outcome;
    let mut lines = vec![style.paint(
        Tone::Strong,
        &format!("{} under {}, seed {}: {kept} kept", outcome.scenario, outcome.system, outcome.seed),
    )];
    lines.push(table(&shrunk.before, &shrunk.after));
    if !shrunk.finished {
        lines.push("the budget ended before nothing more could be left out; --budget takes more".into());
    }
    if let Some(explicit) = &shrunk.scenario.explicit {
        let sites = shrunk.scenario.sites.iter();
        let sites: Vec<String> = sites
            .map(|site| {
                let clients = if site.clients == 1 { "client" } else { "clients" };
                let nodes = if site.nodes == 1 { "node" } else { "nodes" };
                format!("{}, {} {nodes} and {} {clients}", site.name, site.nodes, site.clients)
            })
            .collect();
        lines.push(format!("sites: {}", wrap(&sites.join("; "), WIDTH - 7, 2)));
        let mut list = |name: &str, rows: Vec<String>| {
            let more = rows.len().saturating_sub(SHOWN);
            if !rows.is_empty() {
                lines.push(format!("{name}:"));
                lines.extend(rows.iter().take(SHOWN).map(|row| format!("  {}", wrap(row, WIDTH - 2, 4))));
            }
            if more > 0 {
                lines.push(format!("  and {more} more"));
            }
        };
        list("faults", explicit.schedule.iter().map(ToString::to_string).collect());
        let topology = shrunk.scenario.topology();
        let acts = explicit.acts.iter().flatten();
        list("acts", acts.map(|act| words::act(act, &topology)).collect());
        list("operations", explicit.script.iter().map(|op| operation(op, &shrunk.scenario)).collect());
    }
    if let Some(sentence) = &shrunk.sentence {
        lines.push(style.paint(Tone::Bad, &wrap(&format!("{kept}: {sentence}"), WIDTH, 2)));
    }
    if !shrunk.necessity.is_empty() {
        lines.push("without each of them, alone:".into());
    }
    for Necessity { what, without, needed } in &shrunk.necessity {
        let tone = if *needed { Tone::Good } else { Tone::Warn };
        let still = if *needed { "" } else { " (not needed)" };
        lines.push(format!("  {}", style.paint(tone, &wrap(&format!("{what}: {without}{still}"), WIDTH - 2, 4))));
    }
    lines.join("\n") + "\n"
}

fn operation(op: &ScriptedOp, scenario: &Scenario) -> String {
    let site = scenario.client_sites().get(op.client as usize).map_or("?", |site| &scenario.sites[*site].name);
    let (s, ms) = (op.at_us / 1_000_000, op.at_us / 1000 % 1000);
    let placeholder = if op.op.written().is_some() && !op.fixed_expectation && op.op.to_string().starts_with("cas") {
        " (expecting what it saw last)"
    } else {
        ""
    };
    format!("#{} of client {} ({site}): {}{placeholder}, at {s}.{ms:03} s", op.id, op.client, op.op)
}

fn table(before: &Size, after: &Size) -> String {
    let rows = [
        ("faults", before.faults, after.faults),
        ("acts", before.acts, after.acts),
        ("operations", before.operations, after.operations),
        ("nodes", before.nodes, after.nodes),
        ("clients", before.clients, after.clients),
        ("keys", before.keys, after.keys),
    ];
    let mut text = format!("  {:<12}{:>10}{:>10}", "", "before", "after");
    for (name, before, after) in rows {
        text.push_str(&format!("\n  {name:<12}{before:>10}{after:>10}"));
    }
    let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
    text + &format!("\n  {:<12}{:>10}{:>10}", "seconds", seconds(before.duration_ms), seconds(after.duration_ms))
}
