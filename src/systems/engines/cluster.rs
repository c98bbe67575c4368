//! The nodes of a cluster on one engine: their processes, and the state of each as it is seen from outside.

use super::node::{self, Node};
use crate::host::{Host, lock};
use crate::kv::{Key, Value};
use crate::systems::storage::durable::{Engine, Machine};
use crate::systems::storage::process;
use crate::systems::{Deployment, Process};
use crate::trace::HostId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The state machine of a node's latest process.
pub type Latest<E> = Rc<RefCell<Option<Arc<Mutex<Machine<E>>>>>>;

/// The nodes of a cluster, by what their latest processes know.
pub struct Nodes<E: Engine> {
    latest: BTreeMap<HostId, Latest<E>>,
}

impl<E: Engine + 'static> Nodes<E> {
    /// The nodes of a deployment, before any process has run.
    pub fn new(deployment: &Deployment) -> Nodes<E> {
        Nodes { latest: deployment.nodes().map(|node| (node, Latest::default())).collect() }
    }

    /// A process that drives what `start` makes of a host's disk, with a tick of this length; its calls wait until the
    /// deadline.
    pub fn process<D: node::Engine>(
        &self,
        host: Host,
        (tick, deadline): (Duration, Duration),
        start: impl Fn(&Host, &Latest<E>) -> Result<D, Box<dyn Error>> + 'static,
    ) -> Process {
        let latest = self.latest[&host.id()].clone();
        Box::pin(process::supervise(host, async move |host: &Host| -> Result<_, Box<dyn Error>> {
            Ok(Node::new(host, tick, deadline, start(host, &latest)?))
        }))
    }

    /// The key-value map of a node at this moment, whether its process runs or not.
    pub fn values(&self, node: HostId) -> BTreeMap<Key, Value> {
        let machine = self.latest[&node].borrow().clone();
        machine.map_or_else(BTreeMap::new, |machine| lock(&machine).store.values().clone())
    }
}
