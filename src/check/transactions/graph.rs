//! Which transaction comes before which, and the cycles in that.
//!
//! Transactions are the first nodes of the graph. That one ended before another began is no edge between the two, of which
//! there would be a square: behind the transactions are as many *instants*, one for the beginning of each, in their order,
//! and each leads to the next and to its transaction. An edge from a transaction leads to the first instant after its end.

use super::observed::Observed;
use super::{Anomaly, Fate, Finding};
use crate::check::seconds;
use crate::kv::transaction::Consistency;
use crate::kv::{Key, Value};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, EdgeIndex, EdgeReference, NodeIndex};
use petgraph::visit::{EdgeFiltered, EdgeRef};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many edges are tried as the beginning of a shorter cycle, once there is one.
const TRIED: usize = 256;

/// How many of the appends to a key that nobody read are looked at, those that ended first: each is missed by every read of
/// the longest list. Where a store loses more than that, these are enough to show it.
const UNREAD: usize = 100;

/// Why one transaction comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It appended the element before the other's: ww.
    Write { key: Key, before: Value, value: Value },
    /// The other read what it appended: wr.
    Read { key: Key, value: Value },
    /// It read a list without what the other appended: rw, an anti-dependency.
    Miss { key: Key, value: Value },
    /// It had ended when the other began: to an instant.
    Ended,
    /// From an instant to the next, or to its transaction.
    Later,
}

/// The transactions and instants.
struct Graph<'a> {
    observed: &'a Observed<'a>,
    edges: DiGraph<(), Why, usize>,
}

/// A cycle that is looked for.
#[derive(Debug, Clone, Copy)]
struct Class {
    anomaly: Anomaly,
    /// Whether transactions that ended come before those that began later.
    by_clock: bool,
}

/// The worst cycle that breaks the promise: one of appends before one of reads, one of what was read before one of what was
/// not, and all of these before what only the clock contradicts.
pub(super) fn worst_cycle(observed: &Observed, promised: Consistency) -> Option<Finding> {
    let graph = Graph::of(observed);
    let anomalies = [Anomaly::G0, Anomaly::G1c, Anomaly::GSingle, Anomaly::GNonadjacent, Anomaly::G2];
    let clocks = if promised == Consistency::StrictSerializable { &[false, true][..] } else { &[false] };
    let classes = clocks.iter().flat_map(|by_clock| anomalies.map(|anomaly| Class { anomaly, by_clock: *by_clock }));
    classes
        .filter(|class| class.anomaly.against() <= promised)
        .find_map(|class| Some(graph.finding(class, &graph.cycle(class)?)))
}

impl Class {
    fn allows(self, why: &Why) -> bool {
        match why {
            Why::Write { .. } => true,
            Why::Read { .. } => self.anomaly != Anomaly::G0,
            Why::Miss { .. } => !matches!(self.anomaly, Anomaly::G0 | Anomaly::G1c),
            Why::Ended | Why::Later => self.by_clock,
        }
    }

    /// Whether such a cycle has this kind of edge: the search begins with it.
    fn needs(self, why: &Why) -> bool {
        match self.anomaly {
            Anomaly::G0 => matches!(why, Why::Write { .. }),
            Anomaly::G1c => matches!(why, Why::Read { .. }),
            _ => matches!(why, Why::Miss { .. }),
        }
    }

    /// Whether the cycle may go on over this edge, if the edge before was an anti-dependency or not.
    fn goes_on(self, after_miss: bool, why: &Why) -> bool {
        match (self.anomaly, why) {
            (Anomaly::GSingle, Why::Miss { .. }) => false,
            (Anomaly::GNonadjacent, Why::Miss { .. }) => !after_miss,
            _ => self.allows(why),
        }
    }
}

impl<'a> Graph<'a> {
    fn of(observed: &'a Observed<'a>) -> Graph<'a> {
        let count = observed.transactions.len();
        let mut graph = Graph { observed, edges: DiGraph::with_capacity(2 * count, 6 * count) };
        for _ in 0..2 * count {
            graph.edges.add_node(());
        }
        let took_effect = observed.took_effect();
        graph.add_dependencies(&took_effect);
        graph.add_clock(&took_effect);
        graph
    }

    fn add(&mut self, from: usize, to: usize, why: Why) {
        if from != to {
            self.edges.add_edge(NodeIndex::new(from), NodeIndex::new(to), why);
        }
    }

    /// What follows from the order of each key's appends. What took effect and was never read comes after all that was.
    fn add_dependencies(&mut self, took_effect: &BTreeSet<usize>) {
        let observed = self.observed;
        let orders = observed.orders();
        let mut unread: BTreeMap<Key, Vec<(Value, usize)>> = BTreeMap::new();
        let seen: BTreeSet<(Key, Value)> =
            orders.iter().flat_map(|(key, list)| list.iter().map(|value| (*key, *value))).collect();
        for (place @ (key, value), append) in &observed.appends {
            if !seen.contains(place) && took_effect.contains(&append.by) {
                unread.entry(*key).or_default().push((*value, append.by));
            }
        }
        for writers in unread.values_mut() {
            writers.sort_by_key(|(value, by)| (observed.transactions[*by].end_ns, *value));
            writers.truncate(UNREAD);
        }
        let by = |key: Key, value: Value| observed.appends[&(key, value)].by;
        let after = |key: Key, at: usize, list: &[Value]| -> Vec<(Value, usize)> {
            match list.get(at) {
                Some(value) => vec![(*value, by(key, *value))],
                None => unread.get(&key).cloned().unwrap_or_default(),
            }
        };
        for (&key, list) in &orders {
            for (at, &before) in list.iter().enumerate() {
                for (value, writer) in after(key, at + 1, list) {
                    self.add(by(key, before), writer, Why::Write { key, before, value });
                }
            }
        }
        for read in observed.reads() {
            let key = read.key;
            if let Some(&value) = read.list.last() {
                self.add(by(key, value), read.by, Why::Read { key, value });
            }
            for (value, writer) in after(key, read.list.len(), orders[&key]) {
                self.add(read.by, writer, Why::Miss { key, value });
            }
        }
    }

    /// The instants at which transactions began, and who had ended before them.
    fn add_clock(&mut self, took_effect: &BTreeSet<usize>) {
        let transactions = self.observed.transactions;
        let count = transactions.len();
        let mut begun: Vec<usize> = took_effect.iter().copied().collect();
        begun.sort_by_key(|at| (transactions[*at].start_ns, *at));
        for (instant, &at) in begun.iter().enumerate() {
            self.add(count + instant, at, Why::Later);
            if instant + 1 < begun.len() {
                self.add(count + instant, count + instant + 1, Why::Later);
            }
        }
        for &at in took_effect.iter().filter(|at| transactions[**at].fate == Fate::Committed) {
            let end_ns = transactions[at].end_ns;
            let next = begun.partition_point(|begun| transactions[*begun].start_ns <= end_ns);
            if next < begun.len() {
                self.add(at, count + next, Why::Ended);
            }
        }
    }

    /// A short cycle of this class.
    fn cycle(&self, class: Class) -> Option<Vec<EdgeIndex<usize>>> {
        let allowed = |edge: EdgeReference<'_, Why, usize>| class.allows(edge.weight());
        let components = kosaraju_scc(&EdgeFiltered::from_fn(&self.edges, allowed));
        let mut component_of = vec![0; self.edges.node_count()];
        for (number, nodes) in components.iter().enumerate() {
            nodes.iter().for_each(|node| component_of[node.index()] = number);
        }
        let begins = self.edges.edge_references().filter(|edge| {
            class.needs(edge.weight()) && component_of[edge.source().index()] == component_of[edge.target().index()]
        });
        let mut shortest: Option<Vec<EdgeIndex<usize>>> = None;
        for (tried, edge) in begins.enumerate() {
            if shortest.is_some() && tried >= TRIED {
                break;
            }
            if let Some(path) = self.path(class, edge, &component_of) {
                let cycle: Vec<_> = std::iter::once(edge.id()).chain(path).collect();
                if shortest.as_ref().is_none_or(|known| self.steps(&cycle) < self.steps(known)) {
                    shortest = Some(cycle);
                }
            }
        }
        shortest
    }

    /// How many transactions are on a cycle.
    fn steps(&self, cycle: &[EdgeIndex<usize>]) -> usize {
        cycle.iter().filter(|edge| self.edges[**edge] != Why::Later).count()
    }

    /// The shortest way from the end of an edge back to its beginning. Steps between instants cost nothing.
    fn path(
        &self,
        class: Class,
        begin: EdgeReference<'_, Why, usize>,
        component_of: &[usize],
    ) -> Option<Vec<EdgeIndex<usize>>> {
        let is_miss = |why: &Why| class.anomaly == Anomaly::GNonadjacent && matches!(why, Why::Miss { .. });
        let (goal, component) = ((begin.source(), false), component_of[begin.source().index()]);
        let start = (begin.target(), is_miss(begin.weight()));
        let place = |(node, after_miss): (NodeIndex<usize>, bool)| 2 * node.index() + usize::from(after_miss);
        let mut cost = vec![usize::MAX; 2 * self.edges.node_count()];
        let mut came = vec![None; cost.len()];
        let mut queue = VecDeque::from([start]);
        cost[place(start)] = 0;
        while let Some(state) = queue.pop_front() {
            if state == goal {
                break;
            }
            for edge in self.edges.edges(state.0) {
                let why = edge.weight();
                let is_inside = component_of[edge.target().index()] == component;
                if !is_inside || !class.goes_on(state.1, why) {
                    continue;
                }
                let next = (edge.target(), is_miss(why));
                let step = usize::from(*why != Why::Later);
                if cost[place(state)] + step < cost[place(next)] {
                    cost[place(next)] = cost[place(state)] + step;
                    came[place(next)] = Some((state, edge.id()));
                    if step == 0 { queue.push_front(next) } else { queue.push_back(next) }
                }
            }
        }
        let (mut path, mut state) = (Vec::new(), goal);
        while state != start {
            let (before, edge) = came[place(state)]?;
            path.push(edge);
            state = before;
        }
        path.reverse();
        Some(path)
    }

    /// The cycle in words. Each step says why a transaction comes before the next.
    fn finding(&self, class: Class, cycle: &[EdgeIndex<usize>]) -> Finding {
        let mut steps: Vec<(usize, Why, usize)> = Vec::new();
        for edge in cycle {
            let (from, to) = self.edges.edge_endpoints(*edge).expect("the edge is in the graph");
            match (self.edges[*edge], steps.last_mut()) {
                (Why::Later, Some(step)) => step.2 = to.index(),
                (why, _) => steps.push((from.index(), why, to.index())),
            }
        }
        let told: Vec<String> = steps.iter().map(|(from, why, to)| self.told(*from, why, *to)).collect();
        let anomaly = if self.is_lost_update(&steps) { Anomaly::LostUpdate } else { class.anomaly };
        Finding {
            anomaly,
            is_real_time: class.by_clock,
            sentence: format!("{}; so each of them would have to come before itself", told.join("; ")),
            transactions: steps.iter().map(|(from, ..)| *from).collect(),
        }
    }

    fn told(&self, from: usize, why: &Why, to: usize) -> String {
        let (name, transactions) = (|at| self.observed.name(at), self.observed.transactions);
        match why {
            Why::Write { key, before, value } => {
                format!("{} appended {before} to {key} before {} appended {value}", name(from), name(to))
            }
            Why::Read { key, value } => format!("{} appended {value} to {key}, and {} read it", name(from), name(to)),
            Why::Miss { key, value } => {
                format!("{} read {key} without {value}, which {} appended", name(from), name(to))
            }
            Why::Ended | Why::Later => format!(
                "{} had ended at {} when {} began at {}",
                name(from),
                seconds(transactions[from].end_ns),
                name(to),
                seconds(transactions[to].start_ns)
            ),
        }
    }

    /// Whether two transactions read the same list and both appended to it.
    fn is_lost_update(&self, steps: &[(usize, Why, usize)]) -> bool {
        let (one, other, of) = match steps {
            [(one, Why::Miss { key, .. }, other), (_, Why::Write { key: written, .. }, _)] if key == written => {
                (*one, *other, *key)
            }
            _ => return false,
        };
        let reads = self.observed.reads();
        let read = |by: usize| reads.iter().find(|read| read.by == by && read.key == of).map(|read| read.list);
        read(other).is_some() && read(one) == read(other)
    }
}
