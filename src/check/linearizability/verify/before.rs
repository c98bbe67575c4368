//! Derives "comes before" until some operation comes before itself.
//!
//! Rules, for a value `v` that only `w` writes, seen by the operations `O`:
//! 1. an operation that was over before another began comes before it; `w` comes before each of `O`;
//! 2. an operation that cannot happen while `v` is there (it writes, or saw something else) and comes after `w` also
//!    comes after each of `O`; if it comes before one of `O`, it comes before `w`;
//! 3. a cas that took `v` comes after everything else in `O`.
//!
//! Each rule holds in every order, so if some operation comes before itself, there is no order.

use super::{precedes, seen, wrote};
use crate::history::columns::{Call, Ending, Row};

/// Index of the initial absence among the nodes: after the operations.
type Node = usize;

/// Confirms that `rows`, part of the key's operations `all`, contradict each other.
pub(super) fn contradicts(rows: &[Row], all: &[Row]) -> Result<(), String> {
    let happened = happened(rows, all);
    let rows: Vec<Row> = rows.iter().zip(&happened).filter(|(_, happened)| **happened).map(|(row, _)| *row).collect();
    let impossible =
        |row: &Row| matches!(row.call, Call::CasMismatch { expected, found, .. } if found == Some(expected));
    let from_nowhere = |row: &Row| match seen(row) {
        Some(Some(value)) => !all.iter().any(|other| wrote(other) == Some(Some(value)) || is_append(other)),
        _ => false,
    };
    if rows.iter().any(|row| impossible(row) || from_nowhere(row)) {
        return Ok(());
    }

    let initial: Node = rows.len();
    let mut before = vec![vec![false; rows.len() + 1]; rows.len() + 1];
    for (one, one_row) in rows.iter().enumerate() {
        before[initial][one] = true;
        for (other, other_row) in rows.iter().enumerate() {
            before[one][other] |= precedes(one_row, other_row);
        }
    }
    let values = values(&rows, all, initial);
    for value in &values {
        for seer in &value.seers {
            before[value.writer][*seer] = true;
            if *seer < initial && wrote(&rows[*seer]).is_some() {
                value.seers.iter().filter(|other| *other != seer).for_each(|other| before[*other][*seer] = true);
            }
        }
    }
    loop {
        close(&mut before);
        if (0..=initial).any(|node| before[node][node]) {
            return Ok(());
        }
        if !conclude(&rows, &values, &mut before) {
            return Err("the operations of the witness do not contradict each other".to_owned());
        }
    }
}

/// Which operations happened for certain: acknowledged, or the only possible source of what one of those saw.
pub(super) fn happened(rows: &[Row], all: &[Row]) -> Vec<bool> {
    let mut happened: Vec<bool> = rows.iter().map(|row| row.ending == Ending::Ok).collect();
    loop {
        let proven = |at: usize| {
            let written = wrote(&rows[at]).flatten();
            let unique = all.iter().filter(|other| wrote(other).flatten() == written || is_append(other)).count() == 1;
            let mut others = rows.iter().zip(&happened);
            written.is_some() && unique && others.any(|(row, happened)| *happened && seen(row) == Some(written))
        };
        match (0..rows.len()).find(|at| !happened[*at] && proven(*at)) {
            Some(at) => happened[at] = true,
            None => return happened,
        }
    }
}

fn is_append(row: &Row) -> bool {
    matches!(row.call, Call::Append(_))
}

/// A value with one writer, and who saw it.
struct Value {
    value: Option<u64>,
    writer: Node,
    seers: Vec<Node>,
}

/// The values that exactly one operation writes. Absence is one if nothing deletes: the beginning "wrote" it.
fn values(rows: &[Row], all: &[Row], initial: Node) -> Vec<Value> {
    let seers =
        |value: Option<u64>| -> Vec<Node> { (0..rows.len()).filter(|at| seen(&rows[*at]) == Some(value)).collect() };
    let mut values = Vec::new();
    if all.iter().any(is_append) {
        return values;
    }
    for (writer, row) in rows.iter().enumerate() {
        if let Some(Some(value)) = wrote(row)
            && all.iter().filter(|other| wrote(other) == Some(Some(value))).count() == 1
        {
            values.push(Value { value: Some(value), writer, seers: seers(Some(value)) });
        }
    }
    if !all.iter().any(|row| wrote(row) == Some(None)) {
        values.push(Value { value: None, writer: initial, seers: seers(None) });
    }
    values
}

/// Makes `before` transitive (Warshall).
fn close(before: &mut [Vec<bool>]) {
    for middle in 0..before.len() {
        let from_middle = before[middle].clone();
        for from in before.iter_mut().filter(|from| from[middle]) {
            from.iter_mut().zip(&from_middle).for_each(|(to, more)| *to |= more);
        }
    }
}

/// Applies rule 2 everywhere. Returns whether that concluded anything new.
fn conclude(rows: &[Row], values: &[Value], before: &mut [Vec<bool>]) -> bool {
    let mut news = false;
    for Value { value, writer, seers } in values {
        for (stranger, row) in rows.iter().enumerate() {
            let elsewhere = seen(row).is_some_and(|seen| seen != *value);
            if stranger == *writer || seers.contains(&stranger) || !(wrote(row).is_some() || elsewhere) {
                continue;
            }
            if before[*writer][stranger] {
                seers.iter().for_each(|seer| news |= !std::mem::replace(&mut before[*seer][stranger], true));
            }
            if seers.iter().any(|seer| before[stranger][*seer]) {
                news |= !std::mem::replace(&mut before[stranger][*writer], true);
            }
        }
    }
    news
}
