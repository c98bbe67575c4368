//! The command line: arguments, exit codes, progress. One file per command.

mod against;
mod answer;
mod bench;
mod bisect;
mod case;
mod catalogue;
mod check;
mod compare;
mod course;
mod determinism;
#[cfg(feature = "engines")]
mod elections;
#[cfg(feature = "engines")]
mod engines;
mod exhaust;
mod exit;
mod export;
mod extent;
#[cfg(all(feature = "real", target_os = "linux"))]
mod fidelity;
mod findings;
mod gradebook;
mod grades;
mod grid;
mod hand_in;
mod histories;
mod hunt;
mod interrupt;
mod isolation;
#[cfg(feature = "lab")]
mod lab;
mod ladder;
mod ledger;
mod lesson;
mod list;
mod merge;
mod museum;
mod named;
mod nodes;
mod outcomes;
mod pace;
mod profile;
#[cfg(all(feature = "real", target_os = "linux"))]
mod real;
#[cfg(all(feature = "real", target_os = "linux"))]
mod real_bench;
#[cfg(all(feature = "real", target_os = "linux"))]
mod real_run;
mod recordings;
mod regressions;
mod replay;
mod reports;
mod revision;
mod run;
mod shrink;
mod shrunk;
mod signatures;
mod story;
mod sweep;
mod sweep_log;
mod sweep_summary;
mod terminal;
mod unwritten;
mod warn;
mod whole;
mod worker;
mod zoo;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use exit::{Exit, Failure};
use named::load;
use schism::report::style::hang;
use schism::rng::seeds::{SEED, parse_seed};
use schism::run::Options;
use schism::scenario::suggest::allowed;
use schism::scenario::{Scenario, SubjectProgram};
use schism::systems::System;
use schism::systems::bugs::Bug;
use schism::systems::nodes::{Program, Service};
use schism::systems::together::{Bugs, NotTogether};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use terminal::Terminal;

/// A consensus testbed and a classroom of network failures: one seed, two systems, one verdict.
#[derive(Parser)]
#[command(name = "schism", version, after_help = AFTER_HELP, max_term_width = schism::report::style::WIDTH)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: Output,
}

const AFTER_HELP: &str = "\
Seeds: decimal, 0x hex, or a 40-digit git SHA. Ranges: 0..500 (500 excluded), a
count, or 17+500.
Exit codes: 0 as expected, 1 a violation, 2 inconclusive, 64 usage, 65 bad input
file, 70 nondeterminism or a fault of the harness.
SCHISM_LOG=info (or a filter such as openraft=debug) writes logs to stderr;
NO_COLOR turns colour off.";

#[derive(Subcommand)]
enum Command {
    /// Show the scenarios, or the story of one.
    List(list::List),
    /// Run one system under one seed.
    Run(run::RunOne),
    /// Run several systems under the same faults and the same clients, side by side.
    Compare(compare::Compare),
    /// Run systems one idea apart under faults one kind apart: what each idea buys.
    Ladder(ladder::LadderOf),
    /// Run the store on each engine under the same faults: what each costs, and how soon it is back.
    #[cfg(feature = "engines")]
    Engines(engines::EnginesOf),
    /// Let a leader die for good under many seeds: how long there is none and nobody is served, against what the time-outs
    /// allow.
    #[cfg(feature = "engines")]
    Elections(elections::ElectionsOf),
    /// Run every system under every kind of fault: what it costs in time and in writes.
    Ledger(ledger::LedgerOf),
    /// Tell a story of a failure, ask what happens, and show it.
    Lesson(lesson::Lesson),
    /// Solve a case: what is the matter, from evidence that takes time to get, and what helps.
    Case(case::Cases),
    /// Run a program of yours, in whatever language, as the nodes of a cluster, under many seeds.
    Nodes(nodes::Nodes),
    /// Show a course in which such programs are built step by step, and grade what was handed in.
    Course(course::CourseOf),
    /// Run one system under many seeds, on all cores.
    Sweep(merge::SweepOrMerge),
    /// Find the commit since which a seed fails.
    Bisect(bisect::Bisect),
    /// Read what sweeps have written down with --out, and say what they found and which seeds are missing.
    Outcomes(outcomes::Outcomes),
    /// Run the seeds that a sweep asks for on standard input; started by the sweep itself.
    #[command(hide = true)]
    Worker(worker::Worker),
    /// Run a recorded file again and say whether it still goes the same way.
    Replay(replay::Replay),
    /// Replay the kept runs, and say which still show what they were kept for.
    Regressions(regressions::Regressions),
    /// Make a failing run as small as it can be while the same check fails.
    Shrink(shrink::Shrink),
    /// Search for schedules that fail: change those whose runs reached something new.
    Hunt(hunt::Hunt),
    /// Try every single fault at every instant of one small run.
    Exhaust(exhaust::Exhaust),
    /// Hunt planted bugs with one nemesis, and say how many seeds each takes.
    Zoo(zoo::Zoo),
    /// Measure how fast this build runs seeds, and where the time goes.
    Bench(bench::Bench),
    /// Show bugs of published engines that nobody planted: what they do, and which lines do it.
    Museum(museum::Museum),
    /// Say whether histories, of whatever system, are linearizable, and why not.
    Check(check::Check),
    /// Run a scenario on real processes: other people's stores, on a real kernel, in real time.
    #[cfg(all(feature = "real", target_os = "linux"))]
    Real(real::RealOf),
    /// Hold a run on real processes; started by `schism real` itself.
    #[cfg(all(feature = "real", target_os = "linux"))]
    #[command(hide = true)]
    RealConductor,
    /// Be a node of one of our own systems; started by `schism real` itself.
    #[cfg(all(feature = "real", target_os = "linux"))]
    #[command(hide = true)]
    RealNode,
    /// Serve the playground to the browsers of this machine.
    #[cfg(feature = "lab")]
    Lab(lab::Lab),
    /// Write a history in a form that other checkers read.
    Export(export::Export),
}

/// What to print.
#[derive(Args, Clone, Copy)]
pub struct Output {
    /// Text for people, or JSON lines with the summary last.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print ASCII only, whatever the locale says.
    #[arg(long, global = true)]
    ascii: bool,
}

/// The forms of output.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A scenario and how to run it.
#[derive(Args)]
pub struct Subject {
    /// The name of a scenario (see `schism list`), or the path of a scenario file.
    scenario: String,
    /// Budget of the search checker, in steps; when it ends the verdict is inconclusive.
    #[arg(long, value_name = "STEPS")]
    check_steps: Option<u64>,
}

impl Subject {
    fn load(&self) -> Result<Scenario, Failure> {
        load(&self.scenario)
    }

    fn options(&self) -> Options {
        options(self.check_steps)
    }
}

/// The options of a run with this budget of the search checker, or the default one.
fn options(check_steps: Option<u64>) -> Options {
    let mut options = Options::default();
    options.budget.steps = check_steps.unwrap_or(options.budget.steps);
    options
}

/// Which system to run.
#[derive(Args, Clone, Copy)]
pub struct Which {
    /// The system to run.
    #[arg(long, value_parser = parse_system)]
    system: Option<System>,
    /// Run the system that this bug is for, with the bug (`schism zoo --list` tells them all); several at once: a+b.
    #[arg(long, value_name = "NAME", value_parser = parse_bugs, conflicts_with = "system")]
    bug: Option<Bugs>,
}

impl Which {
    /// The system that was named, if any was.
    fn named(self) -> Option<System> {
        self.system.or(self.bug.map(System::Bugged))
    }

    /// The system that was named, or the scenario's own program, or `raft`.
    fn or_that_of(self, scenario: &Scenario) -> Result<System, Failure> {
        match self.named() {
            Some(system) => Ok(system),
            None => Ok(subject_of(scenario)?.unwrap_or(System::Raft)),
        }
    }
}

/// The program that a scenario is about, as a system.
fn subject_of(scenario: &Scenario) -> Result<Option<System>, Failure> {
    let Some(SubjectProgram { nodes, service }) = &scenario.subject else { return Ok(None) };
    let wrong = |why: String| Failure::input(format!("[subject] of {}: {why}", scenario.name));
    let unknown =
        |_| wrong(format!("there is no service `{service}`; the services are {}", Service::names().join(", ")));
    let service = service.parse().map_err(unknown)?;
    let program = Program::new(nodes, service).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(System::Nodes(program)))
}

/// The seed of a single run.
#[derive(Args, Clone, Copy)]
pub struct OneSeed {
    /// The seed.
    #[arg(long, env = SEED, value_parser = parse_seed, default_value = "0")]
    seed: u64,
}

/// How much is done at once.
#[derive(Args, Clone, Copy)]
pub struct Jobs {
    /// How much is done at once; no result depends on it [default: all cores].
    #[arg(long, env = "SCHISM_JOBS", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

impl Jobs {
    fn count(self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.map_or_else(cores, usize::from)
    }
}

/// Reads the name of a system, and says what there is if there is no such system.
fn parse_system(text: &str) -> Result<System, String> {
    match text.parse() {
        Ok(system) => Ok(system),
        // Whoever gives arguments may start programs.
        Err(_) if ["nodes", "maelstrom"].iter().any(|prefix| text.starts_with(prefix)) => System::named(text),
        Err(_) => Err(unknown("system", text, System::names())),
    }
}

/// Reads the names of bugs that are to be in one system, and says what there is if there is no such bug.
fn parse_bugs(text: &str) -> Result<Bugs, String> {
    let names = || Bug::ALL.iter().map(|bug| bug.name()).collect();
    text.parse().map_err(|error| match error {
        NotTogether::Unknown(name) => unknown("bug", &name, names()),
        apart @ NotTogether::Apart(..) => apart.to_string(),
    })
}

/// The error about an unknown name in the arguments. The parser does not wrap lines, so they are wrapped here.
fn unknown(what: &str, text: &str, names: Vec<&str>) -> String {
    format!("there is no {what} `{text}`\n{}", hang("  ", &allowed(text, names), 2))
}

/// Runs the command named by the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Only a closed pipe can fail here, and then there is no reader to tell.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { Exit::Expected } else { Exit::Usage }.into();
        }
    };
    // A panic is a fault of the harness, whatever thread it is on; the message is already on stderr.
    let done = catch_unwind(AssertUnwindSafe(|| dispatch(cli)));
    let done = done.unwrap_or_else(|_| Err(Failure::Harness("the harness panicked; its message is above".into())));
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let exit = failure.exit();
            failure.print();
            exit.into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    terminal::start_logging()?;
    nodes::read_patience()?;
    exit::keep_names_whole();
    let mut terminal = Terminal::new(cli.output);
    let found = command(cli.command, &mut terminal)?;
    Ok(terminal.exit(found))
}

fn command(command: Command, terminal: &mut Terminal) -> Result<Exit, Failure> {
    match command {
        Command::List(command) => command.run(terminal),
        Command::Run(command) => command.run(terminal),
        Command::Compare(command) => command.run(terminal),
        Command::Ladder(command) => command.run(terminal),
        #[cfg(feature = "engines")]
        Command::Engines(command) => command.run(terminal),
        #[cfg(feature = "engines")]
        Command::Elections(command) => command.run(terminal),
        Command::Ledger(command) => command.run(terminal),
        Command::Lesson(command) => command.run(terminal),
        Command::Case(command) => command.run(terminal),
        Command::Nodes(command) => command.run(terminal),
        Command::Course(command) => command.run(terminal),
        Command::Sweep(command) => command.run(terminal),
        Command::Bisect(command) => command.run(terminal),
        Command::Outcomes(command) => command.run(terminal),
        Command::Worker(command) => command.run(),
        Command::Replay(command) => command.run(terminal),
        Command::Regressions(command) => command.run(terminal),
        Command::Shrink(command) => command.run(terminal),
        Command::Hunt(command) => command.run(terminal),
        Command::Exhaust(command) => command.run(terminal),
        Command::Zoo(command) => command.run(terminal),
        Command::Bench(command) => command.run(terminal),
        Command::Museum(command) => command.run(terminal),
        Command::Check(command) => command.run(terminal),
        #[cfg(all(feature = "real", target_os = "linux"))]
        Command::Real(command) => command.run(terminal),
        #[cfg(all(feature = "real", target_os = "linux"))]
        Command::RealConductor => real_run::conductor(),
        #[cfg(all(feature = "real", target_os = "linux"))]
        Command::RealNode => real_run::node(),
        #[cfg(feature = "lab")]
        Command::Lab(command) => command.run(terminal),
        Command::Export(command) => command.run(terminal),
    }
}
