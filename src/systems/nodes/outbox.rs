//! What a node sends: to other nodes, to clients, to itself.

use super::Shared;
use super::answer::Head;
use super::child::short;
use super::post::{Envelope, Mailbox, Outgoing};
use crate::host::Host;
use crate::host::carrier::Letter;
use crate::trace::MessageKind;
use serde_json::value::RawValue;

/// A node that sends.
pub struct Outbox<'a> {
    /// Its cluster.
    pub cluster: &'a Shared,
    /// Its host.
    pub host: &'a Host,
    /// Where messages to itself go.
    pub mailbox: &'a Mailbox,
    /// The term that it has reported last.
    pub term: u64,
}

impl Outbox<'_> {
    /// Sends a message. `letter`: the one that is being handled.
    ///
    /// # Errors
    /// When there is nobody of that name.
    pub fn send(&self, to: &str, body: Box<RawValue>, head: Head, letter: Option<&Letter>) -> Result<(), String> {
        let src = self.host.name().to_owned();
        let envelope = Envelope { src, dest: to.to_owned(), body, head };
        if to == self.host.name() {
            self.mailbox.put(envelope);
            return Ok(());
        }
        let (post, fabric) = (&self.cluster.post, self.host.fabric());
        let cause = letter.map(|letter| letter.message);
        if let Some(node) = fabric.host(to).filter(|node| fabric.is_node(*node)) {
            let class = class(&envelope.head);
            post.send(self.host, node, Outgoing { envelope, class, cause, place: None, term: 0 });
            return Ok(());
        }
        // What answers `init` has nobody to go to, and needs none.
        if to == "schism" {
            return Ok(());
        }
        let Some(client) = post.client(to) else {
            let body = short(envelope.body.get());
            return Err(format!("sends to `{}`, which is neither a node nor a client: `{body}`", short(to)));
        };
        let place = self.acknowledge(&envelope);
        let (class, term) = (MessageKind::RequestReply, self.term);
        post.send(self.host, client, Outgoing { envelope, class, cause, place, term });
        Ok(())
    }

    /// Records that a client's operation is acknowledged, if that is what this answer says. Returns the attempt that it
    /// answers, as the network names it.
    fn acknowledge(&self, envelope: &Envelope) -> Option<u64> {
        let number = envelope.head.in_reply_to?;
        let (attempt, tag, key) =
            self.cluster.post.asked(&envelope.dest, number, |asked| (asked.attempt, asked.tag, asked.key))?;
        if envelope.head.kind != "error" {
            self.host.record_acknowledge(tag, key, self.term);
        }
        Some(attempt.number())
    }
}

/// The kind that a message between nodes counts as, for faults that hit kinds: by words in its type.
fn class(head: &Head) -> MessageKind {
    const WORDS: [(&str, MessageKind); 8] = [
        ("vote", MessageKind::Vote),
        ("snapshot", MessageKind::InstallSnapshot),
        ("append", MessageKind::AppendEntries),
        ("heartbeat", MessageKind::Heartbeat),
        ("ping", MessageKind::Heartbeat),
        ("replicate", MessageKind::Replicate),
        ("gossip", MessageKind::AntiEntropy),
        ("sync", MessageKind::AntiEntropy),
    ];
    let kind = head.kind.to_ascii_lowercase();
    let found = WORDS.iter().find(|(word, _)| kind.contains(word)).map_or(MessageKind::Other, |(_, class)| *class);
    let is_answer = ["_ok", "_reply", "_response", "_result", "_ack"].iter().any(|end| kind.ends_with(end));
    if head.in_reply_to.is_some() || is_answer { found.reply() } else { found }
}

/// What a node is told of a message: members of a JSON object.
pub fn members(Envelope { src, dest, body, .. }: &Envelope) -> String {
    format!(r#""src":{},"dest":{},"body":{}"#, quoted(src), quoted(dest), body.get())
}

/// The names of all nodes as a JSON array.
pub fn names(host: &Host) -> String {
    let names: Vec<String> = host.nodes().iter().map(|node| quoted(node)).collect();
    format!("[{}]", names.join(","))
}

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_as_the_kind_that_its_type_names() {
        let head = |kind: &str, in_reply_to| Head { kind: kind.into(), msg_id: None, in_reply_to };
        assert_eq!(class(&head("request_vote", None)), MessageKind::Vote);
        assert_eq!(class(&head("request_vote_reply", None)), MessageKind::VoteReply);
        assert_eq!(class(&head("AppendEntries", None)), MessageKind::AppendEntries);
        assert_eq!(class(&head("AppendEntries", Some(3))), MessageKind::AppendEntriesReply);
        assert_eq!(class(&head("topology", None)), MessageKind::Other);
    }
}
