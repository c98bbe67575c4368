//! Presents a witness to people: as one sentence, as a small picture for the terminal ([`diagram`]), and as SVG
//! (`svg`).

mod picture;
mod svg;

pub use picture::{Extent, diagram, shown};
pub use svg::svg;

use super::witness::{DeleteNeeded, Life, Reason};
use crate::history::Columns;
use crate::history::columns::{Call, Ending, INITIAL_CLIENT, NEVER_NS, Row};

/// The argument of a witness in one sentence, with clients, values and times.
pub(super) fn sentence(columns: &Columns, key: u32, reason: &Reason) -> String {
    Teller { columns, key: columns.key_text(key) }.sentence(reason)
}

/// A time in seconds, as precise as it needs to be: `4.210 s`, or `17 ns` where a history counts in small steps.
fn time(ns: u64) -> String {
    match ns {
        NEVER_NS => "never".to_owned(),
        0..1_000_000 => format!("{ns} ns"),
        // Readers of other formats may have moved an instant by nanoseconds to keep the order of events.
        _ if ns % 1_000_000 < 1_000 => format!("{}.{:03} s", ns / 1_000_000_000, ns % 1_000_000_000 / 1_000_000),
        _ => format!("{}.{:06} s", ns / 1_000_000_000, ns % 1_000_000_000 / 1_000),
    }
}

/// An operation as people write it: `put k7=21`, `get k7 -> 17`.
fn operation_text(columns: &Columns, row: &Row) -> String {
    let key = columns.key_text(row.key);
    let value = |value: Option<u64>| value.map_or("absent".to_owned(), |value| columns.value_text(value));
    match row.call {
        Call::Put(initial) if row.client == INITIAL_CLIENT => format!("{key} holds {}", value(Some(initial))),
        Call::Get(_) if row.ending != Ending::Ok => format!("get {key}"),
        Call::Get(out) => format!("get {key} -> {}", value(out)),
        Call::Put(new) => format!("put {key}={}", value(Some(new))),
        Call::Delete => format!("delete {key}"),
        Call::DeleteTold { found: true } => format!("delete {key} (found)"),
        Call::DeleteTold { found: false } => format!("delete {key} (not found)"),
        Call::Cas { expected, new } => format!("cas {key} {}->{}", value(expected), value(Some(new))),
        Call::CasMismatch { expected, new, found } => {
            let found = found.map_or("no match".to_owned(), |found| format!("found {}", value(found)));
            format!("cas {key} {}->{} ({found})", value(expected), value(Some(new)))
        }
        Call::Append(text) => format!("append {key} {}", value(Some(text))),
    }
}

struct Teller<'a> {
    columns: &'a Columns,
    key: String,
}

/// A chain, prepared for a sentence.
struct Told {
    first: Option<Row>,
    last: Option<Row>,
}

impl Teller<'_> {
    fn row(&self, id: u32) -> Row {
        self.columns.row(self.columns.find(id).expect("a witness names operations of its history"))
    }

    fn value(&self, value: Option<u64>) -> String {
        value.map_or("absence".to_owned(), |value| self.columns.value_text(value))
    }

    /// `client 3 read 17`, `client 2's put of 21`.
    fn did(&self, row: &Row) -> String {
        let client = row.client;
        match row.call {
            Call::Put(initial) if client == INITIAL_CLIENT => {
                format!("{} held {} at first", self.key, self.value(Some(initial)))
            }
            Call::Get(None) => format!("client {client} found {} absent", self.key),
            Call::Get(out) => format!("client {client} read {}", self.value(out)),
            Call::Put(new) => format!("client {client} wrote {}", self.value(Some(new))),
            Call::Delete | Call::DeleteTold { found: true } => format!("client {client} deleted {}", self.key),
            Call::DeleteTold { found: false } => format!("client {client} found nothing to delete"),
            Call::Cas { expected, new } => {
                format!("client {client} swapped {} for {}", self.value(expected), self.value(Some(new)))
            }
            Call::CasMismatch { expected, found: Some(found), .. } => {
                format!("client {client}'s cas expecting {} found {}", self.value(expected), self.value(found))
            }
            Call::CasMismatch { expected, .. } => {
                format!("client {client}'s cas did not find {}", self.value(expected))
            }
            Call::Append(text) => format!("client {client} appended {}", self.value(Some(text))),
        }
    }

    fn when(&self, row: &Row) -> String {
        match row.ending {
            _ if row.client == INITIAL_CLIENT => "from the beginning".to_owned(),
            Ending::Ok => format!("from {} to {}", time(row.start_ns), time(row.end_ns)),
            Ending::Fail | Ending::Info => format!("from {}, outcome unknown", time(row.start_ns)),
        }
    }

    /// The value an operation belongs to: the one it wrote, else the one it saw.
    fn home(&self, row: &Row) -> Option<u64> {
        match row.call {
            Call::Put(value) | Call::Cas { new: value, .. } => Some(value),
            Call::Get(value) => value,
            Call::CasMismatch { found, .. } => found.flatten(),
            Call::Delete | Call::DeleteTold { .. } | Call::Append(_) => None,
        }
    }

    fn told(&self, life: &Life) -> Told {
        Told { first: life.ended_first.map(|id| self.row(id)), last: life.began_last.map(|id| self.row(id)) }
    }

    fn sentence(&self, reason: &Reason) -> String {
        let key = &self.key;
        match reason {
            Reason::Impossible { operation } => {
                let row = self.row(*operation);
                format!(
                    "{} ({}): what it found is what it expected, yet it did not match.",
                    self.did(&row),
                    self.when(&row)
                )
            }
            Reason::NeverWritten { operation } => self.never_written(*operation),
            Reason::TakenTwice { cas: [one, other], .. } => {
                let (one, other) = (self.row(*one), self.row(*other));
                let Call::Cas { expected, .. } = one.call else { unreachable!("only a cas takes a value") };
                format!(
                    "{key} held {} only once, but two cas took it, each as if the other had not happened: {} ({}) and {} ({}).",
                    self.value(expected),
                    self.did(&one),
                    self.when(&one),
                    self.did(&other),
                    self.when(&other),
                )
            }
            Reason::Circular { cas } => {
                let steps: Vec<String> = cas.iter().map(|id| self.did(&self.row(*id))).collect();
                format!("Each of these needs the one before, and the first needs the last: {}.", steps.join(", "))
            }
            Reason::OutOfOrder { later, earlier, .. } => self.out_of_order(&self.row(*later), &self.row(*earlier)),
            Reason::Overlap { one, other } => self.overlap(one, other),
            Reason::WithinLife { life, operation } => self.within(life, &self.row(*operation)),
            Reason::TooFewDeletes { needs, deletes, .. } => self.too_few_deletes(needs, deletes.len()),
            Reason::NoOrder { operations, since, breaks, until_ns } => {
                self.no_order(operations, *since, *breaks, *until_ns)
            }
        }
    }

    fn no_order(&self, operations: &[u32], since: Option<u32>, breaks: Option<u32>, until_ns: u64) -> String {
        let rows: Vec<Row> = operations.iter().map(|id| self.row(*id)).collect();
        let number = match rows.len() {
            1 => "this one operation".to_owned(),
            many => format!("these {many} operations"),
        };
        let from = since.map_or(String::new(), |since| {
            let read = self.row(since);
            format!(", starting when {} ({}),", self.did(&read), self.when(&read))
        });
        let why = self.no_shorter(&rows);
        match breaks.map(|id| self.row(id)) {
            Some(row) => format!(
                "{} ({}), and no order of {number} on {}{from} explains that{why}.",
                self.did(&row),
                self.when(&row),
                self.key,
            ),
            None => {
                let until = if until_ns == u64::MAX { String::new() } else { format!(" up to {}", time(until_ns)) };
                format!("No order of {number} on {}{until}{from} explains what they returned{why}.", self.key)
            }
        }
    }

    /// Why every order had to be tried, if these operations show it.
    fn no_shorter(&self, rows: &[Row]) -> &'static str {
        let mut written: Vec<u64> = rows
            .iter()
            .filter_map(|row| match row.call {
                Call::Put(value) | Call::Cas { new: value, .. } => Some(value),
                _ => None,
            })
            .collect();
        let writes = written.len();
        written.sort_unstable();
        written.dedup();
        let vague = |row: &Row| {
            matches!(row.call, Call::CasMismatch { found: None, .. } | Call::DeleteTold { .. } | Call::Append(_))
        };
        match rows.iter().any(vague) {
            _ if written.len() < writes => " (every order was tried: values repeat)",
            true => " (every order was tried: not every answer tells which write it saw)",
            false => "",
        }
    }

    fn never_written(&self, operation: u32) -> String {
        let row = self.row(operation);
        let value = match row.call {
            Call::Cas { expected, .. } => expected,
            _ => self.home(&row),
        };
        let failed = self.columns.rows().find(|other| {
            let wrote = matches!(other.call, Call::Put(new) | Call::Cas { new, .. } if Some(new) == value);
            other.key == row.key && wrote && other.ending == Ending::Fail
        });
        let (did, when, value) = (self.did(&row), self.when(&row), self.value(value));
        match failed {
            Some(failed) => format!(
                "{did} ({when}), but the only write of {value}, by client {} at {}, had failed.",
                failed.client,
                time(failed.start_ns),
            ),
            None => format!("{did} ({when}), but nobody ever wrote {value} to {}.", self.key),
        }
    }

    fn out_of_order(&self, later: &Row, earlier: &Row) -> String {
        let reads_future = self.home(later) == self.home(earlier) && matches!(later.call, Call::Get(_));
        if reads_future {
            return format!(
                "{} and had its answer at {}, but {} was written only from {} on.",
                self.did(later),
                time(later.end_ns),
                self.value(self.home(later)),
                time(earlier.start_ns),
            );
        }
        if matches!(earlier.call, Call::Get(_) | Call::CasMismatch { .. }) && self.home(later) != self.home(earlier) {
            let (old, new) = (self.value(self.home(earlier)), self.value(self.home(later)));
            let (did, at) = (self.did(earlier), time(earlier.start_ns));
            return match later.call {
                Call::Cas { .. } => {
                    format!(
                        "{did} at {at}, but {new} had replaced {old} at {}, acknowledged to client {}.",
                        time(later.end_ns),
                        later.client
                    )
                }
                _ => {
                    format!(
                        "{did} at {at}, but {new} had replaced {old}: client {} had seen {new} by {}.",
                        later.client,
                        time(later.end_ns)
                    )
                }
            };
        }
        format!(
            "{} and was done at {}; by the values of the swaps that came after {}, which began only at {}.",
            self.did(later),
            time(later.end_ns),
            self.did(earlier),
            time(earlier.start_ns),
        )
    }

    /// Two lives that overlap. The plainest explanation is a stale read: a value seen after another had replaced it.
    fn overlap(&self, one: &Life, other: &Life) -> String {
        for (old, new) in [(one, other), (other, one)] {
            if let Some(told) = self.stale(old, new) {
                return told;
            }
        }
        let part = |life: &Life| {
            let told = self.told(life);
            match (told.first, told.last) {
                (Some(first), Some(last)) if first.id == last.id => {
                    format!("{} ({})", self.did(&first), self.when(&first))
                }
                (Some(first), Some(last)) => {
                    format!(
                        "{} ({}) and {} ({})",
                        self.did(&first),
                        self.when(&first),
                        self.did(&last),
                        self.when(&last)
                    )
                }
                (None, Some(last)) => {
                    format!("{} was absent at first and {} ({})", self.key, self.did(&last), self.when(&last))
                }
                (_, None) => format!("{} was absent at first", self.key),
            }
        };
        format!("Two values would have to be live at once: {}; but {}.", part(one), part(other))
    }

    /// `client 3 read 17 at 4.210 s, but 21 had replaced it at 3.980 s`: if the old value's write was over before
    /// the new value's began, and the new value had been acknowledged or seen before the read of the old one began.
    fn stale(&self, old: &Life, new: &Life) -> Option<String> {
        let (old_told, new_told) = (self.told(old), self.told(new));
        let read = old_told.last?;
        let proof = new_told.first?;
        if proof.end_ns == NEVER_NS || proof.end_ns >= read.start_ns || matches!(read.call, Call::Put(_)) {
            return None;
        }
        let (old_value, new_value) = match read.call {
            Call::Cas { expected, .. } => (expected, self.home(&proof)),
            _ => (self.home(&read), self.home(&proof)),
        };
        let by_client = |row: &Row| row.client != INITIAL_CLIENT;
        let old_write = old.writes.iter().map(|id| self.row(*id)).find(|row| self.home(row) == old_value);
        let new_write = new.writes.iter().map(|id| self.row(*id)).find(|row| self.home(row) == new_value);
        let replaced = match (old_write, new_write) {
            (Some(old), Some(new)) => old.end_ns < new.start_ns,
            (None, Some(_)) => old_value.is_none(),
            _ => false,
        };
        if !replaced {
            return None;
        }
        let (did, at) = (self.did(&read), time(read.start_ns));
        let (old_text, new_text) = (self.value(old_value), self.value(new_value));
        let acknowledged =
            [old_write, new_write].into_iter().flatten().all(|row| row.ending == Ending::Ok && by_client(&row));
        Some(match (&proof.call, acknowledged) {
            (Call::Put(_) | Call::Cas { .. }, true) if old_write.is_some() => format!(
                "{did} at {at}, but {new_text} had replaced it at {}, and both writes were acknowledged.",
                time(proof.end_ns),
            ),
            (Call::Put(_) | Call::Cas { .. }, _) if old_write.is_none() => {
                format!("{did} at {at}, but {new_text} had been written and acknowledged by {}.", time(proof.end_ns))
            }
            (Call::Put(_) | Call::Cas { .. }, _) => {
                format!("{did} at {at}, but {new_text} had replaced {old_text} by {}.", time(proof.end_ns))
            }
            _ => format!(
                "{did} at {at}, but {new_text} had replaced {old_text}: client {} had seen {new_text} by {}.",
                proof.client,
                time(proof.end_ns),
            ),
        })
    }

    fn within(&self, life: &Life, row: &Row) -> String {
        let told = self.told(life);
        let ends = told.first.zip(told.last).map(|(first, last)| {
            format!(
                "{} by {}, and {} from {} on",
                self.did(&first),
                time(first.end_ns),
                self.did(&last),
                time(last.start_ns)
            )
        });
        format!(
            "{} ({}), but all that time {} held a value: {}.",
            self.did(row),
            self.when(row),
            self.key,
            ends.unwrap_or_default(),
        )
    }

    fn too_few_deletes(&self, needs: &[DeleteNeeded], deletes: usize) -> String {
        let [need] = needs else {
            let reads: Vec<String> = needs.iter().map(|need| self.did(&self.row(need.read))).collect();
            return format!(
                "Each of {} reads of absence on {} needs a delete of its own, but only {deletes} can serve them: {}.",
                needs.len(),
                self.key,
                reads.join(", "),
            );
        };
        let read = self.row(need.read);
        let last = self.told(&need.after).last;
        let before = last.map_or(String::new(), |last| format!(" after {} ({})", self.did(&last), self.when(&last)));
        format!("{} ({}), but no delete of {} can have happened{before}.", self.did(&read), self.when(&read), self.key)
    }
}
