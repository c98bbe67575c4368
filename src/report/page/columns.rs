//! Rows of any shape as columns of small integers, which compress well and are read back fast.
//!
//! A row is serde's form of a value: nested fields are named by their path (`message.host`). So a new kind of row, or
//! a new field, needs no line here. In a column of numbers each cell is the difference to the one before; texts and
//! hashes are numbered in order of first appearance. An absent cell is null.

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The largest number that JavaScript reads exactly.
const EXACT: u64 = 1 << 53;

/// Fields that are hashes: they only show which values are equal.
const HASHES: [&str; 3] = ["payload", "outcome", "state"];

/// Numbers for the hashes of one run, so that equal ones are equal in every column.
#[derive(Debug, Default)]
pub struct Hashes(BTreeMap<u64, i64>);

impl Hashes {
    fn number(&mut self, hash: u64) -> i64 {
        let next = self.0.len() as i64;
        *self.0.entry(hash).or_insert(next)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Absent,
    Small(i64),
    Large(u64),
    Text(String),
}

/// Rows of one kind.
#[derive(Debug, Default)]
pub struct Table {
    rows: usize,
    columns: BTreeMap<String, Vec<Cell>>,
}

impl Table {
    /// Appends a row.
    pub fn push(&mut self, value: &Value) {
        self.flatten("", value);
        self.rows += 1;
        for column in self.columns.values_mut() {
            column.resize(self.rows, Cell::Absent);
        }
    }

    fn flatten(&mut self, path: &str, value: &Value) {
        let cell = match value {
            Value::Null => return,
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.flatten(&path, value);
                }
                return;
            }
            Value::Bool(it_is) => Cell::Small(i64::from(*it_is)),
            Value::String(text) => Cell::Text(text.clone()),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(small), _) if small.unsigned_abs() <= EXACT => Cell::Small(small),
                (_, Some(large)) => Cell::Large(large),
                _ => Cell::Text(number.to_string()),
            },
            Value::Array(_) => Cell::Text(value.to_string()),
        };
        let column = self.columns.entry(path.to_owned()).or_default();
        column.resize(self.rows, Cell::Absent);
        column.push(cell);
    }

    /// The columns by name, and the number of rows.
    pub fn encode(&self, hashes: &mut Hashes) -> Value {
        let columns: BTreeMap<_, _> =
            self.columns.iter().map(|(name, cells)| (name, encode(name, cells, hashes))).collect();
        json!({ "rows": self.rows, "columns": columns })
    }
}

fn encode(name: &str, cells: &[Cell], hashes: &mut Hashes) -> Value {
    let is_hash = HASHES.contains(&name);
    // A number that JavaScript cannot hold makes its whole column text.
    let is_text = |cell: &Cell| matches!(cell, Cell::Text(_)) || (!is_hash && matches!(cell, Cell::Large(_)));
    if cells.iter().any(is_text) {
        return texts(cells);
    }
    let numbers = cells.iter().map(|cell| match cell {
        Cell::Small(small) if is_hash => Some(hashes.number(*small as u64)),
        Cell::Small(small) => Some(*small),
        Cell::Large(large) => Some(hashes.number(*large)),
        Cell::Absent | Cell::Text(_) => None,
    });
    json!({ (if is_hash { "hashes" } else { "numbers" }): deltas(numbers) })
}

fn texts(cells: &[Cell]) -> Value {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut words = Vec::new();
    let number = |cell: &Cell| {
        let text = match cell {
            Cell::Absent => return None,
            Cell::Small(small) => small.to_string(),
            Cell::Large(large) => large.to_string(),
            Cell::Text(text) => text.clone(),
        };
        Some(*known.entry(text.clone()).or_insert_with(|| {
            words.push(text);
            words.len() - 1
        }))
    };
    let cells: Vec<_> = cells.iter().map(number).collect();
    json!({ "texts": cells, "words": words })
}

/// Each number as its difference to the one before; an absent one changes nothing.
pub fn deltas(numbers: impl IntoIterator<Item = Option<i64>>) -> Vec<Option<i64>> {
    let mut last = 0;
    let delta = |number: i64| {
        let delta = number - last;
        last = number;
        delta
    };
    let mut delta = delta;
    numbers.into_iter().map(|number| number.map(&mut delta)).collect()
}

/// The name and the fields of an enum's value: `{"send": {..}}`, or `"crash"` for one without fields.
pub fn variant<T: Serialize>(value: &T) -> (String, Value) {
    match serde_json::to_value(value).expect("rows serialize as JSON") {
        Value::Object(fields) if fields.len() == 1 => fields.into_iter().next().expect("there is one"),
        Value::String(name) => (name, Value::Null),
        other => ("?".into(), other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{HostId, LogPosition, What};

    fn encoded(rows: &[Value]) -> Value {
        let mut table = Table::default();
        rows.iter().for_each(|row| table.push(row));
        table.encode(&mut Hashes::default())
    }

    #[test]
    fn numbers_are_differences_and_absence_is_null() {
        let rows = [json!({ "a": 5, "b": { "c": 1 } }), json!({ "a": 7, "b": null }), json!({ "a": 4, "d": true })];
        assert_eq!(
            encoded(&rows),
            json!({ "rows": 3, "columns": {
                "a": { "numbers": [5, 2, -3] },
                "b.c": { "numbers": [1, null, null] },
                "d": { "numbers": [null, null, 1] },
            } })
        );
    }

    #[test]
    fn texts_and_hashes_are_numbered_as_they_appear() {
        let rows = [
            json!({ "s": "x", "payload": u64::MAX, "n": 7 }),
            json!({ "s": "y", "payload": 3, "n": u64::MAX }),
            json!({ "s": "x" }),
        ];
        assert_eq!(
            encoded(&rows),
            json!({ "rows": 3, "columns": {
                "n": { "texts": [0, 1, null], "words": ["7", "18446744073709551615"] },
                "payload": { "hashes": [0, 1, null] },
                "s": { "texts": [0, 1, 0], "words": ["x", "y"] },
            } })
        );
    }

    #[test]
    fn an_event_of_any_kind_is_a_row() {
        assert_eq!(variant(&What::Crash), ("crash".into(), Value::Null));
        let at = LogPosition { term: 2, leader: HostId(1), index: 9 };
        let (name, fields) = variant(&What::Append { at, payload: 1, command: None });
        assert_eq!((name.as_str(), &fields["at"]["index"]), ("append", &json!(9)));
    }
}
