//! Fixes everything random about a run before it starts.

use super::{Explicit, Recorded, Scenario, ScriptedOp, script};
use crate::fault::chaos::Act;
use crate::fault::model::Schedule;
use crate::trace::digest;

/// What happens in a run, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Materialised {
    /// The faults, in order of their beginning.
    pub schedule: Schedule,
    /// What clients do, in planned order.
    pub script: Vec<ScriptedOp>,
    /// The message acts; `None`: hashes decide.
    pub acts: Option<Vec<Act>>,
}

/// Materialises a scenario under a seed. If it has an explicit form, that replaces all generators.
pub fn materialise(scenario: &Scenario, seed: u64) -> Materialised {
    if let Some(explicit) = &scenario.explicit {
        let schedule = Schedule { faults: explicit.schedule.clone() };
        return Materialised { schedule, script: explicit.script.clone(), acts: explicit.acts.clone() };
    }
    let mut faults = scenario.faults.clone();
    faults.extend(scenario.nemesis.iter().flat_map(|nemesis| nemesis.generate(&scenario.topology(), seed)));
    // Stable: faults of one instant keep the order in which they were written.
    faults.sort_by_key(|fault| fault.at_ms);
    let clients = scenario.client_sites().len() as u32;
    let script = script::generate(&scenario.workload, clients, scenario.timing.duration_ms, seed);
    Materialised { schedule: Schedule { faults }, script, acts: None }
}

impl Scenario {
    /// The explicit form of a run that was not recorded: generators are carried out, acts are left to their hashes, and
    /// the verdict is "inconclusive".
    pub fn materialised(&self, system: &str, seed: u64) -> Scenario {
        let drawn = self.drawn(seed);
        let Materialised { schedule, script, acts } = materialise(&drawn, seed);
        let verdict = Recorded { verdict: "inconclusive".into(), checks: Vec::new(), digest: digest::of("") };
        let (system, schedule) = (system.to_owned(), schedule.faults);
        Scenario { explicit: Some(Explicit { seed, system, schedule, script, acts, verdict }), ..drawn }
    }
}
