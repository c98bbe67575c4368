//! Builds an order from zones: the certificate of a key that passes.
//!
//! A forward zone's chain goes to the zone's end, as one block; nothing else is inside the zone. A backward chain goes
//! to its low end; but if a read of absence there still needs the delete before it, it goes right after that read.

use super::absence::Placement;
use super::keys::{Instant, Packed};
use super::zones::{Layout, Zone};

/// A place in the order: an instant, what comes first at that instant, and a tie-breaker.
type Place = (Instant, u8, u32);

/// Writes down an order of the kept operations of one key, as indices.
pub(super) fn order(operations: &[Packed], layout: &Layout, placement: &Placement) -> Vec<u32> {
    let mut deletes = placement.deletes.clone();
    deletes.sort_unstable();
    let mut reads = placement.reads.clone();
    reads.sort_unstable();
    let spans = absences(&deletes, &reads);

    let mut places: Vec<(Place, Piece)> = Vec::new();
    places.extend(deletes.iter().map(|(point, delete)| ((*point, 0, *delete), Piece::Operation(*delete))));
    places.extend(reads.iter().map(|(point, read)| ((*point, 1, *read), Piece::Operation(*read))));
    places.extend(layout.forward.iter().map(|zone| ((zone.high, 0, zone.head), Piece::Chain(zone.head))));
    for zone in &layout.backward {
        let low = layout.life_at(zone.low).map_or(zone.low, |life: Zone| life.high);
        let span = spans.partition_point(|(deleted, _)| *deleted < low).checked_sub(1).map(|at| spans[at]);
        let point = span.map_or(low, |(_, last_read)| low.max(last_read));
        places.push(((point, 2, zone.head), Piece::Chain(zone.head)));
    }
    places.sort_unstable_by_key(|(place, _)| *place);

    let readers = Readers::of(operations, layout);
    let mut order = Vec::with_capacity(operations.len());
    for (_, piece) in places {
        match piece {
            Piece::Operation(operation) => order.push(operation),
            Piece::Chain(head) => readers.write_chain(operations, layout, head, &mut order),
        }
    }
    order
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Operation(u32),
    Chain(u32),
}

/// For each delete (the first entry: the initial absence), when it happened and the last read that relies on it.
fn absences(deletes: &[(Instant, u32)], reads: &[(Instant, u32)]) -> Vec<(Instant, Instant)> {
    let mut spans = vec![(0, 0)];
    spans.extend(deletes.iter().map(|(point, _)| (*point, 0)));
    for (point, _) in reads {
        let at = spans.partition_point(|(deleted, _)| deleted <= point) - 1;
        spans[at].1 = spans[at].1.max(*point);
    }
    spans
}

/// The readers of each cluster, by invocation.
pub(super) struct Readers {
    /// Where each cluster's readers begin.
    first: Vec<u32>,
    operations: Vec<u32>,
}

impl Readers {
    /// Sorts the readers of one key.
    pub fn of(operations: &[Packed], layout: &Layout) -> Readers {
        let reads = |operation: &Packed| match operation.effect.observes() && !operation.effect.writes() {
            true => layout.observed(operation),
            false => None,
        };
        let mut first = vec![0u32; layout.clusters.len() + 1];
        operations.iter().filter_map(reads).for_each(|cluster| first[cluster as usize + 1] += 1);
        for at in 1..first.len() {
            first[at] += first[at - 1];
        }
        let mut next = first.clone();
        let mut sorted = vec![0u32; first[first.len() - 1] as usize];
        for (at, operation) in operations.iter().enumerate() {
            if let Some(cluster) = reads(operation) {
                let place = &mut next[cluster as usize];
                sorted[*place as usize] = at as u32;
                *place += 1;
            }
        }
        for cluster in 0..layout.clusters.len() {
            sorted[first[cluster] as usize..first[cluster + 1] as usize]
                .sort_by_key(|at| operations[*at as usize].start);
        }
        Readers { first, operations: sorted }
    }

    /// Appends a chain: each write, followed by its readers.
    pub fn write_chain(&self, operations: &[Packed], layout: &Layout, head: u32, order: &mut Vec<u32>) {
        for (at, cluster) in layout.chain(head) {
            order.extend(operations.get(cluster.writer as usize).map(|_| cluster.writer));
            let at = at as usize;
            order.extend_from_slice(&self.operations[self.first[at] as usize..self.first[at + 1] as usize]);
        }
    }
}
