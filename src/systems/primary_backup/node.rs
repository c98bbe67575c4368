//! One process: its state, its messages, and its end when the disk fails.

use super::replica::Replica;
use super::tenure::Tenure;
use super::wire::Message;
use super::{Policy, Setup};
use crate::host::Host;
use crate::host::transport::Incoming;
use crate::systems::message::{decode, encode};
use crate::systems::storage::journal::Journal;
use crate::systems::storage::process;
use crate::systems::storage::rows::{self, Change, Database};
use crate::systems::storage::states::Shared;
use crate::trace::{HostId, MessageKind, Role, Scope};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;

/// The part of a process's state that is in memory only. Times are by this node's clock.
pub(super) struct Memory {
    /// When a primary was last heard from.
    pub heard_ns: u64,
    /// The primary that was last heard from.
    pub primary: Option<HostId>,
    /// When the lease ends that this node granted last.
    pub granted_until_ns: u64,
    /// This node's tenure as primary, if it is one.
    pub tenure: Option<Tenure>,
    /// The highest round that this process has heard of.
    pub highest_round: u64,
    /// Whether it has recorded that it serves.
    pub serving: bool,
}

/// One process.
pub(super) struct Node {
    pub host: Host,
    pub setup: Rc<Setup>,
    pub journal: Journal<Change>,
    pub replica: Shared<Replica>,
    pub memory: RefCell<Memory>,
    /// Notified whenever the state changes that some task may be waiting for.
    pub changed: Notify,
    /// Notified whenever there is something to ship.
    pub pushed: Notify,
    has_failed: Cell<bool>,
}

impl Node {
    /// A process that starts from what its disk holds.
    pub fn new(host: &Host, setup: Rc<Setup>, database: Database, replica: Shared<Replica>) -> Rc<Node> {
        let now_ns = host.local_ns();
        let is_blank = *replica.borrow() == Replica::default();
        // After a restart the node no longer knows which lease it had granted.
        let lease_ns = setup.patience.as_nanos() as u64;
        let granted_until_ns = if is_blank { 0 } else { setup.rules.free_at_start_ns(now_ns, lease_ns) };
        let memory = Memory {
            heard_ns: now_ns,
            primary: None,
            granted_until_ns,
            tenure: None,
            highest_round: 0,
            serving: false,
        };
        Rc::new(Node {
            journal: Journal::new(host.clone(), database, rows::commit),
            host: host.clone(),
            setup,
            replica,
            memory: RefCell::new(memory),
            changed: Notify::new(),
            pushed: Notify::new(),
            has_failed: Cell::new(false),
        })
    }

    /// This node.
    pub fn id(&self) -> HostId {
        self.host.id()
    }

    /// The other nodes.
    pub fn peers(&self) -> impl Iterator<Item = HostId> + '_ {
        self.setup.nodes.iter().copied().filter(|node| *node != self.id())
    }

    /// Waits until everything so far is durable; `None` if the disk has failed, and then the process ends.
    pub async fn flushed(&self) -> Option<()> {
        let flushed = self.journal.flushed().await;
        if flushed.is_err() {
            self.has_failed.set(true);
            self.changed.notify_waiters();
        }
        flushed.ok()
    }

    /// Whether the disk has failed.
    pub fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// Whether this node may act as primary, and in which round.
    pub fn serves(&self) -> Option<u64> {
        let memory = self.memory.borrow();
        let tenure = memory.tenure.as_ref()?;
        let is_leased = self.setup.policy != Policy::Lease || self.host.local_ns() < tenure.leased_until_ns();
        (is_leased && !self.has_failed()).then_some(tenure.epoch.round)
    }

    /// Records whether this node serves, if that has changed.
    pub fn record_role(&self) {
        let round = self.serves();
        if std::mem::replace(&mut self.memory.borrow_mut().serving, round.is_some()) != round.is_some() {
            let role = if round.is_some() { Role::Primary } else { Role::Backup };
            let term = round.unwrap_or_else(|| self.promised().round);
            self.host.record_role(role, Scope::All, term);
            self.changed.notify_waiters();
        }
    }

    /// Stops being primary.
    pub fn step_down(&self) {
        self.memory.borrow_mut().tenure = None;
        self.record_role();
        self.changed.notify_waiters();
        self.pushed.notify_waiters();
    }
}

impl process::Node for Node {
    fn begin(self: &Rc<Self>) {
        self.host.spawn(self.clone().watch());
    }

    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        if incoming.kind == MessageKind::Request {
            return Some(encode(&self.serve(decode(&incoming.payload)?).await));
        }
        let message: Message = decode(&incoming.payload)?;
        Some(encode(&self.obey(incoming.from, message).await?))
    }

    async fn failed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.has_failed() {
                return self.step_down();
            }
            changed.await;
        }
    }
}
