//! The operations of a witness as intervals, in text.

use super::{operation_text, time};
use crate::check::linearizability::Witness;
use crate::check::linearizability::witness::Reason;
use crate::history::Columns;
use crate::history::columns::{Call, INITIAL_CLIENT, NEVER_NS, Row};
use std::fmt::Write;

/// How much of a long argument to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The operations that the argument cannot do without, and others up to [`Extent::MOST`] operations in all.
    Core,
    /// Every operation.
    All,
}

impl Extent {
    /// More operations than this do not make a picture clearer.
    pub const MOST: usize = 24;

    /// How many writes of the value that was seen are shown, before operations that are near in time.
    const WRITES: usize = 3;
}

/// One line of a picture.
pub(super) enum Line {
    Bar(Bar),
    /// A number of operations left out.
    Gap(usize),
}

/// One bar: where it begins and ends, in steps of the time axis; the end is missing if the outcome is unknown.
pub(super) struct Bar {
    pub row: Row,
    pub who: String,
    pub what: String,
    pub when: String,
    pub from: usize,
    pub to: Option<usize>,
}

/// The witness's operations that a picture shows, in order. They always include the operation that breaks the history.
/// Then come operations named by the argument, then the nearest writes of the value that was seen, then those nearest
/// in time.
pub fn shown(columns: &Columns, witness: &Witness, extent: Extent) -> Vec<u32> {
    let all = &witness.operations;
    if extent == Extent::All || all.len() <= Extent::MOST {
        return all.clone();
    }
    let row = |id: &u32| columns.find(*id).map(|at| columns.row(at));
    let mut chosen = witness.reason.essential();
    if let Reason::NoOrder { breaks: None, until_ns, .. } = witness.reason {
        // It is unknown which answer breaks the history, but it is one of the last.
        let last = all.iter().filter(|id| row(id).is_some_and(|row| row.end_ns == until_ns)).copied();
        chosen.splice(..0, last);
    }
    let first = chosen.first().and_then(row);
    let seen = first.and_then(|row| match row.call {
        Call::Get(value) | Call::Cas { expected: value, .. } | Call::CasMismatch { found: Some(value), .. } => value,
        _ => None,
    });
    let writes_it =
        |row: &Row| matches!(row.call, Call::Put(value) | Call::Cas { new: value, .. } if Some(value) == seen);
    let at_ns = first.map_or(witness.at_ns, |row| row.start_ns);
    let mut others: Vec<Row> = all.iter().filter_map(row).collect();
    others.sort_by_key(|row| (row.start_ns.abs_diff(at_ns), row.id));
    chosen.extend(others.iter().filter(|row| writes_it(row)).take(Extent::WRITES).map(|row| row.id));
    chosen.extend(others.iter().map(|row| row.id));
    let mut distinct: Vec<u32> = Vec::new();
    for id in chosen {
        if distinct.len() < Extent::MOST && !distinct.contains(&id) {
            distinct.push(id);
        }
    }
    all.iter().copied().filter(|id| distinct.contains(id)).collect()
}

/// Places the witness's operations on an axis with one step per distinct instant: their order matters, not their
/// duration. Returns the lines and the number of steps.
pub(super) fn lines(columns: &Columns, witness: &Witness, extent: Extent) -> (Vec<Line>, usize) {
    let shown = shown(columns, witness, extent);
    let rows: Vec<Row> = shown.iter().filter_map(|id| columns.find(*id)).map(|at| columns.row(at)).collect();
    // Invocations come before answers at equal times.
    let mut instants: Vec<(u64, bool)> =
        rows.iter().flat_map(|row| [(row.start_ns, false), (row.end_ns, true)]).collect();
    instants.retain(|(at, _)| *at != NEVER_NS);
    instants.sort_unstable();
    instants.dedup();
    let step = |instant| instants.binary_search(&instant).expect("every instant has its step");
    let bar = |row: Row| Bar {
        who: if row.client == INITIAL_CLIENT { "at first".to_owned() } else { format!("client {}", row.client) },
        what: operation_text(columns, &row),
        when: match row.end_ns {
            _ if row.client == INITIAL_CLIENT => String::new(),
            NEVER_NS => format!("{}, unknown", time(row.start_ns)),
            end_ns => format!("{} to {}", time(row.start_ns), time(end_ns)),
        },
        from: step((row.start_ns, false)),
        to: (row.end_ns != NEVER_NS).then(|| step((row.end_ns, true))),
        row,
    };
    let (mut lines, mut left_out) = (Vec::new(), 0);
    let mut bars = rows.into_iter().map(bar).peekable();
    for id in &witness.operations {
        match bars.next_if(|bar| bar.row.id == *id) {
            Some(bar) => {
                if left_out > 0 {
                    lines.push(Line::Gap(std::mem::take(&mut left_out)));
                }
                lines.push(Line::Bar(bar));
            }
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        lines.push(Line::Gap(left_out));
    }
    (lines, instants.len())
}

/// The text in place of operations that are left out.
pub(super) fn gap_text(left_out: usize) -> String {
    format!("... {left_out} more operation{} of the argument", if left_out == 1 { "" } else { "s" })
}

/// Draws a witness for a terminal of `width` columns, in ASCII unless `unicode`. Ends with a line break.
pub fn diagram(columns: &Columns, witness: &Witness, width: usize, unicode: bool, extent: Extent) -> String {
    let (lines, steps) = lines(columns, witness, extent);
    let [open, line, close, fading] = if unicode { ['├', '─', '┤', '┄'] } else { ['|', '-', '|', '.'] };
    let bars = || lines.iter().filter_map(|line| if let Line::Bar(bar) = line { Some(bar) } else { None });
    let longest = |text: fn(&Bar) -> &String| bars().map(|bar| text(bar).chars().count()).max().unwrap_or(0);
    let (who, what, when) = (longest(|bar| &bar.who), longest(|bar| &bar.what), longest(|bar| &bar.when));
    // At least one column for each step, or the order of operations would not show.
    let axis = width.saturating_sub(who + what + when + 6).clamp(steps.max(2), 8 * steps.max(1));
    let place = |step: usize| if steps <= 1 { 0 } else { step * (axis - 1) / (steps - 1) };
    let mut text = String::new();
    for drawn in &lines {
        let bar = match drawn {
            Line::Bar(bar) => bar,
            Line::Gap(left_out) => {
                let _ = writeln!(text, "{}", gap_text(*left_out));
                continue;
            }
        };
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
    text
}
