//! One event of a trace as a line of text.

use super::style::seconds;
use crate::trace::{Event, HostId, HostSet, Trace, What};

/// `4.210123 s n2 sends append_entries m2.17 to n3`: time in seconds to the microsecond, host, what happened.
pub fn event(trace: &Trace, event: &Event) -> String {
    let name = |host: HostId| trace.name(host);
    let what = match event.what {
        What::Send { to, message, class, .. } => format!("sends {class} {message} to {}", name(to)),
        What::Deliver { from, message, class } => format!("handles {class} {message} from {}", name(from)),
        What::Discard { from, message, class } => format!("discards {class} {message} from {}", name(from)),
        What::Drop { to, message, class, reason } => {
            format!("loses {class} {message} to {} ({})", name(to), format!("{reason:?}").to_lowercase())
        }
        What::Delay { to, message, by_ns } => format!("delays {message} to {} by {}", name(to), seconds(by_ns)),
        What::Hold { to, message } => format!("holds {message} to {}", name(to)),
        What::Duplicate { to, message, by_ns } => {
            format!("doubles {message} to {}, the copy {} later", name(to), seconds(by_ns))
        }
        What::FaultBegin { fault, resolved } => {
            format!("begins fault {fault}{}", resolved.map_or(String::new(), |host| format!(" on {}", name(host))))
        }
        What::FaultEnd { fault } => format!("ends fault {fault}"),
        What::Vote { term, candidate, committed } => {
            format!("{} for {} in term {term}", if committed { "knows a quorum" } else { "votes" }, name(candidate))
        }
        What::Append { at, .. } => format!("appends {at}"),
        What::Truncate { from } => format!("truncates its log from {from}"),
        What::Purge { upto } => format!("purges its log up to {upto}"),
        What::Commit { upto } => format!("knows {upto} committed"),
        What::ApplyEntry { at, .. } => format!("applies {at}"),
        What::Apply { tag, key } => format!("applies {tag} on {key}"),
        What::Acknowledge { tag, key, term } => format!("acknowledges {tag} on {key} in term {term}"),
        What::PowerOff { lost } => format!("loses power, and {lost} unsynced writes with it"),
        What::Restored { upto } => format!("finds its state machine{}", up_to(upto)),
        What::FoundLog { last } => format!("finds its log{}", up_to(last)),
        What::Members { at, voters, joint, learners } => {
            let other = |word: &str, set: HostSet| if set.is_empty() { String::new() } else { format!("{word}{set}") };
            format!("has voters {voters}{}{} as of {at}", other(", and also ", joint), other("; learners ", learners))
        }
        What::SnapshotBuilt { upto, .. } => format!("builds a snapshot{}", up_to(upto)),
        What::SnapshotInstalled { upto, .. } => format!("installs a snapshot{}", up_to(upto)),
        What::Sync { writes } => format!("syncs {writes} writes"),
        What::Role { role, scope, term } => {
            format!("becomes {} of {scope:?} in term {term}", format!("{role:?}").to_lowercase())
        }
        What::Panic => "panics".into(),
        What::Crash => "is killed".into(),
        What::Start => "starts".into(),
        What::Pause => "is paused".into(),
        What::Resume => "resumes".into(),
        What::Invoke { operation, client, tag } => format!("client {client} invokes #{operation} as {tag}"),
        What::Ok { operation, .. } => format!("#{operation} is ok"),
        What::Fail { operation } => format!("#{operation} fails"),
        What::Info { operation } => format!("#{operation} is unknown"),
        What::Final { state } => format!("ends with state {state:016x}"),
    };
    let (s, us) = (event.t_ns / 1_000_000_000, event.t_ns / 1000 % 1_000_000);
    format!("{s}.{us:06} s {} {what}", trace.name(event.host))
}

fn up_to(position: Option<crate::trace::LogPosition>) -> String {
    position.map_or(String::new(), |position| format!(" up to {position}"))
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

/// As [`divergence`], of two runs that are known to differ: where no event does, what the digest covers besides must.
pub fn what_differs(recorded: &Trace, now: &Trace) -> String {
    divergence(recorded, now)
        .unwrap_or_else(|| "every event is the same; the history, the verdicts or the counters are not".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_first_diverging_event_is_named() {
        let one = sample::run(&sample::scenario(), "raft", 7).trace;
        assert_eq!(divergence(&one, &one.clone()), None);
        let mut other = one.clone();
        other.events[5].what = What::Truncate { from: 9 };
        let sentence = divergence(&one, &other).unwrap();
        assert!(sentence.starts_with("event 5 was ") && sentence.contains("truncates its log from 9"), "{sentence}");
        other = one.clone();
        other.events.truncate(100);
        assert_eq!(first_difference(&one, &other), Some(100));
        assert!(divergence(&one, &other).unwrap().ends_with("and is `nothing more`"));
    }
}
