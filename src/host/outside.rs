//! What stands in for the simulated network and disks where a host is a process of the operating system.

use super::call::{CallError, Handler};
use crate::trace::{HostId, MessageKind};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A call from host to host.
#[derive(Debug)]
pub struct Call {
    /// The caller.
    pub from: HostId,
    /// The host that is called.
    pub to: HostId,
    /// What it asks for.
    pub kind: MessageKind,
    /// The request's payload.
    pub payload: Vec<u8>,
    /// How long the caller waits.
    pub deadline: Duration,
}

/// Calls between hosts over real connections.
pub trait Wire: Send + Sync {
    /// Calls a host and waits for its reply.
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, CallError>> + Send + '_>>;

    /// Answers the calls to a host until its process ends.
    fn serve(&self, host: HostId, handler: Handler) -> Pin<Box<dyn Future<Output = io::Result<()>> + '_>>;
}

/// What the hosts of this process have in place of simulated parts.
pub struct Outside {
    /// Their network.
    pub wire: Arc<dyn Wire>,
    /// The file in which the one node of this process keeps its data; none in the process of clients.
    pub disk: Option<PathBuf>,
}
