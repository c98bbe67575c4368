//! As much of EDN (github.com/edn-format/edn) as histories use, and the rest skipped in good order.

use super::FormatError;

/// An EDN value. Lists and sets count as vectors, symbols and characters as keywords.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edn {
    Nil,
    Flag(bool),
    Integer(i64),
    /// A number that is not a whole one, as written.
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

    /// The name of a keyword, without colon.
    pub fn keyword(&self) -> Option<&str> {
        match self {
            Edn::Keyword(name) => Some(name),
            _ => None,
        }
    }
}

/// Deeper nesting than this is refused rather than followed.
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

    /// Steps into a vector or list, so that its elements are read one by one; says whether there was one.
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
                self.sequence(depth).map(Edn::Vector)
            }
            Some(b'#') => {
                // A tagged value: the tag says what it is, which its shape does as well.
                self.at += 1;
                self.word();
                self.value(depth + 1)
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
                    // Other escapes only need to stay distinct.
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
                Err(_) => Edn::Other(number.to_owned()),
            },
            _ => Edn::Keyword(word.strip_prefix(':').unwrap_or(word).to_owned()),
        })
    }
}
