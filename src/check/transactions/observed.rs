//! Who appended what, in which order, and which reads must not be, whatever came before what.

use super::{Anomaly, Fate, Finding, Transaction};
use crate::check::seconds;
use crate::kv::transaction::Micro;
use crate::kv::{Key, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Longer lists are shown by their ends.
const SHOWN: usize = 8;

/// An append, by its transaction's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Append {
    pub by: usize,
    /// Whether it is its transaction's last one to the key.
    pub is_last: bool,
}

/// What a transaction read of a key before it appended to it itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read<'a> {
    pub by: usize,
    pub key: Key,
    pub list: &'a [Value],
}

/// Transactions with what follows from what they read.
pub(super) struct Observed<'a> {
    pub transactions: &'a [Transaction],
    pub appends: BTreeMap<(Key, Value), Append>,
    /// All lists that committed transactions read.
    lists: Vec<(usize, Key, &'a [Value])>,
    /// The longest list that was read, by key, and its reader's place.
    longest: BTreeMap<Key, (usize, &'a [Value])>,
}

impl<'a> Observed<'a> {
    pub fn of(transactions: &'a [Transaction]) -> Observed<'a> {
        let mut appends: BTreeMap<(Key, Value), Append> = BTreeMap::new();
        let (mut lists, mut longest) = (Vec::new(), BTreeMap::<Key, (usize, &[Value])>::new());
        for (by, transaction) in transactions.iter().enumerate() {
            let mut last: BTreeMap<Key, Value> = BTreeMap::new();
            for micro in &transaction.micros {
                match micro {
                    Micro::Append { key, value } => {
                        appends.insert((*key, *value), Append { by, is_last: false });
                        last.insert(*key, *value);
                    }
                    Micro::Read { key, list } if transaction.fate == Fate::Committed => {
                        lists.push((by, *key, list.as_slice()));
                        let known = longest.entry(*key).or_insert((by, list));
                        if list.len() > known.1.len() {
                            *known = (by, list);
                        }
                    }
                    Micro::Read { .. } => {}
                }
            }
            for place in last {
                appends.entry(place).and_modify(|append| append.is_last = true);
            }
        }
        Observed { transactions, appends, lists, longest }
    }

    /// A transaction, as sentences name it.
    pub fn name(&self, at: usize) -> String {
        let Transaction { id, client, .. } = self.transactions[at];
        format!("client {client}'s #{id}")
    }

    /// The values of each key in the order in which they were appended, as far as they were read.
    pub fn orders(&self) -> BTreeMap<Key, &'a [Value]> {
        self.longest.iter().map(|(key, (_, list))| (*key, *list)).collect()
    }

    /// The transactions that took effect: they were acknowledged, or somebody read what they appended.
    pub fn took_effect(&self) -> BTreeSet<usize> {
        let acknowledged = (0..self.transactions.len()).filter(|at| self.transactions[*at].fate == Fate::Committed);
        let read = self.longest.iter().flat_map(|(key, (_, list))| list.iter().map(|value| (*key, *value)));
        let read = read.filter_map(|place| Some(self.appends.get(&place)?.by));
        acknowledged.chain(read).collect()
    }

    /// What each committed transaction read of each key before its own appends.
    pub fn reads(&self) -> Vec<Read<'a>> {
        let committed = self.transactions.iter().enumerate().filter(|(_, tried)| tried.fate == Fate::Committed);
        committed.flat_map(|(by, transaction)| outer_reads(by, &transaction.micros)).collect()
    }

    /// Reads that leave no order of a key's appends to go by: the first of each kind.
    pub fn unreadable(&self) -> Vec<Finding> {
        [self.duplicate(), self.unwritten(), self.incompatible(), self.reversed()].into_iter().flatten().collect()
    }

    /// Reads of what was aborted, or not final, or not what the transaction itself had seen or done: the first of each kind.
    pub fn unreliable(&self) -> Vec<Finding> {
        [self.aborted(), self.intermediate(), self.internal()].into_iter().flatten().collect()
    }

    fn finding(&self, anomaly: Anomaly, transactions: &[usize], sentence: String) -> Finding {
        Finding { anomaly, is_real_time: false, sentence, transactions: transactions.to_vec() }
    }

    /// `client 1's #7 read k2 as [4, 8] at 1.204 s`.
    fn read(&self, by: usize, key: Key, list: &[Value]) -> String {
        let end_ns = self.transactions[by].end_ns;
        format!("{} read {key} as {} at {}", self.name(by), shown(list), seconds(end_ns))
    }

    fn duplicate(&self) -> Option<Finding> {
        self.lists.iter().find_map(|&(by, key, list)| {
            let mut once = BTreeSet::new();
            let twice = list.iter().find(|value| !once.insert(**value))?;
            let sentence = format!("{}, which has {twice} twice", self.read(by, key, list));
            Some(self.finding(Anomaly::Duplicate, &[by], sentence))
        })
    }

    fn unwritten(&self) -> Option<Finding> {
        self.lists.iter().find_map(|&(by, key, list)| {
            let stranger = list.iter().find(|value| !self.appends.contains_key(&(key, **value)))?;
            let sentence = format!("{}, and nobody ever appended {stranger} to it", self.read(by, key, list));
            Some(self.finding(Anomaly::Unwritten, &[by], sentence))
        })
    }

    fn incompatible(&self) -> Option<Finding> {
        self.lists.iter().find_map(|&(by, key, list)| {
            let &(reader, longest) = self.longest.get(&key)?;
            let at = list.iter().zip(longest).position(|(one, other)| one != other)?;
            let sentence = format!(
                "{}, and {}: after the same {at} elements the one goes on with {} and the other with {}, and a list only grows \
                 at its end",
                self.read(by, key, list),
                self.read(reader, key, longest),
                list[at],
                longest[at]
            );
            Some(self.finding(Anomaly::IncompatibleOrder, &[by, reader], sentence))
        })
    }

    /// What one transaction appended to a key is there in its order, and nothing of it without what came before.
    fn reversed(&self) -> Option<Finding> {
        let of = |(writer, transaction): (usize, &Transaction)| {
            let mut before: BTreeMap<Key, Value> = BTreeMap::new();
            for micro in &transaction.micros {
                let Micro::Append { key, value } = micro else { continue };
                let Some(earlier) = before.insert(*key, *value) else { continue };
                let Some(&(by, list)) = self.longest.get(key) else { continue };
                let place = |value: Value| list.iter().position(|other| *other == value);
                if place(*value).is_some_and(|at| place(earlier).is_none_or(|earlier| earlier > at)) {
                    let sentence = format!(
                        "{}; in one transaction {} appended {earlier} first and {value} after that",
                        self.read(by, *key, list),
                        self.name(writer)
                    );
                    return Some(self.finding(Anomaly::IncompatibleOrder, &[by, writer], sentence));
                }
            }
            None
        };
        self.transactions.iter().enumerate().find_map(of)
    }

    fn aborted(&self) -> Option<Finding> {
        self.lists.iter().find_map(|&(by, key, list)| {
            let writers = list.iter().filter_map(|value| Some((value, self.appends.get(&(key, *value))?.by)));
            let (value, writer) =
                writers.into_iter().find(|(_, writer)| self.transactions[*writer].fate == Fate::Aborted)?;
            let sentence = format!(
                "{}, with {value}; but {}, which was to append that, was told that it failed",
                self.read(by, key, list),
                self.name(writer)
            );
            Some(self.finding(Anomaly::G1a, &[by, writer], sentence))
        })
    }

    fn intermediate(&self) -> Option<Finding> {
        self.reads().into_iter().find_map(|Read { by, key, list }| {
            let value = list.last()?;
            let append = self.appends.get(&(key, *value)).filter(|append| !append.is_last && append.by != by)?;
            let sentence = format!(
                "{}, which ends with {value}; {} appended more to it in the same transaction",
                self.read(by, key, list),
                self.name(append.by)
            );
            Some(self.finding(Anomaly::G1b, &[by, append.by], sentence))
        })
    }

    fn internal(&self) -> Option<Finding> {
        let committed = self.transactions.iter().enumerate().filter(|(_, tried)| tried.fate == Fate::Committed);
        committed.into_iter().find_map(|(by, transaction)| {
            // By key: what it read last, if it did, and what it has appended since.
            let mut known: BTreeMap<Key, (Option<&[Value]>, Vec<Value>)> = BTreeMap::new();
            for micro in &transaction.micros {
                let (base, tail) = known.entry(micro.key()).or_default();
                match micro {
                    Micro::Append { value, .. } => tail.push(*value),
                    Micro::Read { key, list } => {
                        let is_right = match base {
                            Some(base) => [*base, tail].concat() == *list,
                            // Nor has anybody what it is yet to append.
                            None => list.strip_suffix(tail.as_slice()).is_some_and(|outer| {
                                let is_own = |value: &Value| self.appends[&(*key, *value)].by == by;
                                !outer.iter().any(is_own)
                            }),
                        };
                        if !is_right {
                            let before = match base {
                                Some(base) => format!("had read {}", shown(base)),
                                None => "had not read it".to_owned(),
                            };
                            let sentence = format!(
                                "{}; before that it {before} and appended {} itself, in the same transaction",
                                self.read(by, *key, list),
                                shown(tail)
                            );
                            return Some(self.finding(Anomaly::Internal, &[by], sentence));
                        }
                        (*base, *tail) = (Some(list.as_slice()), Vec::new());
                    }
                }
            }
            None
        })
    }
}

/// The first read of each key, without what the transaction itself had appended before.
fn outer_reads(by: usize, micros: &[Micro]) -> Vec<Read<'_>> {
    let mut own: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
    let mut reads: BTreeMap<Key, Read> = BTreeMap::new();
    for micro in micros {
        match micro {
            Micro::Append { key, value } => own.entry(*key).or_default().push(*value),
            Micro::Read { key, list } => {
                let own = own.get(key).map_or(&[][..], Vec::as_slice);
                let list = list.strip_suffix(own).unwrap_or(list);
                reads.entry(*key).or_insert(Read { by, key: *key, list });
            }
        }
    }
    reads.into_values().collect()
}

/// A list, without its middle if it is long.
fn shown(list: &[Value]) -> String {
    let words = |values: &[Value]| values.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    match list.len() {
        0..=SHOWN => format!("[{}]", words(list)),
        count => format!("[{}, ... {} more ..., {}]", words(&list[..2]), count - 5, words(&list[count - 3..])),
    }
}
