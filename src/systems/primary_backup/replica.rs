//! The state of one node: values, sessions, and its position in the history of an epoch.
//!
//! The primary executes commands; what is replicated are the changes that they made.

use crate::kv::store::Session;
use crate::kv::{Command, Key, Op, Response, Tag, Value};
use crate::systems::storage::rows::{Change, OpenError, Sealed};
use crate::systems::storage::states::State;
use crate::trace::HostId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tenure as primary. No two nodes share one, and a node never resumes one that it had before a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Higher than any that its primary had heard of.
    pub round: u64,
    /// The primary.
    pub node: HostId,
}

impl Epoch {
    /// The epoch before any node was primary.
    pub const NONE: Epoch = Epoch { round: 0, node: HostId::WORLD };
}

/// A position in a history. An epoch has only one primary, so equal positions hold equal updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The epoch in which the update was made.
    pub epoch: Epoch,
    /// How many updates there are up to here.
    pub index: u64,
}

/// What one command changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Its place.
    pub position: Position,
    /// The command.
    pub tag: Tag,
    /// The key it was about.
    pub key: Key,
    /// The key's value from here on (`Some(None)`: none); `None`: unchanged.
    pub write: Option<Option<Value>>,
    /// What the command returned.
    pub outcome: Response,
    /// The primary's time of day. Nothing depends on it.
    pub stamp: u64,
}

/// A key's last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The value; `None` once removed.
    pub value: Option<Value>,
    /// When it was written, by its primary's time of day.
    pub stamp: u64,
    /// The command that wrote it.
    pub tag: Tag,
}

/// A session's last command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// Its number and outcome.
    pub session: Session,
    /// The key it was about.
    pub key: Key,
}

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The highest epoch that this node has accepted: it obeys no lower one.
    pub promised: Epoch,
    /// The last epoch in whose history this node has caught up with the primary's start.
    pub joined: Epoch,
    /// Its last update.
    pub position: Position,
}

/// A node's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// How far it is.
    pub progress: Progress,
    records: BTreeMap<Key, Record>,
    sessions: BTreeMap<u64, Last>,
}

/// What executing a command on the primary comes to.
pub enum Executed {
    /// It takes effect now.
    Fresh(Update),
    /// A retry of its session's last command.
    Repeated(Response),
    /// Older than its session's last command.
    Stale,
}

/// The name of a row on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Row {
    /// [`Progress`].
    Progress,
    /// A [`Record`].
    Key(Key),
    /// A [`Last`].
    Session(u64),
}

impl Default for Replica {
    fn default() -> Replica {
        let position = Position { epoch: Epoch::NONE, index: 0 };
        let progress = Progress { promised: Epoch::NONE, joined: Epoch::NONE, position };
        Replica { progress, records: BTreeMap::new(), sessions: BTreeMap::new() }
    }
}

impl State for Replica {
    type Row = Row;

    fn load(rows: &[(Row, Sealed)]) -> Result<Replica, OpenError> {
        let mut replica = Replica::default();
        for (row, sealed) in rows {
            match row {
                Row::Progress => replica.progress = sealed.open("progress")?,
                Row::Key(key) => drop(replica.records.insert(*key, sealed.open("key")?)),
                Row::Session(session) => drop(replica.sessions.insert(*session, sealed.open("session")?)),
            }
        }
        Ok(replica)
    }

    fn values(&self) -> BTreeMap<Key, Value> {
        self.records.iter().filter_map(|(key, record)| Some((*key, record.value?))).collect()
    }
}

impl Replica {
    /// The rows that make a disk hold exactly this.
    pub fn rows(&self) -> Vec<Change> {
        let records = self.records.iter().map(|(key, record)| Change::set(&Row::Key(*key), record));
        let sessions = self.sessions.iter().map(|(id, session)| Change::set(&Row::Session(*id), session));
        let progress = Change::set(&Row::Progress, &self.progress);
        [Change::Clear, progress].into_iter().chain(records).chain(sessions).collect()
    }

    /// The value of a key.
    pub fn get(&self, key: Key) -> Option<Value> {
        self.records.get(&key).and_then(|record| record.value)
    }

    /// When a key was written last, by its primary's time of day.
    pub fn stamp(&self, key: Key) -> Option<u64> {
        self.records.get(&key).map(|record| record.stamp)
    }

    /// Executes a write command at the next position of `epoch`, without changing the state yet.
    pub fn execute(&self, command: &Command, epoch: Epoch, stamp: u64) -> Executed {
        let tag = command.tag;
        match self.sessions.get(&tag.session) {
            Some(Last { session, .. }) if session.last == tag.sequence => return Executed::Repeated(session.outcome),
            Some(Last { session, .. }) if session.last > tag.sequence => return Executed::Stale,
            _ => {}
        }
        let key = command.op.key();
        let found = self.get(key);
        let (outcome, write) = match command.op {
            Op::Get { .. } => (Response::Value(found), None),
            Op::Put { value, .. } => (Response::Done, Some(Some(value))),
            Op::Delete { .. } => (Response::Done, Some(None)),
            Op::Cas { expected, new, .. } if found == expected => (Response::Swapped, Some(Some(new))),
            Op::Cas { .. } => (Response::Mismatch { found }, None),
        };
        let position = Position { epoch, index: self.progress.position.index + 1 };
        Executed::Fresh(Update { position, tag, key, write, outcome, stamp })
    }

    /// Applies an update that follows this state; returns the changes on the disk.
    pub fn apply(&mut self, update: &Update) -> Vec<Change> {
        self.progress.position = update.position;
        let session = Session { last: update.tag.sequence, outcome: update.outcome };
        let last = Last { session, key: update.key };
        self.sessions.insert(update.tag.session, last);
        let session = Change::set(&Row::Session(update.tag.session), &last);
        let write = self.write(update);
        [session, self.progress_row()].into_iter().chain(write).collect()
    }

    /// Writes an update's value, whatever its position.
    pub fn write(&mut self, update: &Update) -> Option<Change> {
        let record = Record { value: update.write?, stamp: update.stamp, tag: update.tag };
        self.records.insert(update.key, record);
        Some(Change::set(&Row::Key(update.key), &record))
    }

    /// Commands whose effects are in this state, as far as it shows: the last of each session and of each key.
    pub fn commands(&self) -> impl Iterator<Item = (Tag, Key)> + '_ {
        let tag = |(session, last): (&u64, &Last)| (Tag { session: *session, sequence: last.session.last }, last.key);
        self.sessions.iter().map(tag).chain(self.records.iter().map(|(key, record)| (record.tag, *key)))
    }

    /// The disk row that holds the progress.
    pub fn progress_row(&self) -> Change {
        Change::set(&Row::Progress, &self.progress)
    }
}
