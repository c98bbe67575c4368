//! Connections that carry frames.
//!
//! Connecting costs a round trip. A host where no process serves refuses after that time. A cut swallows the attempt,
//! which then hangs until its time-out. (A hold keeps messages, not handshakes.) A process that dies closes its
//! connections, as its kernel would; the peer learns of it as soon as a frame from there could have arrived.
//! [`super::link`] says what a lost frame does to its connection.

use super::carrier::Body;
use super::fabric::Fabric;
use super::link::Flow;
use super::lock;
use crate::trace::HostId;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The open connections of a run, and the processes that accept more.
#[derive(Default)]
pub(super) struct Connections(Mutex<Table>);

#[derive(Default)]
struct Table {
    flows: u64,
    /// Caller and server of each, and the message that tells the caller that the server's process is gone.
    open: BTreeMap<Flow, Ends>,
    /// The processes that serve, by how many have served at their host.
    serving: BTreeMap<HostId, u64>,
    served: u64,
}

struct Ends {
    caller: HostId,
    server: HostId,
    farewell: Arc<dyn Body>,
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
    fn serving(&self, host: HostId) -> Option<u64> {
        lock(&self.0).serving.get(&host).copied()
    }
}

impl Fabric {
    /// Opens a connection of `caller` to `server` under the name `flow`; gives up after `timeout`. `farewell` arrives
    /// at the caller when the server's process is gone.
    ///
    /// # Errors
    /// `TimedOut` when nothing answers, `ConnectionRefused` when no process listens there.
    pub(super) async fn connect(
        &self,
        (caller, server): (HostId, HostId),
        flow: Flow,
        timeout: Duration,
        farewell: Arc<dyn Body>,
    ) -> io::Result<()> {
        let hang = |after: Duration| async move {
            tokio::time::sleep(timeout.saturating_sub(after)).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let (there, back) = (self.one_way(caller, server), self.one_way(server, caller));
        if self.is_cut(caller, server) || self.is_cut(server, caller) {
            return hang(Duration::ZERO).await;
        }
        tokio::time::sleep(there).await;
        if self.is_cut(caller, server) {
            return hang(there).await;
        }
        let process = self.connections().serving(server);
        tokio::time::sleep(back).await;
        if self.is_cut(server, caller) {
            return hang(there + back).await;
        }
        if process.is_none() || self.connections().serving(server) != process {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        lock(&self.connections().0).open.insert(flow, Ends { caller, server, farewell });
        self.carrier().open(server, caller, flow);
        self.carrier().open(caller, server, flow);
        Ok(())
    }

    /// The caller closes a connection: what it has sent goes on, and replies to it are lost.
    pub(super) fn hang_up(&self, caller: HostId, server: HostId, flow: Flow) {
        lock(&self.connections().0).open.remove(&flow);
        self.carrier().close(caller, server, flow);
        self.carrier().abandon(server, caller, flow);
    }

    /// A process has died: its kernel closes its connections.
    pub(super) fn close_connections(&self, host: HostId) {
        let closed: Vec<(Flow, Ends)> = {
            let mut table = lock(&self.connections().0);
            table.serving.remove(&host);
            table.open.extract_if(.., |_, ends| ends.caller == host || ends.server == host).collect()
        };
        for (flow, Ends { caller, server, farewell }) in closed {
            if server == host {
                self.carrier().hang_up(server, caller, flow, farewell);
                self.carrier().close(server, caller, flow);
                self.carrier().close(caller, server, flow);
            } else {
                self.carrier().close(caller, server, flow);
                self.carrier().abandon(server, caller, flow);
            }
        }
    }
}
