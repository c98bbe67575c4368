//! The systems under test, each built as its users would build it, against [`Host`] only.
//!
//! * [`raft`]: the replicated store on openraft.
//! * [`dual_primary`]: what a well-meaning team builds without consensus.
//! * [`primary_backup`]: one primary and its backups: asynchronous, synchronous, and with a lease.
//! * [`quorum`]: no primary, overlapping quorums.
//! * [`storage`]: what those share that keep their data on a disk.

pub mod dual_primary;
pub mod primary_backup;
pub mod quorum;
pub mod raft;
pub mod storage;

use crate::host::Host;
use crate::host::transport::CallError;
use crate::kv::protocol::{Reply, Request};
use crate::kv::{Command, Key, Value};
use crate::rng;
use crate::trace::{HostId, MessageKind};
use primary_backup::{Flaws, Policy, PrimaryBackupCluster};
use raft::{Defects, Medium};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

/// A process: runs until it is killed.
pub type Process = Pin<Box<dyn Future<Output = ()>>>;

/// A cluster under test. Holds what outlives processes: disks, and a view of each node's state.
pub trait Cluster {
    /// The process of one node; called again at each restart.
    fn process(&self, host: Host) -> Process;

    /// The key-value map of a node as it stands, whether its process runs or not.
    fn state(&self, node: HostId) -> BTreeMap<Key, Value>;

    /// One attempt of a client's operation; by default a [`Request`] over the host's transport.
    fn attempt<'a>(&'a self, attempt: Attempt<'a>) -> Answering<'a> {
        Box::pin(attempt.call())
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// The replicated store on openraft.
    Raft,
    /// The same, with disks that lose the vote at every restart: a planted defect.
    RaftAmnesia,
    /// openraft 0.9.25 as published, without the fence that closes a race in it (see [`raft::network`]).
    RaftUnfenced,
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
}

impl System {
    /// Every system.
    pub const ALL: [System; 10] = [
        System::Raft,
        System::RaftAmnesia,
        System::RaftUnfenced,
        System::RaftLocalReads,
        System::DualPrimary,
        System::RaftMemory,
        System::PrimaryBackupAsync,
        System::PrimaryBackupSync,
        System::Lease,
        System::Quorum,
    ];

    /// The names of all systems, as an error lists them.
    pub fn names() -> String {
        System::ALL.map(System::name).join(", ")
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            System::Raft => "raft",
            System::RaftAmnesia => "raft-amnesia",
            System::RaftUnfenced => "raft-unfenced",
            System::RaftLocalReads => "raft-local-reads",
            System::DualPrimary => "dual-primary",
            System::RaftMemory => "raft-memory",
            System::PrimaryBackupAsync => "primary-backup-async",
            System::PrimaryBackupSync => "primary-backup-sync",
            System::Lease => "lease",
            System::Quorum => "quorum",
        }
    }

    /// A fresh cluster of this system.
    pub fn cluster(self, deployment: &Deployment) -> Box<dyn Cluster> {
        let on =
            |medium, defects| -> Box<dyn Cluster> { Box::new(raft::RaftCluster::new(deployment, medium, defects)) };
        let raft = |defects| on(Medium::Disk, defects);
        let primary_backup =
            |policy| -> Box<dyn Cluster> { Box::new(PrimaryBackupCluster::new(deployment, policy, Flaws::default())) };
        match self {
            System::Raft => raft(Defects::default()),
            System::RaftAmnesia => raft(Defects { amnesia: true, ..Defects::default() }),
            System::RaftUnfenced => raft(Defects { unfenced: true, ..Defects::default() }),
            System::RaftLocalReads => raft(Defects { local_reads: true, ..Defects::default() }),
            System::RaftMemory => on(Medium::Memory, Defects::default()),
            System::PrimaryBackupAsync => primary_backup(Policy::Asynchronous),
            System::PrimaryBackupSync => primary_backup(Policy::Synchronous),
            System::Lease => primary_backup(Policy::Lease),
            System::Quorum => Box::new(quorum::QuorumCluster::new(deployment)),
            System::DualPrimary => Box::new(dual_primary::DualPrimaryCluster::new(deployment)),
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no system's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown system `{0}`; the systems are {names}", names = System::names())]
pub struct UnknownSystem(pub String);

impl FromStr for System {
    type Err = UnknownSystem;

    fn from_str(name: &str) -> Result<System, UnknownSystem> {
        System::ALL.into_iter().find(|system| system.name() == name).ok_or_else(|| UnknownSystem(name.to_owned()))
    }
}
