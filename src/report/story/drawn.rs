//! Tables of evidence as charts: which columns are figures, in which unit, and along what they run.

use crate::stories::evidence::Table;
use serde::Serialize;

/// What stands in a cell of which nothing is known.
const NOTHING: &str = "-";

/// A table of evidence with what of it can be drawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// What it shows, and where it would come from.
    pub title: String,
    /// The name of the first column, along which the others run.
    pub along: String,
    /// The first column.
    pub labels: Vec<String>,
    /// Whether the first column is numbers (seconds) and not names.
    pub is_timeline: bool,
    /// The columns that are figures.
    pub series: Vec<Series>,
    /// The whole table, as text.
    pub table: Table,
}

/// A column of figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// The name of the column.
    pub name: String,
    /// The unit that stands in its cells; may be empty.
    pub unit: String,
    /// The figures; `None`: unknown.
    pub values: Vec<Option<f64>>,
}

impl Chart {
    /// What can be drawn of a table.
    pub fn of(table: &Table) -> Chart {
        let column = |at: usize| table.rows.iter().map(move |row| row.get(at).map_or("", String::as_str));
        let labels: Vec<String> = column(0).map(String::from).collect();
        let named = |at: usize| {
            let (unit, values) = figures(column(at))?;
            Some(Series { name: table.header[at].clone(), unit, values })
        };
        Chart {
            title: table.title.clone(),
            along: table.header.first().cloned().unwrap_or_default(),
            is_timeline: figures(column(0)).is_some(),
            labels,
            series: (1..table.header.len()).filter_map(named).collect(),
            table: table.clone(),
        }
    }
}

/// The figures of a column and their unit, if all its cells are figures in one unit, or unknown.
fn figures<'a>(cells: impl Iterator<Item = &'a str>) -> Option<(String, Vec<Option<f64>>)> {
    let mut unit: Option<&str> = None;
    let mut values = Vec::new();
    for cell in cells {
        if cell == NOTHING {
            values.push(None);
            continue;
        }
        let (number, its) = cell.split_once(' ').unwrap_or((cell, ""));
        let value = number.parse::<f64>().ok().filter(|value| value.is_finite())?;
        if *unit.get_or_insert(its) != its {
            return None;
        }
        values.push(Some(value));
    }
    Some((unit?.to_owned(), values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stories::{catalogue, tell};

    fn table(rows: &[[&str; 4]]) -> Table {
        let mut table = Table::new("what is seen", &["second", "served", "median", "by"]);
        rows.iter().for_each(|row| table.row(row.map(String::from)));
        table
    }

    #[test]
    fn a_column_of_figures_in_one_unit_is_drawn() {
        let chart = Chart::of(&table(&[["1", "98 %", "-", "n1"], ["2", "3.5 %", "40", "n2"]]));
        assert!(chart.is_timeline);
        let served = Series { name: "served".into(), unit: "%".into(), values: vec![Some(98.0), Some(3.5)] };
        let median = Series { name: "median".into(), unit: String::new(), values: vec![None, Some(40.0)] };
        assert_eq!(chart.series, [served, median]);
        assert!(!Chart::of(&table(&[["before", "1 %", "-", "-"]])).is_timeline);
    }

    #[test]
    fn a_column_of_two_units_or_of_nothing_is_not_drawn() {
        let chart = Chart::of(&table(&[["1", "98 %", "-", "n1"], ["2", "3 ms", "-", "n2"]]));
        assert_eq!(chart.series, []);
    }

    /// A lesson shows its evidence as pictures: there must be something to draw in each.
    #[test]
    fn the_evidence_of_every_lesson_can_be_drawn() {
        for story in catalogue() {
            let shown = story.model.variant(&story.lesson.evidence);
            let told = tell(&*story.model, shown, 7).unwrap();
            let tables = || told.runs[0].observed.evidence.iter();
            assert!(tables().any(|table| !Chart::of(table).series.is_empty()), "{}", story.name);
            let lines = tables().flat_map(|table| &table.rows).count();
            assert!(lines > 0, "{}", story.name);
        }
    }
}
