//! The kinds of fault: as a list for a terminal, and as the table of `docs/FAULTS.md`.

use super::style::{Style, WIDTH, hang, wrap};
use crate::fault::kind::{Drawn, Sort};
use crate::fault::kinds::FaultKind;

/// Where the table begins in a document.
const BEGIN: &str = "<!-- made by `cargo run -- list --faults --markdown docs/FAULTS.md` -->\n";
/// Where it ends.
const END: &str = "<!-- end of what is made -->\n";
/// Columns of the document.
const COLUMNS: usize = 120;

/// For a terminal: each kind with what happens, its fields, and whether the nemesis chooses it.
pub fn text(style: Style) -> String {
    let width = FaultKind::NAMES.iter().map(|name| name.len()).max().unwrap_or(0) + 2;
    let entry = |sort: &Sort| {
        let fields: Vec<String> = sort.fields.iter().map(|field| format!("{}: {}", field.name, field.words)).collect();
        let told = format!("{}. Fields: {}.", sort.does, fields.join("; "));
        hang(&format!("{:width$}", sort.name), &told, width) + "\n"
    };
    let list: String = FaultKind::SORTS.iter().map(entry).collect();
    let end = wrap("docs/FAULTS.md says more, and what the nemesis makes of them.", WIDTH, 0);
    style.plain_text(&format!("{list}\n{end}\n"))
}

fn row(sort: &Sort) -> String {
    let fields: Vec<String> = sort.fields.iter().map(|field| format!("`{}`", field.name)).collect();
    let drawn = match sort.drawn {
        Drawn::Freely => "freely".to_owned(),
        Drawn::IfNamed => "if named".to_owned(),
        Drawn::Never(because) => format!("never: {because}"),
    };
    format!("| `{}` | {} | {} | {drawn} |\n", sort.name, fields.join(", "), sort.does)
}

/// The generated part of the document: which kinds take roles, and a row for each kind.
fn table() -> String {
    let roles = format!("Roles are allowed in {}; the others name hosts.", FaultKind::role_takers().join(", "));
    let rows: String = FaultKind::SORTS.iter().map(row).collect();
    let head = "| fault | fields | what happens | the nemesis draws it |\n|---|---|---|---|\n";
    format!("\n{}\n\n{head}{rows}\n", wrap(&roles, COLUMNS, 0))
}

/// A document with its table of faults generated again.
///
/// # Errors
/// If it has no place for the table, in words for people.
pub fn written(document: &str) -> Result<String, String> {
    let missing = || format!("there is no place for the table: write the lines\n{BEGIN}{END}where it belongs");
    let (before, rest) = document.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_the_table_stays() {
        let made = written(&format!("before\n{BEGIN}as it was\n{END}after\n")).unwrap();
        assert!(made.starts_with("before\n") && made.ends_with("after\n") && !made.contains("as it was"));
        assert_eq!(written(&made).as_ref(), Ok(&made));
        assert!(written("a page without it").unwrap_err().contains(BEGIN));
        assert!(FaultKind::SORTS.iter().all(|sort| made.contains(&row(sort))));
    }

    #[test]
    fn the_list_fits_a_terminal() {
        let text = text(Style::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(FaultKind::NAMES.iter().all(|name| text.lines().any(|line| line.starts_with(name))));
    }
}
