//! Monotonic reads and read your writes of one key, as Viotti & Vukolić define them.
//!
//! Each read sees some of the writes (*visibility*) and returns the last of them in one order of all writes that is the
//! same for every client (*arbitration*). That order need not be the order in time. A swap (cas) comes after the value
//! it took.
//! * *Monotonic reads*: a client's later read sees every write that its earlier reads saw.
//! * *Read your writes*: a client's read sees every write that the client has made before.
//!
//! With unique values a read tells which write it returned. Seeing fewer writes never makes that harder. So let each
//! read see only what it returned and what the guarantee obliges it to see. Whatever it sees comes before what it
//! returned. The guarantee holds if and only if these demands on the arbitration are not circular.

use super::graph::Graph;
use crate::check::linearizability::keys::{NEVER, Packed};
use std::collections::BTreeMap;

/// Up to this many single demands are followed; with more the answer is "not decided".
const MOST_EDGES: usize = 4_000_000;

/// Monotonic reads, and read your writes; `None` if not decided. `clients` are each client's operations in order.
pub(super) fn judge(operations: &[Packed], clients: &[Vec<u32>]) -> (Option<bool>, Option<bool>) {
    let Some(writes) = Writes::new(operations) else { return (None, None) };
    let Some(happened) = writes.happened(operations) else { return (Some(false), Some(false)) };
    let session = Session { operations, writes, happened };
    // A read of absence that a delete brought back could be of any delete.
    let absent = |(at, operation): (usize, &Packed)| session.happened[at] && operation.effect.observes_absent();
    let vague = session.writes.deletes && operations.iter().enumerate().any(absent);
    let answer = |graph: Graph| match graph.has_cycle() {
        true => Some(false),
        false if vague => None,
        false => Some(true),
    };
    (answer(session.monotonic_reads(clients)), session.read_your_writes(clients).and_then(answer))
}

/// Which operation wrote which value.
struct Writes {
    of: BTreeMap<u64, u32>,
    deletes: bool,
}

impl Writes {
    /// `None` if a value was written twice, or an answer does not tell which value it saw.
    fn new(operations: &[Packed]) -> Option<Writes> {
        let mut writes = Writes { of: BTreeMap::new(), deletes: false };
        for (at, operation) in operations.iter().enumerate() {
            if operation.effect.negated() || operation.effect.special() {
                return None;
            }
            writes.deletes |= operation.effect.writes_absent();
            if operation.writes_value() && writes.of.insert(operation.written, at as u32).is_some() {
                return None;
            }
        }
        Some(writes)
    }

    /// Which operations happened: those answered, and writes that one of them saw. `None` if a value was seen that no
    /// operation wrote.
    fn happened(&self, operations: &[Packed]) -> Option<Vec<bool>> {
        let mut happened = vec![false; operations.len()];
        let mut fresh: Vec<u32> =
            (0..operations.len() as u32).filter(|at| !operations[*at as usize].effect.optional()).collect();
        while let Some(at) = fresh.pop() {
            if std::mem::replace(&mut happened[at as usize], true) {
                continue;
            }
            let operation = &operations[at as usize];
            if operation.effect.observes() && !operation.effect.observes_absent() {
                fresh.push(*self.of.get(&operation.observed)?);
            }
        }
        Some(happened)
    }
}

struct Session<'a> {
    operations: &'a [Packed],
    writes: Writes,
    happened: Vec<bool>,
}

impl Session<'_> {
    /// The node of the initial absence; the others are operations.
    fn initial(&self) -> u32 {
        self.operations.len() as u32
    }

    /// What an operation saw; `None` if it is no observation, or one of absence among deletes.
    fn source(&self, at: u32) -> Option<u32> {
        let operation = &self.operations[at as usize];
        match operation.effect.observes_absent() {
            _ if !operation.effect.observes() => None,
            true => (!self.writes.deletes).then_some(self.initial()),
            false => self.writes.of.get(&operation.observed).copied(),
        }
    }

    /// The demands that hold for every arbitration.
    fn graph(&self) -> Graph {
        let mut graph = Graph::new(self.initial() + 1);
        for at in (0..self.initial()).filter(|at| self.happened[*at as usize]) {
            if self.operations[at as usize].effect.writes() {
                graph.edge(self.initial(), at);
                self.source(at).into_iter().for_each(|source| graph.edge(source, at));
            }
        }
        graph
    }

    fn answered(&self, at: u32) -> bool {
        self.operations[at as usize].end != NEVER
    }

    fn monotonic_reads(&self, clients: &[Vec<u32>]) -> Graph {
        let mut graph = self.graph();
        for client in clients {
            let mut last = None;
            for source in client.iter().filter(|at| self.answered(**at)).filter_map(|at| self.source(*at)) {
                // An edge from the last one is enough: earlier ones come before by way of it.
                if let Some(before) = last.filter(|before| *before != source) {
                    graph.edge(before, source);
                }
                last = Some(source);
            }
        }
        graph
    }

    /// `None` if there is too much to examine.
    fn read_your_writes(&self, clients: &[Vec<u32>]) -> Option<Graph> {
        let mut graph = self.graph();
        let mut single = 0;
        for client in clients {
            // The client's writes so far, each with a node that comes after it and all before it.
            let mut own: Vec<(u32, u32)> = Vec::new();
            let mut places: BTreeMap<u32, usize> = BTreeMap::new();
            // By place: up to which later write of the client the demand has been recorded.
            let mut noted: Vec<usize> = Vec::new();
            for at in client.iter().filter(|at| self.answered(**at)) {
                if let Some(source) = self.source(*at) {
                    let place = places.get(&source).copied();
                    let before = place.unwrap_or(own.len());
                    if let Some((_, all)) = before.checked_sub(1).map(|last| own[last]) {
                        graph.edge(all, source);
                    }
                    // It returned an older write of the client's own: each later one comes before that.
                    if let Some(place) = place {
                        let from = noted[place].max(place + 1);
                        own[from..].iter().for_each(|(write, _)| graph.edge(*write, source));
                        single += own.len().saturating_sub(from);
                        noted[place] = own.len();
                    }
                }
                if self.operations[*at as usize].effect.writes() {
                    let all = graph.node();
                    graph.edge(*at, all);
                    if let Some((_, before)) = own.last() {
                        graph.edge(*before, all);
                    }
                    places.insert(*at, own.len());
                    own.push((*at, all));
                    noted.push(0);
                }
                if single > MOST_EDGES {
                    return None;
                }
            }
        }
        Some(graph)
    }
}
