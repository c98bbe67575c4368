//! Membership changes by joint consensus (Raft paper, section 6), as an administrator requests them.
//!
//! A new node first becomes a learner, which receives entries and does not vote. A node that is no longer a voter is
//! removed from the cluster altogether. It learns of its removal only if it receives the entry that says so.

use super::types::{NodeId, Raft, host_id, node_id};
use crate::systems::Reconfigured;
use crate::systems::message::{decode, encode};
use crate::trace::HostSet;
use openraft::EmptyNode;
use openraft::error::{ClientWriteError, RaftError};
use std::collections::BTreeSet;

/// Answers an administrator's encoded request for a set of voters; `None` when it cannot be decoded. If `leader_stays`, a
/// leader refuses one without itself.
///
/// openraft 0.9 lets a leader propose its own removal. If it loses its leadership before that is committed, it is in its own
/// log no voter any more and never a candidate, and nobody with a shorter log gets its vote.
pub async fn answer(raft: &Raft, payload: &[u8], leader_stays: bool) -> Option<Vec<u8>> {
    let voters: HostSet = decode(payload)?;
    let voters: BTreeSet<NodeId> = voters.iter().map(node_id).collect();
    let (id, leader) = {
        let metrics = raft.metrics().borrow().clone();
        (metrics.id, metrics.current_leader)
    };
    if leader_stays && leader == Some(id) && !voters.contains(&id) {
        return Some(encode(&Reconfigured::Refused { hint: None }));
    }
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
    // If the membership is in force already, this commits it again in a new entry. That proves that this node still
    // leads: a deposed leader could not commit it.
    raft.change_membership(voters, false).await?;
    Ok(Reconfigured::Done)
}
