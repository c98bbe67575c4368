//! The search for objects that are not key-value registers: give a sequential [`Model`], get a verdict.

use super::Budget;
use super::keys::{Instant, NEVER};
use super::search::{Found, Interval, Machine, search};
use crate::history::columns::LATEST_NS;
use std::collections::BTreeMap;

/// A sequential object. Operations on different keys do not interact, so each key is judged alone.
pub trait Model {
    /// The state of one key.
    type State: Clone + Ord;
    /// What is asked.
    type Op;
    /// What is answered.
    type Ret;

    /// The state of a key before every operation.
    fn initial(&self) -> Self::State;

    /// The state after `op`, if it can answer `ret` in `state`. An unknown answer (`None`) fits any state in which
    /// the operation is possible.
    fn step(&self, state: &Self::State, op: &Self::Op, ret: Option<&Self::Ret>) -> Option<Self::State>;

    /// The key that `op` touches.
    fn key(&self, _op: &Self::Op) -> u64 {
        0
    }

    /// Whether `op` leaves *every* state as it is. Saying so of reads makes the search much faster.
    fn is_read(&self, _op: &Self::Op) -> bool {
        false
    }
}

/// One operation on a modelled object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation<Op, Ret> {
    /// What was asked.
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
    /// An order exists: indices into the history. Those of unknown outcome that are not listed did not happen.
    Linearizable(Vec<usize>),
    /// No order exists.
    Violation,
    /// The budget ended first. Never a pass.
    Unknown,
}

/// Judges a history of a modelled object: an answer for each key, ascending.
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
    machine.number(model.initial());
    match search(&mut machine, &intervals, budget).0 {
        Found::Order(order) => ModelAnswer::Linearizable(order.into_iter().map(|at| operations[at as usize]).collect()),
        Found::Nothing => ModelAnswer::Violation,
        Found::Spent => ModelAnswer::Unknown,
    }
}

/// A model whose states are numbered as they come up.
struct Modelled<'a, M: Model> {
    model: &'a M,
    history: &'a [Invocation<M::Op, M::Ret>],
    operations: &'a [usize],
    states: Vec<M::State>,
    numbers: BTreeMap<M::State, u32>,
}

impl<M: Model> Modelled<'_, M> {
    fn number(&mut self, state: M::State) -> u32 {
        *self.numbers.entry(state).or_insert_with_key(|state| {
            self.states.push(state.clone());
            self.states.len() as u32 - 1
        })
    }
}

impl<M: Model> Machine for Modelled<'_, M> {
    fn initial(&self) -> u32 {
        0
    }

    fn step(&mut self, state: u32, operation: u32) -> Option<u32> {
        let Invocation { op, ret, .. } = &self.history[self.operations[operation as usize]];
        let next = self.model.step(&self.states[state as usize], op, ret.as_ref())?;
        Some(self.number(next))
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
        // Had the first enqueue still been running, the second may have come first.
        history[0].end_ns = 7;
        let order = ModelAnswer::Linearizable(vec![1, 0, 2]);
        assert_eq!(check_model(&Queue, &history, Budget::default()), [(4, order)]);
        // Or if nobody knows whether it happened.
        history[0] = call(Some(1), None, 0, 0);
        let [(4, ModelAnswer::Linearizable(_))] = check_model(&Queue, &history, Budget::default())[..] else {
            panic!("an enqueue of unknown outcome need not have happened");
        };
        let spent = Budget { steps: 1, ..Budget::default() };
        assert_eq!(check_model(&Queue, &history, spent), [(4, ModelAnswer::Unknown)]);
    }
}
