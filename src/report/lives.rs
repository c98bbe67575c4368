//! The requests of a run for a page: what each was doing, in microseconds. Spans follow each other, so that one needs only
//! to say how long it takes.

use crate::run::life::{Life, Part};
use serde::Serialize;
use std::collections::BTreeMap;

/// The requests of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lives {
    /// What spans are called.
    whats: Vec<(Part, String)>,
    /// One row a request: when it was offered; when it ended, or -1; 1 if it was served, 0 if not, -1 if that is not known;
    /// then for each span the index of what it is called, and how long it takes.
    rows: Vec<Vec<i64>>,
}

impl Lives {
    /// The requests in order of time.
    pub fn of(lives: &[Life]) -> Lives {
        let mut known: BTreeMap<(Part, &str), i64> = BTreeMap::new();
        let mut whats = Vec::new();
        let mut rows = Vec::new();
        for life in lives {
            let mut row = head(life).to_vec();
            for span in &life.spans {
                let next = whats.len() as i64;
                let at = *known.entry((span.part, span.what.as_str())).or_insert(next);
                if at == next {
                    whats.push((span.part, span.what.clone()));
                }
                // From rounded instants, so that rounded spans add up to the rounded latency.
                row.extend([at, us(span.until_ns) - us(span.from_ns)]);
            }
            rows.push(row);
        }
        Lives { whats, rows }
    }
}

fn us(ns: u64) -> i64 {
    (ns / 1000) as i64
}

fn head(life: &Life) -> [i64; 3] {
    [us(life.at_ns), life.ended_ns.map_or(-1, us), life.served.map_or(-1, i64::from)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::life::Span;

    #[test]
    fn rounded_spans_add_up_to_the_rounded_latency() {
        let span = |part, what: &str, from_ns, until_ns| Span { part, what: what.into(), from_ns, until_ns };
        let spans = vec![
            span(Part::Distance, "there", 1_500, 3_900),
            span(Part::Queueing, "queue", 3_900, 7_100),
            span(Part::Distance, "there", 7_100, 9_999),
        ];
        let lives =
            Lives::of(&[Life::new(1_500, Some(9_999), true, spans), Life::new(12_000, None, false, Vec::new())]);
        assert_eq!(lives.whats, [(Part::Distance, "there".to_owned()), (Part::Queueing, "queue".to_owned())]);
        assert_eq!(lives.rows, [vec![1, 9, 1, 0, 2, 1, 4, 0, 2], vec![12, -1, 0]]);
        let spans: i64 = lives.rows[0][3..].chunks(2).map(|span| span[1]).sum();
        assert_eq!(spans, lives.rows[0][1] - lives.rows[0][0]);
    }
}
