//! Blind deletes: places them, and the reads of absence, between the lives of values.
//!
//! On a key with deletes, absence is the one value that is written many times. Forward zones leave no room inside, so
//! every interval is first clamped to the part outside of them. A chain ends absence: a backward zone at a point of its
//! choice, a forward zone right after its gap. A read of absence on `[a, b]` therefore needs a delete in `[l, b]`,
//! where `l` is the latest low end among the chains that are over before `a`. It is optimal to go through the reads by
//! ascending `b` and to take the delete with the nearest deadline (earliest deadline first, Jackson 1955). Derived
//! here, and fuzzed against brute force.

use super::keys::{Instant, NEVER, Packed};
use super::zones::{Conflict, Layout, Limits, Starved, Zone};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An operation or a chain with the part of its interval that no forward zone covers.
#[derive(Debug, Clone, Copy)]
struct Window {
    low: Instant,
    high: Instant,
    /// An operation, or a chain's index among the backward zones.
    what: u32,
}

/// The result of the greedy placement: enough to write down an order.
#[derive(Debug, Default)]
pub(super) struct Placement {
    /// (point, delete), in order of placement.
    pub deletes: Vec<(Instant, u32)>,
    /// (point, read of absence).
    pub reads: Vec<(Instant, u32)>,
    /// Backward chains: (low, high) clamped, and the chain's head.
    pub chains: Vec<(Instant, Instant, u32)>,
}

/// A chain that ends absence, as seen by reads that come after it.
#[derive(Debug, Clone, Copy)]
struct Killer {
    /// Reads that begin after this come after the chain.
    over: Instant,
    /// The delete that such a read needs comes after this.
    low: Instant,
    zone: Zone,
}

/// A delete that a read of absence took, and the window in which that read needed it.
#[derive(Debug, Clone, Copy)]
struct Taken {
    delete: u32,
    read: Window,
    killer: Option<Killer>,
    low: Instant,
}

/// Places deletes and reads of absence, or says why that is impossible.
pub(super) fn place<const MUTANT: u8>(operations: &[Packed], layout: &Layout) -> Result<Placement, Conflict> {
    let (mut deletes, mut reads) = (Vec::new(), Vec::new());
    for (at, operation) in operations.iter().enumerate() {
        let effect = operation.effect;
        let delete = effect.writes_absent();
        if !delete && (effect.writes() || !effect.observes_absent()) {
            continue;
        }
        let window = clamp::<MUTANT>(layout, operation.start, operation.end, at as u32);
        if window.low > window.high && MUTANT != 9 {
            return Err(within(operations, layout, operation.start, at as u32));
        }
        if delete { deletes.push(window) } else { reads.push(window) }
    }
    let mut placement = Placement::default();
    for zone in &layout.backward {
        let window = clamp::<MUTANT>(layout, zone.low, zone.high, zone.head);
        debug_assert!(window.low < window.high || MUTANT != 0, "no backward zone lies inside a forward one");
        placement.chains.push((window.low, window.high, zone.head));
    }
    let killers = killers::<MUTANT>(layout, &placement);
    reads.sort_unstable_by_key(|read| read.high);
    deletes.sort_unstable_by_key(|delete| delete.low);
    let mut greedy =
        Greedy { operations, layout, killers, deletes, next: 0, open: BinaryHeap::new(), taken: Vec::new() };
    greedy.run::<MUTANT>(&reads, &mut placement)?;
    Ok(placement)
}

/// Cuts off an interval's ends where they reach into a forward zone.
fn clamp<const MUTANT: u8>(layout: &Layout, low: Instant, high: Instant, what: u32) -> Window {
    let past = |zone: Option<Zone>| zone.filter(|_| MUTANT != 10).map_or(low, |zone| zone.high);
    let until = |zone: Option<Zone>| zone.filter(|_| MUTANT != 11).map_or(high, |zone| zone.low);
    Window { low: past(layout.life_at(low)), high: until(layout.life_at(high)), what }
}

fn within(operations: &[Packed], layout: &Layout, start: Instant, operation: u32) -> Conflict {
    let zone = layout.life_at(start).expect("an interval is empty only if a zone covers both of its ends");
    Conflict::WithinLife { life: layout.limits(operations, zone), operation }
}

/// All chains by the instant at which they are over, each with the greatest low end up to there.
fn killers<const MUTANT: u8>(layout: &Layout, placement: &Placement) -> Vec<Killer> {
    let forward = layout.forward.iter().map(|zone| Killer { over: zone.high - 1, low: zone.high, zone: *zone });
    let backward = layout.backward.iter().zip(&placement.chains);
    let backward = backward.map(|(zone, (low, high, _))| Killer { over: *high, low: *low, zone: *zone });
    let mut killers: Vec<Killer> = forward.filter(|_| MUTANT != 12).chain(backward).collect();
    killers.sort_unstable_by_key(|killer| killer.over);
    let mut greatest: Option<Killer> = None;
    for killer in &mut killers {
        if let Some(before) = greatest.filter(|before| before.low > killer.low && MUTANT != 13) {
            (killer.low, killer.zone) = (before.low, before.zone);
        }
        greatest = Some(*killer);
    }
    killers
}

struct Greedy<'a> {
    operations: &'a [Packed],
    layout: &'a Layout,
    killers: Vec<Killer>,
    /// By ascending low end; those below `next` have entered `open`.
    deletes: Vec<Window>,
    next: usize,
    /// Deletes not yet placed, nearest deadline first.
    open: BinaryHeap<Reverse<(Instant, u32)>>,
    taken: Vec<Taken>,
}

impl Greedy<'_> {
    fn run<const MUTANT: u8>(&mut self, reads: &[Window], placement: &mut Placement) -> Result<(), Conflict> {
        // The latest delete placed so far. The initial absence counts as one before everything.
        let mut latest: Instant = 0;
        for read in reads {
            while let Some(delete) = self.deletes.get(self.next).filter(|delete| delete.low < read.high || MUTANT == 16)
            {
                self.open.push(Reverse((delete.high, delete.what)));
                self.next += 1;
            }
            while let Some(Reverse((deadline, delete))) = self.open.peek().copied()
                && deadline < read.high
                && MUTANT != 14
            {
                self.open.pop();
                placement.deletes.push((deadline, delete));
                latest = deadline;
            }
            let over = self.killers.partition_point(|killer| killer.over < read.low);
            let killer = over.checked_sub(1).map(|at| self.killers[at]);
            let low = killer.map_or(0, |killer| killer.low);
            if latest < low && MUTANT != 15 {
                let Some(Reverse((_, delete))) = self.open.pop() else {
                    return Err(self.starved(*read, killer, low));
                };
                placement.deletes.push((read.high, delete));
                latest = read.high;
                self.taken.push(Taken { delete, read: *read, killer, low });
            }
            placement.reads.push((read.low.max(latest), read.what));
        }
        // A delete that no read needed goes to its deadline; an optional delete that no read needed did not happen.
        let unopened = self.deletes[self.next..].iter().map(|delete| (delete.high, delete.what));
        let open = self.open.drain().map(|Reverse(delete)| delete);
        placement.deletes.extend(open.chain(unopened).filter(|(deadline, _)| *deadline != NEVER));
        Ok(())
    }

    /// Collects the reads that compete for the same deletes (a Hall set): every delete that could serve one
    /// of them was taken by another of them, and one read is left over.
    fn starved(&self, read: Window, killer: Option<Killer>, low: Instant) -> Conflict {
        let mut set = vec![Taken { delete: u32::MAX, read, killer, low }];
        let mut deletes: Vec<u32> = Vec::new();
        let mut lives: Vec<Zone> = Vec::new();
        let mut at = 0;
        while at < set.len() {
            let Taken { read, low, .. } = set[at];
            for delete in &self.deletes {
                if delete.low < read.high && delete.high >= low && !deletes.contains(&delete.what) {
                    deletes.push(delete.what);
                    set.extend(self.taken.iter().find(|taken| taken.delete == delete.what));
                }
            }
            at += 1;
        }
        // The lives that cut short an interval on which the argument rests.
        let mut cut = |instants: [Instant; 2]| lives.extend(instants.iter().filter_map(|at| self.layout.life_at(*at)));
        let span = |at: u32| [self.operations[at as usize].start, self.operations[at as usize].end];
        set.iter().for_each(|taken| cut(span(taken.read.what)));
        set.iter().filter_map(|taken| taken.killer).for_each(|killer| cut([killer.zone.low, killer.zone.high]));
        for delete in &self.deletes {
            let [start, end] = span(delete.what);
            if set.iter().any(|taken| start < taken.read.high && end >= taken.low) {
                cut([start, end]);
            }
        }
        lives.sort_unstable_by_key(|zone| zone.low);
        lives.dedup();
        let limits = |zone: Zone| -> Limits { self.layout.limits(self.operations, zone) };
        let windows = set.iter().map(|taken| Starved {
            read: taken.read.what,
            after: limits(taken.killer.expect("only a read after some chain needs a delete").zone),
        });
        Conflict::Starved { windows: windows.collect(), deletes, lives: lives.into_iter().map(limits).collect() }
    }
}
