//! Every single fault at every instant of one small run.
//!
//! Where a search hopes, this counts. A run of few nodes and few operations is made once, without faults. Then the same run is
//! made with one fault, for every one there is: what is not tried is not in the list below.
//!
//! * **Power lost at the n-th write or sync** of each node's disk, with unsynced writes lost or torn; back soon, after an
//!   election, or not before the load ends.
//! * **A kill of each node, and a cut of each node from all others**, before and after each step of the simulator in which it
//!   sent or got a message or wrote to its disk; for as long. Between two such steps nothing changes that a kill could tell apart.
//! * **Each message lost, doubled at once, doubled late, or late** by one longest election time-out.
//!
//! Then pairs of these, as many as the caller allows, in an order that a hash decides; what was left out is counted.

use crate::check::CheckName;
use crate::fault::chaos::{Act, ActKind, Place};
use crate::fault::kinds::{FaultKind, Isolate, Kill, PowerLoss};
use crate::fault::model::{Chaos, Fault, Target};
use crate::rng;
use crate::rng::seeds::Seeds;
use crate::run::{Options, Run, RunError, Verdict, run};
use crate::scenario::{Scenario, ScenarioError, Site};
use crate::sweep::{Fate, Pool, sweep};
use crate::systems::System;
use crate::trace::{AttemptId, HostId, MessageKind, Trace, What};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The run whose faults are tried.
#[derive(Debug, Clone)]
pub struct Small {
    /// It, without faults, in explicit form.
    pub scenario: Scenario,
    /// The system.
    pub system: System,
    /// What the checks may cost.
    pub options: Options,
    nodes: u16,
    operations: u32,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Single {
    /// A fault.
    Fault(Fault),
    /// An act on one message.
    Act(Act),
}

impl fmt::Display for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Single::Fault(fault) => fault.fmt(f),
            Single::Act(act) => {
                let how = <&str>::from(act.what);
                write!(
                    f,
                    "{how} {} {} > {} ({}), {} us",
                    act.place.kind, act.place.from, act.place.to, act.place.n, act.us
                )
            }
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exhausted {
    /// Single faults of each sort that were tried.
    pub tried: BTreeMap<&'static str, u64>,
    /// Of them, those that had nothing to act on in the run that they changed.
    pub idle: u64,
    /// Pairs that were tried, and how many there are.
    pub pairs: (u64, u64),
    /// Runs in which nothing failed and that prove little, since too few operations were acknowledged.
    pub inconclusive: u64,
    /// Runs in which a check failed.
    pub broken: u64,
    /// Runs that panicked in the harness, or hung.
    pub unfinished: u64,
    /// Whether it was stopped before its end.
    pub is_stopped: bool,
}

impl Exhausted {
    /// Runs with one fault.
    pub fn singles(&self) -> u64 {
        self.tried.values().sum()
    }
}

/// A run that one fault, or two, broke.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The faults.
    pub by: Vec<Single>,
    /// What failed, the strongest first.
    pub checks: Vec<CheckName>,
    /// What failed first, in a sentence.
    pub sentence: String,
    /// The run, recorded.
    pub recorded: Scenario,
}

/// Why there is nothing to exhaust.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The small scenario makes no sense.
    #[error(transparent)]
    Scenario(#[from] Box<ScenarioError>),
    /// It cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It fails without a fault.
    #[error("the run fails without a fault: {0}")]
    Fails(String),
}

impl Small {
    /// The small run that a scenario's timing, latencies and mix of operations give: each node in a site of its own, with one
    /// client, without faults, chaos or jitter.
    ///
    /// # Errors
    /// If that makes no sense.
    pub fn of(
        scenario: &Scenario,
        system: System,
        (nodes, operations): (u16, u32),
        seed: u64,
        options: Options,
    ) -> Result<Small, Unfit> {
        let mut small = Scenario { swarm: None, nemesis: None, explicit: None, ..scenario.clone() };
        (small.faults, small.situations, small.messages) = (Vec::new(), Vec::new(), Chaos::NONE);
        let site = |n: u16| Site { name: format!("site-{n}"), nodes: 1, clients: 1, witness: false };
        small.sites = (1..=nodes).map(site).collect();
        small.latency.between.clear();
        small.latency.wan_ms = small.latency.local_ms;
        small.expect = scenario.expect.clone();
        small.expect.values_mut().for_each(|expectation| expectation.availability.clear());
        let timing = &mut small.timing;
        // A leader is there, a fault lasts for an election or two, and what it left is served afterwards.
        let start_ms = 3 * timing.election_max_ms;
        timing.duration_ms = start_ms + u64::from(operations) * timing.heartbeat_ms + 4 * timing.election_max_ms;
        (small.workload.operations, small.workload.start_ms) = (operations, start_ms);
        small.workload.keys = small.workload.keys.min(operations.div_ceil(3)).max(1);
        let mut small = small.materialised(system.name(), seed);
        // All operations one after the other, not spread over the time that is left for elections.
        let step_us = small.timing.heartbeat_ms * 1000;
        if let Some(explicit) = &mut small.explicit {
            for (n, op) in (0u64..).zip(&mut explicit.script) {
                op.at_us = start_ms * 1000 + n * step_us;
            }
            explicit.acts = Some(Vec::new());
        }
        small.check().map_err(Box::new)?;
        Ok(Small { scenario: small, system, options, nodes, operations })
    }

    fn ran(&self, singles: &[Single]) -> Result<Run, RunError> {
        let seed = self.scenario.explicit.as_ref().map_or(0, |explicit| explicit.seed);
        run(&self.with(singles), self.system, seed, &self.options)
    }

    fn with(&self, singles: &[Single]) -> Scenario {
        let mut with = self.scenario.clone();
        if let Some(explicit) = &mut with.explicit {
            for single in singles {
                match single {
                    Single::Fault(fault) => explicit.schedule.push(fault.clone()),
                    Single::Act(act) => explicit.acts.get_or_insert_default().push(*act),
                }
            }
            explicit.schedule.sort_by_key(|fault| fault.at_ms);
        }
        with
    }

    /// Every single fault, by sort.
    ///
    /// # Errors
    /// If the run cannot be made, or fails without a fault.
    pub fn singles(&self) -> Result<Vec<(&'static str, Single)>, Unfit> {
        let base = self.ran(&[])?;
        if base.outcome.verdict == Verdict::Violation {
            return Err(Unfit::Fails(base.outcome.failed_checks().join(", ")));
        }
        let mut singles: Vec<(&'static str, Single)> = Vec::new();
        for node in base.plan.world.topology.node_ids() {
            self.power_losses(node, &base, &mut singles)?;
            for instant_ms in self.instants_ms(node, &base.trace) {
                let target = || Target(base.trace.name(node).to_owned());
                let isolate = || Isolate { target: target(), from_clients: true }.into();
                singles
                    .extend(self.lengths(instant_ms, || Kill { target: target() }.into()).map(|fault| ("kill", fault)));
                singles.extend(self.lengths(instant_ms, isolate).map(|fault| ("cut", fault)));
            }
        }
        let late_us = self.scenario.timing.election_max_ms * 1000;
        for place in places(&base.trace, self.duration_ms()) {
            for (sort, what, us) in [
                ("loss", ActKind::Lose, 0),
                ("duplicate", ActKind::Duplicate, 1000),
                ("duplicate", ActKind::Duplicate, late_us),
                ("delay", ActKind::Delay, late_us),
            ] {
                singles.push((sort, Single::Act(Act { place, what, us })));
            }
        }
        Ok(singles)
    }

    fn duration_ms(&self) -> u64 {
        self.scenario.timing.duration_ms
    }

    /// A fault that begins at this instant: over soon, after an election, or with the load.
    fn lengths(&self, at_ms: u64, kind: impl Fn() -> FaultKind) -> impl Iterator<Item = Single> {
        let timing = &self.scenario.timing;
        let left = timing.duration_ms.saturating_sub(at_ms);
        let lengths = BTreeSet::from([timing.heartbeat_ms.min(left), (2 * timing.election_max_ms).min(left), left]);
        let of = move |length| Single::Fault(Fault { at_ms, for_ms: Some(length), kind: kind(), when: None });
        lengths.into_iter().filter(|length| *length > 0).map(of)
    }

    /// The power of a node, gone at each operation of its disk. A sync says how many writes came before it, at its instant.
    fn power_losses(&self, node: HostId, base: &Run, singles: &mut Vec<(&'static str, Single)>) -> Result<(), Unfit> {
        let loss = |n, torn| -> FaultKind {
            PowerLoss { target: Target(base.trace.name(node).to_owned()), torn, at_operation: Some(n) }.into()
        };
        let until_ns = self.duration_ms() * 1_000_000;
        let events = base.trace.events.iter().take_while(|event| event.t_ns < until_ns);
        let mut instants: Vec<u64> = Vec::new();
        for event in events.filter(|event| event.host == node) {
            if let What::Sync { writes } = event.what {
                instants.extend((0..=writes).map(|_| event.t_ns));
            }
        }
        // Were there more, which no sync followed, a loss at the next one would strike.
        loop {
            let kind = loss(instants.len() as u64 + 1, false);
            let off = Fault { at_ms: 0, for_ms: Some(self.duration_ms()), kind, when: None };
            let run = self.ran(&[Single::Fault(off)])?;
            let struck = run.trace.events.iter().find(|event| matches!(event.what, What::PowerOff { .. }));
            let Some(struck) = struck.filter(|event| event.t_ns < until_ns) else { break };
            instants.push(struck.t_ns);
        }
        for (n, t_ns) in (1..).zip(instants) {
            for torn in [false, true] {
                // The fault has to be there before: it strikes at the operation, and ends so long after that.
                let lasting = self.lengths(t_ns.div_ceil(1_000_000), || loss(n, torn)).map(|single| match single {
                    Single::Fault(fault) => Single::Fault(Fault { at_ms: 0, for_ms: fault.ends_ms(), ..fault }),
                    act => act,
                });
                singles.extend(lasting.map(|single| ("power loss", single)));
            }
        }
        Ok(())
    }

    /// The instants between steps of the simulator before and after each step in which a node did something.
    fn instants_ms(&self, node: HostId, trace: &Trace) -> BTreeSet<u64> {
        let tick_ms = self.scenario.timing.tick_ms;
        let of_node = trace.events.iter().filter(|event| {
            event.host == node && matches!(event.what, What::Send { .. } | What::Deliver { .. } | What::Sync { .. })
        });
        let steps: BTreeSet<u64> = of_node.map(|event| event.t_ns / (tick_ms * 1_000_000)).collect();
        let instants = steps.iter().flat_map(|step| [step * tick_ms, (step + 1) * tick_ms]);
        instants.filter(|at_ms| *at_ms < self.duration_ms()).collect()
    }

    /// Tries every single fault, then up to `pairs` pairs of them. `each` gets the runs that broke, in order. `goes_on` is asked now
    /// and then, with how many runs there were and how many there will be.
    ///
    /// # Errors
    /// If the run cannot be made, or fails without a fault.
    pub fn exhaust(
        &self,
        pool: &Pool,
        pairs: u64,
        mut goes_on: impl FnMut(u64, u64) -> bool,
        mut each: impl FnMut(Broken) -> bool,
    ) -> Result<Exhausted, Unfit> {
        let singles = self.singles()?;
        let count = singles.len() as u64;
        let mut all = Exhausted { pairs: (0, count * count.saturating_sub(1) / 2), ..Exhausted::default() };
        let mut cases: Vec<Vec<usize>> = (0..singles.len()).map(|single| vec![single]).collect();
        cases.extend(some_pairs(singles.len(), pairs.min(all.pairs.1)));
        for (at, chunk) in (0..).step_by(CHUNK).zip(cases.chunks(CHUNK)) {
            if all.is_stopped || !goes_on(at, cases.len() as u64) {
                all.is_stopped = true;
                break;
            }
            let given: Vec<Vec<Single>> =
                chunk.iter().map(|case| case.iter().map(|single| singles[*single].1.clone()).collect()).collect();
            let (small, tried) = (self.clone(), Arc::new(given));
            let by = tried.clone();
            let job = move |n: u64| small.tried(&tried[n as usize]);
            sweep(Seeds::first(chunk.len() as u64), pool, job, |n, fate| {
                // What comes after the last wanted one is not counted.
                if all.is_stopped {
                    return;
                }
                match chunk[n as usize][..] {
                    [single] => *all.tried.entry(singles[single].0).or_default() += 1,
                    _ => all.pairs.0 += 1,
                }
                let Fate::Done(Some(tried)) = fate else {
                    all.unfinished += 1;
                    return;
                };
                all.idle += u64::from(tried.is_idle);
                all.inconclusive += u64::from(tried.verdict == Verdict::Inconclusive);
                if let Some((checks, sentence, recorded)) = tried.broken {
                    all.broken += 1;
                    let by = by[n as usize].clone();
                    all.is_stopped |= !each(Broken { by, checks, sentence, recorded: *recorded });
                }
            });
        }
        Ok(all)
    }

    /// The run with these faults; `None` if it cannot be run.
    fn tried(&self, singles: &[Single]) -> Option<Tried> {
        let run = self.ran(singles).ok()?;
        let acted = |single: &Single| match single {
            Single::Act(act) => run.acts.iter().any(|done| done.place == act.place),
            Single::Fault(Fault { kind: FaultKind::PowerLoss(_), .. }) => run.outcome.counters.power_losses > 0,
            Single::Fault(_) => true,
        };
        let mut seen = BTreeSet::new();
        let violations = &run.outcome.violations;
        let checks: Vec<CheckName> =
            violations.iter().map(|found| found.check).filter(|check| seen.insert(*check)).collect();
        let sentence = violations.first().map(|found| found.certificate.sentence.clone());
        Some(Tried {
            verdict: run.outcome.verdict,
            is_idle: !singles.iter().all(acted),
            broken: sentence.map(|sentence| (checks, sentence, Box::new(run.recording()))),
        })
    }

    /// What a search of it proves, in a sentence.
    pub fn sentence(&self, all: &Exhausted) -> String {
        let Small { nodes, operations, .. } = self;
        let run = format!("this run of {nodes} nodes and {operations} operations");
        let singles = all.singles();
        if all.broken > 0 {
            return format!("{} of {} runs break a check", all.broken, singles + all.pairs.0);
        }
        if all.is_stopped || all.unfinished > 0 {
            return format!("stopped after {singles} runs: nothing broke, and that proves nothing of {run}");
        }
        let mut sentence = format!(
            "no single crash, power loss, cut, loss, delay or duplicate in {run} breaks a check: {singles} runs"
        );
        if all.idle > 0 {
            sentence += &format!(" ({} of them had nothing to act on)", all.idle);
        }
        if all.pairs.0 > 0 {
            sentence += &format!("; nor do {} of the {} pairs", all.pairs.0, all.pairs.1);
        }
        sentence
    }
}

/// How many cases are run between two questions whether to go on.
const CHUNK: usize = 32;

/// What one case showed.
struct Tried {
    verdict: Verdict,
    is_idle: bool,
    broken: Option<(Vec<CheckName>, String, Box<Scenario>)>,
}

/// So many different pairs of so many things, chosen by a hash; all of them if there are no more.
fn some_pairs(things: usize, wanted: u64) -> Vec<Vec<usize>> {
    let mut pairs = BTreeSet::new();
    let possible = things as u64 * (things as u64).saturating_sub(1) / 2;
    if wanted * 2 >= possible {
        let all = (0..things).flat_map(|one| (one + 1..things).map(move |other| vec![one, other]));
        return all.take(wanted as usize).collect();
    }
    for n in 0.. {
        if pairs.len() as u64 >= wanted {
            break;
        }
        let one = rng::below(rng::hash(n, &[1]), things as u64);
        let other = (one + 1 + rng::below(rng::hash(n, &[2]), things as u64 - 1)) % things as u64;
        pairs.insert(vec![one.min(other) as usize, one.max(other) as usize]);
    }
    pairs.into_iter().collect()
}

/// The names of all messages that were sent before this time: between nodes a count, on client links operation and attempt.
fn places(trace: &Trace, until_ms: u64) -> Vec<Place> {
    let is_node = |host: HostId| (1..=trace.nodes).contains(&host.index());
    let mut counts: BTreeMap<(HostId, HostId, MessageKind), u64> = BTreeMap::new();
    // Of each client host, which has one client: its operation, and the attempts of it.
    let mut asked: BTreeMap<HostId, AttemptId> = BTreeMap::new();
    let mut places = Vec::new();
    for event in trace.events.iter().take_while(|event| event.t_ns < until_ms * 1_000_000) {
        match event.what {
            What::Invoke { operation, .. } => {
                asked.insert(event.host, AttemptId { operation, attempt: 0 });
            }
            What::Send { to, class, .. } => {
                let from = event.host;
                let n = if is_node(from) && is_node(to) {
                    let count = counts.entry((from, to, class)).or_default();
                    *count += 1;
                    *count - 1
                } else {
                    let client = if is_node(from) { to } else { from };
                    let Some(attempt) = asked.get_mut(&client) else { continue };
                    let number = attempt.number();
                    // A reply has the name of its request, and the next request is another attempt.
                    attempt.attempt += u32::from(class == MessageKind::RequestReply);
                    number
                };
                places.push(Place { from, to, kind: class, n });
            }
            _ => {}
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;
    use crate::systems::bugs::Bug;
    use std::time::Duration;

    fn small(system: System) -> Small {
        Small::of(&load("zoo").unwrap(), system, (3, 2), 1, Options::default()).unwrap()
    }

    #[test]
    fn pairs_are_different_and_as_many_as_wanted() {
        assert_eq!(some_pairs(4, 6).len(), 6);
        let some = some_pairs(100, 50);
        assert_eq!(some.iter().collect::<BTreeSet<_>>().len(), 50);
        assert!(some.iter().all(|pair| pair[0] < pair[1] && pair[1] < 100));
        assert!(some_pairs(1, 0).is_empty());
    }

    /// An act whose message is named wrongly does nothing, and would count as survived.
    #[test]
    fn each_message_of_the_run_is_named_as_the_network_names_it() {
        let small = small(System::Raft);
        let base = small.ran(&[]).unwrap();
        let places = places(&base.trace, small.duration_ms());
        assert!(places.len() > 100, "{}", places.len());
        let acts: Vec<Single> =
            places.iter().map(|place| Single::Act(Act { place: *place, what: ActKind::Duplicate, us: 1 })).collect();
        // A second copy that nobody expects changes little: all at once still meet nearly all of their messages, and each alone
        // meets its own.
        for single in acts.iter().step_by(23) {
            assert!(!small.tried(std::slice::from_ref(single)).unwrap().is_idle, "{single}");
        }
    }

    #[test]
    fn a_single_fault_shows_a_bug_that_needs_no_more() {
        let small = small(System::Bugged(Bug::AcknowledgedBeforeSync.into()));
        let pool = Pool { jobs: 1, watchdog: Duration::from_secs(600) };
        let mut broken = Vec::new();
        let shows = |found: &Broken| found.checks.contains(&CheckName::LogDurability);
        let all = small.exhaust(
            &pool,
            0,
            |_, _| true,
            |found| {
                broken.push(found);
                !broken.iter().any(shows)
            },
        );
        let all = all.unwrap();
        let Broken { by, recorded, .. } = broken.iter().find(|found| shows(found)).expect("one power loss shows it");
        assert_eq!((by.len(), all.is_stopped), (1, true), "{by:?}");
        assert!(small.sentence(&all).ends_with("break a check"));
        // It is a recorded run like any other.
        let again = run(recorded, small.system, recorded.explicit.as_ref().unwrap().seed, &Options::default()).unwrap();
        assert_eq!(again.recording(), *recorded);
    }
}
