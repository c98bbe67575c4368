//! Tries every order: the oracle of the fuzzing, and the confirmation of the search's witnesses.

use super::{Object, Unconfirmed, may_write, precedes, seen, wrote};
use crate::history::Columns;
use crate::history::columns::{Call, Ending, Labels, NEVER_NS, Row};
use std::collections::BTreeSet;

/// How much a confirmation may cost: situations examined, times operations.
const WORK: u64 = 20_000_000;

/// More operations than this are not tried at all: the attempt goes as deep as there are operations.
const MOST: usize = 5_000;

/// Whether some order explains `rows`, operations of one key; `None` if that takes more than `limit`, counted in
/// situations examined times operations.
pub fn orderable(rows: &[Row], labels: &Labels, limit: u64) -> Option<bool> {
    let mut attempt = Attempt { rows, left: limit, dead: BTreeSet::new() };
    // Texts matter to appends only, and are copied at every step.
    let appends = rows.iter().any(|row| matches!(row.call, Call::Append(_)));
    let labels = if appends { labels.clone() } else { Labels::default() };
    attempt.from(&mut vec![false; rows.len()], &Object::new(labels))
}

struct Attempt<'a> {
    rows: &'a [Row],
    left: u64,
    /// Operations done and the state, where going on is known to fail.
    dead: BTreeSet<(Vec<bool>, Option<u64>)>,
}

impl Attempt<'_> {
    fn from(&mut self, done: &mut Vec<bool>, object: &Object) -> Option<bool> {
        let missing = |at: &usize| !done[*at] && self.rows[*at].ending == Ending::Ok;
        // An operation that began after some missing operation was over cannot go first.
        let first_end_ns = (0..self.rows.len()).filter(missing).map(|at| self.rows[at].end_ns).min();
        let Some(first_end_ns) = first_end_ns else { return Some(true) };
        self.left = self.left.checked_sub(self.rows.len() as u64)?;
        if self.dead.contains(&(done.clone(), object.state)) {
            return Some(false);
        }
        for at in 0..self.rows.len() {
            let mut after = object.clone();
            if done[at] || self.rows[at].start_ns > first_end_ns || !after.apply(self.rows[at].call) {
                continue;
            }
            done[at] = true;
            let possible = self.from(done, &after)?;
            done[at] = false;
            if possible {
                return Some(true);
            }
        }
        self.dead.insert((done.clone(), object.state));
        Some(false)
    }
}

/// Confirms that `rows` have no order even if the operations running at `until_ns` need not have happened, and that no
/// operation of `all` which matters was left out. With `since`, a read, the key held what it read when it took effect:
/// so operations that were over before it began do not matter, and operations that ran beside it may have come first.
pub(super) fn refutes(
    columns: &Columns,
    rows: &[Row],
    all: &[Row],
    since: Option<u32>,
    until_ns: u64,
) -> Result<(), Unconfirmed> {
    let since = match since.map(|id| rows.iter().find(|row| row.id == id)) {
        None => None,
        Some(Some(row)) if row.ending == Ending::Ok && row.end_ns <= until_ns && !may_write(row) => Some(*row),
        Some(_) => return Err("the argument starts from what is no read of the witness".to_owned().into()),
    };
    let held = match since.map(|row| seen(&row)) {
        Some(None) => return Err("the read that the argument starts from does not tell what it saw".to_owned().into()),
        Some(Some(held)) => held,
        None => None,
    };
    let over = |row: &Row| since.is_some_and(|since| precedes(row, &since));
    let beside = |row: &Row| since.is_some_and(|since| !precedes(&since, row));
    let rows: Vec<Row> = rows.iter().filter(|row| !over(row)).copied().collect();
    // An operation that saw a value depends on every write of it. One that only knows what the value was not depends on
    // every write.
    let unclear = |row: &Row| {
        let vague = matches!(row.call, Call::CasMismatch { found: None, .. } | Call::DeleteTold { found: true });
        vague || matches!(row.call, Call::Append(_))
    };
    let all_matter = all.iter().any(unclear);
    let sees = |kept: &Row, row: &Row| since.is_none_or(|since| since.id != kept.id) && seen(kept) == wrote(row);
    let matters = |row: &Row| may_write(row) && (all_matter || rows.iter().any(|kept| sees(kept, row)));
    let left_out = all.iter().filter(|row| row.start_ns < until_ns && !over(row) && matters(row));
    if let Some(row) = left_out.into_iter().find(|row| !rows.iter().any(|kept| kept.id == row.id)) {
        return Err(format!("operation {} writes what others saw, and was left out", row.id).into());
    }
    let cut: Vec<Row> = rows
        .iter()
        .filter(|row| may_write(row) || since.is_some_and(|since| since.id == row.id) || !beside(row))
        .filter(|row| may_write(row) || (row.end_ns <= until_ns && row.ending == Ending::Ok))
        .map(|row| match row.end_ns <= until_ns && row.end_ns != NEVER_NS {
            // The read becomes a write that makes the key hold what it read.
            true if since.is_some_and(|since| since.id == row.id) => {
                Row { call: held.map_or(Call::Delete, Call::Put), ..*row }
            }
            true if !beside(row) => *row,
            _ => Row { ending: Ending::Info, end_ns: NEVER_NS, ..*row },
        })
        .collect();
    let orderable = if cut.len() > MOST { None } else { orderable(&cut, &columns.labels, WORK) };
    match orderable {
        Some(false) => Ok(()),
        Some(true) => Err("the operations of the witness have an order".to_owned().into()),
        None => {
            Err(Unconfirmed::Budget(format!("{} operations have too many orders to try them all again", cut.len())))
        }
    }
}
