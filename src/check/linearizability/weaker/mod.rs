//! Which weaker consistency models still hold where linearizability does not.
//!
//! Each model is checked for one key alone, as Viotti & Vukolić define it ("Consistency in Non-Transactional
//! Distributed Storage Systems", ACM Computing Surveys 49(1), 2016; the same terms on jepsen.io/consistency):
//! * *sequential consistency* (Lamport 1979): one order of all operations that keeps each client's operations in the
//!   order in which it ran them. It says nothing about time between clients. For a key alone they call it cache
//!   consistency (Goodman 1989). If each key has it, the history as a whole need not have it;
//! * *monotonic reads* and *read your writes* (Terry et al., "Session Guarantees for Weakly Consistent Replicated
//!   Data", 1994): see `sessions.rs`. Sequential consistency implies both;
//! * *k-atomicity* (Aiyer, Alvisi & Bazzi 2005): order in time, except that a read may return any of the last k values.
//!   It says nothing about clients, and neither follows from the others nor implies them.
//!
//! All is derived from the values: values are unique, so a read tells which write it saw. Where that does not hold
//! (repeated values, absence that deletes bring back, a client that runs several operations at once) the answer is "not
//! decided". At the end the implications between the models are applied, so no answer contradicts another.

mod graph;
mod sessions;
mod staleness;

pub use staleness::Staleness;

use super::Budget;
use super::keys::{ByKey, NEVER, Packed};
use super::values::NOBODY;
use super::zones::{self, Layout};
use crate::history::Columns;
use crate::history::columns::INITIAL_CLIENT;
use crate::kv::Key;
use graph::Graph;
use serde::{Deserialize, Serialize};

/// Which weaker models one key's history fits. `None`: not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weaker {
    /// The key. The answers concern this key only.
    pub key: Key,
    /// Sequential consistency of the key alone.
    pub sequential: Option<bool>,
    /// No client stops seeing a write that it has seen.
    pub monotonic_reads: Option<bool>,
    /// Each client sees what it has written.
    pub read_your_writes: Option<bool>,
    /// How many values back the reads were, as a minimum or exactly.
    pub staleness: Staleness,
}

impl Weaker {
    /// Sequential consistency implies the session guarantees: applies that in both directions.
    fn closed(mut self) -> Weaker {
        if self.sequential == Some(true) {
            (self.monotonic_reads, self.read_your_writes) = (Some(true), Some(true));
        }
        if self.monotonic_reads == Some(false) || self.read_your_writes == Some(false) {
            self.sequential = Some(false);
        }
        self
    }
}

/// Checks which weaker models hold for `key`.
pub fn weaker(columns: &Columns, key: Key, budget: Budget) -> Weaker {
    open(columns, key, budget).closed()
}

/// The answers of each check on its own.
fn open(columns: &Columns, key: Key, budget: Budget) -> Weaker {
    let by_key = ByKey::new(columns);
    let found = (0..by_key.len()).map(|at| by_key.get(at)).find(|(other, _)| *other == key.0);
    let operations = found.map_or(&[][..], |(_, operations)| operations);
    let mut answer = Weaker {
        key,
        sequential: None,
        monotonic_reads: None,
        read_your_writes: None,
        staleness: staleness::staleness(operations, budget),
    };
    let clients = clients(columns, operations);
    match (zones::chains(operations), &clients) {
        // No order of the writes gives what was seen.
        (Err(_), _) => answer.sequential = Some(false),
        (Ok(Some((layout, chains))), Some(clients)) => {
            let versions = Versions { operations, layout: &layout, chains, clients, blind: layout.deletes };
            answer.sequential = versions.sequential();
        }
        _ => {}
    }
    if let Some(clients) = &clients {
        (answer.monotonic_reads, answer.read_your_writes) = sessions::judge(operations, clients);
    }
    answer
}

/// Each client's operations, in the order in which it ran them; `None` if some client ran several at once. The keys'
/// initial values come first for every client.
fn clients(columns: &Columns, operations: &[Packed]) -> Option<Vec<Vec<u32>>> {
    let client = |operation: &Packed| columns.clients[operation.row as usize];
    let mut sorted: Vec<u32> = (0..operations.len() as u32).collect();
    sorted.sort_by_key(|at| (client(&operations[*at as usize]), operations[*at as usize].start, *at));
    let initial = operations.iter().position(|operation| client(operation) == INITIAL_CLIENT).map(|at| at as u32);
    let mut clients = Vec::new();
    for of_client in
        sorted.chunk_by(|one, other| client(&operations[*one as usize]) == client(&operations[*other as usize]))
    {
        let mut free = 0;
        for operation in of_client.iter().map(|at| &operations[*at as usize]) {
            // At equal times the client may have gone on at once.
            if operation.start + 1 < free {
                return None;
            }
            // A client may go on after an unknown outcome.
            free = if operation.end == NEVER { free } else { operation.end };
        }
        let others = of_client.iter().copied().filter(|at| Some(*at) != initial);
        clients.push(initial.into_iter().chain(others).collect());
    }
    Some(clients)
}

/// The chains of a key as nodes of a graph.
struct Versions<'a> {
    operations: &'a [Packed],
    layout: &'a Layout,
    /// By cluster: the chain's first cluster and the place in the chain.
    chains: Vec<(u32, u32)>,
    /// Each client's operations, in order.
    clients: &'a [Vec<u32>],
    /// Whether reads of absence cannot be told apart.
    blind: bool,
}

impl Versions<'_> {
    /// The cluster an operation stands for: what it wrote, else what it saw; none for absence among deletes.
    fn cluster(&self, at: u32) -> Option<u32> {
        let operation = &self.operations[at as usize];
        let cluster = match operation.writes_value() {
            true => Some(self.layout.index.get(operation.written)),
            false if operation.effect.writes() => None,
            false => self.layout.observed(operation),
        };
        cluster.filter(|cluster| *cluster != NOBODY && self.layout.clusters[*cluster as usize].kept)
    }

    /// Records that cluster `one` comes before, or is, cluster `other`.
    fn order(&self, graph: &mut Graph, one: u32, other: u32) {
        let ((chain, place), (other_chain, other_place)) = (self.chains[one as usize], self.chains[other as usize]);
        if chain != other_chain {
            graph.edge(chain, other_chain);
        } else {
            graph.broken |= place > other_place;
        }
    }

    fn initial_first(&self, graph: &mut Graph) {
        if self.blind {
            return;
        }
        let initial = self.chains[0].0;
        self.chains.iter().filter(|chain| chain.0 != initial).for_each(|chain| graph.edge(initial, chain.0));
    }

    fn sequential(&self) -> Option<bool> {
        let mut graph = Graph::new(self.layout.clusters.len() as u32);
        self.initial_first(&mut graph);
        for client in self.clients {
            let mut last = None;
            for at in client {
                let Some(cluster) = self.cluster(*at) else { continue };
                if let Some((before, read)) = last {
                    self.order(&mut graph, before, cluster);
                    // It saw its own write before it made it.
                    let own = self.layout.clusters[cluster as usize].writer == *at;
                    graph.broken |= read && own && before == cluster;
                }
                // A write of unknown outcome may take effect after the client has gone on.
                if self.operations[*at as usize].end != NEVER {
                    last = Some((cluster, !self.operations[*at as usize].effect.writes()));
                }
            }
        }
        match (graph.has_cycle(), self.blind) {
            (true, _) => Some(false),
            (false, false) => Some(true),
            (false, true) => None,
        }
    }
}

#[cfg(test)]
mod tests;
