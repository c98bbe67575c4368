//! `schism real`: a scenario on real processes and a real kernel.

use super::OneSeed;
use super::Subject as Of;
use super::compare;
use super::exit::{Exit, Failure};
use super::fidelity::Fidelity;
use super::real_bench::Bench;
use super::real_run::{make, named, roles};
use super::recordings;
use super::terminal::Terminal;
use super::unwritten::Unwritten;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use schism::real::{self, Real};
use schism::report::page::page;
use schism::report::{comparison, json, outcome, timeline};
use schism::run;
use std::path::PathBuf;

/// `schism real`, and its subcommands.
pub enum RealOf {
    /// Makes one run.
    One(Box<One>),
    /// Anything else.
    Other(Task),
}

/// What else to do on real processes.
#[derive(Subcommand)]
pub enum Task {
    /// Run several stores under the same faults and the same clients, one after the other, and compare them.
    Compare(Several),
    /// Measure the router: how many packets it moves, and by how much it delays them.
    Measure,
    /// Measure how many puts a second stores of three nodes acknowledge, and how soon, with data on a disk.
    Bench(Bench),
    /// Run our own systems in the simulator and on real processes, and say how much the two resemble each other.
    Fidelity(Fidelity),
}

/// One run.
#[derive(Args)]
pub struct One {
    #[command(flatten)]
    of: Of,
    /// What to run: etcd, etcd-local-reads, redis-sentinel, redis-sentinel-min-replicas, one of our own systems (raft,
    /// dual-primary, ...), or the path of a subject file.
    #[arg(long, value_name = "NAME|FILE", default_value = "etcd")]
    subject: String,
    #[command(flatten)]
    seed: OneSeed,
    /// Show the run as a picture as well.
    #[arg(long)]
    timeline: bool,
    /// Write the run as a page to look into: one HTML file that needs no server.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Several runs.
#[derive(Args)]
pub struct Several {
    #[command(flatten)]
    of: Of,
    /// What to run, separated by commas: names or paths, as with `schism real --subject`.
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE,...", default_value = "etcd,redis-sentinel")]
    subjects: Vec<String>,
    #[command(flatten)]
    seed: OneSeed,
    /// Show every figure, every certificate and every fault.
    #[arg(long, short)]
    verbose: bool,
    /// Write the comparison as a page to look into: one HTML file that needs no server.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

// A scenario is required to run, and not by every subcommand, which the derived parsers cannot say of one command.
impl Args for RealOf {
    fn augment_args(command: Command) -> Command {
        let about = command.get_about().cloned();
        let command = Task::augment_subcommands(One::augment_args(command));
        let command = command.args_conflicts_with_subcommands(true).subcommand_negates_reqs(true);
        command.about(about.unwrap_or_default())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RealOf {
    fn from_arg_matches(matches: &ArgMatches) -> Result<RealOf, clap::Error> {
        match matches.subcommand() {
            Some(_) => Task::from_arg_matches(matches).map(RealOf::Other),
            None => Ok(RealOf::One(Box::new(One::from_arg_matches(matches)?))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl RealOf {
    /// Runs, prints, and says whether it was as expected.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match self {
            RealOf::One(one) => one.run(terminal),
            RealOf::Other(Task::Compare(several)) => several.run(terminal),
            RealOf::Other(Task::Measure) => measure(terminal),
            RealOf::Other(Task::Bench(bench)) => bench.run(terminal),
            RealOf::Other(Task::Fidelity(fidelity)) => fidelity.run(terminal),
        }
    }
}

/// Measures the router and prints what it can do.
fn measure(terminal: &mut Terminal) -> Result<Exit, Failure> {
    let program = std::env::current_exe()?;
    let speed = real::measure(roles(&program)).map_err(|error| Failure::Harness(error.to_string()))?;
    if terminal.json {
        terminal.line(&json::line("speed", speed))?;
        return Ok(Exit::Expected);
    }
    let us = |ns: u64| ns as f64 / 1e3;
    terminal.print(&format!(
        "packets        {} per second, and {} per second of one core\n\
         added latency  {:.1} us in the median, {:.1} us at most for 99 of 100\n",
        speed.packets_per_s,
        speed.packets_per_core_s,
        us(speed.added_median_ns),
        us(speed.added_most_ns)
    ))?;
    Ok(Exit::Expected)
}

/// What there is to say about how punctual the router was.
fn remark(real: &Real, terminal: &mut Terminal) -> Result<(), Failure> {
    let real::Punctuality { packets, median_ns, most_ns } = real.punctuality;
    let ms = |ns: u64| ns as f64 / 1e6;
    terminal.remark(&format!(
        "routed: {packets} packets, half of them at most {:.3} ms late, 99 of 100 at most {:.3} ms",
        ms(median_ns),
        ms(most_ns)
    ))
}

impl One {
    fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let (scenario, what) = (self.of.load()?, named(&self.subject)?);
        let real = make(&self.of.options(), &scenario, &what, self.seed.seed, terminal)?;
        let done = &real.run;
        let mut unwritten = Unwritten::default();
        if !terminal.json {
            terminal.print(&outcome::outcome(&done.outcome, terminal.style))?;
            if self.timeline {
                let picture = timeline::timeline(std::slice::from_ref(done), terminal.style);
                terminal.print(&format!("\n{picture}"))?;
            }
        }
        remark(&real, terminal)?;
        if let Some(path) = &self.html {
            let scenario = recordings::portable(&self.of.scenario);
            let command = format!(
                "schism real {scenario} --subject {} --seed {}",
                recordings::portable(&self.subject),
                self.seed.seed
            );
            let page = page(std::slice::from_ref(done), None, &command);
            unwritten.attempt(recordings::write_page(&page, path, terminal), "name another file with --html")?;
        }
        if terminal.json {
            terminal.line(&json::outcome(&done.outcome))?;
        }
        Ok(unwritten.exit(done.outcome.verdict.into()))
    }
}

impl Several {
    fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let mut scenario = self.of.load()?;
        let subjects = self.subjects.iter().map(|name| named(name)).collect::<Result<Vec<_>, _>>()?;
        let mut runs = Vec::new();
        for what in &subjects {
            scenario = what.expected_of(&scenario);
            let real = make(&self.of.options(), &scenario, what, self.seed.seed, terminal)?;
            runs.push(real.run);
        }
        let compared = run::compare::judge(&scenario, runs);
        let mut unwritten = Unwritten::default();
        if terminal.json {
            for line in json::comparison::<()>(&compared, None) {
                terminal.line(&line)?;
            }
        } else {
            terminal.print(&comparison::comparison(&compared, self.verbose, terminal.style))?;
        }
        if let Some(path) = &self.html {
            let names: Vec<String> = self.subjects.iter().map(|name| recordings::portable(name)).collect();
            let (of, seed) = (recordings::portable(&self.of.scenario), self.seed.seed);
            let command = format!("schism real compare {of} --subjects {} --seed {seed}", names.join(","));
            let page = page(&compared.runs, Some(&compared), &command);
            unwritten.attempt(recordings::write_page(&page, path, terminal), "name another file with --html")?;
        }
        Ok(unwritten.exit(compare::exit(&compared)))
    }
}
