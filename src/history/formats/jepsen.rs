//! Jepsen's EDN histories (registers and cas-registers, with or without `independent` keys), and porcupine's key-value
//! text, which is written the same way.
//!
//! An event is a map such as `{:type :invoke, :f :cas, :value [3 [0 1]], :process 7, :time 12}`. With independent keys
//! the value is a pair of key and value; porcupine's maps have a `:key` and text values instead. A `:fail` did not
//! happen; in particular it does not report what a cas found. An `:info` may still happen. Events of processes that are
//! not numbers (the nemesis) are skipped.

use super::edn::{Edn, Reader};
use super::events::{Kind, Pairing};
use super::{FormatError, Names};
use crate::history::Columns;
use crate::history::columns::{Call, Ending, Label, NEVER_NS, Row};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Reads events: one map after another, or all in one vector or list.
pub(super) fn read(text: &[u8]) -> Result<Columns, FormatError> {
    let mut reader = Reader::new(text);
    let mut pairing = Pairing::new();
    let within = reader.enter()?;
    loop {
        let event = if within { reader.element()? } else { reader.next()? };
        let Some(event) = event else { break };
        take(reader.line, &event, &mut pairing)?;
    }
    if within && reader.next()?.is_some() {
        return Err(FormatError::new(reader.line, "something follows the history"));
    }
    Ok(pairing.finish())
}

fn take(line: usize, event: &Edn, pairing: &mut Pairing) -> Result<(), FormatError> {
    let wrong = |reason: &str| FormatError::new(line, reason);
    if !matches!(event, Edn::Map(_)) {
        return Err(wrong("an event is a map such as {:type :invoke, :f :read, :value nil, :process 0}"));
    }
    let process = match event.get("process") {
        Some(Edn::Integer(process)) => {
            u32::try_from(*process).map_err(|_| wrong(":process is not a number below 2^32"))?
        }
        Some(_) => return Ok(()),
        None => return Err(wrong(":process is missing")),
    };
    let kind = event.get("type").and_then(Edn::keyword).and_then(Kind::parse);
    let kind = kind.ok_or_else(|| wrong(":type is not :invoke, :ok, :fail or :info"))?;
    let time_ns = match event.get("time") {
        Some(Edn::Integer(time)) => Some(u64::try_from(*time).map_err(|_| wrong(":time is negative"))?),
        _ => None,
    };
    let f = event.get("f").and_then(Edn::keyword).ok_or_else(|| wrong(":f is missing"))?;
    let value = event.get("value").unwrap_or(&Edn::Nil);
    let key = event.get("key");
    pairing.event(line, process, kind, time_ns, |names, invoked| {
        if kind == Kind::Fail {
            let row = invoked.ok_or("nothing was invoked")?;
            return Ok((row.key, row.call, Ending::Fail));
        }
        let (key, call) = call(names, f, key, value, invoked)?;
        Ok((key, call, Ending::Ok))
    })
}

/// An event's request or answer: the key and the call.
fn call(
    names: &mut Names,
    f: &str,
    key: Option<&Edn>,
    value: &Edn,
    invoked: Option<Row>,
) -> Result<(u32, Call), String> {
    // Completions of writes may leave out the value.
    if let (Some(row), Edn::Nil) = (invoked, value)
        && !matches!(row.call, Call::Get(_))
    {
        return Ok((row.key, row.call));
    }
    let cas = matches!(f, "cas" | "compare-and-set");
    let porcupine = key.is_some();
    let (key, value) = match (key, value) {
        (Some(key), value) => (names.key(key.label()), value),
        // A cas on the only key has a pair of its own.
        (None, Edn::Vector(pair)) if pair.len() == 2 && (!cas || matches!(pair[1], Edn::Vector(_))) => {
            (names.key(pair[0].label()), &pair[1])
        }
        (None, value) => (0, value),
    };
    let mut number = |value: &Edn| match value {
        Edn::Nil => None,
        // Porcupine's store holds the empty text in place of absence.
        Edn::Text(text) if text.is_empty() && porcupine => None,
        value => Some(names.value(value.label())),
    };
    let call = match f {
        "read" | "get" | "r" => Call::Get(number(value)),
        "write" | "put" | "w" => number(value).map_or(Call::Delete, Call::Put),
        "append" if !matches!(value, Edn::Nil | Edn::Text(_)) => return Err("what is appended is a text".to_owned()),
        "append" => number(value).map_or(Call::Get(None), Call::Append),
        "delete" | "del" | "remove" => Call::Delete,
        _ if cas => match value {
            Edn::Vector(pair) if pair.len() == 2 => {
                let new = number(&pair[1]).ok_or("a cas to nil is not supported")?;
                Call::Cas { expected: number(&pair[0]), new }
            }
            _ => return Err("the value of a cas is a pair, old and new".to_owned()),
        },
        other => return Err(format!(":f :{other} is not one of :read, :write, :cas, :delete, :append")),
    };
    Ok((key, call))
}

/// Writes Jepsen events with independent keys.
///
/// Some of our calls have no counterpart in Jepsen. A delete becomes a write of nil. A cas that found another value
/// becomes a read of that value (Jepsen's `:fail` would not report it), with its request under `:cas`. After an unknown
/// outcome a client goes on as another process.
pub fn write(columns: &Columns) -> String {
    let spelt = |label: &Label| match label {
        Label::Text(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Label::Other(spelling) => spelling.clone(),
    };
    let value = |value: Option<u64>| match value {
        None => "nil".to_owned(),
        Some(value) => columns.labels.values.get(&value).map_or(value.to_string(), spelt),
    };
    // Invocations come before completions at equal times; completions that never came go last.
    let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * columns.len());
    for at in 0..columns.len() {
        events.push((columns.starts[at], false, at));
        events.push((columns.ends[at], true, at));
    }
    events.sort_unstable();
    let last_ns = events.iter().rev().map(|event| event.0).find(|time| *time != NEVER_NS).unwrap_or(0);
    let mut processes =
        Processes { next: columns.clients.iter().copied().max().map_or(0, |most| most + 1), ..Processes::default() };
    let mut process_of = vec![0; columns.len()];
    let mut text = String::with_capacity(160 * columns.len());
    for (index, (time_ns, completes, at)) in events.into_iter().enumerate() {
        let row = columns.row(at);
        let key = columns.labels.keys.get(&row.key).map_or(row.key.to_string(), spelt);
        let answered = completes && row.ending == Ending::Ok;
        let (f, value, more) = match row.call {
            Call::Get(out) => ("read", if answered { value(out) } else { "nil".to_owned() }, String::new()),
            Call::Put(new) => ("write", value(Some(new)), String::new()),
            Call::Delete | Call::DeleteTold { found: true } => ("write", "nil".to_owned(), String::new()),
            Call::DeleteTold { found: false } => ("read", "nil".to_owned(), String::new()),
            Call::Cas { expected, new } => {
                ("cas", format!("[{} {}]", value(expected), value(Some(new))), String::new())
            }
            Call::CasMismatch { expected, new, found: Some(found) } => {
                let asked = format!(", :cas [{} {}]", value(expected), value(Some(new)));
                ("read", if answered { value(found) } else { "nil".to_owned() }, asked)
            }
            Call::CasMismatch { expected, new, found: None } => {
                ("cas", format!("[{} {}]", value(expected), value(Some(new))), String::new())
            }
            Call::Append(new) => ("append", value(Some(new)), String::new()),
        };
        let kind = match (completes, row.ending) {
            (false, _) => "invoke",
            (true, Ending::Ok) if matches!(row.call, Call::CasMismatch { found: None, .. }) => "fail",
            (true, Ending::Ok) => "ok",
            (true, Ending::Fail) => "fail",
            (true, Ending::Info) => "info",
        };
        if completes {
            processes.completes(row.client, process_of[at], row.ending != Ending::Info);
        } else {
            process_of[at] = processes.invokes(row.client);
        }
        let _ = writeln!(
            text,
            "{{:type :{kind}, :f :{f}, :value [{key} {value}], :process {}, :time {}, :index {index}{more}}}",
            process_of[at],
            time_ns.min(last_ns),
        );
    }
    text
}

/// Which process of a client is free: a process runs one operation at a time, and no more after an unknown outcome.
#[derive(Default)]
struct Processes {
    next: u32,
    free: BTreeMap<u32, Vec<u32>>,
}

impl Processes {
    fn invokes(&mut self, client: u32) -> u32 {
        // A client starts as the process of its own number.
        let free = self.free.entry(client).or_insert_with(|| vec![client]);
        free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    fn completes(&mut self, client: u32, process: u32, known: bool) {
        if known {
            self.free.entry(client).or_default().push(process);
        }
    }
}
