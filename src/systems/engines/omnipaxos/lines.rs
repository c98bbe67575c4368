//! omnipaxos asks for connections that deliver in order, and to be told when one has lost something. Frames do neither:
//! they overtake each other, come twice, and are lost one by one. So each node numbers its messages to a peer, keeps
//! them until they are acknowledged, and sends them again; the receiver hands them over in order and once. A sender
//! that gets no acknowledgement for long gives up and begins a new line, as one opens a new connection; the receiver
//! then learns that something is lost.
//!
//! Heartbeats are of use at once or never, and stand in no line.

use crate::kv::Command;
use crate::systems::message::{decode, encode};
use crate::trace::HostId;
use omnipaxos::messages::Message;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// After this long without an acknowledgement a message is sent again (RFC 6298 has 200 ms at least in practice).
const RESEND_NS: u64 = Duration::from_millis(150).as_nanos() as u64;
/// After this long the line is given up.
const GIVE_UP_NS: u64 = Duration::from_secs(1).as_nanos() as u64;
/// At most so many are sent again at once.
const RESENT: usize = 16;

/// A message with its place in the line from its sender.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Numbered {
    /// When the sender began this line.
    line: u64,
    /// From 1; 0 for a heartbeat.
    number: u64,
    /// The line in the other direction, and the last number that was handed over from it.
    seen: (u64, u64),
    message: Message<Command>,
}

/// A message that is not acknowledged.
struct Unseen {
    message: Message<Command>,
    first_ns: u64,
    last_ns: u64,
}

/// The line to a peer.
#[derive(Default)]
struct Out {
    line: u64,
    last: u64,
    unseen: BTreeMap<u64, Unseen>,
}

/// The line from a peer.
#[derive(Default)]
struct In {
    line: u64,
    /// The number of the last message that was handed over.
    last: u64,
    /// The messages after a missing one.
    held: BTreeMap<u64, Message<Command>>,
}

/// What comes of a frame.
pub enum Came {
    /// A message in its turn.
    Message(Message<Command>),
    /// Messages of this peer are lost.
    Lost(u64),
}

/// The lines to and from all peers.
#[derive(Default)]
pub struct Lines {
    to: BTreeMap<HostId, Out>,
    from: BTreeMap<HostId, In>,
}

impl Lines {
    /// Encodes a message to a peer.
    pub fn write(&mut self, to: HostId, message: Message<Command>, now_ns: u64) -> Vec<u8> {
        let out = self.to.entry(to).or_default();
        if out.line == 0 {
            // Lines of later processes have higher names, also if the first one begins at 0.
            out.line = now_ns + 1;
        }
        let mut number = 0;
        if let Message::SequencePaxos(_) = message {
            out.last += 1;
            number = out.last;
            out.unseen.insert(number, Unseen { message: message.clone(), first_ns: now_ns, last_ns: now_ns });
        }
        let line = out.line;
        encode(&Numbered { line, number, seen: self.seen(to), message })
    }

    fn seen(&self, peer: HostId) -> (u64, u64) {
        self.from.get(&peer).map_or((0, 0), |from| (from.line, from.last))
    }

    /// Decodes a frame of a peer; what it makes ready to hand over, in order.
    pub fn read(&mut self, from: HostId, bytes: &[u8]) -> Vec<Came> {
        let Some(Numbered { line, number, seen, message }) = decode(bytes) else { return Vec::new() };
        if let Some(out) = self.to.get_mut(&from).filter(|out| out.line == seen.0) {
            out.unseen = out.unseen.split_off(&(seen.1 + 1));
        }
        if number == 0 {
            return vec![Came::Message(message)];
        }
        let inward = self.from.entry(from).or_default();
        let mut came = Vec::new();
        if line > inward.line {
            // The first line of all takes no other one's place.
            if inward.line > 0 {
                came.push(Came::Lost(u64::from(from.0)));
            }
            *inward = In { line, ..In::default() };
        }
        if line == inward.line && number > inward.last {
            inward.held.insert(number, message);
        }
        while let Some(message) = inward.held.remove(&(inward.last + 1)) {
            inward.last += 1;
            came.push(Came::Message(message));
        }
        came
    }

    /// The frames to send again.
    pub fn overdue(&mut self, now_ns: u64) -> Vec<(HostId, Vec<u8>)> {
        let mut frames = Vec::new();
        for (to, out) in &mut self.to {
            let Some((_, oldest)) = out.unseen.first_key_value() else { continue };
            if now_ns - oldest.first_ns > GIVE_UP_NS {
                *out = Out { line: now_ns + 1, ..Out::default() };
                continue;
            }
            let overdue = out.unseen.iter_mut().filter(|(_, unseen)| now_ns - unseen.last_ns > RESEND_NS);
            for (number, unseen) in overdue.take(RESENT) {
                unseen.last_ns = now_ns;
                let seen = self.from.get(to).map_or((0, 0), |from| (from.line, from.last));
                let (line, number, message) = (out.line, *number, unseen.message.clone());
                frames.push((*to, encode(&Numbered { line, number, seen, message })));
            }
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnipaxos::ballot_leader_election::Ballot;
    use omnipaxos::messages::sequence_paxos::{PaxosMessage, PaxosMsg, PrepareReq};

    const ONE: HostId = HostId(1);
    const TWO: HostId = HostId(2);
    const NONE: [u32; 0] = [];

    fn message(n: u32) -> Message<Command> {
        let msg = PaxosMsg::PrepareReq(PrepareReq { n: Ballot::with(1, n, 0, 2) });
        Message::SequencePaxos(PaxosMessage { from: 2, to: 1, msg })
    }

    fn numbers(came: Vec<Came>) -> Vec<u32> {
        let number = |came| match came {
            Came::Message(Message::SequencePaxos(PaxosMessage { msg: PaxosMsg::PrepareReq(request), .. })) => {
                request.n.n
            }
            Came::Message(_) => panic!("another message"),
            Came::Lost(_) => 0,
        };
        came.into_iter().map(number).collect()
    }

    #[test]
    fn messages_come_in_order_and_once() {
        let (mut two, mut one) = (Lines::default(), Lines::default());
        let frames: Vec<Vec<u8>> = (1..=3).map(|n| two.write(ONE, message(n), 7)).collect();
        assert_eq!(numbers(one.read(TWO, &frames[0])), [1]);
        assert_eq!(numbers(one.read(TWO, &frames[2])), NONE, "the second is missing");
        assert_eq!(numbers(one.read(TWO, &frames[1])), [2, 3]);
        assert_eq!(numbers(one.read(TWO, &frames[1])), NONE, "a duplicate");
        // Whatever comes back acknowledges all three.
        let back = one.write(TWO, message(1), 9);
        two.read(ONE, &back);
        assert!(two.overdue(7 + 2 * RESEND_NS).is_empty());
    }

    #[test]
    fn a_lost_message_is_sent_again_and_given_up_at_last() {
        let (mut two, mut one) = (Lines::default(), Lines::default());
        let lost = two.write(ONE, message(1), 0);
        let held = two.write(ONE, message(2), 0);
        assert_eq!(numbers(one.read(TWO, &held)), NONE);
        assert!(two.overdue(RESEND_NS).is_empty(), "not yet");
        let again = two.overdue(RESEND_NS + 1);
        assert_eq!(again.len(), 2);
        assert_eq!(numbers(one.read(TWO, &again[0].1)), [1, 2]);
        assert!(two.overdue(GIVE_UP_NS + 1).is_empty(), "a new line begins");
        let new = two.write(ONE, message(9), GIVE_UP_NS + 2);
        assert_eq!(numbers(one.read(TWO, &new)), [0, 9], "the receiver is told of the loss");
        assert_eq!(numbers(one.read(TWO, &lost)), NONE, "a frame of the old line");
    }
}
