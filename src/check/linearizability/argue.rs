//! Turns an engine's conflict into a witness that stands on its own.

use super::keys::{NEVER, Packed};
use super::witness::{DeleteNeeded, Life, Reason, Witness};
use super::zones::{Conflict, Limits};
use crate::history::Columns;
use crate::kv::Key;

/// Translates an engine's conflict from positions among one key's operations into operation ids.
pub(super) fn witness(columns: &Columns, key: u32, packed: &[Packed], conflict: Conflict) -> Witness {
    let id = |at: u32| columns.ids[packed[at as usize].row as usize];
    let ids = |all: Vec<u32>| -> Vec<u32> { all.into_iter().map(id).collect() };
    let maybe = |at: u32| (at != u32::MAX).then(|| id(at));
    let life = |limits: Limits| Life {
        writes: ids(limits.links),
        ended_first: maybe(limits.ended_first),
        began_last: maybe(limits.began_last),
    };
    let reason = match conflict {
        Conflict::Impossible { operation } => Reason::Impossible { operation: id(operation) },
        Conflict::NeverWritten { operation } => Reason::NeverWritten { operation: id(operation) },
        Conflict::Fork { writer, cas } => Reason::TakenTwice { writer: writer.map(id), cas: cas.map(id) },
        Conflict::Circle { cas } => Reason::Circular { cas: ids(cas) },
        Conflict::Backwards { later, earlier, links } => {
            Reason::OutOfOrder { later: id(later), earlier: id(earlier), writes: ids(links) }
        }
        Conflict::Overlap { one, other } => Reason::Overlap { one: life(one), other: life(other) },
        Conflict::WithinLife { life: limits, operation } => {
            Reason::WithinLife { life: life(limits), operation: id(operation) }
        }
        Conflict::Starved { windows, deletes, lives } => Reason::TooFewDeletes {
            needs: windows
                .into_iter()
                .map(|window| DeleteNeeded { read: id(window.read), after: life(window.after) })
                .collect(),
            deletes: ids(deletes),
            lives: lives.into_iter().map(life).collect(),
        },
        Conflict::Exhausted { operations, since, breaks, until } => Reason::NoOrder {
            operations: ids(operations),
            since: since.map(id),
            breaks: breaks.map(id),
            until_ns: if until == NEVER { u64::MAX } else { (until - 3) / 2 },
        },
    };
    finish(columns, key, packed, reason)
}

fn finish(columns: &Columns, key: u32, packed: &[Packed], reason: Reason) -> Witness {
    let mut rows: Vec<usize> = reason.operations().iter().filter_map(|id| columns.find(*id)).collect();
    if !matches!(reason, Reason::NoOrder { .. }) {
        prove_happened(packed, &mut rows);
    }
    rows.sort_by_key(|row| (columns.starts[*row], columns.ids[*row]));
    let answered = rows.iter().map(|row| columns.ends[*row]).filter(|end| *end != u64::MAX).max();
    let at_ns = match &reason {
        Reason::NoOrder { until_ns, .. } if *until_ns != u64::MAX => *until_ns,
        _ => answered.unwrap_or(0),
    };
    let operations = rows.iter().map(|row| columns.ids[*row]).collect();
    let sentence = super::explain::sentence(columns, key, &reason);
    Witness { key: Key(key), operations, reason, sentence, at_ns }
}

/// Adds, for each write of unknown outcome among `rows`, the operations that saw it: a read, or a cas and
/// what saw that.
fn prove_happened(packed: &[Packed], rows: &mut Vec<usize>) {
    let at = |row: usize| packed.iter().find(|operation| operation.row as usize == row);
    let mut next = 0;
    while next < rows.len() {
        let Some(operation) = at(rows[next]) else { unreachable!("a witness speaks of one key's operations") };
        next += 1;
        if !operation.effect.optional() || !operation.writes_value() {
            continue;
        }
        let sees = |other: &&Packed| {
            let effect = other.effect;
            effect.observes() && !effect.observes_absent() && other.observed == operation.written
        };
        let certain = packed.iter().filter(sees).find(|other| !other.effect.optional());
        let mut seers = certain.into_iter().chain(packed.iter().filter(sees)).map(|other| other.row as usize);
        if certain.is_some() {
            rows.extend(seers.next().filter(|row| !rows.contains(row)));
        } else {
            // Only cas of unknown outcome saw it. One of them was seen in turn, so all of them must be looked at.
            let fresh: Vec<usize> = seers.filter(|row| !rows.contains(row)).collect();
            rows.extend(fresh);
        }
    }
}
