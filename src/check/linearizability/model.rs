//! The search for objects that are not key-value registers: a sequential [`Model`] is given, a verdict is returned.

use super::Budget;
use super::keys::{Instant, NEVER};
use super::search::{Found, Interval, Machine, search};
use crate::history::columns::LATEST_NS;
use std::collections::BTreeMap;

/// A sequential object. Operations on different keys do not interact, so each key is checked alone.
pub trait Model {
    /// The state of one key.
    type State: Clone + Ord;
    /// The operation that is requested.
    type Op;
    /// Its answer.
    type Ret;

    /// The state of a key before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `op`, if it can answer `ret` in `state`. An unknown answer (`None`) fits any state in which
    /// the operation is possible.
    fn step(&self, state: &Self::State, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Self::State>;

    /// Every state to which `op` may lead when it answers `ret`. Override it for an object that may choose (a queue
    /// that delivers in any order), or whose answers depend on when they were requested (a lease). This is what the
    /// checker calls; by default it gives the one state of [`Model::step`]. A model that overrides it need not care
    /// about `step`, which nothing else calls.
    fn steps(&self, state: &Self::State, op: &Self::Op, ret: Option<&Self::Ret>, _times: Times) -> Vec<Self::State> {
        self.step(state, op, ret).into_iter().collect()
    }

    /// The key that `op` touches.
    fn key(&self, _op: &Self::Op) -> u64 {
        0
    }

    /// Whether `op` leaves *every* state as it is. Declaring reads this way makes the search much faster.
    fn is_read(&self, _op: &Self::Op) -> bool {
        false
    }
}

/// When an operation was called and when it returned, in nanoseconds since the start of the run. It takes effect at
/// some instant between the two; without an answer, at any instant after the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it was called.
    pub called_ns: u64,
    /// When it returned; `None` if its outcome is unknown.
    pub returned_ns: Option<u64>,
}

/// One operation on a modelled object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation<Op, Ret> {
    /// The operation that was requested.
    pub op: Op,
    /// The answer; `None` if the outcome is unknown: it may take effect at any later time, or never.
    pub ret: Option<Ret>,
    /// When it was invoked, in nanoseconds.
    pub start_ns: u64,
    /// When it was answered, in nanoseconds; ignored without an answer.
    pub end_ns: u64,
}

/// What is known about one key of a modelled object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelAnswer {
    /// An order exists: indices into the history. Operations of unknown outcome that are not listed did not happen.
    Linearizable(Vec<usize>),
    /// No order exists.
    Violation,
    /// The budget ended first. Never a pass.
    Unknown,
}

/// Checks a history of a modelled object. Returns an answer for each key, ascending.
pub fn check_model<M: Model>(
    model: &M,
    history: &[Invocation<M::Op, M::Ret>],
    budget: Budget,
) -> Vec<(u64, ModelAnswer)> {
    let mut keys: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, invocation) in history.iter().enumerate() {
        // A read of unknown outcome says nothing.
        if invocation.ret.is_some() || !model.is_read(&invocation.op) {
            keys.entry(model.key(&invocation.op)).or_default().push(at);
        }
    }
    keys.into_iter().map(|(key, operations)| (key, check_key(model, history, &operations, budget))).collect()
}

fn check_key<M: Model>(
    model: &M,
    history: &[Invocation<M::Op, M::Ret>],
    operations: &[usize],
    budget: Budget,
) -> ModelAnswer {
    let interval = |at: &usize| {
        let Invocation { start_ns, end_ns, ret, .. } = &history[*at];
        let start: Instant = 2 * (*start_ns).min(LATEST_NS) + 2;
        let end = if ret.is_some() { 2 * (*end_ns).clamp(*start_ns, LATEST_NS) + 3 } else { NEVER };
        Interval::new(start, end, ret.is_none())
    };
    let intervals: Vec<Interval> = operations.iter().map(interval).collect();
    let mut machine = Modelled { model, history, operations, states: Vec::new(), numbers: BTreeMap::new() };
    machine.number(vec![model.initial()]);
    match search(&mut machine, &intervals, budget).0 {
        Found::Order(order) => ModelAnswer::Linearizable(order.into_iter().map(|at| operations[at as usize]).collect()),
        Found::Nothing => ModelAnswer::Violation,
        Found::Spent => ModelAnswer::Unknown,
    }
}

/// A model whose states are numbered as they come up. If the model branches, a state of the search is the set of all
/// states in which the object may be: one order of the operations then stands for every choice that fits the answers.
struct Modelled<'a, M: Model> {
    model: &'a M,
    history: &'a [Invocation<M::Op, M::Ret>],
    operations: &'a [usize],
    /// Each ascending, without repetitions, and never empty.
    states: Vec<Vec<M::State>>,
    numbers: BTreeMap<Vec<M::State>, u32>,
}

impl<M: Model> Modelled<'_, M> {
    fn number(&mut self, states: Vec<M::State>) -> u32 {
        *self.numbers.entry(states).or_insert_with_key(|states| {
            self.states.push(states.clone());
            self.states.len() as u32 - 1
        })
    }
}

impl<M: Model> Machine for Modelled<'_, M> {
    fn initial(&self) -> u32 {
        0
    }

    fn step(&mut self, state: u32, operation: u32) -> Option<u32> {
        let Invocation { op, ret, start_ns, end_ns } = &self.history[self.operations[operation as usize]];
        let times = Times { called_ns: *start_ns, returned_ns: ret.as_ref().map(|_| *end_ns) };
        let now = &self.states[state as usize];
        let mut next: Vec<M::State> =
            now.iter().flat_map(|state| self.model.steps(state, op, ret.as_ref(), times)).collect();
        next.sort_unstable();
        next.dedup();
        if next.is_empty() { None } else { Some(self.number(next)) }
    }

    fn narrows(&self, state: u32) -> bool {
        self.states[state as usize].len() > 1
    }

    /// How much the states keep on the heap is unknown.
    fn bytes(&self) -> usize {
        2 * self.states.len() * size_of::<M::State>()
    }

    fn is_read(&self, operation: u32) -> bool {
        self.model.is_read(&self.history[self.operations[operation as usize]].op)
    }

    fn class(&self, operation: u32) -> u32 {
        // Nothing is known about which operations are interchangeable.
        operation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A queue per key: `Some` enqueues, `None` dequeues.
    struct Queue;

    impl Model for Queue {
        type State = VecDeque<u32>;
        type Op = (u64, Option<u32>);
        type Ret = Option<u32>;

        fn initial(&self) -> VecDeque<u32> {
            VecDeque::new()
        }

        fn step(&self, state: &VecDeque<u32>, op: &Self::Op, ret: Option<&Option<u32>>) -> Option<VecDeque<u32>> {
            let mut after = state.clone();
            let answer = match op.1 {
                Some(item) => {
                    after.push_back(item);
                    None
                }
                None => after.pop_front(),
            };
            ret.is_none_or(|ret| *ret == answer).then_some(after)
        }

        fn key(&self, op: &Self::Op) -> u64 {
            op.0
        }
    }

    fn call(
        op: Option<u32>,
        ret: Option<Option<u32>>,
        start_ns: u64,
        end_ns: u64,
    ) -> Invocation<(u64, Option<u32>), Option<u32>> {
        Invocation { op: (4, op), ret, start_ns, end_ns }
    }

    #[test]
    fn a_queue_that_overtakes_is_refuted_and_one_that_does_not_gets_an_order() {
        let mut history =
            vec![call(Some(1), Some(None), 0, 5), call(Some(2), Some(None), 6, 9), call(None, Some(Some(2)), 10, 20)];
        assert_eq!(check_model(&Queue, &history, Budget::default()), [(4, ModelAnswer::Violation)]);
        // If the first enqueue had still been running, the second could have come first.
        history[0].end_ns = 7;
        let order = ModelAnswer::Linearizable(vec![1, 0, 2]);
        assert_eq!(check_model(&Queue, &history, Budget::default()), [(4, order)]);
        // Or if it is unknown whether it happened.
        history[0] = call(Some(1), None, 0, 0);
        let [(4, ModelAnswer::Linearizable(_))] = check_model(&Queue, &history, Budget::default())[..] else {
            panic!("an enqueue of unknown outcome need not have happened");
        };
        let spent = Budget { steps: 1, ..Budget::default() };
        assert_eq!(check_model(&Queue, &history, spent), [(4, ModelAnswer::Unknown)]);
    }

    /// A bag: elements come out in any order. `Some` puts, `None` takes and answers what it took.
    struct Bag;

    impl Model for Bag {
        type State = Vec<u32>;
        type Op = Option<u32>;
        type Ret = Option<u32>;

        fn initial(&self) -> Vec<u32> {
            Vec::new()
        }

        fn step(&self, _: &Vec<u32>, _: &Option<u32>, _: Option<&Option<u32>>) -> Option<Vec<u32>> {
            unreachable!("it branches")
        }

        fn steps(&self, bag: &Vec<u32>, op: &Option<u32>, ret: Option<&Option<u32>>, _times: Times) -> Vec<Vec<u32>> {
            let without =
                |at: usize| bag.iter().enumerate().filter(move |(other, _)| *other != at).map(|(_, item)| *item);
            match op {
                Some(item) => vec![bag.iter().copied().chain([*item]).collect()],
                // If a caller did not learn which element it took, several bags are possible.
                None => (0..bag.len())
                    .filter(|at| ret.is_none_or(|ret| *ret == Some(bag[*at])))
                    .map(|at| without(at).collect())
                    .collect(),
            }
        }
    }

    #[test]
    fn a_model_may_branch() {
        let call = |op, ret, start_ns| Invocation { op, ret, start_ns, end_ns: start_ns + 1 };
        let put = |item, at| call(Some(item), Some(None), at);
        let history =
            |second| vec![put(1, 0), put(2, 2), put(3, 4), call(None, None, 6), call(None, Some(Some(second)), 8)];
        for taken in [1, 2, 3] {
            let answers = check_model(&Bag, &history(taken), Budget::default());
            assert!(matches!(answers[..], [(0, ModelAnswer::Linearizable(_))]), "{taken}: {answers:?}");
        }
        assert_eq!(check_model(&Bag, &history(4), Budget::default()), [(0, ModelAnswer::Violation)]);
        let mut all = history(1);
        all.extend([call(None, Some(Some(2)), 10), call(None, Some(Some(3)), 12)]);
        assert!(matches!(check_model(&Bag, &all, Budget::default())[..], [(0, ModelAnswer::Linearizable(_))]));
        all.push(call(None, Some(Some(3)), 14));
        assert_eq!(check_model(&Bag, &all, Budget::default()), [(0, ModelAnswer::Violation)]);
    }

    /// A coin that may lie on either side until a client looks.
    struct Coin;

    impl Model for Coin {
        type State = Option<bool>;
        type Op = bool;
        type Ret = bool;

        fn initial(&self) -> Option<bool> {
            None
        }

        fn step(&self, _: &Option<bool>, _: &bool, _: Option<&bool>) -> Option<Option<bool>> {
            unreachable!("it branches")
        }

        /// `true` tosses, `false` looks.
        fn steps(&self, side: &Option<bool>, toss: &bool, ret: Option<&bool>, _: Times) -> Vec<Option<bool>> {
            match (toss, side) {
                (true, _) => vec![Some(false), Some(true)],
                (false, Some(side)) if ret.is_none_or(|ret| ret == side) => vec![Some(*side)],
                (false, _) => Vec::new(),
            }
        }

        fn is_read(&self, toss: &bool) -> bool {
            !toss
        }
    }

    #[test]
    fn a_read_may_narrow_what_a_branch_left_open() {
        let call = |op, ret, start_ns| Invocation { op, ret: Some(ret), start_ns, end_ns: start_ns + 1 };
        for side in [false, true] {
            let seen = [call(true, true, 0), call(false, side, 2), call(false, side, 4)];
            let answers = check_model(&Coin, &seen, Budget::default());
            assert!(matches!(answers[..], [(0, ModelAnswer::Linearizable(_))]), "{answers:?}");
            let turned = [call(true, true, 0), call(false, side, 2), call(false, !side, 4)];
            assert_eq!(check_model(&Coin, &turned, Budget::default()), [(0, ModelAnswer::Violation)]);
        }
    }

    /// A lease of 10 ns. `true` requests it, and succeeds only if no other client holds it any more. The state is the
    /// earliest and the latest time at which it ends.
    struct Lease;

    impl Model for Lease {
        type State = u64;
        type Op = ();
        type Ret = bool;

        fn initial(&self) -> u64 {
            0
        }

        fn step(&self, _: &u64, (): &(), _: Option<&bool>) -> Option<u64> {
            unreachable!("it looks at times")
        }

        fn steps(&self, ends_ns: &u64, (): &(), ret: Option<&bool>, times: Times) -> Vec<u64> {
            let granted = times.returned_ns.is_none_or(|at_ns| at_ns >= *ends_ns).then(|| times.called_ns + 10);
            match ret {
                Some(false) => vec![*ends_ns],
                _ => granted.into_iter().collect(),
            }
        }
    }

    #[test]
    fn a_model_may_look_at_times() {
        let call = |start_ns| Invocation { op: (), ret: Some(true), start_ns, end_ns: start_ns + 1 };
        let [(_, ModelAnswer::Linearizable(_))] = check_model(&Lease, &[call(0), call(20)], Budget::default())[..]
        else {
            panic!("the first lease is over");
        };
        assert_eq!(check_model(&Lease, &[call(0), call(5)], Budget::default()), [(0, ModelAnswer::Violation)]);
    }
}
