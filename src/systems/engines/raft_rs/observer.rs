//! Records what raft-rs decides. The checks of Raft's invariants read these events.

use super::state::{Members, Stored};
use crate::host::Host;
use crate::kv::Applied;
use crate::rng;
use crate::systems::message::encode;
use crate::trace::{HostId, HostSet, LogPosition, Role, Scope, What};
use raft::StateRole;

/// Records the events of one process.
pub struct Observer {
    host: Host,
    role: Option<(Role, u64)>,
    /// The vote recorded last: term, candidate, and whether that one is known to lead.
    vote: (u64, HostId, bool),
    commit: u64,
}

/// The host of a raft-rs node.
pub fn host_id(node: u64) -> HostId {
    HostId(node as u16)
}

impl Observer {
    /// The observer of a process that found this vote.
    pub fn new(host: Host, term: u64, candidate: u64) -> Observer {
        Observer { host, role: None, vote: (term, host_id(candidate), false), commit: 0 }
    }

    /// What a process begins with.
    pub fn found(&self, founders: &Members, log: Option<LogPosition>, applied: Option<LogPosition>) {
        // The founding configuration is in no entry: it is where the log begins.
        self.members(LogPosition { term: 0, leader: HostId(0), index: 0 }, founders);
        self.host.record(What::FoundLog { last: log });
        self.host.record(What::Restored { upto: applied });
    }

    /// The node has this role.
    pub fn role(&mut self, state: StateRole, term: u64) {
        let role = match state {
            StateRole::Leader => Role::Primary,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower => Role::Backup,
        };
        if self.role == Some((role, term)) {
            return;
        }
        self.role = Some((role, term));
        if role == Role::Primary {
            self.vote(term, self.host.id(), true);
        }
        self.host.record_role(role, Scope::All, term);
    }

    /// A vote is durable, or its candidate is known to lead. raft-rs's voters take part in a term by either; the trace
    /// has one vote a node, which only rises.
    pub fn vote(&mut self, term: u64, candidate: HostId, committed: bool) {
        let vote = (term, candidate, committed);
        if vote > self.vote {
            self.vote = vote;
            self.host.record(What::Vote { term, candidate, committed });
        }
    }

    /// Entries from this index on are gone.
    pub fn truncated(&self, from: u64) {
        self.host.record(What::Truncate { from });
    }

    /// Entries are durable.
    pub fn appended(&self, entries: &[Stored]) {
        for entry in entries {
            let command = entry.command().map(|command| command.tag);
            self.host.record(What::Append { at: entry.at, payload: hash(entry), command });
        }
    }

    /// The log is committed up to here.
    pub fn committed(&mut self, upto: LogPosition) {
        if upto.index > self.commit {
            self.commit = upto.index;
            self.host.record(What::Commit { upto });
        }
    }

    /// An entry was applied.
    pub fn applied(&self, entry: &Stored, applied: Option<Applied>) {
        let command = entry.command();
        let (at, tag) = (entry.at, command.map(|command| command.tag));
        self.host.record(What::ApplyEntry { at, payload: hash(entry), command: tag });
        if let (Some(command), Some(Applied::Fresh(_))) = (command, applied) {
            self.host.record(What::Apply { tag: command.tag, key: command.op.key(), entry: Some(at) });
        }
    }

    /// The members are these. raft-rs goes by a configuration once its entry is applied, not once it is appended.
    pub fn members(&self, at: LogPosition, members: &Members) {
        let set = |nodes: &[u64]| -> HostSet { nodes.iter().map(|node| host_id(*node)).collect() };
        let (voters, joint, learners) = (set(&members.voters), set(&members.outgoing), set(&members.learners));
        self.host.record(What::Members { at, voters, joint, learners });
    }

    /// A snapshot was built and is durable.
    pub fn built(&self, upto: Option<LogPosition>, data: &[u8]) {
        self.host.record(What::SnapshotBuilt { upto, payload: Some(rng::hash_bytes(0, data)) });
    }

    /// A snapshot has replaced the state.
    pub fn installed(&mut self, upto: Option<LogPosition>, data: &[u8]) {
        self.host.record(What::SnapshotInstalled { upto, payload: rng::hash_bytes(0, data) });
        self.commit = self.commit.max(upto.map_or(0, |upto| upto.index));
    }

    /// The log was purged.
    pub fn purged(&self, upto: LogPosition) {
        self.host.record(What::Purge { upto });
    }
}

fn hash(entry: &Stored) -> u64 {
    rng::hash_bytes(0, &encode(entry))
}
