//! Compares the weaker models with their definitions, taken literally on tiny histories, and with each other.

use super::*;
use crate::check::linearizability::{Options, check_columns, verify};
use crate::history::columns::{Call, Ending, NEVER_NS, Row};
use crate::rng;
use rand::Rng;

fn row(id: u32, client: u32, call: Call, start_ns: u64, end_ns: u64) -> Row {
    Row { id, client, key: 7, call, start_ns, end_ns, ending: Ending::Ok }
}

fn of(rows: &[Row]) -> Weaker {
    weaker(&rows.iter().copied().collect(), Key(7), Budget::default())
}

#[test]
fn a_stale_read_by_another_client_leaves_all_but_time() {
    let rows = [row(0, 1, Call::Put(1), 0, 5), row(1, 1, Call::Put(2), 6, 9), row(2, 2, Call::Get(Some(1)), 10, 20)];
    let expected = Weaker {
        key: Key(7),
        sequential: Some(true),
        monotonic_reads: Some(true),
        read_your_writes: Some(true),
        staleness: Staleness::Exactly(2),
    };
    assert_eq!(of(&rows), expected);
}

/// None of the models knows time between clients: the writes may be ordered the other way round for every client.
#[test]
fn a_stale_read_of_ones_own_key_breaks_no_model_that_knows_no_time() {
    let rows = [row(0, 1, Call::Put(1), 0, 1), row(1, 2, Call::Put(2), 2, 3), row(2, 2, Call::Get(Some(1)), 4, 5)];
    let found = of(&rows);
    assert_eq!(found.sequential, Some(true));
    assert_eq!((found.monotonic_reads, found.read_your_writes), (Some(true), Some(true)));
    assert_eq!(found.staleness, Staleness::Exactly(2));
}

#[test]
fn going_back_breaks_monotonic_reads() {
    let rows = [
        row(0, 1, Call::Put(1), 0, 5),
        row(1, 1, Call::Put(2), 6, 9),
        row(2, 2, Call::Get(Some(2)), 10, 20),
        row(3, 2, Call::Get(Some(1)), 21, 30),
        row(4, 2, Call::Get(Some(2)), 31, 40),
    ];
    let found = of(&rows);
    assert_eq!((found.monotonic_reads, found.sequential), (Some(false), Some(false)));
    assert_eq!(found.read_your_writes, Some(true));
}

#[test]
fn missing_ones_own_write_breaks_read_your_writes() {
    let lost = [row(0, 1, Call::Put(1), 0, 5), row(1, 1, Call::Get(None), 6, 9)];
    let found = of(&lost);
    assert_eq!((found.read_your_writes, found.monotonic_reads), (Some(false), Some(true)));
    assert_eq!(found.sequential, Some(false));
    let back = [
        row(0, 1, Call::Put(1), 0, 5),
        row(1, 1, Call::Put(2), 6, 9),
        row(2, 1, Call::Get(Some(2)), 10, 20),
        row(3, 1, Call::Get(Some(1)), 21, 30),
    ];
    assert_eq!(of(&back).read_your_writes, Some(false));
}

#[test]
fn two_swaps_of_one_value_leave_no_order_but_break_no_session() {
    let rows = [
        row(0, 1, Call::Put(1), 0, 5),
        row(1, 1, Call::Cas { expected: Some(1), new: 2 }, 6, 9),
        row(2, 2, Call::Cas { expected: Some(1), new: 3 }, 6, 9),
    ];
    let found = of(&rows);
    assert_eq!(found.sequential, Some(false));
    assert_eq!((found.monotonic_reads, found.read_your_writes), (Some(true), Some(true)));
}

#[test]
fn a_client_that_runs_operations_at_once_has_no_session() {
    let rows = [row(0, 1, Call::Put(1), 0, 9), row(1, 1, Call::Put(2), 3, 12), row(2, 2, Call::Get(Some(1)), 20, 30)];
    let found = of(&rows);
    assert_eq!((found.sequential, found.monotonic_reads, found.read_your_writes), (None, None, None));
}

#[test]
fn staleness_counts_values() {
    let mut rows: Vec<Row> =
        (0..5).map(|at| row(at, 1, Call::Put(at.into()), u64::from(at) * 10, u64::from(at) * 10 + 5)).collect();
    rows.push(row(5, 2, Call::Get(Some(1)), 100, 110));
    assert_eq!(of(&rows).staleness, Staleness::Exactly(4));
    rows.push(row(6, 2, Call::Get(Some(99)), 120, 130));
    assert_eq!(of(&rows).staleness, Staleness::Never);
}

/// A tiny history of two or three clients, each of which runs one operation at a time.
fn tiny(seed: u64) -> Vec<Row> {
    let mut random = rng::stream(seed, "linearizability/weaker");
    let (operations, clients) = (random.gen_range(1..=6), random.gen_range(1..=3));
    let (deletes, cas, unknown) = (random.gen_bool(0.3), random.gen_bool(0.5), random.gen_bool(0.4));
    let mut free = vec![0u64; clients as usize];
    let mut rows = Vec::new();
    for id in 0..operations {
        let client = random.gen_range(0..clients);
        let start_ns = free[client as usize] + random.gen_range(1..8);
        let end_ns = start_ns + random.gen_range(0..8);
        free[client as usize] = end_ns;
        let own = u64::from(id) + 1;
        let seen = Some(random.gen_range(0..=u64::from(operations))).filter(|seen| *seen > 0);
        let call = match random.gen_range(0..10) {
            0..5 => Call::Get(seen),
            5..6 if deletes => Call::Delete,
            6..8 if cas => Call::Cas { expected: seen, new: own },
            _ => Call::Put(own),
        };
        let lost = unknown && random.gen_bool(0.3);
        let (ending, end_ns) = if lost { (Ending::Info, NEVER_NS) } else { (Ending::Ok, end_ns) };
        rows.push(Row { id, client, key: 7, call, start_ns, end_ns, ending });
    }
    // Reads of values never written are uninteresting: mostly let them see what there is.
    let written: Vec<u64> = rows.iter().filter_map(|row| wrote(row).flatten()).collect();
    for row in &mut rows {
        let repair = |seen: Option<u64>| {
            seen.map(|seen| written.get(seen as usize % (written.len().max(1))).copied().unwrap_or(seen))
        };
        row.call = match row.call {
            Call::Get(seen) => Call::Get(repair(seen)),
            Call::Cas { expected, new } => Call::Cas { expected: repair(expected), new },
            call => call,
        };
    }
    rows.retain(|row| row.ending == Ending::Ok || wrote(row).is_some());
    rows
}

fn wrote(row: &Row) -> Option<Option<u64>> {
    match row.call {
        Call::Put(value) | Call::Cas { new: value, .. } => Some(Some(value)),
        Call::Delete => Some(None),
        _ => None,
    }
}

fn saw(row: &Row) -> Option<Option<u64>> {
    match row.call {
        Call::Get(value) | Call::Cas { expected: value, .. } => Some(value),
        _ => None,
    }
}

/// Each client's answered operations, in order.
fn session(rows: &[Row], client: u32) -> Vec<usize> {
    let mut of_client: Vec<usize> =
        (0..rows.len()).filter(|at| rows[*at].client == client && rows[*at].ending == Ending::Ok).collect();
    of_client.sort_by_key(|at| (rows[*at].start_ns, rows[*at].id));
    of_client
}

/// Sequential consistency, literally: one order of all operations in which each client's stay in order.
fn sequential_by_definition(rows: &[Row]) -> bool {
    fn from(rows: &[Row], done: &mut Vec<bool>, object: &verify::Object) -> bool {
        if (0..rows.len()).all(|at| done[at] || rows[at].ending != Ending::Ok) {
            return true;
        }
        let waits = |done: &[bool], at: usize| {
            session(rows, rows[at].client).into_iter().any(|before| !done[before] && before < at)
        };
        (0..rows.len()).any(|at| {
            let mut after = object.clone();
            if done[at] || waits(done, at) || !after.apply(rows[at].call) {
                return false;
            }
            done[at] = true;
            let found = from(rows, done, &after);
            done[at] = false;
            found
        })
    }
    from(rows, &mut vec![false; rows.len()], &verify::Object::new(Default::default()))
}

/// A set of operations, as bits.
type Set = u32;

/// Both session guarantees, literally: over every choice of what happened, every arbitration and every visibility.
fn sessions_by_definition(rows: &[Row]) -> (bool, bool) {
    let optional: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].ending != Ending::Ok).collect();
    let (mut monotonic, mut own) = (false, false);
    for choice in 0..1u32 << optional.len() {
        let happened = |at: usize| {
            rows[at].ending == Ending::Ok
                || optional.iter().position(|other| *other == at).is_some_and(|bit| choice >> bit & 1 == 1)
        };
        let writes: Vec<usize> = (0..rows.len()).filter(|at| happened(*at) && wrote(&rows[*at]).is_some()).collect();
        permutations(&writes, &mut Vec::new(), &mut |arbitration| {
            let place = |at: usize| arbitration.iter().position(|other| *other == at);
            // What an operation may see and still return what it did: a swap sees nothing that comes after it.
            let views = |at: usize| -> Vec<Set> {
                let sets = 0..1u32 << rows.len();
                let fits = |set: &Set| {
                    let mut seen: Vec<usize> = (0..rows.len()).filter(|other| set >> other & 1 == 1).collect();
                    let real = seen
                        .iter()
                        .all(|other| place(*other).is_some_and(|before| place(at).is_none_or(|own| before < own)));
                    seen.sort_by_key(|other| place(*other));
                    real && saw(&rows[at]) == Some(seen.last().and_then(|last| wrote(&rows[*last]).flatten()))
                };
                sets.filter(fits).collect()
            };
            let all: Vec<Vec<Set>> = (0..rows.len())
                .map(|at| if happened(at) && saw(&rows[at]).is_some() { views(at) } else { vec![0] })
                .collect();
            if all.iter().any(Vec::is_empty) {
                return;
            }
            monotonic |= (0..3).all(|client| {
                let reads: Vec<usize> =
                    session(rows, client).into_iter().filter(|at| saw(&rows[*at]).is_some()).collect();
                grows(&reads, &all, 0)
            });
            own |= (0..3).all(|client| {
                let operations = session(rows, client);
                operations.iter().enumerate().filter(|(_, at)| saw(&rows[**at]).is_some()).all(|(number, at)| {
                    let before = operations[..number].iter().filter(|at| wrote(&rows[**at]).is_some());
                    let must = before.fold(0, |set, at| set | 1 << at);
                    all[*at].iter().any(|set| set & must == must)
                })
            });
        });
    }
    (monotonic, own)
}

/// Whether each read can see everything that the reads before it saw.
fn grows(reads: &[usize], views: &[Vec<Set>], so_far: Set) -> bool {
    let Some((first, rest)) = reads.split_first() else { return true };
    views[*first].iter().any(|set| set & so_far == so_far && grows(rest, views, *set))
}

fn permutations(rest: &[usize], so_far: &mut Vec<usize>, each: &mut impl FnMut(&[usize])) {
    if rest.is_empty() {
        return each(so_far);
    }
    for at in 0..rest.len() {
        let mut others = rest.to_vec();
        so_far.push(others.remove(at));
        permutations(&others, so_far, each);
        so_far.pop();
    }
}

/// Decided answers agree with the definitions, and with each other even before implications are applied: a model is
/// never reported broken where a stronger one is reported to hold.
#[test]
fn every_answer_agrees_with_its_definition_and_with_the_others() {
    let mut counts = [[0; 2]; 3];
    for seed in 0..1_500 {
        let rows = tiny(seed);
        let columns: Columns = rows.iter().copied().collect();
        let found = open(&columns, Key(7), Budget { steps: 1_000, ..Budget::default() });
        let (monotonic, own) = sessions_by_definition(&rows);
        let sequential = sequential_by_definition(&rows);
        let truth = [sequential, monotonic, own];
        let said = [found.sequential, found.monotonic_reads, found.read_your_writes];
        for (model, (said, truth)) in said.into_iter().zip(truth).enumerate() {
            if let Some(said) = said {
                assert_eq!(said, truth, "seed {seed}, model {model}: {rows:#?}");
                counts[model][usize::from(said)] += 1;
            }
        }
        assert!(!sequential || monotonic && own, "the definitions themselves, seed {seed}");
        let implied = found.sequential != Some(true) || said[1..].iter().all(|said| *said != Some(false));
        assert!(implied, "seed {seed}: {found:?}");
        if check_columns(&columns, Options::default()).linearizable() == Some(true) {
            assert!(said.iter().all(|said| *said != Some(false)), "seed {seed}: linearizable, yet {found:?}");
        }
        let closed = found.closed();
        let settled = [closed.monotonic_reads, closed.read_your_writes];
        assert!(closed.sequential != Some(true) || settled == [Some(true); 2], "seed {seed}: {closed:?}");
        assert!(!settled.contains(&Some(false)) || closed.sequential == Some(false), "seed {seed}: {closed:?}");
    }
    assert!(counts.iter().flatten().all(|count| *count > 50), "too few of some kind: {counts:?}");
}
