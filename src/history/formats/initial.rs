//! The keys' initial values, as given on a command line: `0`, `"text"`, `7=0`, `"x y"="text"`.

use crate::history::Columns;
use crate::history::columns::{Label, Labels};
use std::collections::BTreeMap;

/// An initial value, held before the first operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initial {
    /// The key; `None`: every key without an initial value of its own.
    pub key: Option<Label>,
    /// The value.
    pub value: Label,
}

/// What is wrong with the given initial values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InitialError(pub String);

impl Initial {
    /// Reads `VALUE` or `KEY=VALUE`. Either is a whole number, `true`, `false`, a keyword such as `:a`, or a text in
    /// double quotes.
    ///
    /// # Errors
    /// What is wrong and how to write it.
    pub fn parse(text: &str) -> Result<Initial, InitialError> {
        let (first, rest) = scalar(text.trim())?;
        if rest.is_empty() {
            return Ok(Initial { key: None, value: first });
        }
        let Some(value) = rest.strip_prefix('=') else {
            return Err(InitialError(format!("`{rest}` follows the value in `{text}`")));
        };
        match scalar(value)? {
            (value, "") => Ok(Initial { key: Some(first), value }),
            (_, rest) => Err(InitialError(format!("`{rest}` follows the value in `{text}`"))),
        }
    }

    /// Gives the keys of a history these initial values. A value for a named key wins over one for all keys.
    ///
    /// # Errors
    /// A key that is named twice, or that the history does not have.
    pub fn apply(all: &[Initial], columns: &mut Columns) -> Result<(), InitialError> {
        let mut keys = columns.keys.clone();
        keys.sort_unstable();
        keys.dedup();
        let mut held: BTreeMap<u32, u64> = BTreeMap::new();
        for initial in all.iter().filter(|initial| initial.key.is_some()) {
            let label = initial.key.as_ref().expect("only those that name a key");
            let key = number(label).and_then(|number| u32::try_from(number).ok()).filter(|key| *key < 1 << 31);
            let labelled = || columns.labels.keys.iter().find(|(_, known)| *known == label).map(|(key, _)| *key);
            let Some(key) = key.or_else(labelled).filter(|key| keys.binary_search(key).is_ok()) else {
                return Err(InitialError(format!("no operation touches the key {label}")));
            };
            let value = value(&mut columns.labels, &initial.value);
            if held.insert(key, value).is_some() {
                return Err(InitialError(format!("the key {label} is given two values to begin with")));
            }
        }
        let mut general = all.iter().filter(|initial| initial.key.is_none());
        if let Some(initial) = general.next() {
            let value = value(&mut columns.labels, &initial.value);
            keys.iter().for_each(|key| {
                held.entry(*key).or_insert(value);
            });
        }
        if general.next().is_some() {
            return Err(InitialError("keys are given two values to begin with".to_owned()));
        }
        columns.begin_with(&held.into_iter().collect::<Vec<_>>());
        Ok(())
    }
}

fn number(label: &Label) -> Option<u64> {
    if let Label::Other(spelling) = label { Labels::number(spelling) } else { None }
}

fn value(labels: &mut Labels, label: &Label) -> u64 {
    number(label).unwrap_or_else(|| labels.value(label.clone()))
}

/// The scalar at the beginning of a text, and the rest of the text.
fn scalar(text: &str) -> Result<(Label, &str), InitialError> {
    if text.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
        return match values.next() {
            Some(Ok(value)) => Ok((Label::Text(value), &text[values.byte_offset()..])),
            _ => Err(InitialError(format!("`{text}` begins a text that does not end"))),
        };
    }
    let (word, rest) = text.split_at(text.find('=').unwrap_or(text.len()));
    let digits = word.strip_prefix('-').unwrap_or(word);
    let whole = digits == "0" && word == digits
        || digits.starts_with(|first: char| matches!(first, '1'..='9'))
            && digits.bytes().all(|byte| byte.is_ascii_digit());
    let keyword = word.strip_prefix(':').is_some_and(|name| {
        !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "-_.?!/".contains(letter))
    });
    match word {
        "" => Err(InitialError("a value is missing".to_owned())),
        "nil" | "null" => Err(InitialError("keys are absent at first unless a value is given".to_owned())),
        _ if whole || keyword || matches!(word, "true" | "false") => Ok((Label::Other(word.to_owned()), rest)),
        _ => Err(InitialError(format!(
            "`{word}` is neither a whole number, nor true, false or a keyword; a text is written in double quotes, as \
             '\"{word}\"'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_types_and_nonsense_is_refused() {
        let other = |text: &str| Label::Other(text.to_owned());
        let text = |text: &str| Label::Text(text.to_owned());
        let parsed = |text: &str| Initial::parse(text).map(|initial| (initial.key, initial.value));
        assert_eq!(parsed("0"), Ok((None, other("0"))));
        assert_eq!(parsed("-3"), Ok((None, other("-3"))));
        assert_eq!(parsed("\"5\""), Ok((None, text("5"))));
        assert_eq!(parsed("\"a=b\""), Ok((None, text("a=b"))));
        assert_eq!(parsed("7=:idle"), Ok((Some(other("7")), other(":idle"))));
        assert_eq!(parsed("\"x y\"=\"z\""), Ok((Some(text("x y")), text("z"))));
        for nonsense in ["", "zero", "1.5", "007", "-0", "nil", "7=", "=7", "\"x", "\"x\"y", "1=2=3", "5 6", ":", "- 3"]
        {
            Initial::parse(nonsense).expect_err(nonsense);
        }
    }
}
