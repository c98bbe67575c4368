//! Delta debugging: leaves out as many items of a list as possible, large parts first.

use super::search::Search;
use crate::scenario::Scenario;

/// Leaves out items of the best scenario, in parts that are halved down to `finest` items; with `finest` 1
/// none of the remaining items can be left out alone. `items` returns how many there are; `without` leaves out
/// those from the first index up to the second. Returns whether anything was left out.
pub(super) fn ddmin(
    search: &mut Search<'_>,
    finest: usize,
    items: impl Fn(&Scenario) -> usize,
    without: impl Fn(&Scenario, usize, usize) -> Option<Scenario>,
) -> bool {
    let mut part = items(search.best());
    let mut changed = false;
    while part >= finest.max(1) {
        let mut removed = false;
        let mut at = 0;
        loop {
            let base = search.best().clone();
            let (count, base, without) = (items(&base), &base, &without);
            let starts = (at..count).step_by(part);
            let parts = starts.map(|start| without(base, start, (start + part).min(count)));
            match search.first(parts) {
                // The items after the gap have moved up into it.
                Some(place) => at += place * part,
                None => break,
            }
            removed = true;
        }
        changed |= removed;
        if search.is_spent() {
            break;
        }
        let count = items(search.best());
        part = match part {
            // Another round: an item that was needed before may not be needed now.
            1 if removed => 1,
            1 => 0,
            part => (part.min(count.max(1)) / 2).max(1),
        };
    }
    changed
}
