//! One node: how it starts from its disk, and which requests it answers.

use super::durable::{Change, Disk, Machine};
use super::fence::Fenced;
use super::log_store::LogStore;
use super::network::Network;
use super::observe::{ObservedLog, ObservedMachine};
use super::service::{Reads, Service};
use super::sessions::AppendedCommands;
use super::state_machine::{StateMachine, restore};
use super::types::{NodeId, Raft, Types, node_id};
use super::{members, network};
use crate::host::transport::Incoming;
use crate::host::{Host, lock};
use crate::systems::storage::journal::Journal;
use crate::systems::storage::{process, tables};
use crate::trace::MessageKind;
use openraft::network::RaftNetworkFactory;
use openraft::storage::{RaftLogStorage, RaftStateMachine};
use openraft::{Config, EmptyNode};
use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// Where nodes keep their state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Medium {
    /// A redb database on the host's disk. A write is durable before it is acknowledged.
    #[default]
    Disk,
    /// Memory that outlives the process. Beside `Disk` it shows what storage costs.
    Memory,
}

/// The settings that all nodes of a cluster share.
pub struct Setup {
    /// openraft's configuration.
    pub config: Arc<Config>,
    /// The nodes that found the cluster, all voters.
    pub members: BTreeMap<NodeId, EmptyNode>,
    /// Where nodes keep their state.
    pub medium: Medium,
    /// What a node does before it answers a read.
    pub reads: Reads,
    /// Whether a leader refuses to propose a change of members that removes it.
    pub leader_stays: bool,
}

/// The state that outlives a node's processes.
#[derive(Default, Clone)]
pub struct Remains {
    /// The node's state with [`Medium::Memory`].
    pub memory: Arc<Mutex<Disk>>,
    /// The state machine of the latest process, for reading a node's state from outside.
    pub machine: Arc<Mutex<Option<Arc<Mutex<Machine>>>>>,
}

/// A running node.
pub struct Node {
    raft: Raft,
    service: Service,
    leader_stays: bool,
}

/// Starts a node from the state on its disk.
///
/// # Errors
/// When the storage cannot be opened or read, or Raft cannot start on it.
pub async fn start(setup: &Setup, host: &Host, remains: &Remains) -> Result<Rc<Node>, Box<dyn Error>> {
    let (disk, machine, journal) = match setup.medium {
        Medium::Memory => (remains.memory.clone(), restore(&remains.memory)?, None),
        Medium::Disk => {
            let database = tables::open::<Types>(host.disk())?;
            let (disk, machine) = tables::load(&database)?;
            let journal: Journal<Change> = Journal::new(host.clone(), database, tables::commit);
            (Arc::new(Mutex::new(disk)), machine, Some(journal))
        }
    };
    let log = LogStore::new(disk.clone(), journal.clone());
    let machine = StateMachine::new(machine, disk.clone(), journal);
    let store = machine.machine();
    *lock(&remains.machine) = Some(store.clone());
    let network = Fenced::new(Network::new(host.clone()), disk);
    let appended = AppendedCommands::default();
    let raft = join(setup, host, network, log, machine, appended.clone()).await?;
    let service = Service::new(host.clone(), raft.clone(), store, appended, setup.reads);
    Ok(Rc::new(Node::new(raft, service, setup)))
}

/// Starts Raft on a network and a storage whose calls are recorded. The first node also founds the cluster.
///
/// # Errors
/// When Raft does not start.
pub async fn join(
    setup: &Setup,
    host: &Host,
    network: impl RaftNetworkFactory<Types>,
    log: impl RaftLogStorage<Types>,
    machine: impl RaftStateMachine<Types>,
    appended: AppendedCommands,
) -> Result<Raft, Box<dyn Error>> {
    let id = node_id(host.id());
    let log = ObservedLog::new(log, host.clone(), appended.clone());
    let machine = ObservedMachine::new(machine, host.clone(), appended);
    let raft = Raft::new(id, setup.config.clone(), network, log, machine).await?;
    // One node founds the cluster. The others learn of it when they receive its log.
    if setup.members.keys().next() == Some(&id) && !raft.is_initialized().await? {
        raft.initialize(setup.members.clone()).await?;
    }
    Ok(raft)
}

impl Node {
    /// A node made of these parts.
    pub fn new(raft: Raft, service: Service, setup: &Setup) -> Node {
        Node { raft, service, leader_stays: setup.leader_stays }
    }
}

impl process::Node for Node {
    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        match incoming.kind {
            MessageKind::Request => self.service.answer(&incoming.payload).await,
            MessageKind::Members => members::answer(&self.raft, &incoming.payload, self.leader_stays).await,
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
