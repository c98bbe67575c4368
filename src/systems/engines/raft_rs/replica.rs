//! raft-rs, what it keeps on disk, and its ready loop: persist, send, apply, in the order that its documentation asks
//! for (`raft` 0.7, "Processing the Ready state").

use super::Setup;
use super::observer::{Observer, host_id};
use super::rules::Rules;
use super::state::{Change, Effects, Kind, Members, Meta, Shared, Stored, StoredSnapshot, Vote};
use super::wire::{self, Leaders};
use crate::host::{Host, lock};
use crate::kv::{Applied, Command, Value};
use crate::systems::engines::mailroom::{Batch, Mailroom, Post};
use crate::systems::message::{decode, encode};
use crate::systems::storage::journal::Journal;
use crate::trace::{HostId, LogPosition};
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeV2, Entry, EntryType, Message, Snapshot};
use raft::{Config, RawNode, ReadState, SnapshotStatus, StateRole};
use std::io;
use std::rc::Rc;

/// What the state machine has done, for those who wait for it.
pub enum Done {
    /// A command was applied, in this term.
    Command(Command, Applied, u64),
    /// A change of the members was applied, with the number that its proposer gave it.
    Members(Option<u64>),
    /// Reads are allowed once this index is applied.
    Read(ReadState),
}

/// An engine with its state.
pub struct Replica {
    host: Host,
    pub raw: RawNode<Shared>,
    state: Shared,
    journal: Journal<Change>,
    rules: Rules,
    leaders: Leaders,
    observer: Observer,
    /// Term, role and leader when the election time-out was drawn last, and the ticks drawn.
    drawn: (Key, usize),
    /// Shortest and longest election time-out, in ticks.
    election: (usize, usize),
    logs_per_snapshot: u64,
    logs_kept: u64,
    done: Vec<Done>,
}

/// What changes whenever raft-rs draws a new election time-out.
type Key = (u64, StateRole, u64);

impl Replica {
    /// raft-rs on the state of a node.
    ///
    /// # Errors
    /// When it does not start on that.
    pub fn new(host: &Host, setup: &Setup, state: Shared, journal: Journal<Change>) -> raft::Result<Replica> {
        let applied = lock(&state.machine).applied;
        let config = Config {
            id: u64::from(host.id().0),
            applied: applied.map_or(0, |at| at.index),
            election_tick: setup.election.0,
            min_election_tick: setup.election.0,
            max_election_tick: setup.election.1,
            heartbeat_tick: setup.heartbeat,
            max_size_per_msg: 1 << 20,
            check_quorum: true,
            pre_vote: true,
            ..Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, state.clone(), &logger)?;
        let (leaders, last, vote) = {
            let disk = lock(&state.disk);
            let upto = disk.snapshot.as_ref().and_then(|snapshot| snapshot.meta.upto);
            let known = disk.log.values().map(|entry| entry.at).chain(disk.purged).chain(upto).chain(applied);
            (known.map(|at| (at.term, at.leader)).collect(), disk.last(), disk.vote.unwrap_or_default())
        };
        let observer = Observer::new(host.clone(), vote.term, vote.candidate);
        observer.found(&setup.founders, last, applied);
        let drawn = ((u64::MAX, StateRole::Follower, 0), 0);
        let (host, election, rules) = (host.clone(), setup.election, setup.rules);
        let mut replica = Replica {
            host,
            raw,
            state,
            journal,
            rules,
            leaders,
            observer,
            drawn,
            election,
            logs_per_snapshot: setup.logs_per_snapshot,
            logs_kept: setup.logs_kept,
            done: Vec::new(),
        };
        replica.stepped();
        Ok(replica)
    }

    /// The host that it runs on.
    pub fn host_id(&self) -> HostId {
        self.host.id()
    }

    /// Whether this node leads.
    pub fn leads(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Whom to ask instead of this node. One that was removed knows no leader: it may believe for ever in one that was
    /// removed too.
    pub fn hint(&self) -> Option<HostId> {
        let (own, leader) = (self.raw.raft.id, self.raw.raft.leader_id);
        let is_member = self.raw.raft.prs().get(own).is_some();
        (is_member && leader != 0 && leader != own).then(|| host_id(leader))
    }

    /// The index of the last entry applied.
    pub fn applied(&self) -> u64 {
        lock(&self.state.machine).applied.map_or(0, |at| at.index)
    }

    /// A peer's message. raft-rs refuses those that make no sense any more.
    pub fn receive(&mut self, bytes: &[u8]) {
        if let Some(message) = wire::read(bytes, &mut self.leaders) {
            let _ = self.raw.step(message);
            self.stepped();
        }
    }

    /// A tick has passed.
    pub fn tick(&mut self) {
        self.raw.tick();
        self.stepped();
    }

    /// A call of a peer has ended.
    pub fn called(&mut self, peer: HostId, is_snapshot: bool, is_answered: bool) {
        let peer = u64::from(peer.0);
        match (is_snapshot, is_answered) {
            (true, true) => self.raw.report_snapshot(peer, SnapshotStatus::Finish),
            (true, false) => self.raw.report_snapshot(peer, SnapshotStatus::Failure),
            (false, false) => self.raw.report_unreachable(peer),
            (false, true) => {}
        }
    }

    /// raft-rs draws an election time-out from a generator of its own whenever its term, its role or its leader
    /// changes (`Raft::reset`). The draw of the host's stream takes its place. Comparing time-outs would not do: two
    /// draws may be equal, and whether they are is up to the foreign generator.
    pub fn stepped(&mut self) {
        let raft = &mut self.raw.raft;
        let key = (raft.term, raft.state, raft.leader_id);
        if key != self.drawn.0 {
            let (least, most) = self.election;
            let is_first = self.drawn.1 == 0;
            self.drawn.0 = key;
            if is_first || !self.rules.draws_once {
                self.drawn.1 = least + self.host.random_below((most - least) as u64) as usize;
            }
        }
        raft.set_randomized_election_timeout(self.drawn.1);
        if raft.state == StateRole::Leader {
            self.leaders.insert(raft.term, self.host.id());
        }
        self.observer.role(raft.state, raft.term);
    }

    /// Does all that raft-rs asks for, until it asks for nothing more.
    ///
    /// # Errors
    /// When the disk refuses. The process must end then.
    pub async fn settle(&mut self, mailroom: &Rc<Mailroom>, batch: &mut Batch) -> io::Result<Vec<Done>> {
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            self.post(ready.take_messages(), mailroom, batch);
            self.done.extend(ready.take_read_states().into_iter().map(Done::Read));
            if !ready.snapshot().is_empty() {
                self.install(ready.snapshot()).await?;
            }
            let committed = ready.take_committed_entries();
            let (from, appended) = self.append(ready.take_entries());
            let hard = ready.hs().map(|hard| (hard.term, hard.vote, hard.commit));
            if let Some((term, candidate, _)) = hard {
                self.change(Change::Vote(Vote { term, candidate }));
                lock(&self.state.disk).vote = Some(Vote { term, candidate });
            }
            if ready.must_sync() {
                self.sync().await?;
            }
            from.into_iter().for_each(|from| self.observer.truncated(from));
            self.observer.appended(&appended);
            self.took_part(hard);
            self.commit(hard.map(|(_, _, commit)| commit));
            self.apply(committed);
            self.post(ready.take_persisted_messages(), mailroom, batch);
            let mut light = self.raw.advance_append(ready);
            self.commit(light.commit_index());
            self.post(light.take_messages(), mailroom, batch);
            self.apply(light.take_committed_entries());
            self.raw.advance_apply();
            self.stepped();
            self.compact().await?;
        }
        Ok(std::mem::take(&mut self.done))
    }

    /// Waits until all changes are durable.
    async fn sync(&self) -> io::Result<()> {
        if self.rules.node.waits_for_disk {
            return self.journal.flushed().await;
        }
        self.journal.flush(|_| ());
        Ok(())
    }

    fn change(&self, change: Change) {
        self.journal.change(change);
    }

    fn post(&self, messages: Vec<Message>, mailroom: &Rc<Mailroom>, batch: &mut Batch) {
        for message in messages {
            let (kind, is_answer) = wire::class(&message);
            let (to, bytes) = (host_id(message.to), wire::write(&message, &self.leaders));
            batch.send(mailroom, Post { to, kind, is_answer, bytes });
        }
    }

    /// Records the votes and leaders that this node knows, once they are durable.
    fn took_part(&mut self, hard: Option<(u64, u64, u64)>) {
        if let Some((term, candidate, _)) = hard.filter(|(_, candidate, _)| *candidate != 0) {
            self.observer.vote(term, host_id(candidate), false);
        }
        let raft = &self.raw.raft;
        if raft.leader_id != 0 {
            self.observer.vote(raft.term, host_id(raft.leader_id), true);
        }
    }

    /// Writes entries to the log, over what stands in their way.
    fn append(&mut self, entries: Vec<Entry>) -> (Option<u64>, Vec<Stored>) {
        let entries: Vec<Stored> = entries.into_iter().map(|entry| self.stored(entry)).collect();
        let Some(first) = entries.first().map(|entry| entry.at.index) else { return (None, entries) };
        let mut disk = lock(&self.state.disk);
        let conflict = disk.log.last_key_value().is_some_and(|(last, _)| *last >= first).then_some(first);
        if conflict.is_some() {
            disk.log.split_off(&first);
            self.change(Change::Truncate(first));
        }
        disk.log.extend(entries.iter().map(|entry| (entry.at.index, entry.clone())));
        self.change(Change::Append(entries.clone()));
        (conflict, entries)
    }

    fn stored(&self, entry: Entry) -> Stored {
        let leader = self.leaders.get(&entry.term).copied().unwrap_or(HostId(0));
        let at = LogPosition { term: entry.term, leader, index: entry.index };
        let kind = match entry.get_entry_type() {
            EntryType::EntryNormal => Kind::Normal,
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => Kind::Members,
        };
        Stored { at, kind, data: entry.data.to_vec() }
    }

    /// Saves and records that the log is committed up to this index. It need not be durable: a leader answers no read
    /// before it has committed an entry of its own term.
    fn commit(&mut self, index: Option<u64>) {
        let mut disk = lock(&self.state.disk);
        let Some(upto) = index.and_then(|index| disk.log.get(&index)).map(|entry| entry.at) else { return };
        disk.committed = Some(upto);
        self.change(Change::Committed(Some(upto)));
        self.observer.committed(upto);
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let mut effects = Effects::default();
        for entry in entries {
            let held = lock(&self.state.disk).log.get(&entry.index).cloned();
            let stored = held.unwrap_or_else(|| self.stored(entry));
            let applied = {
                let mut machine = lock(&self.state.machine);
                stored.command().iter().for_each(|command| (self.rules.node.prepare)(&mut machine, command));
                machine.apply(stored.clone(), &mut effects)
            };
            self.observer.applied(&stored, applied);
            if let (Some(command), Some(applied)) = (stored.command(), applied) {
                self.done.push(Done::Command(command, applied, stored.at.term));
            }
            if stored.kind == Kind::Members {
                self.join(&stored, &mut effects);
            }
        }
        // Not awaited: if this is lost, the entries are applied again from the log.
        self.change(Change::Apply(effects));
    }

    fn join(&mut self, entry: &Stored, effects: &mut Effects) {
        let change = ConfChangeV2::parse_from_bytes(&entry.data).unwrap_or_default();
        // raft-rs refuses a change that its present configuration does not allow; then the members stay as they are.
        if let Ok(conf) = self.raw.apply_conf_change(&change) {
            let members = Members::from(&conf);
            let own = self.raw.raft.id;
            // A leader of raft-rs that is no member any more goes on leading, and panics at the next entry that it
            // commits (`raft` 0.7.0, raft.rs:943; stepping down is a TODO in `post_conf_change`). So it steps down here.
            let is_removed = !members.voters.contains(&own) && !members.outgoing.contains(&own);
            if self.leads() && is_removed && self.rules.removed_steps_down {
                let term = self.raw.raft.term;
                self.raw.raft.become_follower(term, raft::INVALID_ID);
                self.stepped();
            }
            self.observer.members(entry.at, &members);
            lock(&self.state.machine).join(members, effects);
        }
        self.done.push(Done::Members(decode(&change.context)));
    }

    /// Replaces the whole state by a peer's snapshot.
    async fn install(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let stored = {
            let meta = snapshot.get_metadata();
            let leader = self.leaders.get(&meta.term).copied().unwrap_or(HostId(0));
            let upto = LogPosition { term: meta.term, leader, index: meta.index };
            let meta = Meta { upto: Some(upto), members: meta.get_conf_state().into() };
            StoredSnapshot { meta, data: snapshot.data.to_vec() }
        };
        let machine = stored.machine().map_err(io::Error::other)?;
        let upto = stored.meta.upto.expect("it was put there above");
        let beyond = {
            let mut disk = lock(&self.state.disk);
            let beyond = disk.log.keys().next_back().is_some_and(|last| *last > upto.index);
            disk.log.clear();
            (disk.purged, disk.committed, disk.snapshot) = (Some(upto), Some(upto), Some(stored.clone()));
            beyond
        };
        *lock(&self.state.machine) = machine.clone();
        self.change(Change::Truncate(upto.index + 1));
        self.change(Change::Purge(upto));
        self.change(Change::Committed(Some(upto)));
        self.change(Change::Machine(Box::new(machine)));
        self.change(Change::Snapshot(stored.clone()));
        self.journal.flushed().await?;
        if beyond {
            self.observer.truncated(upto.index + 1);
        }
        self.observer.installed(Some(upto), &stored.data);
        self.observer.purged(upto);
        Ok(())
    }

    /// Builds a snapshot when enough was applied since the last one, and purges the log below it.
    async fn compact(&mut self) -> io::Result<()> {
        let (covered, last) = {
            let disk = lock(&self.state.disk);
            let upto = disk.snapshot.as_ref().and_then(|snapshot| snapshot.meta.upto);
            (upto.map_or(0, |upto| upto.index), disk.purged.map_or(0, |purged| purged.index))
        };
        if self.applied() < covered + self.logs_per_snapshot {
            return Ok(());
        }
        let stored = (self.rules.node.snapshot)(&lock(&self.state.machine)).map_err(io::Error::other)?;
        let end = stored.meta.upto.map_or(0, |upto| upto.index).saturating_sub(self.logs_kept);
        let purged = {
            let mut disk = lock(&self.state.disk);
            disk.snapshot = Some(stored.clone());
            let purged = disk.log.get(&end).map(|entry| entry.at).filter(|at| at.index > last);
            if let Some(purged) = purged {
                disk.log = disk.log.split_off(&(end + 1));
                disk.purged = Some(purged);
            }
            purged
        };
        self.change(Change::Snapshot(stored.clone()));
        purged.into_iter().for_each(|purged| self.change(Change::Purge(purged)));
        self.journal.flushed().await?;
        self.observer.built(stored.meta.upto, &stored.data);
        purged.into_iter().for_each(|purged| self.observer.purged(purged));
        Ok(())
    }

    /// The value that a key has in the state applied here.
    pub fn value(&self, command: &Command) -> Option<Value> {
        lock(&self.state.machine).store.get(command.op.key())
    }

    /// The command of a proposal, as raft-rs carries it.
    pub fn propose(&mut self, command: &Command) -> raft::Result<()> {
        let proposed = self.raw.propose(Vec::new(), encode(command));
        self.stepped();
        proposed
    }

    /// The number of a read, as it was given to raft-rs.
    pub fn number(read: &ReadState) -> u64 {
        decode(&read.request_ctx).unwrap_or(0)
    }
}
