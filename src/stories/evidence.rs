//! The tables that an engineer on call would have: latencies, error counts, sockets, resolver timings.

use serde::Serialize;

/// A table of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What it shows, and where it would come from.
    pub title: String,
    /// The names of the columns.
    pub header: Vec<String>,
    /// The rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(title: impl Into<String>, header: &[&str]) -> Table {
        Table { title: title.into(), header: header.iter().map(|name| name.to_string()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// The value that a share `p` of the values does not exceed (nearest rank); `None` of none.
pub fn percentile(values: &mut [u64], p: f64) -> Option<u64> {
    values.sort_unstable();
    let rank = ((p * values.len() as f64).ceil() as usize).max(1);
    values.get(rank - 1).copied()
}

/// A share as a percentage; NaN of none, which no claim accepts.
pub fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut values = vec![5, 1, 4, 2, 3];
        assert_eq!([0.0, 0.5, 0.99].map(|p| percentile(&mut values, p)), [Some(1), Some(3), Some(5)]);
        assert_eq!(percentile(&mut [], 0.5), None);
        assert!(percent(0, 0).is_nan());
    }
}
