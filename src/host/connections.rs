//! Which connections of frames are open in a run, and which processes accept more.

use super::carrier::Body;
use super::link::Flow;
use super::lock;
use crate::trace::HostId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The open connections of a run, and who accepts more.
#[derive(Default)]
pub(super) struct Connections(Mutex<Table>);

#[derive(Default)]
struct Table {
    flows: u64,
    open: BTreeMap<Flow, Ends>,
    /// The processes that serve, by how many have served at their host.
    serving: BTreeMap<HostId, u64>,
    served: u64,
}

/// The two ends of a connection.
pub(super) struct Ends {
    /// Who opened it.
    pub caller: HostId,
    /// Who accepted it.
    pub server: HostId,
    /// What tells the caller that the server's process is gone.
    pub farewell: Arc<dyn Body>,
}

impl Connections {
    /// A process on `host` accepts connections from now on.
    pub(super) fn serve(&self, host: HostId) {
        let mut table = lock(&self.0);
        table.served += 1;
        let process = table.served;
        table.serving.insert(host, process);
    }

    /// A name for a connection that is to be opened.
    pub(super) fn next(&self) -> Flow {
        let mut table = lock(&self.0);
        table.flows += 1;
        Flow(table.flows)
    }

    /// The process that serves at a host, if any.
    pub(super) fn serving(&self, host: HostId) -> Option<u64> {
        lock(&self.0).serving.get(&host).copied()
    }

    /// A connection is open.
    pub(super) fn opened(&self, flow: Flow, ends: Ends) {
        lock(&self.0).open.insert(flow, ends);
    }

    /// Its caller has closed a connection.
    pub(super) fn closed(&self, flow: Flow) {
        lock(&self.0).open.remove(&flow);
    }

    /// A process has died: no process serves there any more, and these were its connections.
    pub(super) fn died(&self, host: HostId) -> Vec<(Flow, Ends)> {
        let mut table = lock(&self.0);
        table.serving.remove(&host);
        table.open.extract_if(.., |_, ends| ends.caller == host || ends.server == host).collect()
    }
}
