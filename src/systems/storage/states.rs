//! The states of a cluster's nodes: read from the disk when a process starts, kept in memory while it runs, and visible
//! from outside at any time.

use super::process::{Node, supervise};
use super::rows::{self, Database, OpenError, Sealed};
use crate::host::Host;
use crate::kv::{Key, Value};
use crate::systems::Process;
use crate::trace::HostId;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The state that a node keeps as rows.
pub trait State: Default + 'static {
    /// The name of a row.
    type Row: DeserializeOwned;

    /// Reads the state back.
    ///
    /// # Errors
    /// When a row is damaged.
    fn load(rows: &[(Self::Row, Sealed)]) -> Result<Self, OpenError>;

    /// The state as a key-value map.
    fn values(&self) -> BTreeMap<Key, Value>;
}

/// The state of a process, shared with those who look at it from outside.
pub type Shared<S> = Rc<RefCell<S>>;

/// The state of each node's latest process.
pub struct States<S> {
    latest: BTreeMap<HostId, Rc<RefCell<Shared<S>>>>,
}

impl<S: State> States<S> {
    /// The states of these nodes before any process has run.
    pub fn new(nodes: &[HostId]) -> States<S> {
        States { latest: nodes.iter().map(|node| (*node, Rc::default())).collect() }
    }

    /// A process that keeps rows of this format and runs the node that `node` makes of its database and state.
    pub fn process<N: Node>(
        &self,
        host: Host,
        format: &'static str,
        node: impl Fn(&Host, Database, Shared<S>) -> Rc<N> + 'static,
    ) -> Process {
        let latest = self.latest[&host.id()].clone();
        Box::pin(supervise(host, async move |host: &Host| -> Result<Rc<N>, OpenError> {
            let database = rows::open(host.disk(), format)?;
            let state = Rc::new(RefCell::new(S::load(&rows::load(&database)?)?));
            *latest.borrow_mut() = state.clone();
            Ok(node(host, database, state))
        }))
    }

    /// The key-value map of a node at this moment, whether its process runs or not.
    pub fn values(&self, node: HostId) -> BTreeMap<Key, Value> {
        let state = self.latest[&node].borrow().clone();
        state.borrow().values()
    }
}
