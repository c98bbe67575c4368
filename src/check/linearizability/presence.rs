//! Keys with deletes *and* cas that expect absence: two states, absent and present.
//!
//! Zones still fix where each chain of values is; they leave open where absence is restored in time for the operations
//! that need it. A chain is then one operation, "now there is a value". If its first write is a cas that expects
//! absence, it can only go where there is no value. With forward zones as points, and all other intervals cut to the
//! part outside of them (see [`super::absence`]), four kinds of things remain to be placed: fills (chains that start
//! with a put), creates (chains that start with such a cas), deletes, and reads of absence.
//!
//! One sweep over time places them, in O(n log n), and defers everything that changes the state:
//! * a read of absence is placed as soon as the key is absent, a fill as soon as it is present: neither changes the
//!   state;
//! * a create whose time runs out takes absence if there is some, else a delete of its own; a read of absence whose
//!   time runs out takes a delete;
//! * where the time of a delete or of a fill runs out on an absent key, a create goes before it. That is free: it costs
//!   no delete and leaves the same state behind.
//!
//! The sweep always takes the open create, or delete, whose time runs out next (earliest deadline first). Each step
//! leaves no fewer possibilities than any alternative: an order that did otherwise can be rearranged to do the same.
//! Derived here, and fuzzed against brute force.

use super::keys::{Instant, NEVER, Packed};
use super::order::Readers;
use super::shrink;
use super::zones::{self, Conflict, Layout, Zones};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The kinds of things that happen to a key of which only presence matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A chain that starts with a put.
    Fill,
    /// A chain that starts with a cas expecting absence.
    Create,
    Delete,
    ReadAbsent,
}

/// One thing to be placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub kind: Kind,
    pub low: Instant,
    pub high: Instant,
    /// Whether `low` and `high` are the two sides of one point, right before `high`: a forward zone.
    pub point: bool,
    pub optional: bool,
    /// A chain's head, or an operation.
    pub what: u32,
}

impl Item {
    /// The first and the last place at which it may be put. Points are right before the end of their zone.
    fn span(&self) -> [(Instant, u8); 2] {
        if self.point { [(self.high, 0); 2] } else { [(self.low, 1), (self.high, 1)] }
    }
}

/// Decides a key whose chains fit (`layout`), and writes down an order if there is one.
pub(super) fn decide(operations: &[Packed], layout: &Layout) -> Result<Vec<u32>, Conflict> {
    if let Some(placed) = place(&items(operations, layout)?) {
        return Ok(order(operations, layout, &placed));
    }
    // An explanation may cost several times as much as the verdict.
    let mut left = 40 * operations.len().max(10_000);
    Err(shrink::explain(operations, |part| {
        left = left.checked_sub(part.len())?;
        fails(part)
    }))
}

/// Whether some of the key's operations have no order; `None` if zones cannot decide that.
fn fails(part: &[Packed]) -> Option<bool> {
    let layout = match zones::decide::<0>(part) {
        Zones::NotApplicable => return None,
        Zones::Conflict(_) => return Some(true),
        Zones::Fit(layout) if !layout.deletes => return Some(false),
        Zones::Fit(layout) => layout,
    };
    Some(items(part, &layout).map_or(true, |items| place(&items).is_none()))
}

/// Places the items; `None` if that is impossible. Optional items that were not needed are left out.
pub(super) fn place(items: &[Item]) -> Option<Vec<Item>> {
    let mut opens: Vec<usize> = (0..items.len()).collect();
    let mut closes: Vec<usize> = (0..items.len()).filter(|at| !items[*at].optional).collect();
    opens.sort_by_key(|at| items[*at].span()[0]);
    closes.sort_by_key(|at| items[*at].span()[1]);
    let mut sweep = Sweep {
        items,
        placed: Vec::with_capacity(items.len()),
        done: vec![false; items.len()],
        present: false,
        waiting: Vec::new(),
        creates: BinaryHeap::new(),
        deletes: BinaryHeap::new(),
    };
    let mut opened = 0;
    for group in closes.chunk_by(|one, other| items[*one].span()[1] == items[*other].span()[1]) {
        let now = items[group[0]].span()[1];
        while let Some(at) = opens.get(opened).filter(|at| items[**at].span()[0] <= now) {
            sweep.open(*at);
            opened += 1;
        }
        sweep.close(group)?;
    }
    Some(sweep.placed)
}

/// Open items by when their time runs out.
type Open = BinaryHeap<Reverse<((Instant, u8), usize)>>;

struct Sweep<'a> {
    items: &'a [Item],
    placed: Vec<Item>,
    done: Vec<bool>,
    present: bool,
    /// Open fills while the key is absent, open reads of absence while it is present.
    waiting: Vec<usize>,
    creates: Open,
    deletes: Open,
}

impl Sweep<'_> {
    fn put(&mut self, at: usize) {
        self.done[at] = true;
        self.placed.push(self.items[at]);
    }

    /// The key becomes present, or absent, as all waiting items need it to be.
    fn turn(&mut self, present: bool) {
        self.present = present;
        std::mem::take(&mut self.waiting).into_iter().for_each(|at| self.put(at));
    }

    fn open(&mut self, at: usize) {
        let entry = Reverse((self.items[at].span()[1], at));
        match self.items[at].kind {
            Kind::Create => self.creates.push(entry),
            Kind::Delete => self.deletes.push(entry),
            kind if (kind == Kind::Fill) == self.present => self.put(at),
            _ => self.waiting.push(at),
        }
    }

    fn take_delete(&mut self) -> Option<()> {
        let Reverse((_, at)) = self.deletes.pop()?;
        self.put(at);
        self.turn(false);
        Some(())
    }

    /// Makes the key present at no cost: by a create that is open, or by the fills that wait.
    fn fill(&mut self) {
        if let Some(Reverse((_, at))) = self.creates.pop() {
            self.put(at);
        }
        self.turn(true);
    }

    /// Places every item of `group` that is not placed yet, because its time runs out.
    fn close(&mut self, group: &[usize]) -> Option<()> {
        let items = self.items;
        let of = |kind: Kind| group.iter().copied().filter(move |at| items[*at].kind == kind);
        // The heaps return the items of this group first, in some order.
        for at in of(Kind::Create) {
            if self.done[at] {
                continue;
            }
            if self.present {
                self.take_delete()?;
            }
            self.fill();
        }
        if of(Kind::ReadAbsent).any(|at| !self.done[at]) {
            self.take_delete()?;
        }
        for at in of(Kind::Delete) {
            if self.done[at] {
                continue;
            }
            if !self.present {
                self.fill();
            }
            self.take_delete()?;
        }
        if of(Kind::Fill).any(|at| !self.done[at]) {
            self.fill();
        }
        Some(())
    }
}

/// The items to be placed, each interval cut to the part outside of forward zones.
fn items(operations: &[Packed], layout: &Layout) -> Result<Vec<Item>, Conflict> {
    let kind = |head: u32| {
        let writer = layout.clusters[head as usize].writer;
        if operations[writer as usize].effect.observes_absent() { Kind::Create } else { Kind::Fill }
    };
    let outside = |low, high| {
        let low = layout.life_at(low).map_or(low, |life| life.high);
        (low, layout.life_at(high).map_or(high, |life| life.low))
    };
    let mut items = Vec::new();
    for zone in &layout.forward {
        let (kind, what) = (kind(zone.head), zone.head);
        items.push(Item { kind, low: zone.low, high: zone.high, point: true, optional: false, what });
    }
    for zone in &layout.backward {
        let (low, high) = outside(zone.low, zone.high);
        items.push(Item { kind: kind(zone.head), low, high, point: false, optional: false, what: zone.head });
    }
    for (at, operation) in operations.iter().enumerate() {
        let effect = operation.effect;
        let kind = match (effect.writes_absent(), effect.observes_absent() && !effect.writes()) {
            (true, _) => Kind::Delete,
            (_, true) => Kind::ReadAbsent,
            _ => continue,
        };
        let (low, high) = outside(operation.start, operation.end);
        if low > high {
            let zone = layout.life_at(operation.start).expect("only a zone around both ends leaves nothing");
            return Err(Conflict::WithinLife { life: layout.limits(operations, zone), operation: at as u32 });
        }
        let optional = operation.end == NEVER;
        items.push(Item { kind, low, high, point: false, optional, what: at as u32 });
    }
    Ok(items)
}

fn order(operations: &[Packed], layout: &Layout, items: &[Item]) -> Vec<u32> {
    let readers = Readers::of(operations, layout);
    let mut order = Vec::with_capacity(operations.len());
    for item in items {
        match item.kind {
            Kind::Delete | Kind::ReadAbsent => order.push(item.what),
            Kind::Fill | Kind::Create => readers.write_chain(operations, layout, item.what, &mut order),
        }
    }
    order
}
