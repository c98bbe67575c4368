//! What a primary knows: the history since its start, how much of it each backup has, and how long its lease lasts.

use super::replica::{Epoch, Position, Progress, Update};
use crate::kv::{Key, Value};
use crate::trace::HostId;
use std::collections::{BTreeMap, VecDeque};

/// Updates kept for backups that are behind. A backup further behind gets the whole state.
const KEPT: usize = 2000;
/// Updates in one message.
const BATCH: usize = 256;

/// What a primary knows about a backup.
#[derive(Debug, Clone, Copy, Default)]
struct Backup {
    /// Its position when it last answered.
    position: Option<Position>,
    /// How much of this history it holds durably.
    acked: u64,
    /// When its grant of the lease ends, by the primary's clock.
    granted_until_ns: u64,
}

/// A node's time as primary.
pub struct Tenure {
    /// Its epoch.
    pub epoch: Epoch,
    /// How many updates there were when it began.
    pub start: u64,
    /// How many updates are durable on this node.
    pub durable: u64,
    /// The position before the first update that is kept.
    base: Position,
    log: VecDeque<Update>,
    /// Updates that may be unconfirmed: index, key, and the key's value before.
    unconfirmed: VecDeque<(u64, Key, Option<Value>)>,
    backups: BTreeMap<HostId, Backup>,
}

/// What a backup needs next.
pub enum Needed {
    /// The updates after a position; there may be none.
    Updates(Position, Vec<Update>),
    /// The whole state.
    State,
}

impl Tenure {
    /// A tenure that begins in this state.
    pub fn new(progress: &Progress, backups: impl Iterator<Item = HostId>) -> Tenure {
        let base = progress.position;
        Tenure {
            epoch: progress.joined,
            start: base.index,
            durable: base.index,
            base,
            log: VecDeque::new(),
            unconfirmed: VecDeque::new(),
            backups: backups.map(|backup| (backup, Backup::default())).collect(),
        }
    }

    /// Records an update and its key's value before it. The first `confirmed` updates are safe.
    pub fn push(&mut self, update: Update, before: Option<Value>, confirmed: u64) {
        let settled = self.unconfirmed.partition_point(|(index, ..)| *index <= confirmed);
        self.unconfirmed.drain(..settled);
        self.unconfirmed.push_back((update.position.index, update.key, before));
        self.log.push_back(update);
        if self.log.len() > KEPT {
            self.base = self.log.pop_front().map_or(self.base, |oldest| oldest.position);
        }
    }

    /// The value of a key before its first unconfirmed update, if there is one.
    pub fn before(&self, key: Key, confirmed: u64) -> Option<Option<Value>> {
        let mut unconfirmed = self.unconfirmed.iter();
        unconfirmed.find(|(index, other, _)| *index > confirmed && *other == key).map(|(_, _, before)| *before)
    }

    /// Whether this history contains a position, as far as it is kept.
    fn has(&self, position: Position) -> bool {
        let at = position.index.checked_sub(self.base.index + 1);
        position == self.base || at.is_some_and(|at| self.log.get(at as usize).is_some_and(|u| u.position == position))
    }

    fn end(&self) -> Position {
        self.log.back().map_or(self.base, |update| update.position)
    }

    /// What to send to a backup.
    pub fn needed(&self, backup: HostId) -> Needed {
        match self.backups.get(&backup).and_then(|backup| backup.position) {
            // An empty message asks it how far it is.
            None => Needed::Updates(self.end(), Vec::new()),
            Some(position) if self.has(position) => {
                let skip = (position.index - self.base.index) as usize;
                Needed::Updates(position, self.log.iter().skip(skip).take(BATCH).copied().collect())
            }
            Some(_) => Needed::State,
        }
    }

    /// A node grants the lease until `until_ns`, by this node's clock.
    pub fn granted(&mut self, backup: HostId, until_ns: u64) {
        if let Some(known) = self.backups.get_mut(&backup) {
            known.granted_until_ns = known.granted_until_ns.max(until_ns);
        }
    }

    /// A backup has answered and obeys.
    pub fn answered(&mut self, backup: HostId, progress: &Progress) {
        let is_level = self.has(progress.position);
        let Some(known) = self.backups.get_mut(&backup) else { return };
        if is_level {
            known.acked = known.acked.max(progress.position.index);
        }
        known.position = Some(progress.position);
    }

    /// How many updates every backup holds durably.
    pub fn held_by_all(&self) -> u64 {
        self.backups.values().map(|backup| backup.acked).chain([self.durable]).min().unwrap_or(0)
    }

    /// How many updates a majority holds durably.
    pub fn held_by_majority(&self) -> u64 {
        self.held_by(self.majority())
    }

    /// How many nodes are a majority.
    pub fn majority(&self) -> usize {
        self.backups.len().div_ceil(2) + 1
    }

    /// How many updates so many nodes hold durably.
    pub fn held_by(&self, nodes: usize) -> u64 {
        let mut held: Vec<u64> = self.backups.values().map(|backup| backup.acked).chain([self.durable]).collect();
        held.sort_unstable();
        held[held.len() - nodes]
    }

    /// When the majority's grant of the lease ends, by this node's clock. The primary itself grants it as long as it is
    /// one.
    pub fn leased_until_ns(&self) -> u64 {
        let grants = self.backups.values().map(|backup| backup.granted_until_ns).chain([u64::MAX]);
        let mut grants: Vec<u64> = grants.collect();
        grants.sort_unstable();
        grants[(grants.len() - 1) / 2]
    }
}
