//! A history as a struct of arrays of integers: the input of the linearizability checker.
//!
//! A million operations take about 50 MB and no allocation per operation. Histories of other systems are read into this
//! form as well, so a row says more than [`crate::kv::Op`] can: a cas that failed without reporting what it found, a
//! delete that reports whether there was a value, an append. Values and keys that are not small integers are interned
//! in [`Labels`].

use super::{History, Status};
use crate::kv::{Op, Response};
use std::collections::BTreeMap;
use std::fmt;

/// The end of an operation whose outcome is unknown: it may take effect at any later time.
pub const NEVER_NS: u64 = u64::MAX;

/// The latest time a history may name, in nanoseconds (146 years): leaves room for tie-breaking bits.
pub const LATEST_NS: u64 = 1 << 62;

/// The client of the writes that stand for the keys' initial values ([`Columns::begin_with`]).
pub const INITIAL_CLIENT: u32 = u32::MAX;

/// An operation's request and what its answer told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// A read that returned this (`None`: absent). With an unknown outcome the value means nothing.
    Get(Option<u64>),
    /// A write.
    Put(u64),
    /// A delete that does not report whether there was a value.
    Delete,
    /// A delete that reports whether there was a value.
    DeleteTold {
        /// Whether the key held a value.
        found: bool,
    },
    /// A cas that matched, or whose outcome is unknown.
    Cas {
        /// The value the key had to hold (`None`: absent).
        expected: Option<u64>,
        /// The value written.
        new: u64,
    },
    /// A cas that did not match and wrote nothing.
    CasMismatch {
        /// The value the key did not hold.
        expected: Option<u64>,
        /// The value it would have written.
        new: u64,
        /// What the key held instead, if the store reported it (`Some(None)`: absent).
        found: Option<Option<u64>>,
    },
    /// Text appended to the text the key holds; absence counts as empty. The number is the text's label.
    Append(u64),
}

/// How an operation ended, without its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Acknowledged.
    Ok,
    /// Definitely did not happen.
    Fail,
    /// Unknown: may take effect at any time after its invocation, or never.
    Info,
}

/// One operation, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// The operation's id; unique in a history.
    pub id: u32,
    /// The client that ran it.
    pub client: u32,
    /// The key it touched.
    pub key: u32,
    /// Its request and what its answer told.
    pub call: Call,
    /// When it was invoked, in nanoseconds.
    pub start_ns: u64,
    /// When it was answered, in nanoseconds; [`NEVER_NS`] for an unknown outcome.
    pub end_ns: u64,
    /// How it ended.
    pub ending: Ending,
}

/// The kind of a [`Call`] without its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Get,
    Put,
    Delete,
    DeleteTold,
    Cas,
    CasMismatch,
    Append,
}

/// What an operation demands of the state and does to it, as bits. The engines look at nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effect(u8);

impl Effect {
    const OBSERVES: u8 = 1;
    const OBSERVES_ABSENT: u8 = 2;
    const NEGATED: u8 = 4;
    const WRITES: u8 = 8;
    const WRITES_ABSENT: u8 = 16;
    const OPTIONAL: u8 = 32;
    const NEVER_HAPPENED: u8 = 64;
    const SPECIAL: u8 = 128;

    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
    /// Whether it saw a state: the value in `first`, or absence.
    pub fn observes(self) -> bool {
        self.has(Self::OBSERVES)
    }
    /// Whether what it saw (or, if [`Effect::negated`], did not see) was absence.
    pub fn observes_absent(self) -> bool {
        self.has(Self::OBSERVES_ABSENT)
    }
    /// Whether it only knows what the state was *not*.
    pub fn negated(self) -> bool {
        self.has(Self::NEGATED)
    }
    /// Whether it writes: the value in `second`, or absence.
    pub fn writes(self) -> bool {
        self.has(Self::WRITES)
    }
    /// Whether it writes absence.
    pub fn writes_absent(self) -> bool {
        self.has(Self::WRITES_ABSENT)
    }
    /// Whether it may not have happened.
    pub fn optional(self) -> bool {
        self.has(Self::OPTIONAL)
    }
    /// The same effect of an operation that may not have happened.
    pub fn as_optional(self) -> Effect {
        Effect(self.0 | Self::OPTIONAL)
    }
    /// The effect of a write of what this operation observed, whatever was there before.
    pub fn as_write_of_observed(self) -> Effect {
        let absent = if self.observes_absent() { Self::WRITES_ABSENT } else { 0 };
        Effect(Self::WRITES | absent | self.0 & Self::OPTIONAL)
    }
    /// Whether it definitely did not happen.
    pub fn never_happened(self) -> bool {
        self.has(Self::NEVER_HAPPENED)
    }
    /// Whether it is an append, or has an answer that no state explains (a cas that found what it expected, yet did not
    /// match).
    pub fn special(self) -> bool {
        self.has(Self::SPECIAL)
    }
}

/// Keys and values that are not small integers, by the number that stands for them. A text never equals what it spells:
/// `"5"` and `5` are different values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    /// Interned values.
    pub values: BTreeMap<u64, Label>,
    /// Interned keys.
    pub keys: BTreeMap<u32, Label>,
}

/// What an interned number stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// A text.
    Text(String),
    /// Anything else, as it is spelt: a number that is negative or too big, `true`, a keyword, a list.
    Other(String),
}

impl Label {
    /// The text itself, or the spelling.
    pub fn spelling(&self) -> &str {
        match self {
            Label::Text(text) | Label::Other(text) => text,
        }
    }
}

impl fmt::Display for Label {
    /// Texts that could be mistaken for another value are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Text(text) => {
                let plain = text.starts_with(|first: char| first.is_alphabetic() || first == '_');
                let key_number =
                    text.strip_prefix('k').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
                let word = matches!(text.as_str(), "true" | "false" | "nil" | "null" | "absent" | "absence");
                match plain && !key_number && !word && !text.contains(['"', '\\']) && !text.contains(char::is_control) {
                    true => f.write_str(text),
                    false => write!(f, "{text:?}"),
                }
            }
            Label::Other(spelling) => f.write_str(spelling),
        }
    }
}

impl Labels {
    /// Labels count from here, so they never collide with a number that stands for itself.
    pub const FIRST: u64 = 1 << 63;

    /// The number that stands for a text. Linear in the number of labels; readers of files keep a map of their own.
    pub fn text(&mut self, text: &str) -> u64 {
        self.value(Label::Text(text.to_owned()))
    }

    /// The number that stands for a value. Linear in the number of labels.
    pub fn value(&mut self, label: Label) -> u64 {
        if let Some((number, _)) = self.values.iter().find(|(_, known)| **known == label) {
            return *number;
        }
        let number = Labels::FIRST + self.values.len() as u64;
        self.values.insert(number, label);
        number
    }

    /// A value's text, or its spelling.
    pub fn spelling(&self, value: u64) -> String {
        self.values.get(&value).map_or_else(|| value.to_string(), |label| label.spelling().to_owned())
    }

    /// The number a text spells, if it is the usual spelling of a number below [`Labels::FIRST`].
    pub fn number(text: &str) -> Option<u64> {
        let usual = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
        text.parse().ok().filter(|number| usual && *number < Labels::FIRST)
    }
}

/// All operations of a history, in order of invocation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// Operation ids.
    pub ids: Vec<u32>,
    /// Clients.
    pub clients: Vec<u32>,
    /// Keys.
    pub keys: Vec<u32>,
    kinds: Vec<Kind>,
    /// What each operation demands and does.
    pub effects: Vec<Effect>,
    /// Values observed, where [`Effect::observes`] and not [`Effect::observes_absent`].
    pub first: Vec<u64>,
    /// Values written, where [`Effect::writes`] and not [`Effect::writes_absent`].
    pub second: Vec<u64>,
    /// Invocations, in nanoseconds.
    pub starts: Vec<u64>,
    /// Completions, in nanoseconds; [`NEVER_NS`] where unknown.
    pub ends: Vec<u64>,
    /// The requests of cas operations that did not match: (row, expected, new), ascending.
    mismatches: Vec<(u32, Option<u64>, u64)>,
    /// Texts behind interned numbers.
    pub labels: Labels,
}

impl Columns {
    /// Empty columns with room for this many operations.
    pub fn with_capacity(operations: usize) -> Self {
        Columns {
            ids: Vec::with_capacity(operations),
            clients: Vec::with_capacity(operations),
            keys: Vec::with_capacity(operations),
            kinds: Vec::with_capacity(operations),
            effects: Vec::with_capacity(operations),
            first: Vec::with_capacity(operations),
            second: Vec::with_capacity(operations),
            starts: Vec::with_capacity(operations),
            ends: Vec::with_capacity(operations),
            ..Columns::default()
        }
    }

    /// How many operations there are, failed ones included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Appends an operation. If an acknowledged operation ends before it starts, its end is set to its start. (Readers
    /// of files refuse such a line instead.)
    pub fn push(&mut self, row: Row) {
        let absent = |value: Option<u64>, bit: u8| if value.is_none() { bit } else { 0 };
        let (kind, mut effect, first, second) = match row.call {
            // Without an acknowledgement there is no answer, whatever the row contains.
            Call::Get(_) if row.ending != Ending::Ok => (Kind::Get, Effect::OBSERVES | Effect::OBSERVES_ABSENT, 0, 0),
            Call::Get(out) => (Kind::Get, Effect::OBSERVES | absent(out, Effect::OBSERVES_ABSENT), out.unwrap_or(0), 0),
            Call::Put(value) => (Kind::Put, Effect::WRITES, 0, value),
            Call::Delete => (Kind::Delete, Effect::WRITES | Effect::WRITES_ABSENT, 0, 0),
            Call::DeleteTold { found: true } => {
                let seen = Effect::OBSERVES | Effect::OBSERVES_ABSENT | Effect::NEGATED;
                (Kind::DeleteTold, seen | Effect::WRITES | Effect::WRITES_ABSENT, 0, 0)
            }
            Call::DeleteTold { found: false } => (Kind::DeleteTold, Effect::OBSERVES | Effect::OBSERVES_ABSENT, 0, 0),
            Call::Cas { expected, new } => {
                let seen = Effect::OBSERVES | absent(expected, Effect::OBSERVES_ABSENT);
                (Kind::Cas, seen | Effect::WRITES, expected.unwrap_or(0), new)
            }
            Call::CasMismatch { expected, new, found } => {
                self.mismatches.push((self.len() as u32, expected, new));
                let seen = found.unwrap_or(expected);
                let mut effect = Effect::OBSERVES | absent(seen, Effect::OBSERVES_ABSENT);
                if found.is_none() {
                    effect |= Effect::NEGATED;
                } else if found == Some(expected) {
                    effect |= Effect::SPECIAL;
                }
                (Kind::CasMismatch, effect, seen.unwrap_or(0), new)
            }
            Call::Append(text) => (Kind::Append, Effect::WRITES | Effect::SPECIAL, 0, text),
        };
        effect |= match row.ending {
            Ending::Ok => 0,
            Ending::Fail => Effect::NEVER_HAPPENED,
            Ending::Info => Effect::OPTIONAL,
        };
        self.ids.push(row.id);
        self.clients.push(row.client);
        self.keys.push(row.key);
        self.kinds.push(kind);
        self.effects.push(Effect(effect));
        self.first.push(first);
        self.second.push(second);
        let start = row.start_ns.min(LATEST_NS);
        self.starts.push(start);
        self.ends.push(match row.ending {
            Ending::Info => NEVER_NS,
            Ending::Ok | Ending::Fail => row.end_ns.clamp(start, LATEST_NS),
        });
    }

    /// The operation at `index`, unpacked.
    ///
    /// # Panics
    /// If `index` is not below [`Columns::len`].
    pub fn row(&self, index: usize) -> Row {
        let effect = self.effects[index];
        let first = (!effect.observes_absent()).then_some(self.first[index]);
        let second = self.second[index];
        let call = match self.kinds[index] {
            Kind::Get => Call::Get(first),
            Kind::Put => Call::Put(second),
            Kind::Delete => Call::Delete,
            Kind::DeleteTold => Call::DeleteTold { found: effect.negated() },
            Kind::Cas => Call::Cas { expected: first, new: second },
            Kind::CasMismatch => {
                let at = self.mismatches.binary_search_by_key(&(index as u32), |entry| entry.0);
                let (_, expected, new) = self.mismatches[at.expect("every mismatch is recorded by push")];
                Call::CasMismatch { expected, new, found: (!effect.negated()).then_some(first) }
            }
            Kind::Append => Call::Append(second),
        };
        let ending = match (effect.never_happened(), effect.optional()) {
            (true, _) => Ending::Fail,
            (_, true) => Ending::Info,
            _ => Ending::Ok,
        };
        Row {
            id: self.ids[index],
            client: self.clients[index],
            key: self.keys[index],
            call,
            start_ns: self.starts[index],
            end_ns: self.ends[index],
            ending,
        }
    }

    /// All operations, unpacked, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        (0..self.len()).map(|index| self.row(index))
    }

    /// The row of the operation with this id. Linear where ids are not the row numbers.
    pub fn find(&self, id: u32) -> Option<usize> {
        if self.ids.get(id as usize) == Some(&id) {
            return Some(id as usize);
        }
        self.ids.iter().position(|other| *other == id)
    }

    /// Gives keys values before the first operation: adds for each an acknowledged write by [`INITIAL_CLIENT`] that was
    /// over before the first operation began. A history that begins at time 0 is shifted by a nanosecond to make room.
    pub fn begin_with(&mut self, initial: &[(u32, u64)]) {
        if !initial.is_empty() && self.starts.contains(&0) {
            let later = |ns: &mut u64| *ns = if *ns == NEVER_NS { NEVER_NS } else { (*ns + 1).min(LATEST_NS) };
            self.starts.iter_mut().chain(&mut self.ends).for_each(later);
        }
        // If ids are row numbers, the new ones are too.
        let mut id = self.ids.iter().max().map_or(0, |most| most.saturating_add(1));
        for (key, value) in initial {
            let call = Call::Put(*value);
            self.push(Row { id, client: INITIAL_CLIENT, key: *key, call, start_ns: 0, end_ns: 0, ending: Ending::Ok });
            id = id.saturating_add(1);
        }
    }

    /// A value as people write it: its label, or the number itself. Different values are written differently.
    pub fn value_text(&self, value: u64) -> String {
        self.labels.values.get(&value).map_or_else(|| value.to_string(), Label::to_string)
    }

    /// A key as people write it: its label, or `k7` for key 7. Different keys are written differently.
    pub fn key_text(&self, key: u32) -> String {
        self.labels.keys.get(&key).map_or_else(|| format!("k{key}"), Label::to_string)
    }
}

impl From<&History> for Columns {
    fn from(history: &History) -> Self {
        let mut columns = Columns::with_capacity(history.operations.len());
        for operation in &history.operations {
            columns.push(Row {
                id: operation.id,
                client: operation.client,
                key: operation.key().0,
                call: call_of(operation.op, operation.outcome()),
                start_ns: operation.start_ns,
                end_ns: operation.end_ns,
                ending: match operation.status {
                    Status::Ok { .. } => Ending::Ok,
                    Status::Fail => Ending::Fail,
                    Status::Info => Ending::Info,
                },
            });
        }
        columns
    }
}

impl FromIterator<Row> for Columns {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        let mut columns = Columns::default();
        rows.into_iter().for_each(|row| columns.push(row));
        columns
    }
}

fn call_of(op: Op, outcome: Option<Response>) -> Call {
    match (op, outcome) {
        (Op::Get { .. }, Some(Response::Value(value))) => Call::Get(value),
        (Op::Get { .. }, _) => Call::Get(None),
        (Op::Put { value, .. }, _) => Call::Put(value),
        (Op::Delete { .. }, _) => Call::Delete,
        (Op::Cas { expected, new, .. }, Some(Response::Mismatch { found })) => {
            Call::CasMismatch { expected, new, found: Some(found) }
        }
        (Op::Cas { expected, new, .. }, _) => Call::Cas { expected, new },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_survives_packing() {
        let calls = [
            Call::Get(None),
            Call::Get(Some(4)),
            Call::Put(9),
            Call::Delete,
            Call::DeleteTold { found: true },
            Call::DeleteTold { found: false },
            Call::Cas { expected: None, new: 3 },
            Call::Cas { expected: Some(0), new: 3 },
            Call::CasMismatch { expected: Some(1), new: 2, found: None },
            Call::CasMismatch { expected: None, new: 2, found: Some(Some(5)) },
            Call::CasMismatch { expected: Some(1), new: 2, found: Some(None) },
            Call::Append(7),
        ];
        let rows: Vec<Row> = calls
            .iter()
            .enumerate()
            .flat_map(|(index, call)| {
                [(Ending::Ok, 9), (Ending::Fail, 9), (Ending::Info, NEVER_NS)].map(|(ending, end_ns)| Row {
                    id: index as u32,
                    client: 1,
                    key: 2,
                    call: *call,
                    start_ns: 3,
                    end_ns,
                    ending,
                })
            })
            .collect();
        let columns: Columns = rows.iter().copied().collect();
        let kept = |row: &Row| match row.call {
            Call::Get(_) if row.ending != Ending::Ok => Row { call: Call::Get(None), ..*row },
            _ => *row,
        };
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(columns.row(at), kept(row));
        }
    }
}
