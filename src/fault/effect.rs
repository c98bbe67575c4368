//! The effect of one fault on the hosts of a run, once its names are resolved. The fold composes these effects.

use super::chaos::Chaos;
use super::state::{ClockState, DiskState, ProcessState};
use super::topology::{Resolved, Target, Topology};
use crate::trace::{HostId, HostSet, MessageKind};

/// A fault's effect once its role is resolved. Each variant is something that [`super::fold`] can compose with others
/// of its sort.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing passes on these links.
    Cut(Links),
    /// Messages are held back on these links.
    Hold(Links),
    /// Messages take this many nanoseconds longer on these links.
    Delay(Links, u64),
    /// Single messages of these kinds are lost, late or duplicated.
    Messages {
        /// On these links.
        links: Links,
        /// The kinds of message, each once.
        kinds: Vec<MessageKind>,
        /// What happens to them.
        chaos: Chaos,
    },
    /// Processes are paused or die.
    Process(HostSet, ProcessState),
    /// Disks are slow or faulty.
    Disk(HostSet, DiskState),
    /// The power goes, or will go at the n-th operation of the disk.
    Power {
        /// Of these nodes.
        set: HostSet,
        /// Whether unsynced writes may be torn.
        torn: bool,
        /// The operation of the disk at which it goes; `None`: at once.
        at_operation: Option<u64>,
    },
    /// Clocks are wrong.
    Clock(HostSet, ClockState),
    /// These nodes are to vote.
    Voters(HostSet),
}

impl Effect {
    /// The directed links that it concerns, in order; none if it concerns nodes.
    pub fn links(&self) -> Vec<(HostId, HostId)> {
        match self {
            Effect::Cut(links) | Effect::Hold(links) | Effect::Delay(links, _) | Effect::Messages { links, .. } => {
                links.iter().collect()
            }
            Effect::Process(..) | Effect::Disk(..) | Effect::Power { .. } | Effect::Clock(..) | Effect::Voters(_) => {
                Vec::new()
            }
        }
    }

    /// The nodes whose process, disk or clock it concerns.
    pub fn nodes(&self) -> HostSet {
        match self {
            Effect::Process(set, _) | Effect::Disk(set, _) | Effect::Power { set, .. } | Effect::Clock(set, _) => *set,
            Effect::Cut(_) | Effect::Hold(_) | Effect::Delay(..) | Effect::Messages { .. } | Effect::Voters(_) => {
                HostSet::EMPTY
            }
        }
    }
}

/// Directed links: for each sender, the receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links(Vec<HostSet>);

impl Links {
    /// Adds the links from each of these hosts to each of those. No host has a link to itself.
    pub fn add(&mut self, from: HostSet, to: HostSet) {
        for host in from.iter() {
            self.0[host.index()] = self.0[host.index()].union(to.minus(HostSet::one(host)));
        }
    }

    /// In both directions.
    pub fn add_both_ways(&mut self, a: HostSet, b: HostSet) {
        self.add(a, b);
        self.add(b, a);
    }

    /// Each link, in order of (from, to).
    pub fn iter(&self) -> impl Iterator<Item = (HostId, HostId)> + '_ {
        (0u16..).map(HostId).zip(&self.0).flat_map(|(from, row)| row.iter().map(move |to| (from, to)))
    }
}

/// Resolves the names in a fault to the hosts that they stand for when it begins.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The hosts of the run.
    pub topology: &'a Topology,
    /// The host that holds the role named by the fault, if it names one and any host holds it.
    pub resolved: Option<HostId>,
}

impl Scene<'_> {
    /// The hosts that these targets name together.
    pub fn set(&self, targets: &[Target]) -> HostSet {
        targets.iter().fold(HostSet::EMPTY, |set, target| {
            set.union(match self.topology.resolve(target) {
                Ok(Resolved::Hosts(hosts)) => hosts,
                Ok(Resolved::Role(_)) => self.resolved.into_iter().collect(),
                Err(_) => HostSet::EMPTY,
            })
        })
    }

    /// The hosts that this target names.
    pub fn one(&self, target: &Target) -> HostSet {
        self.set(std::slice::from_ref(target))
    }

    /// The hosts that these targets name together; without any target, all hosts.
    pub fn set_or_all(&self, targets: &[Target]) -> HostSet {
        if targets.is_empty() { self.topology.all() } else { self.set(targets) }
    }

    /// No link yet.
    pub fn no_links(&self) -> Links {
        Links(vec![HostSet::EMPTY; self.topology.hosts()])
    }

    /// The links from one set of hosts to another.
    pub fn one_way(&self, from: HostSet, to: HostSet) -> Links {
        let mut links = self.no_links();
        links.add(from, to);
        links
    }

    /// The links between two sets of hosts, both ways.
    pub fn both_ways(&self, a: HostSet, b: HostSet) -> Links {
        let mut links = self.no_links();
        links.add_both_ways(a, b);
        links
    }

    /// The links between hosts of different groups, both ways.
    pub fn between_groups(&self, groups: &[Vec<Target>]) -> Links {
        let groups: Vec<HostSet> = groups.iter().map(|group| self.set(group)).collect();
        let mut links = self.no_links();
        for (index, group) in groups.iter().enumerate() {
            groups[..index].iter().for_each(|other| links.add_both_ways(*group, *other));
        }
        links
    }
}
