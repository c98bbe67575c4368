//! What the clients of a run share: the cluster, the history, and their progress.

use super::load::Load;
use crate::history::{History, Operation};
use crate::systems::Cluster;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

/// What the clients of a run share.
pub struct Desk {
    /// The cluster that they use.
    pub cluster: Arc<dyn Cluster>,
    /// Every id from this one on is free for operations outside the script.
    pub first_free_id: u32,
    /// How many clients there are.
    pub clients: u32,
    /// How many keys there are.
    pub keys: u32,
    /// When the script is over and every fault with an end has ended.
    pub quiet_from_ns: u64,
    /// How long a client waits for one attempt.
    pub attempt_timeout: Duration,
    /// How long a client tries one operation in all.
    pub operation_timeout: Duration,
    /// The growing history. An operation is entered when it is invoked, with an unknown outcome.
    history: RefCell<History>,
    probed: Cell<u32>,
    finished: Cell<u32>,
}

impl Desk {
    /// An empty history for the clients of this load.
    pub fn new(load: &Load, cluster: Arc<dyn Cluster>, quiet_from_ns: u64) -> Desk {
        Desk {
            cluster,
            first_free_id: load.first_free_id(),
            clients: load.client_count(),
            keys: load.keys,
            quiet_from_ns,
            attempt_timeout: Duration::from_millis(load.attempt_timeout_ms),
            operation_timeout: Duration::from_millis(load.operation_timeout_ms),
            history: RefCell::default(),
            probed: Cell::new(0),
            finished: Cell::new(0),
        }
    }

    /// Enters an operation that was just invoked; returns its place in the history.
    pub fn invoked(&self, operation: Operation) -> usize {
        let operations = &mut self.history.borrow_mut().operations;
        operations.push(operation);
        operations.len() - 1
    }

    /// Enters how the operation at this place ended.
    pub fn ended(&self, place: usize, operation: Operation) {
        self.history.borrow_mut().operations[place] = operation;
    }

    /// Counts a client whose closing put and get have proved that it is served.
    pub fn probed(&self) {
        self.probed.set(self.probed.get() + 1);
    }

    /// Whether every client has proved that it is served.
    pub fn all_probed(&self) -> bool {
        self.probed.get() == self.clients
    }

    /// Counts a client that has finished.
    pub fn finished(&self) {
        self.finished.set(self.finished.get() + 1);
    }

    /// Whether every client has finished.
    pub fn all_finished(&self) -> bool {
        self.finished.get() == self.clients
    }

    /// Takes the history out, in order of invocation.
    pub fn take_history(&self) -> History {
        let mut history = self.history.take();
        history.sort();
        history
    }
}
