//! Clients of other people's stores: what they speak, over real TCP connections.
//!
//! A [`Store`] is one protocol. The clients of the testbed ([`crate::clients`]) follow their scripts and write the
//! history; a store sends one operation at a time, and says what it knows of the outcome.

mod etcd;
mod redis;

use super::namespace::Networks;
use super::subject::Protocol;
use crate::host::Host;
use crate::kv::{Op, Response};
use crate::systems::protocol::Reply;
use crate::systems::{Answering, Attempt, Attempted, Cluster, Process};
use crate::trace::{HostId, Role};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// A future of the thread on which all clients live.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// An operation to be sent.
pub struct Asking {
    /// The client, numbered across sites.
    pub by: u32,
    /// The host on which it lives.
    pub client: HostId,
    /// The node that it prefers.
    pub node: HostId,
    /// What it asks for.
    pub op: Op,
    /// Whether the operation may have reached a node: set before the first byte of it is written.
    pub is_sent: Cell<bool>,
}

/// An operation that took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// What it returned.
    pub outcome: Response,
    /// The node that answered.
    pub by: HostId,
    /// The term that the node named; 0 if it named none.
    pub term: u64,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The operation has not taken effect and will not.
    Refused,
    /// It may have.
    Unknown,
}

/// What a node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Its role.
    pub role: Role,
    /// The term or epoch in which it has it; 0 if it names none.
    pub term: u64,
    /// Whether it knows all the others, so that the run may begin.
    pub is_ready: bool,
}

/// A protocol between clients and the nodes of a store.
pub trait Store {
    /// Sends one operation and waits for the answer. The caller sets the deadline, by dropping the future.
    fn perform<'a>(&'a self, asking: &'a Asking) -> Local<'a, Result<Done, Trouble>>;

    /// Asks a node, from its own host, what it is.
    fn look<'a>(&'a self, node: HostId) -> Local<'a, io::Result<View>>;
}

/// The client of this protocol, for a cluster of so many nodes.
pub fn store(protocol: &Protocol, networks: Arc<Networks>, nodes: usize) -> Rc<dyn Store> {
    match *protocol {
        Protocol::Etcd { port, local_reads } => Rc::new(etcd::Etcd::new(networks, port, local_reads)),
        Protocol::Redis { port, sentinel } => Rc::new(redis::Redis::new(networks, port, sentinel, nodes)),
    }
}

/// A store whose nodes are other people's processes, as its clients see it.
pub struct Foreign(pub Rc<dyn Store>);

impl Cluster for Foreign {
    fn process(&self, _host: Host) -> Process {
        unreachable!("its nodes are processes of the operating system")
    }

    fn attempt<'a>(&'a self, attempt: Attempt<'a>) -> Answering<'a> {
        Box::pin(async move {
            let Attempt { client, node, command, by, timeout, .. } = attempt;
            let asking = Asking { by, client: client.id(), node, op: command.op, is_sent: Cell::new(false) };
            let reply = match tokio::time::timeout(timeout, self.0.perform(&asking)).await {
                Ok(Ok(Done { outcome, by, term })) => Reply::Ok { outcome, acknowledged_by: by, term },
                Ok(Err(Trouble::Unknown)) => Reply::Unknown,
                Ok(Err(Trouble::Refused)) => Reply::Refused { hint: None },
                Err(_) if asking.is_sent.get() => Reply::Unknown,
                Err(_) => Reply::Refused { hint: None },
            };
            Attempted::from(reply)
        })
    }

    /// A store that knows no command twice would execute it twice.
    fn may_repeat(&self, _operation: u32) -> bool {
        false
    }
}
