//! Zones: linearizability of one key in O(n log n) where every written value is unique.
//!
//! A *cluster* is a value's writer and its readers. A successful cas observes one value and writes
//! another, which links two clusters; linked clusters form a *chain*, and because values are unique a
//! chain occupies an unbroken stretch of any order. Let `f` be the earliest completion and `s` the
//! latest invocation in a chain. If `f < s` the chain is live all over `[f, s]`, a *forward zone*;
//! otherwise it fits into one point anywhere in `[s, f]`, a *backward zone*. An order exists if and
//! only if each chain agrees with time, no two forward zones overlap and no backward zone lies inside
//! a forward one.
//!
//! Sources: Gibbons & Korach, "Testing Shared Memories" (SIAM J. Comput. 26(4), 1997, section 4.2: zones);
//! Fan & Golab (IPL 2018: read-modify-write). Deletes without an answer make absence a value
//! that is written many times; [`super::absence`] places those.

use super::keys::{Instant, NEVER, Packed};
use super::values::{NOBODY, ValueIndex};

/// The cluster of the initial absence, where no delete can bring absence back.
pub(super) const INITIAL: u32 = 0;

/// A value's writer and a summary of its readers. Operations are indices into the key's operations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cluster {
    /// The write; [`NOBODY`] for the initial absence.
    pub writer: u32,
    /// The cluster a cas took its value from; [`NOBODY`] for a put.
    pub previous: u32,
    /// The cluster of the cas that took this value; [`NOBODY`] if none did.
    pub next: u32,
    /// Whether it happened for certain or was seen by something that did.
    pub kept: bool,
    /// The reader invoked last, and when ([`NOBODY`], 0 without readers).
    latest_reader: u32,
    latest_start: Instant,
    /// The reader answered first, and when ([`NOBODY`], [`NEVER`] without readers).
    earliest_reader: u32,
    earliest_end: Instant,
}

/// A chain's place in time, and the first cluster of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Zone {
    /// Forward: the earliest completion. Backward: the latest invocation.
    pub low: Instant,
    /// Forward: the latest invocation. Backward: the earliest completion.
    pub high: Instant,
    /// The chain's first cluster.
    pub head: u32,
}

/// A chain with the operations that set its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
    /// The writes between the two, in chain order, both clusters' own writes included.
    pub links: Vec<u32>,
    /// The operation that was answered first.
    pub ended_first: u32,
    /// The operation that was invoked last.
    pub began_last: u32,
}

/// Why no order exists. Operations are indices into the key's operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conflict {
    /// No state explains this answer.
    Impossible { operation: u32 },
    /// It saw a value that no operation wrote.
    NeverWritten { operation: u32 },
    /// Two cas took the same value.
    Fork { writer: Option<u32>, cas: [u32; 2] },
    /// Each of these cas took the value of the one before, in a circle.
    Circle { cas: Vec<u32> },
    /// The values show that `later` comes after `earlier`, but it was over before `earlier` began.
    Backwards { later: u32, earlier: u32, links: Vec<u32> },
    /// Two chains, each of which had to be live while the other was.
    Overlap { one: Limits, other: Limits },
    /// A delete or a read of absence, all of it while a value had to be live.
    WithinLife { life: Limits, operation: u32 },
    /// More reads of absence, each needing a delete of its own, than there are deletes that can serve them.
    Starved { windows: Vec<Starved>, deletes: Vec<u32>, lives: Vec<Limits> },
    /// No order of these was found. The operations still running at `until` may not have happened. The search starts at
    /// the beginning, or from the read `since` on. Without the answer of `breaks` there is an order.
    Exhausted { operations: Vec<u32>, since: Option<u32>, breaks: Option<u32>, until: Instant },
}

/// A read of absence and the chain after which a delete must have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Starved {
    pub read: u32,
    pub after: Limits,
}

impl Limits {
    fn renamed(self, name: &impl Fn(u32) -> u32) -> Limits {
        // The initial absence is no client's operation and keeps its name.
        let end = |at: u32| if at == NOBODY { NOBODY } else { name(at) };
        Limits {
            links: self.links.into_iter().map(name).collect(),
            ended_first: end(self.ended_first),
            began_last: end(self.began_last),
        }
    }
}

impl Conflict {
    /// The same conflict with other numbers for the operations.
    pub fn renamed(self, name: &impl Fn(u32) -> u32) -> Conflict {
        let all = |operations: Vec<u32>| -> Vec<u32> { operations.into_iter().map(name).collect() };
        match self {
            Conflict::Impossible { operation } => Conflict::Impossible { operation: name(operation) },
            Conflict::NeverWritten { operation } => Conflict::NeverWritten { operation: name(operation) },
            Conflict::Fork { writer, cas } => Conflict::Fork { writer: writer.map(name), cas: cas.map(name) },
            Conflict::Circle { cas } => Conflict::Circle { cas: all(cas) },
            Conflict::Backwards { later, earlier, links } => {
                Conflict::Backwards { later: name(later), earlier: name(earlier), links: all(links) }
            }
            Conflict::Overlap { one, other } => {
                Conflict::Overlap { one: one.renamed(name), other: other.renamed(name) }
            }
            Conflict::WithinLife { life, operation } => {
                Conflict::WithinLife { life: life.renamed(name), operation: name(operation) }
            }
            Conflict::Starved { windows, deletes, lives } => Conflict::Starved {
                windows: windows
                    .into_iter()
                    .map(|window| Starved { read: name(window.read), after: window.after.renamed(name) })
                    .collect(),
                deletes: all(deletes),
                lives: lives.into_iter().map(|life| life.renamed(name)).collect(),
            },
            Conflict::Exhausted { operations, since, breaks, until } => Conflict::Exhausted {
                operations: all(operations),
                since: since.map(name),
                breaks: breaks.map(name),
                until,
            },
        }
    }
}

/// The data about a key on which [`super::absence`] and [`super::order`] build.
#[derive(Debug)]
pub(super) struct Layout {
    pub clusters: Vec<Cluster>,
    pub index: ValueIndex,
    /// Forward zones, ascending and disjoint.
    pub forward: Vec<Zone>,
    /// Backward zones in order of their chain's first write.
    pub backward: Vec<Zone>,
    /// Whether the key has deletes; then absence is no cluster.
    pub deletes: bool,
    /// Whether a kept cas creates the key on a key with deletes: zones alone cannot decide that.
    pub creates: bool,
}

/// The zones' result.
#[derive(Debug)]
pub(super) enum Zones {
    /// Repeated values, or operations that zones cannot express.
    NotApplicable,
    /// No order exists.
    Conflict(Conflict),
    /// The chains fit. On a key without deletes that is an order.
    Fit(Layout),
}

/// Checks the chains of one key. `MUTANT` is 0 except in the tests that prove the tests: each other number breaks one
/// step. It compiles away here.
pub(super) fn decide<const MUTANT: u8>(operations: &[Packed]) -> Zones {
    let Some(mut layout) = (match clusters(operations) {
        Ok(layout) => layout,
        Err(conflict) => return Zones::Conflict(conflict),
    }) else {
        return Zones::NotApplicable;
    };
    let steps = [read::<MUTANT>, link::<MUTANT>, walk::<MUTANT>, disjoint::<MUTANT>];
    for step in steps {
        if let Err(conflict) = step(operations, &mut layout) {
            return Zones::Conflict(conflict);
        }
    }
    Zones::Fit(layout)
}

/// Each cluster's chain, by its first cluster, and place in the chain; `None` if zones do not apply.
pub(super) type Chains = Option<(Layout, Vec<(u32, u32)>)>;

/// The chains of one key without regard to time.
pub(super) fn chains(operations: &[Packed]) -> Result<Chains, Conflict> {
    let Some(mut layout) = clusters(operations)? else { return Ok(None) };
    read::<0>(operations, &mut layout)?;
    link::<0>(operations, &mut layout)?;
    let mut chains: Vec<(u32, u32)> = (0..layout.clusters.len() as u32).map(|at| (at, 0)).collect();
    let (mut kept, mut reached) = (0, 0);
    for head in 0..layout.clusters.len() as u32 {
        let cluster = layout.clusters[head as usize];
        kept += usize::from(cluster.kept);
        if cluster.kept && cluster.previous == NOBODY {
            for (place, (at, _)) in layout.chain(head).enumerate() {
                chains[at as usize] = (head, place as u32);
                reached += 1;
            }
        }
    }
    if reached < kept { Err(circle_around(&layout, &chains)) } else { Ok(Some((layout, chains))) }
}

/// The circle of cas that no chain's first write reaches.
fn circle_around(layout: &Layout, chains: &[(u32, u32)]) -> Conflict {
    let reached = |zone: &Zone| chains[zone.head as usize].0 == zone.head;
    let heads = (0..layout.clusters.len() as u32).map(|head| Zone { low: 0, high: 0, head });
    let heads: Vec<Zone> = heads
        .filter(|zone| {
            layout.clusters[zone.head as usize].kept && layout.clusters[zone.head as usize].previous == NOBODY
        })
        .filter(reached)
        .collect();
    circle(layout, &heads, &[])
}

/// One cluster per write; `None` if zones do not apply.
fn clusters(operations: &[Packed]) -> Result<Option<Layout>, Conflict> {
    let (mut least, mut greatest, mut writes) = (u64::MAX, 0, 0);
    let (mut deletes, mut expressible) = (false, true);
    for (at, operation) in operations.iter().enumerate() {
        let effect = operation.effect;
        if effect.special() && !effect.writes() {
            return Err(Conflict::Impossible { operation: at as u32 });
        }
        expressible &= !effect.negated() && !effect.special();
        if operation.writes_value() {
            writes += 1;
            least = least.min(operation.written);
            greatest = greatest.max(operation.written);
        } else {
            deletes |= effect.writes_absent();
        }
    }
    if !expressible {
        return Ok(None);
    }
    let blank = Cluster {
        writer: NOBODY,
        previous: NOBODY,
        next: NOBODY,
        kept: !deletes,
        latest_reader: NOBODY,
        latest_start: 0,
        earliest_reader: NOBODY,
        earliest_end: NEVER,
    };
    let mut clusters = Vec::with_capacity(writes + 1);
    clusters.push(blank);
    let mut index = ValueIndex::new(writes, least, greatest);
    for (at, operation) in operations.iter().enumerate().filter(|(_, operation)| operation.writes_value()) {
        if index.insert(operation.written, clusters.len() as u32).is_some() {
            return Ok(None);
        }
        clusters.push(Cluster { writer: at as u32, kept: !operation.effect.optional(), ..blank });
    }
    Ok(Some(Layout { clusters, index, forward: Vec::new(), backward: Vec::new(), deletes, creates: false }))
}

impl Layout {
    /// The cluster whose value the operation observed; `None` for absence where absence is no cluster.
    pub fn observed(&self, operation: &Packed) -> Option<u32> {
        match operation.effect.observes_absent() {
            true if self.deletes => None,
            true => Some(INITIAL),
            false => Some(self.index.get(operation.observed)),
        }
    }

    /// The cluster an operation belongs to: a write to its own, a read to the one it observed.
    fn home(&self, operation: &Packed) -> u32 {
        match operation.writes_value() {
            true => self.index.get(operation.written),
            false => self.observed(operation).unwrap_or(INITIAL),
        }
    }

    /// The clusters of the chain that starts at `head`.
    pub fn chain(&self, head: u32) -> impl Iterator<Item = (u32, &Cluster)> + '_ {
        let cluster = |at: u32| (at != NOBODY).then(|| (at, &self.clusters[at as usize]));
        std::iter::successors(cluster(head), move |(_, here)| cluster(here.next))
    }

    /// The forward zone, if any, that contains `instant` strictly.
    pub fn life_at(&self, instant: Instant) -> Option<Zone> {
        let after = self.forward.partition_point(|zone| zone.low < instant);
        let zone = *self.forward.get(after.checked_sub(1)?)?;
        (instant < zone.high).then_some(zone)
    }

    /// The operations that set a zone's limits, and the writes between them.
    pub fn limits(&self, operations: &[Packed], zone: Zone) -> Limits {
        let (mut first, mut last) = ((NEVER, NOBODY), (0, NOBODY));
        for (_, cluster) in self.chain(zone.head) {
            for (end, operation) in
                [(end_of(operations, cluster.writer), cluster.writer), (cluster.earliest_end, cluster.earliest_reader)]
            {
                if end < first.0 {
                    first = (end, operation);
                }
            }
            for (start, operation) in
                [(start_of(operations, cluster.writer), cluster.writer), (cluster.latest_start, cluster.latest_reader)]
            {
                if start > last.0 {
                    last = (start, operation);
                }
            }
        }
        let links = self.links(operations, first.1, last.1);
        Limits { links, ended_first: first.1, began_last: last.1 }
    }

    /// The writes of the chain from one operation's cluster to the other's, whichever comes first. An
    /// operation may be [`NOBODY`], the initial absence.
    fn links(&self, operations: &[Packed], one: u32, other: u32) -> Vec<u32> {
        let home = |operation: u32| match operation {
            NOBODY => INITIAL,
            operation => self.home(&operations[operation as usize]),
        };
        let back = |from: u32, to: u32| {
            let up = |at: u32| (at != NOBODY).then_some(at);
            let mut path = Vec::new();
            for at in std::iter::successors(Some(from), |at| up(self.clusters[*at as usize].previous)) {
                path.extend(up(self.clusters[at as usize].writer));
                if at == to {
                    path.reverse();
                    return Some(path);
                }
            }
            None
        };
        let (one, other) = (home(one), home(other));
        back(one, other).or_else(|| back(other, one)).unwrap_or_default()
    }
}

fn end_of(operations: &[Packed], writer: u32) -> Instant {
    if writer == NOBODY { 1 } else { operations[writer as usize].end }
}

fn start_of(operations: &[Packed], writer: u32) -> Instant {
    if writer == NOBODY { 0 } else { operations[writer as usize].start }
}

/// Assigns each acknowledged observation to its value, and keeps the writes that it proves to have happened.
fn read<const MUTANT: u8>(operations: &[Packed], layout: &mut Layout) -> Result<(), Conflict> {
    let mut proven = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        if !operation.effect.observes() || operation.effect.optional() {
            continue;
        }
        let Some(seen) = layout.observed(operation) else { continue };
        if seen == NOBODY {
            return Err(Conflict::NeverWritten { operation: at as u32 });
        }
        let cluster = &mut layout.clusters[seen as usize];
        if !cluster.kept {
            cluster.kept = true;
            proven.push(seen);
        }
        if operation.effect.writes() {
            continue;
        }
        if operation.start >= cluster.latest_start {
            (cluster.latest_start, cluster.latest_reader) = (operation.start, at as u32);
        }
        if operation.end < cluster.earliest_end {
            (cluster.earliest_end, cluster.earliest_reader) = (operation.end, at as u32);
        }
    }
    // A cas of unknown outcome whose value was seen did happen, so what it expected was there as well.
    while let Some(seen) = proven.pop() {
        let writer = layout.clusters[seen as usize].writer;
        if writer == NOBODY || MUTANT == 1 {
            continue;
        }
        let operation = &operations[writer as usize];
        if operation.effect.observes() {
            match layout.observed(operation) {
                Some(NOBODY) => return Err(Conflict::NeverWritten { operation: writer }),
                Some(source) if !layout.clusters[source as usize].kept => {
                    layout.clusters[source as usize].kept = true;
                    proven.push(source);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Links each kept cas to the value it took. Values are unique, so a value can be taken only once.
fn link<const MUTANT: u8>(operations: &[Packed], layout: &mut Layout) -> Result<(), Conflict> {
    for at in 1..layout.clusters.len() as u32 {
        let Cluster { writer, kept, .. } = layout.clusters[at as usize];
        let operation = &operations[writer as usize];
        if !kept || !operation.effect.observes() {
            continue;
        }
        let Some(source) = layout.observed(operation) else {
            layout.creates = true;
            continue;
        };
        if source == NOBODY {
            return Err(Conflict::NeverWritten { operation: writer });
        }
        layout.clusters[at as usize].previous = source;
        let taken = std::mem::replace(&mut layout.clusters[source as usize].next, at);
        if taken != NOBODY && MUTANT != 2 {
            let first = layout.clusters[taken as usize].writer;
            let source = layout.clusters[source as usize].writer;
            let writer_of = (source != NOBODY).then_some(source);
            return Err(Conflict::Fork { writer: writer_of, cas: [first, writer] });
        }
    }
    Ok(())
}

/// Walks each chain in the order its values dictate (write, its reads, the next cas, its reads, ...):
/// nothing may be over before something earlier in the chain began. What remains is the chain's zone.
fn walk<const MUTANT: u8>(operations: &[Packed], layout: &mut Layout) -> Result<(), Conflict> {
    let (mut kept, mut walked) = (0usize, 0usize);
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for head in 0..layout.clusters.len() as u32 {
        let cluster = &layout.clusters[head as usize];
        kept += usize::from(cluster.kept);
        if !cluster.kept || cluster.previous != NOBODY {
            continue;
        }
        // The latest invocation so far, and the earliest completion of all.
        let (mut latest, mut latest_operation) = (0, NOBODY);
        let mut earliest = NEVER;
        let mut here = head;
        while here != NOBODY {
            walked += 1;
            let cluster = &layout.clusters[here as usize];
            let groups = [
                (
                    start_of(operations, cluster.writer),
                    cluster.writer,
                    end_of(operations, cluster.writer),
                    cluster.writer,
                ),
                (cluster.latest_start, cluster.latest_reader, cluster.earliest_end, cluster.earliest_reader),
            ];
            for (group, (start, starter, end, ender)) in groups.into_iter().enumerate() {
                if end < latest && !(MUTANT == 3 && group == 0) && !(MUTANT == 4 && group == 1) {
                    let links = layout.links(operations, latest_operation, ender);
                    return Err(Conflict::Backwards { later: ender, earlier: latest_operation, links });
                }
                if start >= latest {
                    (latest, latest_operation) = (start, starter);
                }
                earliest = earliest.min(end);
            }
            here = cluster.next;
        }
        match earliest < latest {
            true => forward.push(Zone { low: earliest, high: latest, head }),
            false => backward.push(Zone { low: latest, high: earliest, head }),
        }
    }
    // A value taken twice (mutant 2) would also leave a cluster out.
    if walked < kept && MUTANT != 5 && MUTANT != 2 {
        return Err(circle(layout, &forward, &backward));
    }
    (layout.forward, layout.backward) = (forward, backward);
    Ok(())
}

/// Some kept cluster is reached from no head: its chain is circular.
fn circle(layout: &Layout, forward: &[Zone], backward: &[Zone]) -> Conflict {
    let mut reached = vec![false; layout.clusters.len()];
    for zone in forward.iter().chain(backward) {
        layout.chain(zone.head).for_each(|(at, _)| reached[at as usize] = true);
    }
    let unreached = |at: &u32| layout.clusters[*at as usize].kept && !reached[*at as usize];
    let start = (0..layout.clusters.len() as u32).find(unreached).unwrap_or(INITIAL);
    let mut cas = vec![layout.clusters[start as usize].writer];
    let mut at = layout.clusters[start as usize].next;
    while at != start && at != NOBODY {
        cas.push(layout.clusters[at as usize].writer);
        at = layout.clusters[at as usize].next;
    }
    Conflict::Circle { cas }
}

/// No two forward zones overlap, and no backward zone lies inside a forward one.
fn disjoint<const MUTANT: u8>(operations: &[Packed], layout: &mut Layout) -> Result<(), Conflict> {
    layout.forward.sort_unstable_by_key(|zone| zone.low);
    let overlap = |layout: &Layout, one: Zone, other: Zone| Conflict::Overlap {
        one: layout.limits(operations, one),
        other: layout.limits(operations, other),
    };
    // Sorted by their low ends, some pair overlaps only if some neighbours do.
    for pair in layout.forward.windows(2) {
        if pair[1].low < pair[0].high && MUTANT != 6 {
            return Err(overlap(layout, pair[0], pair[1]));
        }
    }
    for zone in &layout.backward {
        let life = layout.life_at(zone.low);
        if let Some(life) = life.filter(|life| zone.high < life.high || MUTANT == 7)
            && MUTANT != 8
        {
            return Err(overlap(layout, life, *zone));
        }
    }
    Ok(())
}
