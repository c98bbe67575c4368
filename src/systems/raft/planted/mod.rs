//! The replicated store with one of the [bugs](crate::systems::bugs); one module for each layer.
//!
//! Every bug is wrapped around a part of the sound store, or takes the place of one. The sound parts know nothing of
//! bugs.
//!
//! * [`log`]: what reaches the disk, and when. [`machine`]: the state machine and its snapshots.
//! * [`network`]: messages and votes. [`service`]: answers to clients.

pub mod log;
pub mod machine;
pub mod network;
pub mod service;

use super::fence::Fenced;
use super::log_store::LogStore;
use super::node::{Node, Remains, Setup, join};
use super::service::Service;
use super::sessions::AppendedCommands;
use super::state_machine::StateMachine;
use super::{Design, RaftCluster};
use crate::host::transport::Incoming;
use crate::host::{Host, lock};
use crate::kv::{Key, Value};
use crate::systems::bugs::Bug;
use crate::systems::storage::journal::Journal;
use crate::systems::storage::{process, tables};
use crate::systems::{Cluster, Deployment, Process, Reconfiguration, Reconfiguring};
use crate::trace::{HostId, MessageKind};
use log::BuggedLog;
use machine::BuggedMachine;
use network::InLine;
use service::BuggedService;
use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// A Raft cluster whose nodes have a bug.
pub struct BuggedCluster {
    cluster: RaftCluster,
    bug: Bug,
}

impl BuggedCluster {
    /// A fresh cluster with all nodes of `deployment` as voters, all with this bug.
    ///
    /// # Panics
    /// As [`RaftCluster::new`].
    pub fn new(deployment: &Deployment, bug: Bug) -> BuggedCluster {
        BuggedCluster { cluster: RaftCluster::new(deployment, Design::default()), bug }
    }
}

impl Cluster for BuggedCluster {
    fn process(&self, host: Host) -> Process {
        let (setup, remains, bug) = (self.cluster.setup.clone(), self.cluster.nodes[&host.id()].clone(), self.bug);
        Box::pin(process::supervise(host, async move |host: &Host| start(&setup, host, &remains, bug).await))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        self.cluster.state(node)
    }

    fn reconfigure<'a>(&'a self, request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        self.cluster.reconfigure(request)
    }
}

/// A node that runs with a bug.
struct BuggedNode {
    node: Rc<Node>,
    service: BuggedService,
    bug: Bug,
}

/// [`node::start`](super::node::start) with a bug.
async fn start(setup: &Setup, host: &Host, remains: &Remains, bug: Bug) -> Result<Rc<BuggedNode>, Box<dyn Error>> {
    let database = log::open(host, bug)?;
    let (mut disk, machine) = tables::load(&database)?;
    if bug == Bug::RaftAmnesia {
        disk.vote = None;
    }
    let disk = Arc::new(Mutex::new(disk));
    let journal = Journal::new(host.clone(), database, log::commit(bug));
    let log = BuggedLog::new(
        LogStore::new(disk.clone(), Some(journal.clone())),
        host.clone(),
        disk.clone(),
        journal.clone(),
        bug,
    );
    let machine = machine::found(machine, setup, bug);
    let machine = StateMachine::new(machine, disk.clone(), Some(journal.clone()));
    let store = machine.machine();
    *lock(&remains.machine) = Some(store.clone());
    let machine = BuggedMachine::new(machine, host.clone(), journal, setup, bug);
    let network = super::network::Network::new(host.clone());
    let appended = AppendedCommands::default();
    let raft = match bug {
        Bug::RaftUnfenced => join(setup, host, network, log, machine, appended.clone()).await?,
        Bug::ReplyToWrongRequest => {
            let network = Fenced::new(InLine::new(host.clone()), disk);
            join(setup, host, network, log, machine, appended.clone()).await?
        }
        _ => join(setup, host, Fenced::new(network, disk), log, machine, appended.clone()).await?,
    };
    // The bug: a service that does not know which commands were appended takes each `ForwardToLeader` for a definite
    // refusal.
    let known = if bug == Bug::RefusedAfterAppend { AppendedCommands::default() } else { appended.clone() };
    let service = Service::new(host.clone(), raft.clone(), store.clone(), known, setup.reads);
    let bugged = BuggedService::new(service.clone(), host.clone(), raft.clone(), store, appended, setup, bug);
    Ok(Rc::new(BuggedNode { node: Rc::new(Node::new(raft, service)), service: bugged, bug }))
}

impl process::Node for BuggedNode {
    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        match incoming.kind {
            MessageKind::Request => self.service.answer(&incoming.payload).await,
            _ => self.node.clone().answer(network::received(incoming, self.bug)?).await,
        }
    }

    async fn failed(&self) {
        self.node.failed().await;
    }

    async fn ended(&self) {
        self.node.ended().await;
    }
}
