//! The part of EDN (github.com/edn-format/edn) that histories use. The rest is skipped correctly.

use super::FormatError;
use crate::history::columns::Label;

/// An EDN value. Lists count as vectors, to which they are equal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edn {
    Nil,
    Flag(bool),
    Integer(i64),
    /// Anything else, as written: numbers that are fractions or too big, symbols, characters, sets, tagged values.
    Other(String),
    Text(String),
    Keyword(String),
    Vector(Vec<Edn>),
    Map(Vec<(Edn, Edn)>),
}

impl Edn {
    /// The value of a keyword in a map.
    pub fn get(&self, name: &str) -> Option<&Edn> {
        let Edn::Map(entries) = self else { return None };
        entries.iter().find(|(key, _)| key.keyword() == Some(name)).map(|(_, value)| value)
    }

    /// A value's spelling. Different values have different spellings.
    pub fn spelt(&self) -> String {
        match self {
            Edn::Nil => "nil".to_owned(),
            Edn::Flag(flag) => flag.to_string(),
            Edn::Integer(number) => number.to_string(),
            Edn::Other(text) => text.clone(),
            Edn::Text(text) => format!("{text:?}"),
            Edn::Keyword(name) => format!(":{name}"),
            Edn::Vector(values) => format!("[{}]", values.iter().map(Edn::spelt).collect::<Vec<_>>().join(" ")),
            Edn::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{} {}", key.spelt(), value.spelt()));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The value as a label, which differs from the labels of all other values.
    pub fn label(&self) -> Label {
        match self {
            Edn::Text(text) => Label::Text(text.clone()),
            other => Label::Other(other.spelt()),
        }
    }

    /// The name of a keyword, without colon.
    pub fn keyword(&self) -> Option<&str> {
        match self {
            Edn::Keyword(name) => Some(name),
            _ => None,
        }
    }
}

/// Deeper nesting than this is refused.
const DEEPEST: usize = 64;

/// Reads values from text, one after another.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// The line being read, from 1.
    pub line: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0, line: 1 }
    }

    /// The next value; `None` at the end of the text.
    pub fn next(&mut self) -> Result<Option<Edn>, FormatError> {
        self.blank(0)?;
        if self.at == self.text.len() { Ok(None) } else { self.value(0).map(Some) }
    }

    /// Steps into a vector or list, so that its elements are read one by one. Returns whether there was one.
    pub fn enter(&mut self) -> Result<bool, FormatError> {
        self.blank(0)?;
        let enters = matches!(self.text.get(self.at), Some(b'[' | b'('));
        self.at += usize::from(enters);
        Ok(enters)
    }

    /// The next element of the vector or list entered; `None` after its last.
    pub fn element(&mut self) -> Result<Option<Edn>, FormatError> {
        self.blank(0)?;
        match self.text.get(self.at) {
            Some(b']' | b')') => {
                self.at += 1;
                Ok(None)
            }
            _ => self.value(0).map(Some),
        }
    }

    fn error<T>(&self, reason: impl Into<String>) -> Result<T, FormatError> {
        Err(FormatError::new(self.line, reason))
    }

    fn step(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    /// Skips white space, commas, comments and discarded values.
    fn blank(&mut self, depth: usize) -> Result<(), FormatError> {
        loop {
            match self.text.get(self.at) {
                Some(byte) if byte.is_ascii_whitespace() || *byte == b',' => {
                    self.step();
                }
                Some(b';') => {
                    while self.text.get(self.at).is_some_and(|byte| *byte != b'\n') {
                        self.at += 1;
                    }
                }
                Some(b'#') if self.text.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    self.value(depth + 1)?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Edn, FormatError> {
        if depth > DEEPEST {
            return self.error("values are nested too deeply");
        }
        self.blank(depth)?;
        match self.text.get(self.at) {
            None => self.error("the text ends in the middle of a value"),
            Some(b'"') => self.text(),
            Some(b'[' | b'(') => self.sequence(depth).map(Edn::Vector),
            Some(b'{') => {
                let entries = self.sequence(depth)?;
                if entries.len() % 2 == 1 {
                    return self.error("a map has a key without a value");
                }
                let mut entries = entries.into_iter();
                let pair = || Some((entries.next()?, entries.next()?));
                Ok(Edn::Map(std::iter::from_fn(pair).collect()))
            }
            Some(b'#') if self.text.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                let elements: Vec<String> = self.sequence(depth)?.iter().map(Edn::spelt).collect();
                Ok(Edn::Other(format!("#{{{}}}", elements.join(" "))))
            }
            Some(b'#') => {
                self.at += 1;
                let tag = String::from_utf8_lossy(self.word()).into_owned();
                Ok(match self.value(depth + 1)? {
                    // A record's tag adds nothing to its shape.
                    record @ (Edn::Vector(_) | Edn::Map(_)) => record,
                    value => Edn::Other(format!("#{tag} {}", value.spelt())),
                })
            }
            Some(b']' | b')' | b'}') => self.error("a closing bracket without an opening one"),
            Some(_) => self.atom(),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Edn>, FormatError> {
        let (opened, line) = (self.step(), self.line);
        let closing = match opened {
            Some(b'[') => b']',
            Some(b'(') => b')',
            _ => b'}',
        };
        let mut values = Vec::new();
        loop {
            self.blank(depth)?;
            match self.text.get(self.at) {
                Some(byte) if *byte == closing => {
                    self.at += 1;
                    return Ok(values);
                }
                None => return Err(FormatError::new(line, "a bracket is opened here and never closed")),
                Some(_) => values.push(self.value(depth + 1)?),
            }
        }
    }

    fn text(&mut self) -> Result<Edn, FormatError> {
        let line = self.line;
        self.step();
        let mut bytes = Vec::new();
        loop {
            match self.step() {
                Some(b'"') => break,
                Some(b'\\') => match self.step() {
                    Some(b'n') => bytes.push(b'\n'),
                    Some(b't') => bytes.push(b'\t'),
                    Some(b'r') => bytes.push(b'\r'),
                    Some(byte @ (b'"' | b'\\')) => bytes.push(byte),
                    // Other escapes only need to stay distinct from each other.
                    Some(byte) => bytes.extend([b'\\', byte]),
                    None => return Err(FormatError::new(line, "a string is opened here and never closed")),
                },
                Some(byte) => bytes.push(byte),
                None => return Err(FormatError::new(line, "a string is opened here and never closed")),
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Edn::Text(text)),
            Err(_) => Err(FormatError::new(line, "a string is not valid UTF-8")),
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let begin = self.at;
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b",;\"[](){}".contains(byte);
        while self.text.get(self.at).is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
        &self.text[begin..self.at]
    }

    fn atom(&mut self) -> Result<Edn, FormatError> {
        let Ok(word) = std::str::from_utf8(self.word()) else {
            return self.error("a word is not valid UTF-8");
        };
        let number = word.strip_prefix('+').unwrap_or(word);
        let numeric = number.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit());
        Ok(match word {
            "nil" => Edn::Nil,
            "true" => Edn::Flag(true),
            "false" => Edn::Flag(false),
            _ if numeric => match number.strip_suffix('N').unwrap_or(number).parse() {
                Ok(number) => Edn::Integer(number),
                Err(_) => Edn::Other(number.strip_suffix('N').unwrap_or(number).to_owned()),
            },
            _ => match word.strip_prefix(':') {
                Some(name) => Edn::Keyword(name.to_owned()),
                None => Edn::Other(word.to_owned()),
            },
        })
    }
}
