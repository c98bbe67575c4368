//! Histories by hand, one for each anomaly; and drawn ones, against a search through all orders.

use super::*;
use crate::kv::{Key, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const X: Key = Key(0);
const Y: Key = Key(1);

fn read(key: Key, list: &[Value]) -> Micro {
    Micro::Read { key, list: list.to_vec() }
}

fn append(key: Key, value: Value) -> Micro {
    Micro::Append { key, value }
}

/// All at once, so that the clock says nothing.
fn at_once(transactions: &[(Fate, &[Micro])]) -> Vec<Transaction> {
    timed(&transactions.iter().map(|(fate, micros)| (*fate, (0, 100), *micros)).collect::<Vec<_>>())
}

/// Fate, beginning and end, and steps.
type Timed<'a> = (Fate, (u64, u64), &'a [Micro]);

fn timed(transactions: &[Timed]) -> Vec<Transaction> {
    let of = |(id, timed): (u32, &Timed)| {
        let (fate, (start_ns, end_ns), micros) = *timed;
        Transaction { id, client: id % 3, start_ns, end_ns, fate, micros: micros.to_vec() }
    };
    (0..).zip(transactions).map(of).collect()
}

fn found(transactions: &[Transaction], promised: Consistency) -> Vec<(Anomaly, bool)> {
    findings(transactions, promised).into_iter().map(|finding| (finding.anomaly, finding.is_real_time)).collect()
}

const OK: Fate = Fate::Committed;

/// What no store may do that lets others see only what is committed.
fn bad_reads_and_writes() -> Vec<(Anomaly, Vec<Transaction>)> {
    vec![
        (Anomaly::Duplicate, at_once(&[(OK, &[append(X, 1)]), (OK, &[read(X, &[1, 1])])])),
        (Anomaly::Unwritten, at_once(&[(OK, &[append(X, 1)]), (OK, &[read(X, &[2])])])),
        (
            Anomaly::IncompatibleOrder,
            at_once(&[(OK, &[append(X, 1)]), (OK, &[append(X, 2)]), (OK, &[read(X, &[1, 2])]), (OK, &[read(X, &[2])])]),
        ),
        (Anomaly::IncompatibleOrder, at_once(&[(OK, &[append(X, 1), append(X, 2)]), (OK, &[read(X, &[2, 1])])])),
        (Anomaly::IncompatibleOrder, at_once(&[(OK, &[append(X, 1), append(X, 2)]), (OK, &[read(X, &[2])])])),
        (
            Anomaly::G0,
            at_once(&[
                (OK, &[append(X, 1), append(Y, 2)]),
                (OK, &[append(X, 3), append(Y, 4)]),
                (Fate::Unknown, &[]),
                (OK, &[read(X, &[1, 3])]),
                (OK, &[read(Y, &[4, 2])]),
            ]),
        ),
        (Anomaly::G1a, at_once(&[(Fate::Aborted, &[append(X, 1)]), (OK, &[read(X, &[1])])])),
        (Anomaly::G1b, at_once(&[(Fate::Unknown, &[append(X, 1), append(X, 2)]), (OK, &[read(X, &[1])])])),
        (Anomaly::G1c, at_once(&[(OK, &[append(X, 1), read(Y, &[2])]), (OK, &[append(Y, 2), read(X, &[1])])])),
    ]
}

/// What is allowed in part where transactions need not look as if they happened one after the other.
fn skews() -> Vec<(Anomaly, Vec<Transaction>)> {
    vec![
        (Anomaly::Internal, at_once(&[(OK, &[append(X, 1)]), (OK, &[read(X, &[]), read(X, &[1])])])),
        (Anomaly::Internal, at_once(&[(OK, &[read(X, &[1]), append(X, 1)])])),
        (Anomaly::Internal, at_once(&[(OK, &[append(X, 1), read(X, &[])])])),
        (
            Anomaly::LostUpdate,
            at_once(&[
                (OK, &[read(X, &[]), append(X, 1)]),
                (OK, &[read(X, &[]), append(X, 2)]),
                (OK, &[read(X, &[1])]),
            ]),
        ),
        (
            Anomaly::GSingle,
            at_once(&[
                (OK, &[append(X, 1), append(Y, 2)]),
                (OK, &[read(X, &[1]), read(Y, &[])]),
                (OK, &[read(Y, &[2])]),
            ]),
        ),
        (
            Anomaly::GNonadjacent,
            at_once(&[
                (OK, &[append(X, 1)]),
                (OK, &[read(X, &[1]), read(Y, &[])]),
                (OK, &[append(Y, 2)]),
                (OK, &[read(X, &[]), read(Y, &[2])]),
            ]),
        ),
        (
            Anomaly::G2,
            at_once(&[
                (OK, &[read(X, &[]), append(Y, 2)]),
                (OK, &[read(Y, &[]), append(X, 1)]),
                (OK, &[read(X, &[1])]),
            ]),
        ),
    ]
}

/// In each case the anomaly is the only one; the promise before the one that rules it out allows it.
#[test]
fn every_anomaly_is_named_and_is_none_for_who_promised_less() {
    let weaker = |promise: Consistency| match promise {
        Consistency::ReadUncommitted => None,
        Consistency::ReadCommitted => Some(Consistency::ReadUncommitted),
        Consistency::SnapshotIsolation => Some(Consistency::ReadCommitted),
        Consistency::Serializable => Some(Consistency::SnapshotIsolation),
        Consistency::StrictSerializable => Some(Consistency::Serializable),
    };
    for (anomaly, transactions) in bad_reads_and_writes().iter().chain(&skews()) {
        let promise = anomaly.against();
        for promised in [promise, Consistency::StrictSerializable] {
            assert!(found(transactions, promised).contains(&(*anomaly, false)), "{anomaly:?}: {transactions:?}");
        }
        if let Some(weaker) = weaker(promise) {
            assert_eq!(found(transactions, weaker), [], "{anomaly:?} under {weaker}");
        }
    }
}

#[test]
fn the_clock_counts_if_that_is_promised() {
    let stale =
        timed(&[(OK, (0, 10), &[append(X, 1)]), (OK, (20, 30), &[read(X, &[])]), (OK, (0, 90), &[read(X, &[1])])]);
    assert_eq!(found(&stale, Consistency::Serializable), []);
    let violations = check(&stale, Consistency::StrictSerializable);
    let Certificate { sentence, operations, at_ns, .. } = &violations[0].certificate;
    assert_eq!(
        sentence,
        "strict-serializable is promised, and this is G-single-realtime, read skew by the clock: client 1's #1 read k0 without 1, \
         which client 0's #0 appended; client 0's #0 had ended at 0.000 s when client 1's #1 began at 0.000 s; so each of them \
         would have to come before itself"
    );
    assert_eq!((operations.as_slice(), *at_ns), (&[1, 0][..], Some(30)));
    // Nobody knows when what had no answer took effect, and nobody need ever have seen what was acknowledged.
    let unknown = timed(&[(Fate::Unknown, (0, u64::MAX), &[append(X, 1)]), (OK, (20, 30), &[read(X, &[])])]);
    assert_eq!(found(&unknown, Consistency::StrictSerializable), []);
    let lost = timed(&[(OK, (0, 10), &[append(X, 1)]), (OK, (20, 30), &[read(X, &[])])]);
    assert_eq!(found(&lost, Consistency::StrictSerializable), [(Anomaly::GSingle, true)]);
}

/// What a store without concurrency answers.
fn serve(state: &mut BTreeMap<Key, Vec<Value>>, micros: &[Micro]) -> Vec<Micro> {
    let mut step = |micro: &Micro| match micro {
        Micro::Read { key, .. } => read(*key, state.entry(*key).or_default()),
        Micro::Append { key, value } => {
            state.entry(*key).or_default().push(*value);
            micro.clone()
        }
    };
    micros.iter().map(&mut step).collect()
}

/// Whether some order of the transactions, one after the other, explains every read.
fn some_order_explains(transactions: &[Transaction], by_clock: bool) -> bool {
    fn search(left: &[&Transaction], state: &BTreeMap<Key, Vec<Value>>, by_clock: bool) -> bool {
        // Who has no answer need not have happened.
        if left.iter().all(|transaction| transaction.fate == Fate::Unknown) {
            return true;
        }
        (0..left.len()).any(|at| {
            let next = left[at];
            let is_late = |other: &&Transaction| other.fate == Fate::Committed && other.end_ns < next.start_ns;
            if by_clock && left.iter().any(is_late) {
                return false;
            }
            let mut after = state.clone();
            let answered = serve(&mut after, &next.micros);
            let rest: Vec<&Transaction> =
                left.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| *other).collect();
            (next.fate == Fate::Unknown || answered == next.micros) && search(&rest, &after, by_clock)
        })
    }
    let left: Vec<&Transaction> = transactions.iter().filter(|tried| tried.fate != Fate::Aborted).collect();
    search(&left, &BTreeMap::new(), by_clock)
}

/// Steps with unanswered reads, and values that are unique.
fn any_micros(count: usize) -> impl Strategy<Value = Vec<Vec<Micro>>> {
    let micro = (any::<bool>(), 0u32..2);
    let transactions = prop::collection::vec(prop::collection::vec(micro, 1..4), 1..=count);
    transactions.prop_map(|transactions| {
        let mut values = 1..;
        let mut of = |(is_append, key): (bool, u32)| match is_append {
            true => append(Key(key), values.next().expect("there is no end of them")),
            false => read(Key(key), &[]),
        };
        transactions.into_iter().map(|micros| micros.into_iter().map(&mut of).collect()).collect()
    })
}

prop_compose! {
    /// Transactions that happen one after the other, at an instant within their time; some are never answered, and some of
    /// these never happen.
    fn any_serial_history()(
        asked in any_micros(40),
        slack in prop::collection::vec((0u64..60, 0u64..60, 0u8..8), 40),
    ) -> Vec<Transaction> {
        let mut state = BTreeMap::new();
        let mut history = Vec::new();
        for (at, (micros, (before, after, fate))) in (0..).zip(asked.iter().zip(&slack)) {
            let now = 100 + 10 * u64::from(at);
            let (fate, micros) = match fate {
                0 => (Fate::Unknown, micros.clone()),
                1 => {
                    serve(&mut state, micros);
                    (Fate::Unknown, micros.clone())
                }
                2 => (Fate::Aborted, micros.clone()),
                _ => (Fate::Committed, serve(&mut state, micros)),
            };
            let end_ns = if fate == Fate::Unknown { u64::MAX } else { now + after };
            history.push(Transaction { id: at, client: 0, start_ns: now - before, end_ns, fate, micros });
        }
        history
    }
}

prop_compose! {
    /// A few transactions whose reads are prefixes of one order of each key's appends, and otherwise whatever they may be.
    fn any_small_history()(
        asked in any_micros(5),
        order in prop::collection::vec(any::<u32>(), 16),
        cuts in prop::collection::vec(0usize..6, 16),
        times in prop::collection::vec((0u64..40, 0u64..40), 5),
        fates in prop::collection::vec(0u8..7, 5),
    ) -> Vec<Transaction> {
        let mut orders: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for micro in asked.iter().flatten() {
            if let Micro::Append { key, value } = micro {
                orders.entry(*key).or_default().push(*value);
            }
        }
        for values in orders.values_mut() {
            values.sort_by_key(|value| order[*value as usize % order.len()]);
        }
        let mut cuts = cuts.into_iter().cycle();
        let mut answer = |micro: &Micro| match micro {
            Micro::Read { key, .. } => {
                let all = orders.get(key).map_or(&[][..], Vec::as_slice);
                read(*key, &all[..cuts.next().expect("it never ends").min(all.len())])
            }
            append => append.clone(),
        };
        let mut of = |(at, micros): (usize, &Vec<Micro>)| {
            let (start_ns, length) = times[at];
            let (fate, end_ns) = match fates[at] {
                0 => (Fate::Unknown, u64::MAX),
                1 => (Fate::Aborted, start_ns + length),
                _ => (Fate::Committed, start_ns + length),
            };
            let micros = micros.iter().map(&mut answer).collect();
            Transaction { id: at as u32, client: at as u32, start_ns, end_ns, fate, micros }
        };
        asked.iter().enumerate().map(&mut of).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_happens_one_after_the_other_passes(transactions in any_serial_history()) {
        prop_assert_eq!(findings(&transactions, Consistency::StrictSerializable), []);
    }

    #[test]
    fn the_verdict_is_that_of_a_search_through_all_orders(transactions in any_small_history()) {
        let promises = [
            Consistency::ReadUncommitted,
            Consistency::ReadCommitted,
            Consistency::SnapshotIsolation,
            Consistency::Serializable,
            Consistency::StrictSerializable,
        ];
        let is_broken = promises.map(|promised| !findings(&transactions, promised).is_empty());
        prop_assert!(is_broken.is_sorted(), "who breaks a promise breaks the stronger ones: {:?}", is_broken);
        for (promised, by_clock) in [(Consistency::Serializable, false), (Consistency::StrictSerializable, true)] {
            let found = findings(&transactions, promised);
            prop_assert_eq!(found.is_empty(), some_order_explains(&transactions, by_clock), "{} {:?}", promised, found);
        }
    }
}

/// Drawn histories are worth something only if they are of all kinds.
#[test]
fn drawn_histories_have_every_kind_of_anomaly_and_none() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let (mut runner, mut kinds) = (TestRunner::deterministic(), BTreeSet::new());
    for _ in 0..4000 {
        let transactions = any_small_history().new_tree(&mut runner).expect("it can be drawn").current();
        let found = findings(&transactions, Consistency::StrictSerializable);
        kinds.extend(found.iter().map(|finding| Some((finding.anomaly, finding.is_real_time))));
        kinds.extend(found.is_empty().then_some(None));
    }
    for anomaly in
        [Anomaly::G0, Anomaly::G1a, Anomaly::G1b, Anomaly::G1c, Anomaly::Internal, Anomaly::GSingle, Anomaly::G2]
    {
        assert!(kinds.contains(&Some((anomaly, false))), "no {anomaly:?} in {kinds:?}");
    }
    assert!(kinds.contains(&None) && kinds.contains(&Some((Anomaly::GSingle, true))), "{kinds:?}");
}
