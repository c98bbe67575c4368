//! Changing who votes, by joint consensus (Raft paper, section 6), as an administrator asks for it.
//!
//! A node that is new becomes a learner first, which gets entries and does not vote; a node that is left out is
//! removed altogether, and knows nothing of it unless it gets the entry that says so.

use super::types::{NodeId, Raft, host_id, node_id};
use crate::systems::Reconfigured;
use crate::systems::message::{decode, encode};
use crate::trace::HostSet;
use openraft::EmptyNode;
use openraft::error::{ClientWriteError, RaftError};
use std::collections::BTreeSet;

/// Answers an administrator's encoded set of voters; `None` when it cannot be decoded.
pub async fn answer(raft: &Raft, payload: &[u8]) -> Option<Vec<u8>> {
    let voters: HostSet = decode(payload)?;
    let voters = voters.iter().map(node_id).collect();
    let answer = change(raft, voters).await.unwrap_or_else(|error| match error.forward_to_leader::<EmptyNode>() {
        Some(forward) => Reconfigured::Refused { hint: forward.leader_id.map(host_id) },
        None => Reconfigured::Unknown,
    });
    Some(encode(&answer))
}

type ChangeError = RaftError<NodeId, ClientWriteError<NodeId, EmptyNode>>;

async fn change(raft: &Raft, voters: BTreeSet<NodeId>) -> Result<Reconfigured, ChangeError> {
    let membership = raft.metrics().borrow().membership_config.membership().clone();
    let known: BTreeSet<NodeId> = membership.nodes().map(|(id, _)| *id).collect();
    for id in voters.difference(&known) {
        raft.add_learner(*id, EmptyNode {}, false).await?;
    }
    // Asked a second time it says so again, in a new entry: a leader that only thinks it leads cannot.
    raft.change_membership(voters, false).await?;
    Ok(Reconfigured::Done)
}
