//! Changes of the members by joint consensus, as an administrator requests them. The leader leaves the joint
//! configuration by itself.
//!
//! A node that comes back is a voter at once: raft-rs has learners, but no rule for when one is ready.

use super::observer::host_id;
use super::replica::Replica;
use crate::systems::Reconfigured;
use crate::systems::engines::desk::Counter;
use crate::systems::message::encode;
use crate::trace::HostSet;
use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2};

/// A change under way.
struct Change {
    number: u64,
    voters: HostSet,
    is_applied: bool,
    counter: Counter,
}

/// The changes that this node has proposed and that have not taken effect.
#[derive(Default)]
pub struct Changing {
    last: u64,
    under_way: Vec<Change>,
}

impl Changing {
    /// Proposes that these nodes vote, and no others. If they do already, that commits an entry all the same: a deposed
    /// leader could not.
    pub fn begin(&mut self, replica: &mut Replica, voters: HostSet, counter: Counter) {
        if !replica.leads() || replica.raw.raft.has_pending_conf() {
            return reply(counter, Reconfigured::Refused { hint: replica.hint() });
        }
        let mut present: Vec<u64> = replica.raw.raft.prs().conf().voters().ids().iter().collect();
        present.sort_unstable();
        // TiKV refuses to remove the leader, which raft-rs does not survive (see `Replica::join`). So does this node, and
        // makes way for a successor.
        if !voters.contains(replica.host_id()) {
            let successor = present.into_iter().find(|node| voters.contains(host_id(*node)));
            successor.into_iter().for_each(|node| replica.raw.transfer_leader(node));
            return reply(counter, Reconfigured::Refused { hint: successor.map(host_id) });
        }
        self.last += 1;
        let removed = present.into_iter().filter(|node| !voters.contains(host_id(*node)));
        let added = voters.iter().map(|node| (u64::from(node.0), ConfChangeType::AddNode));
        let changes = added.chain(removed.map(|node| (node, ConfChangeType::RemoveNode)));
        let change = ConfChangeV2 {
            transition: ConfChangeTransition::Auto,
            changes: changes
                .map(|(node_id, change_type)| ConfChangeSingle { node_id, change_type, ..ConfChangeSingle::default() })
                .collect::<Vec<_>>()
                .into(),
            context: encode(&self.last).into(),
            ..ConfChangeV2::default()
        };
        match replica.raw.propose_conf_change(Vec::new(), change) {
            Ok(()) => {
                let number = self.last;
                self.under_way.push(Change { number, voters, is_applied: false, counter });
            }
            Err(_) => reply(counter, Reconfigured::Refused { hint: replica.hint() }),
        }
    }

    /// A change was applied; without a number, the joint configuration was left.
    pub fn applied(&mut self, replica: &Replica, number: Option<u64>) {
        for change in &mut self.under_way {
            change.is_applied |= number == Some(change.number);
        }
        let conf = replica.raw.raft.prs().conf().to_conf_state();
        let is_joint = !conf.voters_outgoing.is_empty();
        let voters: HostSet = conf.voters.iter().map(|node| host_id(*node)).collect();
        let in_force = |change: &mut Change| change.is_applied && !is_joint && change.voters == voters;
        for change in self.under_way.extract_if(.., in_force) {
            reply(change.counter, Reconfigured::Done);
        }
    }

    /// This node leads no more, and will not learn what comes of them.
    pub fn abandon(&mut self) {
        self.under_way.drain(..).for_each(|change| reply(change.counter, Reconfigured::Unknown));
    }
}

fn reply(counter: Counter, answer: Reconfigured) {
    // The administrator may have stopped waiting.
    let _ = counter.send(encode(&answer));
}
