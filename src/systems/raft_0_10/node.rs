//! One node: how it starts from its disk, and which requests it answers.

use super::log_store::LogStore;
use super::network::{self, Network};
use super::observer::Observer;
use super::rules::Rules;
use super::service::Service;
use super::state_machine::{Raft, StateMachine};
use super::types::{Machine, NodeId, Types, node_id};
use crate::host::Host;
use crate::host::transport::Incoming;
use crate::systems::storage::journal::Journal;
use crate::systems::storage::{process, tables};
use crate::trace::MessageKind;
use openraft_0_10::async_runtime::watch::WatchReceiver;
use openraft_0_10::{Config, EmptyNode};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// The state machine of a node's latest process, for reading its state from outside.
pub type Latest = Rc<RefCell<Option<Arc<Mutex<Machine>>>>>;

/// The settings that all nodes of a cluster share.
pub struct Setup {
    /// openraft's configuration.
    pub config: Arc<Config>,
    /// The nodes that found the cluster, all voters.
    pub members: BTreeMap<NodeId, EmptyNode>,
    /// What a node does beside openraft.
    pub rules: Rules,
}

/// A running node.
pub struct Node {
    raft: Raft,
    service: Service,
}

/// Starts a node from the state on its disk. The first node also founds the cluster.
///
/// # Errors
/// When the storage cannot be opened or read, or Raft cannot start on it.
pub async fn start(setup: &Setup, host: &Host, latest: &Latest) -> Result<Rc<Node>, Box<dyn Error>> {
    let rules = setup.rules.store;
    let database = (rules.open)(host)?;
    let (disk, machine) = tables::load::<Types>(&database)?;
    let disk = (rules.remember)(disk);
    let observer = Observer::new(host.clone());
    observer.found(&disk, &machine, setup.rules.restores_leader);
    let (disk, machine) = (Arc::new(Mutex::new(disk)), Arc::new(Mutex::new(machine)));
    *latest.borrow_mut() = Some(machine.clone());
    let journal = Journal::new(host.clone(), database, rules.commit);
    let log = LogStore::new(disk.clone(), journal.clone(), observer.clone(), rules);
    let state_machine = StateMachine::new(machine.clone(), disk, journal, observer, rules);
    let id = node_id(host.id());
    let raft = Raft::new(id, setup.config.clone(), Network::new(host.clone()), log, state_machine).await?;
    // The others learn of the cluster when they receive its log.
    if setup.members.keys().next() == Some(&id) && !raft.is_initialized().await? {
        raft.initialize(setup.members.clone()).await?;
    }
    let service = Service::new(host.clone(), raft.clone(), machine, setup.rules);
    Ok(Rc::new(Node { raft, service }))
}

impl process::Node for Node {
    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        match incoming.kind {
            MessageKind::Request => self.service.answer(&incoming.payload).await,
            MessageKind::Members => self.service.reconfigure(&incoming.payload).await,
            _ => network::answer(&self.raft, &incoming).await,
        }
    }

    /// Returns when openraft has stopped, as it does by itself when its storage fails.
    async fn failed(&self) {
        let mut metrics = self.raft.metrics();
        while metrics.borrow_and_update().running_state.is_ok() {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    async fn ended(&self) {
        // openraft has stopped by itself; this waits for its tasks to end.
        let _ = self.raft.shutdown().await;
    }
}
