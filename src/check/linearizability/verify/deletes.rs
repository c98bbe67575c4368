//! Counts deletes: reads of absence that each need a delete of their own, and fewer deletes that can serve them.

use super::super::{DeleteNeeded, Life};
use super::{Row, before, seen, wrote};
use crate::history::columns::{Ending, NEVER_NS};

/// A stretch of time. Ends are exact where tied events matter: an invocation at `t` is `2 t`, a completion `2 t + 1`.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    low: u128,
    high: u128,
}

fn began(row: &Row) -> u128 {
    2 * u128::from(row.start_ns)
}

fn ended(row: &Row) -> u128 {
    if row.end_ns == NEVER_NS { u128::MAX } else { 2 * u128::from(row.end_ns) + 1 }
}

/// Confirms that the reads of `needs` compete for too few deletes. `rows` are the witness's operations, `all` those of
/// the key.
pub(super) fn too_few(
    rows: &[Row],
    all: &[Row],
    needs: &[DeleteNeeded],
    deletes: &[u32],
    lives: &[Life],
) -> Result<(), String> {
    let happened = before::happened(rows, all);
    let rows: Vec<Row> = rows.iter().zip(&happened).filter(|(_, happened)| **happened).map(|(row, _)| *row).collect();
    let rows = &rows[..];
    let lives: Vec<Stretch> = lives.iter().map(|life| stretch(rows, all, life)).collect::<Result<_, _>>()?;
    if lives.iter().any(|life| life.low >= life.high) {
        return Err("a chain that fits into one point takes no room from others".to_owned());
    }
    // Only the chain itself can happen inside its life, so intervals end where a life begins.
    let outside = |low: u128, high: u128| {
        let inside = |instant: u128| lives.iter().find(|life| life.low < instant && instant < life.high);
        Stretch { low: inside(low).map_or(low, |life| life.high), high: inside(high).map_or(high, |life| life.low) }
    };
    let mut windows = Vec::new();
    for need in needs {
        let read = find(rows, need.read)?;
        if read.ending != Ending::Ok || seen(read) != Some(None) {
            return Err(format!("operation {} did not read absence", read.id));
        }
        let read = outside(began(read), ended(read));
        let chain = stretch(rows, all, &need.after)?;
        let (chain_is_over, delete_after) = match chain.low < chain.high {
            // Live during the whole stretch: a read that does not begin before its end comes after it.
            true => (read.low >= chain.high, chain.high),
            // At one point between the last invocation and the first answer.
            false => {
                let point = outside(chain.high, chain.low);
                (point.high < read.low, point.low)
            }
        };
        if !chain_is_over {
            return Err("a read of absence may come before the chain it is said to follow".to_owned());
        }
        windows.push(Stretch { low: delete_after, high: read.high });
    }
    windows.sort_by_key(|window| window.low);
    if windows.windows(2).any(|pair| pair[1].low <= pair[0].high) {
        return Err("one delete could serve two of the reads".to_owned());
    }
    let mut able = 0;
    for delete in all.iter().filter(|row| wrote(row) == Some(None)) {
        let when = outside(began(delete), ended(delete));
        if windows.iter().any(|window| when.low <= window.high && window.low <= when.high) {
            able += 1;
            if !deletes.contains(&delete.id) {
                return Err(format!("delete {} can serve one of the reads, and was left out", delete.id));
            }
        }
    }
    match able < windows.len() {
        true => Ok(()),
        false => Err(format!("{able} deletes can serve {} reads", windows.len())),
    }
}

fn find(rows: &[Row], id: u32) -> Result<&Row, String> {
    rows.iter()
        .find(|row| row.id == id)
        .ok_or(format!("operation {id} is not in the witness, or may not have happened"))
}

/// From the first answer to the last invocation in a chain (the other way round if it fits into one point).
fn stretch(rows: &[Row], all: &[Row], life: &Life) -> Result<Stretch, String> {
    let writes: Vec<&Row> = life.writes.iter().map(|id| find(rows, *id)).collect::<Result<_, _>>()?;
    for write in &writes {
        let value = wrote(write).flatten().ok_or(format!("operation {} writes no value", write.id))?;
        if all.iter().filter(|row| wrote(row) == Some(Some(value))).count() != 1 {
            return Err(format!("operation {} is not the only one to write {value}", write.id));
        }
    }
    if writes.windows(2).any(|pair| seen(pair[1]) != wrote(pair[0])) {
        return Err("a chain's writes do not follow from each other".to_owned());
    }
    let of_chain = |id: Option<u32>| -> Result<&Row, String> {
        let row = find(rows, id.ok_or("the initial absence is no chain on a key with deletes")?)?;
        let home = wrote(row).flatten().or(seen(row).flatten());
        match home.is_some() && writes.iter().any(|write| wrote(write) == Some(home)) {
            true => Ok(row),
            false => Err(format!("operation {} is not part of its chain", row.id)),
        }
    };
    Ok(Stretch { low: ended(of_chain(life.ended_first)?), high: began(of_chain(life.began_last)?) })
}
