//! Who can have heard of what, through chains of messages between nodes (Lamport 1978, "happened before").
//!
//! Nodes of a foreign program do not say what they apply. Whether one knew of an operation of another can then only be
//! bounded: it did not if no chain of messages led from there to it in time.

use crate::trace::{HostId, MessageId, Trace, What};
use std::cell::Cell;
use std::collections::BTreeSet;

/// How many events are looked at in all before "it may have heard" is the answer without looking: some ten seconds.
const BUDGET: u64 = 200_000_000;

/// The messages of a run.
pub struct Causality<'a> {
    trace: &'a Trace,
    looked_at: Cell<u64>,
}

impl<'a> Causality<'a> {
    /// The messages of this trace, which must be sorted.
    pub fn of(trace: &'a Trace) -> Causality<'a> {
        Causality { trace, looked_at: Cell::new(0) }
    }

    /// Whether `to` can have heard, before its event of this index in the trace, of what `from` did since a time. What
    /// clients pass on does not count: a request carries one operation, and no others.
    pub fn may_have_heard(&self, from: HostId, since_ns: u64, to: HostId, before: usize) -> bool {
        let events = &self.trace.events;
        let first = events.partition_point(|event| event.t_ns < since_ns);
        let window = events.get(first..before).unwrap_or_default();
        self.looked_at.set(self.looked_at.get() + window.len() as u64);
        if self.looked_at.get() > BUDGET {
            return true;
        }
        let mut hosts = BTreeSet::from([from]);
        let mut messages: BTreeSet<MessageId> = BTreeSet::new();
        for event in window {
            match event.what {
                What::Send { message, .. } if hosts.contains(&event.host) => {
                    messages.insert(message);
                }
                What::Deliver { message, .. }
                    if event.host.index() <= self.trace.nodes && messages.contains(&message) =>
                {
                    hosts.insert(event.host);
                    if event.host == to {
                        return true;
                    }
                }
                _ => {}
            }
        }
        from == to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Event, MessageKind};

    const CLASS: MessageKind = MessageKind::Other;

    fn name(host: u16) -> MessageId {
        MessageId { host: HostId(host), number: 1 }
    }

    fn send(from: u16, to: u16) -> (u16, What) {
        (from, What::Send { to: HostId(to), message: name(from), class: CLASS, cause: None, payload: 0 })
    }

    fn deliver(from: u16, to: u16) -> (u16, What) {
        (to, What::Deliver { from: HostId(from), message: name(from), class: CLASS })
    }

    /// Whether n3 may have heard, by the end, of what n1 did from nanosecond `since` on; n4 is no node.
    fn heard(since_ns: u64, steps: &[(u16, What)]) -> bool {
        let event = |(at, (host, what)): (usize, &(u16, What))| Event {
            t_ns: at as u64,
            host: HostId(*host),
            seq: at as u32,
            what: *what,
        };
        let events: Vec<Event> = steps.iter().enumerate().map(event).collect();
        let trace = Trace { nodes: 3, events, ..Trace::default() };
        Causality::of(&trace).may_have_heard(HostId(1), since_ns, HostId(3), steps.len())
    }

    #[test]
    fn what_is_heard_goes_along_chains_of_messages_and_forward_in_time() {
        let chain = [send(1, 2), deliver(1, 2), send(2, 3), deliver(2, 3)];
        assert!(heard(0, &chain));
        assert!(!heard(1, &chain), "it was sent before");
        assert!(!heard(0, &[send(2, 3), send(1, 2), deliver(1, 2), deliver(2, 3)]), "n2 had not heard when it sent");
        assert!(!heard(0, &[send(1, 3)]), "it has not arrived");
        assert!(!heard(0, &[send(1, 4), deliver(1, 4), send(4, 3), deliver(4, 3)]), "a client passes nothing on");
    }
}
