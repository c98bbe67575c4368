//! The compact form of scripted operations and message acts: one row each, so that thousands of them stay readable.
//!
//! ```toml
//! script = [[1, 0, 2000125, "put k3=1"]]         # id, client, planned time in microseconds, operation
//! acts = [["n1", "n3", "append_entries", 17, "delay", 30500]] # from, to, kind, n-th, act, microseconds
//! ```
//!
//! A cas has `?` before an expectation that is only a placeholder for "the last value that this client saw". On client
//! links the n-th is `"operation.attempt"`.

use super::ScriptedOp;
use crate::fault::chaos::{Act, ActKind, Place};
use crate::fault::topology::Topology;
use crate::kv::{Key, Op};
use crate::trace::{AttemptId, HostId, MessageKind};
use std::fmt::Write;
use strum::VariantArray;
use toml::de::{DeInteger, DeValue};

/// What is wrong with a row, and what is allowed.
pub(super) type Wrong = (String, String);

/// The format of rows, for errors.
pub(super) const ROWS: &str = "a script row is [id, client, at_us, \"operation\"], where the operation is `get k1`, \
    `put k1=2`, `delete k1`, `cas k1 2->3`, `cas k1 absent->3` or, with what the client last saw, `cas k1 ?->3`; \
    an act row is [\"from\", \"to\", \"kind\", n, \"lose\"] or [..., \"delay\" or \"duplicate\", microseconds]";

fn wrong(problem: impl Into<String>) -> Wrong {
    (problem.into(), ROWS.to_string())
}

/// Writes an operation as a row.
pub(super) fn write_op(op: &ScriptedOp, out: &mut String) {
    let ScriptedOp { id, client, at_us, op, fixed_expectation } = op;
    let text = match op {
        // A placeholder is marked with `?`, and shown only if it is not the usual "absent".
        Op::Cas { key, expected: None, new } if !fixed_expectation => format!("cas {key} ?->{new}"),
        Op::Cas { key, expected: Some(seen), new } if !fixed_expectation => format!("cas {key} ?{seen}->{new}"),
        other => other.to_string(),
    };
    writeln!(out, "  [{id}, {client}, {at_us}, \"{text}\"],").expect("a string takes all");
}

/// Reads a row of the script.
pub(super) fn read_op(row: &DeValue) -> Result<ScriptedOp, Wrong> {
    let [id, client, at_us, text] = row.as_array().map_or(&[][..], |row| &row[..]) else {
        return Err(wrong("a script row has four parts"));
    };
    let text = text.get_ref().as_str().ok_or_else(|| wrong("the operation is no text"))?;
    let (op, fixed_expectation) = operation(text).ok_or_else(|| wrong(format!("`{text}` is no operation")))?;
    Ok(ScriptedOp {
        id: number(id.get_ref(), "id")?,
        client: number(client.get_ref(), "client")?,
        at_us: number(at_us.get_ref(), "planned time")?,
        op,
        fixed_expectation,
    })
}

fn operation(text: &str) -> Option<(Op, bool)> {
    let (verb, rest) = text.split_once(' ')?;
    let key = |text: &str| text.strip_prefix('k')?.parse().ok().map(Key);
    Some(match verb {
        "get" => (Op::Get { key: key(rest)? }, false),
        "delete" => (Op::Delete { key: key(rest)? }, false),
        "put" => {
            let (name, value) = rest.split_once('=')?;
            (Op::Put { key: key(name)?, value: value.parse().ok()? }, false)
        }
        "cas" => {
            let (name, change) = rest.split_once(' ')?;
            let (expected, new) = change.split_once("->")?;
            let (expected, fixed) = match expected.strip_prefix('?') {
                Some(placeholder) => (placeholder, false),
                None => (expected, true),
            };
            let expected = match expected {
                "" if !fixed => None,
                "absent" if fixed => None,
                value => Some(value.parse().ok()?),
            };
            (Op::Cas { key: key(name)?, expected, new: new.parse().ok()? }, fixed)
        }
        _ => return None,
    })
}

/// Writes an act as a row.
pub(super) fn write_act(act: &Act, topology: &Topology, out: &mut String) {
    let Place { from, to, kind, n } = act.place;
    let (from, to) = (topology.name(from), topology.name(to));
    write!(out, "  [\"{from}\", \"{to}\", \"{kind}\", ").expect("a string takes all");
    match AttemptId::of(n) {
        None => write!(out, "{n}"),
        Some(AttemptId { operation, attempt }) => write!(out, "\"{operation}.{attempt}\""),
    }
    .expect("a string takes all");
    let what: &str = act.what.into();
    let us = if act.what == ActKind::Lose && act.us == 0 { String::new() } else { format!(", {}", act.us) };
    writeln!(out, ", \"{what}\"{us}],").expect("a string takes all");
}

/// Reads a row of the acts.
pub(super) fn read_act(row: &DeValue, topology: &Topology) -> Result<Act, Wrong> {
    let row = row.as_array().map_or(&[][..], |row| &row[..]);
    let ([from, to, kind, n, what], us) = match row {
        [from, to, kind, n, what] => ([from, to, kind, n, what], None),
        [from, to, kind, n, what, us] => ([from, to, kind, n, what], Some(us)),
        _ => return Err(wrong("an act row has five or six parts")),
    };
    let text = |value: &DeValue| value.as_str().map(str::to_string).unwrap_or_default();
    let host = |value: &DeValue| -> Result<HostId, Wrong> {
        let name = text(value);
        topology
            .host(&name)
            .ok_or_else(|| (format!("`{name}` is no host"), format!("allowed: {}", topology.names[1..].join(", "))))
    };
    let (from, to) = (host(from.get_ref())?, host(to.get_ref())?);
    let kind = text(kind.get_ref());
    let kinds = MessageKind::ALL;
    let kind = kinds.iter().copied().find(|known| known.name() == kind).ok_or_else(|| {
        (
            format!("`{kind}` is no kind of message"),
            super::suggest::allowed(&kind, kinds.iter().map(|kind| kind.name()).collect()),
        )
    })?;
    let n = match n.get_ref().as_str() {
        Some(text) => text
            .split_once('.')
            .and_then(|(operation, attempt)| {
                let attempt = AttemptId { operation: operation.parse().ok()?, attempt: attempt.parse().ok()? };
                Some(attempt.number())
            })
            .ok_or_else(|| wrong(format!("`{text}` is not `operation.attempt`")))?,
        None => number(n.get_ref(), "count")?,
    };
    let what = text(what.get_ref());
    let what = ActKind::VARIANTS
        .iter()
        .copied()
        .find(|known| <&str>::from(known) == what)
        .ok_or_else(|| wrong(format!("`{what}` is no act")))?;
    let us = match us {
        Some(us) => number(us.get_ref(), "delay")?,
        None if what == ActKind::Lose => 0,
        None => return Err(wrong("the delay is missing")),
    };
    Ok(Act { place: Place { from, to, kind, n }, what, us })
}

fn number<T: TryFrom<u64>>(value: &DeValue, what: &str) -> Result<T, Wrong> {
    let digits = value.as_integer().map_or("", DeInteger::as_str);
    let number = digits.parse::<u64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| wrong(format!("the {what} is no whole number in range")))
}
