//! Keys with deletes *and* cas that expect absence: a search over two states, absent and present.
//!
//! Zones still fix where each chain of values lives; what they leave open is where absence is restored in
//! time for those that need it. A chain is then one operation, "now there is a value", and if its first
//! write is a cas that expects absence it can only go where there is none. With forward zones as points and
//! all other intervals cut to what lies outside of them (see [`super::absence`]), at most four kinds of
//! operations remain. Those of one kind are interchangeable, so the search tries at most three things at a
//! time, each with its nearest deadline.

use super::keys::{Instant, NEVER, Packed};
use super::order::Readers;
use super::search::{Found, Interval, Machine, search};
use super::shrink::shrink;
use super::zones::{self, Conflict, Layout, Zones};
use super::{Budget, Search};

/// What can happen to a key of which only presence matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// A chain that starts with a put.
    Fill,
    /// A chain that starts with a cas expecting absence.
    Create,
    Delete,
    ReadAbsent,
}

/// One thing to be placed.
#[derive(Debug, Clone, Copy)]
struct Item {
    kind: Kind,
    low: Instant,
    high: Instant,
    /// Whether `low` and `high` are the two sides of one point, right before `high`: a forward zone.
    point: bool,
    optional: bool,
    /// A chain's head, or an operation.
    what: u32,
}

const ABSENT: u32 = 0;
const PRESENT: u32 = 1;

struct Presence {
    kinds: Vec<Kind>,
    required: Vec<bool>,
    /// Required operations that need absence, and operations that restore it, still to come.
    needs: u32,
    deletes: u32,
}

impl Presence {
    fn count(&mut self, item: u32, up: bool) {
        let step = |count: &mut u32| *count = if up { *count + 1 } else { *count - 1 };
        match self.kinds[item as usize] {
            Kind::Create | Kind::ReadAbsent if self.required[item as usize] => step(&mut self.needs),
            Kind::Delete => step(&mut self.deletes),
            _ => {}
        }
    }
}

impl Machine for Presence {
    fn initial(&self) -> u32 {
        ABSENT
    }

    fn step(&mut self, state: u32, item: u32) -> Option<u32> {
        match self.kinds[item as usize] {
            Kind::Fill => Some(PRESENT),
            Kind::Create => (state == ABSENT).then_some(PRESENT),
            Kind::Delete => Some(ABSENT),
            Kind::ReadAbsent => (state == ABSENT).then_some(ABSENT),
        }
    }

    fn is_read(&self, item: u32) -> bool {
        self.kinds[item as usize] == Kind::ReadAbsent
    }

    fn class(&self, item: u32) -> u32 {
        self.kinds[item as usize] as u32
    }

    fn may_leave(&self, state: u32, item: u32) -> bool {
        let own = u32::from(self.kinds[item as usize] == Kind::Create);
        state == PRESENT || self.kinds[item as usize] == Kind::Delete || self.needs == own || self.deletes > 0
    }

    fn is_useful(&mut self, _item: u32, enabled: &[u32]) -> bool {
        enabled.iter().any(|other| matches!(self.kinds[*other as usize], Kind::Create | Kind::ReadAbsent))
    }

    fn taken(&mut self, item: u32) {
        self.count(item, false);
    }

    fn returned(&mut self, item: u32) {
        self.count(item, true);
    }
}

/// Decides a key whose chains fit (`layout`), and writes down an order if there is one.
pub(super) fn decide(operations: &[Packed], layout: &Layout, budget: Budget) -> Search {
    let (placed, mut steps) = match items(operations, layout) {
        Ok(items) => place(&items, budget),
        Err(conflict) => return Search { verdict: Err(conflict), steps: 0 },
    };
    let verdict = match placed {
        Placed::Spent => Ok(None),
        Placed::Order(items) => Ok(Some(order(operations, layout, &items))),
        Placed::Nowhere => {
            let mut left = Budget { steps: 20 * steps.max(10_000), ..budget };
            let granted = left.steps;
            let (operations, until) = shrink(operations, |part| {
                let (fails, cost) = fails(part, left);
                left.steps = left.steps.saturating_sub(cost);
                fails
            });
            steps += granted - left.steps;
            Err(Conflict::Exhausted { operations, until })
        }
    };
    Search { verdict, steps }
}

/// Whether some of the key's operations certainly have no order. Parts of a key may be decided by zones alone.
fn fails(part: &[Packed], budget: Budget) -> (bool, u64) {
    let zoned = match zones::decide::<0>(part) {
        Zones::NotApplicable => return (false, 0),
        Zones::Conflict(_) => return (true, part.len() as u64),
        Zones::Fit(layout) if !layout.deletes => return (false, part.len() as u64),
        Zones::Fit(layout) => items(part, &layout),
    };
    match zoned {
        Err(_) => (true, part.len() as u64),
        Ok(items) => {
            let (placed, steps) = place(&items, budget);
            (matches!(placed, Placed::Nowhere), steps)
        }
    }
}

enum Placed {
    Order(Vec<Item>),
    Nowhere,
    Spent,
}

fn place(items: &[Item], budget: Budget) -> (Placed, u64) {
    // Only the sequence of instants matters, so they are numbered; a point comes right before its zone's end.
    let instants = |item: &Item| match item.point {
        true => [(item.high, 0), (item.high, 0)],
        false => [(item.low, 1), (item.high, 1)],
    };
    let mut ranks: Vec<(Instant, u8)> = items.iter().flat_map(instants).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let rank = |instant| ranks.binary_search(&instant).expect("all instants are listed") as Instant;
    let interval = |item: &Item| {
        let [start, end] = instants(item).map(rank);
        Interval::new(start, end, item.optional)
    };
    let intervals: Vec<Interval> = items.iter().map(interval).collect();
    let count = |pick: &dyn Fn(&Item) -> bool| items.iter().filter(|item| pick(item)).count() as u32;
    let mut presence = Presence {
        kinds: items.iter().map(|item| item.kind).collect(),
        required: items.iter().map(|item| !item.optional).collect(),
        needs: count(&|item| matches!(item.kind, Kind::Create | Kind::ReadAbsent) && !item.optional),
        deletes: count(&|item| item.kind == Kind::Delete),
    };
    let (found, steps) = search(&mut presence, &intervals, budget);
    let placed = match found {
        Found::Order(order) => Placed::Order(order.into_iter().map(|at| items[at as usize]).collect()),
        Found::Nothing => Placed::Nowhere,
        Found::Spent => Placed::Spent,
    };
    (placed, steps)
}

/// What has to be placed, each interval cut to what lies outside of forward zones.
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
