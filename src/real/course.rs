//! The course of a run by the wall clock: waits until the nodes are ready, lets clients and faults act, and ends.
//!
//! All of it is one thread. The router has another, since packets must not wait.

use super::clock::RunClock;
use super::error::RealError;
use super::namespace::Networks;
use super::nodes::{Ended, Node};
use super::router::Router;
use super::store::{Store, View};
use crate::clients::Clients;
use crate::fault::fold::{Edge, Phase, ProcessState, TargetRole};
use crate::host::Host;
use crate::host::fabric::Fabric;
use crate::host::processes::Panic;
use crate::sim::{Workload, World};
use crate::trace::{HostId, MOST_EVENTS, Role, Scope, What};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often processes and clients are looked after.
const STEP: Duration = Duration::from_millis(2);
/// How often each node is asked what it is, and how long it may take to answer.
const LOOK: Duration = Duration::from_millis(50);
const LOOK_TIMEOUT: Duration = Duration::from_millis(300);
/// How long the nodes may take until they are ready.
const START: Duration = Duration::from_secs(60);

/// Everything that takes part in a run.
pub struct Course<'a> {
    /// Hosts, links and faults.
    pub world: &'a World,
    /// What all hosts share.
    pub fabric: Arc<Fabric>,
    /// Each host's network.
    pub networks: Arc<Networks>,
    /// Moves the packets.
    pub router: Arc<Router>,
    /// The run's time.
    pub clock: Arc<RunClock>,
    /// The nodes' processes, `n1` first.
    pub nodes: RefCell<Vec<Node>>,
    /// What clients speak, if the nodes are other people's. Our own tell by themselves what they do.
    pub store: Option<Rc<dyn Store>>,
    /// What each node said last of itself.
    pub views: RefCell<BTreeMap<HostId, View>>,
}

impl Course<'_> {
    /// From the start of the processes to the end of the run; returns the panics of our own nodes.
    ///
    /// # Errors
    /// When a process cannot be started or ends by itself otherwise, or the nodes do not get ready.
    pub async fn run(self: Rc<Self>, clients: &Clients<'_>) -> Result<Vec<Panic>, RealError> {
        self.begin().await?;
        for node in self.world.topology.node_ids() {
            self.fabric.recorder().record(node, What::Start);
        }
        for (host, view) in self.views.borrow().iter() {
            self.record_role(*host, *view);
        }
        let store = self.store.iter();
        let watch = store.flat_map(|store| self.world.topology.node_ids().map(|node| self.look_after(&**store, node)));
        let hosts = self.world.topology.client_hosts().map(|(_, id)| Host::new(id, self.fabric.clone()));
        let clients_run = hosts.map(|host| host.spawn(clients.client_host(host.clone())));
        let tasks: Vec<_> = clients_run.collect();
        tokio::select! {
            ended = self.steps(clients, &tasks) => match ended {
                Err(RealError::Panicked(panic)) => Ok(vec![panic]),
                ended => ended.map(|()| Vec::new()),
            },
            () = all(watch) => unreachable!("nodes are watched for as long as the run lasts"),
        }
    }

    /// Starts the processes. Other people's nodes are ready then, and the run's time begins; that of our own has begun.
    ///
    /// # Errors
    /// When a process cannot be started or ends by itself, or the nodes do not get ready.
    pub async fn begin(&self) -> Result<(), RealError> {
        self.nodes.borrow_mut().iter_mut().for_each(Node::start);
        if let Some(store) = &self.store {
            self.until_ready(&**store).await?;
            self.clock.start();
        }
        Ok(())
    }

    /// The node that leads, once one does.
    ///
    /// # Errors
    /// When none does within a minute, or a process ends by itself.
    pub async fn leader(&self) -> Result<HostId, RealError> {
        let end = tokio::time::Instant::now() + START;
        while tokio::time::Instant::now() < end {
            self.tend()?;
            if let Some(leader) = self.primary().or_else(|| self.fabric.recorder().leader()) {
                return Ok(leader);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(RealError::NotReady { ready: 0, nodes: self.world.topology.nodes, leaders: 0 })
    }

    /// A node of a foreign store that says that it leads.
    fn primary(&self) -> Option<HostId> {
        self.views.borrow().iter().find(|(_, view)| view.role == Role::Primary).map(|(node, _)| *node)
    }

    /// Waits until each node knows all the others and exactly one leads.
    async fn until_ready(&self, store: &dyn Store) -> Result<(), RealError> {
        let end = tokio::time::Instant::now() + START;
        loop {
            self.tend()?;
            let mut views = BTreeMap::new();
            for node in self.world.topology.node_ids() {
                let looked = tokio::time::timeout(LOOK_TIMEOUT, store.look(node)).await;
                views.extend(looked.ok().and_then(Result::ok).map(|view| (node, view)));
            }
            let leaders = views.values().filter(|view| view.role == Role::Primary).count();
            let ready = views.values().filter(|view| view.is_ready).count();
            if ready == self.world.topology.nodes && leaders == 1 {
                *self.views.borrow_mut() = views;
                return Ok(());
            }
            if tokio::time::Instant::now() >= end {
                return Err(RealError::NotReady { ready, nodes: self.world.topology.nodes, leaders });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Step by step, until the clients are done or their patience ends.
    async fn steps(&self, clients: &Clients<'_>, tasks: &[tokio::task::JoinHandle<()>]) -> Result<(), RealError> {
        let mut edges = self.world.timeline().edges.into_iter().peekable();
        let quiet_ns = self.world.quiet_from_ns();
        let limit_ns = quiet_ns + clients.patience().as_nanos() as u64;
        loop {
            let now_ns = self.fabric.recorder().now_ns();
            while let Some(edge) = edges.next_if(|edge| edge.t_ns <= now_ns) {
                self.apply(&edge);
            }
            self.tend()?;
            if now_ns >= limit_ns || now_ns >= quiet_ns && clients.is_done(now_ns) {
                return Ok(());
            }
            // A client's task ends before that only by a panic, which was printed.
            if now_ns < quiet_ns && tasks.iter().any(tokio::task::JoinHandle::is_finished) {
                return Err(RealError::Harness("a client panicked".to_owned()));
            }
            if self.fabric.recorder().events() > MOST_EVENTS {
                return Err(RealError::Harness("the run has more events than are kept: make it shorter".to_owned()));
            }
            let until_edge = edges.peek().map_or(STEP, |edge| Duration::from_nanos(edge.t_ns.saturating_sub(now_ns)));
            tokio::time::sleep(until_edge.min(STEP)).await;
        }
    }

    /// Starts what is due, and looks whether everything still runs.
    ///
    /// # Errors
    /// When a process cannot be started, or has ended by itself.
    pub fn tend(&self) -> Result<(), RealError> {
        for (node, host) in self.nodes.borrow_mut().iter_mut().zip(self.world.topology.node_ids()) {
            match node.tend(&self.networks) {
                Err(Ended { why: _, panic: Some(said) }) => {
                    let t_ns = self.fabric.recorder().now_ns();
                    return Err(RealError::Panicked(Panic { host, t_ns, said }));
                }
                Err(Ended { why, panic: None }) => return Err(RealError::Node(why)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn apply(&self, edge: &Edge) {
        let (fabric, recorder) = (&self.fabric, self.fabric.recorder());
        let resolved = match edge.phase {
            Phase::Begin => fabric.with_active(|active| active.role(edge.fault)).and_then(|role| self.holder(role)),
            _ => None,
        };
        match edge.phase {
            Phase::Begin => recorder.record(HostId::WORLD, What::FaultBegin { fault: edge.fault, resolved }),
            Phase::End => recorder.record(HostId::WORLD, What::FaultEnd { fault: edge.fault }),
            Phase::FlapUp | Phase::FlapDown => {}
        }
        let states = || -> Vec<ProcessState> {
            let nodes = self.world.topology.node_ids();
            fabric.with_active(|active| nodes.map(|node| active.process(node)).collect())
        };
        let before = states();
        fabric.with_active(|active| active.apply(edge, resolved));
        self.router.changed();
        for (index, (old, new)) in before.into_iter().zip(states()).enumerate() {
            self.turn(index, old, new);
        }
    }

    /// The host that holds a role now. The follower is the lowest running node that is not the leader.
    fn holder(&self, role: TargetRole) -> Option<HostId> {
        let leader = self.fabric.recorder().leader();
        match role {
            TargetRole::Leader => leader,
            TargetRole::Follower => {
                self.world.topology.node_ids().find(|node| Some(*node) != leader && !self.fabric.is_down(*node))
            }
            // Of an aimed fault, which does not act here.
            TargetRole::There => None,
        }
    }

    /// Brings a node's processes from one state into another. Power does not go here; see [`super::powerless`].
    fn turn(&self, index: usize, old: ProcessState, new: ProcessState) {
        let host = HostId(index as u16 + 1);
        let node = &mut self.nodes.borrow_mut()[index];
        let is_dead = |state| state == ProcessState::Down;
        if old == new {
            return;
        }
        if old == ProcessState::Paused {
            node.resume();
            self.fabric.recorder().record(host, What::Resume);
        }
        match (is_dead(old), is_dead(new)) {
            (false, true) => {
                node.kill();
                self.views.borrow_mut().remove(&host);
                self.fabric.recorder().record(host, What::Crash);
            }
            (true, false) => {
                node.start();
                self.fabric.recorder().record(host, What::Start);
            }
            _ => {}
        }
        if new == ProcessState::Paused {
            node.pause();
            self.fabric.recorder().record(host, What::Pause);
        }
    }

    /// Asks a node again and again what it is, and records what is new.
    async fn look_after(&self, store: &dyn Store, node: HostId) {
        loop {
            tokio::time::sleep(LOOK).await;
            let looked = tokio::time::timeout(LOOK_TIMEOUT, store.look(node)).await;
            // A node that does not answer is what it was, as far as anybody knows.
            let Ok(Ok(view)) = looked else { continue };
            let is_running = self.fabric.with_active(|active| active.process(node)) == ProcessState::Running;
            let was = self.views.borrow().get(&node).copied();
            let is_new = was.is_none_or(|was| (was.role, was.term) != (view.role, view.term));
            if is_running && is_new {
                self.views.borrow_mut().insert(node, view);
                self.record_role(node, view);
            }
        }
    }

    fn record_role(&self, node: HostId, view: View) {
        let View { role, term, .. } = view;
        self.fabric.recorder().record(node, What::Role { role, scope: Scope::All, term });
    }
}

/// Runs all of these futures, for ever.
async fn all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn::<(), _>(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        std::task::Poll::Pending
    })
    .await;
}
