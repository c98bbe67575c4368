//! raft-rs's messages as frames.

use crate::systems::message::{decode, encode};
use crate::trace::{HostId, MessageKind};
use protobuf::Message as _;
use raft::eraftpb::{Message, MessageType};
use std::collections::BTreeMap;

/// Who led in which term.
pub type Leaders = BTreeMap<u64, HostId>;

/// Encodes a message, and who created the entries in it: raft-rs's have a term and no leader.
pub fn write(message: &Message, leaders: &Leaders) -> Vec<u8> {
    let snapshot = message.snapshot.as_ref().map(|snapshot| snapshot.get_metadata().term);
    let terms = message.entries.iter().map(|entry| entry.term).chain(snapshot);
    let mut named: Vec<(u64, HostId)> =
        terms.filter_map(|term| leaders.get(&term).map(|leader| (term, *leader))).collect();
    named.dedup();
    let bytes = message.write_to_bytes().expect("every message of raft-rs encodes");
    encode(&(named, bytes))
}

/// Decodes a message, and learns who created its entries.
pub fn read(bytes: &[u8], leaders: &mut Leaders) -> Option<Message> {
    let (named, bytes): (Vec<(u64, HostId)>, Vec<u8>) = decode(bytes)?;
    leaders.extend(named);
    Message::parse_from_bytes(&bytes).ok()
}

/// What a message is called in the trace, and whether it answers another one.
pub fn class(message: &Message) -> (MessageKind, bool) {
    match message.get_msg_type() {
        MessageType::MsgAppend => (MessageKind::AppendEntries, false),
        MessageType::MsgAppendResponse => (MessageKind::AppendEntries, true),
        MessageType::MsgHeartbeat => (MessageKind::Heartbeat, false),
        MessageType::MsgHeartbeatResponse => (MessageKind::Heartbeat, true),
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => (MessageKind::Vote, false),
        MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse => (MessageKind::Vote, true),
        MessageType::MsgSnapshot => (MessageKind::InstallSnapshot, false),
        _ => (MessageKind::Other, false),
    }
}
