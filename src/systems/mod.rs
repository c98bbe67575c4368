//! The systems under test, each built as its users would build it, against [`Host`] only.
//!
//! * `raft` (feature `openraft`): the replicated store on openraft.
//! * [`bugs`]: switchable bugs, each of which makes a system of its own.
//! * [`dual_primary`]: what a well-meaning team builds without consensus.
//! * [`primary_backup`]: one primary and its backups: asynchronous, synchronous, and with a lease.
//! * [`quorum`]: no primary, overlapping quorums.
//! * `message`: the wire form of messages.
//! * [`storage`]: what those share that keep their data on a disk.

pub mod bugs;
pub mod dual_primary;
mod message;
pub mod primary_backup;
pub mod quorum;
#[cfg(feature = "openraft")]
pub mod raft;
pub mod storage;

use crate::host::Host;
use crate::host::transport::CallError;
use crate::kv::protocol::{Reply, Request};
use crate::kv::{Command, Key, Value};
use crate::rng;
use crate::trace::{HostId, HostSet, MessageKind};
use bugs::Bug;
use primary_backup::{Policy, PrimaryBackupCluster};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

pub use crate::host::task::Process;

/// A cluster under test. Holds what outlives processes: disks, and a view of each node's state.
pub trait Cluster {
    /// The process of one node; called again at each restart.
    fn process(&self, host: Host) -> Process;

    /// The key-value map of a node as it stands, whether its process runs or not; `None`: nobody can see into it.
    fn state(&self, _node: HostId) -> Option<BTreeMap<Key, Value>> {
        None
    }

    /// One attempt of a client's operation; by default a [`Request`] over the host's transport.
    fn attempt<'a>(&'a self, attempt: Attempt<'a>) -> Answering<'a> {
        Box::pin(attempt.call())
    }

    /// Whether a client may send an operation (by its id in the history) again after an answer of [`Reply::Unknown`].
    /// True of systems that know a command by its tag, as all of ours do: what it did once it does not do again.
    fn may_repeat(&self, _operation: u32) -> bool {
        true
    }

    /// One try of an administrator to make other nodes vote; `None`: this system's members are fixed.
    fn reconfigure<'a>(&'a self, _request: Reconfiguration<'a>) -> Option<Reconfiguring<'a>> {
        None
    }
}

/// One try of an administrator to make other nodes vote.
#[derive(Debug, Clone, Copy)]
pub struct Reconfiguration<'a> {
    /// The host on which the administrator works.
    pub client: &'a Host,
    /// The node that it turns to.
    pub node: HostId,
    /// Those who shall vote.
    pub voters: HostSet,
    /// How long it waits.
    pub timeout: Duration,
}

/// The future of a reconfiguration.
pub type Reconfiguring<'a> = Pin<Box<dyn Future<Output = Reconfigured> + 'a>>;

/// How an administrator's try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reconfigured {
    /// Those who shall vote do, and nobody else.
    Done,
    /// This node cannot do it.
    Refused {
        /// The node to ask instead, if known.
        hint: Option<HostId>,
    },
    /// It may have been done, or a part of it.
    Unknown,
}

/// One attempt of a client's operation.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The host on which the client lives.
    pub client: &'a Host,
    /// The node that it turns to.
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
pub type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What the client learned.
    pub reply: Reply,
    /// Hash of what was returned, for the trace.
    pub hash: u64,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        let hash = match &reply {
            Reply::Ok { outcome, .. } => {
                rng::hash_bytes(0, &postcard::to_stdvec(outcome).expect("an outcome always encodes"))
            }
            Reply::Refused { .. } | Reply::Unknown => 0,
        };
        Answer { reply, hash }
    }
}

impl Attempt<'_> {
    /// Sends the command in a frame of the store's own protocol and waits for the answer.
    async fn call(self) -> Answer {
        let payload = postcard::to_stdvec(&Request { command: self.command }).expect("a request always encodes");
        let place = Some(u64::from(self.operation) << 32 | u64::from(self.number));
        let transport = self.client.transport();
        let reply = match transport.call(self.node, MessageKind::Request, payload, self.timeout, place).await {
            Ok(bytes) => postcard::from_bytes(&bytes).unwrap_or(Reply::Unknown),
            Err(CallError::NotSent) => Reply::Refused { hint: None },
            Err(CallError::Deadline | CallError::Broken) => Reply::Unknown,
        };
        reply.into()
    }
}

/// What a system is told about its deployment.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Every site with its nodes, in order.
    pub sites: Vec<SiteNodes>,
    /// Interval of heartbeats.
    pub heartbeat: Duration,
    /// Shortest and longest election time-out.
    pub election: (Duration, Duration),
    /// Silence after which dual-primary takes over another site's keys, and a backup its primary's place; a lease's length.
    pub takeover_after: Duration,
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

/// The systems, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// The replicated store on openraft.
    Raft,
    /// The same, with any node answering reads from its own state: a shortcut that costs the truth.
    RaftLocalReads,
    /// Two primaries that take each other's place.
    DualPrimary,
    /// The replicated store on openraft, kept in memory that outlives the process: what real storage costs shows
    /// beside it.
    RaftMemory,
    /// A primary that acknowledges at once and ships afterwards; the next node takes over from a silent one.
    PrimaryBackupAsync,
    /// A primary that acknowledges what every backup has; nobody takes over.
    PrimaryBackupSync,
    /// A primary that holds a lease of a majority: right as long as all clocks run at one rate.
    Lease,
    /// No primary: any node reads and writes overlapping quorums.
    Quorum,
    /// A system with a bug.
    Bugged(Bug),
}

impl System {
    /// Every system that is meant as it is.
    pub const SOUND: [System; 8] = [
        System::Raft,
        System::RaftLocalReads,
        System::DualPrimary,
        System::RaftMemory,
        System::PrimaryBackupAsync,
        System::PrimaryBackupSync,
        System::Lease,
        System::Quorum,
    ];

    /// Every system, those with a bug last.
    pub fn all() -> impl Iterator<Item = System> {
        System::SOUND.into_iter().chain(Bug::ALL.iter().copied().map(System::Bugged))
    }

    /// The names of all systems.
    pub fn names() -> Vec<&'static str> {
        System::all().map(System::name).collect()
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            System::Raft => "raft",
            System::RaftLocalReads => "raft-local-reads",
            System::DualPrimary => "dual-primary",
            System::RaftMemory => "raft-memory",
            System::PrimaryBackupAsync => "primary-backup-async",
            System::PrimaryBackupSync => "primary-backup-sync",
            System::Lease => "lease",
            System::Quorum => "quorum",
            System::Bugged(bug) => bug.name(),
        }
    }

    /// A fresh cluster of this system.
    ///
    /// # Errors
    /// When this build has no such system.
    pub fn cluster(self, deployment: &Deployment) -> Result<Box<dyn Cluster>, NotBuilt> {
        let primary_backup = |policy| -> Box<dyn Cluster> { Box::new(PrimaryBackupCluster::new(deployment, policy)) };
        let planted =
            |policy, bug| -> Box<dyn Cluster> { Box::new(primary_backup::planted::cluster(deployment, policy, bug)) };
        Ok(match self {
            System::Raft | System::RaftLocalReads | System::RaftMemory => self.raft(deployment)?,
            System::PrimaryBackupAsync => primary_backup(Policy::Asynchronous),
            System::PrimaryBackupSync => primary_backup(Policy::Synchronous),
            System::Lease => primary_backup(Policy::Lease),
            System::Quorum => Box::new(quorum::QuorumCluster::new(deployment)),
            System::DualPrimary => Box::new(dual_primary::DualPrimaryCluster::new(deployment)),
            System::Bugged(bug) => match bug.species().system {
                System::PrimaryBackupSync => planted(Policy::Synchronous, bug),
                System::Lease => planted(Policy::Lease, bug),
                _ => self.raft(deployment)?,
            },
        })
    }

    /// A fresh cluster of one of the systems on openraft.
    #[cfg(feature = "openraft")]
    fn raft(self, deployment: &Deployment) -> Result<Box<dyn Cluster>, NotBuilt> {
        use raft::planted::BuggedCluster;
        use raft::{Design, RaftCluster, node::Medium, service::Reads};
        let design = match self {
            System::Bugged(bug) => return Ok(Box::new(BuggedCluster::new(deployment, bug))),
            System::RaftLocalReads => Design { reads: Reads::Local, ..Design::default() },
            System::RaftMemory => Design { medium: Medium::Memory, ..Design::default() },
            _ => Design::default(),
        };
        Ok(Box::new(RaftCluster::new(deployment, design)))
    }

    #[cfg(not(feature = "openraft"))]
    fn raft(self, _: &Deployment) -> Result<Box<dyn Cluster>, NotBuilt> {
        Err(NotBuilt(self))
    }
}

/// A system that this build leaves out: its name is known, so that files which name it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this build has no openraft, on which `{0}` runs: enable the feature `openraft` of the crate `schism`")]
pub struct NotBuilt(pub System);

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for System {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for System {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<System, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

/// A name that is no system's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown system `{0}`; the systems are {names}", names = System::names().join(", "))]
pub struct UnknownSystem(pub String);

impl FromStr for System {
    type Err = UnknownSystem;

    fn from_str(name: &str) -> Result<System, UnknownSystem> {
        System::all().find(|system| system.name() == name).ok_or_else(|| UnknownSystem(name.to_owned()))
    }
}
