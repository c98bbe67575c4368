//! Catching up: while nobody writes and nothing is broken, every member gets what is committed, in bounded time.
//!
//! A leader owes a follower that fell behind the missing entries even if no new one is ever proposed (Raft paper, 5.3: it
//! retries indefinitely). The closing writes of a run heal a leader that waits for a new entry, so the replicas' final
//! states cannot show it; this looks at the silence before.

use super::{Certificate, CheckName, Violation, seconds};
use crate::history::History;
use crate::trace::{HostId, LogPosition, Trace, What};
use std::collections::BTreeMap;

/// The requirements on the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// When the last fault had ended and all nodes were up, in nanoseconds.
    pub last_fault_end_ns: u64,
    /// How long a member may take, in nanoseconds: ten times the longest election time-out.
    pub limit_ns: u64,
    /// Whether it is required: every fault ends.
    pub required: bool,
}

/// The violation, if a member is still behind when the limit is over. A trace whose nodes replicate no log has none, nor
/// has a run without a silence that is long enough.
pub fn check(history: &History, trace: &Trace, params: &Params) -> Option<Violation> {
    let from_ns = silence(history, trace, params).filter(|_| params.required)?;
    let until_ns = from_ns + params.limit_ns;
    let owed = Standing::at(trace, from_ns).committed?;
    let Standing { applied, members, .. } = Standing::at(trace, until_ns);
    let is_member = |node: &HostId| members.as_ref().is_none_or(|(_, members)| members.contains(node));
    let node = trace.node_ids().filter(is_member).find(|node| applied.get(node).is_none_or(|at| *at < owed))?;
    let has = applied.get(&node).map_or("nothing".to_owned(), |at| format!("index {at}"));
    let sentence = format!(
        "{node} had applied {has} at {}, and not index {owed}, committed by {}; nothing was asked or broken in between",
        seconds(until_ns),
        seconds(from_ns)
    );
    let certificate = Certificate { sentence, nodes: vec![node], at_ns: Some(until_ns), ..Certificate::default() };
    Some(Violation { check: CheckName::CatchUp, certificate })
}

/// When the first silence of the required length begins.
fn silence(history: &History, trace: &Trace, params: &Params) -> Option<u64> {
    let mut operations: Vec<(u64, u64)> = history.operations.iter().map(|one| (one.start_ns, one.end_ns)).collect();
    operations.sort_unstable();
    let end = trace.events.last()?.t_ns;
    let mut busy_until_ns = params.last_fault_end_ns;
    for (start_ns, end_ns) in operations.into_iter().chain([(end, end)]) {
        // An operation without an end keeps the cluster busy for ever.
        if start_ns >= busy_until_ns.saturating_add(params.limit_ns) {
            return Some(busy_until_ns);
        }
        busy_until_ns = busy_until_ns.max(end_ns);
    }
    None
}

/// How the nodes stand at an instant.
#[derive(Default)]
struct Standing {
    /// The highest index that some node knows to be committed.
    committed: Option<u64>,
    /// The last index that each node applied.
    applied: BTreeMap<HostId, u64>,
    /// The members by the newest configuration, and where it is.
    members: Option<(LogPosition, Vec<HostId>)>,
}

impl Standing {
    fn at(trace: &Trace, instant_ns: u64) -> Standing {
        let mut standing = Standing::default();
        for event in trace.events.iter().take_while(|event| event.t_ns <= instant_ns) {
            match event.what {
                What::Commit { upto } => standing.committed = standing.committed.max(Some(upto.index)),
                What::ApplyEntry { at, .. } => {
                    standing.applied.insert(event.host, at.index);
                }
                What::SnapshotInstalled { upto, .. } | What::Restored { upto } => {
                    match upto {
                        Some(upto) => standing.applied.insert(event.host, upto.index),
                        None => standing.applied.remove(&event.host),
                    };
                }
                What::Members { at, voters, joint, learners } => {
                    let newest = standing.members.as_ref().is_none_or(|(known, _)| *known <= at);
                    if newest {
                        standing.members = Some((at, voters.union(joint).union(learners).iter().collect()));
                    }
                }
                _ => {}
            }
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Operation, Status};
    use crate::kv::{Key, Op, Tag};
    use crate::trace::{Event, HostSet};

    const PARAMS: Params = Params { last_fault_end_ns: 100, limit_ns: 50, required: true };

    /// An operation that begins then has no end.
    const NEVER_ENDS_NS: u64 = 101;

    fn at(index: u64) -> LogPosition {
        LogPosition { term: 1, leader: HostId(1), index }
    }

    /// Three nodes; entry 2 is committed at 90 and applied by the first two, and somebody asks for something at `asked_ns`.
    fn verdict(more: &[(u64, u16, What)], asked_ns: &[u64], params: &Params) -> Option<Vec<HostId>> {
        let mut steps =
            vec![(80, 3, apply(1)), (90, 1, What::Commit { upto: at(2) }), (91, 1, apply(2)), (92, 2, apply(2))];
        steps.extend_from_slice(more);
        steps.push((400, 1, What::Final { state: 1 }));
        steps.sort_by_key(|(t_ns, ..)| *t_ns);
        let event = |(t_ns, host, what): (u64, u16, What)| Event { t_ns, host: HostId(host), seq: 0, what };
        let trace = Trace { nodes: 3, events: steps.into_iter().map(event).collect(), ..Trace::default() };
        let operation = |start_ns: &u64| Operation {
            id: 0,
            client: 0,
            tag: Tag { session: 0, sequence: 0 },
            op: Op::Get { key: Key(1) },
            planned_ns: *start_ns,
            start_ns: *start_ns,
            end_ns: if *start_ns == NEVER_ENDS_NS { u64::MAX } else { start_ns + 5 },
            status: Status::Info,
            attempts: 1,
        };
        check(&History { operations: asked_ns.iter().map(operation).collect() }, &trace, params)
            .map(|violation| violation.certificate.nodes)
    }

    fn apply(index: u64) -> What {
        What::ApplyEntry { at: at(index), payload: 0, command: None }
    }

    #[test]
    fn a_member_that_stays_behind_in_a_silence_is_found() {
        let behind = Some(vec![HostId(3)]);
        assert_eq!(verdict(&[], &[], &PARAMS), behind);
        assert_eq!(verdict(&[], &[120, 200], &PARAMS), behind, "the silence after the first question");
        assert_eq!(verdict(&[(160, 3, apply(2))], &[], &PARAMS), behind, "too late");
        let restarted = [(110, 2, What::Restored { upto: Some(at(1)) }), (111, 3, apply(2))];
        assert_eq!(verdict(&restarted, &[], &PARAMS), Some(vec![HostId(2)]), "a restart may lose what was applied");
    }

    #[test]
    fn a_member_in_time_is_fine_and_so_is_one_that_nobody_left_in_peace() {
        assert_eq!(verdict(&[(140, 3, apply(2))], &[], &PARAMS), None);
        let installed = What::SnapshotInstalled { upto: Some(at(2)), payload: 0 };
        assert_eq!(verdict(&[(140, 3, installed)], &[], &PARAMS), None);
        let all_the_time: Vec<u64> = (100..400).step_by(40).collect();
        assert_eq!(verdict(&[], &all_the_time, &PARAMS), None, "a new entry may be what it got");
        assert_eq!(verdict(&[], &[], &Params { required: false, ..PARAMS }), None);
        assert_eq!(verdict(&[], &[NEVER_ENDS_NS], &PARAMS), None, "its effect may still come");
    }

    #[test]
    fn a_node_that_was_removed_is_owed_nothing() {
        let two = HostSet::one(HostId(1)).union(HostSet::one(HostId(2)));
        let members = |index, voters| What::Members {
            at: at(index),
            voters,
            joint: HostSet::default(),
            learners: HostSet::default(),
        };
        assert_eq!(verdict(&[(70, 1, members(2, two))], &[], &PARAMS), None);
        // The older configuration may be heard of later.
        let three = two.union(HostSet::one(HostId(3)));
        assert_eq!(verdict(&[(70, 1, members(2, two)), (75, 2, members(1, three))], &[], &PARAMS), None);
        assert_eq!(
            verdict(&[(70, 1, members(1, two)), (75, 1, members(2, three))], &[], &PARAMS),
            Some(vec![HostId(3)])
        );
    }
}
