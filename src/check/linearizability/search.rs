//! Searches for an order where zones do not apply: Wing & Gong's depth-first search with Lowe's memo of (operations
//! done, state), made fast by the orders that it need not try.
//!
//! * *Reads go first*: a read that matches the state is taken at once, without an alternative.
//! * *Equal operations are interchangeable*: of the operations that demand and do the same, only the one with the
//!   nearest deadline is tried. With few distinct values this bounds the branching.
//! * *Dead values stay*: a value that no remaining operation can write again is not overwritten while it has readers.
//! * *Optional writes wait for a witness*: a write of unknown outcome is tried only right before an operation that
//!   observes it.
//!
//! The memo compares what it stored word by word, so a hash collision cannot invent a violation. The budget is counted
//! in steps and bytes, never in wall time: the same input gives the same answer.
//!
//! Sources: Wing & Gong, "Testing and Verifying Concurrent Objects" (JPDC 17, 1993); Lowe, "Testing for
//! Linearizability" (Concurrency and Computation 29(4), 2017).

use super::Budget;
use super::keys::{Instant, NEVER};

/// The sequential object that the search orders operations on. States and operations are small numbers.
pub(super) trait Machine {
    /// The state before every operation.
    fn initial(&self) -> u32;
    /// The state after `operation`, if it can give its answer in `state`.
    fn step(&mut self, state: u32, operation: u32) -> Option<u32>;
    /// Whether the operation leaves every state as it is.
    fn is_read(&self, operation: u32) -> bool;
    /// Whether an operation that leaves every state as it is may still narrow what is known of `state`: if a state
    /// stands for several, a read rules some of them out.
    fn narrows(&self, _state: u32) -> bool {
        false
    }
    /// Operations of one class demand and do the same. Below the number of operations, or 4.
    fn class(&self, operation: u32) -> u32;
    /// Whether `operation` may change the state, given the operations still to come.
    fn may_leave(&self, _state: u32, _operation: u32) -> bool {
        true
    }
    /// Whether an optional operation is of use right now, given the operations that could come next.
    fn is_useful(&mut self, _operation: u32, _enabled: &[u32]) -> bool {
        true
    }
    /// About how much memory the states take that have come up so far, in bytes.
    fn bytes(&self) -> usize {
        0
    }
    /// `operation` has been put into the order.
    fn taken(&mut self, _operation: u32) {}
    /// `operation` has been taken out of the order again.
    fn returned(&mut self, _operation: u32) {}
}

/// When an operation may take effect, and whether it must.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub start: Instant,
    pub end: Instant,
    pub optional: bool,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// An order of all operations that happened.
    Order(Vec<u32>),
    /// There is none.
    Nothing,
    /// The budget was spent first.
    Spent,
}

/// Searches for an order of `intervals` on `machine`. Returns the result and the number of steps.
pub(super) fn search<M: Machine>(machine: &mut M, intervals: &[Interval], budget: Budget) -> (Found, u64) {
    let mut search = Search::new(intervals, budget);
    let found = search.run(machine);
    (found, search.steps)
}

/// A machine may number its classes up to here even if it has fewer operations.
const MIN_CLASSES: usize = 4;

/// Marks the end of the list.
const END: u32 = u32::MAX;

/// One decision: the operations that could come next, and the one that was taken.
struct Frame {
    state: u32,
    /// How much of the trail is older than this decision.
    trail: usize,
    /// Where this decision's candidates begin; they end where the next frame's begin.
    candidates: usize,
    /// The next candidate to try.
    next: usize,
}

struct Search<'a> {
    intervals: &'a [Interval],
    budget: Budget,
    steps: u64,
    /// Events in order of time: operation `o`'s invocation is `2 o`, its completion `2 o + 1`. A doubly
    /// linked list of those whose operation is not in the order yet; entry `2 n` is the list's head.
    next: Vec<u32>,
    previous: Vec<u32>,
    /// Required operations not yet in the order.
    missing: usize,
    /// The order so far.
    trail: Vec<u32>,
    frames: Vec<Frame>,
    candidates: Vec<u32>,
    memo: Memo,
    /// Scratch: operations that could come next, and the best of each class.
    enabled: Vec<u32>,
    best: Vec<(u64, u32)>,
}

impl<'a> Search<'a> {
    fn new(intervals: &'a [Interval], budget: Budget) -> Self {
        let head = 2 * intervals.len() as u32;
        let mut events: Vec<(Instant, u32)> = Vec::with_capacity(2 * intervals.len());
        for (at, interval) in intervals.iter().enumerate() {
            events.push((interval.start, 2 * at as u32));
            if !interval.optional {
                events.push((interval.end, 2 * at as u32 + 1));
            }
        }
        events.sort_unstable();
        let (mut next, mut previous) = (vec![END; head as usize + 1], vec![END; head as usize + 1]);
        let mut last = head;
        for (_, event) in events {
            next[last as usize] = event;
            previous[event as usize] = last;
            last = event;
        }
        Search {
            intervals,
            budget,
            steps: 0,
            next,
            previous,
            missing: intervals.iter().filter(|interval| !interval.optional).count(),
            trail: Vec::with_capacity(intervals.len()),
            frames: Vec::new(),
            candidates: Vec::new(),
            memo: Memo::new(),
            enabled: Vec::new(),
            best: vec![(0, 0); intervals.len().max(MIN_CLASSES)],
        }
    }

    fn run<M: Machine>(&mut self, machine: &mut M) -> Found {
        let mut state = machine.initial();
        loop {
            self.steps += 1;
            if self.steps > self.budget.steps
                || self.memo.bytes().saturating_add(machine.bytes()) > self.budget.memory_bytes
            {
                return Found::Spent;
            }
            let pending = self.take_reads(machine, state);
            if self.missing == 0 {
                return Found::Order(std::mem::take(&mut self.trail));
            }
            if self.memo.is_new(state, pending, &self.enabled) {
                self.branch(machine, state);
            } else {
                // A decision without candidates makes the next step go back.
                self.frames.push(Frame {
                    state,
                    trail: self.trail.len(),
                    candidates: self.candidates.len(),
                    next: self.candidates.len(),
                });
            }
            match self.advance(machine) {
                Some(reached) => state = reached,
                None => return Found::Nothing,
            }
        }
    }

    /// Takes every enabled read that matches, and collects the other enabled operations. Returns the completion before
    /// which all of them come.
    fn take_reads<M: Machine>(&mut self, machine: &mut M, state: u32) -> u32 {
        self.enabled.clear();
        let mut event = self.next[2 * self.intervals.len()];
        while event != END && event.is_multiple_of(2) {
            let operation = event / 2;
            if machine.is_read(operation) && machine.step(state, operation) == Some(state) {
                event = self.next[event as usize];
                // Its own completion may be the very next event.
                if event == 2 * operation + 1 {
                    event = self.next[event as usize];
                }
                self.take(machine, operation);
            } else {
                self.enabled.push(operation);
                event = self.next[event as usize];
            }
        }
        event
    }

    /// Opens a decision between the operations that are worth trying.
    fn branch<M: Machine>(&mut self, machine: &mut M, state: u32) {
        let first = self.candidates.len();
        let enabled = std::mem::take(&mut self.enabled);
        for operation in &enabled {
            let interval = self.intervals[*operation as usize];
            if machine.is_read(*operation) && !machine.narrows(state) {
                continue;
            }
            let class = machine.class(*operation) as usize;
            let (step, best) = self.best[class];
            if step == self.steps {
                // Another operation of its class is enabled: the nearest deadline goes first, then the earliest
                // invocation.
                let place = best as usize;
                if interval.end < self.intervals[self.candidates[place] as usize].end {
                    self.candidates[place] = *operation;
                }
                continue;
            }
            let possible = machine.step(state, *operation).is_some()
                && machine.may_leave(state, *operation)
                && (!interval.optional || machine.is_useful(*operation, &enabled));
            if possible {
                self.best[class] = (self.steps, self.candidates.len() as u32);
                self.candidates.push(*operation);
            }
        }
        self.enabled = enabled;
        self.candidates[first..].sort_by_key(|operation| self.intervals[*operation as usize].end);
        self.frames.push(Frame { state, trail: self.trail.len(), candidates: first, next: first });
    }

    /// Takes the next untried candidate of the latest decision that has one. Returns the state reached.
    fn advance<M: Machine>(&mut self, machine: &mut M) -> Option<u32> {
        loop {
            let frame = self.frames.last_mut()?;
            let (state, trail, first, next) = (frame.state, frame.trail, frame.candidates, frame.next);
            frame.next += 1;
            while self.trail.len() > trail {
                self.give_back(machine);
            }
            if let Some(operation) = self.candidates.get(next).copied() {
                self.take(machine, operation);
                return machine.step(state, operation);
            }
            self.candidates.truncate(first);
            self.frames.pop();
        }
    }

    fn take<M: Machine>(&mut self, machine: &mut M, operation: u32) {
        self.unlink(2 * operation);
        if !self.intervals[operation as usize].optional {
            self.unlink(2 * operation + 1);
            self.missing -= 1;
        }
        self.trail.push(operation);
        machine.taken(operation);
    }

    fn give_back<M: Machine>(&mut self, machine: &mut M) {
        let operation = self.trail.pop().expect("the trail is longer than the decision's");
        if !self.intervals[operation as usize].optional {
            self.relink(2 * operation + 1);
            self.missing += 1;
        }
        self.relink(2 * operation);
        machine.returned(operation);
    }

    fn unlink(&mut self, event: u32) {
        let (previous, next) = (self.previous[event as usize], self.next[event as usize]);
        self.next[previous as usize] = next;
        if next != END {
            self.previous[next as usize] = previous;
        }
    }

    fn relink(&mut self, event: u32) {
        let (previous, next) = (self.previous[event as usize], self.next[event as usize]);
        self.next[previous as usize] = event;
        if next != END {
            self.previous[next as usize] = event;
        }
    }
}

/// The situations seen: the state, the first completion still to come, and which of the operations invoked before it
/// are not in the order. Operations invoked later are not in the order either, so these three determine the situation.
struct Memo {
    /// Open addressing; 0 is free, any other number is one more than where the situation begins in `words`.
    slots: Vec<u32>,
    used: usize,
    /// Situations one after another: length, state, completion, operations.
    words: Vec<u32>,
}

impl Memo {
    fn new() -> Memo {
        Memo { slots: vec![0; 64], used: 0, words: Vec::new() }
    }

    fn bytes(&self) -> usize {
        4 * (self.slots.len() + self.words.capacity())
    }

    /// Whether the situation was not seen before; remembers it.
    fn is_new(&mut self, state: u32, completion: u32, operations: &[u32]) -> bool {
        let begin = self.words.len();
        self.words.push(operations.len() as u32 + 3);
        self.words.push(state);
        self.words.push(completion);
        self.words.extend_from_slice(operations);
        let mut slot = self.home(begin);
        while self.slots[slot] != 0 {
            let other = self.slots[slot] as usize - 1;
            if self.situation(other) == self.situation(begin) {
                self.words.truncate(begin);
                return false;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = begin as u32 + 1;
        self.used += 1;
        if 2 * self.used > self.slots.len() {
            self.grow();
        }
        true
    }

    fn situation(&self, begin: usize) -> &[u32] {
        &self.words[begin..begin + self.words[begin] as usize]
    }

    fn home(&self, begin: usize) -> usize {
        let mut hash = 0u64;
        for word in self.situation(begin) {
            hash = (hash.rotate_left(5) ^ u64::from(*word)).wrapping_mul(0x517C_C1B7_2722_0A95);
        }
        (hash >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    fn grow(&mut self) {
        self.slots = vec![0; 2 * self.slots.len()];
        let mut begin = 0;
        while begin < self.words.len() {
            let mut slot = self.home(begin);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = begin as u32 + 1;
            begin += self.words[begin] as usize;
        }
    }
}

impl Interval {
    /// The interval of an operation that must take effect, or of one that may (`end` is [`NEVER`]).
    pub fn new(start: Instant, end: Instant, optional: bool) -> Interval {
        Interval { start, end: if optional { NEVER } else { end }, optional }
    }
}
