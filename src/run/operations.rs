//! The operations of a run as lives of requests: read from the history and the trace, which hold all of it.
//!
//! The answer that ended an operation names the request that it answers, and so when each left and arrived; the node's
//! own events say when the command was in its log and when it took effect. What came before that request was in vain.

use super::Run;
use super::life::{Life, Part, Span};
use crate::history::{Operation, Status};
use crate::kv::Tag;
use crate::trace::{Event, HostId, MessageId, MessageKind, What};
use std::collections::BTreeMap;

/// What the trace says of messages and commands.
#[derive(Default)]
struct Seen {
    /// When a request or an answer was sent, by whom, to whom, and what it answers.
    sent: BTreeMap<MessageId, (u64, HostId, Option<MessageId>)>,
    /// When a message first arrived, and where.
    arrived: BTreeMap<MessageId, (u64, HostId)>,
    /// The answers that arrived at a host at an instant.
    answers: BTreeMap<(HostId, u64), Vec<MessageId>>,
    /// When a command was durable in a node's log, and when it took effect there.
    appended: BTreeMap<(HostId, Tag), u64>,
    applied: BTreeMap<(HostId, Tag), u64>,
}

impl Seen {
    fn of(events: &[Event]) -> Seen {
        let mut seen = Seen::default();
        for Event { t_ns, host, what, .. } in events {
            match what {
                What::Send { message, class: MessageKind::Request | MessageKind::RequestReply, cause, .. } => {
                    seen.sent.insert(*message, (*t_ns, *host, *cause));
                }
                What::Deliver { message, class, .. } => {
                    seen.arrived.entry(*message).or_insert((*t_ns, *host));
                    if *class == MessageKind::RequestReply {
                        seen.answers.entry((*host, *t_ns)).or_default().push(*message);
                    }
                }
                What::Append { command: Some(tag), .. } => {
                    seen.appended.entry((*host, *tag)).or_insert(*t_ns);
                }
                What::Apply { tag, .. } => {
                    seen.applied.entry((*host, *tag)).or_insert(*t_ns);
                }
                _ => {}
            }
        }
        seen
    }

    /// The exchange that ended an operation: when the request left and arrived, and when its answer left.
    fn exchange(&self, operation: &Operation, client: HostId, node: HostId) -> Option<[u64; 3]> {
        let candidates = self.answers.get(&(client, operation.end_ns))?.iter();
        let mut found = candidates.filter_map(|answer| {
            let (answered_ns, by, cause) = self.sent.get(answer)?;
            let (asked_ns, from, _) = self.sent.get(&(*cause)?)?;
            let (arrived_ns, _) = self.arrived.get(&(*cause)?)?;
            let is_its = *by == node && *from == client && *asked_ns >= operation.start_ns;
            is_its.then_some([*asked_ns, *arrived_ns, *answered_ns])
        });
        let first = found.next()?;
        // Two that were asked at different times cannot be told apart.
        found.all(|other| other == first).then_some(first)
    }
}

/// The lives of these operations of a run, in their order.
pub fn lives<'a>(run: &Run, operations: impl IntoIterator<Item = &'a Operation>) -> Vec<Life> {
    let seen = Seen::of(&run.trace.events);
    let clients = clients(run);
    operations.into_iter().map(|operation| life(run, &seen, operation, clients.get(&operation.id).copied())).collect()
}

/// The host on which each operation was invoked.
fn clients(run: &Run) -> BTreeMap<u32, HostId> {
    let invoked = |event: &Event| match event.what {
        What::Invoke { operation, .. } => Some((operation, event.host)),
        _ => None,
    };
    run.trace.events.iter().filter_map(invoked).collect()
}

fn life(run: &Run, seen: &Seen, operation: &Operation, client: Option<HostId>) -> Life {
    let is_served = matches!(operation.status, Status::Ok { .. });
    // One that was under way when the run ended has no end.
    let ended_ns = (operation.end_ns < u64::MAX).then_some(operation.end_ns);
    let until_ns = ended_ns.unwrap_or(operation.start_ns);
    let mut steps = Steps { at_ns: operation.planned_ns, spans: Vec::new() };
    steps.to(operation.start_ns, Part::Queueing, "behind an earlier operation of its client".into());
    let node = operation.acknowledger().map(|by| by.node);
    if let Some((client, node)) = client.zip(node) {
        // The node that acknowledges may have passed it on from the one that was asked.
        let name = run.trace.name(node);
        if let Some([asked_ns, arrived_ns, answered_ns]) = seen.exchange(operation, client, node) {
            steps.to(asked_ns, Part::Lost, "earlier tries: refused, or not answered".into());
            steps.to(arrived_ns, Part::Distance, format!("the request to {name}"));
            let of = |times: &BTreeMap<(HostId, Tag), u64>| {
                times.get(&(node, operation.tag)).copied().filter(|t_ns| (arrived_ns..=answered_ns).contains(t_ns))
            };
            if let Some(appended_ns) = of(&seen.appended) {
                steps.to(appended_ns, Part::Processing, format!("{name} writes it to its log"));
            }
            if let Some(applied_ns) = of(&seen.applied) {
                steps.to(applied_ns, Part::Distance, format!("{name} asks other nodes, and waits for enough of them"));
            }
            let rest =
                if of(&seen.applied).is_some() { "works on it" } else { "asks other nodes whether it may answer" };
            let part = if of(&seen.applied).is_some() { Part::Processing } else { Part::Distance };
            steps.to(answered_ns, part, format!("{name} {rest}"));
            steps.to(until_ns, Part::Distance, format!("the answer from {name}"));
        }
    }
    let rest = if is_served { "its tries and their answers" } else { "tries that were refused, or not answered" };
    steps.to(until_ns, if is_served { Part::Distance } else { Part::Lost }, rest.into());
    Life::new(operation.planned_ns, ended_ns, is_served, steps.spans)
}

/// Spans that follow each other.
struct Steps {
    at_ns: u64,
    spans: Vec<Span>,
}

impl Steps {
    /// The next span lasts until then, if that is later than now.
    fn to(&mut self, until_ns: u64, part: Part, what: String) {
        if until_ns > self.at_ns {
            self.spans.push(Span { part, what, from_ns: self.at_ns, until_ns });
            self.at_ns = until_ns;
        }
    }
}
