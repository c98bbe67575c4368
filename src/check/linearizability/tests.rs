//! The engines against brute force, every verdict through the verifier, and broken engines to prove both.

use super::*;
use crate::history::columns::{Call, Ending, NEVER_NS, Row};
use crate::rng;
use rand::Rng;

/// Options of a small random history.
#[derive(Debug, Clone, Copy)]
struct Small {
    operations: usize,
    /// Whether values may repeat.
    repeats: bool,
    deletes: bool,
    cas: bool,
    /// Whether a cas may expect absence.
    creates: bool,
    /// Whether there are answers that say less or more than usual.
    odd: bool,
    unknown: bool,
    /// Whether answers come from a simulated store, one of them changed now and then.
    plausible: bool,
}

/// A small random history of one key; times tie often.
fn small(seed: u64) -> Columns {
    small_of(seed, false)
}

/// The same, if `creates` of unique values with deletes and cas that expect absence: the presence engine's.
fn small_of(seed: u64, creates: bool) -> Columns {
    let mut random = rng::stream(seed, "linearizability/small");
    let mut flag = |chance| random.gen_bool(chance);
    let shape = Small {
        operations: 0,
        repeats: flag(0.25),
        deletes: flag(0.5),
        cas: flag(0.6),
        creates: flag(0.4),
        odd: flag(0.1),
        unknown: flag(0.5),
        plausible: flag(0.7),
    };
    let shape = match creates {
        true => Small { repeats: false, deletes: true, cas: true, creates: true, odd: false, ..shape },
        false => shape,
    };
    let shape = Small { operations: random.gen_range(1..=8), ..shape };
    let span = random.gen_range(2..=3 * shape.operations as u64);
    let mut rows: Vec<Row> = Vec::new();
    let mut effects: Vec<(u64, usize)> = Vec::new();
    for at in 0..shape.operations {
        let start_ns = random.gen_range(0..span);
        let end_ns = start_ns + random.gen_range(0..=span / 2 + 1);
        let unknown = shape.unknown && random.gen_bool(0.25);
        let own = if shape.repeats { random.gen_range(0..3) } else { at as u64 + 1 };
        let any = random.gen_range(0..=shape.operations as u64 + 1);
        let other = if shape.repeats { any % 3 } else { any };
        let seen = if random.gen_bool(0.2) { None } else { Some(other) };
        let expected = if shape.creates { seen } else { Some(other) };
        let call = match random.gen_range(0..12) {
            0..4 => Call::Get(seen),
            4..7 => Call::Put(own),
            7..9 if shape.deletes => Call::Delete,
            9 if shape.odd => Call::DeleteTold { found: random.gen_bool(0.5) },
            9..12 if shape.cas => match random.gen_range(0..4) {
                0 => Call::CasMismatch { expected, new: own, found: Some(seen) },
                1 if shape.odd => Call::CasMismatch { expected, new: own, found: None },
                _ => Call::Cas { expected, new: own },
            },
            _ => Call::Put(own),
        };
        effects.push((random.gen_range(start_ns..=end_ns), at));
        rows.push(Row {
            id: at as u32,
            client: at as u32,
            key: 3,
            call,
            start_ns,
            end_ns: if unknown { NEVER_NS } else { end_ns },
            ending: if unknown { Ending::Info } else { Ending::Ok },
        });
    }
    if shape.plausible {
        answer(shape, &mut random, &mut rows, effects);
    }
    rows.into_iter().collect()
}

/// Lets a simulated store answer, which each operation reaches at its instant of `effects`; one answer may be spoilt.
fn answer(shape: Small, random: &mut impl Rng, rows: &mut [Row], mut effects: Vec<(u64, usize)>) {
    effects.sort_unstable();
    let spoilt = random.gen_range(0..2 * shape.operations);
    let mut holds = None;
    for (_, at) in effects {
        let lost = rows[at].ending == Ending::Info && random.gen_bool(0.3);
        if at == spoilt || lost {
            continue;
        }
        let call = match rows[at].call {
            Call::Get(_) => Call::Get(holds),
            Call::Cas { new, expected } => {
                // Mostly expect the current value, or hardly any cas would match.
                let expected =
                    if random.gen_bool(0.7) && (shape.creates || holds.is_some()) { holds } else { expected };
                match holds == expected || rows[at].ending == Ending::Info {
                    true => Call::Cas { expected, new },
                    false => Call::CasMismatch { expected, new, found: Some(holds) },
                }
            }
            Call::CasMismatch { expected, new, found } if holds != expected => {
                Call::CasMismatch { expected, new, found: found.map(|_| holds) }
            }
            Call::DeleteTold { .. } => Call::DeleteTold { found: holds.is_some() },
            call => call,
        };
        rows[at].call = call;
        match call {
            Call::Put(value) => holds = Some(value),
            Call::Cas { expected, new } if holds == expected => holds = Some(new),
            Call::Delete | Call::DeleteTold { .. } => holds = None,
            _ => {}
        }
    }
}

/// One line an operation, for failures.
fn listing(columns: &Columns) -> String {
    let line = |row: Row| format!("{} {:?} [{}, {}] {:?}", row.id, row.call, row.start_ns, row.end_ns, row.ending);
    columns.rows().map(line).collect::<Vec<_>>().join("\n")
}

fn brute_force(columns: &Columns) -> bool {
    let rows: Vec<Row> = columns.rows().filter(|row| row.ending != Ending::Fail).collect();
    let rows: Vec<Row> =
        rows.into_iter().filter(|row| row.ending == Ending::Ok || !matches!(row.call, Call::Get(_))).collect();
    verify::exhaustive::orderable(&rows, &columns.labels, u64::MAX).expect("no limit")
}

/// The seeds that `SCHISM_SEED` or `SCHISM_SEEDS` name, else the first `default`.
fn seeds(default: u64) -> std::ops::Range<u64> {
    rng::seeds::Seeds::from_environment(default).unwrap_or_else(|error| panic!("{error}")).iter()
}

fn agree(seed: u64) -> Report {
    agrees(seed, &small(seed))
}

fn agrees(seed: u64, columns: &Columns) -> Report {
    let report = check_columns(columns, Options::default());
    let expected = brute_force(columns);
    assert_eq!(report.linearizable(), Some(expected), "seed {seed}: \n{}", listing(columns));
    if let Err(why) = verify::confirms(columns, &report) {
        panic!("seed {seed}: {why}\n{:?}\n{}", report.keys, listing(columns));
    }
    for witness in report.witnesses() {
        let shown = explain::shown(columns, witness, explain::Extent::Core);
        let essential = witness.reason.essential();
        assert!(essential.iter().all(|id| shown.contains(id)), "seed {seed}: {witness:?} shows {shown:?}");
    }
    report
}

#[test]
fn engines_agree_with_brute_force_and_prove_it() {
    seeds(30_000).for_each(|seed| {
        agree(seed);
    });
}

/// The same for keys with deletes and cas that expect absence, which are rare in the histories above.
#[test]
fn engines_agree_where_absence_is_expected() {
    let mut decided = [0; 2];
    seeds(30_000).for_each(|seed| {
        for key in agrees(seed, &small_of(seed, true)).keys {
            let passes = matches!(key.answer, Decision::Linearizable { .. });
            decided[usize::from(passes)] += u32::from(key.engine == Engine::Presence);
        }
    });
    assert!(seeds(1).count() == 1 || decided.iter().all(|count| *count > 100), "{decided:?}");
}

/// The zone engine with one step broken. Keys that zones do not decide go to brute force.
fn broken(mutant: u8, columns: &Columns) -> Option<bool> {
    let by_key = ByKey::new(columns);
    (0..by_key.len()).try_fold(true, |so_far, index| {
        let (_, operations) = by_key.get(index);
        let verdict = match mutant {
            1 => by_zones::<1>(operations, false),
            2 => by_zones::<2>(operations, false),
            3 => by_zones::<3>(operations, false),
            4 => by_zones::<4>(operations, false),
            5 => by_zones::<5>(operations, false),
            6 => by_zones::<6>(operations, false),
            7 => by_zones::<7>(operations, false),
            8 => by_zones::<8>(operations, false),
            9 => by_zones::<9>(operations, false),
            10 => by_zones::<10>(operations, false),
            11 => by_zones::<11>(operations, false),
            12 => by_zones::<12>(operations, false),
            13 => by_zones::<13>(operations, false),
            14 => by_zones::<14>(operations, false),
            15 => by_zones::<15>(operations, false),
            16 => by_zones::<16>(operations, false),
            _ => unreachable!("16 mutants"),
        };
        match verdict {
            ByZones::Decided(verdict) => Some(so_far && verdict.is_ok()),
            ByZones::Creates(_) | ByZones::NotApplicable => None,
        }
    })
}

/// Clamping only the low ends gives the same verdicts: an operation that may begin inside a forward zone is moved to
/// the zone's end, so all instants inside are as good as its beginning. The high ends are clamped only for the order.
const EQUIVALENT: u8 = 11;

/// Each broken engine gives a wrong verdict on some history that the fuzzing visits: this proves that the fuzzing can
/// fail.
#[test]
fn every_mutant_is_caught() {
    let mut escaped: Vec<u8> = (1..=16).collect();
    for seed in 0..30_000 {
        let columns = small(seed);
        let truth = brute_force(&columns);
        let caught = |mutant: u8| match std::panic::catch_unwind(|| broken(mutant, &columns)) {
            Ok(verdict) => verdict.is_some_and(|verdict| verdict != truth),
            Err(_) => true,
        };
        escaped.retain(|mutant| !caught(*mutant));
    }
    assert_eq!(escaped, vec![EQUIVALENT], "mutants that no history tells from the engine");
}

fn row(id: u32, client: u32, call: Call, start_ns: u64, end_ns: u64) -> Row {
    let ending = if end_ns == NEVER_NS { Ending::Info } else { Ending::Ok };
    Row { id, client, key: 7, call, start_ns, end_ns, ending }
}

/// Checks rows, has the verifier confirm the verdict, and returns the witness.
fn witness_of(rows: &[Row]) -> Witness {
    let columns: Columns = rows.iter().copied().collect();
    let report = check_columns(&columns, Options::default());
    verify::confirms(&columns, &report).unwrap();
    report.witnesses().next().expect("these rows have no order").clone()
}

const MS: u64 = 1_000_000;

#[test]
fn a_stale_read_is_told_as_such() {
    let witness = witness_of(&[
        row(0, 1, Call::Put(17), 3_000 * MS, 3_100 * MS),
        row(1, 2, Call::Put(21), 3_900 * MS, 3_980 * MS),
        row(2, 3, Call::Get(Some(17)), 4_210 * MS, 4_250 * MS),
    ]);
    let expected = "client 3 read 17 at 4.210 s, but 21 had replaced it at 3.980 s, and both writes were acknowledged.";
    assert_eq!(witness.sentence, expected);
    assert_eq!(witness.operations, [0, 1, 2]);
    assert_eq!(witness.at_ns, 4_250 * MS);
}

#[test]
fn a_fork_names_both_cas_and_the_writer() {
    let witness = witness_of(&[
        row(0, 1, Call::Put(1), 0, 5),
        row(1, 2, Call::Cas { expected: Some(1), new: 2 }, 10, 20),
        row(2, 3, Call::Cas { expected: Some(1), new: 3 }, 12, 22),
    ]);
    assert_eq!(witness.reason, Reason::TakenTwice { writer: Some(0), cas: [1, 2] });
    assert_eq!(witness.operations, [0, 1, 2]);
}

#[test]
fn a_read_of_what_a_cas_had_taken_is_told_as_stale() {
    let witness = witness_of(&[
        row(0, 1, Call::Put(1), 1_000 * MS, 1_005 * MS),
        row(1, 2, Call::Cas { expected: Some(1), new: 2 }, 1_010 * MS, 1_020 * MS + 3),
        row(2, 3, Call::Get(Some(1)), 1_030 * MS, 1_040 * MS),
    ]);
    let expected = "client 3 read 1 at 1.030 s, but 2 had replaced 1 at 1.020 s, acknowledged to client 2.";
    assert_eq!(witness.sentence, expected);
}

#[test]
fn a_lost_write_names_the_read_that_missed_it() {
    let witness = witness_of(&[row(0, 1, Call::Put(1), 0, 5), row(1, 2, Call::Get(None), 10, 20)]);
    assert_eq!(witness.operations, [0, 1]);
    assert_eq!(witness.sentence, "client 2 found k7 absent at 10 ns, but 1 had been written and acknowledged by 5 ns.");
}

#[test]
fn a_read_of_a_failed_write_says_that_it_failed() {
    let failed = Row { ending: Ending::Fail, ..row(0, 1, Call::Put(9), 0, 5) };
    let witness = witness_of(&[failed, row(1, 2, Call::Get(Some(9)), 10, 20)]);
    let expected = "client 2 read 9 (from 10 ns to 20 ns), but the only write of 9, by client 1 at 0 ns, had failed.";
    assert_eq!(witness.sentence, expected);
}

#[test]
fn a_read_that_misses_its_delete_counts_the_deletes() {
    let witness = witness_of(&[
        row(0, 1, Call::Put(1), 0, 5),
        row(1, 1, Call::Delete, 6, 9),
        row(2, 2, Call::Get(None), 10, 20),
        row(3, 1, Call::Put(2), 21, 25),
        row(4, 2, Call::Get(None), 30, 40),
    ]);
    assert!(matches!(&witness.reason, Reason::TooFewDeletes { needs, .. } if needs.len() == 1));
    assert!(witness.operations.contains(&3) && witness.operations.contains(&4));
}

#[test]
fn an_unknown_write_explains_a_read_but_needs_no_explanation() {
    let columns: Columns = [
        row(0, 1, Call::Put(1), 0, 5),
        row(1, 2, Call::Put(2), 6, NEVER_NS),
        row(2, 2, Call::Put(3), 7, NEVER_NS),
        row(3, 3, Call::Get(Some(1)), 100, 110),
        row(4, 3, Call::Get(Some(2)), 120, 130),
    ]
    .into_iter()
    .collect();
    let report = check_columns(&columns, Options::default());
    assert_eq!(report.verdict, Verdict::Linearizable);
    assert_eq!(report.keys[0].answer, Decision::Linearizable { order: Some(vec![0, 3, 1, 4]) });
}

#[test]
fn a_spent_budget_is_unknown_and_never_a_pass() {
    // Values repeat, so the search decides; a budget of two steps is not enough.
    let rows = [row(0, 1, Call::Put(1), 0, 9), row(1, 2, Call::Put(1), 0, 9), row(2, 3, Call::Get(Some(2)), 0, 9)];
    let columns: Columns = rows.into_iter().collect();
    let budget = Budget { steps: 2, ..Budget::default() };
    let report = check_columns(&columns, Options { budget, ..Options::default() });
    assert_eq!((report.verdict, report.keys[0].engine), (Verdict::Unknown, Engine::Search));
}

#[test]
fn our_own_histories_are_judged_without_conversion() {
    use crate::history::{History, Operation, Status};
    use crate::kv::{Op, Response, Tag};
    let operation = |id: u32, op, outcome, start_ns, end_ns| Operation {
        id,
        client: id,
        tag: Tag { session: u64::from(id), sequence: 1 },
        op,
        planned_ns: start_ns,
        start_ns,
        end_ns,
        status: Status::Ok { outcome, by: None },
        attempts: 1,
    };
    let key = Key(7);
    let mut history = History {
        operations: vec![
            operation(10, Op::Put { key, value: 1 }, Response::Done, 0, 5),
            operation(11, Op::Put { key, value: 2 }, Response::Done, 6, 8),
            operation(12, Op::Get { key }, Response::Value(Some(1)), 9, 10),
        ],
    };
    let report = check(&history, Budget::default());
    assert_eq!(report.linearizable(), Some(false));
    let Verdict::Violation { witness } = &report.verdict else { panic!("{report:?}") };
    assert_eq!(witness.operations, [10, 11, 12]);
    history.operations.pop();
    assert_eq!(check(&history, Budget::default()).linearizable(), Some(true));
}

#[test]
fn the_picture_shows_who_overlaps_whom() {
    let rows = [
        row(0, 1, Call::Put(17), 3_000 * MS, 3_100 * MS),
        row(1, 2, Call::Put(21), 3_900 * MS, 3_980 * MS),
        row(2, 3, Call::Get(Some(17)), 4_210 * MS, 4_250 * MS),
    ];
    let witness = witness_of(&rows);
    let columns: Columns = rows.into_iter().collect();
    let expected = "\
client 1  put k7=17     |--|           3.000 s to 3.100 s
client 2  put k7=21           |--|     3.900 s to 3.980 s
client 3  get k7 -> 17              |--| 4.210 s to 4.250 s
";
    let drawn = explain::diagram(&columns, &witness, 60, false, explain::Extent::Core);
    assert_eq!(drawn.replace(' ', ""), expected.replace(' ', ""), "{drawn}");
    let picture = explain::svg(&columns, &witness, explain::Extent::Core);
    assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n") && picture.contains("get k7 -&gt; 17"));
}

/// Sequential operations of one client after another, 10 ns each.
fn one_after_another(calls: &[Call]) -> Vec<Row> {
    let at = |(at, call): (usize, &Call)| row(at as u32, at as u32 % 3, *call, 10 * at as u64, 10 * at as u64 + 5);
    calls.iter().enumerate().map(at).collect()
}

/// Writes of repeated values that are never read are all needed, and the read that they contradict comes last.
#[test]
fn a_long_argument_is_cut_but_never_what_breaks_it() {
    let mut calls: Vec<Call> = (0..60).map(|at| Call::Put(at % 3)).collect();
    calls.insert(30, Call::CasMismatch { expected: Some(9), new: 9, found: None });
    calls.push(Call::Get(Some(0)));
    let rows = one_after_another(&calls);
    let witness = witness_of(&rows);
    let culprit = rows.len() as u32 - 1;
    let Reason::NoOrder { breaks, .. } = &witness.reason else { panic!("{witness:?}") };
    assert_eq!(*breaks, Some(culprit));
    assert!(witness.operations.len() > explain::Extent::MOST, "{witness:?}");
    assert!(witness.sentence.starts_with(&format!("client {} read 0", culprit % 3)), "{}", witness.sentence);
    let columns: Columns = rows.into_iter().collect();
    let drawn = explain::diagram(&columns, &witness, 200, false, explain::Extent::Core);
    let bars = drawn.lines().filter(|line| line.starts_with("client")).count();
    let gaps = |text: &str| -> usize {
        text.split("... ").skip(1).map(|gap| gap.split(' ').next().unwrap().parse::<usize>().unwrap()).sum()
    };
    let left_out = gaps(&drawn);
    assert_eq!((bars, bars + left_out), (explain::Extent::MOST, witness.operations.len()), "{drawn}");
    assert!(drawn.lines().last().unwrap().contains("get k7 -> 0"), "{drawn}");
    let svg = explain::svg(&columns, &witness, explain::Extent::Core);
    assert!(svg.contains("get k7 -&gt; 0") && gaps(&svg) == left_out, "{svg}");
    let all = explain::diagram(&columns, &witness, 200, false, explain::Extent::All);
    assert_eq!(all.lines().count(), witness.operations.len(), "{all}");
}

/// Where values repeat, an argument can start at a read that tells what the key held.
#[test]
fn an_argument_starts_from_the_last_read_that_settles_the_state() {
    let mut calls: Vec<Call> = (0..40).flat_map(|at| [Call::Put(at % 3), Call::Get(Some(at % 3))]).collect();
    calls.extend([Call::Put(1), Call::Get(Some(2))]);
    let rows = one_after_another(&calls);
    let witness = witness_of(&rows);
    let last = rows.len() as u32;
    let Reason::NoOrder { since, breaks, .. } = &witness.reason else { panic!("{witness:?}") };
    assert_eq!((*since, *breaks), (Some(last - 5), Some(last - 1)));
    assert!(witness.operations.len() <= 3, "{witness:?}");
    // Operations that were over before do matter if the read did not see what it is said to have seen.
    let columns: Columns = rows.into_iter().collect();
    let mut elsewhere = witness.clone();
    if let Reason::NoOrder { since, .. } = &mut elsewhere.reason {
        *since = Some(last - 1);
    }
    verify::refutes(&columns, &elsewhere).unwrap_err();
}

#[test]
fn a_single_read_is_not_said_to_repeat_values() {
    let witness = witness_of(&one_after_another(&[Call::Put(1), Call::Put(1), Call::Get(Some(8))]));
    assert_eq!(witness.operations, [2]);
    assert_eq!(witness.sentence, "client 2 read 8 (from 20 ns to 25 ns), but nobody ever wrote 8 to k7.");
    // Values repeat, but not those of the argument.
    let witness =
        witness_of(&one_after_another(&[Call::Put(1), Call::Put(1), Call::Put(2), Call::Put(3), Call::Get(Some(2))]));
    assert!(witness.sentence.contains("but 3 had replaced it"), "{}", witness.sentence);
}

/// The search treats equal writes as interchangeable. The verifier tries them all, and reports when that is too much.
#[test]
fn a_proof_that_is_too_long_is_not_a_wrong_one() {
    let mut rows = vec![row(0, 0, Call::Put(3), 0, 1)];
    rows.extend((1..60).map(|at| row(at, at, Call::Put(u64::from(at % 2)), 10, 100)));
    rows.push(row(60, 60, Call::CasMismatch { expected: Some(9), new: 9, found: None }, 2, 3));
    rows.push(row(61, 61, Call::Get(Some(3)), 200, 210));
    let columns: Columns = rows.into_iter().collect();
    let report = check_columns(&columns, Options::default());
    assert_eq!(report.linearizable(), Some(false));
    let Err(verify::Unconfirmed::Budget(why)) = verify::confirms(&columns, &report) else {
        panic!("60 writes have been tried in every order");
    };
    assert!(why.contains("too many orders"), "{why}");
}

/// Histories too large for brute force: the generator knows their verdict, the verifier confirms the proof.
mod generated {
    use super::*;
    use crate::check::linearizability::generate::{Mix, Shape, generate};

    const BASE: Shape = Shape {
        operations: 2_000,
        clients: 10,
        keys: 3,
        unknown_ppm: 50_000,
        mix: Mix::Cas,
        values: None,
        stale: false,
    };

    #[test]
    fn valid_ones_pass_with_an_order_and_stale_ones_fail_with_a_witness() {
        for (seed, mix) in (0..12).zip([Mix::ReadWrite, Mix::Cas, Mix::Deletes, Mix::Creates].into_iter().cycle()) {
            for stale in [false, true] {
                let columns = generate(Shape { mix, stale, clients: 5 + 9 * seed as usize, ..BASE }, seed);
                let report = check_columns(&columns, Options::default());
                assert_eq!(report.linearizable(), Some(!stale), "{mix:?}, seed {seed}");
                verify::confirms(&columns, &report).unwrap_or_else(|why| panic!("{mix:?}, seed {seed}: {why}"));
            }
        }
    }

    /// Deletes and cas that expect absence, many clients on one key: no search, no budget.
    #[test]
    fn cas_that_expect_absence_need_no_budget() {
        for stale in [false, true] {
            let shape = Shape { operations: 20_000, clients: 50, keys: 1, mix: Mix::Creates, stale, ..BASE };
            let columns = generate(shape, 1);
            let budget = Budget { steps: 0, memory_bytes: 0 };
            let report = check_columns(&columns, Options { budget, ..Options::default() });
            assert_eq!((report.linearizable(), report.keys[0].steps), (Some(!stale), 0));
            verify::confirms(&columns, &report).unwrap();
        }
    }

    #[test]
    fn few_distinct_values_are_searched_in_few_steps() {
        for seed in 0..20 {
            let shape = Shape { operations: 170, clients: 5, keys: 1, unknown_ppm: 150_000, values: Some(5), ..BASE };
            let columns = generate(shape, seed);
            let report = check_columns(&columns, Options::default());
            assert_eq!(report.linearizable(), Some(true), "seed {seed}");
            assert!(report.keys[0].steps < 5_000, "seed {seed} took {} steps", report.keys[0].steps);
            verify::confirms(&columns, &report).unwrap();
        }
    }

    /// Values repeat, and the searches that would shorten the argument may exceed their budget. The answer that breaks
    /// the history is still named, correctly, and is in the picture.
    #[test]
    fn the_answer_that_breaks_a_long_history_is_named() {
        let shape = Shape { operations: 400, clients: 8, keys: 1, mix: Mix::Creates, values: Some(5), ..BASE };
        let mut long = 0;
        for seed in 0..40 {
            let columns = generate(Shape { stale: true, ..shape }, seed);
            let report = check_columns(&columns, Options::default());
            let Some(witness) = report.witnesses().next() else { continue };
            let Reason::NoOrder { breaks, until_ns, .. } = witness.reason else { continue };
            let breaks = breaks.unwrap_or_else(|| panic!("seed {seed}: {}", witness.sentence));
            assert!(explain::shown(&columns, witness, explain::Extent::Core).contains(&breaks), "seed {seed}");
            long += u32::from(witness.operations.len() > explain::Extent::MOST);
            let unanswered = |row: Row| match row.id == breaks || row.end_ns > until_ns {
                true => Row { ending: Ending::Info, end_ns: NEVER_NS, ..row },
                false => row,
            };
            let begun = columns.rows().filter(|row| row.start_ns <= until_ns);
            let report = check_columns(&begun.map(unanswered).collect(), Options::default());
            assert_eq!(report.linearizable(), Some(true), "seed {seed}: without {breaks} there is no order either");
        }
        assert!(long > 0, "no argument was long");
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let columns = generate(Shape { stale: true, keys: 20, ..BASE }, 3);
        let with = |jobs| check_columns(&columns, Options { jobs, ..Options::default() });
        assert_eq!(with(1), with(4));
    }

    /// The verifier is no rubber stamp: it rejects spoilt proofs.
    #[test]
    fn spoilt_proofs_are_rejected() {
        let columns = generate(BASE, 1);
        let report = check_columns(&columns, Options::default());
        let Decision::Linearizable { order: Some(order) } = &report.keys[0].answer else { panic!("{report:?}") };
        let key = report.keys[0].key.0;
        verify::replays(&columns, key, order).unwrap();
        let mut swapped = order.clone();
        swapped.swap(10, 400);
        verify::replays(&columns, key, &swapped).unwrap_err();
        let mut short = order.clone();
        short.remove(order.iter().position(|id| columns.row(*id as usize).ending == Ending::Ok).unwrap());
        verify::replays(&columns, key, &short).unwrap_err();
        let mut doubled = order.clone();
        doubled.push(order[0]);
        verify::replays(&columns, key, &doubled).unwrap_err();

        let valid = columns;
        let columns = generate(Shape { stale: true, ..BASE }, 1);
        let stale = (0..columns.len()).find(|at| columns.row(*at) != valid.row(*at)).expect("one read was made stale");
        let report = check_columns(&columns, Options::default());
        let Verdict::Violation { witness } = report.verdict else { panic!("{report:?}") };
        verify::refutes(&columns, &witness).unwrap();
        let mut less = (*witness).clone();
        less.operations.retain(|id| *id != columns.ids[stale]);
        verify::refutes(&columns, &less).unwrap_err();
        // The same operations, as if the stale read had returned another value.
        let mut healed: Vec<Row> = columns.rows().collect();
        healed[stale].call = valid.row(stale).call;
        verify::refutes(&healed.into_iter().collect(), &witness).unwrap_err();
    }
}
