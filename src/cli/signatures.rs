//! What fails alike is one line: the signatures of a sweep's failures, and the smallest seed of each, shrunk.

use super::exit::Failure;
use super::findings::{Found, Trouble};
use super::recordings::{self, FOLDER, quoted};
use super::shrunk::form;
use super::terminal::Terminal;
use super::unwritten::{ELSEWHERE, Unwritten};
use clap::Args;
use schism::campaign::{Line, Smallest, named};
use schism::report::json;
use schism::report::recording;
use schism::report::style::{WIDTH, count, wrap};
use schism::run::{Options, Run, run};
use schism::scenario::Scenario;
use schism::shrink::{Failing, Group, Groups, Limits, RunOracle, Signature, Size, shrink};
use schism::systems::System;
use std::path::Path;

/// More signatures than this are no help; the seeds that are left are counted.
const MOST: usize = 20;

/// Whether failures are grouped.
#[derive(Args, Clone, Copy, Default)]
pub struct Grouping {
    /// Group the violations by what they have in common (the check, the kinds of fault that it takes, the shape of the
    /// certificate), and shrink the smallest seed of each group. Every seed that failed is run a few times more.
    #[arg(long)]
    signatures: bool,
    /// Budget for shrinking the smallest seed of each group, in simulated seconds over all candidates.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 1000,
        requires = "signatures",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    shrink_budget: u64,
}

/// What was swept.
pub struct Swept {
    /// The scenario.
    pub scenario: Scenario,
    /// The scenario as it is named on a command line.
    pub argument: String,
    /// With which system.
    pub system: System,
    /// The options of each run.
    pub options: Options,
    /// How many runs are made at once.
    pub jobs: usize,
}

/// What became of the smallest seed of each group: in the order of the groups, its run after shrinking.
pub type Smallests = Vec<Option<Run>>;

impl Grouping {
    /// Whether it was asked for.
    pub fn is_asked(self) -> bool {
        self.signatures
    }

    /// Groups the violations among what was found, and prints a line for each group as soon as it is known. Returns the
    /// shrunk runs. `is_enough` ends it early.
    pub fn group(
        self,
        swept: &Swept,
        found: &mut Found,
        is_enough: &dyn Fn() -> bool,
        unwritten: &mut Unwritten,
        terminal: &mut Terminal,
    ) -> Result<Smallests, Failure> {
        let failing: Vec<Failing> = found.troubles.iter().filter_map(|trouble| swept.failing(trouble)).collect();
        let bar = terminal.progress(failing.len() as u64, "seeds that fail alike");
        let mut groups = Groups::new(&swept.scenario, &swept.options, &failing, swept.jobs);
        let mut runs = Vec::new();
        while found.signatures.len() < MOST && !is_enough() {
            bar.set_position((failing.len() - groups.rest().len()) as u64);
            let Some(Group { signature, members, smallest }) = groups.next() else { break };
            let seeds: Vec<u64> = members.iter().map(|at| failing[*at].seed).collect();
            let shrunk = if signature.faults.is_some() { self.shrunk(swept, &smallest, &signature)? } else { None };
            let shrunk = shrunk.map(|(run, smallest)| record(run, smallest, unwritten)).transpose()?;
            let (run, shrunk) = shrunk.unzip();
            let line = Line { what: signature.to_string(), signature, seeds, shrunk };
            bar.suspend(|| tell(&line, terminal))?;
            found.signatures.push(line);
            runs.push(run);
        }
        bar.finish_and_clear();
        if let left @ 1.. = groups.rest().len() as u64 {
            terminal.remark(&format!("{} with a violation in no group", count(left, "seed")))?;
        }
        Ok(runs)
    }

    /// The smallest run of a group, shrunk.
    fn shrunk(
        self,
        swept: &Swept,
        smallest: &Scenario,
        signature: &Signature,
    ) -> Result<Option<(Run, Smallest)>, Failure> {
        let oracle = RunOracle { system: swept.system, options: swept.options };
        let limits = Limits { jobs: swept.jobs, simulated_ms: self.shrink_budget * 1000 };
        let Ok(shrunk) = shrink(smallest, signature.symptom.check.name(), &oracle, &limits) else { return Ok(None) };
        let run = run(&shrunk.scenario, swept.system, form(&shrunk.scenario).seed, &swept.options)?;
        let Size { faults, acts, operations, nodes, .. } = shrunk.after;
        let (replay, sentence) = (swept.replay(form(smallest).seed), shrunk.sentence);
        Ok(Some((run, Smallest { replay, faults, acts, operations, nodes, sentence, page: None })))
    }
}

/// Records a shrunk run. If it cannot be written, the command for the whole run stays.
fn record(run: Run, smallest: Smallest, unwritten: &mut Unwritten) -> Result<(Run, Smallest), Failure> {
    let path = Path::new(FOLDER).join(name(&run));
    let replay = match unwritten.attempt(recordings::write(&run, &path), ELSEWHERE)? {
        Some(()) => recordings::replay_command(&path),
        None => smallest.replay,
    };
    Ok((run, Smallest { replay, ..smallest }))
}

/// The name of a shrunk run's file.
pub fn name(run: &Run) -> String {
    recording::named(&run.outcome.scenario, &run.outcome.system, run.outcome.seed, "-shrunk")
}

impl Swept {
    fn failing(&self, trouble: &Trouble) -> Option<Failing> {
        let Trouble { seed, symptoms, .. } = trouble;
        (!symptoms.is_empty()).then(|| Failing { seed: *seed, system: self.system, symptoms: symptoms.clone() })
    }

    fn replay(&self, seed: u64) -> String {
        format!("schism run {} --system {} --seed {seed}", quoted(&self.argument), quoted(self.system.name()))
    }
}

fn tell(line: &Line, terminal: &mut Terminal) -> Result<(), Failure> {
    if terminal.json {
        return terminal.line(&json::line("signature", line));
    }
    let Line { what, seeds, shrunk, .. } = line;
    let head = format!("{} alike: {what}: {}", count(seeds.len() as u64, "seed"), named(seeds));
    let mut text = wrap(&head, WIDTH, 2);
    if let Some(shrunk) = shrunk {
        let sentence = shrunk.sentence.as_ref().map_or_else(String::new, |sentence| format!(": {sentence}"));
        let smallest = format!("seed {} shrunk to {}{sentence}", seeds[0], shrunk.size());
        text += &format!("\n  {}\n  {}", wrap(&smallest, WIDTH - 2, 4), shrunk.replay);
    }
    terminal.line(&terminal.style.plain_text(&text))
}
