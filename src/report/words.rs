//! The wording of each kind of event, in one place: [`event`](super::event) uses it for text, and the page has it
//! embedded.
//!
//! The words follow the name of the event's host. `{field}` stands for a field of the event as it is recorded (`{at.index}`
//! for one within another); `{field:form}` for a field in one of these forms, which the reader fills in:
//!
//! | form | is | and for a reader that knows the run's history and faults |
//! |---|---|---|
//! | `host` | a host's name | |
//! | `nodes` | the names of a set of nodes | |
//! | `seconds` | nanoseconds as seconds | |
//! | `hash` | a hash, to tell equal from different | |
//! | `command` | `p3#7`, with its key where the event has one | `#341 put k0=341` |
//! | `operation` | `#341` | `#341 put k0=341` |
//! | `fault` | `fault 0` | its name besides |

use crate::trace::{Scope, What};

macro_rules! entry {
    ($field:literal) => {
        concat!("entry {", $field, ".index} of term {", $field, ".term} by {", $field, ".leader:host}")
    };
}

macro_rules! message {
    () => {
        "m{message.host}.{message.number}"
    };
}

/// The words of an event.
pub fn words(what: &What) -> &'static str {
    match what {
        What::Send { .. } => concat!("sends {class} ", message!(), " to {to:host}"),
        What::Deliver { .. } => concat!("handles {class} ", message!(), " from {from:host}"),
        What::Discard { .. } => concat!("discards {class} ", message!(), " from {from:host}: no call waits for it"),
        What::Drop { .. } => concat!("loses {class} ", message!(), " to {to:host} ({reason})"),
        What::Delay { .. } => concat!("delays ", message!(), " to {to:host} by {by_ns:seconds}"),
        What::Hold { .. } => concat!("holds back ", message!(), " to {to:host}"),
        What::Duplicate { .. } => concat!("doubles ", message!(), " to {to:host}, the copy {by_ns:seconds} later"),
        What::FaultBegin { resolved: None, .. } => "begins {fault:fault}",
        What::FaultBegin { resolved: Some(_), .. } => "begins {fault:fault} on {resolved:host}",
        What::FaultEnd { .. } => "ends {fault:fault}",
        What::Vote { committed: false, .. } => "votes for {candidate:host} in term {term}",
        What::Vote { committed: true, .. } => "knows that a quorum elected {candidate:host} in term {term}",
        What::Append { command: None, .. } => concat!("appends ", entry!("at")),
        What::Append { command: Some(_), .. } => concat!("appends ", entry!("at"), ": {command:command}"),
        What::Truncate { .. } => "truncates its log from entry {from} on",
        What::Purge { .. } => concat!("purges its log up to ", entry!("upto")),
        What::Commit { .. } => concat!("knows its log committed up to ", entry!("upto")),
        What::ApplyEntry { command: None, .. } => concat!("applies ", entry!("at")),
        What::ApplyEntry { command: Some(_), .. } => concat!("applies ", entry!("at"), ": {command:command}"),
        What::Apply { entry: None, .. } => "applies {tag:command}",
        What::Apply { entry: Some(_), .. } => "applies {tag:command}, which entry {entry.index} carries",
        What::Acknowledge { .. } => "acknowledges {tag:command} in term {term}",
        What::SnapshotBuilt { upto: None, .. } => "builds an empty snapshot",
        What::SnapshotBuilt { upto: Some(_), .. } => concat!("builds a snapshot up to ", entry!("upto")),
        What::SnapshotInstalled { upto: None, .. } => "installs an empty snapshot",
        What::SnapshotInstalled { upto: Some(_), .. } => concat!("installs a snapshot up to ", entry!("upto")),
        What::Sync { .. } => "syncs {writes} writes to disk",
        What::Role { scope: Scope::All, .. } => "becomes {role} in term {term}",
        What::Role { scope: Scope::Shard(_), .. } => "becomes {role} of shard {scope.shard} in term {term}",
        What::Crash => "goes down",
        What::Start => "starts",
        What::Pause => "is paused",
        What::Resume => "resumes",
        What::Panic => "panics",
        What::Invoke { .. } => "client {client} invokes {operation:operation} as p{tag.session}#{tag.sequence}",
        What::Ok { .. } => "{operation:operation} is acknowledged",
        What::Fail { .. } => "{operation:operation} fails",
        What::Info { .. } => "{operation:operation} has an unknown outcome",
        What::Final { .. } => "holds state {state:hash} at the end of the run",
        What::PowerOff { .. } => "loses power, and {lost} unsynced writes with it",
        What::Restored { upto: None } => "finds an empty state machine on disk",
        What::Restored { upto: Some(_) } => concat!("finds its state machine on disk, applied up to ", entry!("upto")),
        What::FoundLog { last: None } => "finds an empty log on disk",
        What::FoundLog { last: Some(_) } => concat!("finds its log on disk, up to ", entry!("last")),
        What::Members { joint, learners, .. } => match (joint.is_empty(), learners.is_empty()) {
            (true, true) => concat!("has voters {voters:nodes} as of ", entry!("at")),
            (true, false) => concat!("has voters {voters:nodes}; learners {learners:nodes} as of ", entry!("at")),
            (false, true) => concat!("has voters {voters:nodes}, and also {joint:nodes} as of ", entry!("at")),
            (false, false) => concat!(
                "has voters {voters:nodes}, and also {joint:nodes}; learners {learners:nodes} as of ",
                entry!("at")
            ),
        },
    }
}

/// A piece of what [`words`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Words.
    Text(&'a str),
    /// The field of this path, in a form, or as it is.
    Field {
        /// Its name; names of nested fields are joined by dots.
        path: &'a str,
        /// One of the forms in the module's header.
        form: Option<&'a str>,
    },
}

/// The pieces of words, in order.
pub fn pieces(words: &str) -> impl Iterator<Item = Piece<'_>> {
    words.split(['{', '}']).enumerate().map(|(at, piece)| match piece.split_once(':') {
        // Words and fields alternate.
        _ if at % 2 == 0 => Piece::Text(piece),
        Some((path, form)) => Piece::Field { path, form: Some(form) },
        None => Piece::Field { path: piece, form: None },
    })
}
