//! Raft's invariants, checked over the events that were recorded where the protocol meets storage.
//!
//! One pass over the trace: every property sees each event together with the cluster as it was *before* it. Each
//! property reports its first violation only, since later ones are consequences. A trace without Raft events has no
//! violations here. Sources: Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm" (USENIX ATC
//! 2014), figure 3; TLA+ names from Ongaro's `raft.tla`. Metrics and messages are not used: only what nodes wrote and
//! applied.

mod cluster;
mod commit_quorum;
mod committed_immutable;
mod election_safety;
mod exactly_once;
mod leader_completeness;
mod log_durability;
mod log_matching;
mod monotonic;
mod snapshot_agreement;
mod state_machine_safety;

use super::{Certificate, CheckName, Violation, seconds};
use crate::trace::{Event, HostId, MessageId, Trace, What};
use cluster::{LeaderId, Replicas};

/// A property of Raft that is checked event by event.
trait Property {
    /// The violation that `event` causes, given the cluster as it was just before it, if any.
    fn observe(&mut self, event: &Event, before: &Replicas) -> Option<Violation>;
}

/// Checks all of Raft's invariants over a sorted trace, in O(events x log entries). At most one violation per property.
pub fn check(trace: &Trace) -> Vec<Violation> {
    let mut properties: Vec<Box<dyn Property>> = vec![
        Box::new(election_safety::ElectionSafety::default()),
        Box::new(log_matching::LogMatching::default()),
        Box::new(leader_completeness::LeaderCompleteness::default()),
        Box::new(state_machine_safety::StateMachineSafety::default()),
        Box::new(committed_immutable::CommittedImmutable::default()),
        Box::new(monotonic::Monotonic::default()),
        Box::new(commit_quorum::CommitQuorum::default()),
        Box::new(log_durability::LogDurability),
        Box::new(exactly_once::ExactlyOnce::default()),
        Box::new(snapshot_agreement::SnapshotAgreement::default()),
    ];
    let mut cluster = Replicas::default();
    let mut violations = Vec::new();
    for event in trace.events.iter().filter(|event| concerns_raft(&event.what)) {
        properties.retain_mut(|property| match property.observe(event, &cluster) {
            Some(violation) => {
                violations.push(violation);
                false
            }
            None => true,
        });
        cluster.apply(event);
    }
    violations.sort_by_key(|violation: &Violation| violation.check);
    violations
}

/// The checks that say nothing about this trace: its nodes replicate a log, but record no appends to it, since their
/// protocol has no entries that belong to a leader (Paxos, for one). What is applied is checked all the same.
pub fn inapplicable(trace: &Trace) -> &'static [CheckName] {
    let has = |wanted: fn(&What) -> bool| trace.events.iter().any(|event| wanted(&event.what));
    let is_of_another_protocol =
        has(|what| matches!(what, What::ApplyEntry { .. })) && !has(|what| matches!(what, What::Append { .. }));
    match is_of_another_protocol {
        true => &[
            CheckName::ElectionSafety,
            CheckName::LogMatching,
            CheckName::LeaderCompleteness,
            CheckName::CommitQuorum,
            CheckName::LogDurability,
            CheckName::SnapshotAgreement,
        ],
        false => &[],
    }
}

/// Whether an event matters to any property. Most events of a trace are messages, which do not.
fn concerns_raft(what: &What) -> bool {
    matches!(
        what,
        What::Vote { .. }
            | What::Append { .. }
            | What::Truncate { .. }
            | What::Purge { .. }
            | What::Commit { .. }
            | What::ApplyEntry { .. }
            | What::SnapshotBuilt { .. }
            | What::SnapshotInstalled { .. }
            | What::Restored { .. }
            | What::FoundLog { .. }
            | What::Members { .. }
            | What::Apply { .. }
            | What::Crash
            | What::Start
    )
}

/// A violation that `event` completes.
fn violation(check: CheckName, event: &Event, nodes: &[HostId], terms: &[u64], sentence: String) -> Violation {
    let certificate = Certificate {
        sentence,
        operations: Vec::new(),
        nodes: nodes.to_vec(),
        terms: terms.to_vec(),
        messages: Vec::<MessageId>::new(),
        at_ns: Some(event.t_ns),
    };
    Violation { check, certificate }
}

#[cfg(test)]
mod testing {
    //! A shorthand for traces: one event per step, one millisecond apart.

    use super::*;
    use crate::trace::LogPosition;

    /// Node `n`.
    pub fn n(n: u16) -> HostId {
        HostId(n)
    }

    /// Index `index`, created by the leader `leader` of `term`.
    pub fn at(term: u64, leader: u16, index: u64) -> LogPosition {
        LogPosition { term, leader: n(leader), index }
    }

    /// A saved vote.
    pub fn vote(term: u64, candidate: u16, committed: bool) -> What {
        What::Vote { term, candidate: n(candidate), committed }
    }

    /// An appended entry.
    pub fn append(at: LogPosition, payload: u64) -> What {
        What::Append { at, payload, command: None }
    }

    /// An applied entry.
    pub fn apply(at: LogPosition, payload: u64) -> What {
        What::ApplyEntry { at, payload, command: None }
    }

    /// A trace of these events, `(node, what)` each.
    pub fn trace(steps: &[(u16, What)]) -> Trace {
        let names = ["world", "n1", "n2", "n3", "n4", "n5"].map(str::to_owned).to_vec();
        let event = |(step, (host, what)): (usize, &(u16, What))| Event {
            t_ns: (step as u64 + 1) * 1_000_000,
            host: n(*host),
            seq: step as u32,
            what: *what,
        };
        Trace { names, nodes: 5, events: steps.iter().enumerate().map(event).collect(), ..Trace::default() }
    }

    /// The names of the checks that these events violate.
    pub fn violated(steps: &[(u16, What)]) -> Vec<CheckName> {
        check(&trace(steps)).into_iter().map(|violation| violation.check).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn a_trace_without_raft_has_no_violations() {
        assert!(check(&Trace::default()).is_empty());
        assert!(check(&trace(&[(1, What::Start), (1, What::Crash), (1, What::Start)])).is_empty());
    }

    /// Two elections, replication, a conflicting tail replaced, a snapshot, a kill and a re-apply: all legal.
    #[test]
    fn an_eventful_but_correct_run_passes() {
        let mut steps = Vec::new();
        let all = [1, 2, 3u16];
        // n1 is elected in term 1 and commits index 1 on n1 and n2; n3 never hears of it.
        steps.extend([(1, vote(1, 1, false)), (2, vote(1, 1, false)), (1, vote(1, 1, true))]);
        for node in [1, 2] {
            steps.push((node, append(at(1, 1, 1), 10)));
        }
        steps.extend([(1, What::Commit { upto: at(1, 1, 1) }), (1, apply(at(1, 1, 1), 10))]);
        // n1 appends index 2 alone, is cut off, and n2 takes over in term 2.
        steps.push((1, append(at(1, 1, 2), 20)));
        steps.extend([(2, vote(2, 2, false)), (3, vote(2, 2, false)), (2, vote(2, 2, true))]);
        steps.extend([(3, append(at(1, 1, 1), 10)), (2, append(at(2, 2, 2), 21)), (3, append(at(2, 2, 2), 21))]);
        steps.extend([(3, vote(2, 2, true)), (2, What::Commit { upto: at(2, 2, 2) })]);
        // n1 comes back: its tail is replaced.
        steps.extend([(1, vote(2, 2, true)), (1, What::Truncate { from: 2 }), (1, append(at(2, 2, 2), 21))]);
        for node in all {
            if node != 1 {
                steps.push((node, apply(at(1, 1, 1), 10)));
            }
            steps.extend([(node, What::Commit { upto: at(2, 2, 2) }), (node, apply(at(2, 2, 2), 21))]);
        }
        // n2 snapshots, purges, is killed, resumes as the same leader and goes on.
        steps.push((2, What::SnapshotBuilt { upto: Some(at(1, 1, 1)), payload: None }));
        steps.push((2, What::Purge { upto: at(1, 1, 1) }));
        steps.extend([(2, What::Crash), (2, What::Start), (2, apply(at(2, 2, 2), 21))]);
        for node in all {
            steps.push((node, append(at(2, 2, 3), 30)));
        }
        steps.extend([(2, What::Commit { upto: at(2, 2, 3) }), (2, apply(at(2, 2, 3), 30))]);
        assert_eq!(violated(&steps), []);
    }

    /// All nodes have been down. Nodes that lost their votes elect a leader of term 1 again, below the leader of term 2
    /// that they had elected when the first leader died.
    #[test]
    fn real_nodes_that_forget_their_votes_violate_election_safety() {
        use crate::fault::kinds::Kill;
        use crate::fault::model::{Fault, Target};
        use crate::systems::{System, bugs::Bug};
        use crate::{run, scenario};
        let mut scenario = scenario::load("split-brain").expect("it is embedded");
        let kill = |node: HostId| Kill { target: Target(node.to_string()) }.into();
        let kill = |at_ms, node| Fault { at_ms, for_ms: Some(4_000), kind: kill(HostId(node)), when: None };
        scenario.faults = std::iter::once(kill(3_000, 1)).chain((1..=5).map(|node| kill(9_000, node))).collect();
        (scenario.timing.duration_ms, scenario.workload.operations) = (16_000, 400);
        for seed in 0..3 {
            let checks = |system| {
                let run = run::run(&scenario, system, seed, &run::Options::default()).expect("it runs");
                run.outcome.violations.into_iter().map(|violation| violation.check).collect::<Vec<_>>()
            };
            assert!(
                checks(System::Bugged(Bug::RaftAmnesia.into())).contains(&CheckName::ElectionSafety),
                "seed {seed}"
            );
            assert_eq!(checks(System::Raft), [], "seed {seed}: the same kills with intact disks");
        }
    }

    #[test]
    fn a_log_without_recorded_appends_is_checked_for_what_it_applies_only() {
        let applied = [(1, apply(at(0, 0, 1), 10)), (2, apply(at(0, 0, 1), 10))];
        assert!(inapplicable(&trace(&applied)).contains(&CheckName::LogMatching));
        assert_eq!(inapplicable(&trace(&[(1, append(at(1, 1, 1), 10)), (1, apply(at(1, 1, 1), 10))])), []);
        assert_eq!(inapplicable(&trace(&[(1, vote(1, 1, true))])), [], "nothing is applied: no log, or none yet");
        assert_eq!(violated(&applied), []);
        let (other, promise, lower) = (apply(at(0, 0, 1), 11), vote(2, 1, false), vote(1, 2, false));
        assert_eq!(
            violated(&[(1, apply(at(0, 0, 1), 10)), (2, other), (1, promise), (1, lower)]),
            [CheckName::StateMachineSafety, CheckName::CommittedImmutable, CheckName::Monotonic]
        );
    }

    #[test]
    #[cfg_attr(debug_assertions, ignore = "a measurement, not a property: run with --ignored --nocapture")]
    fn cost_of_a_long_run() {
        let mut steps =
            vec![(1, vote(1, 1, false)), (2, vote(1, 1, false)), (3, vote(1, 1, false)), (1, vote(1, 1, true))];
        for index in 1..=6000u64 {
            for node in 1..=5 {
                steps.push((node, append(at(1, 1, index), index)));
                steps.push((node, What::Commit { upto: at(1, 1, index) }));
                steps.push((node, apply(at(1, 1, index), index)));
                if index % 300 == 0 && index > 100 {
                    steps.push((node, What::Purge { upto: at(1, 1, index - 50) }));
                }
            }
        }
        let trace = trace(&steps);
        let started = std::time::Instant::now();
        assert!(check(&trace).is_empty());
        println!("{} events in {:?}", trace.events.len(), started.elapsed());
    }
}
