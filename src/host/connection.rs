//! Connections that carry frames.
//!
//! Connecting costs a round trip. A host where no process serves refuses after that time. A cut swallows the attempt,
//! which then hangs until its time-out. (A hold keeps messages, not handshakes.) A process that dies closes its
//! connections, as its kernel would; the peer learns of it as soon as a frame from there could have arrived.
//! [`super::link`] says what a lost frame does to its connection.

use super::carrier::Body;
use super::connections::Ends;
use super::fabric::Fabric;
use super::link::Flow;
use crate::trace::HostId;
use std::io;
use std::sync::Arc;
use std::time::Duration;

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
        self.connections().opened(flow, Ends { caller, server, farewell });
        self.carrier().open(server, caller, flow);
        self.carrier().open(caller, server, flow);
        Ok(())
    }

    /// The caller closes a connection: what it has sent goes on, and replies to it are lost.
    pub(super) fn hang_up(&self, caller: HostId, server: HostId, flow: Flow) {
        self.connections().closed(flow);
        self.carrier().close(caller, server, flow);
        self.carrier().abandon(server, caller, flow);
    }

    /// A process has died: its kernel closes its connections.
    pub(super) fn close_connections(&self, host: HostId) {
        for (flow, Ends { caller, server, farewell }) in self.connections().died(host) {
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
