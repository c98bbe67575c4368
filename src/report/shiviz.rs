//! A trace as a log with vector clocks, for ShiViz (bestchai.bitbucket.io/shiviz) and its kin.
//!
//! Two lines an event: host and clock, then what happened. ShiViz reads it with its default expression,
//! `(?<host>\S*) (?<clock>{.*})\n(?<event>.*)`. A host's own count goes up by one per event; the receiver of a message
//! merges the clock that its sender had when it sent the message. That is the happened-before relation of Lamport
//! (1978) in the form of Fidge and Mattern (1988).

use super::event::event;
use crate::trace::{MessageId, Trace, What};
use std::collections::BTreeMap;

/// How many events of each host an event may depend on, by index of the host.
type Clock = Vec<u64>;

/// All events of a sorted trace, each with its vector clock.
pub fn shiviz(trace: &Trace) -> String {
    let mut clocks: Vec<Clock> = vec![vec![0; trace.names.len()]; trace.names.len()];
    let mut sent: BTreeMap<MessageId, Clock> = BTreeMap::new();
    let mut text = String::new();
    for found in &trace.events {
        let own = found.host.index();
        if let What::Deliver { message, .. } | What::Discard { message, .. } = found.what
            && let Some(known) = sent.get(&message)
        {
            clocks[own].iter_mut().zip(known).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
        }
        clocks[own][own] += 1;
        if let What::Send { message, .. } = found.what {
            sent.insert(message, clocks[own].clone());
        }
        let known = clocks[own].iter().zip(&trace.names).filter(|(count, _)| **count > 0);
        let clock: Vec<String> = known.map(|(count, name)| format!("\"{name}\":{count}")).collect();
        text.push_str(&format!("{} {{{}}}\n{}\n", trace.name(found.host), clock.join(", "), event(trace, found)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Event, HostId, MessageKind};

    #[test]
    fn a_receiver_knows_what_the_sender_knew_and_nothing_later() {
        let message = MessageId { host: HostId(1), number: 1 };
        let class = MessageKind::Vote;
        let steps = [
            (1, What::Start),
            (1, What::Send { to: HostId(2), message, class, cause: None, payload: 0 }),
            (1, What::Pause),
            (2, What::Start),
            (2, What::Deliver { from: HostId(1), message, class }),
        ];
        let event = |(seq, (host, what)): (usize, (u16, What))| Event {
            t_ns: seq as u64,
            host: HostId(host),
            seq: seq as u32,
            what,
        };
        let trace = Trace {
            names: ["world", "n1", "n2"].map(String::from).to_vec(),
            nodes: 2,
            events: steps.into_iter().enumerate().map(event).collect(),
            ..Trace::default()
        };
        let text = shiviz(&trace);
        let clocks: Vec<&str> = text.lines().step_by(2).collect();
        assert_eq!(
            clocks,
            ["n1 {\"n1\":1}", "n1 {\"n1\":2}", "n1 {\"n1\":3}", "n2 {\"n2\":1}", "n2 {\"n1\":2, \"n2\":2}"]
        );
        assert_eq!(text.lines().nth(9), Some("0.000000 s n2 handles vote m1.1 from n1"));
    }
}
