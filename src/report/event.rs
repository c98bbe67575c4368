//! One event of a trace as a line of text.

use super::page::columns::variant;
use super::style::seconds;
use super::words::{Piece, pieces, words};
use crate::kv::Tag;
use crate::trace::{Event, HostId, HostSet, Trace};
use serde::Deserialize;
use serde_json::Value;

/// `4.210123 s n2 sends append_entries m2.17 to n3`: time in seconds to the microsecond, host, what happened.
pub fn event(trace: &Trace, event: &Event) -> String {
    let (_, fields) = variant(&event.what);
    let said: String = pieces(words(&event.what)).map(|piece| filled(piece, &fields, trace)).collect();
    let (s, us) = (event.t_ns / 1_000_000_000, event.t_ns / 1000 % 1_000_000);
    format!("{s}.{us:06} s {} {said}", trace.name(event.host))
}

/// A piece of an event's words, filled in from a trace.
fn filled(piece: Piece, fields: &Value, trace: &Trace) -> String {
    let (path, form) = match piece {
        Piece::Text(text) => return text.to_owned(),
        Piece::Field { path, form } => (path, form),
    };
    let field = |path: &str| path.split('.').try_fold(fields, |value, name| value.get(name));
    let number = |path: &str| field(path).and_then(Value::as_u64);
    let text = match form {
        None => field(path).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        Some("host") => number(path).map(|host| trace.name(HostId(host as u16)).to_owned()),
        Some("nodes") => field(path).and_then(|set| HostSet::deserialize(set).ok()).map(|set| set.to_string()),
        Some("seconds") => number(path).map(seconds),
        Some("hash") => number(path).map(|hash| format!("{hash:016x}")),
        Some("operation") => number(path).map(|operation| format!("#{operation}")),
        Some("fault") => number(path).map(|fault| format!("fault {fault}")),
        Some("command") => field(path).and_then(|tag| Tag::deserialize(tag).ok()).map(|tag| match number("key") {
            Some(key) => format!("{tag} on k{key}"),
            None => tag.to_string(),
        }),
        Some(_) => None,
    };
    text.unwrap_or_else(|| format!("?{path}"))
}

/// Where two traces part: the index of the first event that differs, `None` when they are equal.
pub fn first_difference(one: &Trace, other: &Trace) -> Option<usize> {
    let common = one.events.iter().zip(&other.events).position(|(a, b)| a != b);
    common.or_else(|| (one.events.len() != other.events.len()).then(|| one.events.len().min(other.events.len())))
}

/// The first event at which two traces part, as a sentence; `None` when they are equal.
pub fn divergence(recorded: &Trace, now: &Trace) -> Option<String> {
    let at = first_difference(recorded, now)?;
    let text = |trace: &Trace| trace.events.get(at).map_or("nothing more".into(), |found| event(trace, found));
    Some(format!("event {at} was `{}` and is `{}`", text(recorded), text(now)))
}

/// As [`divergence`], of two runs that are known to differ: if no event does, something else that the digest covers
/// must.
pub fn what_differs(recorded: &Trace, now: &Trace) -> String {
    divergence(recorded, now)
        .unwrap_or_else(|| "every event is the same; the history, the verdicts or the counters are not".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Key;
    use crate::report::sample;
    use crate::trace::{LogPosition, MessageId, MessageKind, Role, Scope, What};

    #[test]
    fn the_first_diverging_event_is_named() {
        let one = sample::run(&sample::scenario(), "raft", 7).trace;
        assert_eq!(divergence(&one, &one.clone()), None);
        let mut other = one.clone();
        other.events[5].what = What::Truncate { from: 9 };
        let sentence = divergence(&one, &other).unwrap();
        assert!(
            sentence.starts_with("event 5 was ") && sentence.contains("truncates its log from entry 9 on"),
            "{sentence}"
        );
        other = one.clone();
        other.events.truncate(100);
        assert_eq!(first_difference(&one, &other), Some(100));
        assert!(divergence(&one, &other).unwrap().ends_with("and is `nothing more`"));
    }

    #[test]
    fn an_event_is_told_with_what_the_trace_knows() {
        let trace = sample::run(&sample::scenario(), "raft", 7).trace;
        let told = |what| event(&trace, &Event { t_ns: 4_210_123_456, host: HostId(2), seq: 0, what });
        let (at, tag) = (LogPosition { term: 3, leader: HostId(1), index: 118 }, Tag { session: 3, sequence: 7 });
        let message = MessageId { host: HostId(2), number: 17 };
        let class = MessageKind::AppendEntries;
        let nodes = |nodes: &[u16]| nodes.iter().copied().map(HostId).collect();
        let (voters, joint) = (nodes(&[1, 2, 3]), nodes(&[1, 4]));
        for (what, words) in [
            (What::Send { to: HostId(3), message, class, cause: None, payload: 1 }, "sends append_entries m2.17 to n3"),
            (What::Delay { to: HostId(7), message, by_ns: 1_500_000 }, "delays m2.17 to east.clients by 0.001 s"),
            (What::FaultBegin { fault: 0, resolved: Some(HostId(4)) }, "begins fault 0 on n4"),
            (What::Append { at, payload: 1, command: Some(tag) }, "appends entry 118 of term 3 by n1: p3#7"),
            (What::ApplyEntry { at, payload: 1, command: None }, "applies entry 118 of term 3 by n1"),
            (What::Apply { tag, key: Key(0), entry: Some(at) }, "applies p3#7 on k0, which entry 118 carries"),
            (
                What::Role { role: Role::Primary, scope: Scope::Shard(1), term: 2 },
                "becomes primary of shard 1 in term 2",
            ),
            (
                What::Members { at, voters, joint, learners: HostSet::EMPTY },
                "has voters n1, n2, n3, and also n1, n4 as of entry 118 of term 3 by n1",
            ),
            (What::Final { state: 255 }, "holds state 00000000000000ff at the end of the run"),
            (What::Ok { operation: 341, outcome: 1 }, "#341 is acknowledged"),
        ] {
            assert_eq!(told(what), format!("4.210123 s n2 {words}"));
        }
    }

    /// Every event that a run records has the fields that its words name.
    #[test]
    fn the_words_of_an_event_name_its_own_fields() {
        let options = crate::run::Options::default();
        let mut kinds = std::collections::BTreeSet::new();
        for (scenario, system) in [("zoo", "raft"), ("chaos", "dual-primary")] {
            let scenario = crate::scenario::load(scenario).unwrap();
            let trace = crate::run::run(&scenario, system.parse().unwrap(), 3, &options).unwrap().trace;
            for found in &trace.events {
                let line = event(&trace, found);
                assert!(!line.contains('?'), "{line}");
                kinds.insert(variant(&found.what).0);
            }
        }
        assert!(kinds.len() > 30, "only {} kinds of event were told: {kinds:?}", kinds.len());
    }
}
