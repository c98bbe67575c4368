//! The state of every link and process as a fold over the set of active faults.
//!
//! Nothing is switched on or off. Each beginning and each end recomputes the state from the faults that are active
//! then. So ending a fault never clears another one that overlaps it, and the order of ends cannot matter. Where faults
//! meet on a link, cut > hold > delay; extra delays compose as their maximum, and independent probabilities p and q as
//! 1 - (1 - p)(1 - q).

pub use super::state::{ClockState, DiskState, LinkState, Passage, ProcessState};
use super::state::{FASTEST_PPM, SLOWEST_PPM};
pub use super::timeline::{Edge, Phase, Timeline};
pub use super::topology::{Resolved, SiteHosts, SiteShape, TargetRole, Topology, UnknownTarget};
pub use super::validate::{ScheduleError, validate};

use super::acted;
use super::effect::{Effect, Links, Scene};
use super::model::{Chaos, Fault, FaultKind, Schedule};
use crate::trace::{HostId, HostSet, MessageKind};

#[derive(Debug, Clone, PartialEq)]
struct Engaged {
    effect: Effect,
    /// A flapping fault whose links are whole at the moment.
    dormant: bool,
}

/// The active faults, and the state that they add up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    topology: Topology,
    schedule: Schedule,
    baseline: Chaos,
    engaged: Vec<Option<Engaged>>,
    /// The order in which active faults are composed, where it is not that of the schedule: once an aimed fault has begun,
    /// that of their beginnings, which is the order of the schedule that is recorded.
    order: Option<Vec<usize>>,
    links: Vec<LinkState>,
    /// By (link, kind). Empty while no message fault is active: then the baseline holds everywhere.
    chaos: Vec<Chaos>,
    processes: Vec<ProcessState>,
    disks: Vec<DiskState>,
    clocks: Vec<ClockState>,
    voters: Option<HostSet>,
}

impl Active {
    /// No fault is active yet. `baseline` happens to messages throughout the run; `duration_ms` is the run's length.
    ///
    /// # Errors
    /// If the schedule makes no sense in this topology ([`validate`]).
    pub fn new(
        topology: &Topology,
        schedule: &Schedule,
        baseline: Chaos,
        duration_ms: u64,
    ) -> Result<Active, ScheduleError> {
        validate(&schedule.faults, topology, duration_ms)?;
        let hosts = topology.hosts();
        Ok(Active {
            topology: topology.clone(),
            schedule: schedule.clone(),
            baseline,
            engaged: vec![None; schedule.faults.len()],
            order: None,
            links: vec![LinkState::default(); hosts * hosts],
            chaos: Vec::new(),
            processes: vec![ProcessState::Running; hosts],
            disks: vec![DiskState::default(); hosts],
            clocks: vec![ClockState::default(); hosts],
            voters: None,
        })
    }

    /// The role that must be resolved when this fault begins, if it names one.
    pub fn role(&self, fault: u32) -> Option<TargetRole> {
        self.schedule.faults[fault as usize].kind.role_targets().into_iter().find_map(|target| {
            match self.topology.resolve(target) {
                Ok(Resolved::Role(role)) => Some(role),
                _ => None,
            }
        })
    }

    /// Puts an aimed fault whose moment has come in its place, as [`acted::begun`] makes it. It begins with [`Active::begin`].
    pub fn aimed(&mut self, fault: u32, begun: Fault) {
        self.schedule.faults[fault as usize] = begun;
        self.order = Some(acted::order(&self.schedule));
    }

    /// The schedule, with the aimed faults that have begun where they did.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Begins a fault. `resolved` is the holder of its role; a role that no host holds leaves the fault without effect.
    pub fn begin(&mut self, fault: u32, resolved: Option<HostId>) {
        let kind = &self.schedule.faults[fault as usize].kind;
        let effect = kind.effect(&Scene { topology: &self.topology, resolved });
        self.engaged[fault as usize] = Some(Engaged { effect, dormant: false });
        self.fold();
    }

    /// Ends a fault; no effect on one that is not active.
    pub fn end(&mut self, fault: u32) {
        self.engaged[fault as usize] = None;
        self.fold();
    }

    /// Makes an active flapping fault cut its links, or leave them whole for a while.
    pub fn flap(&mut self, fault: u32, cut: bool) {
        if let Some(engaged) = &mut self.engaged[fault as usize] {
            engaged.dormant = !cut;
            self.fold();
        }
    }

    /// Applies an edge of the timeline. Only a beginning uses `resolved`.
    pub fn apply(&mut self, edge: &Edge, resolved: Option<HostId>) {
        match edge.phase {
            Phase::Begin => self.begin(edge.fault, resolved),
            Phase::End => self.end(edge.fault),
            Phase::FlapUp => self.flap(edge.fault, false),
            Phase::FlapDown => self.flap(edge.fault, true),
        }
    }

    /// The hosts of the run.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The indices of the active faults, ascending.
    pub fn faults(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.engaged).filter(|(_, engaged)| engaged.is_some()).map(|(fault, _)| fault)
    }

    /// The state of a link in the direction from `from` to `to`.
    pub fn link(&self, from: HostId, to: HostId) -> LinkState {
        self.links[self.at(from, to)]
    }

    /// What happens to messages of this kind from `from` to `to`: the baseline with the active message faults.
    pub fn chaos(&self, from: HostId, to: HostId, kind: MessageKind) -> Chaos {
        match self.chaos.get(self.at(from, to) * MessageKind::ALL.len() + kind as usize) {
            Some(chaos) => *chaos,
            None => self.baseline,
        }
    }

    /// What the active faults do to a host's process.
    pub fn process(&self, host: HostId) -> ProcessState {
        self.processes[host.index()]
    }

    /// What the active faults do to a host's disk.
    pub fn disk(&self, host: HostId) -> DiskState {
        self.disks[host.index()]
    }

    /// How wrong a host's clock is. However many drifts add up, a clock runs as one fault may make it: never backwards.
    pub fn clock(&self, host: HostId) -> ClockState {
        let sum = self.clocks[host.index()];
        ClockState { drift_ppm: sum.drift_ppm.clamp(SLOWEST_PPM, FASTEST_PPM), ..sum }
    }

    /// The nodes that are to vote. Of several membership faults the last in the schedule counts; without any, all nodes
    /// vote.
    pub fn voters(&self) -> HostSet {
        self.voters.unwrap_or(self.topology.all_nodes())
    }

    /// Carries out a power loss that waited for its disk operation; no effect on one that is not active.
    pub fn strike(&mut self, fault: u32) {
        if let Some(Engaged { effect: Effect::Power { at_operation, .. }, .. }) = &mut self.engaged[fault as usize] {
            *at_operation = None;
            self.fold();
        }
    }

    fn at(&self, from: HostId, to: HostId) -> usize {
        from.index() * self.topology.hosts() + to.index()
    }

    /// Recomputes the tables. In the order of the schedule, since integer probabilities are rounded.
    fn fold(&mut self) {
        self.links.fill(LinkState::default());
        self.processes.fill(ProcessState::Running);
        self.disks.fill(DiskState::default());
        self.clocks.fill(ClockState::default());
        self.chaos.clear();
        self.voters = None;
        let hosts = self.topology.hosts();
        let order = self.order.clone().unwrap_or_else(|| (0..self.engaged.len()).collect());
        let engaged = order.iter().filter_map(|at| Some((*at as u32, self.engaged[*at].as_ref()?)));
        for (fault, engaged) in engaged.filter(|(_, engaged)| !engaged.dormant) {
            match &engaged.effect {
                Effect::Cut(links) => each(links, hosts, |at| self.links[at].cut = true),
                Effect::Hold(links) => each(links, hosts, |at| self.links[at].hold = true),
                Effect::Delay(links, ns) => each(links, hosts, |at| {
                    self.links[at].extra_ns = self.links[at].extra_ns.max(*ns);
                }),
                Effect::Messages { links, kinds, chaos } => {
                    let width = MessageKind::ALL.len();
                    self.chaos.resize(hosts * hosts * width, self.baseline);
                    each(links, hosts, |at| {
                        for kind in kinds {
                            let cell = &mut self.chaos[at * width + *kind as usize];
                            *cell = cell.and(chaos);
                        }
                    });
                }
                Effect::Process(set, state) => {
                    for host in set.iter() {
                        self.processes[host.index()] = self.processes[host.index()].max(*state);
                    }
                }
                Effect::Disk(set, state) => {
                    for host in set.iter() {
                        self.disks[host.index()] = self.disks[host.index()].and(state);
                    }
                }
                Effect::Power { set, torn, at_operation } => {
                    for host in set.iter() {
                        let power_at = at_operation.map(|n| (fault, n));
                        let state = DiskState { torn: *torn, power_at, ..DiskState::default() };
                        self.disks[host.index()] = self.disks[host.index()].and(&state);
                        if at_operation.is_none() {
                            self.processes[host.index()] = ProcessState::Off;
                        }
                    }
                }
                Effect::Clock(set, state) => {
                    for host in set.iter() {
                        self.clocks[host.index()] = self.clocks[host.index()].and(state);
                    }
                }
                Effect::Voters(set) => self.voters = Some(*set),
            }
        }
    }
}

fn each(links: &Links, hosts: usize, mut act: impl FnMut(usize)) {
    links.iter().for_each(|(from, to)| act(from.index() * hosts + to.index()));
}

/// The directed links that a fault concerns, with its roles held by `resolved`; none if it concerns nodes.
pub fn links_of(kind: &FaultKind, topology: &Topology, resolved: Option<HostId>) -> Vec<(HostId, HostId)> {
    kind.effect(&Scene { topology, resolved }).links()
}

#[cfg(test)]
mod tests;
