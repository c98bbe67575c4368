//! Where two runs part: a fork has the same events as the run it was forked from, up to a point.

use crate::report::event;
use crate::run::Run;
use serde::Serialize;

/// Where a system's run parts from the one that it was forked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parting {
    /// The system.
    pub system: String,
    /// How many events both have, from the beginning.
    pub shared_events: usize,
    /// When the first event that differs happens, in simulated nanoseconds; `None`: none does.
    pub at_ns: Option<u64>,
}

/// Where runs of the same systems part, in the order of the systems.
pub fn partings(base: &[Run], fork: &[Run]) -> Vec<Parting> {
    base.iter().zip(fork).map(|(base, fork)| parting(base, fork)).collect()
}

fn parting(base: &Run, fork: &Run) -> Parting {
    let system = fork.outcome.system.clone();
    match event::first_difference(&base.trace, &fork.trace) {
        Some(at) => {
            let times = [base, fork].into_iter().filter_map(|run| run.trace.events.get(at)).map(|event| event.t_ns);
            Parting { system, shared_events: at, at_ns: times.min() }
        }
        None => Parting { system, shared_events: fork.trace.events.len(), at_ns: None },
    }
}
