//! The order of effects for each kind of message, and what a lost frame does to its connection.

use super::*;

const MS: u64 = 1_000_000;
const LATENCY: u64 = 10;
const FLOW: Flow = Flow(1);
const KINDS: [Policy; 4] = [Policy::Frame(FLOW), Policy::Segment(FLOW), Policy::Datagram, Policy::Errand];

const OPEN: LinkState = LinkState { cut: false, hold: false, extra_ns: 0 };
const CUT: LinkState = LinkState { cut: true, ..OPEN };
const HELD: LinkState = LinkState { hold: true, ..OPEN };
const BOTH: LinkState = LinkState { cut: true, hold: true, extra_ns: 0 };
const SLOW: LinkState = LinkState { extra_ns: 7 * MS, ..OPEN };

const NONE: Fate = Fate { lost: false, delay_ns: 0, duplicate_ns: None };
const LOST: Fate = Fate { lost: true, ..NONE };
const LATE: Fate = Fate { delay_ns: 30 * MS, ..NONE };
const DOUBLED: Fate = Fate { duplicate_ns: Some(5 * MS), ..NONE };

#[derive(Clone, Copy)]
enum Step {
    Send(Fate),
    /// Sent with a jitter of three milliseconds.
    Jittered,
    Turns(LinkState),
    SenderDies,
    ReceiverDies,
}
use Step::{Jittered, ReceiverDies, Send, SenderDies, Turns};

/// A link with an open connection.
fn link() -> Link<u32> {
    let mut link = Link::new(LATENCY * MS);
    link.opening(FLOW);
    assert!(link.open(0, FLOW).is_empty());
    link
}

fn words(at_ms: u64, effects: Vec<Effect<u32>>) -> Vec<String> {
    let word = |effect| match effect {
        Effect::Lost(_, reason) => format!("{reason:?} {at_ms}").to_lowercase(),
        Effect::Late(_, by_ns) => format!("late by {}", by_ns / MS),
        Effect::Doubled(..) => "doubled".into(),
        Effect::Held(_) => format!("held {at_ms}"),
    };
    effects.into_iter().map(word).collect()
}

/// What becomes of messages of this kind under these steps, each at its millisecond.
fn run(policy: Policy, steps: &[(u64, Step)]) -> String {
    let mut link = link();
    let mut said = Vec::new();
    let mut sent = 0;
    for at_ms in 0..1000 {
        let now_ns = at_ms * MS;
        for (_, step) in steps.iter().filter(|(step_ms, _)| *step_ms == at_ms) {
            let effects = match step {
                Send(_) | Jittered => {
                    let (fate, jitter_ns) = if let Send(fate) = step { (*fate, 0) } else { (NONE, 3 * MS) };
                    sent += 1;
                    link.send(now_ns, sent, policy, &fate, jitter_ns)
                }
                Turns(state) => link.changed(now_ns, *state),
                SenderDies => link.sender_died(),
                ReceiverDies => link.receiver_died(),
            };
            said.extend(words(at_ms, effects));
        }
        said.extend(words(at_ms, link.depart(now_ns)));
        for end in [End::Receiver, End::Sender] {
            while link.arrive(now_ns, end).is_some() {
                assert_eq!(end == End::Sender, policy == Policy::Errand, "the other end takes it");
                said.push(format!("arrives {at_ms}"));
            }
        }
    }
    said.join(", ")
}

/// The steps, and their effect on a frame, on a segment and on a datagram. An errand fares as a datagram.
type Row = (&'static [(u64, Step)], [&'static str; 3]);

/// A row that holds for all kinds.
const fn all(steps: &'static [(u64, Step)], says: &'static str) -> Row {
    (steps, [says; 3])
}

const TABLE: [Row; 22] = [
    all(&[(0, Send(NONE))], "arrives 10"),
    all(&[(0, Jittered)], "arrives 13"),
    // Latency faults count when a message leaves, whatever they are while it is under way.
    all(&[(0, Turns(SLOW)), (0, Send(NONE)), (5, Turns(OPEN))], "arrives 17"),
    all(&[(0, Send(NONE)), (5, Turns(SLOW))], "arrives 10"),
    (&[(0, Send(LOST))], ["loss 0", "late by 200, arrives 210", "loss 0"]),
    all(&[(0, Send(LATE))], "late by 30, arrives 40"),
    all(&[(0, Send(LATE)), (1, Send(NONE))], "late by 30, arrives 11, arrives 40"),
    (&[(0, Send(DOUBLED))], ["doubled, arrives 10, arrives 15", "arrives 10", "doubled, arrives 10, arrives 15"]),
    // Chaos comes before the cut.
    (&[(0, Turns(CUT)), (0, Send(LOST)), (100, Turns(OPEN))], ["loss 0", "late by 200, arrives 210", "loss 0"]),
    (
        &[(20, Turns(CUT)), (0, Send(LATE)), (100, Turns(OPEN))],
        ["late by 30, cut 30", "late by 30, held 30, arrives 210", "late by 30, cut 30"],
    ),
    all(&[(0, Turns(CUT)), (0, Send(LATE)), (20, Turns(OPEN))], "late by 30, arrives 40"),
    // A cut, before and while it is under way. A segment's tries are 200 and 600 ms after it was sent.
    (&[(0, Turns(CUT)), (0, Send(NONE)), (300, Turns(OPEN))], ["cut 0", "held 0, arrives 610", "cut 0"]),
    (&[(0, Send(NONE)), (5, Turns(CUT)), (100, Turns(OPEN))], ["cut 5", "held 5, arrives 210", "cut 5"]),
    // A message that has arrived when the cut begins is not lost.
    all(&[(0, Send(NONE)), (10, Turns(CUT))], "arrives 10"),
    // The delay comes before the hold, the latency after it.
    all(&[(0, Turns(HELD)), (0, Send(NONE)), (100, Turns(OPEN))], "held 0, arrives 110"),
    all(&[(0, Turns(HELD)), (0, Send(LATE)), (100, Turns(SLOW))], "late by 30, held 30, arrives 117"),
    all(&[(0, Send(NONE)), (5, Turns(HELD))], "arrives 10"),
    // A copy that leaves at the instant at which the link changes meets the new state.
    all(&[(0, Send(LATE)), (30, Turns(HELD)), (100, Turns(OPEN))], "late by 30, held 30, arrives 110"),
    // A cut wins over a hold, and a hold that outlasts it holds what comes after.
    (
        &[(0, Turns(HELD)), (0, Send(NONE)), (50, Turns(BOTH)), (80, Turns(HELD)), (100, Turns(OPEN))],
        ["held 0, cut 50", "held 0, arrives 110", "held 0, cut 50"],
    ),
    (
        &[(0, Turns(BOTH)), (0, Send(NONE)), (80, Turns(HELD)), (90, Jittered), (100, Turns(OPEN))],
        ["cut 0, connection 90", "held 0, held 90, arrives 110, arrives 113", "cut 0, held 90, arrives 113"],
    ),
    // Processes that die. Errands have a test of their own.
    (
        &[(0, Turns(HELD)), (0, Send(NONE)), (50, ReceiverDies), (60, SenderDies), (100, Turns(OPEN))],
        ["held 0, crash 60", "held 0, arrives 110", "held 0, arrives 110"],
    ),
    (&[(0, Send(NONE)), (5, ReceiverDies)], ["crash 5", "arrives 10", "crash 5"]),
];

#[test]
fn every_effect_takes_its_place_in_the_order_for_every_kind_of_message() {
    for (row, (steps, says)) in TABLE.iter().enumerate() {
        for (at, policy) in KINDS.iter().enumerate() {
            if *policy == Policy::Errand && steps.iter().any(|(_, step)| matches!(step, SenderDies)) {
                continue;
            }
            assert_eq!(run(*policy, steps), says[at.min(2)], "row {row}, {policy:?}");
        }
    }
}

#[test]
fn an_errand_dies_with_its_sender_and_a_frame_goes_on_once_it_has_left() {
    let steps = [(0, Send(NONE)), (5, SenderDies)];
    assert_eq!(KINDS.map(|policy| run(policy, &steps)), ["arrives 10", "arrives 10", "arrives 10", "crash 5"]);
}

#[test]
fn a_frame_that_a_cut_loses_breaks_its_connection_and_an_idle_one_survives() {
    let cut = [(10, Turns(CUT)), (20, Turns(OPEN)), (30, Send(NONE))];
    assert_eq!(run(Policy::Frame(FLOW), &cut), "arrives 40");
    let lost = [(15, Send(NONE)), cut[0], cut[1], cut[2]];
    assert_eq!(run(Policy::Frame(FLOW), &lost), "cut 15, connection 30");
    assert_eq!(run(Policy::Datagram, &lost), "cut 15, arrives 40");
    // Chaos loses single frames and leaves the connection whole.
    assert_eq!(run(Policy::Frame(FLOW), &[(0, Send(LOST)), (1, Send(NONE))]), "loss 0, arrives 11");
    // Another connection on the same link is not affected.
    let mut link = link();
    link.open(0, Flow(2));
    assert!(link.changed(0, CUT).is_empty());
    assert_eq!(link.send(0, 1, Policy::Frame(FLOW), &NONE, 0), [Effect::Lost(1, DropReason::Cut)]);
    assert!(link.changed(1, OPEN).is_empty());
    assert!(link.send(1, 2, Policy::Frame(Flow(2)), &NONE, 0).is_empty());
    assert_eq!(link.next_arrival_ns(End::Receiver), Some(1 + LATENCY * MS));
}

#[test]
fn frames_wait_for_their_connection_and_are_lost_without_one() {
    let mut link: Link<u32> = Link::new(LATENCY * MS);
    let frame = Policy::Frame(FLOW);
    assert_eq!(link.send(0, 1, frame, &NONE, 0), [Effect::Lost(1, DropReason::Connection)], "there is none");
    link.opening(FLOW);
    assert_eq!(link.send(0, 2, frame, &LOST, 0), [Effect::Lost(2, DropReason::Loss)], "chaos does not wait");
    assert!(link.send(0, 3, frame, &NONE, 0).is_empty());
    assert!(link.open(50 * MS, FLOW).is_empty());
    assert_eq!(link.next_arrival_ns(End::Receiver), Some((50 + LATENCY) * MS));

    link.opening(Flow(2));
    assert!(link.send(0, 4, Policy::Frame(Flow(2)), &NONE, 0).is_empty());
    assert_eq!(link.send(0, 5, Policy::Frame(Flow(2)), &LATE, 0), [Effect::Late(5, 30 * MS)]);
    let both = [Effect::Lost(4, DropReason::Connection), Effect::Lost(5, DropReason::Connection)];
    assert_eq!(link.abandon(Flow(2)), both, "refused");

    link.opening(Flow(3));
    assert!(link.send(0, 6, Policy::Frame(Flow(3)), &NONE, 0).is_empty());
    assert_eq!(link.sender_died(), [Effect::Lost(6, DropReason::Crash)]);
    assert_eq!(link.send(0, 7, Policy::Frame(Flow(3)), &NONE, 0), [Effect::Lost(7, DropReason::Connection)]);
}

#[test]
fn what_was_sent_before_a_connection_is_closed_still_arrives_unless_its_receiver_closed_it() {
    let frame = Policy::Frame(FLOW);
    let mut closed = link();
    closed.changed(0, HELD);
    assert_eq!(closed.send(0, 1, frame, &NONE, 0), [Effect::Held(1)]);
    closed.close(FLOW);
    assert_eq!(closed.send(1, 2, frame, &NONE, 0), [Effect::Lost(2, DropReason::Connection)]);
    assert!(closed.changed(2, OPEN).is_empty());
    assert_eq!(closed.arrive(2 + LATENCY * MS, End::Receiver), Some(1));

    let mut abandoned = link();
    assert!(abandoned.send(0, 1, frame, &NONE, 0).is_empty());
    assert_eq!(abandoned.abandon(FLOW), [Effect::Lost(1, DropReason::Connection)]);
    assert_eq!(abandoned.send(1, 2, frame, &NONE, 0), [Effect::Lost(2, DropReason::Connection)]);
}

#[test]
fn a_stream_goes_on_at_the_next_try_of_its_oldest_segment() {
    let mut link = link();
    link.changed(0, CUT);
    for (number, stream) in [(1, 1), (2, 1), (3, 2)] {
        let at_ns = u64::from(number) * 50 * MS;
        assert_eq!(link.send(at_ns, number, Policy::Segment(Flow(stream)), &NONE, 0), [Effect::Held(number)]);
    }
    assert!(link.changed(240 * MS, OPEN).is_empty());
    assert!(link.depart(1000 * MS).is_empty());
    let mut arrivals = Vec::new();
    while let Some(at_ns) = link.next_arrival_ns(End::Receiver) {
        arrivals.push((at_ns / MS, link.arrive(at_ns, End::Receiver).unwrap()));
    }
    // The oldest segment of the first stream was sent at 50 ms, that of the second at 150 ms.
    assert_eq!(arrivals, [(260, 1), (260, 2), (360, 3)]);
}

#[test]
fn what_arrives_where_no_process_is_and_what_never_arrives_is_accounted_for() {
    let mut link = link();
    for (number, policy) in (0..).zip(KINDS) {
        assert!(link.send(0, number, policy, &NONE, 0).is_empty());
    }
    let nobody = |number| Effect::Lost(number, DropReason::Connection);
    assert_eq!(link.receiver_starts(LATENCY * MS), [nobody(0), nobody(2)]);
    assert!(link.settle(0).is_empty());
    assert_eq!(link.settle(1), [nobody(3)], "of segments there is no end");
}
