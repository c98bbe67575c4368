//! The values of one key as families: trees whose root is a put (or a cas from absence) and whose
//! edges are cas. See the header of `lost_write` for what they prove.

use crate::history::{Operation, Status};
use crate::kv::{Op, Value};
use std::collections::BTreeMap;

/// Later than any time in a history: the end of a write of unknown outcome.
const NEVER: u64 = u64::MAX;

/// One written value.
struct Node<'a> {
    writer: &'a Operation,
    /// The value its cas replaced: an index into the nodes.
    parent: Option<usize>,
    /// The root of its family.
    root: usize,
    /// The earliest completion in its lineage: of a writer, or of a read of a lineage value.
    lineage_end: u64,
    /// Operations that observed this value, in order of invocation.
    observers: Vec<&'a Operation>,
    /// The latest completion of an observer of this value or of one that descends from it.
    last_seen: u64,
}

/// The families of one key, prepared for proofs.
pub struct Families<'a> {
    nodes: Vec<Node<'a>>,
    by_value: BTreeMap<Value, usize>,
    /// Operations that observed absence, in order of invocation.
    absent: Vec<&'a Operation>,
    /// Deletes that may have taken effect: (start, end), ascending.
    deletes: Vec<(u64, u64)>,
    /// Observed nodes by `lineage_end`, with the running maximum of their last observer's invocation.
    by_lineage_end: Vec<(u64, u64)>,
    /// Per root index, the latest invocation of an observer of the family.
    family_seen: BTreeMap<usize, u64>,
    /// Roots of observed families that are a cas from absence.
    from_absence: Vec<usize>,
}

fn end(operation: &Operation) -> u64 {
    if operation.status == Status::Info { NEVER } else { operation.end_ns }
}

impl<'a> Families<'a> {
    /// The families of one key's operations (sorted by invocation); `None` if a value was written twice or descends
    /// from itself: then nothing can be concluded.
    pub fn of(operations: &[&'a Operation]) -> Option<Self> {
        let mut families = Families {
            nodes: Vec::new(),
            by_value: BTreeMap::new(),
            absent: Vec::new(),
            deletes: Vec::new(),
            by_lineage_end: Vec::new(),
            family_seen: BTreeMap::new(),
            from_absence: Vec::new(),
        };
        families.collect(operations)?;
        families.link()?;
        families.index();
        Some(families)
    }

    fn collect(&mut self, operations: &[&'a Operation]) -> Option<()> {
        for &operation in operations {
            let may_write = operation.is_acknowledged_write() || operation.status == Status::Info;
            if let (true, Some(value)) = (may_write, operation.op.written()) {
                let index = self.nodes.len();
                if self.by_value.insert(value, index).is_some() {
                    return None;
                }
                self.nodes.push(Node {
                    writer: operation,
                    parent: None,
                    root: index,
                    lineage_end: end(operation),
                    observers: Vec::new(),
                    last_seen: 0,
                });
            }
            if may_write && matches!(operation.op, Op::Delete { .. }) {
                self.deletes.push((operation.start_ns, end(operation)));
            }
        }
        for &operation in operations {
            match operation.observed() {
                None => {}
                Some(None) => self.absent.push(operation),
                Some(Some(value)) => {
                    if let Some(&index) = self.by_value.get(&value) {
                        let node = &mut self.nodes[index];
                        node.observers.push(operation);
                        node.lineage_end = node.lineage_end.min(operation.end_ns);
                        node.last_seen = node.last_seen.max(operation.end_ns);
                    }
                }
            }
        }
        Some(())
    }

    /// Follows every cas to its parent, parents first.
    fn link(&mut self) -> Option<()> {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut order = Vec::with_capacity(self.nodes.len());
        for index in 0..self.nodes.len() {
            let expected = match self.nodes[index].writer.op {
                Op::Cas { expected: Some(expected), .. } => expected,
                _ => {
                    order.push(index);
                    continue;
                }
            };
            match self.by_value.get(&expected) {
                Some(&parent) => {
                    self.nodes[index].parent = Some(parent);
                    children[parent].push(index);
                }
                // A value that was never written: a root of its own, whose lineage is then merely shorter.
                None => order.push(index),
            }
        }
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            next += 1;
            let (root, lineage_end) = (self.nodes[index].root, self.nodes[index].lineage_end);
            for &child in &children[index] {
                self.nodes[child].root = root;
                self.nodes[child].lineage_end = self.nodes[child].lineage_end.min(lineage_end);
                order.push(child);
            }
        }
        if order.len() < self.nodes.len() {
            return None;
        }
        for &index in order.iter().rev() {
            if let Some(parent) = self.nodes[index].parent {
                self.nodes[parent].last_seen = self.nodes[parent].last_seen.max(self.nodes[index].last_seen);
            }
        }
        Some(())
    }

    fn index(&mut self) {
        for node in &self.nodes {
            let Some(last) = node.observers.last() else { continue };
            self.by_lineage_end.push((node.lineage_end, last.start_ns));
            let seen = self.family_seen.entry(node.root).or_default();
            *seen = (*seen).max(last.start_ns);
        }
        let from_absence = |root: &usize| matches!(self.nodes[*root].writer.op, Op::Cas { expected: None, .. });
        self.from_absence = self.family_seen.keys().copied().filter(from_absence).collect();
        self.by_lineage_end.sort_unstable();
        let mut latest = 0;
        for (_, start) in &mut self.by_lineage_end {
            latest = latest.max(*start);
            *start = latest;
        }
        self.deletes.sort_unstable();
        // Keep the running maximum of ends beside the starts.
        let mut latest = 0;
        for (_, end) in &mut self.deletes {
            latest = latest.max(*end);
            *end = latest;
        }
    }

    /// Whether a delete can take effect after an operation that starts at `after` and before one that ends at `before`.
    fn delete_fits(&self, after: u64, before: u64) -> bool {
        let candidates = self.deletes.partition_point(|(start, _)| *start <= before);
        candidates > 0 && self.deletes[candidates - 1].1 >= after
    }

    /// The earliest operation that proves an acknowledged write gone, if one does.
    pub fn proof_of_loss(&self, write: &Operation) -> Option<&'a Operation> {
        let own = write.op.written().and_then(|value| self.by_value.get(&value)).copied();
        let visible_until = write.end_ns.max(match own {
            Some(own) => self.nodes[own].last_seen,
            None => self.absence_seen_after(write),
        });
        if !self.may_be_lost(write, own, visible_until) {
            return None;
        }
        let of_values = self.nodes.iter().enumerate().flat_map(|(index, node)| {
            let after = node.observers.partition_point(|observer| observer.start_ns <= visible_until);
            node.observers[after..].iter().take(1).map(move |observer| (index, *observer))
        });
        let of_values = of_values.filter(|(index, _)| self.proves(write, own, *index)).map(|(_, observer)| observer);
        let of_absence = self.absences_after(visible_until).iter().copied();
        let of_absence =
            of_absence.filter(|observer| own.is_some() && !self.delete_fits(write.start_ns, observer.end_ns));
        of_values.chain(of_absence).min_by_key(|observer| (observer.start_ns, observer.id))
    }

    /// A cheap necessary condition, so that writes that are not lost cost O(log n).
    fn may_be_lost(&self, write: &Operation, own: Option<usize>, visible_until: u64) -> bool {
        let older = self.by_lineage_end.partition_point(|(lineage_end, _)| *lineage_end < write.start_ns);
        if older > 0 && self.by_lineage_end[older - 1].1 > visible_until {
            return true;
        }
        if let Some(own) = own {
            let root = self.nodes[own].root;
            if root != own && self.family_seen.get(&root).is_some_and(|seen| *seen > visible_until) {
                return true;
            }
            if !self.absences_after(visible_until).is_empty() {
                return true;
            }
        }
        own.is_some() && self.from_absence.iter().any(|root| self.family_seen[root] > visible_until)
    }

    /// Whether an operation that observes node `seen`, invoked after the write was last visible, proves it gone.
    fn proves(&self, write: &Operation, own: Option<usize>, seen: usize) -> bool {
        let node = &self.nodes[seen];
        if node.lineage_end < write.start_ns {
            return true;
        }
        let Some(own) = own else { return false };
        if self.nodes[own].root == node.root {
            // Same family: the root itself would be in the lineage and thus visible, so this is a fork.
            return own != node.root;
        }
        let root = &self.nodes[node.root].writer;
        matches!(root.op, Op::Cas { expected: None, .. }) && !self.delete_fits(write.start_ns, node.lineage_end)
    }

    fn absences_after(&self, after: u64) -> &[&'a Operation] {
        &self.absent[self.absent.partition_point(|observer| observer.start_ns <= after)..]
    }

    /// The latest completion of an observer of absence that owes it to this delete rather than a later one.
    fn absence_seen_after(&self, delete: &Operation) -> u64 {
        let next = self.deletes.partition_point(|(start, _)| *start <= delete.start_ns);
        let until = self.deletes.get(next).map_or(NEVER, |(start, _)| *start);
        let seen = self.absent.iter().filter(|observer| observer.start_ns < until);
        seen.map(|observer| observer.end_ns).max().unwrap_or(0)
    }
}
