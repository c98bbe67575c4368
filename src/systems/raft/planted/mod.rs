//! The replicated store with some of the [bugs](crate::systems::bugs); one module for each layer.
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
use crate::systems::together::Bugs;
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

/// A Raft cluster whose nodes have bugs.
pub struct BuggedCluster {
    cluster: RaftCluster,
    bugs: Bugs,
}

impl BuggedCluster {
    /// A fresh cluster with all nodes of `deployment` as voters, all with these bugs.
    ///
    /// # Panics
    /// As [`RaftCluster::new`].
    pub fn new(deployment: &Deployment, bugs: Bugs) -> BuggedCluster {
        BuggedCluster { cluster: RaftCluster::new(deployment, Design::default()), bugs }
    }
}

impl Cluster for BuggedCluster {
    fn process(&self, host: Host) -> Process {
        let (setup, remains, bugs) = (self.cluster.setup.clone(), self.cluster.nodes[&host.id()].clone(), self.bugs);
        Box::pin(process::supervise(host, async move |host: &Host| start(&setup, host, &remains, bugs).await))
    }

    fn state(&self, node: HostId) -> Option<BTreeMap<Key, Value>> {
        self.cluster.state(node)
    }

    fn reconfigure<'a>(&'a self, request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        self.cluster.reconfigure(request)
    }
}

/// A node that runs with bugs.
struct BuggedNode {
    node: Rc<Node>,
    service: BuggedService,
    bugs: Bugs,
}

/// [`node::start`](super::node::start) with bugs.
async fn start(setup: &Setup, host: &Host, remains: &Remains, bugs: Bugs) -> Result<Rc<BuggedNode>, Box<dyn Error>> {
    let database = log::open(host, bugs)?;
    let (mut disk, machine) = tables::load(&database)?;
    if bugs.has(Bug::RaftAmnesia) {
        disk.vote = None;
    }
    let disk = Arc::new(Mutex::new(disk));
    let journal = Journal::new(host.clone(), database, log::commit(bugs));
    let log = BuggedLog::new(
        LogStore::new(disk.clone(), Some(journal.clone())),
        host.clone(),
        disk.clone(),
        journal.clone(),
        bugs,
    );
    let machine = machine::found(machine, setup, bugs);
    let machine = StateMachine::new(machine, disk.clone(), Some(journal.clone()));
    let store = machine.machine();
    *lock(&remains.machine) = Some(store.clone());
    let machine = BuggedMachine::new(machine, host.clone(), (disk.clone(), journal), setup, bugs);
    let network = super::network::Network::new(host.clone());
    let appended = AppendedCommands::default();
    let (in_line, fence) = (InLine::new(host.clone()), disk.clone());
    let raft = match (bugs.has(Bug::ReplyToWrongRequest), bugs.has(Bug::RaftUnfenced)) {
        (false, false) => join(setup, host, Fenced::new(network, fence), log, machine, appended.clone()).await?,
        (false, true) => join(setup, host, network, log, machine, appended.clone()).await?,
        (true, false) => join(setup, host, Fenced::new(in_line, fence), log, machine, appended.clone()).await?,
        (true, true) => join(setup, host, in_line, log, machine, appended.clone()).await?,
    };
    // The bug: a service that does not know which commands were appended takes each `ForwardToLeader` for a definite
    // refusal.
    let known = if bugs.has(Bug::RefusedAfterAppend) { AppendedCommands::default() } else { appended.clone() };
    let service = Service::new(host.clone(), raft.clone(), store.clone(), known, setup.reads);
    let held = (disk, store);
    let bugged = BuggedService::new(service.clone(), host.clone(), raft.clone(), held, appended, setup, bugs);
    Ok(Rc::new(BuggedNode { node: Rc::new(Node::new(raft, service, setup)), service: bugged, bugs }))
}

impl process::Node for BuggedNode {
    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        match incoming.kind {
            MessageKind::Request => self.service.answer(&incoming.payload).await,
            _ => self.node.clone().answer(network::received(incoming, self.bugs)?).await,
        }
    }

    async fn failed(&self) {
        self.node.failed().await;
    }

    async fn ended(&self) {
        self.node.ended().await;
    }
}
