//! The operations of a witness as intervals, in text.

use super::{operation_text, time};
use crate::check::linearizability::Witness;
use crate::history::Columns;
use crate::history::columns::{NEVER_NS, Row};
use std::fmt::Write;

/// More operations than this do not make a picture clearer.
const MOST: usize = 24;

/// One bar: where it begins and ends, in steps of the time axis; the end is missing if the outcome is unknown.
pub(super) struct Bar {
    pub row: Row,
    pub who: String,
    pub what: String,
    pub when: String,
    pub from: usize,
    pub to: Option<usize>,
}

/// Places the witness's operations on an axis with one step per distinct instant: what matters is what comes before
/// what, not how long it took. Returns the bars and the number of steps.
pub(super) fn bars(columns: &Columns, witness: &Witness) -> (Vec<Bar>, usize) {
    let mut rows: Vec<Row> =
        witness.operations.iter().filter_map(|id| columns.find(*id)).map(|at| columns.row(at)).collect();
    rows.truncate(MOST);
    // Invocations come before answers at equal times.
    let mut instants: Vec<(u64, bool)> =
        rows.iter().flat_map(|row| [(row.start_ns, false), (row.end_ns, true)]).collect();
    instants.retain(|(at, _)| *at != NEVER_NS);
    instants.sort_unstable();
    instants.dedup();
    let step = |instant| instants.binary_search(&instant).expect("every instant has its step");
    let bar = |row: Row| Bar {
        who: format!("client {}", row.client),
        what: operation_text(columns, &row),
        when: match row.end_ns {
            NEVER_NS => format!("{}, unknown", time(row.start_ns)),
            end_ns => format!("{} to {}", time(row.start_ns), time(end_ns)),
        },
        from: step((row.start_ns, false)),
        to: (row.end_ns != NEVER_NS).then(|| step((row.end_ns, true))),
        row,
    };
    (rows.into_iter().map(bar).collect(), instants.len())
}

/// Draws a witness for a terminal of `width` columns, in ASCII unless `unicode`. Ends with a line break.
pub fn diagram(columns: &Columns, witness: &Witness, width: usize, unicode: bool) -> String {
    let (bars, steps) = bars(columns, witness);
    let [open, line, close, fading] = if unicode { ['├', '─', '┤', '┄'] } else { ['|', '-', '|', '.'] };
    let longest = |text: fn(&Bar) -> &String| bars.iter().map(|bar| text(bar).chars().count()).max().unwrap_or(0);
    let (who, what, when) = (longest(|bar| &bar.who), longest(|bar| &bar.what), longest(|bar| &bar.when));
    // At least two columns a step, or bars of one step would not show.
    let axis = width.saturating_sub(who + what + when + 6).clamp(2 * steps, 8 * steps.max(1));
    let place = |step: usize| if steps <= 1 { 0 } else { step * (axis - 1) / (steps - 1) };
    let mut text = String::new();
    for bar in &bars {
        let (from, to) = (place(bar.from), bar.to.map_or(axis - 1, place));
        let drawn: String = (0..axis)
            .map(|at| match at {
                _ if at == from => open,
                _ if Some(at) == bar.to.map(place) => close,
                _ if from < at && at <= to => {
                    if bar.to.is_some() {
                        line
                    } else {
                        fading
                    }
                }
                _ => ' ',
            })
            .collect();
        let line = format!("{:who$}  {:what$}  {drawn}  {}", bar.who, bar.what, bar.when);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if witness.operations.len() > bars.len() {
        let _ = writeln!(text, "and {} more", witness.operations.len() - bars.len());
    }
    text
}
