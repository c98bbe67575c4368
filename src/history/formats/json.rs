//! Our JSON lines, one operation a line:
//! `{"id":0,"client":2,"key":12,"op":"put","val":1,"start":0,"end":9,"status":"ok"}`.
//!
//! * `get`: `out` (a value or null);
//! * `put`: `val`;
//! * `del`: blind, or with `found` (true or false);
//! * `cas`: `old` (a value or null), `val`, and when it was acknowledged `ok`, and `seen` (a value or null) if it did
//!   not match;
//! * `append`: `val`.
//!
//! Values and keys are whole numbers, strings, true or false, or `{"edn": ":a"}` for values that only EDN has. A string
//! never equals what it spells; an appended value is a string. `start` and `end` are nanoseconds; `end` is null when
//! the outcome is unknown (`"status":"info"`). `"status":"fail"` means that it did not happen. Fields may come in any
//! order; unknown ones are skipped. Parsed by hand: a million lines a second matter more here than generality.

use super::edn::{Edn, Reader};
use super::{FormatError, Names, check_time, sorted};
use crate::history::Columns;
use crate::history::columns::{Call, Ending, Label, Labels, NEVER_NS, Row};
use std::borrow::Cow;
use std::fmt::Write;

/// Reads JSON lines.
pub(super) fn read(text: &[u8]) -> Result<Columns, FormatError> {
    let mut names = Names::default();
    let mut columns = Columns::with_capacity(text.len() / 80);
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let fields = Cursor { text: line, at: 0, names: &mut names }.object();
        let next_id = columns.len() as u64;
        let row = fields.and_then(|fields| fields.row(next_id)).map_err(|reason| FormatError::new(at + 1, reason))?;
        check_time(at + 1, row.start_ns)?;
        if row.end_ns != NEVER_NS {
            check_time(at + 1, row.end_ns)?;
        }
        columns.push(row);
    }
    columns.labels = names.into_labels();
    if let Some(id) = repeated(&columns.ids) {
        return Err(FormatError::new(last_line_of(text, id), format!("the id {id} is used twice")));
    }
    Ok(sorted(columns))
}

/// An id that occurs twice, if there is one.
fn repeated(ids: &[u32]) -> Option<u32> {
    // Ids are usually row numbers.
    if ids.windows(2).all(|pair| pair[0] < pair[1]) {
        return None;
    }
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// The last line whose operation has this id.
fn last_line_of(text: &[u8], id: u32) -> usize {
    let mut names = Names::default();
    let has_id = |line: &&[u8]| {
        let fields = Cursor { text: line.trim_ascii(), at: 0, names: &mut names }.object();
        fields.is_ok_and(|fields| fields.id == Some(u64::from(id)))
    };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    lines.iter().map(has_id).collect::<Vec<_>>().iter().rposition(|found| *found).map_or(1, |at| at + 1)
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scalar<'a> {
    Null,
    Flag(bool),
    Number(u64),
    Text(Cow<'a, str>),
    /// A negative number, or a value that only EDN has, as it is spelt there.
    Other(Label),
}

impl Scalar<'_> {
    /// The value as a label, which differs from the labels of all other values.
    fn label(self) -> Label {
        match self {
            Scalar::Null => Label::Other("nil".to_owned()),
            Scalar::Flag(flag) => Label::Other(flag.to_string()),
            Scalar::Number(number) => Label::Other(number.to_string()),
            Scalar::Text(text) => Label::Text(text.into_owned()),
            Scalar::Other(label) => label,
        }
    }
}

#[derive(Debug, Default)]
struct Fields<'a> {
    id: Option<u64>,
    client: Option<u64>,
    key: Option<u32>,
    op: Option<Cow<'a, str>>,
    status: Option<Cow<'a, str>>,
    start: Option<u64>,
    /// `Some(None)`: null.
    end: Option<Option<u64>>,
    out: Option<Option<u64>>,
    val: Option<Option<u64>>,
    /// Whether `val` is a string.
    val_is_text: bool,
    old: Option<Option<u64>>,
    seen: Option<Option<u64>>,
    ok: Option<bool>,
    found: Option<bool>,
}

impl Fields<'_> {
    fn row(&self, next_id: u64) -> Result<Row, String> {
        let need = |what: &str| format!("`{what}` is missing");
        let small =
            |number: u64, what: &str| u32::try_from(number).map_err(|_| format!("`{what}` {number} is too big"));
        let ending = match self.status.as_deref().ok_or_else(|| need("status"))? {
            "ok" => Ending::Ok,
            "info" => Ending::Info,
            "fail" => Ending::Fail,
            other => return Err(format!("`status` is \"{other}\", not ok, info or fail")),
        };
        let start_ns = self.start.ok_or_else(|| need("start"))?;
        let end_ns = match (ending, self.end.flatten()) {
            (Ending::Info, _) => NEVER_NS,
            (_, Some(end)) if end < start_ns => return Err(format!("`end` {end} is before `start` {start_ns}")),
            (_, Some(end)) => end,
            (Ending::Ok, None) => return Err("an acknowledged operation needs an `end`".to_owned()),
            (Ending::Fail, None) => start_ns,
        };
        let value = self.val.flatten().ok_or_else(|| need("val"));
        let call = match self.op.as_deref().ok_or_else(|| need("op"))? {
            "get" => match (self.out, ending) {
                (Some(out), _) => Call::Get(out),
                (None, Ending::Ok) => return Err(need("out")),
                (None, _) => Call::Get(None),
            },
            "put" => Call::Put(value?),
            "append" if !self.val_is_text && value.is_ok() => return Err("what is appended is a string".to_owned()),
            "append" => Call::Append(value?),
            "del" => self.found.map_or(Call::Delete, |found| Call::DeleteTold { found }),
            "cas" => {
                let (expected, new) = (self.old.ok_or_else(|| need("old"))?, value?);
                match (self.ok, ending) {
                    (Some(false), Ending::Ok) => Call::CasMismatch { expected, new, found: self.seen },
                    (None, Ending::Ok) => return Err(need("ok")),
                    _ => Call::Cas { expected, new },
                }
            }
            other => return Err(format!("`op` is \"{other}\", not get, put, del, cas or append")),
        };
        let key = self.key.ok_or_else(|| need("key"))?;
        let id = small(self.id.unwrap_or(next_id), "id")?;
        Ok(Row { id, client: small(self.client.unwrap_or(0), "client")?, key, call, start_ns, end_ns, ending })
    }
}

struct Cursor<'a, 'n> {
    text: &'a [u8],
    at: usize,
    names: &'n mut Names,
}

impl<'a> Cursor<'a, '_> {
    fn object(mut self) -> Result<Fields<'a>, String> {
        let mut fields = Fields::default();
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let name = self.string()?;
                self.expect(b':')?;
                self.field(&name, &mut fields)?;
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(self.surprise("`,` or `}`")),
                }
            }
        }
        match self.peek() {
            None => Ok(fields),
            Some(_) => Err(self.surprise("the end of the line")),
        }
    }

    fn field(&mut self, name: &str, fields: &mut Fields<'a>) -> Result<(), String> {
        match name {
            "id" => fields.id = Some(self.number(name)?),
            "client" | "process" => fields.client = Some(self.number(name)?),
            "start" => fields.start = Some(self.number(name)?),
            "key" => {
                fields.key = Some(match self.scalar()? {
                    Scalar::Number(key) if key < 1 << 31 => key as u32,
                    Scalar::Null => return Err("`key` is null".to_owned()),
                    key => self.names.key(key.label()),
                });
            }
            "op" => fields.op = Some(self.text(name)?),
            "status" => fields.status = Some(self.text(name)?),
            "end" => {
                fields.end = Some(match self.scalar()? {
                    Scalar::Null => None,
                    Scalar::Number(end) => Some(end),
                    _ => return Err("`end` is neither a whole number nor null".to_owned()),
                });
            }
            "out" => fields.out = Some(self.value()?),
            "val" => {
                fields.val_is_text = self.peek() == Some(b'"');
                fields.val = Some(self.value()?);
            }
            "old" => fields.old = Some(self.value()?),
            "seen" => fields.seen = Some(self.value()?),
            "ok" => fields.ok = Some(self.flag(name)?),
            "found" => fields.found = Some(self.flag(name)?),
            _ => self.skip()?,
        }
        Ok(())
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() != Some(byte) {
            return Err(self.surprise(&format!("`{}`", byte as char)));
        }
        self.at += 1;
        Ok(())
    }

    fn surprise(&self, wanted: &str) -> String {
        format!("column {}: expected {wanted}", self.at + 1)
    }

    fn scalar(&mut self) -> Result<Scalar<'a>, String> {
        match self.peek() {
            Some(b'"') => Ok(Scalar::Text(self.string()?)),
            Some(b'0'..=b'9') => self.digits().map(Scalar::Number),
            Some(b'-') => {
                self.at += 1;
                if !matches!(self.text.get(self.at), Some(b'1'..=b'9')) {
                    return Err(self.surprise("a whole number"));
                }
                Ok(Scalar::Other(Label::Other(format!("-{}", self.digits()?))))
            }
            Some(b'{') => self.edn(),
            _ => {
                for (word, scalar) in
                    [("null", Scalar::Null), ("true", Scalar::Flag(true)), ("false", Scalar::Flag(false))]
                {
                    if self.text[self.at..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(scalar);
                    }
                }
                Err(self.surprise("a whole number, a string, true, false or null"))
            }
        }
    }

    /// `{"edn": "..."}`.
    fn edn(&mut self) -> Result<Scalar<'a>, String> {
        self.expect(b'{')?;
        if self.string()? != "edn" {
            return Err(self.surprise("{\"edn\": \"...\"}"));
        }
        self.expect(b':')?;
        let spelt = self.string()?;
        self.expect(b'}')?;
        let mut reader = Reader::new(spelt.as_bytes());
        match (reader.next(), reader.next()) {
            (Ok(Some(Edn::Nil)), Ok(None)) => Ok(Scalar::Null),
            (Ok(Some(value)), Ok(None)) => Ok(Scalar::Other(value.label())),
            _ => Err(self.surprise("one value in EDN")),
        }
    }

    fn digits(&mut self) -> Result<u64, String> {
        let begin = self.at;
        let mut number = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            let longer = number.checked_mul(10).and_then(|number| number.checked_add(u64::from(digit - b'0')));
            number = longer.ok_or_else(|| self.surprise("a number below 2^64"))?;
            self.at += 1;
        }
        match self.text.get(self.at) {
            Some(b'.' | b'e' | b'E') => Err(self.surprise("a whole number")),
            _ if self.at - begin > 1 && self.text[begin] == b'0' => {
                Err(self.surprise("a number without leading zeros"))
            }
            _ => Ok(number),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, String> {
        self.expect(b'"')?;
        let begin = self.at;
        let mut escapes = false;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' if escapes => {
                    self.at += 1;
                    let text = serde_json::from_slice(&self.text[begin - 1..self.at]);
                    return text.map(Cow::Owned).map_err(|_| self.surprise("a string with valid escapes"));
                }
                b'"' => {
                    let text = std::str::from_utf8(&self.text[begin..self.at]);
                    self.at += 1;
                    return text.map(Cow::Borrowed).map_err(|_| self.surprise("valid UTF-8"));
                }
                b'\\' => {
                    escapes = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        Err(self.surprise("a closing quote"))
    }

    fn number(&mut self, name: &str) -> Result<u64, String> {
        match self.scalar()? {
            Scalar::Number(number) => Ok(number),
            Scalar::Other(_) => Err(format!("`{name}`: expected a whole number that is not negative")),
            _ => Err(format!("`{name}` is not a whole number")),
        }
    }

    fn text(&mut self, name: &str) -> Result<Cow<'a, str>, String> {
        match self.scalar()? {
            Scalar::Text(text) => Ok(text),
            _ => Err(format!("`{name}` is not a string")),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.scalar()? {
            Scalar::Flag(flag) => Ok(flag),
            _ => Err(format!("`{name}` is neither true nor false")),
        }
    }

    fn value(&mut self) -> Result<Option<u64>, String> {
        match self.scalar()? {
            Scalar::Null => Ok(None),
            Scalar::Number(number) if number < Labels::FIRST => Ok(Some(number)),
            value => Ok(Some(self.names.value(value.label()))),
        }
    }

    /// Skips the value of an unknown field.
    fn skip(&mut self) -> Result<(), String> {
        self.peek();
        let mut values =
            serde_json::Deserializer::from_slice(&self.text[self.at..]).into_iter::<serde::de::IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {
                self.at += values.byte_offset();
                Ok(())
            }
            _ => Err(self.surprise("a JSON value")),
        }
    }
}

/// Writes JSON lines.
pub fn write(columns: &Columns) -> String {
    let mut text = String::with_capacity(100 * columns.len());
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let spelt = |label: &Label| match label {
        Label::Text(text) => quoted(text),
        Label::Other(other) if matches!(other.as_str(), "true" | "false") || other.parse::<i64>().is_ok() => {
            other.clone()
        }
        Label::Other(other) if other.parse::<u64>().is_ok() => other.clone(),
        Label::Other(other) => format!("{{\"edn\":{}}}", quoted(other)),
    };
    let value = |value: Option<u64>| match value {
        None => "null".to_owned(),
        Some(value) => columns.labels.values.get(&value).map_or(value.to_string(), spelt),
    };
    for row in columns.rows() {
        let key = columns.labels.keys.get(&row.key).map_or(row.key.to_string(), spelt);
        let call = match row.call {
            Call::Get(_) if row.ending != Ending::Ok => "\"get\"".to_owned(),
            Call::Get(out) => format!("\"get\",\"out\":{}", value(out)),
            Call::Put(new) => format!("\"put\",\"val\":{}", value(Some(new))),
            Call::Delete => "\"del\"".to_owned(),
            Call::DeleteTold { found } => format!("\"del\",\"found\":{found}"),
            Call::Cas { expected, new } => {
                let ok = if row.ending == Ending::Ok { ",\"ok\":true" } else { "" };
                format!("\"cas\",\"old\":{},\"val\":{}{ok}", value(expected), value(Some(new)))
            }
            Call::CasMismatch { expected, new, found } => {
                let seen = found.map_or(String::new(), |found| format!(",\"seen\":{}", value(found)));
                format!("\"cas\",\"old\":{},\"val\":{},\"ok\":false{seen}", value(expected), value(Some(new)))
            }
            Call::Append(new) => format!("\"append\",\"val\":{}", value(Some(new))),
        };
        let end = if row.end_ns == NEVER_NS { "null".to_owned() } else { row.end_ns.to_string() };
        let status = match row.ending {
            Ending::Ok => "ok",
            Ending::Fail => "fail",
            Ending::Info => "info",
        };
        let Row { id, client, start_ns, .. } = row;
        let _ = writeln!(
            text,
            "{{\"id\":{id},\"client\":{client},\"key\":{key},\"op\":{call},\"start\":{start_ns},\"end\":{end},\"status\":\"{status}\"}}"
        );
    }
    text
}
