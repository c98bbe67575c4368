//! Parses text into a checked scenario, or into an error that points at the line.

use super::bounds;
use super::compact;
use super::suggest::allowed;
use super::validate::{Complaint, Step, validate};
use super::{Explicit, Recorded, Scenario, VERSION};
use crate::fault::model::{Fault, FaultKind};
use crate::history::visible::{masked, visible};
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

/// `file:line:column`, or the file alone where there is no text to point at.
fn place(file: &str, line: usize, column: usize) -> String {
    if line == 0 { file.to_string() } else { format!("{file}:{line}:{column}") }
}

/// A scenario file that cannot be used: where, why, and what is allowed.
#[derive(Clone, thiserror::Error, Diagnostic)]
#[error("{}: {}", place(.file, *.line, *.column), .problem)]
#[diagnostic(code(schism::scenario))]
pub struct ScenarioError {
    /// The file's name, or what is used in its place.
    pub file: String,
    /// The line concerned, from 1; 0 if there is no text at all.
    pub line: usize,
    /// The column concerned, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What is allowed.
    #[help]
    pub help: Option<String>,
    #[source_code]
    text: Arc<NamedSource<String>>,
    #[label("here")]
    span: Option<SourceSpan>,
}

/// A longer line is not shown, only its position: the message would be unreadable.
const SHOWN_BYTES: usize = 1_000;

impl ScenarioError {
    fn at(file: &str, text: &str, span: Range<usize>, problem: String, help: Option<String>) -> ScenarioError {
        let start = span.start.min(text.len());
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        // One line is enough to point at: a whole table would hide the message.
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let length = span.end.min(line_end).saturating_sub(start).max(1);
        ScenarioError {
            file: visible(file).into_owned(),
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            problem: visible(&problem).into_owned(),
            help: help.map(|help| visible(&help).into_owned()),
            text: Arc::new(NamedSource::new(visible(file), masked(text).into_owned())),
            span: (line_end - line_start <= SHOWN_BYTES).then(|| (start, length).into()),
        }
    }

    /// An error about a file as a whole: it cannot be found or read.
    pub(super) fn without_text(file: &str, problem: String, help: String) -> ScenarioError {
        let (file, problem) = (visible(file).into_owned(), visible(&problem).into_owned());
        let text = Arc::new(NamedSource::new(&file, String::new()));
        ScenarioError { file, line: 0, column: 0, problem, help: Some(help), text, span: None }
    }

    /// The error as plain text: the message, the line with a marker below it, and what is allowed.
    pub fn plain(&self) -> String {
        let mut text = self.to_string();
        if let (Some(span), Some(line)) =
            (self.span, self.line.checked_sub(1).and_then(|line| self.text.inner().lines().nth(line)))
        {
            let width = self.line.to_string().len();
            let gap = " ".repeat(self.column - 1);
            let marker = "^".repeat(span.len().min(line.chars().count().saturating_sub(self.column - 1)).max(1));
            text += &format!("\n{} | {line}\n{:width$} | {gap}{marker}", self.line, "");
        }
        if let Some(help) = &self.help {
            text += &format!("\nhelp: {help}");
        }
        text
    }
}

impl fmt::Debug for ScenarioError {
    /// The plain text: what `unwrap` shows in a test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain())
    }
}

impl Scenario {
    /// Reads a scenario from TOML and checks it. `file` names the text in errors.
    ///
    /// # Errors
    /// If it is no TOML, has another version, or makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
        Scenario::parse_for(file, text, None)
    }

    /// As [`Scenario::parse`]; but expectations and recordings may name only these systems.
    ///
    /// # Errors
    /// As [`Scenario::parse`], and if another system is named.
    pub fn parse_for(file: &str, text: &str, systems: Option<&[&str]>) -> Result<Scenario, ScenarioError> {
        let document = Document { file, text };
        document.bounded()?;
        let root = DeTable::parse(text).map_err(|error| document.serde(&error, None, 0..0))?;
        let span = root.span();
        let root = root.into_inner();
        document.version(&root)?;
        let scenario = document.scenario(&root, span)?;
        validate(&scenario, systems).map_err(|complaint| document.complaint(&root, complaint))?;
        Ok(scenario)
    }
}

impl Scenario {
    /// Checks a scenario that was made or changed in memory, as [`Scenario::parse`] checks a file.
    ///
    /// # Errors
    /// If it makes no sense. The error names the field, since there is no line.
    pub fn check(&self) -> Result<(), ScenarioError> {
        validate(self, None).map_err(|complaint| {
            let field: Vec<String> = complaint.path.iter().map(Step::to_string).collect();
            let problem = format!("`{}`: {}", field.join("."), complaint.problem);
            ScenarioError::without_text(&self.name, problem, complaint.help)
        })
    }
}

/// The part of [`Explicit`] that serde reads directly.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplicitHead {
    system: String,
    verdict: Recorded,
    // Read separately; listed here so that errors name them.
    #[serde(default, rename = "seed")]
    _seed: (),
    #[serde(default, rename = "schedule")]
    _schedule: (),
    #[serde(default, rename = "script")]
    _script: (),
    #[serde(default, rename = "acts")]
    _acts: (),
}

/// The file being read: a scenario, or another of our formats with the same kind of errors.
#[derive(Clone, Copy)]
pub(crate) struct Document<'a> {
    /// Its name.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Document<'_> {
    /// An error about a place in it.
    pub fn error(&self, span: Range<usize>, problem: impl Into<String>, help: impl Into<String>) -> ScenarioError {
        ScenarioError::at(self.file, self.text, span, problem.into(), Some(help.into()))
    }

    /// Checks that it is not too big to be read.
    pub fn bounded(&self) -> Result<(), ScenarioError> {
        let values = bounds::values(self.text);
        if self.text.len() as u64 <= bounds::FILE_BYTES && values <= bounds::VALUES {
            return Ok(());
        }
        let problem = format!("{} bytes with {values} values are too much", self.text.len());
        let help = format!("allowed: {} bytes, {} values", bounds::FILE_BYTES, bounds::VALUES);
        Err(ScenarioError::without_text(self.file, problem, help))
    }

    /// Checks that the file has the version that this build reads.
    pub fn version(&self, root: &DeTable) -> Result<(), ScenarioError> {
        let help = format!("this build reads version {VERSION}; write `version = {VERSION}`, or use a newer schism");
        let Some(version) = root.get("version") else {
            return Err(self.error(0..0, "the field `version` is missing", help));
        };
        let number = version.get_ref().as_integer().and_then(|number| number.as_str().parse::<u64>().ok());
        match number {
            Some(number) if number == u64::from(VERSION) => Ok(()),
            Some(number) => Err(self.error(version.span(), format!("version {number} of the format is unknown"), help)),
            None => Err(self.error(version.span(), "the version is no number", help)),
        }
    }

    fn scenario(&self, root: &DeTable, span: Range<usize>) -> Result<Scenario, ScenarioError> {
        // Faults are read one by one: a flattened, tagged enum loses the positions of its fields. What a museum says about a
        // recorded run is no part of the run.
        let apart = ["explicit", "faults", "exhibit"];
        let mut rest = DeTable::new();
        for (key, value) in root.iter().filter(|(key, _)| !apart.contains(&key.get_ref().as_ref())) {
            rest.insert(key.clone(), value.clone());
        }
        let mut scenario = Scenario::deserialize(toml::de::Deserializer::from(Spanned::new(span.clone(), rest)))
            .map_err(|error| self.serde(&error, Some(root), span))?;
        if let Some(faults) = root.get("faults") {
            scenario.faults = self.faults(faults)?;
        }
        if let Some(explicit) = root.get("explicit") {
            scenario.explicit = Some(self.explicit(explicit, &scenario)?);
        }
        Ok(scenario)
    }

    fn faults(&self, value: &Spanned<DeValue>) -> Result<Vec<Fault>, ScenarioError> {
        let Some(faults) = value.get_ref().as_array() else {
            return Err(self.error(value.span(), "faults are a list", "write each as `[[faults]]`"));
        };
        faults.iter().map(|fault| self.value(fault)).collect()
    }

    /// Reads one value of it.
    pub fn value<T: for<'de> Deserialize<'de>>(&self, value: &Spanned<DeValue>) -> Result<T, ScenarioError> {
        let deserializer = toml::de::ValueDeserializer::from(value.clone());
        T::deserialize(deserializer).map_err(|error| self.serde(&error, value.get_ref().as_table(), value.span()))
    }

    fn explicit(&self, value: &Spanned<DeValue>, scenario: &Scenario) -> Result<Explicit, ScenarioError> {
        let Some(table) = value.get_ref().as_table() else {
            return Err(self.error(value.span(), "it is no table", "write `[explicit]`"));
        };
        let mut rest = DeTable::new();
        for (key, value) in
            table.iter().filter(|(key, _)| !matches!(key.get_ref().as_ref(), "seed" | "script" | "acts" | "schedule"))
        {
            rest.insert(key.clone(), value.clone());
        }
        let head: ExplicitHead = self.value(&Spanned::new(value.span(), DeValue::Table(rest)))?;
        let row_error = |row: &Spanned<DeValue>, (problem, help): compact::Wrong| self.error(row.span(), problem, help);
        let missing = |field: &str| {
            self.error(value.span(), format!("the field `{field}` is missing"), format!("write `{field} = [...]` here"))
        };
        let seed = self.seed(table.get("seed").ok_or_else(|| missing("seed"))?)?;
        let script = self.rows(table, "script")?.ok_or_else(|| missing("script"))?;
        let script = script.iter().map(|row| compact::read_op(row.get_ref()).map_err(|wrong| row_error(row, wrong)));
        // An unusable set of sites is reported by the validation that follows; acts cannot be read without it.
        let topology = super::validate::sites(scenario).is_ok().then(|| scenario.topology());
        let acts = self.rows(table, "acts")?.zip(topology).map(|(rows, topology)| {
            let read = |row: &Spanned<DeValue>| {
                compact::read_act(row.get_ref(), &topology).map_err(|wrong| row_error(row, wrong))
            };
            rows.iter().map(read).collect::<Result<Vec<_>, _>>()
        });
        Ok(Explicit {
            seed,
            system: head.system,
            schedule: self.faults(table.get("schedule").ok_or_else(|| missing("schedule"))?)?,
            script: script.collect::<Result<_, _>>()?,
            acts: acts.transpose()?,
            verdict: head.verdict,
        })
    }

    /// TOML's integers end at 2^63 - 1, seeds do not: larger ones are in quotes.
    fn seed(&self, value: &Spanned<DeValue>) -> Result<u64, ScenarioError> {
        let digits = value.get_ref().as_integer().map(DeInteger::as_str).or(value.get_ref().as_str());
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
            self.error(value.span(), "the seed is no number", "allowed: 0 to 18446744073709551615, in quotes or not")
        })
    }

    fn rows<'t, 'i>(
        &self,
        table: &'t DeTable<'i>,
        field: &str,
    ) -> Result<Option<&'t [Spanned<DeValue<'i>>]>, ScenarioError> {
        let Some(value) = table.get(field) else { return Ok(None) };
        match value.get_ref().as_array() {
            Some(rows) => Ok(Some(&rows[..])),
            None => Err(self.error(value.span(), format!("`{field}` is a list of rows"), compact::ROWS)),
        }
    }

    /// Turns serde's message into one that says what is allowed, and finds the line if serde lost it.
    pub fn serde(&self, error: &toml::de::Error, table: Option<&DeTable>, around: Range<usize>) -> ScenarioError {
        let message = error.message();
        let mut span = error.span().unwrap_or(around);
        let mut ticked = message.split('`').skip(1).step_by(2);
        let (problem, help) = if let Some(rest) = message.strip_prefix("unknown field ") {
            let field = ticked.next().unwrap_or(rest);
            let mut names: Vec<&str> = ticked.collect();
            if let Some(table) = table {
                if table.contains_key("fault") {
                    // The fields that every fault has are read before the kind's own.
                    names.splice(0..0, ["at_ms", "for_ms", "when", "fault"]);
                }
                // A header's span is its line only, and a fault's fields follow it.
                let anywhere = 0..self.text.len();
                let key = find_key(table, field, &span).or_else(|| find_key(table, field, &anywhere));
                span = key.unwrap_or(span);
            }
            (format!("unknown field `{field}`"), allowed(field, names))
        } else if let Some(rest) = message.strip_prefix("unknown variant ") {
            let name = ticked.next().unwrap_or(rest);
            let names: Vec<&str> = ticked.collect();
            let tag = table.and_then(|table| table.get("fault"));
            match tag.filter(|_| names.contains(&FaultKind::NAMES[0])) {
                Some(tag) => {
                    span = tag.span();
                    (format!("unknown fault `{name}`"), allowed(name, names))
                }
                None => (format!("unknown name `{name}`"), allowed(name, names)),
            }
        } else if let Some(rest) = message.strip_prefix("missing field ") {
            let field = ticked.next().unwrap_or(rest);
            (format!("the field `{field}` is missing"), format!("write `{field} = ...` here"))
        } else {
            (message.to_string(), "see the scenarios that `schism list` names for the format".to_string())
        };
        self.error(span, problem, help)
    }

    fn complaint(&self, root: &DeTable, complaint: Complaint) -> ScenarioError {
        self.error(locate(root, &complaint.path), complaint.problem, complaint.help)
    }
}

/// Where a path leads in a file. If it ends early (a default was wrong), the last part that exists.
fn locate(root: &DeTable, path: &[Step]) -> Range<usize> {
    let mut span = 0..0;
    let mut table = Some(root);
    let mut array = None;
    for step in path {
        let next = match step {
            Step::Field(name) => table.and_then(|table| table.get_key_value(*name)).map(|(key, value)| {
                // Point at the value of a scalar, but at the name of a table.
                let scalar = value.get_ref().as_table().is_none() && value.get_ref().as_array().is_none();
                (if scalar { value.span() } else { key.span() }, value)
            }),
            Step::Key(name) => {
                table.and_then(|table| table.get_key_value(name.as_str())).map(|(key, value)| (key.span(), value))
            }
            Step::Index(index) => {
                array.and_then(|array: &toml::de::DeArray| array.get(*index)).map(|value| (value.span(), value))
            }
        };
        let Some((at, value)) = next else { break };
        span = at;
        table = value.get_ref().as_table();
        array = value.get_ref().as_array();
    }
    span
}

/// The position of a key called `name` within `span`, at any depth.
fn find_key(table: &DeTable, name: &str, span: &Range<usize>) -> Option<Range<usize>> {
    fn within(value: &DeValue, name: &str, span: &Range<usize>) -> Option<Range<usize>> {
        match value {
            DeValue::Table(table) => find_key(table, name, span),
            DeValue::Array(array) => array.iter().find_map(|value| within(value.get_ref(), name, span)),
            _ => None,
        }
    }
    let own = table.iter().map(|(key, _)| key).find(|key| key.get_ref() == name && span.contains(&key.span().start));
    own.map(Spanned::span).or_else(|| table.iter().find_map(|(_, value)| within(value.get_ref(), name, span)))
}
