//! Violations, near-misses, and soundness against brute force.

use super::*;
use crate::history::{Acknowledger, Status};
use crate::kv::{Response, Tag};
use crate::rng;
use crate::trace::HostId;
use rand::RngCore;

const KEY: Key = Key(7);

fn operation(id: u32, op: Op, span: (u64, u64), status: Status) -> Operation {
    let tag = Tag { session: u64::from(id), sequence: 1 };
    let (start_ns, end_ns) = span;
    Operation { id, client: id, tag, op, planned_ns: start_ns, start_ns, end_ns, status, attempts: 1 }
}

fn ok(outcome: Response) -> Status {
    Status::Ok { outcome, by: Some(Acknowledger { node: HostId(1), term: 1 }) }
}

fn put(value: u64) -> (Op, Status) {
    (Op::Put { key: KEY, value }, ok(Response::Done))
}

fn get(value: Option<u64>) -> (Op, Status) {
    (Op::Get { key: KEY }, ok(Response::Value(value)))
}

fn cas(expected: Option<u64>, new: u64) -> (Op, Status) {
    (Op::Cas { key: KEY, expected, new }, ok(Response::Swapped))
}

fn delete() -> (Op, Status) {
    (Op::Delete { key: KEY }, ok(Response::Done))
}

fn unknown((op, _): (Op, Status)) -> (Op, Status) {
    (op, Status::Info)
}

/// Ids of lost writes and of the operations that prove it. Operations are (start, end, what), ids from 0.
fn losses(operations: &[(u64, u64, (Op, Status))]) -> Vec<[u32; 2]> {
    let operation = |(id, (start, end, (op, status))): (usize, &(u64, u64, (Op, Status)))| {
        operation(id as u32, *op, (*start, *end), *status)
    };
    let mut history = History { operations: operations.iter().enumerate().map(operation).collect() };
    history.sort();
    let pair = |violation: Violation| [violation.certificate.operations[0], violation.certificate.operations[1]];
    check(&history).into_iter().map(pair).collect()
}

#[test]
fn a_put_that_an_older_value_outlives_is_lost() {
    assert_eq!(losses(&[(0, 1, put(1)), (2, 3, put(2)), (4, 5, get(Some(1)))]), [[1, 2]]);
    // The same, where a read and not the writer shows that the older value is older.
    assert_eq!(
        losses(&[(0, 1, unknown(put(1))), (2, 3, get(Some(1))), (4, 5, put(2)), (6, 7, get(Some(1)))]),
        [[2, 3]]
    );
}

#[test]
fn a_concurrent_or_overwritten_put_is_not_lost() {
    assert_eq!(losses(&[(0, 3, put(1)), (2, 3, put(2)), (4, 5, get(Some(1)))]), [] as [[u32; 2]; 0]);
    assert!(losses(&[(0, 1, put(1)), (2, 3, put(2)), (4, 5, put(3)), (6, 7, get(Some(3)))]).is_empty());
    assert!(losses(&[(0, 1, unknown(put(1))), (2, 3, put(2)), (4, 5, get(Some(1)))]).is_empty());
}

#[test]
fn a_stale_read_is_not_a_lost_write() {
    let stale = [(0, 1, put(1)), (2, 3, put(2)), (4, 5, get(Some(1))), (6, 7, get(Some(2)))];
    assert!(losses(&stale).is_empty());
    let stale_then_descendant = [(0, 1, put(1)), (2, 3, put(2)), (4, 5, get(Some(1))), (6, 7, cas(Some(2), 3))];
    assert!(losses(&stale_then_descendant).is_empty());
}

#[test]
fn of_two_cas_from_one_value_the_one_not_seen_again_is_lost() {
    let fork = [(0, 1, put(1)), (2, 9, cas(Some(1), 2)), (2, 9, cas(Some(1), 3)), (10, 11, get(Some(3)))];
    assert_eq!(losses(&fork), [[1, 3]]);
    let chain = [(0, 1, put(1)), (2, 9, cas(Some(1), 2)), (2, 9, cas(Some(2), 3)), (10, 11, get(Some(3)))];
    assert!(losses(&chain).is_empty());
}

#[test]
fn a_delete_is_lost_when_the_value_is_back() {
    assert_eq!(losses(&[(0, 1, put(1)), (2, 3, delete()), (4, 5, get(Some(1)))]), [[1, 2]]);
    assert!(losses(&[(0, 1, put(1)), (2, 3, delete()), (4, 5, put(2)), (6, 7, get(Some(2)))]).is_empty());
    assert!(losses(&[(0, 4, put(1)), (2, 3, delete()), (5, 6, get(Some(1)))]).is_empty(), "put may come second");
}

#[test]
fn absence_proves_a_loss_only_where_no_delete_explains_it() {
    assert_eq!(losses(&[(0, 1, put(1)), (2, 3, get(None))]), [[0, 1]]);
    assert!(losses(&[(0, 1, put(1)), (0, 2, delete()), (3, 4, get(None))]).is_empty(), "concurrent delete");
    assert!(losses(&[(2, 3, put(1)), (0, 1, unknown(delete())), (4, 5, get(None))]).is_empty(), "a late delete");
    assert_eq!(losses(&[(0, 1, delete()), (2, 3, put(1)), (4, 5, get(None))]), [[1, 2]], "a delete too early");
    assert_eq!(losses(&[(0, 1, put(1)), (4, 5, get(None)), (6, 7, delete())]), [[0, 1]], "a delete too late");
}

#[test]
fn creating_an_absent_key_proves_that_nothing_was_there() {
    assert_eq!(losses(&[(0, 1, put(1)), (2, 3, cas(None, 2)), (4, 5, get(Some(2)))]), [[0, 1]]);
    assert_eq!(losses(&[(0, 1, put(1)), (0, 3, cas(None, 2)), (4, 5, get(Some(2)))]), [[0, 2]]);
    assert!(losses(&[(0, 1, put(1)), (0, 3, delete()), (2, 3, cas(None, 2)), (4, 5, get(Some(2)))]).is_empty());
}

#[test]
fn a_loss_says_who_when_and_where() {
    let history = History {
        operations: vec![
            operation(0, put(17).0, (0, 1_000_000_000), put(17).1),
            operation(1, put(21).0, (4_000_000_000, 4_210_000_000), put(21).1),
            operation(2, get(None).0, (9_800_000_000, 9_900_000_000), get(Some(17)).1),
        ],
    };
    assert_eq!(
        check(&history)[0].certificate.sentence,
        "client 1's put k7=21, acknowledged by n1 at 4.210 s, is gone: client 2 read 17 at n1 at 9.800 s although nothing overwrote it"
    );
}

/// Whether some order of the operations explains one key: tries every prefix of choices.
fn linearizable(operations: &[Operation]) -> bool {
    fn end(operation: &Operation) -> u64 {
        if operation.status == Status::Info { u64::MAX } else { operation.end_ns }
    }
    fn search(operations: &[Operation], done: u32, state: Option<u64>) -> bool {
        let open = |index: &usize| done & (1 << index) == 0;
        let pending: Vec<usize> = (0..operations.len()).filter(open).collect();
        if pending.iter().all(|index| operations[*index].status == Status::Info) {
            return true;
        }
        let deadline = pending.iter().map(|index| end(&operations[*index])).min().unwrap();
        pending.into_iter().filter(|index| operations[*index].start_ns <= deadline).any(|index| {
            let operation = &operations[index];
            let next = match (operation.op, operation.outcome()) {
                (Op::Put { value, .. }, _) => Some(Some(value)),
                (Op::Delete { .. }, _) => Some(None),
                (Op::Get { .. }, Some(Response::Value(value))) => (state == value).then_some(state),
                (Op::Cas { .. }, Some(Response::Mismatch { found })) => (state == found).then_some(state),
                (Op::Cas { expected, new, .. }, _) => (state == expected).then_some(Some(new)),
                (Op::Get { .. }, _) => Some(state),
            };
            next.is_some_and(|next| search(operations, done | (1 << index), next))
        })
    }
    search(operations, 0, None)
}

/// A small random history: mostly nonsense, so that both verdicts are common.
fn random_history(seed: u64) -> History {
    let mut random = rng::stream(seed, "lost-write");
    let mut below = |bound: u64| random.next_u64() % bound;
    let count = 3 + below(4);
    let mut operations = Vec::new();
    for id in 0..count {
        let start = below(12);
        let span = (start, start + below(5));
        let some_value = |draw: u64| (draw > 0).then_some(draw);
        let (op, status) = match below(9) {
            0 | 1 => put(id + 1),
            2 | 3 => cas(some_value(below(count + 1)), id + 1),
            4 => delete(),
            5 => {
                let (op, _) = cas(Some(99), 98);
                (op, ok(Response::Mismatch { found: some_value(below(count + 1)) }))
            }
            _ => get(some_value(below(count + 1))),
        };
        let status = if below(8) == 0 { Status::Info } else { status };
        operations.push(operation(id as u32, op, span, status));
    }
    let mut history = History { operations };
    history.sort();
    history
}

/// A history with a write reported lost cannot be explained by any order; with everything visible again, none is
/// reported.
#[test]
fn never_fires_on_a_linearizable_history() {
    let (mut linearizable_histories, mut fired) = (0, 0);
    for seed in 0..200_000 {
        let history = random_history(seed);
        let lost = check(&history);
        let legal = linearizable(&history.operations);
        assert!(!legal || lost.is_empty(), "seed {seed}: {lost:?}\n{:#?}", history.operations);
        linearizable_histories += u32::from(legal);
        fired += u32::from(!lost.is_empty());
    }
    assert!(linearizable_histories > 10_000, "{linearizable_histories} linearizable histories tried the check");
    assert!(fired > 10_000, "{fired} histories had a lost write");
}
