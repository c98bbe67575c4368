//! The state of a node that replicates a log, and its changes, as plain data: the same in memory and on disk, and the
//! same for every engine. What differs between engines is in [`Engine`].

use crate::kv::store::Session;
use crate::kv::{Applied, Command, Key, Store, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Log entries between two snapshots. Few, so that a run of seconds builds several snapshots and purges its log.
pub const LOGS_PER_SNAPSHOT: u64 = 150;
/// Log entries kept below a snapshot, so that a follower a little behind is sent entries and not a snapshot.
pub const LOGS_KEPT: u64 = 30;
/// A follower that lags by more entries than this is sent a snapshot, where the engine asks for such a number.
pub const LAG_FOR_SNAPSHOT: u64 = 300;

/// Data that has a place on a disk.
pub trait Plain: Clone + Debug + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Debug + Serialize + DeserializeOwned + 'static> Plain for T {}

/// How an engine calls what a node keeps.
pub trait Engine: Sized + Clone + Debug + 'static {
    /// The value of the row `format`.
    const FORMAT: &'static str;
    /// What it must remember of elections.
    type Vote: Plain;
    /// A place in the log.
    type Position: Plain + Copy;
    /// The members of the cluster.
    type Members: Plain + Default;
    /// A log entry.
    type Entry: Plain;
    /// Which entries and which members a snapshot covers.
    type SnapshotMeta: Plain;

    /// The index of a position.
    fn index(position: &Self::Position) -> u64;

    /// Where an entry is.
    fn position(entry: &Self::Entry) -> Self::Position;

    /// What the state machine does with an entry.
    fn payload(entry: Self::Entry) -> Payload<Self>;

    /// The description of a snapshot of everything up to `applied`.
    fn meta(applied: Option<Self::Position>, members: &Self::Members) -> Self::SnapshotMeta;
}

/// What an entry means to the state machine.
pub enum Payload<E: Engine> {
    /// Nothing.
    Blank,
    /// A client's command.
    Command(Command),
    /// New members.
    Members(E::Members),
}

/// What a node's disk holds beside the state machine: the protocol's persistent state (for Raft: Raft paper, figure 2)
/// and the snapshot.
#[derive(Debug)]
pub struct Disk<E: Engine> {
    /// The vote that was saved last: for Raft, `votedFor` and `currentTerm` in one.
    pub vote: Option<E::Vote>,
    /// The highest position known to be committed. It covers every entry that was ever applied, except through a
    /// snapshot.
    pub committed: Option<E::Position>,
    /// The entries after `purged`.
    pub log: BTreeMap<u64, E::Entry>,
    /// The last entry that was purged from the log.
    pub purged: Option<E::Position>,
    /// The latest snapshot.
    pub snapshot: Option<StoredSnapshot<E>>,
}

// A derived impl would ask it of the engine.
impl<E: Engine> Default for Disk<E> {
    fn default() -> Disk<E> {
        Disk { vote: None, committed: None, log: BTreeMap::new(), purged: None, snapshot: None }
    }
}

impl<E: Engine> Disk<E> {
    /// The end of the log; where nothing is left of it, what was purged last.
    pub fn last(&self) -> Option<E::Position> {
        self.log.last_key_value().map(|(_, entry)| E::position(entry)).or(self.purged)
    }
}

/// A snapshot on disk.
#[derive(Debug, Clone)]
pub struct StoredSnapshot<E: Engine> {
    /// Which entries and which members it covers.
    pub meta: E::SnapshotMeta,
    /// The encoded state machine.
    pub data: Vec<u8>,
}

/// The state machine: all that applying log entries has produced.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Machine<E: Engine> {
    /// The store with its sessions.
    pub store: Store,
    /// The last entry applied.
    pub applied: Option<E::Position>,
    /// The members as of that entry.
    pub membership: E::Members,
}

impl<E: Engine> Default for Machine<E> {
    fn default() -> Machine<E> {
        Machine { store: Store::default(), applied: None, membership: E::Members::default() }
    }
}

impl<E: Engine> Machine<E> {
    /// Applies one entry and records in `effects` what it changed.
    pub fn apply(&mut self, entry: E::Entry, effects: &mut Effects<E>) -> Option<Applied> {
        self.applied = Some(E::position(&entry));
        effects.upto = self.applied;
        match E::payload(entry) {
            Payload::Blank => None,
            Payload::Command(command) => {
                let applied = self.store.apply(&command);
                let (key, session) = (command.op.key(), command.tag.session);
                effects.values.push((key, self.store.get(key)));
                effects.sessions.extend(self.store.session(session).map(|last| (session, *last)));
                Some(applied)
            }
            Payload::Members(members) => {
                self.join(members, effects);
                None
            }
        }
    }

    /// The members are these from now on.
    pub fn join(&mut self, members: E::Members, effects: &mut Effects<E>) {
        self.membership = members;
        effects.membership = Some(self.membership.clone());
    }

    /// A snapshot of the whole machine, with its sessions: without them, a follower that installs the snapshot would
    /// apply a retry a second time.
    ///
    /// # Errors
    /// When the machine cannot be encoded.
    pub fn snapshot(&self) -> Result<StoredSnapshot<E>, postcard::Error> {
        let data = postcard::to_stdvec(self)?;
        Ok(StoredSnapshot { meta: E::meta(self.applied, &self.membership), data })
    }
}

impl<E: Engine> StoredSnapshot<E> {
    /// The state machine that the snapshot holds.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn machine(&self) -> Result<Machine<E>, postcard::Error> {
        postcard::from_bytes(&self.data)
    }
}

/// One change of a node's durable state. Changes take effect in order; one commit holds many of them.
#[derive(Debug, Clone)]
pub enum Change<E: Engine> {
    /// A new vote was saved.
    Vote(E::Vote),
    /// The log is committed up to here. Durable before any of these entries is applied.
    Committed(Option<E::Position>),
    /// Entries were appended at the log's end.
    Append(Vec<E::Entry>),
    /// The log was truncated from this index on, inclusive.
    Truncate(u64),
    /// The log was purged up to this position, inclusive.
    Purge(E::Position),
    /// Entries were applied.
    Apply(Effects<E>),
    /// The state machine was replaced, by an installed snapshot.
    Machine(Box<Machine<E>>),
    /// A new snapshot became the latest one.
    Snapshot(StoredSnapshot<E>),
}

/// The changes that applying some entries made.
#[derive(Debug, Clone)]
pub struct Effects<E: Engine> {
    /// The last entry applied.
    pub upto: Option<E::Position>,
    /// The members, if they changed.
    pub membership: Option<E::Members>,
    /// Keys that were written, with their new values.
    pub values: Vec<(Key, Option<Value>)>,
    /// Sessions that advanced, with their last commands.
    pub sessions: Vec<(u64, Session)>,
}

impl<E: Engine> Default for Effects<E> {
    fn default() -> Effects<E> {
        Effects { upto: None, membership: None, values: Vec::new(), sessions: Vec::new() }
    }
}
