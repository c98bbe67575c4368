//! Split-brain: two nodes acknowledged conflicting operations as primaries at the same time.
//!
//! Checked only on keys that the linearizability check has already refused, and reported only with a certificate: two
//! acknowledged operations that changed the key, by two nodes whose tenures as primary of the same scope overlap, where
//! neither had applied the other's operation when it acknowledged its own. A stale read alone is a violation, but no
//! split-brain. Nodes of a foreign program do not record what they apply; there "had not applied" is replaced by
//! something stronger: no chain of messages led from the one to the other in time (`causality`).
//! Neither are two nodes that both believe they are primary if one of them acknowledges nothing.

use super::causality::Causality;
use super::primaries::{Tenure, tenures};
use super::{Certificate, CheckName, Violation, seconds};
use crate::history::{History, Operation};
use crate::kv::{Key, Tag};
use crate::trace::{HostId, MessageId, MessageKind, Trace, What};
use std::collections::{BTreeMap, BTreeSet};

/// A key whose history is not linearizable, with the operations that show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The key.
    pub key: Key,
    /// Ids of the operations in the witness.
    pub operations: Vec<u32>,
}

/// How many pairs of operations are tried on one key before giving up: far above what a run holds.
const MAX_PAIRS: usize = 2_000_000;

/// An acknowledgement of an operation that changed its key.
#[derive(Debug, Clone, Copy)]
struct Ack<'a> {
    operation: &'a Operation,
    node: HostId,
    term: u64,
    t_ns: u64,
    /// Index of the `Acknowledge` event in the trace.
    event: usize,
    tenure: Tenure,
    witness: bool,
}

/// At most one certificate per suspect key. `trace` must be sorted.
pub fn check(history: &History, trace: &Trace, suspects: &[Suspect]) -> Vec<Violation> {
    if suspects.is_empty() {
        return Vec::new();
    }
    let tenures = tenures(trace);
    let known = Knowledge::of(trace, suspects);
    let certificate = |suspect: &Suspect| {
        let acks = acks(history, suspect, &tenures, &known);
        find_pair(&acks, &known).map(|(a, b)| certify(a, b, trace))
    };
    suspects.iter().filter_map(certificate).collect()
}

/// How many operations are in these certificates.
pub fn conflicting_acks(violations: &[Violation]) -> u64 {
    let split = violations.iter().filter(|violation| violation.check == CheckName::SplitBrain);
    let operations: BTreeSet<u32> = split.flat_map(|violation| &violation.certificate.operations).copied().collect();
    operations.len() as u64
}

/// When nodes acknowledged and applied the suspects' commands, as indices into the trace.
struct Knowledge<'a> {
    /// For a run in which nothing is recorded as applied.
    causality: Option<Causality<'a>>,
    acknowledged: BTreeMap<Tag, Vec<(HostId, usize, u64, u64)>>,
    applied: BTreeMap<(Tag, HostId), usize>,
}

impl<'a> Knowledge<'a> {
    fn of(trace: &'a Trace, suspects: &[Suspect]) -> Self {
        let keys: BTreeSet<Key> = suspects.iter().map(|suspect| suspect.key).collect();
        let applies = trace.events.iter().any(|event| matches!(event.what, What::Apply { .. }));
        let causality = (!applies).then(|| Causality::of(trace));
        let mut knowledge = Knowledge { causality, acknowledged: BTreeMap::new(), applied: BTreeMap::new() };
        // The log index at which a command took effect: a snapshot from there on contains it.
        let mut effects = BTreeMap::<Tag, u64>::new();
        for (index, event) in trace.events.iter().enumerate() {
            match event.what {
                What::SnapshotInstalled { upto: Some(upto), .. } => {
                    for (tag, _) in effects.iter().filter(|(_, at)| **at <= upto.index) {
                        knowledge.applied.entry((*tag, event.host)).or_insert(index);
                    }
                }
                What::Acknowledge { tag, key, term } if keys.contains(&key) => {
                    let acks = knowledge.acknowledged.entry(tag).or_default();
                    acks.push((event.host, index, term, event.t_ns));
                }
                What::Apply { tag, key, entry } if keys.contains(&key) => {
                    knowledge.applied.entry((tag, event.host)).or_insert(index);
                    if let Some(at) = entry {
                        effects.entry(tag).or_insert(at.index);
                    }
                }
                _ => {}
            }
        }
        knowledge
    }

    /// Whether `ack`'s node had applied `other` when it acknowledged, or may have heard of it.
    fn knew(&self, ack: &Ack, other: &Ack) -> bool {
        if let Some(causality) = &self.causality {
            return causality.may_have_heard(other.node, other.operation.start_ns, ack.node, ack.event);
        }
        self.applied.get(&(other.operation.tag, ack.node)).is_some_and(|applied| *applied < ack.event)
    }
}

fn acks<'a>(history: &'a History, suspect: &Suspect, tenures: &[Tenure], known: &Knowledge) -> Vec<Ack<'a>> {
    let witness: BTreeSet<u32> = suspect.operations.iter().copied().collect();
    let mut acks = Vec::new();
    let writes = history.operations.iter().filter(|operation| operation.key() == suspect.key);
    for operation in writes.filter(|operation| operation.is_acknowledged_write()) {
        let by = operation.acknowledger().map(|by| by.node);
        for (node, event, term, t_ns) in known.acknowledged.get(&operation.tag).into_iter().flatten() {
            if by.is_some_and(|by| by != *node) {
                continue;
            }
            let covers = |tenure: &&Tenure| tenure.node == *node && tenure.from_ns <= *t_ns && *t_ns <= tenure.until_ns;
            acks.extend(tenures.iter().filter(covers).map(|tenure| Ack {
                operation,
                node: *node,
                term: *term,
                t_ns: *t_ns,
                event: *event,
                tenure: *tenure,
                witness: witness.contains(&operation.id),
            }));
        }
    }
    acks.sort_by_key(|ack| ack.event);
    acks
}

/// The first conflicting pair: both operations in the witness if possible, else one, else any of the key.
fn find_pair<'a>(acks: &[Ack<'a>], known: &Knowledge) -> Option<(Ack<'a>, Ack<'a>)> {
    let conflict = |a: &Ack, b: &Ack| {
        a.node != b.node
            && a.operation.id != b.operation.id
            && a.tenure.scope == b.tenure.scope
            && a.tenure.from_ns < b.tenure.until_ns
            && b.tenure.from_ns < a.tenure.until_ns
            && !known.knew(a, b)
            && !known.knew(b, a)
    };
    [2, 1, 0].into_iter().find_map(|wanted| {
        let pairs = acks.iter().enumerate().flat_map(|(index, b)| {
            // The nearest earlier acknowledgement first: conflicts are close together in time.
            acks[..index].iter().rev().map(move |a| (a, b))
        });
        let mut pairs = pairs.filter(|(a, b)| usize::from(a.witness) + usize::from(b.witness) == wanted);
        pairs.by_ref().take(MAX_PAIRS).find(|(a, b)| conflict(a, b)).map(|(a, b)| (*a, *b))
    })
}

/// The request that an acknowledgement answers and the reply that carries it, as far as they were recorded.
fn messages(trace: &Trace, ack: &Ack) -> Vec<MessageId> {
    let host = |event: &&crate::trace::Event| event.host == ack.node;
    let reply = trace.events[ack.event..].iter().filter(host).find_map(|event| match event.what {
        What::Send { message, class: MessageKind::RequestReply, cause, .. } => Some((cause, message)),
        _ => None,
    });
    match reply {
        Some((cause, reply)) => cause.into_iter().chain([reply]).collect(),
        None => {
            let request = trace.events[..ack.event].iter().rev().filter(host).find_map(|event| match event.what {
                What::Deliver { message, class: MessageKind::Request, .. } => Some(message),
                _ => None,
            });
            request.into_iter().collect()
        }
    }
}

fn certify(a: Ack, b: Ack, trace: &Trace) -> Violation {
    let from_ns = a.tenure.from_ns.max(b.tenure.from_ns);
    let until_ns = a.tenure.until_ns.min(b.tenure.until_ns);
    let side = |ack: &Ack| {
        format!(
            "{} (term {}) acknowledged client {}'s {} at {}",
            ack.node,
            ack.term,
            ack.operation.client,
            ack.operation.op,
            seconds(ack.t_ns)
        )
    };
    let sentence = format!(
        "{} and {}; both acted as primary of {} from {} to {}, and neither knew of the other's operation",
        side(&a),
        side(&b),
        a.operation.key(),
        seconds(from_ns),
        seconds(until_ns)
    );
    let certificate = Certificate {
        sentence,
        operations: vec![a.operation.id, b.operation.id],
        nodes: vec![a.node, b.node],
        terms: vec![a.term, b.term],
        messages: [messages(trace, &a), messages(trace, &b)].concat(),
        at_ns: Some(b.t_ns),
    };
    Violation { check: CheckName::SplitBrain, certificate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Acknowledger, Status};
    use crate::kv::{Op, Response};
    use crate::trace::{Event, LogPosition, Role, Scope};

    const KEY: Key = Key(3);

    fn tag(id: u32) -> Tag {
        Tag { session: u64::from(id), sequence: 1 }
    }

    fn operation(id: u32, node: u16, op: Op, outcome: Response) -> Operation {
        let by = Some(Acknowledger { node: HostId(node), term: 0 });
        let status = Status::Ok { outcome, by };
        Operation { id, client: id, tag: tag(id), op, planned_ns: 0, start_ns: 0, end_ns: 100, status, attempts: 1 }
    }

    fn put(id: u32, node: u16) -> Operation {
        operation(id, node, Op::Put { key: KEY, value: u64::from(id) }, Response::Done)
    }

    fn primary(shard: u16, term: u64) -> What {
        What::Role { role: Role::Primary, scope: Scope::Shard(shard), term }
    }

    fn backup(shard: u16) -> What {
        What::Role { role: Role::Backup, scope: Scope::Shard(shard), term: 0 }
    }

    fn apply(id: u32) -> What {
        What::Apply { tag: tag(id), key: KEY, entry: None }
    }

    fn acknowledge(id: u32) -> What {
        What::Acknowledge { tag: tag(id), key: KEY, term: 0 }
    }

    fn certificates(operations: &[Operation], steps: &[(u16, What)]) -> Vec<Certificate> {
        let event = |(step, (host, what)): (usize, &(u16, What))| Event {
            t_ns: step as u64 * 1_000_000,
            host: HostId(*host),
            seq: step as u32,
            what: *what,
        };
        let names = ["world", "n1", "n2"].map(str::to_owned).to_vec();
        let events = steps.iter().enumerate().map(event).collect();
        let trace = Trace { names, nodes: 2, events, ..Trace::default() };
        let history = History { operations: operations.to_vec() };
        let suspect = Suspect { key: KEY, operations: vec![1, 2] };
        check(&history, &trace, &[suspect]).into_iter().map(|violation| violation.certificate).collect()
    }

    fn fork() -> Vec<(u16, What)> {
        vec![
            (1, primary(0, 0)),
            (2, primary(0, 1)),
            (1, apply(1)),
            (1, acknowledge(1)),
            (2, apply(2)),
            (2, acknowledge(2)),
        ]
    }

    #[test]
    fn two_primaries_that_acknowledge_unknown_to_each_other_are_certified() {
        let request = MessageId { host: HostId(9), number: 4 };
        let reply = MessageId { host: HostId(1), number: 8 };
        let mut steps = fork();
        let class = MessageKind::RequestReply;
        steps.insert(4, (1, What::Send { to: HostId(9), message: reply, class, cause: Some(request), payload: 0 }));
        let found = certificates(&[put(1, 1), put(2, 2)], &steps);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].operations, [1, 2]);
        assert_eq!(found[0].nodes, [HostId(1), HostId(2)]);
        assert_eq!(found[0].messages, [request, reply]);
        assert_eq!(
            found[0].sentence,
            "n1 (term 0) acknowledged client 1's put k3=1 at 0.003 s and n2 (term 0) acknowledged client 2's put k3=2 \
             at 0.006 s; both acted as primary of k3 from 0.001 s to 0.006 s, and neither knew of the other's operation"
        );
        assert_eq!(conflicting_acks(&check_twice(&steps)), 2);
    }

    /// The same key suspected twice must not count its operations twice.
    fn check_twice(steps: &[(u16, What)]) -> Vec<Violation> {
        let certificate = certificates(&[put(1, 1), put(2, 2)], steps).remove(0);
        let violation = Violation { check: CheckName::SplitBrain, certificate };
        vec![violation.clone(), violation]
    }

    #[test]
    fn a_stale_read_alone_is_not_split_brain() {
        let get = operation(2, 2, Op::Get { key: KEY }, Response::Value(None));
        assert!(certificates(&[put(1, 1), get], &fork()).is_empty());
        let missed =
            operation(2, 2, Op::Cas { key: KEY, expected: None, new: 5 }, Response::Mismatch { found: Some(9) });
        assert!(certificates(&[put(1, 1), missed], &fork()).is_empty());
    }

    #[test]
    fn a_primary_that_had_applied_the_other_operation_is_no_conflict() {
        let mut steps = fork();
        steps.insert(4, (2, apply(1)));
        assert!(certificates(&[put(1, 1), put(2, 2)], &steps).is_empty());
        let mut late = fork();
        late.push((2, apply(1)));
        assert_eq!(certificates(&[put(1, 1), put(2, 2)], &late).len(), 1, "applied only after acknowledging");
    }

    #[test]
    fn where_nothing_is_recorded_as_applied_a_chain_of_messages_is_no_conflict() {
        let silent = || fork().into_iter().filter(|(_, what)| !matches!(what, What::Apply { .. })).collect::<Vec<_>>();
        assert_eq!(certificates(&[put(1, 1), put(2, 2)], &silent()).len(), 1);
        let (message, class) = (MessageId { host: HostId(1), number: 1 }, MessageKind::Other);
        let mut told = silent();
        told.insert(3, (1, What::Send { to: HostId(2), message, class, cause: None, payload: 0 }));
        told.insert(4, (2, What::Deliver { from: HostId(1), message, class }));
        assert!(certificates(&[put(1, 1), put(2, 2)], &told).is_empty());
    }

    #[test]
    fn a_primary_that_has_the_other_operation_by_snapshot_is_no_conflict() {
        let at = |index| LogPosition { term: 1, leader: HostId(1), index };
        let certified = |upto| {
            let mut steps = fork();
            let applied = steps.iter().position(|step| *step == (1, apply(1))).expect("n1 applies its own operation");
            steps[applied] = (1, What::Apply { tag: tag(1), key: KEY, entry: Some(at(7)) });
            steps.insert(applied + 1, (2, What::SnapshotInstalled { upto: Some(at(upto)), payload: 0 }));
            certificates(&[put(1, 1), put(2, 2)], &steps).len()
        };
        assert_eq!((certified(7), certified(6)), (0, 1));
    }

    #[test]
    fn tenures_must_overlap_on_one_scope() {
        let mut handed_over = fork();
        let second = handed_over.remove(1);
        handed_over.insert(3, (1, backup(0)));
        handed_over.insert(4, second);
        assert!(certificates(&[put(1, 1), put(2, 2)], &handed_over).is_empty());
        let mut other_shard = fork();
        other_shard[1] = (2, primary(1, 1));
        assert!(certificates(&[put(1, 1), put(2, 2)], &other_shard).is_empty());
        let mut believer = fork();
        believer.remove(5);
        assert!(certificates(&[put(1, 1), put(2, 2)], &believer).is_empty(), "n2 acknowledged nothing");
    }

    #[test]
    fn a_pair_outside_the_witness_is_used_only_if_no_other_is_there() {
        let mut steps = fork();
        steps.splice(2..2, [(1, apply(7)), (1, acknowledge(7)), (2, apply(8)), (2, acknowledge(8))]);
        let both = certificates(&[put(7, 1), put(8, 2), put(1, 1), put(2, 2)], &steps);
        assert_eq!(both[0].operations, [1, 2]);
        let one = certificates(&[put(7, 1), put(8, 2), put(1, 1)], &steps);
        assert!(one[0].operations.contains(&1));
        let none = certificates(&[put(7, 1), put(8, 2)], &steps);
        assert_eq!(none[0].operations, [7, 8]);
    }
}
