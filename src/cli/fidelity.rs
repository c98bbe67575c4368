//! `schism real fidelity`: the same runs in the simulator and on real processes, side by side.

use super::exit::{Exit, Failure};
use super::real_run::{make, named};
use super::terminal::Terminal;
use super::{load, options};
use clap::Args;
use schism::real::fidelity::{Pair, Recovered, Row};
use schism::real::{What, powerless};
use schism::report::json;
use schism::rng::seeds::Seeds;
use schism::run::{plan, run};
use schism::scenario::{self, Scenario};

/// Arguments of `schism real fidelity`.
#[derive(Args)]
pub struct Fidelity {
    /// The scenarios, separated by commas: names or paths. Without it all whose faults can act on real processes.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// The systems, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "raft,dual-primary,primary-backup-async,primary-backup-sync,lease,quorum"
    )]
    systems: Vec<String>,
    /// The seeds.
    #[arg(long, default_value = "3")]
    seeds: Seeds,
}

impl Fidelity {
    /// The scenarios. A fault that cannot act leaves a scenario out, with a remark, unless it was asked for by name.
    fn scenarios(&self, terminal: &mut Terminal) -> Result<Vec<Scenario>, Failure> {
        if !self.scenarios.is_empty() {
            return self.scenarios.iter().map(|name| load(name)).collect();
        }
        let mut possible = Vec::new();
        for scenario in scenario::catalogue() {
            let cannot = |seed| powerless::reasons(&plan(&scenario, seed).world, true).into_iter().next();
            match self.seeds.iter().find_map(cannot) {
                Some(why) => terminal.remark(&format!("left out: {}: {why}", scenario.name))?,
                None => possible.push(scenario),
            }
        }
        Ok(possible)
    }

    /// Runs every pair, which takes as long as the scenarios last, and prints a table in Markdown.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if !terminal.json {
            terminal.print(HEAD)?;
        }
        let (mut pairs, mut same) = (0, 0);
        for scenario in self.scenarios(terminal)? {
            for system in &self.systems {
                let what = named(system)?;
                let What::Own(system) = what else {
                    return Err(Failure::Usage(format!(
                        "`{system}` has no simulated twin: name one of our own systems"
                    )));
                };
                let pair = |seed: u64| -> Result<Pair, Failure> {
                    let simulated = run(&scenario, system, seed, &options(None))?;
                    let real = make(&options(None), &scenario, &what, seed, terminal)?.run;
                    Ok(Pair { seed, simulated, real })
                };
                let made: Vec<Pair> = self.seeds.iter().map(pair).collect::<Result<_, _>>()?;
                let Some(row) = Row::of(&made) else { continue };
                (pairs, same) = (pairs + row.pairs, same + row.same_verdict);
                if terminal.json {
                    terminal.line(&json::line("fidelity", &row))?;
                } else {
                    terminal.line(&markdown(&row))?;
                }
            }
        }
        Ok(if same == pairs { Exit::Expected } else { Exit::Violation })
    }
}

const HEAD: &str = "\
| scenario | system | same verdict | same sites served | median latency, ms | distance | recovered after, ms | distance | lost acks |
|---|---|---|---|---|---|---|---|---|
";

/// The median, with the shortest and the longest where they differ, and how often it never was.
fn recovered(times: &Recovered) -> String {
    let Recovered { least, median, most, never } = times;
    if *most == 0 && *never > 0 {
        return "never".into();
    }
    let never = if *never == 0 { String::new() } else { format!(", never in {never}") };
    if least == most { format!("{median}{never}") } else { format!("{median} ({least} to {most}){never}") }
}

/// A row of the table; of two figures the simulated one is first.
fn markdown(row: &Row) -> String {
    format!(
        "| {} | {} | {} of {} | {} of {} | {:.1} / {:.1} | {:.2} | {} / {} | {:.2} | {} / {} |",
        row.scenario,
        row.system,
        row.same_verdict,
        row.pairs,
        row.same_sites,
        row.pairs,
        row.latency_ms.0,
        row.latency_ms.1,
        row.latency_distance,
        recovered(&row.recovered.0),
        recovered(&row.recovered.1),
        row.recovered_distance,
        row.lost.0,
        row.lost.1,
    )
}
