//! Every order, tried: the oracle of the fuzzing, and the confirmation of the search's witnesses.

use super::{Object, may_write, seen, wrote};
use crate::history::Columns;
use crate::history::columns::{Call, Ending, Labels, NEVER_NS, Row};
use std::collections::BTreeSet;

/// Whether some order explains `rows`, operations of one key; `None` if that takes more than `limit` steps.
pub fn orderable(rows: &[Row], labels: &Labels, limit: u64) -> Option<bool> {
    let mut attempt = Attempt { rows, left: limit, dead: BTreeSet::new() };
    attempt.from(&mut vec![false; rows.len()], &Object::new(labels.clone()))
}

struct Attempt<'a> {
    rows: &'a [Row],
    left: u64,
    /// What was done and the state, where going on is known to fail.
    dead: BTreeSet<(Vec<bool>, Option<u64>)>,
}

impl Attempt<'_> {
    fn from(&mut self, done: &mut Vec<bool>, object: &Object) -> Option<bool> {
        let missing = |at: &usize| !done[*at] && self.rows[*at].ending == Ending::Ok;
        // Nothing may go first that began after some missing operation was over.
        let first_end_ns = (0..self.rows.len()).filter(missing).map(|at| self.rows[at].end_ns).min();
        let Some(first_end_ns) = first_end_ns else { return Some(true) };
        self.left = self.left.checked_sub(1)?;
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

/// Confirms that `rows` have no order even if those running at `until_ns` need not have happened, and that
/// nothing among `all` which matters was left out.
pub(super) fn refutes(columns: &Columns, rows: &[Row], all: &[Row], until_ns: u64) -> Result<(), String> {
    // What saw a value depends on every write of it. What only knows what the value was not depends on every write.
    let unclear = |row: &Row| {
        let vague = matches!(row.call, Call::CasMismatch { found: None, .. } | Call::DeleteTold { found: true });
        vague || matches!(row.call, Call::Append(_))
    };
    let all_matter = all.iter().any(unclear);
    let matters = |row: &Row| may_write(row) && (all_matter || rows.iter().any(|kept| seen(kept) == wrote(row)));
    let left_out = all.iter().filter(|row| row.start_ns < until_ns && matters(row));
    if let Some(row) = left_out.into_iter().find(|row| !rows.iter().any(|kept| kept.id == row.id)) {
        return Err(format!("operation {} writes what others saw, and was left out", row.id));
    }
    let cut: Vec<Row> = rows
        .iter()
        .filter(|row| may_write(row) || (row.end_ns <= until_ns && row.ending == Ending::Ok))
        .map(|row| match row.end_ns <= until_ns && row.end_ns != NEVER_NS {
            true => *row,
            false => Row { ending: Ending::Info, end_ns: NEVER_NS, ..*row },
        })
        .collect();
    match orderable(&cut, &columns.labels, 5_000_000) {
        Some(false) => Ok(()),
        Some(true) => Err("the operations of the witness have an order".to_owned()),
        None => Err("too many orders to try them all again".to_owned()),
    }
}
