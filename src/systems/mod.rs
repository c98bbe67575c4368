//! The systems under test, each built as its users would build it, against [`Host`] only.
//!
//! * `raft` (feature `openraft`): the replicated store on openraft.
//! * `raft_0_10` (feature `openraft-0-10`): the same on the newest alpha of openraft 0.10.
//! * `engines` (feature `engines`): the same store on other people's engines.
//! * `list`: the systems, a line each.
//! * [`bugs`]: switchable bugs, each of which makes a system of its own.
//! * [`dual_primary`]: what a well-meaning team builds without consensus.
//! * `nodes` (feature `nodes`): processes of other people's programs, in whatever language.
//! * [`primary_backup`]: one primary and its backups: asynchronous, synchronous, and with a lease.
//! * [`quorum`]: no primary, overlapping quorums.
//! * [`protocol`]: what clients and nodes say to each other.
//! * `message`: the wire form of messages.
//! * `runtime`: time, tasks and randomness for engines that ask for a runtime.
//! * [`together`]: several bugs at once.
//! * [`storage`]: shared by the systems that keep their data on a disk.

pub mod bugs;
pub mod dual_primary;
#[cfg(feature = "engines")]
pub mod engines;
mod list;
mod message;
#[cfg(feature = "nodes")]
pub mod nodes;
pub mod primary_backup;
pub mod protocol;
pub mod quorum;
#[cfg(feature = "openraft")]
pub mod raft;
#[cfg(feature = "openraft-0-10")]
pub mod raft_0_10;
#[cfg(any(feature = "openraft", feature = "openraft-0-10"))]
mod runtime;
pub mod storage;
pub mod together;

use crate::host::Host;
use crate::host::transport::CallError;
use crate::kv::{Command, Key, Value};
use crate::rng;
use crate::trace::{AttemptId, HostId, HostSet, MessageKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use crate::host::task::Process;
pub use list::{NotBuilt, System, UnknownSystem};
use protocol::{Reply, Request};

/// A cluster under test. Holds what outlives processes: disks, and a view of each node's state.
pub trait Cluster {
    /// The process of one node; called again at each restart.
    fn process(&self, host: Host) -> Process;

    /// The key-value map of a node at this moment, whether its process runs or not; `None` if its state cannot be seen.
    fn state(&self, _node: HostId) -> Option<BTreeMap<Key, Value>> {
        None
    }

    /// One attempt of a client's operation; by default a [`Request`] over the host's transport.
    fn attempt<'a>(&'a self, attempt: Attempt<'a>) -> Answering<'a> {
        Box::pin(attempt.call())
    }

    /// Whether a client may send an operation (by its id in the history) again after an answer of [`Reply::Unknown`].
    /// True for systems that recognise a command by its tag and never execute it twice, as all of ours do.
    fn may_repeat(&self, _operation: u32) -> bool {
        true
    }

    /// Called before each step of the simulator: a cluster whose processes go by the machine's clock waits here for it.
    fn pace(&self) {}

    /// Why the run cannot go on, if something of this machine stands in the way, which no seed decides.
    fn broken(&self) -> Option<String> {
        None
    }

    /// After the run: how a node answered otherwise when it was asked the same again; `None` if it did not.
    fn differs(&self) -> Option<String> {
        None
    }

    /// How long replicas may take to agree once clients and faults are done, before every key is read through every
    /// node. Systems that agree before they acknowledge need no time.
    fn settling(&self) -> Duration {
        Duration::ZERO
    }

    /// One attempt of an administrator to change the set of voters; `None`: this system's members are fixed.
    fn reconfigure<'a>(&'a self, _request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        None
    }
}

/// One attempt of an administrator to change the set of voters.
#[derive(Debug, Clone, Copy)]
pub struct Reconfiguration<'a> {
    /// The host on which the administrator works.
    pub client: &'a Host,
    /// The node that it asks.
    pub node: HostId,
    /// The nodes that are to vote.
    pub voters: HostSet,
    /// How long it waits.
    pub timeout: Duration,
}

/// The future of a reconfiguration.
pub type Reconfiguring<'a> = Pin<Box<dyn Future<Output = Reconfigured> + 'a>>;

/// How an administrator's attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reconfigured {
    /// The requested nodes vote, and no others.
    Done,
    /// This node cannot do it.
    Refused {
        /// The node to ask instead, if known.
        hint: Option<HostId>,
    },
    /// It may have been done, in whole or in part.
    Unknown,
}

/// One attempt of a client's operation.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The host on which the client lives.
    pub client: &'a Host,
    /// The node that it asks.
    pub node: HostId,
    /// What it asks for; the same in every attempt.
    pub command: Command,
    /// The client, numbered across sites.
    pub by: u32,
    /// The operation's id in the history.
    pub operation: u32,
    /// The count of this operation's attempts before this one.
    pub number: u32,
    /// How long the client waits.
    pub timeout: Duration,
}

/// The future of an attempt.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Attempted> + 'a>>;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// What the client learned.
    pub reply: Reply,
    /// Hash of what was returned, for the trace.
    pub hash: u64,
}

impl From<Reply> for Attempted {
    fn from(reply: Reply) -> Attempted {
        let hash = match &reply {
            Reply::Ok { outcome, .. } => {
                rng::hash_bytes(0, &postcard::to_stdvec(outcome).expect("an outcome always encodes"))
            }
            Reply::Refused { .. } | Reply::Failed | Reply::Unknown => 0,
        };
        Attempted { reply, hash }
    }
}

impl Attempt<'_> {
    /// Sends the command in a frame of the store's own protocol and waits for the answer.
    async fn call(self) -> Attempted {
        let payload = postcard::to_stdvec(&Request { command: self.command }).expect("a request always encodes");
        let place = Some(AttemptId { operation: self.operation, attempt: self.number }.number());
        let transport = self.client.transport();
        let reply = match transport.call(self.node, MessageKind::Request, payload, self.timeout, place).await {
            Ok(bytes) => postcard::from_bytes(&bytes).unwrap_or(Reply::Unknown),
            Err(CallError::NotSent) => Reply::Refused { hint: None },
            Err(CallError::Deadline | CallError::Broken) => Reply::Unknown,
        };
        reply.into()
    }
}

/// What a system is given to know about its deployment.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Every site with its nodes, in order.
    pub sites: Vec<SiteNodes>,
    /// Interval of heartbeats.
    pub heartbeat: Duration,
    /// Shortest and longest election time-out.
    pub election: (Duration, Duration),
    /// Silence after which a dual-primary node takes over another site's keys, and a backup its primary's place. Also
    /// the length of a lease.
    pub takeover_after: Duration,
    /// After how many entries a node takes a snapshot; `None`: the system's own choice.
    pub snapshot_entries: Option<u64>,
    /// How many entries below a snapshot a node keeps; `None`: the system's own choice.
    pub kept_entries: Option<u64>,
    /// How many bytes a node of a program may have saved at once; `None`: any number.
    pub disk_bytes: Option<u64>,
}

/// The nodes of a site.
#[derive(Debug, Clone)]
pub struct SiteNodes {
    /// The site's name.
    pub name: String,
    /// Its nodes, ascending.
    pub nodes: Vec<HostId>,
    /// A witness votes but is no key's home.
    pub witness: bool,
}

impl Deployment {
    /// All nodes, ascending.
    pub fn nodes(&self) -> impl Iterator<Item = HostId> + '_ {
        self.sites.iter().flat_map(|site| site.nodes.iter().copied())
    }
}
