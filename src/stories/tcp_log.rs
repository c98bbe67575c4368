//! What the TCP stacks of several hosts have logged, as tables of what passed and which states that led to.

use super::evidence::Table;
use crate::host::tcp::record::{Entry, Event, Id};
use crate::host::tcp::segment::Segment;
use std::collections::BTreeMap;

/// The logs of some hosts, by name.
pub type Logs = BTreeMap<String, Vec<Entry>>;

/// One connection, at the host where it began and at the other.
pub type Ends = Vec<(String, Id)>;

/// The two ends of a connection that a host opened; one if no other host knows of it.
pub fn exchange(logs: &Logs, opened_by: &str, id: Id) -> Ends {
    let syn = |entry: &Entry| match entry.event {
        Event::Sent(segment) if segment.opens() => Some(segment),
        _ => None,
    };
    let own = logs.get(opened_by).into_iter().flatten();
    let sent = own.filter(|entry| entry.id == id).find_map(syn);
    let is_it = |entry: &&Entry| match entry.event {
        Event::Received(segment) => {
            sent.is_some_and(|sent: Segment| (sent.from, sent.seq) == (segment.from, segment.seq))
        }
        _ => false,
    };
    let others = logs.iter().filter(|(name, _)| *name != opened_by);
    let other = others.filter_map(|(name, log)| Some((name.clone(), log.iter().find(is_it)?.id)));
    [(opened_by.to_string(), id)].into_iter().chain(other.take(1)).collect()
}

/// A connection as a table: a row for each instant at which something happened at one of its ends.
pub fn timeline(title: &str, logs: &Logs, ends: &Ends) -> Table {
    let mut table = Table::new(title, &["ms", "at", "receives", "sends", "is then"]);
    let mut rows: BTreeMap<(u64, usize), [Vec<String>; 3]> = BTreeMap::new();
    for (end, (name, id)) in ends.iter().enumerate() {
        for entry in logs.get(name).into_iter().flatten().filter(|entry| entry.id == *id) {
            let [received, sent, state] = rows.entry((entry.at_ns, end)).or_default();
            match entry.event {
                Event::Received(segment) => received.push(segment.to_string()),
                Event::Sent(segment) => sent.push(segment.to_string()),
                Event::Became(is) => state.push(is.to_string()),
                Event::Failed(failure) => state.push(format!("({failure})")),
            }
        }
    }
    let first_ns = rows.keys().next().map_or(0, |(at_ns, _)| *at_ns);
    for ((at_ns, end), cells) in rows {
        let ms = ((at_ns - first_ns) / 1_000_000).to_string();
        let cells = cells.map(|words| words.join(", "));
        table.row([ms, ends[end].0.clone()].into_iter().chain(cells));
    }
    table
}
