//! Records what openraft does to its storage. The checks of Raft's invariants read these events.

use super::types::{Disk, Entry, LogId, Machine, Vote, host_id, position};
use crate::host::{Host, lock};
use crate::kv::{Applied, Command};
use crate::rng;
use crate::systems::message::encode;
use crate::trace::{HostSet, LogPosition, Role, Scope, What};
use openraft_0_10::{EmptyNode, EntryPayload, Membership};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Records the events of one process.
#[derive(Clone)]
pub struct Observer {
    host: Host,
    role: Arc<Mutex<Option<(Role, u64)>>>,
}

impl Observer {
    /// The observer of a process on `host`.
    pub fn new(host: Host) -> Observer {
        Observer { host, role: Arc::default() }
    }

    /// What a process begins with.
    pub fn found(&self, disk: &Disk, machine: &Machine, restores_leader: bool) {
        // If a leader is not restored, openraft takes its saved vote for one that no quorum has granted.
        disk.vote.iter().for_each(|vote| self.role(&Vote { committed: vote.committed && restores_leader, ..*vote }));
        self.host.record(What::FoundLog { last: disk.last().as_ref().map(position) });
        self.host.record(What::Restored { upto: machine.applied.as_ref().map(position) });
    }

    /// A vote is durable.
    pub fn vote(&self, vote: &Vote) {
        let candidate = host_id(vote.leader_id.node_id);
        self.host.record(What::Vote { term: vote.leader_id.term, candidate, committed: vote.committed });
        self.role(vote);
    }

    /// A node is leader exactly while its saved vote is for itself and committed: granted by a quorum.
    fn role(&self, vote: &Vote) {
        let is_own = host_id(vote.leader_id.node_id) == self.host.id();
        let role = match (is_own, vote.committed) {
            (true, true) => Role::Primary,
            (true, false) => Role::Candidate,
            (false, _) => Role::Backup,
        };
        let term = vote.leader_id.term;
        if lock(&self.role).replace((role, term)) != Some((role, term)) {
            self.host.record_role(role, Scope::All, term);
        }
    }

    /// Entries are durable.
    pub fn appended(&self, entries: &[Entry]) {
        for entry in entries {
            let at = position(&entry.log_id);
            let command = command(entry).map(|command| command.tag);
            self.host.record(What::Append { at, payload: hash(entry), command });
            if let EntryPayload::Membership(members) = &entry.payload {
                self.host.record(membership(at, members));
            }
        }
    }

    /// Entries from this index on are gone.
    pub fn truncated(&self, from: u64) {
        self.host.record(What::Truncate { from });
    }

    /// The log was purged.
    pub fn purged(&self, upto: &LogId) {
        self.host.record(What::Purge { upto: position(upto) });
    }

    /// The log is committed up to here.
    pub fn committed(&self, upto: &LogId) {
        self.host.record(What::Commit { upto: position(upto) });
    }

    /// An entry was applied.
    pub fn applied(&self, entry: &Entry, applied: Option<Applied>) {
        let (at, command) = (position(&entry.log_id), command(entry));
        self.host.record(What::ApplyEntry { at, payload: hash(entry), command: command.map(|command| command.tag) });
        if let (Some(command), Some(Applied::Fresh(_))) = (command, applied) {
            self.host.record(What::Apply { tag: command.tag, key: command.op.key(), entry: Some(at) });
        }
    }

    /// A snapshot was built and is durable.
    pub fn built(&self, upto: Option<&LogId>, data: &[u8]) {
        self.host.record(What::SnapshotBuilt { upto: upto.map(position), payload: Some(rng::hash_bytes(0, data)) });
    }

    /// A snapshot has replaced the state.
    pub fn installed(&self, upto: Option<&LogId>, data: &[u8]) {
        self.host.record(What::SnapshotInstalled { upto: upto.map(position), payload: rng::hash_bytes(0, data) });
    }
}

/// The command that an entry carries; none for blank entries and membership changes.
pub fn command(entry: &Entry) -> Option<&Command> {
    match &entry.payload {
        EntryPayload::Normal(command) => Some(command),
        EntryPayload::Blank | EntryPayload::Membership(_) => None,
    }
}

/// Hash of an entry: equal for equal entries, and different for different ones.
fn hash(entry: &Entry) -> u64 {
    rng::hash_bytes(0, &encode(entry))
}

/// The membership that an entry brings into force.
fn membership(at: LogPosition, membership: &Membership<u64, EmptyNode>) -> What {
    let set = |nodes: &BTreeSet<u64>| -> HostSet { nodes.iter().map(|node| host_id(*node)).collect() };
    let learners = membership.learner_ids().map(host_id).collect();
    // Of a joint configuration, the new one comes last.
    let (voters, joint) = match membership.get_joint_config().as_slice() {
        [] => (HostSet::EMPTY, HostSet::EMPTY),
        [voters] => (set(voters), HostSet::EMPTY),
        [joint, voters, ..] => (set(voters), set(joint)),
    };
    What::Members { at, voters, joint, learners }
}
