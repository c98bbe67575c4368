//! The systems, a line each. A new one is a module with a [`Cluster`] and a line here.

use super::bugs::{Base, Bug, Ground, Transplant};
use super::dual_primary::DualPrimaryCluster;
#[cfg(feature = "nodes")]
use super::nodes::{NoProgram, NodesCluster, Pace, Program};
use super::primary_backup::{self, Policy, PrimaryBackupCluster};
use super::quorum::QuorumCluster;
use super::together::Bugs;
use super::{Cluster, Deployment};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A fresh cluster, or the reason why this build has none.
type Made = Result<Box<dyn Cluster>, NotBuilt>;

/// Each line: the variant with its documentation, the name in files and commands, and what makes a cluster of it.
macro_rules! systems {
    ($($(#[$what:meta])* $system:ident = $name:literal, $make:expr;)*) => {
        /// The systems under test.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum System {
            $($(#[$what])* $system,)*
            /// A system with a planted bug, or with several.
            Bugged(Bugs),
            /// The store on another engine with a bug that is planted in the one on openraft 0.9, too.
            Transplanted(Transplant),
            /// Processes of a program in whatever language.
            #[cfg(feature = "nodes")]
            Nodes(&'static Program),
        }

        impl System {
            /// Every system without a planted bug.
            pub const SOUND: &'static [System] = &[$(System::$system),*];

            /// The name on the command line and in files.
            pub fn name(self) -> &'static str {
                match self {
                    $(System::$system => $name,)*
                    System::Bugged(bugs) => bugs.name(),
                    System::Transplanted(transplant) => transplant.name,
                    #[cfg(feature = "nodes")]
                    System::Nodes(program) => program.name(),
                }
            }

            /// A fresh cluster of this system.
            ///
            /// # Errors
            /// When this build has no such system.
            pub fn cluster(self, deployment: &Deployment) -> Made {
                let make: fn(System, &Deployment) -> Made = match self {
                    $(System::$system => $make,)*
                    System::Bugged(_) => bugged,
                    System::Transplanted(transplant) => match transplant.ground {
                        Ground::RaftRs => on_raft_rs,
                        Ground::Raft010 => on_openraft_0_10,
                    },
                    #[cfg(feature = "nodes")]
                    System::Nodes(_) => of_programs,
                };
                make(self, deployment)
            }
        }
    };
}

systems! {
    /// The replicated store on openraft.
    Raft = "raft", on_openraft;
    /// The same, but every node answers reads from its own state, which may be stale.
    RaftLocalReads = "raft-local-reads", on_openraft;
    /// Two primaries that take each other's place.
    DualPrimary = "dual-primary", |_, deployment| Ok(Box::new(DualPrimaryCluster::new(deployment)));
    /// The replicated store on openraft, kept in memory that outlives the process: the difference to `raft` is the cost of
    /// disks.
    RaftMemory = "raft-memory", on_openraft;
    /// The replicated store on openraft, whose leader refuses a change of members that removes it: openraft 0.9 cannot elect
    /// it again before that change is committed.
    RaftLeaderStays = "raft-leader-stays", on_openraft;
    /// A primary that acknowledges at once and ships afterwards; the next node takes over from a silent one.
    PrimaryBackupAsync = "primary-backup-async", |_, deployment| primary_backup(deployment, Policy::Asynchronous);
    /// A primary that acknowledges what every backup has; no node takes over.
    PrimaryBackupSync = "primary-backup-sync", |_, deployment| primary_backup(deployment, Policy::Synchronous);
    /// A primary that holds a lease of a majority: safe as long as all clocks run at one rate.
    Lease = "lease", |_, deployment| primary_backup(deployment, Policy::Lease);
    /// No primary: any node reads and writes overlapping quorums.
    Quorum = "quorum", |_, deployment| Ok(Box::new(QuorumCluster::new(deployment)));
    /// The replicated store on tikv's raft.
    RaftRs = "raft-rs", on_raft_rs;
    /// The same, but a leader that is removed goes on leading, as raft 0.7 leaves it to its caller to step down.
    RaftRsUnguarded = "raft-rs-unguarded", on_raft_rs;
    /// The same, but a process draws its election time-out once, as openraft 0.9 does.
    RaftRsDrawnOnce = "raft-rs-drawn-once", on_raft_rs;
    /// The replicated store on the newest alpha of openraft 0.10.
    Raft010 = "raft-0.10", on_openraft_0_10;
    /// The same, but a leader that restarts goes on leading in its term, as openraft 0.10 has it by default.
    Raft010Restored = "raft-0.10-restored", on_openraft_0_10;
    /// The replicated store on omnipaxos.
    OmniPaxos = "omnipaxos", on_omnipaxos;
}

impl System {
    /// Every system, those with a bug last; without those that have several.
    pub fn all() -> impl Iterator<Item = System> {
        let bugged = Bug::ALL.iter().map(|bug| System::Bugged((*bug).into()));
        let transplanted = Transplant::ALL.iter().copied().map(System::Transplanted);
        System::SOUND.iter().copied().chain(bugged).chain(transplanted)
    }

    /// Whether this build has the system.
    pub fn is_built(self) -> bool {
        match self {
            System::RaftRs | System::RaftRsUnguarded | System::RaftRsDrawnOnce | System::OmniPaxos => {
                cfg!(feature = "engines")
            }
            System::Transplanted(transplant) => transplant.ground.system().is_built(),
            System::Raft | System::RaftLocalReads | System::RaftMemory | System::RaftLeaderStays => {
                cfg!(feature = "openraft")
            }
            System::Raft010 | System::Raft010Restored => cfg!(feature = "openraft-0-10"),
            System::Bugged(bugs) => bugs.base() != Base::Raft || cfg!(feature = "openraft"),
            _ => true,
        }
    }

    /// Whether a run is a function of its seed. Not so where other people's programs go by their own clocks.
    pub fn repeats(self) -> bool {
        #[cfg(feature = "nodes")]
        if let System::Nodes(program) = self {
            return program.pace() == Pace::Lockstep;
        }
        true
    }

    /// The system of this name, which may be a program's command line: the name must come from whoever may start
    /// programs here, and from nobody else. [`str::parse`] knows no programs.
    ///
    /// # Errors
    /// When there is no such system, in a sentence.
    pub fn named(name: &str) -> Result<System, String> {
        #[cfg(feature = "nodes")]
        match Program::named(name) {
            Ok(program) => return Ok(System::Nodes(program)),
            Err(NoProgram::NotOne) => {}
            Err(error) => return Err(error.to_string()),
        }
        name.parse().map_err(|error: UnknownSystem| error.to_string())
    }

    /// The names of all systems.
    pub fn names() -> Vec<&'static str> {
        System::all().map(System::name).collect()
    }
}

impl Base {
    /// The system without the bug.
    pub fn system(self) -> System {
        match self {
            Base::Raft => System::Raft,
            Base::PrimaryBackupSync => System::PrimaryBackupSync,
            Base::Lease => System::Lease,
        }
    }
}

impl Ground {
    /// The system without a bug.
    pub fn system(self) -> System {
        match self {
            Ground::RaftRs => System::RaftRs,
            Ground::Raft010 => System::Raft010,
        }
    }
}

fn primary_backup(deployment: &Deployment, policy: Policy) -> Made {
    Ok(Box::new(PrimaryBackupCluster::new(deployment, policy)))
}

fn bugged(system: System, deployment: &Deployment) -> Made {
    let System::Bugged(bugs) = system else { unreachable!("only systems with a bug are made here") };
    let planted = |policy| -> Made { Ok(Box::new(primary_backup::planted::cluster(deployment, policy, bugs))) };
    match bugs.base() {
        Base::PrimaryBackupSync => planted(Policy::Synchronous),
        Base::Lease => planted(Policy::Lease),
        Base::Raft => on_openraft(system, deployment),
    }
}

#[cfg(feature = "openraft")]
fn on_openraft(system: System, deployment: &Deployment) -> Made {
    use super::raft::planted::BuggedCluster;
    use super::raft::{Design, RaftCluster, node::Medium, service::Reads};
    let design = match system {
        System::Bugged(bugs) => return Ok(Box::new(BuggedCluster::new(deployment, bugs))),
        System::RaftLocalReads => Design { reads: Reads::Local, ..Design::default() },
        System::RaftMemory => Design { medium: Medium::Memory, ..Design::default() },
        System::RaftLeaderStays => Design { leader_stays: true, ..Design::default() },
        _ => Design::default(),
    };
    Ok(Box::new(RaftCluster::new(deployment, design)))
}

#[cfg(not(feature = "openraft"))]
fn on_openraft(system: System, _: &Deployment) -> Made {
    Err(NotBuilt { system, engine: "openraft", feature: "openraft" })
}

#[cfg(feature = "openraft-0-10")]
fn on_openraft_0_10(system: System, deployment: &Deployment) -> Made {
    use super::raft_0_10::Raft010Cluster;
    Ok(Box::new(match system {
        System::Transplanted(Transplant { bug, .. }) => Raft010Cluster::bugged(deployment, bug),
        System::Raft010Restored => Raft010Cluster::restored(deployment),
        _ => Raft010Cluster::new(deployment),
    }))
}

#[cfg(not(feature = "openraft-0-10"))]
fn on_openraft_0_10(system: System, _: &Deployment) -> Made {
    Err(NotBuilt { system, engine: "openraft 0.10", feature: "openraft-0-10" })
}

#[cfg(feature = "nodes")]
fn of_programs(system: System, deployment: &Deployment) -> Made {
    let System::Nodes(program) = system else { unreachable!("only programs are run here") };
    Ok(Box::new(NodesCluster::new(program, deployment)))
}

#[cfg(feature = "engines")]
fn on_raft_rs(system: System, deployment: &Deployment) -> Made {
    use super::engines::raft_rs::RaftRsCluster;
    Ok(Box::new(match system {
        System::Transplanted(Transplant { bug, .. }) => RaftRsCluster::bugged(deployment, bug),
        System::RaftRsUnguarded => RaftRsCluster::unguarded(deployment),
        System::RaftRsDrawnOnce => RaftRsCluster::drawn_once(deployment),
        _ => RaftRsCluster::new(deployment),
    }))
}

#[cfg(feature = "engines")]
fn on_omnipaxos(_: System, deployment: &Deployment) -> Made {
    Ok(Box::new(super::engines::omnipaxos::OmniPaxosCluster::new(deployment)))
}

#[cfg(not(feature = "engines"))]
fn on_raft_rs(system: System, _: &Deployment) -> Made {
    Err(NotBuilt { system, engine: "raft", feature: "engines" })
}

#[cfg(not(feature = "engines"))]
fn on_omnipaxos(system: System, _: &Deployment) -> Made {
    Err(NotBuilt { system, engine: "omnipaxos", feature: "engines" })
}

/// A system that this build leaves out: its name is known, so that files which name it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this build has no {engine}, on which `{system}` runs: enable the feature `{feature}` of the crate `schism`")]
pub struct NotBuilt {
    /// The system.
    pub system: System,
    /// The crate that it runs on.
    pub engine: &'static str,
    /// The feature that brings it.
    pub feature: &'static str,
}

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
        let known = System::all().find(|system| system.name() == name);
        known.or_else(|| name.parse().ok().map(System::Bugged)).ok_or_else(|| UnknownSystem(name.to_owned()))
    }
}
