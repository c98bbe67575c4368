//! What still holds where linearizability does not.
//!
//! Each guarantee is judged per key, from the values alone: a read says which write it saw, since values
//! are unique. All of them ask for one order of the writes in which chains of cas stay together, and differ in
//! what that order has to respect:
//! * *sequential consistency* (Lamport 1979): each client's operations in the order it invoked them, and nothing
//!   about time between clients;
//! * *monotonic reads* and *read your writes* (Terry et al., "Session Guarantees for Weakly Consistent
//!   Replicated Data", 1994, section 3): the order of the writes in time, and that a client never reads
//!   something older than it has read, or than it has written;
//! * *k-atomicity* (Aiyer, Alvisi & Bazzi 2005): time, except that a read may return any of the last k values.
//!
//! Sound both ways; where it cannot tell (repeated values, or absence that deletes bring back) it says so.

mod staleness;

pub use staleness::Staleness;

use super::Budget;
use super::keys::{ByKey, Instant, NEVER, Packed};
use super::values::NOBODY;
use super::zones::{self, Layout};
use crate::history::Columns;
use crate::kv::Key;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which weaker guarantees one key's history gives. `None`: not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weaker {
    /// The key.
    pub key: Key,
    /// Some order respects what each client did one after another.
    pub sequential: Option<bool>,
    /// No client read something older than it had read before.
    pub monotonic_reads: Option<bool>,
    /// No client read something older than it had written before.
    pub read_your_writes: Option<bool>,
    /// How many values back the reads are at least, or exactly.
    pub staleness: Staleness,
}

/// Says what still holds for `key`.
pub fn weaker(columns: &Columns, key: Key, budget: Budget) -> Weaker {
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
    match zones::chains(operations) {
        // No order of the writes at all gives what was seen.
        Err(_) => answer.sequential = Some(false),
        Ok(None) => {}
        Ok(Some((layout, chains))) => {
            let versions = Versions::new(columns, operations, &layout, chains);
            answer.sequential = versions.sequential();
            answer.monotonic_reads = versions.session(|earlier| !earlier.effect.writes());
            answer.read_your_writes = versions.session(|earlier| earlier.effect.writes());
        }
    }
    answer
}

/// The chains of a key as nodes of a graph.
struct Versions<'a> {
    operations: &'a [Packed],
    layout: &'a Layout,
    /// By cluster: the chain's first cluster and the place in the chain.
    chains: Vec<(u32, u32)>,
    /// Each client's operations, in order of invocation.
    clients: Vec<Vec<u32>>,
    /// Whether reads of absence cannot be told apart.
    blind: bool,
}

/// Which way an order would have to go.
struct Graph {
    edges: Vec<(u32, u32)>,
    nodes: u32,
    broken: bool,
}

impl<'a> Versions<'a> {
    fn new(columns: &Columns, operations: &'a [Packed], layout: &'a Layout, chains: Vec<(u32, u32)>) -> Self {
        let mut by_client: Vec<(u32, u64, u32)> = operations
            .iter()
            .enumerate()
            .map(|(at, operation)| (columns.clients[operation.row as usize], operation.start, at as u32))
            .collect();
        by_client.sort_unstable();
        let clients = by_client.chunk_by(|one, other| one.0 == other.0);
        let clients = clients.map(|client| client.iter().map(|(_, _, at)| *at).collect()).collect();
        Versions { operations, layout, chains, clients, blind: layout.deletes }
    }

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

    fn graph(&self) -> Graph {
        Graph { edges: Vec::new(), nodes: self.layout.clusters.len() as u32, broken: false }
    }

    /// Notes that cluster `one` comes before, or is, cluster `other`.
    fn order(&self, graph: &mut Graph, one: u32, other: u32) {
        let ((chain, place), (other_chain, other_place)) = (self.chains[one as usize], self.chains[other as usize]);
        if chain != other_chain {
            graph.edges.push((chain, other_chain));
        } else {
            graph.broken |= place > other_place;
        }
    }

    fn initial_first(&self, graph: &mut Graph) {
        if self.blind {
            return;
        }
        let initial = self.chains[0].0;
        graph.edges.extend(self.chains.iter().filter(|chain| chain.0 != initial).map(|chain| (initial, chain.0)));
    }

    fn sequential(&self) -> Option<bool> {
        let mut graph = self.graph();
        self.initial_first(&mut graph);
        for client in &self.clients {
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

    /// A session guarantee: after an `earlier` operation of a client, its reads see that value or a newer one.
    fn session(&self, earlier: impl Fn(&Packed) -> bool) -> Option<bool> {
        let mut graph = self.graph();
        self.initial_first(&mut graph);
        self.writes_in_time(&mut graph);
        for client in &self.clients {
            let mut last = None;
            for at in client {
                let operation = &self.operations[*at as usize];
                let Some(cluster) = self.cluster(*at) else { continue };
                if let (Some(before), false) = (last, operation.effect.writes()) {
                    self.order(&mut graph, before, cluster);
                }
                if earlier(operation) && operation.end != NEVER {
                    last = Some(cluster);
                }
            }
        }
        Some(!graph.has_cycle())
    }

    /// Adds the order of writes in time: a chain of which some write was over before some write of another began
    /// comes first, since chains stay together.
    fn writes_in_time(&self, graph: &mut Graph) {
        // For each chain the latest invocation and the earliest completion among its writes.
        let mut spans: BTreeMap<u32, (Instant, Instant)> = BTreeMap::new();
        for (at, cluster) in self.layout.clusters.iter().enumerate().filter(|(_, cluster)| cluster.kept) {
            let (start, end) = match self.operations.get(cluster.writer as usize) {
                Some(write) => (write.start, write.end),
                None => (0, 1),
            };
            let (latest, earliest) = spans.entry(self.chains[at].0).or_insert((start, end));
            (*latest, *earliest) = ((*latest).max(start), (*earliest).min(end));
        }
        let mut chains: Vec<(Instant, Instant, u32)> =
            spans.into_iter().map(|(chain, (latest, earliest))| (latest, earliest, chain)).collect();
        chains.sort_unstable();
        // A line of auxiliary nodes, one per chain by latest invocation, stands for the quadratically many pairs.
        let line = graph.nodes;
        graph.nodes += chains.len() as u32;
        let mut live_until = 0;
        for (at, (latest, earliest, chain)) in chains.iter().enumerate() {
            graph.edges.push((line + at as u32, *chain));
            if at > 0 {
                graph.edges.push((line + at as u32 - 1, line + at as u32));
            }
            let mut next = chains.partition_point(|(other, _, _)| other <= earliest);
            if earliest < latest {
                // It spans time, and would come before itself along the line. No two such spans may overlap, so
                // the chains within are few enough to be named one by one.
                if *earliest < live_until {
                    graph.broken = true;
                    return;
                }
                live_until = *latest;
                graph.edges.extend(chains[next..at].iter().map(|(_, _, within)| (*chain, *within)));
                next = at + 1;
            }
            if next < chains.len() {
                graph.edges.push((*chain, line + next as u32));
            }
        }
    }
}

impl Graph {
    /// Whether some node comes before itself (Kahn 1962).
    fn has_cycle(&self) -> bool {
        if self.broken {
            return true;
        }
        let mut incoming = vec![0u32; self.nodes as usize];
        let mut edges = self.edges.clone();
        edges.sort_unstable();
        edges.dedup();
        edges.iter().for_each(|(_, to)| incoming[*to as usize] += 1);
        let mut ready: Vec<u32> = (0..self.nodes).filter(|node| incoming[*node as usize] == 0).collect();
        let mut done = 0;
        while let Some(node) = ready.pop() {
            done += 1;
            let first = edges.partition_point(|(from, _)| *from < node);
            for (_, to) in edges[first..].iter().take_while(|(from, _)| *from == node) {
                incoming[*to as usize] -= 1;
                if incoming[*to as usize] == 0 {
                    ready.push(*to);
                }
            }
        }
        done < self.nodes
    }
}
