//! The log lines of Jepsen's etcd test, as in porcupine's test data: `INFO  jepsen.util - 4 :invoke :cas [1 3]`, with
//! tabs.
//!
//! One register, initially absent. In this format a `:fail` of a cas that repeats its value means that it did not
//! match. `:timed-out` means nothing in a read's completion; in other completions it means that the outcome is unknown.

use super::FormatError;
use super::edn::{Edn, Reader};
use super::events::{Kind, Pairing};
use crate::history::Columns;
use crate::history::columns::{Call, Ending, Label};

/// Reads the lines that Jepsen logged. All other lines are skipped.
pub(super) fn read(text: &[u8]) -> Result<Columns, FormatError> {
    let mut pairing = Pairing::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let marker = b"jepsen.util";
        let Some(begin) = line.windows(marker.len()).position(|part| part == marker) else { continue };
        let rest = line[begin + marker.len()..].trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b"-") else { continue };
        take(at + 1, rest, &mut pairing)?;
    }
    Ok(pairing.finish())
}

fn take(line: usize, text: &[u8], pairing: &mut Pairing) -> Result<(), FormatError> {
    let mut reader = Reader::new(text);
    let mut next = || reader.next().map_err(|error| FormatError { line, ..error });
    let Some(Edn::Integer(process)) = next()? else { return Ok(()) };
    let process =
        u32::try_from(process).map_err(|_| FormatError::new(line, "the process is not a number below 2^32"))?;
    let kind = next()?.as_ref().and_then(Edn::keyword).and_then(Kind::parse);
    let kind = kind.ok_or_else(|| FormatError::new(line, "expected :invoke, :ok, :fail or :info after the process"))?;
    let f = next()?;
    let f = f.as_ref().and_then(Edn::keyword).unwrap_or_default().to_owned();
    let value = next()?.unwrap_or(Edn::Nil);
    let timed_out = value.keyword().is_some();
    pairing.event(line, process, kind, None, |names, invoked| {
        let ending = match (kind, f.as_str()) {
            (Kind::Fail, "cas") if !timed_out => Ending::Ok,
            (Kind::Fail, "read") => Ending::Fail,
            (Kind::Fail, _) if !timed_out => Ending::Fail,
            _ if timed_out => Ending::Info,
            _ => Ending::Ok,
        };
        if let Some(row) = invoked.filter(|_| ending != Ending::Ok) {
            return Ok((0, row.call, ending));
        }
        let mut number = |value: &Edn| match value {
            Edn::Nil => Ok(None),
            Edn::Integer(number) => Ok(Some(names.value(Label::Other(number.to_string())))),
            _ => Err("a value is neither a whole number nor nil".to_owned()),
        };
        let call = match (f.as_str(), &value) {
            ("read", value) => Call::Get(number(value)?),
            ("write", value) => Call::Put(number(value)?.ok_or("a write needs a value")?),
            ("cas", Edn::Vector(pair)) if pair.len() == 2 => {
                let (expected, new) = (number(&pair[0])?, number(&pair[1])?.ok_or("a cas to nil is not supported")?);
                match kind {
                    Kind::Fail => Call::CasMismatch { expected, new, found: None },
                    _ => Call::Cas { expected, new },
                }
            }
            ("cas", _) => return Err("the value of a cas is a pair, old and new".to_owned()),
            (other, _) => return Err(format!("the operation is :{other}, not :read, :write or :cas")),
        };
        Ok((0, call, ending))
    })
}
